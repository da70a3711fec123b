//! Tasks that wait for tasks of their own and take all the memory: such a task comes in beyond the others' bound, or ends in
//! words, so that the task which waits for it goes on.

use crate::manager::{Manager, outcome, task, token, worker_id};
use std::time::Duration;

use argon_core::scheduler::{ConnId, Input, Limits};
use argon_proto::conversation::worker::Lent;
use argon_proto::{AttemptId, Flags, Payload, Report, Secret, SessionId, Status, Task};

const MIB: u64 = 1 << 20;
/// Three quarters are for everybody, a sixteenth for tasks of tasks, the rest for sessions that use little.
const MEMORY: u64 = 64 * MIB;
/// Most tasks of 1 MiB that everybody may have.
const PARENTS: u64 = 47;
const OTHERS: u64 = 40;
const WORKER: u64 = 111;

fn of_size(mut task: Task, mebibytes: u64) -> Task {
    task.payload = Payload::from(vec![1; (mebibytes * MIB) as usize]);
    task
}

/// A manager whose memory is full of tasks of 1 MiB that run; each waits for tasks of its own.
fn full_of_parents() -> (Manager, Vec<AttemptId>) {
    let mut manager = Manager::new(Limits { memory: MEMORY, ..Limits::default() });
    manager.join(WORKER, PARENTS as u32, &[]);
    // The more sessions there are, the less each may have in any case.
    (1..=OTHERS).for_each(|link| manager.open(link));
    for sequence in 1..=PARENTS {
        manager.submit(1, of_size(task(1, sequence), 1));
    }
    let parents = manager.runs(WORKER);
    assert_eq!(parents.len() as u64, PARENTS);
    for parent in &parents {
        lend(&mut manager, *parent, true);
    }
    (manager, parents)
}

fn lend(manager: &mut Manager, attempt: AttemptId, waits: bool) {
    manager.step(Input::AttemptLent { link: ConnId(WORKER), lent: Lent { attempt, waits } });
}

/// The client inside an attempt opens its session.
fn open_inside(manager: &mut Manager, link: u64, parent: AttemptId) -> SessionId {
    let mut bytes = [100; 32];
    bytes[..8].copy_from_slice(&link.to_be_bytes());
    let secret = Secret::new(bytes);
    let session = SessionId::of_child(parent.task.session.family(), &secret);
    manager.step(Input::ChildSessionOpened {
        link: ConnId(link),
        session,
        secret,
        previous: None,
        client: "inside".into(),
        parent,
        token: token(WORKER, parent),
        worker: worker_id(WORKER),
    });
    session
}

fn inside(session: SessionId, sequence: u64, mebibytes: u64) -> Task {
    let mut task = of_size(task(1, sequence), mebibytes);
    task.head.id.session = session;
    task
}

fn answers(manager: &mut Manager, link: u64) -> Vec<(u64, Status, Report)> {
    manager.outcomes(link).into_iter().map(|(id, status, report)| (id.sequence, status, report)).collect()
}

#[test]
fn a_task_of_a_task_comes_in_beside_others_while_all_that_runs_waits_for_such_tasks() {
    let (mut manager, parents) = full_of_parents();
    let session = open_inside(&mut manager, 50, parents[0]);
    manager.submit(1, of_size(task(1, 100), 1));
    assert_eq!(answers(&mut manager, 1)[0].1, Status::Rejected, "others have their part");
    manager.submit(50, inside(session, 1, 1));
    assert_eq!(answers(&mut manager, 50), []);
    let child = manager.runs(WORKER)[0];
    assert_eq!(child.task.session, session);
    // While that one runs, it makes room when it ends.
    manager.submit(50, inside(session, 2, 1));
    assert_eq!(answers(&mut manager, 50)[0].1, Status::Rejected);
    manager.finish(WORKER, child, Status::Ok, 100);
    manager.take(50, child.task);
    answers(&mut manager, 50);
    manager.submit(50, inside(session, 2, 1));
    assert_eq!(answers(&mut manager, 50), []);
    assert_eq!(manager.runs(WORKER).len(), 1);
}

// kind: memory is full | tasks that wait for their own tasks fill it | loud | the task of a task ends as lost and names the memory
#[test]
fn a_task_of_a_task_that_can_never_have_room_ends_in_words() {
    let (mut manager, parents) = full_of_parents();
    let session = open_inside(&mut manager, 50, parents[0]);
    manager.submit(50, inside(session, 1, 5));
    let answered = answers(&mut manager, 50);
    let [(1, Status::Lost, report)] = &answered[..] else { panic!("{answered:?}") };
    assert!(report.message.contains("all that runs waits for such tasks"), "{}", report.message);
    assert!(report.message.contains("--memory"), "{}", report.message);
    // The task around it goes on, and what it takes is free when it has ended.
    lend(&mut manager, parents[0], false);
    manager.finish(WORKER, parents[0], Status::Error, 100);
    manager.take(1, parents[0].task);
    assert!(manager.scheduler.has_memory_for(ConnId(1), MIB, 0));
}

