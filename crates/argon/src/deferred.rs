//! A call under way, as a future of its value.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use argon_proto::TaskId;
use argon_session::ErrorKind;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::read;
use crate::session::{Session, Waiter};

/// The value of a call that was deferred. It runs whether this is awaited or not, and goes on when this is dropped; only
/// [`cancel`](Deferred::cancel) ends it.
#[derive(Debug)]
pub struct Deferred<T> {
    state: State,
    value: PhantomData<fn() -> T>,
}

#[derive(Debug)]
enum State {
    Waiting {
        session: Arc<Session>,
        number: u64,
        waiter: Waiter,
    },
    /// It never went out.
    Refused(Error),
    Over,
}

impl<T> Deferred<T> {
    pub(crate) fn waiting(session: Arc<Session>, number: u64) -> Self {
        Self { state: State::Waiting { session, number, waiter: Waiter::default() }, value: PhantomData }
    }

    pub(crate) fn refused(error: Error) -> Self {
        Self { state: State::Refused(error), value: PhantomData }
    }

    /// The task's id; `None` when its value was taken, or it never went out.
    #[must_use]
    pub fn id(&self) -> Option<TaskId> {
        match &self.state {
            State::Waiting { session, number, .. } => Some(session.task_id(*number)),
            State::Refused(_) | State::Over => None,
        }
    }

    /// Asks for its end: its process is ended if it runs. The value tells whether that came in time; it is an error of the
    /// kind [`ErrorKind::Cancelled`] then.
    pub fn cancel(&self) {
        if let State::Waiting { session, number, .. } = &self.state {
            session.with(|session, out| session.cancel(*number, out));
        }
    }
}

impl<T: DeserializeOwned + 'static> Future for Deferred<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Waiting { session, number, waiter } => {
                let Poll::Ready(ending) =
                    session.awaiting(waiter, |session, _| session.poll_end(*number, context.waker()))
                else {
                    return Poll::Pending;
                };
                let id = session.task_id(*number);
                self.state = State::Over;
                Poll::Ready(read::value(ending, id))
            }
            State::Refused(_) | State::Over => {
                let taken = "the value of this call was taken before";
                match std::mem::replace(&mut self.state, State::Over) {
                    State::Refused(error) => Poll::Ready(Err(error)),
                    State::Waiting { .. } | State::Over => {
                        Poll::Ready(Err(Error::new(ErrorKind::Closed, taken)))
                    }
                }
            }
        }
    }
}

impl<T> Drop for Deferred<T> {
    fn drop(&mut self) {
        if let State::Waiting { session, number, waiter } = &mut self.state {
            session.leave(waiter);
            // What was left to be written goes out: nobody else may come to do it.
            session.with(|session, out| session.abandon(*number, out));
        }
    }
}
