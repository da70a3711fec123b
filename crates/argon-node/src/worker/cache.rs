//! What the worker keeps for tasks to come: executables as files, and what clients answered.

pub(crate) mod answers;
pub(crate) mod executables;
