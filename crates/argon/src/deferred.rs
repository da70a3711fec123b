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
    state: DeferredState,
    value: PhantomData<fn() -> T>,
}

#[derive(Debug)]
enum DeferredState {
    Waiting {
        session: Arc<Session>,
        number: u64,
        waiter: Waiter,
    },
    /// The call was refused before it was sent.
    Refused(Error),
    Over,
}

impl<T> Deferred<T> {
    pub(crate) fn waiting(session: Arc<Session>, number: u64) -> Self {
        Self {
            state: DeferredState::Waiting { session, number, waiter: Waiter::default() },
            value: PhantomData,
        }
    }

    pub(crate) fn refused(error: Error) -> Self {
        Self { state: DeferredState::Refused(error), value: PhantomData }
    }

    /// The task's id; `None` when its value was taken, or it never went out.
    #[must_use]
    pub fn id(&self) -> Option<TaskId> {
        match &self.state {
            DeferredState::Waiting { session, number, .. } => Some(session.task_id(*number)),
            DeferredState::Refused(_) | DeferredState::Over => None,
        }
    }

    /// Cancels the task: its process is ended if it runs. The value shows whether that came in time; it is an error of the
    /// kind [`ErrorKind::Cancelled`] then.
    pub fn cancel(&self) {
        if let DeferredState::Waiting { session, number, .. } = &self.state {
            session.with(|session, out| session.cancel(*number, out));
        }
    }
}

impl<T: DeserializeOwned + 'static> Future for Deferred<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            DeferredState::Waiting { session, number, waiter } => {
                let Poll::Ready(ending) =
                    session.awaiting(waiter, |session, _| session.poll_end(*number, context.waker()))
                else {
                    return Poll::Pending;
                };
                let id = session.task_id(*number);
                self.state = DeferredState::Over;
                Poll::Ready(read::value(ending, id))
            }
            DeferredState::Refused(_) | DeferredState::Over => {
                let taken = "the value of this call was taken before";
                match std::mem::replace(&mut self.state, DeferredState::Over) {
                    DeferredState::Refused(error) => Poll::Ready(Err(error)),
                    DeferredState::Waiting { .. } | DeferredState::Over => {
                        Poll::Ready(Err(Error::new(ErrorKind::Closed, taken)))
                    }
                }
            }
        }
    }
}

impl<T> Drop for Deferred<T> {
    fn drop(&mut self) {
        if let DeferredState::Waiting { session, number, waiter } = &mut self.state {
            session.leave(waiter);
            // What was left to be written goes out: perhaps no other caller comes.
            session.with(|session, out| session.abandon(*number, out));
        }
    }
}

/// A call that is cancelled when its caller leaves the wait.
pub(crate) struct Awaited<T>(pub(crate) Deferred<T>);

impl<T> Drop for Awaited<T> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
