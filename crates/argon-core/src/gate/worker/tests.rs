//! Tasks that pass the worker's gate, tasks that go back, and blobs that are asked for.

use argon_proto::{Attempt, AttemptToken, Runtime, SessionId, TaskHead, TaskId};
use bytes::Bytes;

use super::*;

fn blob(byte: u8, length: usize) -> (BlobHash, Payload) {
    let payload = Payload::from(vec![byte; length]);
    (BlobHash::of(payload.parts()), payload)
}

fn task(sequence: u64, hashes: &[BlobHash]) -> Task {
    let id = TaskId { session: SessionId([1; 16]), sequence };
    let head = TaskHead { attempt: Attempt(1), ..TaskHead::new(id, Runtime::Perl) };
    Task::new(head, hashes.iter().copied(), Bytes::new(), Payload::default())
}

fn run(task: Task) -> Run {
    Run { token: AttemptToken(task.head.id.sequence), task }
}

fn attempt(sequence: u64) -> AttemptId {
    task(sequence, &[]).attempt_id()
}

/// Sequence numbers of the tasks that a blob completes.
fn arrives(gate: &mut WorkerGate, blob: &(BlobHash, Payload)) -> Vec<u64> {
    let complete = gate.on_blob(blob.0, blob.1.clone(), std::iter::empty(), |_| true);
    gate.assert_invariants();
    complete.iter().map(|run| run.task.head.id.sequence).collect()
}

fn parks(gate: &mut WorkerGate, task: Task) {
    assert_eq!(gate.on_run(run(task), |_| true), None);
    gate.assert_invariants();
}

#[test]
fn the_blob_not_used_for_longest_goes_unless_a_task_names_it() {
    let mut gate = WorkerGate::new(250);
    let [one, two, three] = [1, 2, 3].map(|byte| blob(byte, 100));
    let naming_one = task(1, &[one.0]);
    arrives(&mut gate, &one);
    arrives(&mut gate, &two);
    gate.on_blob(three.0, three.1, [&naming_one].into_iter(), |_| true);
    assert!(gate.find(one.0).is_some() && gate.find(two.0).is_none() && gate.find(three.0).is_some());
    assert_eq!(gate.held.bytes(), 200);
    gate.assert_invariants();
}

#[test]
fn a_task_waits_for_all_its_blobs_and_each_is_asked_for_once() {
    let mut gate = WorkerGate::default();
    let (one, two) = (blob(1, 10), blob(2, 10));
    parks(&mut gate, task(1, &[one.0, two.0, one.0]));
    parks(&mut gate, task(2, &[two.0]));
    parks(&mut gate, task(2, &[two.0]));
    assert_eq!(gate.take_questions([two.0].into_iter()), [one.0, two.0]);
    assert_eq!(gate.take_questions([two.0].into_iter()), []);
    assert_eq!(arrives(&mut gate, &two), [2]);
    gate.on_manager_lost();
    assert_eq!(gate.take_questions([two.0].into_iter()), [one.0], "the other is here");
    assert_eq!(gate.retract(9), [attempt(1)]);
    assert_eq!(gate.parked().count(), 0);
    assert_eq!(gate.take_questions(std::iter::empty()), []);
    gate.assert_invariants();
}

#[test]
fn what_runners_want_is_asked_for_although_no_task_waits() {
    let mut gate = WorkerGate::default();
    let one = blob(1, 10);
    assert_eq!(gate.take_questions([one.0, one.0].into_iter()), [one.0]);
    assert!(arrives(&mut gate, &one).is_empty());
    assert_eq!(gate.take_questions([one.0].into_iter()), []);
}

#[test]
fn a_task_that_waits_for_something_else_goes_when_that_is_there() {
    let mut gate = WorkerGate::default();
    let one = blob(1, 10);
    assert_eq!(gate.on_run(run(task(1, &[one.0])), |_| false), None);
    assert_eq!(gate.on_run(run(task(2, &[])), |_| false), None);
    let complete = gate.on_blob(one.0, one.1, std::iter::empty(), |_| false);
    assert_eq!(complete, []);
    let startable = gate.take_startable(|task| task.head.id.sequence == 1);
    assert_eq!(startable, [run(task(1, &[one.0]))]);
    assert_eq!(gate.take_startable(|_| true), [run(task(2, &[]))]);
}

#[test]
fn what_waits_here_goes_back_first_and_a_recall_is_always_answered() {
    let mut gate = WorkerGate::default();
    let one = blob(1, 10);
    (1..=3).for_each(|sequence| parks(&mut gate, task(sequence, &[one.0])));
    let recalled = gate.on_retract(2);
    assert_eq!(recalled, Retracted { returned: vec![attempt(2), attempt(3)], left: None });
    assert_eq!(gate.on_retract(4), Retracted { returned: vec![attempt(1)], left: Some(3) });
    assert_eq!(gate.on_retract(4), Retracted { returned: vec![], left: Some(4) });
    assert_eq!(gate.on_retract(0), Retracted { returned: vec![], left: Some(0) });
    gate.assert_invariants();
}

#[test]
fn a_stopped_task_does_not_start_when_its_blob_comes() {
    let mut gate = WorkerGate::default();
    let one = blob(1, 10);
    parks(&mut gate, task(1, &[one.0]));
    parks(&mut gate, task(2, &[one.0]));
    gate.on_stop(&[attempt(1), attempt(7)]);
    assert_eq!(arrives(&mut gate, &one), [2]);
}

#[test]
fn a_blob_that_is_a_file_is_here_until_the_file_is_lost() {
    let mut gate = WorkerGate::default();
    let (one, two) = (blob(1, 10), blob(2, 10));
    arrives(&mut gate, &one);
    gate.on_moved_to_file(one.0);
    assert_eq!((gate.find(one.0), gate.held.bytes()), (None, 0));
    assert_eq!(gate.on_run(run(task(1, &[one.0])), |_| true), Some(run(task(1, &[one.0]))));
    parks(&mut gate, task(2, &[one.0, two.0]));
    gate.on_files_lost(&[one.0]);
    gate.assert_invariants();
    assert!(arrives(&mut gate, &two).is_empty());
    assert_eq!(gate.take_questions(std::iter::empty()), [one.0]);
    assert_eq!(arrives(&mut gate, &one), [2]);
}
