//! A task under way, for those who want to see what it prints and asks: the low-level face of a session.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use argon_proto::{Outcome, TaskId};
use argon_session::{Completion, OutputChunk, Question};
use bytes::Bytes;

use crate::error::Error;
use crate::session::{Session, Waiter};

/// A task that was started with [`crate::Client::start`]. Dropping it cancels nothing: the task goes on, and what it
/// prints is dropped.
#[derive(Debug)]
pub struct Running {
    session: Arc<Session>,
    number: u64,
    waiter: Waiter,
    is_over: bool,
}

/// Event of a running task.
#[derive(Debug)]
pub enum Event {
    /// The task wrote to its descriptor 1 or 2, or logged. It waits while about 1 MiB of its output is unread.
    Output {
        /// Number of the attempt: a further one prints from its beginning.
        attempt: u32,
        /// 1 or 2; 3 for a log record, whose JSON is the whole of `bytes` (`spec/runner.md`, section 2).
        fd: u8,
        /// Bytes of the output.
        bytes: Bytes,
    },
    /// The task asks for something, and waits.
    Asked(Asked),
    /// The task has ended, and all its output has been read. `Err` is an end without the cluster: no manager any
    /// more, or the client was closed.
    Ended(Result<Outcome, Error>),
}

/// A question of a running task. Dropped without an answer, it is answered with no.
#[derive(Debug)]
pub struct Asked {
    session: Arc<Session>,
    question: Option<Question>,
}

impl Running {
    pub(crate) fn new(session: Arc<Session>, number: u64) -> Self {
        Self { session, number, waiter: Waiter::default(), is_over: false }
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.session.task_id(self.number)
    }

    /// Returns the next event; `None` after the end. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// Polls for the next event.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let number = self.number;
        let session = Arc::clone(&self.session);
        let piece = session
            .awaiting(&mut self.waiter, |session, out| session.poll_chunk(number, context.waker(), out));
        match piece {
            Poll::Ready(Some(OutputChunk::Output { attempt, fd, bytes })) => {
                Poll::Ready(Some(Event::Output { attempt, fd, bytes }))
            }
            Poll::Ready(Some(OutputChunk::Ask(question))) => {
                let asked = Asked { session: Arc::clone(&self.session), question: Some(question) };
                Poll::Ready(Some(Event::Asked(asked)))
            }
            Poll::Ready(None) => {
                let end = session
                    .awaiting(&mut self.waiter, |session, _| session.poll_end(number, context.waker()));
                end.map(|ending| {
                    self.is_over = true;
                    Some(Event::Ended(outcome(ending, self.id())))
                })
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Waits for the end; what it prints meanwhile is dropped, and its questions are answered with no.
    pub async fn outcome(mut self) -> Result<Outcome, Error> {
        while let Some(event) = self.next().await {
            match event {
                Event::Ended(end) => return end,
                Event::Output { .. } | Event::Asked(_) => {}
            }
        }
        Err(Error::new(crate::ErrorKind::Closed, "the task's outcome was taken before"))
    }

    /// Cancels the task. The outcome shows whether that came in time.
    pub fn cancel(&self) {
        self.session.with(|session, out| session.cancel(self.number, out));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Self { session, waiter, .. } = self;
        session.leave(waiter);
        if !self.is_over {
            self.session.with(|session, out| session.abandon(self.number, out));
        }
    }
}

impl Asked {
    /// The question, as JSON; see `spec/protocol.md`, section 7, and the runtime's section of `spec/runner.md`.
    #[must_use]
    pub fn question(&self) -> &[u8] {
        self.question.as_ref().map_or(&[], |question| &question.json)
    }

    /// Answers with at most 1 MiB.
    pub fn answer(mut self, bytes: Bytes) {
        self.reply(Some(bytes));
    }

    /// Answers with no.
    pub fn refuse(mut self) {
        self.reply(None);
    }

    fn reply(&mut self, bytes: Option<Bytes>) {
        if let Some(question) = self.question.take() {
            self.session.with(|session, out| session.answer(question.from, question.ask, bytes, out));
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.reply(None);
    }
}

/// The outcome in an ending, or why there is none.
pub(crate) fn outcome(ending: Completion, id: TaskId) -> Result<Outcome, Error> {
    match ending {
        Completion::Outcome(outcome) => Ok(outcome),
        Completion::Accepted(_) => {
            Err(Error::new(crate::ErrorKind::Closed, "the task is detached; collect it").with_task(id))
        }
        Completion::Failed(kind, message) => Err(Error::new(kind, message).with_task(id)),
    }
}
