//! Between a worker and a template process, which forks runners (`spec/runner.md`, section 8).

use super::child::TaskToken;
use super::messages;
use super::runner::Ready;
use crate::id::RunnerId;

messages! {
    /// Messages of a worker to a template.
    pub enum ToTemplate {
        /// Fork a runner. Four descriptors travel with the frame.
        Fork(Fork) = FORK,
    }
    without a body {}
}

messages! {
    /// Messages of a template.
    pub enum FromTemplate {
        /// The template has loaded its runner and can fork.
        Ready(Ready) = READY,
        /// A runner was forked, or could not be.
        Forked(Forked) = FORKED,
    }
    without a body {}
}

/// A runner to fork.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fork {
    /// The worker's number for the runner.
    pub runner: RunnerId,
    /// Secret of the new process, for its environment.
    pub token: TaskToken,
}

/// Result of a [`Fork`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forked {
    /// The number that was asked for.
    pub runner: RunnerId,
    /// Process id of the runner, or the `errno` with which the fork failed.
    pub result: Result<u32, u32>,
}
