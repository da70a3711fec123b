//! Many calls as a stream of their values: a bounded number is under way, in order or as they complete.

mod calls;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use argon_session::{Member, Out, OutputMode, SessionState};
use futures_core::Stream;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::caller::Caller;
use crate::deferred::Awaited;
use crate::error::Error;
use crate::read;
use crate::session::Waiter;
use calls::Calls;

/// Calls that are under way in addition to the one whose value is awaited.
const AHEAD: usize = 1000;
/// Bytes of arguments beyond which no further call is started.
const AHEAD_BYTES: u64 = 64 << 20;

/// The values of many calls, in the order of the calls. A [`Stream`], with a [`next`](Map::next) of its own. Calls are taken
/// from the iterator only as fast as values are taken from here. If the iterator panics, the values of the calls before come
/// first, then the panic. Dropping the map cancels what is under way.
#[must_use = "a map does nothing until its values are taken"]
pub struct Map<T, I> {
    caller: Caller,
    calls: Calls<I>,
    ahead: usize,
    /// Each with the bytes of its arguments.
    waiting: VecDeque<(Awaited<T>, u64)>,
    bytes: u64,
}

/// The values of many calls with the position of each, as they complete; see [`Map::as_completed`].
#[must_use = "a map does nothing until its values are taken"]
pub struct Completed<T, I> {
    caller: Caller,
    calls: Calls<I>,
    ahead: usize,
    group: u64,
    /// Calls that were taken from the iterator.
    taken: u64,
    under_way: usize,
    bytes: u64,
    waiter: Waiter,
    /// Calls that were never sent.
    refused: VecDeque<(u64, Error)>,
    value: std::marker::PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + 'static, I: Iterator<Item = Call<T>>> Map<T, I> {
    pub(crate) fn new(caller: Caller, calls: I) -> Self {
        Self { caller, calls: Calls::new(calls), ahead: AHEAD, waiting: VecDeque::new(), bytes: 0 }
    }

    /// Lets at most `ahead` calls be under way. Default: 1000. Calls with big arguments wait also while those of others
    /// are 64 MiB.
    pub fn ahead(self, ahead: usize) -> Self {
        Self { ahead: ahead.max(1), ..self }
    }

    /// The values as they complete, each with the position of its call.
    pub fn as_completed(self) -> Completed<T, I> {
        let group = self.caller.session.with_quietly(|session, _| session.open_group());
        Completed {
            caller: self.caller,
            calls: self.calls,
            ahead: self.ahead,
            group,
            taken: 0,
            under_way: 0,
            bytes: 0,
            waiter: Waiter::default(),
            refused: VecDeque::new(),
            value: std::marker::PhantomData,
        }
    }

    /// The next value; `None` after the last. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        poll_fn(|context| self.poll_value(context)).await
    }

    fn poll_value(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        while self.waiting.len() < self.ahead && self.bytes < AHEAD_BYTES {
            let Some(call) = self.calls.next() else {
                break;
            };
            let bytes = call.bytes();
            self.bytes += bytes;
            self.waiting.push_back((Awaited(self.caller.defer(call)), bytes));
        }
        let Some((front, bytes)) = self.waiting.front_mut() else {
            self.calls.end();
            return Poll::Ready(None);
        };
        let value = Pin::new(&mut front.0).poll(context);
        if value.is_ready() {
            self.bytes -= *bytes;
            self.waiting.pop_front();
        }
        value.map(Some)
    }
}

impl<T: DeserializeOwned + 'static, I: Iterator<Item = Call<T>> + Unpin> Stream for Map<T, I> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_value(context)
    }
}

impl<T: DeserializeOwned + 'static, I: Iterator<Item = Call<T>>> Completed<T, I> {
    /// The next value and the position of its call; `None` after the last. Cancel safe.
    pub async fn next(&mut self) -> Option<(usize, Result<T, Error>)> {
        poll_fn(|context| self.poll_value(context)).await
    }

    fn poll_value(&mut self, context: &mut Context<'_>) -> Poll<Option<(usize, Result<T, Error>)>> {
        while self.under_way < self.ahead && self.bytes < AHEAD_BYTES {
            let Some(call) = self.calls.next() else {
                break;
            };
            self.add(call);
        }
        if let Some((position, error)) = self.refused.pop_front() {
            self.under_way -= 1;
            return Poll::Ready(Some((position as usize, Err(error))));
        }
        if self.under_way == 0 {
            self.calls.end();
            return Poll::Ready(None);
        }
        let group = self.group;
        let look = |session: &mut SessionState, _: &mut Out| session.poll_group(group, context.waker());
        self.caller.session.awaiting(&mut self.waiter, look).map(|(member, id, ending)| {
            self.under_way -= 1;
            self.bytes -= member.bytes;
            Some((member.position as usize, read::value(ending, id)))
        })
    }

    fn add(&mut self, call: Call<T>) {
        let position = self.taken;
        self.taken += 1;
        self.under_way += 1;
        let bytes = call.bytes();
        let addition = call
            .into_request(&self.caller.defaults)
            .and_then(|request| request.addition(false, OutputMode::Inherit));
        match addition {
            Ok(addition) => {
                self.bytes += bytes;
                let member = Member { group: self.group, position, bytes };
                self.caller.session.with(|session, out| session.add_to_group(addition, member, out));
            }
            Err(error) => self.refused.push_back((position, error)),
        }
    }
}

impl<T: DeserializeOwned + 'static, I: Iterator<Item = Call<T>> + Unpin> Stream for Completed<T, I> {
    type Item = (usize, Result<T, Error>);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_value(context)
    }
}

impl<T, I> Drop for Completed<T, I> {
    fn drop(&mut self) {
        self.caller.session.leave(&mut self.waiter);
        let group = self.group;
        self.caller.session.with(|session, out| session.close_group(group, out));
    }
}

impl<T, I> std::fmt::Debug for Map<T, I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Map({} under way)", self.waiting.len())
    }
}

impl<T, I> std::fmt::Debug for Completed<T, I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Completed({} under way)", self.under_way)
    }
}
