//! The worker's mind: what it starts, ends, reports, keeps and gives back.

use std::time::Duration;

use argon_core::Time;
use argon_core::pool::{Effect, Exit, Input, Kind, Pool, Settings, Signal, SlotId};
use argon_proto::message::AttemptId;
use argon_proto::{
    Attempt, Codec, Flags, Message, Outcome, OutcomeHead, Priority, Runtime, SessionId, Status, Task,
    TaskHead, TaskId,
};
use bytes::Bytes;

struct Hand {
    pool: Pool,
    now: Time,
}

impl Hand {
    /// A pool whose runners are ready and whose manager is found.
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            name: "w".to_owned(),
            host: "host".to_owned(),
            slots: 1,
            runtimes: vec![Runtime::Perl],
            max_requests: 0,
            default_timeout_ms: 0,
            term_grace: Duration::from_secs(2),
            lease: Duration::from_secs(15),
            unsettled_bytes: 1 << 20,
        };
        change(&mut settings);
        let slots = settings.slots;
        let mut hand = Self { pool: Pool::new(Time(0), settings), now: Time(0) };
        hand.step(Input::Started);
        hand.step(Input::ManagerFound);
        (0..slots).for_each(|slot| drop(hand.ready(slot, 1)));
        hand
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        self.pool.step(self.now, input, &mut out);
        self.pool.assert_invariants();
        out
    }

    fn after(&mut self, time: Duration) -> Vec<Effect> {
        self.now = self.now + time;
        self.step(Input::TimePassed)
    }

    fn ready(&mut self, slot: usize, generation: u64) -> Vec<Effect> {
        self.step(Input::RunnerReady { slot: SlotId(slot), generation })
    }

    fn gone(&mut self, generation: u64) -> Vec<Effect> {
        let exit = Exit { signal: Some(9), ..Exit::default() };
        self.step(Input::RunnerGone { slot: SlotId(0), generation, exit })
    }

    fn finish(&mut self, sequence: u64) -> Vec<Effect> {
        let outcome = outcome(sequence);
        self.step(Input::RunnerFinished { slot: SlotId(0), generation: 1, outcome })
    }

    fn receive(&mut self, sequence: u64) -> Vec<Effect> {
        self.step(Input::TaskReceived(task(sequence)))
    }
}

fn id(sequence: u64) -> AttemptId {
    AttemptId { task: TaskId { session: SessionId([1; 16]), sequence }, attempt: Attempt(1) }
}

fn task(sequence: u64) -> Task {
    Task {
        head: TaskHead {
            id: id(sequence).task,
            attempt: Attempt(1),
            flags: Flags::default(),
            priority: Priority::Normal,
            runtime: Runtime::Perl,
            timeout_ms: 0,
            retries: 0,
            codec: Codec::Own,
            backoff_ms: 0,
            memory_mib: 0,
        },
        blobs: Bytes::new(),
        meta: Bytes::new(),
        payload: Vec::new().into(),
    }
}

fn outcome(sequence: u64) -> Outcome {
    let AttemptId { task: id, attempt } = id(sequence);
    Outcome {
        head: OutcomeHead { id, attempt, status: Status::Ok, codec: Codec::Own, run_us: 1 },
        report: Bytes::new(),
        payload: vec![0; 100].into(),
    }
}

fn handed(effects: &[Effect]) -> Vec<u64> {
    let sequence = |effect: &Effect| {
        let Effect::Hand { task, .. } = effect else { return None };
        Some(task.head.id.sequence)
    };
    effects.iter().filter_map(sequence).collect()
}

fn reported(effects: &[Effect]) -> Vec<Status> {
    let status = |effect: &Effect| {
        let Effect::Tell(Message::Outcome(outcome)) = effect else { return None };
        Some(outcome.head.status)
    };
    effects.iter().filter_map(status).collect()
}

fn returned(effects: &[Effect]) -> Vec<AttemptId> {
    let attempts = |effect: &Effect| {
        let Effect::Tell(Message::Returned(attempts)) = effect else { return None };
        Some(attempts.clone())
    };
    effects.iter().filter_map(attempts).flatten().collect()
}

#[test]
fn a_runner_is_replaced_after_its_requests() {
    let mut hand = Hand::new(|settings| settings.max_requests = 2);
    hand.receive(1);
    assert!(!hand.finish(1).contains(&Effect::Retire { slot: SlotId(0), generation: 1 }));
    hand.receive(2);
    assert!(hand.finish(2).contains(&Effect::Retire { slot: SlotId(0), generation: 1 }));
    let kind = Kind { runtime: Runtime::Perl, memory_mib: 0 };
    assert!(hand.gone(1).contains(&Effect::Spawn { slot: SlotId(0), generation: 2, kind }));
}

