//! No step takes long: what a session, a worker or a cancel leaves to do is done in parts.

use std::time::Duration;

use crate::manager::{HERE, Manager, attempt, id, task, ticket, with_flags};
use argon_core::Machine;
use argon_core::scheduler::{ConnId, Input, Limits};
use argon_proto::{Flags, Status};

/// Tasks that are looked at in one step.
const AT_ONCE: usize = 10;
/// Number of things that the tests give to the manager.
const MANY: u64 = 200;
/// Touches of one task that is looked at: it leaves its place, ends, and lets another one start.
const TOUCHES: u64 = 6;

fn manager() -> Manager {
    Manager::new(Limits { at_once: AT_ONCE, worker_grace: Duration::ZERO, ..Limits::default() })
}

/// Lets time pass, and looks at each step on the way. The number of steps that did something.
fn pass_in_short_steps(manager: &mut Manager) -> usize {
    let mut steps = 0;
    while let Some(deadline) = manager.scheduler.next_deadline() {
        if deadline > manager.now + Duration::from_millis(1) {
            return steps;
        }
        manager.now = manager.now.max(deadline);
        short(manager, Input::TimePassed);
        steps += 1;
        assert!(steps < 10_000, "it goes round in circles");
    }
    steps
}

/// A step that touches few tasks.
fn short(manager: &mut Manager, input: Input) {
    let (name, before) = (format!("{input:?}"), manager.scheduler.touched());
    manager.step(input);
    let touched = manager.scheduler.touched() - before;
    assert!(touched <= TOUCHES * (AT_ONCE as u64 + 2), "{touched} touches for {name}");
}

fn with_many_waiting() -> Manager {
    let mut manager = manager();
    manager.open(1);
    (1..=MANY).for_each(|sequence| manager.submit(1, task(1, sequence)));
    manager
}

/// A worker with one slot for each of many tasks.
fn with_many_running() -> Manager {
    let mut manager = with_many_waiting();
    manager.join(11, MANY as u32, &[]);
    pass_in_short_steps(&mut manager);
    assert_eq!(manager.runs(11).len() as u64, MANY);
    manager
}

#[test]
fn a_session_that_closes_with_many_tasks_ends_in_parts() {
    let mut manager = with_many_waiting();
    short(&mut manager, Input::ClientLost { link: ConnId(1), closed_cleanly: true });
    manager.join(11, 1, &[]);
    assert_eq!(manager.runs(11), [], "its tasks start no more");
    assert!(manager.scheduler.unfinished() > 0);
    assert!(pass_in_short_steps(&mut manager) >= 10);
    assert_eq!(manager.scheduler.unfinished(), 0);
    assert_eq!(manager.scheduler.memory_of_tasks(), 0, "the session is gone");
}

#[test]
fn a_client_that_comes_back_while_its_session_ends_keeps_what_is_left() {
    let mut manager = with_many_waiting();
    manager.step(Input::ClientLost { link: ConnId(1), closed_cleanly: true });
    let left = manager.scheduler.unfinished();
    assert!((1..MANY as usize).contains(&left));
    manager.open_from(101, HERE);
    pass_in_short_steps(&mut manager);
    assert_eq!(manager.scheduler.unfinished(), left);
    manager.submit(101, task(1, 1));
    short(&mut manager, Input::OfferEnded { link: ConnId(101) });
    pass_in_short_steps(&mut manager);
    assert_eq!(manager.scheduler.unfinished(), 1, "what it names stays");
    manager.join(11, 1, &[]);
    assert_eq!(manager.runs(11), [attempt(1, 1, 1)]);
}

#[test]
fn detached_tasks_start_after_their_session_has_ended_in_parts() {
    let mut manager = with_many_waiting();
    manager.submit(1, with_flags(1, MANY + 1, Flags::DETACHED));
    manager.commit();
    short(&mut manager, Input::ClientLost { link: ConnId(1), closed_cleanly: true });
    manager.join(11, 1, &[]);
    pass_in_short_steps(&mut manager);
    assert_eq!(manager.runs(11), [attempt(1, MANY + 1, 1)]);
}

