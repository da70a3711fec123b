//! Requests to the manager, each by its number, and their replies.

use std::task::{Poll, Waker};

use argon_proto::Message;
use bytes::Bytes;
use rustc_hash::FxHashMap;
use serde_json::Value;

use super::Journal;
use super::entry::keep;
use crate::error::ErrorKind;

#[derive(Debug, Default)]
pub(super) struct Requests {
    last: u64,
    open: FxHashMap<u64, Request>,
}

#[derive(Debug)]
struct Request {
    body: Bytes,
    reply: Option<Result<Value, (ErrorKind, String)>>,
    waker: Option<Waker>,
}

impl Requests {
    /// Those without a reply, to be sent again.
    pub(super) fn bodies(&self) -> impl Iterator<Item = Bytes> + '_ {
        self.open.values().filter(|request| request.reply.is_none()).map(|request| request.body.clone())
    }

    pub(super) fn reply(&mut self, json: &[u8], wakers: &mut Vec<Waker>) {
        let Ok(reply) = serde_json::from_slice::<Value>(json) else {
            return;
        };
        let Some(request) = reply["request"].as_u64().and_then(|number| self.open.get_mut(&number)) else {
            return;
        };
        request.reply.get_or_insert(Ok(reply));
        wakers.extend(request.waker.take());
    }

    pub(super) fn fail(&mut self, kind: ErrorKind, message: &str, wakers: &mut Vec<Waker>) {
        for request in self.open.values_mut() {
            request.reply.get_or_insert_with(|| Err((kind, message.to_owned())));
            wakers.extend(request.waker.take());
        }
    }
}

impl Journal {
    /// Sends a request: `what`, and further fields of its JSON object. Returns the number to follow it by.
    pub(crate) fn request(&mut self, what: &str, mut fields: serde_json::Map<String, Value>) -> u64 {
        self.requests.last += 1;
        let number = self.requests.last;
        fields.insert("request".to_owned(), number.into());
        fields.insert("what".to_owned(), what.into());
        let body = Bytes::from(Value::Object(fields).to_string());
        if let Some(link) = self.link.as_mut().filter(|link| link.has_offered) {
            link.outbox.push(Message::Request(body.clone()));
        }
        let reply = self.ended.clone().map(Err);
        self.requests.open.insert(number, Request { body, reply, waker: None });
        number
    }

    /// Takes the reply, or leaves the waker.
    pub(crate) fn poll_reply(
        &mut self,
        number: u64,
        waker: &Waker,
    ) -> Poll<Result<Value, (ErrorKind, String)>> {
        let Some(request) = self.requests.open.get_mut(&number) else {
            return Poll::Ready(Err((ErrorKind::Closed, "the reply was taken before".to_owned())));
        };
        if request.reply.is_none() {
            keep(&mut request.waker, waker);
            return Poll::Pending;
        }
        let reply = self.requests.open.remove(&number).and_then(|request| request.reply);
        reply.map_or(Poll::Pending, Poll::Ready)
    }

    /// Nobody waits for the reply any more.
    pub(crate) fn forget_request(&mut self, number: u64) {
        self.requests.open.remove(&number);
    }
}
