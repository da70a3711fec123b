//! A native runner that lies: this program, which a worker starts as a client's executable.

use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use argon_fuzz::mutate::{Chance, mutated};
use argon_proto::conversation::client::{Open, ToManager};
use argon_proto::conversation::runner::{FromRunner, Ready};
use argon_proto::conversation::{Ask, Blob};
use argon_proto::frame::Outbox;
use argon_proto::{
    Attempt, AttemptId, BlobHash, Codec, Outcome, OutcomeHead, Payload, Runtime, SessionId, Status, Task,
    TaskHead, TaskId,
};
use bytes::Bytes;

use super::{Act, act, telling_number};

/// A client's messages that have this program started.
pub(crate) fn submits(chance: &mut Chance) -> Vec<Act> {
    let secret = super::secret(chance);
    let session = SessionId::of(&secret);
    let program = std::env::current_exe().and_then(std::fs::read).unwrap_or_default();
    let payload = Payload::from(program);
    let hash = BlobHash::of(payload.parts());
    let mut acts = vec![act(&ToManager::Open(Open::of(secret)), "OPEN".into(), chance)];
    acts.push(act(&ToManager::Blob(Blob { hash, payload }), "BLOB of a lying runner".into(), chance));
    for sequence in 1..=1 + chance.below(4) as u64 {
        let mut head = TaskHead::new(TaskId { session, sequence }, Runtime::Native);
        head.timeout_ms = 1500;
        head.retries = chance.below(2) as u16;
        let seed = chance.number().to_be_bytes().to_vec();
        let task = Task::new(head, [hash], Bytes::from_static(b"{\"call\":\"x\"}"), Payload::from(seed));
        acts.push(act(&ToManager::Submit(task), "SUBMIT to a lying runner".into(), chance));
    }
    acts
}

/// The runner: it says READY, and then anything.
pub(crate) fn lie() {
    let Some(descriptor) = std::env::var("ARGON_RUNNER_FD").ok().and_then(|text| text.parse().ok()) else {
        return;
    };
    // SAFETY: the worker gave this process the descriptor, and nobody else uses it.
    let mut socket = unsafe { UnixStream::from_raw_fd(descriptor) };
    let ready =
        Ready { claims: true, pid: 1, runtime: "native".into(), template: false, version: "1".into() };
    let mut outbox = Outbox::default();
    outbox.push(&FromRunner::Ready(ready));
    let _ = socket.write_all(&outbox.into_bytes());
    let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
    let mut chance = Chance::new(u64::from(std::process::id()));
    let mut bytes = [0; 4096];
    while let Ok(count) = socket.read(&mut bytes)
        && count > 0
    {
        // The task is in there; its last bytes are its seed.
        let seed = bytes[..count].last_chunk::<8>().map_or(1, |seed| u64::from_be_bytes(*seed));
        chance = Chance::new(seed ^ chance.number());
        for _ in 0..chance.below(6) {
            if socket.write_all(&one(&bytes[..count], &mut chance)).is_err() {
                return;
            }
        }
    }
}

fn one(heard: &[u8], chance: &mut Chance) -> Vec<u8> {
    // After length and kind comes the id of the task.
    let own = heard.get(5..5 + TaskId::BYTES).and_then(|id| id.try_into().ok()).map(TaskId::from_bytes);
    let other = TaskId::from_bytes(std::array::from_fn(|_| chance.number() as u8));
    let id = own.filter(|_| chance.below(2) == 0).unwrap_or(other);
    let attempt = Attempt(if chance.below(2) == 0 { 1 } else { telling_number(chance) as u32 });
    let mut outbox = Outbox::default();
    match chance.below(6) {
        0 => outbox.push(&FromRunner::NeedBlob(vec![BlobHash([7; 32]); chance.below(100)])),
        1 => {
            let from = AttemptId { task: id, attempt };
            outbox.push(&FromRunner::Ask(Ask { from, ask: 1, question: Bytes::from_static(b"{") }));
        }
        2 => outbox.push(&FromRunner::OutputLeft),
        3 => return (0..chance.below(300)).map(|_| chance.number() as u8).collect(),
        _ => {
            let status = [Status::Ok, Status::Error, Status::Rejected, Status::Lost][chance.below(4)];
            let run_us = telling_number(chance);
            let head =
                OutcomeHead { id, attempt, status, codec: Codec::Own, run_us, leaves: chance.below(2) == 0 };
            outbox.push(&FromRunner::Outcome(Outcome {
                head,
                report: Bytes::new(),
                payload: Payload::default(),
            }));
        }
    }
    let bytes = outbox.into_bytes().to_vec();
    if chance.below(4) == 0 { mutated(&bytes, &[], chance) } else { bytes }
}
