//! A session in the hand of a test that plays its manager, its shell and its callers.

use std::io::IoSlice;
use std::task::{Poll, Waker};
use std::time::Duration;

use argon_proto::conversation::Incoming;
use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::frame::Decoder;
use argon_proto::handshake::Welcome;
use argon_proto::limit::FIRST_MANAGER_WITHIN;
use argon_proto::{
    Attempt, AttemptId, Codec, Flags, Machine, Outcome, OutcomeHead, Payload, Runtime, Secret, SessionId,
    Status, Task, TaskHead, TaskId, Time,
};
use bytes::Bytes;

use super::super::{Addition, Completion, Effect, Input, Out, OutputMode, SessionState};
use crate::blob::Blobs;

pub(super) struct Bench {
    pub(super) session: SessionState,
    pub(super) out: Out,
    pub(super) decoder: Decoder<Incoming<ToManager>>,
    pub(super) now: Time,
}

impl Bench {
    /// One whose first dial is under way.
    pub(super) fn new() -> Self {
        let session = SessionState::new(Open::of(Secret::new([1; 32])), 2, FIRST_MANAGER_WITHIN);
        let (out, decoder) = (Out::default(), Decoder::default());
        let mut bench = Self { session, out, decoder, now: Time(1_000_000) };
        bench.step(Input::Started);
        bench
    }

    /// A session that is connected and has sent its first messages.
    pub(super) fn connected() -> Self {
        let mut bench = Self::new();
        bench.connect(100, 1000);
        bench.sent();
        bench.effects();
        bench
    }

    pub(super) fn connect(&mut self, credit_tasks: u64, credit_bytes: u64) {
        self.lose();
        self.decoder = Decoder::default();
        let welcome = Welcome { credit_tasks, credit_bytes, ..Welcome::default() };
        self.step(Input::Connected { welcome, address: "a:1".to_owned() });
    }

    pub(super) fn lose(&mut self) {
        self.step(Input::ConnectionLost);
    }

    pub(super) fn step(&mut self, input: Input) {
        self.session.step(self.now, input, &mut self.out);
        self.session.assert_invariants();
    }

    /// Lets time pass, with a step at each deadline on the way.
    pub(super) fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(deadline) = self.session.next_deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            self.step(Input::TimePassed);
        }
        self.now = until;
    }

    /// Messages that were to be sent since the last look, and are taken to be written.
    pub(super) fn sent(&mut self) -> Vec<ToManager> {
        self.write();
        let message = |incoming| match incoming {
            Incoming::Message(message) => message,
            Incoming::Control(control) => panic!("not a message: {control:?}"),
        };
        std::iter::from_fn(|| self.decoder.next().expect("good frames")).map(message).collect()
    }

    pub(super) fn write(&mut self) {
        self.session.finish_batch(&mut self.out);
        while !self.out.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); 8];
            let count = self.out.frames.slices(&mut slices);
            let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
            self.decoder.buffer().extend_from_slice(&bytes);
            self.out.frames.advance(bytes.len());
        }
    }

    /// Lets time pass until something is to be sent.
    pub(super) fn until_sent(&mut self) {
        while self.out.frames.is_empty() {
            let deadline = self.session.next_deadline().expect("something is due");
            self.wait(deadline.since(self.now));
        }
    }

    pub(super) fn fail_dial(&mut self) {
        let why = "the manager at a:1 cannot be reached".to_owned();
        self.step(Input::DialFailed { why, advice: "; is it running?".to_owned(), is_final: false });
    }

    /// Effects since the last look, without those that wake somebody.
    pub(super) fn effects(&mut self) -> Vec<Effect> {
        let effects = std::mem::take(&mut self.out.effects);
        effects.into_iter().filter(|effect| !matches!(effect, Effect::Wake(_))).collect()
    }

    pub(super) fn kinds(&mut self) -> Vec<String> {
        let name = |message: &ToManager| {
            let text = format!("{message:?}");
            text.split(['(', ' ']).next().unwrap_or_default().to_owned()
        };
        self.sent().iter().map(name).collect()
    }

    pub(super) fn add(&mut self, payload: &[u8]) -> u64 {
        self.add_watched(payload, OutputMode::Inherit)
    }

    pub(super) fn add_watched(&mut self, payload: &[u8], output_mode: OutputMode) -> u64 {
        let addition = addition(payload, output_mode, false);
        self.session.add(addition, &mut self.out)
    }

    pub(super) fn receive(&mut self, message: ToClient) {
        self.step(Input::MessageReceived(Incoming::Message(message)));
    }

    pub(super) fn end(&mut self, number: u64) -> Poll<Completion> {
        self.session.poll_end(number, Waker::noop())
    }

    pub(super) fn outcome(&mut self, number: u64, status: Status) -> Outcome {
        let id = self.session.task_id(number);
        let head =
            OutcomeHead { id, attempt: Attempt(1), status, codec: Codec::Own, run_us: 1, leaves: false };
        Outcome { head, report: Bytes::new(), payload: Payload::default() }
    }

    pub(super) fn finish(&mut self, number: u64) {
        let outcome = self.outcome(number, Status::Ok);
        self.receive(ToClient::Outcome(outcome));
    }

    pub(super) fn attempt(&self, number: u64, attempt: u32) -> AttemptId {
        AttemptId { task: self.session.task_id(number), attempt: Attempt(attempt) }
    }
}

pub(super) fn addition(payload: &[u8], output_mode: OutputMode, is_detached: bool) -> Addition {
    let mut flags = Flags::default();
    if is_detached {
        flags = flags.with(Flags::DETACHED);
    }
    if output_mode == OutputMode::Discard {
        flags = flags.with(Flags::CAPTURE);
    }
    // The session sets the id.
    let id = TaskId { session: SessionId([0; 16]), sequence: 0 };
    let head = TaskHead { flags, ..TaskHead::new(id, Runtime::Exec) };
    let task = Task::new(head, [], Bytes::new(), payload.to_vec().into());
    Addition { task, blobs: Blobs::default(), is_detached, output_mode, offers_max: 0 }
}
