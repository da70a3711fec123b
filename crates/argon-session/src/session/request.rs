//! Requests to the manager, each by its number, and their replies.

use std::task::{Poll, Waker};

use argon_proto::conversation::admin::{Reply, Request};
use argon_proto::conversation::client::ToManager;
use rustc_hash::FxHashMap;
use serde_json::Value;

use super::SessionState;
use super::effect::{Effect, Out};
use super::entry::keep;
use crate::error_kind::ErrorKind;

#[derive(Debug, Default)]
pub(super) struct Requests {
    last: u64,
    open: FxHashMap<u64, OpenRequest>,
}

#[derive(Debug)]
struct OpenRequest {
    request: Request,
    reply: Option<Result<Value, (ErrorKind, String)>>,
    waker: Option<Waker>,
    /// True if no one wants the reply; the request is repeated until there is one.
    is_dropped: bool,
}

impl Requests {
    /// Requests without a reply, to be sent again, in the order in which they were made.
    pub(super) fn unanswered(&self) -> Vec<Request> {
        let unanswered = self.open.values().filter(|open| open.reply.is_none());
        let mut requests: Vec<Request> = unanswered.map(|open| open.request.clone()).collect();
        requests.sort_unstable_by_key(|request| request.request);
        requests
    }

    pub(super) fn reply(&mut self, reply: Reply, out: &mut Out) {
        if let Some(open) = self.open.get_mut(&reply.request) {
            if open.is_dropped {
                self.open.remove(&reply.request);
                return;
            }
            open.reply.get_or_insert_with(|| Ok(reply.into_json()));
            out.effects.extend(open.waker.take().map(Effect::Wake));
        }
    }

    /// Lets the reply to this request be dropped.
    pub(super) fn drop_reply(&mut self, number: u64) {
        if let Some(open) = self.open.get_mut(&number) {
            open.is_dropped = true;
        }
    }

    pub(super) fn fail(&mut self, kind: ErrorKind, message: &str, out: &mut Out) {
        for request in self.open.values_mut() {
            request.reply.get_or_insert_with(|| Err((kind, message.to_owned())));
            out.effects.extend(request.waker.take().map(Effect::Wake));
        }
    }
}

impl SessionState {
    /// Sends a request: `what`, and further fields of its JSON object. Returns the number to follow it by.
    pub fn request(&mut self, what: &str, mut fields: serde_json::Map<String, Value>, out: &mut Out) -> u64 {
        self.requests.last += 1;
        let number = self.requests.last;
        // Their names are the request's own.
        fields.retain(|name, _| name != "request" && name != "what");
        let request = Request { request: number, what: what.to_owned(), fields };
        if self.has_offered() {
            out.frames.push(&ToManager::Request(request.clone()));
        }
        let reply = self.ended.clone().map(Err);
        self.requests.open.insert(number, OpenRequest { request, reply, waker: None, is_dropped: false });
        number
    }

    /// Takes the reply, or leaves the waker.
    pub fn poll_reply(&mut self, number: u64, waker: &Waker) -> Poll<Result<Value, (ErrorKind, String)>> {
        let Some(request) = self.requests.open.get_mut(&number) else {
            return Poll::Ready(Err(self.taken()));
        };
        if request.reply.is_none() {
            keep(&mut request.waker, waker);
            return Poll::Pending;
        }
        let reply = self.requests.open.remove(&number).and_then(|request| request.reply);
        reply.map_or(Poll::Pending, Poll::Ready)
    }

    /// The reply of a request of this session's own, if it has come.
    pub(super) fn taken_reply(&mut self, number: u64) -> Option<Value> {
        self.requests.open.get(&number)?.reply.as_ref()?;
        self.requests.open.remove(&number)?.reply?.ok()
    }

    /// Forgets a request for whose reply no one waits any more.
    pub fn forget_request(&mut self, number: u64) {
        self.requests.open.remove(&number);
    }
}
