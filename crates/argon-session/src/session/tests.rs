//! The journal against a manager that is played by the test: what it sends, when, and what callers get.

mod waits;
mod words;

use std::io::IoSlice;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::conversation::{Ask, Control, Credit, Goodbye, Incoming, Output};
use argon_proto::frame::Decoder;
use argon_proto::handshake::Welcome;
use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::{
    Attempt, AttemptId, BlobHash, Codec, Flags, Outcome, OutcomeHead, Payload, Runtime, SessionId, Status,
    Task, TaskHead, TaskId,
};
use bytes::Bytes;

use super::{Addition, Completion, Disposition, OutputChunk, OutputMode, SessionState};
use crate::blob::{Blob, Blobs};
use crate::error_kind::ErrorKind;

struct Bench {
    journal: SessionState,
    decoder: Decoder<Incoming<ToManager>>,
    now: Instant,
}

impl Bench {
    #[expect(
        clippy::disallowed_methods,
        reason = "any time will do, and an `Instant` comes from nowhere else"
    )]
    fn new() -> Self {
        let journal = SessionState::new(Open::of(SessionId([1; 16])));
        Self { journal, decoder: Decoder::default(), now: Instant::now() }
    }

    /// One that is connected and has said what it says first.
    fn connected() -> Self {
        let mut bench = Self::new();
        bench.connect(100, 1000);
        bench.said();
        bench
    }

    fn connect(&mut self, credit_tasks: u64, credit_bytes: u64) {
        self.decoder = Decoder::default();
        self.journal.connected(&Welcome { credit_tasks, credit_bytes, ..Welcome::default() });
    }

    /// What the journal wants to be sent, and is taken to be written.
    fn said(&mut self) -> Vec<ToManager> {
        self.write();
        let message = |incoming| match incoming {
            Incoming::Message(message) => message,
            Incoming::Control(control) => panic!("no message: {control:?}"),
        };
        std::iter::from_fn(|| self.decoder.next().expect("good frames")).map(message).collect()
    }

    fn write(&mut self) {
        let Some(outbox) = self.journal.outbox() else {
            return;
        };
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); 8];
            let count = outbox.slices(&mut slices);
            let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
            self.decoder.buffer().extend_from_slice(&bytes);
            outbox.advance(bytes.len());
        }
    }

    fn kinds(&mut self) -> Vec<String> {
        let name = |message: &ToManager| {
            let text = format!("{message:?}");
            text.split(['(', ' ']).next().unwrap_or_default().to_owned()
        };
        self.said().iter().map(name).collect()
    }

    fn add(&mut self, payload: &[u8]) -> u64 {
        self.add_watched(payload, OutputMode::Inherit)
    }

    fn add_watched(&mut self, payload: &[u8], watch: OutputMode) -> u64 {
        let addition = addition(payload, watch, false);
        self.journal.add(addition)
    }

    fn hear(&mut self, message: ToClient) {
        assert_eq!(self.journal.hear(self.now, Incoming::Message(message)), Disposition::Fine);
    }

    fn end(&mut self, number: u64) -> Poll<Completion> {
        self.journal.poll_end(number, Waker::noop())
    }

    fn outcome(&mut self, number: u64, status: Status) -> Outcome {
        let id = self.journal.task_id(number);
        let head =
            OutcomeHead { id, attempt: Attempt(1), status, codec: Codec::Own, run_us: 1, leaves: false };
        Outcome { head, report: Bytes::new(), payload: Payload::default() }
    }

    fn finish(&mut self, number: u64) {
        let outcome = self.outcome(number, Status::Ok);
        self.hear(ToClient::Outcome(outcome));
    }

    fn attempt(&self, number: u64, attempt: u32) -> AttemptId {
        AttemptId { task: self.journal.task_id(number), attempt: Attempt(attempt) }
    }
}

fn addition(payload: &[u8], watch: OutputMode, is_detached: bool) -> Addition {
    let mut flags = Flags::default();
    if is_detached {
        flags = flags.with(Flags::DETACHED);
    }
    if watch == OutputMode::Discard {
        flags = flags.with(Flags::CAPTURE);
    }
    // The journal sets the id.
    let id = TaskId { session: SessionId([0; 16]), sequence: 0 };
    let head = TaskHead { flags, ..TaskHead::new(id, Runtime::Exec) };
    let task = Task::new(head, [], Bytes::new(), payload.to_vec().into());
    Addition { task, blobs: Blobs::default(), is_detached, watch, offers_max: 0 }
}

