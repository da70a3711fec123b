//! Workers that cannot start one kind of runner: that kind rests there, everything else runs at once.

use std::time::Duration;

use crate::manager::{Manager, attempt, id, session, task, token, worker_id};
use argon_core::scheduler::{ConnId, Input, Limits, Out, WaitReason};
use argon_core::{Machine, Time};
use argon_proto::{BlobHash, Priority, Runtime, Secret, SessionId, Status, Task, TaskHead};

const SECOND: Duration = Duration::from_secs(1);

fn of(runtime: Runtime, client: u64, sequence: u64) -> Task {
    let mut task = task(client, sequence);
    task.head.runtime = runtime;
    task
}

fn command(client: u64, sequence: u64) -> Task {
    of(Runtime::Exec, client, sequence)
}

fn python(client: u64, sequence: u64, version: &str) -> Task {
    let head = TaskHead::new(id(client, sequence), Runtime::Python);
    Task::new(head, [], format!(r#"{{"python":"{version}"}}"#).into(), vec![0; 10].into())
}

fn native(client: u64, sequence: u64, executable: u8) -> Task {
    let head = TaskHead::new(id(client, sequence), Runtime::Native);
    Task::new(head, [BlobHash([executable; 32])], Default::default(), vec![0; 10].into())
}

/// A worker of one slot that has given back the first task of the first client.
fn with_one_back(first: Task) -> Manager {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.open(2);
    manager.join(11, 1, &[]);
    manager.submit(1, first);
    assert_eq!(manager.runs(11), [attempt(1, 1, 1)]);
    manager.returned(11, &[attempt(1, 1, 1)]);
    assert_eq!(manager.runs(11), [], "sent again at once, it would go to and fro");
    manager
}

#[test]
fn a_worker_that_cannot_start_one_runtime_is_given_tasks_of_another_at_once() {
    let mut manager = with_one_back(task(1, 1));
    manager.submit(1, command(1, 2));
    assert_eq!(manager.runs(11), [attempt(1, 2, 1)]);
    manager.finish(11, attempt(1, 2, 1), Status::Ok, 500_000);
    assert_eq!(manager.runs(11), [], "the second is not over");
    manager.pass(SECOND);
    assert_eq!(manager.runs(11), [attempt(1, 1, 1)], "it may be able again");
}

#[test]
fn versions_memory_limits_and_executables_rest_by_themselves() {
    let mut limited = task(1, 2);
    limited.head.memory_mib = 64;
    for (first, second) in [
        (python(1, 1, "3.9"), python(1, 2, "3.13")),
        (python(1, 1, "3.9"), of(Runtime::Python, 1, 2)),
        (task(1, 1), limited),
        (native(1, 1, 5), native(1, 2, 6)),
    ] {
        let mut manager = with_one_back(first);
        manager.submit(1, second);
        assert_eq!(manager.runs(11), [attempt(1, 2, 1)]);
    }
    let mut manager = with_one_back(python(1, 1, "3.9"));
    manager.submit(1, python(1, 2, "3.9.7"));
    assert_eq!(manager.runs(11), [], "the same interpreter");
}

#[test]
fn a_worker_that_can_start_what_rests_elsewhere_gets_it() {
    let mut manager = with_one_back(task(1, 1));
    manager.submit(1, task(1, 2));
    manager.join(12, 1, &[]);
    assert_eq!(manager.runs(12), [attempt(1, 1, 1)], "in their order, though it stepped aside before");
    manager.submit(2, command(2, 1));
    assert_eq!(manager.runs(11), [attempt(2, 1, 1)], "the first worker serves what it can");
    manager.finish(12, attempt(1, 1, 1), Status::Ok, 500_000);
    assert_eq!(manager.runs(12), [attempt(1, 2, 1)]);
}

#[test]
fn behind_any_number_of_resting_tasks_others_start_and_no_step_looks_at_all() {
    let mut manager = with_one_back(task(1, 1));
    let mut out = Out::default();
    for sequence in 2..30_000 {
        let task = task(1, sequence);
        manager.scheduler.step(manager.now, Input::TaskSubmitted { link: ConnId(1), task }, &mut out);
    }
    let task = command(1, 30_000);
    manager.scheduler.step(manager.now, Input::TaskSubmitted { link: ConnId(1), task }, &mut out);
    manager.scheduler.assert_invariants();
    manager.pass(Duration::from_millis(1));
    assert_eq!(manager.runs(11), [attempt(1, 30_000, 1)]);
}

#[test]
fn a_long_resting_queue_is_walked_in_short_steps() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.open(2);
    for sequence in 1..=20_000 {
        let task = task(1, sequence);
        let mut out = Out::default();
        manager.scheduler.step(manager.now, Input::TaskSubmitted { link: ConnId(1), task }, &mut out);
    }
    let mut last = command(1, 30_000);
    last.head.priority = Priority::Low;
    manager.submit(1, last);
    manager.join(11, 1, &[]);
    let first = manager.runs(11);
    manager.returned(11, &first);
    assert_eq!(manager.runs(11), [], "it stands behind more than one step looks at");
    let next = manager.scheduler.next_deadline().expect("the next step goes on");
    assert!(next <= manager.now + Duration::from_micros(1), "{next:?}");
    manager.pass(Duration::from_micros(10));
    assert_eq!(manager.runs(11), [attempt(1, 30_000, 1)]);
    manager.join(12, 2, &[]);
    assert_eq!(manager.runs(12), [attempt(1, 1, 1), attempt(1, 2, 1)], "none lost its place");
}

#[test]
fn urgent_tasks_that_rest_hold_up_none_of_lower_priority() {
    let mut urgent = task(1, 1);
    urgent.head.priority = Priority::High;
    let mut manager = with_one_back(urgent);
    let mut low = command(1, 2);
    low.head.priority = Priority::Low;
    manager.submit(1, low);
    assert_eq!(manager.runs(11), [attempt(1, 2, 1)]);
}

#[test]
fn a_task_that_stepped_aside_is_cancelled_like_any_other() {
    let mut manager = with_one_back(task(1, 1));
    for sequence in 2..200 {
        manager.submit(1, task(1, sequence));
    }
    manager.submit(1, command(1, 200));
    assert_eq!(manager.runs(11), [attempt(1, 200, 1)]);
    let ids = (1..199).map(|sequence| id(1, sequence)).collect();
    manager.step(Input::OwnTasksCancelled { link: ConnId(1), ids });
    assert!(manager.scheduler.footprint().lane_entries <= 33, "{:?}", manager.scheduler.footprint());
    manager.finish(11, attempt(1, 200, 1), Status::Ok, 10);
    manager.pass(SECOND);
    assert_eq!(manager.runs(11), [attempt(1, 199, 1)]);
    manager.step(Input::ClientLost { link: ConnId(1), closed_cleanly: true });
    manager.step(Input::ClientLost { link: ConnId(2), closed_cleanly: true });
    assert!(manager.scheduler.footprint().is_bare(), "{:?}", manager.scheduler.footprint());
}

#[test]
fn clients_take_turns_also_among_tasks_that_stepped_aside() {
    let mut manager = with_one_back(task(1, 1));
    for sequence in 2..4 {
        manager.submit(1, task(1, sequence));
        manager.submit(2, task(2, sequence));
    }
    manager.submit(2, command(2, 9));
    assert_eq!(manager.runs(11), [attempt(2, 9, 1)]);
    manager.join(12, 5, &[]);
    let order: Vec<_> = manager.runs(12).iter().map(|run| (run.task.session, run.task.sequence)).collect();
    let of =
        |client| order.iter().filter(|run| run.0 == session(client)).map(|run| run.1).collect::<Vec<_>>();
    assert_eq!((of(1), of(2)), (vec![1, 2, 3], vec![2, 3]), "{order:?}");
    let alternates = order.windows(2).filter(|pair| pair[0].0 != pair[1].0).count();
    assert!(alternates >= 3, "{order:?}");
}

#[test]
fn many_kinds_at_rest_let_the_whole_worker_rest() {
    let mut manager = with_one_back(native(1, 1, 1));
    for executable in 2..=17 {
        manager.submit(1, native(1, executable.into(), executable));
        manager.returned(11, &[attempt(1, executable.into(), 1)]);
    }
    manager.runs(11);
    manager.submit(1, command(1, 99));
    assert_eq!(manager.runs(11), []);
    manager.pass(SECOND);
    assert!(!manager.runs(11).is_empty());
}

// kind: the reason of a wait | no worker can start the interpreter at the moment | loud | exhausted, for these tasks only
#[test]
fn who_waits_for_a_kind_that_rests_everywhere_is_told_so() {
    let mut manager = with_one_back(task(1, 1));
    manager.submit(1, command(1, 2));
    manager.submit(1, command(1, 3));
    let waiting = manager.scheduler.waiting_of(manager.now, ConnId(1)).expect("the client is connected");
    let told: Vec<_> = waiting.waiting.iter().map(|why| (why.code.as_str(), why.tasks)).collect();
    assert_eq!(told, [(WaitReason::Exhausted.name(), 1), (WaitReason::Busy.name(), 1)]);
}

#[test]
fn a_worker_that_comes_back_is_tried_again() {
    let mut manager = with_one_back(task(1, 1));
    manager.cut(11);
    manager.join(111, 1, &[]);
    assert_eq!(manager.runs(111), [attempt(1, 1, 1)]);
    assert_eq!(manager.scheduler.next_deadline().filter(|at| *at < Time(0)), None);
}

#[test]
fn tasks_of_a_task_that_rest_keep_their_turn_while_their_root_goes_on() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 2, &[]);
    manager.submit(1, command(1, 1));
    let parent = manager.runs(11)[0];
    let own = Secret::new([77; 32]);
    let child = SessionId::of_child(session(1).family(), &own);
    manager.step(Input::ChildSessionOpened {
        link: ConnId(50),
        session: child,
        secret: own,
        previous: None,
        client: "inside".into(),
        parent,
        token: token(11, parent),
        worker: worker_id(11),
    });
    let mut nested = task(1, 1);
    nested.head.id.session = child;
    manager.submit(50, nested);
    let run = manager.runs(11)[0];
    manager.returned(11, &[run]);
    manager.submit(1, command(1, 2));
    assert_eq!(manager.runs(11), [attempt(1, 2, 1)]);
    manager.finish(11, attempt(1, 2, 1), Status::Ok, 500_000);
    manager.pass(SECOND);
    assert_eq!(manager.runs(11), [run]);
}
