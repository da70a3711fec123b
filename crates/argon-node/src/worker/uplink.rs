//! What goes to the manager.

pub(crate) mod register;