fn sequences(messages: &[ToManager]) -> Vec<(u64, bool)> {
    let submit = |message: &ToManager| {
        let ToManager::Submit(task) = message else {
            return None;
        };
        Some((task.head.id.sequence, task.head.flags.contains(Flags::OFFERED_AGAIN)))
    };
    messages.iter().filter_map(submit).collect()
}

#[test]
fn a_first_connection_opens_and_offers_nothing_again() {
    let mut bench = Bench::new();
    let early = bench.add(b"early");
    bench.connect(100, 1000);
    let said = bench.said();
    assert!(matches!(said[..], [ToManager::Open(_), ToManager::Offered, ToManager::Submit(_)]), "{said:?}");
    assert_eq!(sequences(&said), [(early, false)]);
}

#[test]
fn an_outcome_is_handed_over_once_and_acknowledged() {
    let mut bench = Bench::connected();
    let number = bench.add(b"a");
    assert_eq!(bench.kinds(), ["Submit"]);
    assert_eq!(bench.end(number), Poll::Pending);
    bench.finish(number);
    bench.finish(number);
    assert!(matches!(bench.end(number), Poll::Ready(Completion::Outcome(_))));
    assert!(matches!(bench.end(number), Poll::Ready(Completion::Failed(ErrorKind::Closed, _))));
    assert!(bench.said().is_empty(), "an acknowledgement can wait a little");
    bench.now += Duration::from_secs(1);
    let now = bench.now;
    bench.journal.pass(now);
    assert_eq!(bench.said(), [ToManager::Ack(vec![bench.journal.task_id(number); 2])]);
}

#[test]
fn what_is_unfinished_is_offered_again_in_order_after_a_loss() {
    let mut bench = Bench::connected();
    let numbers: Vec<u64> = (0..4).map(|_| bench.add(b"x")).collect();
    bench.said();
    bench.finish(numbers[1]);
    bench.journal.lost();
    let fresh = bench.add(b"made while away");
    assert!(bench.said().is_empty());
    bench.connect(100, 1000);
    let said = bench.said();
    assert_eq!(
        sequences(&said),
        [(numbers[0], true), (numbers[2], true), (numbers[3], true), (fresh, false)]
    );
    assert_eq!(said[4], ToManager::Offered);
    assert!(matches!(bench.end(numbers[1]), Poll::Ready(Completion::Outcome(_))));
}

#[test]
fn credit_in_tasks_and_bytes_is_never_exceeded() {
    let mut bench = Bench::new();
    bench.connect(3, 10);
    bench.said();
    for _ in 0..3 {
        bench.add(b"1234");
    }
    assert_eq!(sequences(&bench.said()), [(1, false), (2, false)], "three times four bytes are beyond ten");
    bench.hear(ToClient::Credit(Credit { tasks: 3, bytes: 100 }));
    bench.add(b"1");
    assert_eq!(sequences(&bench.said()), [(3, false)], "three tasks are all");
    bench.hear(ToClient::Credit(Credit { tasks: 4, bytes: 100 }));
    assert_eq!(sequences(&bench.said()), [(4, false)]);
}

#[test]
fn a_task_beyond_the_credit_goes_alone_and_after_all_acknowledgements() {
    let mut bench = Bench::new();
    bench.connect(10, 10);
    let small = bench.add(b"12345678");
    let big = bench.add(&[7; 100]);
    assert_eq!(sequences(&bench.said()), [(small, false)]);
    bench.finish(small);
    let said = bench.said();
    assert!(matches!(said[..], [ToManager::Ack(_), ToManager::Submit(_)]), "{said:?}");
    assert_eq!(sequences(&said), [(big, false)]);
}

