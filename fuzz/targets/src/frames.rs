//! Target: the frame decoder of every direction of every conversation.
//!
//! Promises: no bytes make it panic; how the bytes are cut into reads changes nothing; a message that was read can be
//! written, and is read back as the same.

use std::fmt::Debug;

use argon_proto::conversation::admin::{FromAdmin, ToAdmin};
use argon_proto::conversation::child::FromChild;
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::runner::{FromRunner, ToRunner};
use argon_proto::conversation::template::{FromTemplate, ToTemplate};
use argon_proto::conversation::worker::{FromWorker, ToWorker};
use argon_proto::conversation::{Incoming, Message};
use argon_proto::frame::{Decoder, Outbox};

/// Checks one byte stream in all directions.
pub fn run(bytes: &[u8]) {
    direction::<Incoming<ToManager>>(bytes);
    direction::<Incoming<ToClient>>(bytes);
    direction::<Incoming<FromWorker>>(bytes);
    direction::<Incoming<ToWorker>>(bytes);
    direction::<FromRunner>(bytes);
    direction::<ToRunner>(bytes);
    direction::<Incoming<FromChild>>(bytes);
    direction::<FromTemplate>(bytes);
    direction::<ToTemplate>(bytes);
    direction::<Incoming<FromAdmin>>(bytes);
    direction::<Incoming<ToAdmin>>(bytes);
}

/// The frames of the shared vectors, alone and two in a row.
#[must_use]
pub fn corpus() -> Vec<Vec<u8>> {
    let vectors = crate::vectors(include_str!("../../../spec/vectors/frames.json"));
    let frames = vectors["frames"].as_array().cloned().unwrap_or_default();
    let single: Vec<Vec<u8>> = frames.iter().map(|vector| crate::bytes_of_hex(&vector["frame"])).collect();
    let pairs = single.windows(2).map(|pair| pair.concat());
    single.iter().cloned().chain(pairs).collect()
}

fn direction<M: Message + Debug>(bytes: &[u8]) {
    let (whole, why) = decoded::<M>(bytes, bytes.len().max(1));
    let step = 1 + bytes.first().map_or(0, |byte| usize::from(byte % 7));
    let (cut, why_cut) = decoded::<M>(bytes, step);
    assert_eq!(shown(&whole), shown(&cut), "reads of {step} bytes give other messages");
    assert_eq!(why, why_cut, "reads of {step} bytes give another error");
    for message in &whole {
        let (again, why) = decoded::<M>(&encoded(message), usize::MAX);
        assert_eq!(why, None, "what was read cannot be read again: {message:?}");
        assert_eq!(shown(&again), shown(std::slice::from_ref(message)), "it changes when it is written");
        // Tokens and secrets are not shown.
        let (once, twice) = (encoded(message), again.first().map(encoded).unwrap_or_default());
        assert!(once == twice, "it changes when it is written: {message:?}");
    }
}

/// The messages in bytes that arrive `step` at a time, and the error that ends them.
fn decoded<M: Message>(bytes: &[u8], step: usize) -> (Vec<M>, Option<String>) {
    let mut decoder = Decoder::<M>::default();
    let mut messages = Vec::new();
    for part in bytes.chunks(step.min(bytes.len().max(1))) {
        decoder.buffer().extend_from_slice(part);
        loop {
            match decoder.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error.to_string())),
            }
        }
    }
    (messages, None)
}

fn encoded(message: &impl Message) -> Vec<u8> {
    let mut outbox = Outbox::default();
    outbox.push(message);
    outbox.into_bytes()
}

fn shown<M: Debug>(messages: &[M]) -> Vec<String> {
    messages.iter().map(|message| format!("{message:?}")).collect()
}
