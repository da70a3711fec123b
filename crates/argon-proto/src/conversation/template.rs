//! Between a worker and a template process, which forks runners (`spec/runner.md`, section 8).

use bytes::BufMut;

use super::body::{plain_body, take_u32, take_u64};
use super::child::TaskToken;
use super::messages;
use super::runner::Ready;
use crate::error::DecodeError;
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

plain_body!(
    Fork,
    |fork, out| {
        out.put_u64(fork.runner.0);
        out.put_slice(&fork.token.0);
    },
    |mut body| {
        let runner = RunnerId(take_u64(&mut body, "fork")?);
        let token = body.first_chunk().ok_or(DecodeError::Short("fork"))?;
        Ok(Self { runner, token: TaskToken(*token) })
    }
);

plain_body!(
    Forked,
    |forked, out| {
        out.put_u64(forked.runner.0);
        out.put_u32(forked.result.unwrap_or(0));
        if let Err(errno) = forked.result {
            out.put_u32(errno);
        }
    },
    |mut body| {
        let runner = RunnerId(take_u64(&mut body, "forked")?);
        let pid = take_u32(&mut body, "forked")?;
        let result = if pid > 0 { Ok(pid) } else { Err(take_u32(&mut body, "forked")?) };
        Ok(Self { runner, result })
    }
);