#[test]
fn a_task_of_a_task_waits_for_room_while_something_may_make_some() {
    // A task that runs, one that waits for its next attempt, and outcomes that may be taken.
    for makes_room in 0..3 {
        let (mut manager, parents) = full_of_parents();
        let session = open_inside(&mut manager, 50, parents[0]);
        match makes_room {
            0 => lend(&mut manager, parents[1], false),
            1 => {
                let mut retried = inside(session, 5, 0);
                retried.head.flags = Flags::RETRY_ERROR;
                retried.head.retries = 1;
                retried.head.backoff_ms = 1000;
                manager.submit(50, retried);
                let attempt = manager.runs(WORKER)[0];
                manager.finish(WORKER, attempt, Status::Error, 100);
            }
            _ => {
                for parent in &parents[1..4] {
                    let mut outcome = outcome(*parent, Status::Ok, 100);
                    outcome.payload = Payload::from(vec![1; (5 * MIB) as usize]);
                    manager.step(Input::OutcomeArrived { link: ConnId(WORKER), outcome });
                }
            }
        }
        manager.submit(50, inside(session, 1, 5));
        let answered = answers(&mut manager, 50);
        assert_eq!(
            answered.last().map(|(number, status, _)| (*number, *status)),
            Some((1, Status::Rejected))
        );
    }
}

#[test]
fn outcomes_that_stay_hold_no_task_back_for_which_all_that_runs_waits() {
    let (mut manager, parents) = full_of_parents();
    let session = open_inside(&mut manager, 50, parents[0]);
    lend(&mut manager, parents[0], false);
    let mut detached = inside(session, 1, 0);
    detached.head.flags = Flags::DETACHED;
    manager.submit(50, detached);
    manager.commit();
    lend(&mut manager, parents[0], true);
    let child = manager.runs(WORKER)[0];
    // Another task waits for a slot, while nobody collects the outcome of the first.
    parents.iter().for_each(|parent| lend(&mut manager, *parent, false));
    manager.submit(50, inside(session, 2, 0));
    let mut big = outcome(child, Status::Ok, 100);
    big.payload = Payload::from(vec![1; MIB as usize]);
    manager.step(Input::OutcomeArrived { link: ConnId(WORKER), outcome: big });
    manager.commit();
    lend(&mut manager, parents[1], true);
    assert!(manager.runs(WORKER).is_empty(), "its session keeps more than its part");
    parents.iter().for_each(|parent| lend(&mut manager, *parent, true));
    assert_eq!(manager.runs(WORKER).len(), 1);
}

#[test]
fn a_task_of_a_task_does_not_wait_for_ever_for_outcomes_that_nobody_takes() {
    let (mut manager, parents) = full_of_parents();
    let session = open_inside(&mut manager, 50, parents[0]);
    for parent in &parents[1..4] {
        let mut outcome = outcome(*parent, Status::Ok, 100);
        outcome.payload = Payload::from(vec![1; (5 * MIB) as usize]);
        manager.step(Input::OutcomeArrived { link: ConnId(WORKER), outcome });
    }
    for (second, status) in [(0, Status::Rejected), (9, Status::Rejected), (2, Status::Lost)] {
        manager.pass(Duration::from_secs(second));
        manager.submit(50, inside(session, 1, 5));
        assert_eq!(answers(&mut manager, 50)[0].1, status, "{second}");
    }
    // One that is taken begins the time anew.
    manager.take(1, parents[1].task);
    manager.submit(50, inside(session, 2, 7));
    assert_eq!(answers(&mut manager, 50)[0].1, Status::Rejected);
}

#[test]
fn a_task_of_a_task_whose_payload_or_blobs_find_no_room_ends_in_words_too() {
    let (mut manager, parents) = full_of_parents();
    let session = open_inside(&mut manager, 50, parents[0]);
    for (sequence, payload_bytes) in [(1, 40 * MIB), (2, MIB)] {
        let task = inside(session, sequence, 0);
        manager.step(Input::TaskWithoutRoom { link: ConnId(50), task, payload_bytes });
        assert_eq!(answers(&mut manager, 50)[0].1, Status::Lost);
    }
    let task = of_size(task(1, 200), 0);
    manager.step(Input::TaskWithoutRoom { link: ConnId(1), task, payload_bytes: MIB });
    assert_eq!(answers(&mut manager, 1)[0].1, Status::Rejected, "it is in no task");
}

#[test]
fn tasks_of_tasks_and_sessions_that_use_little_stay_within_the_memory_together() {
    let (mut manager, parents) = full_of_parents();
    let mut sessions = Vec::new();
    for (number, parent) in parents.iter().enumerate() {
        let link = 50 + number as u64;
        let session = open_inside(&mut manager, link, *parent);
        sessions.push((link, session));
    }
    // As deep as it goes: each that comes in waits for its own, too.
    for (link, session) in &sessions {
        manager.submit(*link, inside(*session, 1, 1));
        for attempt in manager.runs(WORKER) {
            lend(&mut manager, attempt, true);
        }
    }
    for (link, session) in &sessions {
        for sequence in 2..8 {
            manager.submit(*link, inside(*session, sequence, 0));
        }
    }
    assert!(manager.scheduler.memory_used() <= MEMORY, "{}", manager.scheduler.memory_used());
    let lost = sessions.iter().flat_map(|(link, _)| answers(&mut manager, *link));
    assert!(lost.into_iter().any(|(_, status, _)| status == Status::Lost));
}
