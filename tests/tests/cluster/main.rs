//! Black-box tests of the real program, in one executable: each file one subject.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod calls;
mod command_line;
mod door;
mod loss;
mod scaling;
