//! The session of a client with its manager in one hand: 64 tasks are under way, and each end is taken by its caller.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::task::Waker;

use argon_proto::conversation::Incoming;
use argon_proto::conversation::client::{Open, ToClient};
use argon_proto::handshake::Welcome;
use argon_proto::limit::FIRST_MANAGER_WITHIN;
use argon_proto::{Machine, Secret, Time};
use argon_session::{Addition, Blobs, Input, Out, OutputMode, SessionState};

use crate::bench::{outcome, task};

/// Tasks under way.
const WINDOW: usize = 64;

/// Adds the tasks, answers each and takes its end.
pub(crate) fn run(tasks: u64) {
    let now = Time(1);
    let mut session = SessionState::new(Open::of(Secret::new([1; 32])), 1, FIRST_MANAGER_WITHIN);
    let mut out = Out::default();
    let welcome = Welcome { credit_tasks: u64::MAX, credit_bytes: u64::MAX, ..Welcome::default() };
    session.step(now, Input::Started, &mut out);
    session.step(now, Input::Connected { welcome, address: String::new() }, &mut out);
    let mut under_way = VecDeque::new();
    for added in 0..tasks {
        let addition = Addition {
            task: task(added),
            blobs: Blobs::default(),
            is_detached: false,
            output_mode: OutputMode::Inherit,
            offers_max: 0,
        };
        under_way.push_back(session.add(addition, &mut out));
        if under_way.len() == WINDOW {
            write(&mut session, &mut out);
            for number in under_way.drain(..) {
                let mut end = outcome(&task(number), 100);
                end.head.id = session.task_id(number);
                let message = Incoming::Message(ToClient::Outcome(end));
                session.step(now, Input::MessageReceived(message), &mut out);
                assert!(session.poll_end(number, Waker::noop()).is_ready());
            }
        }
    }
}

fn write(session: &mut SessionState, out: &mut Out) {
    session.finish_batch(out);
    out.effects.clear();
    while !out.frames.is_empty() {
        let mut slices = [IoSlice::new(&[]); 64];
        let count = out.frames.slices(&mut slices);
        let written = slices[..count].iter().map(|slice| slice.len()).sum();
        out.frames.advance(written);
    }
}