#[test]
fn a_rejected_task_is_offered_again_after_pauses_that_grow() {
    let mut bench = Bench::connected();
    let number = bench.add(b"x");
    bench.said();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let rejected = bench.outcome(number, Status::Rejected);
        bench.hear(ToClient::Outcome(rejected));
        assert_eq!(bench.end(number), Poll::Pending);
        let at = bench.journal.next_pass().expect("it is held back");
        pauses.push(at - bench.now);
        bench.now = at;
        bench.journal.pass(at);
        let said = bench.said();
        assert_eq!(sequences(&said), [(number, false)], "the manager never had it");
        assert_eq!(said.len(), 1, "a rejection needs no acknowledgement");
    }
    assert!(pauses[0] <= Duration::from_millis(50) && pauses[2] > pauses[0] && pauses[5] > pauses[3]);
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(2)));
    let reasons = bench.journal.take_waiting();
    assert_eq!(reasons.len(), 1, "once in all these seconds: {reasons:?}");
    assert_eq!((&*reasons[0].code, reasons[0].tasks), ("queue_full", 1));
}

#[test]
fn a_task_that_was_sent_before_a_loss_stays_in_doubt_when_it_is_rejected() {
    let mut bench = Bench::connected();
    let number = bench.add(b"x");
    bench.connect(100, 1000);
    assert_eq!(sequences(&bench.said()), [(number, true)]);
    let rejected = bench.outcome(number, Status::Rejected);
    bench.hear(ToClient::Outcome(rejected));
    let at = bench.journal.next_pass().expect("it is held back");
    bench.journal.pass(at);
    assert_eq!(sequences(&bench.said()), [(number, true)], "it may have run there");
}

#[test]
fn a_limit_of_offers_ends_a_rejected_task() {
    let mut bench = Bench::connected();
    let once = Addition { offers_max: 1, ..addition(b"x", OutputMode::Inherit, false) };
    let number = bench.journal.add(once);
    bench.said();
    let rejected = bench.outcome(number, Status::Rejected);
    bench.hear(ToClient::Outcome(rejected.clone()));
    assert_eq!(bench.end(number), Poll::Ready(Completion::Outcome(rejected)));
}

#[test]
fn a_cancel_ends_what_was_not_sent_and_asks_for_the_rest() {
    let mut bench = Bench::new();
    let unsent = bench.add(b"x");
    bench.journal.cancel(unsent);
    assert!(matches!(
        bench.end(unsent),
        Poll::Ready(Completion::Outcome(outcome)) if outcome.head.status == Status::Cancelled
    ));
    bench.connect(10, 100);
    assert_eq!(bench.kinds(), ["Open", "Offered"]);
    let sent = bench.add(b"y");
    bench.journal.cancel(sent);
    assert_eq!(bench.kinds(), ["Submit", "Cancel"]);
    assert_eq!(bench.end(sent), Poll::Pending);
    // The word may have been lost with the connection.
    bench.connect(10, 100);
    assert_eq!(bench.kinds(), ["Open", "Submit", "Cancel", "Offered"]);
}

#[test]
fn a_blob_goes_once_per_connection_and_again_when_it_is_needed() {
    let mut bench = Bench::connected();
    let blob = Blob::new(&b"code"[..]);
    let with_blob = || {
        let mut addition = addition(b"", OutputMode::Inherit, false);
        addition.blobs = [blob.clone()].into_iter().collect();
        addition.task = Task::new(addition.task.head, [blob.hash()], Bytes::new(), Payload::default());
        addition
    };
    bench.journal.add(with_blob());
    bench.journal.add(with_blob());
    assert_eq!(bench.kinds(), ["Blob", "Submit", "Submit"]);
    bench.hear(ToClient::NeedBlob(vec![blob.hash(), BlobHash([9; 32])]));
    assert_eq!(bench.kinds(), ["Blob"]);
    bench.connect(10, 1000);
    assert_eq!(bench.kinds(), ["Open", "Blob", "Submit", "Submit", "Offered"]);
}

#[test]
fn a_detached_task_is_over_when_it_is_accepted() {
    let mut bench = Bench::connected();
    let number = bench.journal.add(addition(b"x", OutputMode::Discard, true));
    bench.said();
    let id = bench.journal.task_id(number);
    bench.hear(ToClient::Accepted(vec![id]));
    assert_eq!(bench.end(number), Poll::Ready(Completion::Accepted));
    bench.connect(10, 100);
    assert_eq!(bench.kinds(), ["Open", "Offered"]);
}

