//! Bounded memory: what comes in, what is refused, what starts, and what a client that uses little is granted.

use argon_core::scheduler::{ConnId, Input, Limits};
use argon_proto::conversation::client::ToClient;
use argon_proto::{AttemptId, Flags, Outcome, Payload, Status, Task};

use crate::manager::{Manager, attempt, id, outcome, task, with_flags};

const MIB: u64 = 1 << 20;
/// A part of this is the reserve: 16 MiB, of which 12 are for sessions.
const MEMORY: u64 = 64 * MIB;

fn manager() -> Manager {
    Manager::new(Limits { memory: MEMORY, ..Limits::default() })
}

fn big(client: u64, sequence: u64, mebibytes: u64) -> Task {
    let mut task = task(client, sequence);
    task.payload = Payload::from(vec![1; (mebibytes * MIB) as usize]);
    task
}

/// Codes of the tasks that a client was refused.
fn refusals(manager: &mut Manager, link: u64) -> Vec<(u64, String)> {
    let outcomes = manager.outcomes(link).into_iter();
    let refused = outcomes.filter(|(_, status, _)| *status == Status::Rejected);
    refused.map(|(id, _, report)| (id.sequence, report.code.unwrap_or_default())).collect()
}

fn big_outcome(attempt: AttemptId, mebibytes: u64) -> Outcome {
    let mut outcome = outcome(attempt, Status::Ok, 100);
    outcome.payload = Payload::from(vec![1; (mebibytes * MIB) as usize]);
    outcome
}

// kind: memory is full | tasks of one client fill it | loud | rejected with the code memory_full and what uses the memory
#[test]
fn a_task_without_room_is_rejected_in_words_and_comes_in_once_there_is_some() {
    let mut manager = manager();
    manager.open(1);
    for sequence in 1..=6 {
        manager.submit(1, big(1, sequence, 10));
    }
    let outcomes = manager.outcomes(1);
    let [(refused, Status::Rejected, report), (_, Status::Rejected, _)] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert_eq!((refused.sequence, report.code.as_deref()), (5, Some("memory_full")));
    assert!(report.message.contains("41 MiB of 64 MiB are in use (tasks 41 MiB"), "{}", report.message);
    assert!(report.message.contains("--memory"));
    manager.join(2, 1, &[]);
    let run = manager.runs(2)[0];
    manager.finish(2, run, Status::Ok, 100);
    manager.take(1, run.task);
    manager.outcomes(1);
    manager.submit(1, big(1, 5, 1));
    assert_eq!(refusals(&mut manager, 1), []);
}

#[test]
fn sessions_that_use_little_are_served_beside_those_that_use_all() {
    let mut manager = manager();
    for link in 1..=20 {
        manager.open(link);
        for sequence in 1..=20 {
            manager.submit(link, big(link, sequence, 4));
        }
    }
    assert!(manager.scheduler.is_memory_full() || manager.scheduler.memory_used() > 40 * MIB);
    // Each of 21 sessions has its part of 12 MiB.
    manager.open(50);
    for sequence in 1..=1000 {
        manager.submit(50, task(50, sequence));
    }
    assert_eq!(refusals(&mut manager, 50), []);
    manager.submit(50, big(50, 2000, 1));
    assert_eq!(refusals(&mut manager, 50), [(2000, "memory_full".to_owned())]);
    assert!(manager.scheduler.memory_used() <= MEMORY);
}

#[test]
fn what_the_shell_keeps_counts_and_a_task_whose_blobs_have_no_room_gives_its_credit_back() {
    let mut manager = Manager::new(Limits { memory: MEMORY, window_tasks: 4, ..Limits::default() });
    manager.open(1);
    manager.step(Input::MemoryOfOthers { bytes: MEMORY });
    manager.submit(1, big(1, 1, 17));
    assert_eq!(refusals(&mut manager, 1), [(1, "memory_full".to_owned())]);
    for sequence in 2..=20 {
        let task = task(1, sequence);
        manager.step(Input::TaskWithoutRoom { link: ConnId(1), task, payload_bytes: 1000 });
    }
    let sent = manager.sent_to_client(1);
    assert!(sent.iter().any(|message| matches!(message, ToClient::Credit(credit) if credit.tasks > 20)));
    assert!(!manager.scheduler.has_memory_for(ConnId(1), 20 * MIB, 0));
    assert!(manager.scheduler.has_memory_for(ConnId(1), MIB, MIB));
    manager.step(Input::MemoryOfOthers { bytes: 0 });
    assert!(manager.scheduler.has_memory_for(ConnId(1), 20 * MIB, 0));
}

// kind: the reason of a wait | memory is full of outcomes that a client does not take | loud | the reason memory
#[test]
fn a_client_that_takes_no_outcomes_starts_no_tasks_while_memory_is_full_and_others_do() {
    let mut manager = manager();
    for link in [1, 2] {
        manager.open(link);
        for sequence in 1..=40 {
            manager.submit(link, task(link, sequence));
        }
    }
    manager.join(3, 1, &[]);
    let mut finished = Vec::new();
    // Outcomes of the first are big and not taken, those of the second small and taken.
    for _ in 0..60 {
        for run in manager.runs(3) {
            finished.push(run);
            if run.task.session == id(1, 1).session {
                manager.step(Input::OutcomeArrived { link: ConnId(3), outcome: big_outcome(run, 5) });
            } else {
                manager.finish(3, run, Status::Ok, 100);
                manager.take(2, run.task);
            }
        }
    }
    let of = |link| finished.iter().filter(|run| run.task.session == id(link, 1).session).count();
    assert!(of(1) <= 11, "{} of the first ran", of(1));
    assert_eq!(of(2), 40);
    let waiting = manager.scheduler.waiting_of(manager.now, ConnId(1)).expect("it is connected");
    assert!(waiting.waiting.iter().any(|why| why.code == "memory" && why.tasks > 20), "{waiting:?}");
    // One that is taken makes room for others.
    for run in finished.iter().filter(|run| run.task.session == id(1, 1).session).take(9) {
        manager.take(1, run.task);
    }
    assert!(!manager.runs(3).is_empty(), "nothing starts");
}

#[test]
fn what_a_worker_holds_is_claimed_although_memory_is_full() {
    let mut manager = Manager::just_started(Limits { memory: MEMORY, ..Limits::default() }, Vec::new());
    manager.step(Input::MemoryOfOthers { bytes: 2 * MEMORY });
    manager.join(2, 1, &[attempt(1, 1, 1)]);
    manager.open(1);
    let mut held = big(1, 1, 20);
    held.head.flags = Flags::OFFERED_AGAIN;
    manager.submit(1, held);
    assert_eq!(refusals(&mut manager, 1), []);
    let mut other = with_flags(1, 2, Flags::OFFERED_AGAIN);
    other.payload = Payload::from(vec![1; (20 * MIB) as usize]);
    manager.submit(1, other);
    assert_eq!(refusals(&mut manager, 1), [(2, "memory_full".to_owned())]);
}

#[test]
fn nothing_is_counted_once_all_is_done() {
    let mut manager = manager();
    manager.open(1);
    manager.join(2, 4, &[]);
    let empty = manager.scheduler.memory_used();
    for sequence in 1..=100 {
        manager.submit(1, big(1, sequence, 0));
    }
    for run in 1..=100 {
        let next = manager.runs(2);
        for attempt in next {
            manager.finish(2, attempt, Status::Ok, 100);
            manager.take(1, attempt.task);
        }
        assert!(run < 100 || manager.scheduler.memory_used() == empty);
    }
}