#[test]
fn a_worker_that_is_lost_with_many_attempts_is_given_up_in_parts() {
    let mut manager = with_many_running();
    short(&mut manager, Input::WorkerLost { link: ConnId(11), declared_dead: true });
    manager.join(12, MANY as u32, &[]);
    pass_in_short_steps(&mut manager);
    assert_eq!(manager.runs(12).len() as u64, MANY);
}

#[test]
fn a_worker_that_comes_back_while_it_is_given_up_keeps_what_is_left() {
    let mut manager = with_many_running();
    manager.step(Input::WorkerLost { link: ConnId(11), declared_dead: true });
    let held: Vec<_> = (1..=MANY).map(|sequence| attempt(1, sequence, 1)).collect();
    manager.join_from(111, MANY as u32, HERE, &held);
    pass_in_short_steps(&mut manager);
    assert_eq!(manager.runs(111), [], "it has them all");
    for held in held {
        manager.finish(111, held, Status::Ok, 1);
    }
    assert_eq!(manager.outcomes(1).len() as u64, MANY);
}

#[test]
fn many_tasks_are_cancelled_in_parts() {
    let mut manager = with_many_running();
    let ids = (1..=MANY).map(|sequence| id(1, sequence)).collect();
    short(&mut manager, Input::OwnTasksCancelled { link: ConnId(1), ids });
    assert!(manager.scheduler.unfinished() > 0);
    pass_in_short_steps(&mut manager);
    let outcomes = manager.outcomes(1);
    assert_eq!(outcomes.len() as u64, MANY);
    assert!(outcomes.iter().all(|(_, status, _)| *status == Status::Cancelled));
}

#[test]
fn everything_is_cancelled_in_parts_and_later_tasks_are_not() {
    let mut manager = with_many_waiting();
    manager.open(2);
    (1..=MANY).for_each(|sequence| manager.submit(2, task(2, sequence)));
    assert_eq!(manager.scheduler.unfinished() as u64, 2 * MANY);
    let input = Input::AllTasksCancelled { link: ConnId(9), owner: None, by: "an admin".to_owned() };
    short(&mut manager, input);
    manager.submit(2, task(2, MANY + 1));
    pass_in_short_steps(&mut manager);
    assert_eq!(manager.scheduler.unfinished(), 1);
    let (_, status, report) = manager.outcomes(1).remove(0);
    assert_eq!((status, report.message.contains("by an admin")), (Status::Cancelled, true));
}

#[test]
fn many_results_that_expire_at_one_moment_go_in_parts() {
    let mut manager = manager();
    manager.open(1);
    manager.join(11, MANY as u32, &[]);
    (1..=MANY).for_each(|sequence| manager.submit(1, with_flags(1, sequence, Flags::DETACHED)));
    manager.commit();
    pass_in_short_steps(&mut manager);
    (1..=MANY).for_each(|sequence| {
        manager.step(Input::OutcomeArrived {
            link: ConnId(11),
            outcome: crate::manager::outcome(attempt(1, sequence, 1), Status::Ok, 1),
        });
    });
    manager.commit();
    pass_in_short_steps(&mut manager);
    let ttl = Limits::default().result_ttl;
    manager.now = manager.now + ttl;
    short(&mut manager, Input::TimePassed);
    pass_in_short_steps(&mut manager);
    manager.take_effects();
    manager.step(Input::CollectRequested { link: ConnId(1), tickets: vec![ticket(id(1, 1))] });
    assert_eq!(manager.outcomes(1)[0].1, Status::Lost, "it is known no more");
}

#[test]
fn a_worker_with_very_many_slots_is_sent_its_tasks_in_parts() {
    let mut manager = with_many_waiting();
    manager.join(11, u32::MAX, &[]);
    assert_eq!(manager.runs(11).len(), AT_ONCE);
    pass_in_short_steps(&mut manager);
    assert_eq!(manager.scheduler.view(manager.now).tasks_queued, 0);
}