#[test]
fn collected_outcomes_are_asked_for_again_and_kept_by_the_manager_when_unwanted() {
    let mut bench = Bench::connected();
    let id = TaskId { session: SessionId([9; 16]), sequence: 5 };
    let (first, second) = (bench.journal.collect(id), bench.journal.collect(id));
    assert_eq!(bench.said(), [ToManager::Collect(vec![id])]);
    bench.connect(10, 100);
    assert_eq!(bench.kinds(), ["Open", "Offered", "Collect"]);
    let mut outcome = bench.outcome(1, Status::Ok);
    outcome.head.id = id;
    bench.hear(ToClient::Outcome(outcome.clone()));
    assert_eq!(bench.end(first), Poll::Ready(Completion::Outcome(outcome.clone())));
    assert_eq!(bench.end(second), Poll::Ready(Completion::Outcome(outcome.clone())));
    let now = bench.now + Duration::from_secs(1);
    bench.journal.pass(now);
    assert_eq!(bench.said(), [ToManager::Ack(vec![id])]);

    let third = bench.journal.collect(id);
    bench.journal.abandon(third);
    bench.said();
    bench.hear(ToClient::Outcome(outcome));
    bench.journal.pass(now + Duration::from_secs(1));
    assert!(bench.said().is_empty(), "who does not want it must not acknowledge it");
}

#[test]
fn closing_ends_everything_and_says_goodbye() {
    let mut bench = Bench::connected();
    let number = bench.add(b"x");
    bench.said();
    bench.journal.end(ErrorKind::Closed, "closed", Some(Goodbye::default()));
    assert!(matches!(bench.end(number), Poll::Ready(Completion::Failed(ErrorKind::Closed, _))));
    let late = bench.add(b"y");
    assert!(matches!(bench.end(late), Poll::Ready(Completion::Failed(ErrorKind::Closed, _))));
    assert_eq!(bench.kinds(), ["Goodbye"]);
}

#[test]
fn a_task_that_nobody_waits_for_goes_on_and_is_forgotten_at_its_end() {
    let mut bench = Bench::connected();
    let number = bench.add_watched(b"x", OutputMode::Caller);
    let from = bench.attempt(number, 1);
    bench.said();
    bench.hear(ToClient::Ask(Ask { from, ask: 1, question: Bytes::new() }));
    bench.journal.abandon(number);
    assert_eq!(bench.kinds(), ["Answer"]);
    bench.hear(ToClient::Output(Output { from, fd: 1, bytes: vec![0; 300 << 10].into() }));
    assert_eq!(bench.kinds(), ["OutputCredit"]);
    bench.finish(number);
    assert!(bench.journal.is_idle());
}

#[test]
fn a_ping_is_answered_and_a_refusal_told() {
    let mut bench = Bench::connected();
    let ping = Incoming::Control(Control::Ping(7));
    assert_eq!(bench.journal.hear(bench.now, ping), Disposition::Fine);
    bench.write();
    assert_eq!(bench.decoder.next(), Ok(Some(Incoming::Control(Control::Pong(7)))));
    let refused = Incoming::Control(Control::Refused(Refusal::new(RefusalCode::Frame, "no")));
    assert_eq!(bench.journal.hear(bench.now, refused), Disposition::Refused("no".to_owned()));
    let goodbye = Incoming::Message(ToClient::Goodbye(Goodbye::default()));
    assert_eq!(bench.journal.hear(bench.now, goodbye), Disposition::Goodbye);
}

#[test]
fn tasks_are_found_by_their_numbers_whatever_ended_between_them() {
    let mut bench = Bench::connected();
    let numbers: Vec<u64> = (0..50).map(|_| bench.add(b"x")).collect();
    bench.said();
    let (kept, ended): (Vec<u64>, Vec<u64>) = numbers.iter().partition(|number| *number % 20 == 3);
    for number in ended {
        bench.finish(number);
        assert!(matches!(bench.end(number), Poll::Ready(Completion::Outcome(_))));
        assert!(matches!(bench.end(number), Poll::Ready(Completion::Failed(ErrorKind::Closed, _))));
    }
    assert!(kept.iter().all(|number| bench.end(*number).is_pending()));
    bench.connect(100, 1000);
    let again: Vec<(u64, bool)> = kept.iter().map(|number| (*number, true)).collect();
    assert_eq!(sequences(&bench.said()), again);
}
