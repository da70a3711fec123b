//! Additions to `argon-net`: exit statuses for its errors, and the question of a command.

pub mod ask;
mod failures;
pub mod socket;
