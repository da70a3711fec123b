//! OFFERED behind streams: it counts for the tasks whose payloads are still under way, so it comes after them.

use std::collections::{HashMap, HashSet};

use super::collected::Arriving;
use crate::conversation::Message;

/// A message that waits for streams that began before it.
#[derive(Debug)]
pub(super) struct Fence<M> {
    message: M,
    streams: HashSet<u32>,
}

impl<M: Message> Fence<M> {
    /// Lets the message wait for the tasks whose payloads are under way; gives it back if there are none.
    #[cold]
    pub(super) fn new(message: M, arriving: &HashMap<u32, Arriving<M>>) -> Result<Box<Self>, M> {
        let is_task = |(_, arriving): &(&u32, &Arriving<M>)| arriving.message.blob().is_none();
        let streams: HashSet<u32> = arriving.iter().filter(is_task).map(|(stream, _)| *stream).collect();
        if streams.is_empty() { Err(message) } else { Ok(Box::new(Self { message, streams })) }
    }

    /// A stream has ended.
    pub(super) fn pass(&mut self, stream: u32) {
        self.streams.remove(&stream);
    }

    /// True if the message waits no more.
    pub(super) fn is_open(&self) -> bool {
        self.streams.is_empty()
    }

    pub(super) fn into_message(self) -> M {
        self.message
    }
}