#[test]
fn a_runner_that_dies_in_a_task_ends_it_as_died_and_is_replaced_at_once() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    let effects = hand.gone(1);
    assert_eq!(reported(&effects), [Status::Died]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Spawn { generation: 2, .. })));
}

#[test]
fn a_runner_that_does_not_come_up_is_tried_again_after_ever_longer_waits() {
    let mut hand = Hand::new(|_| ());
    hand.gone(1);
    let mut waits = Vec::new();
    for generation in 2..12 {
        hand.gone(generation);
        let deadline = hand.pool.next_deadline().expect("another try is planned");
        waits.push(deadline.since(hand.now));
        hand.now = deadline;
        assert!(hand.step(Input::TimePassed).iter().any(|effect| matches!(effect, Effect::Spawn { .. })));
    }
    assert!(waits.is_sorted() && waits[0] == Duration::from_millis(50), "{waits:?}");
    assert_eq!(waits.last(), Some(&Duration::from_secs(5)));
}

#[test]
fn a_task_beyond_its_time_is_asked_to_end_and_then_killed() {
    let mut hand = Hand::new(|_| ());
    let mut limited = task(1);
    limited.head.timeout_ms = 1_000;
    hand.step(Input::TaskReceived(limited));
    let signal = |signal| Effect::Signal { slot: SlotId(0), generation: 1, signal };
    assert_eq!(hand.after(Duration::from_millis(999)), []);
    assert_eq!(hand.after(Duration::from_millis(1)), [signal(Signal::Term)]);
    assert_eq!(hand.after(Duration::from_secs(2)), [signal(Signal::Kill)]);
    assert_eq!(reported(&hand.gone(1)), [Status::Timeout]);
}

#[test]
fn a_stopped_attempt_is_returned_when_its_runner_is_gone_and_has_no_outcome() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    hand.receive(2);
    let effects = hand.step(Input::StopReceived(vec![id(1), id(2), id(3)]));
    assert_eq!(returned(&effects), [id(2), id(3)], "what does not run is gone at once");
    assert_eq!(hand.pool.held(), [id(1)]);
    let effects = hand.gone(1);
    assert_eq!((returned(&effects), reported(&effects)), (vec![id(1)], vec![]));
}

#[test]
fn nothing_is_started_while_the_manager_may_have_given_the_worker_up() {
    let mut hand = Hand::new(|_| ());
    hand.now = hand.now + Duration::from_secs(15);
    assert!(handed(&hand.receive(1)).is_empty());
    assert_eq!(handed(&hand.step(Input::ManagerHeard)), [1]);
}

#[test]
fn outcomes_that_were_not_settled_are_told_to_the_next_connection() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    hand.step(Input::ManagerLost);
    assert_eq!(reported(&hand.finish(1)), []);
    assert_eq!(hand.pool.held(), [id(1)]);
    assert_eq!(reported(&hand.step(Input::ManagerFound)), [Status::Ok]);
    hand.step(Input::OutcomesSettled(vec![id(1)]));
    assert_eq!(hand.pool.held(), []);
}

#[test]
fn a_worker_whose_outcomes_nobody_takes_starts_no_more() {
    let mut hand = Hand::new(|settings| settings.unsettled_bytes = 50);
    hand.receive(1);
    hand.receive(2);
    assert!(handed(&hand.finish(1)).is_empty());
    assert_eq!(handed(&hand.step(Input::OutcomesSettled(vec![id(1)]))), [2]);
}

#[test]
fn a_recall_gives_the_least_urgent_that_came_last() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    (2..5).for_each(|sequence| drop(hand.receive(sequence)));
    let mut urgent = task(9);
    urgent.head.priority = Priority::High;
    hand.step(Input::TaskReceived(urgent));
    assert_eq!(returned(&hand.step(Input::RecallReceived(2))), [id(3), id(4)]);
    assert_eq!(handed(&hand.finish(1)), [9]);
    assert_eq!(
        hand.step(Input::RecallReceived(9)),
        [Effect::Tell(Message::Returned(vec![id(2)]))],
        "what runs is not given"
    );
}

#[test]
fn a_draining_worker_gives_back_what_waits_and_leaves_when_the_rest_is_settled() {
    let mut hand = Hand::new(|_| ());
    hand.receive(1);
    hand.receive(2);
    let effects = hand.step(Input::DrainRequested("test".to_owned()));
    assert!(matches!(effects[0], Effect::Tell(Message::Draining(_))));
    assert_eq!(returned(&effects), [id(2)]);
    assert_eq!(returned(&hand.receive(3)), [id(3)]);
    assert!(!hand.finish(1).contains(&Effect::Leave));
    assert!(hand.step(Input::OutcomesSettled(vec![id(1)])).contains(&Effect::Leave));
}
