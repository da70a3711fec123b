//! No step takes long: what a session, a worker or a cancel leaves to do is done in parts.

use std::time::Duration;

use crate::manager::{HERE, Manager, attempt, attempt_of, held_by, id, secret, task, ticket, with_flags};
use argon_core::Machine;
use argon_core::scheduler::{ConnId, Effect, Input, Limits};
use argon_proto::conversation::worker::ToWorker;
use argon_proto::handshake::RefusalCode;
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

/// The list of a worker that has run many tasks for another manager.
fn list_many(manager: &mut Manager, link: u64) {
    for sequence in 1..=MANY {
        let held = vec![held_by(link, attempt(1, sequence, 1))];
        short(manager, Input::AttemptsListed { link: ConnId(link), held });
    }
}

fn join_shortly(manager: &mut Manager, link: u64, slots: u32) {
    let (profile, secret) = (Manager::profile(link, slots, &[]), secret(link));
    short(
        manager,
        Input::WorkerJoined { link: ConnId(link), profile, secret, previous: None, held: Vec::new() },
    );
}

#[test]
fn a_worker_that_lists_many_attempts_is_decided_about_in_parts() {
    let mut manager = manager();
    list_many(&mut manager, 11);
    assert!(manager.scheduler.memory_of_tasks() > 100 * MANY, "lists are charged");
    join_shortly(&mut manager, 11, MANY as u32);
    assert_eq!(manager.scheduler.footprint().orphans, AT_ONCE);
    assert!(pass_in_short_steps(&mut manager) >= 10);
    assert_eq!(manager.scheduler.footprint().orphans as u64, MANY);
    assert_eq!(manager.scheduler.memory_of_tasks(), 0, "the list is gone");
}

#[test]
fn what_is_listed_and_not_decided_counts_as_if_it_were() {
    let mut manager = manager();
    manager.join(12, MANY as u32, &[]);
    list_many(&mut manager, 11);
    join_shortly(&mut manager, 11, 2 * AT_ONCE as u32);
    manager.finish(11, attempt(1, MANY - 1, 1), Status::Ok, 0);
    manager.open(1);
    manager.submit(1, with_flags(1, MANY - 1, Flags::OFFERED_AGAIN));
    manager.submit(1, with_flags(1, MANY, Flags::OFFERED_AGAIN));
    assert_eq!(manager.outcomes(1).len(), 1, "it was kept for its client");
    manager.finish(11, attempt(1, MANY, 1), Status::Ok, 0);
    assert_eq!(manager.outcomes(1).len(), 1);
    assert_eq!(manager.runs(12), []);
    pass_in_short_steps(&mut manager);
    assert_eq!(manager.scheduler.footprint().orphans as u64, MANY - 2);
}

#[test]
fn a_waiting_task_does_not_start_if_a_returning_worker_lists_it() {
    let mut manager = manager();
    manager.open(1);
    (1..=MANY).for_each(|sequence| manager.submit(1, with_flags(1, sequence, Flags::default())));
    list_many(&mut manager, 11);
    manager.now = manager.now + Duration::from_millis(1);
    join_shortly(&mut manager, 11, MANY as u32);
    manager.join(12, MANY as u32, &[]);
    pass_in_short_steps(&mut manager);
    assert_eq!((manager.runs(11), manager.runs(12)), (vec![], vec![]), "worker 11 has them all");
}

#[test]
fn what_another_worker_lists_is_stopped_before_an_attempt_begins_that_waited_for_the_store() {
    let mut manager = manager();
    manager.open(1);
    manager.join(12, 1, &[]);
    manager.submit(1, with_flags(1, MANY, Flags::DETACHED.with(Flags::NEVER_TWICE)));
    manager.commit();
    list_many(&mut manager, 11);
    manager.now = manager.now + Duration::from_millis(1);
    join_shortly(&mut manager, 11, 1);
    manager.commit();
    pass_in_short_steps(&mut manager);
    let awaited = attempt(1, MANY, 1);
    let step_of = |effect: &Effect| {
        let Effect::SendToWorker { message, .. } = effect else { return None };
        if matches!(message, ToWorker::Stop(ids) if ids.contains(&awaited)) {
            return Some("stop");
        }
        matches!(message, ToWorker::Run(run) if attempt_of(&run.task) == awaited).then_some("run")
    };
    let order: Vec<&str> = manager.take_effects().iter().filter_map(step_of).collect();
    assert_eq!(order, ["stop", "run"]);
}

#[test]
fn a_list_is_forgotten_with_its_connection() {
    for registers in [false, true] {
        let mut manager = manager();
        list_many(&mut manager, 11);
        if registers {
            join_shortly(&mut manager, 11, 1);
        }
        manager.step(Input::WorkerLost { link: ConnId(11), declared_dead: true });
        pass_in_short_steps(&mut manager);
        assert_eq!(manager.scheduler.memory_of_tasks(), 0);
        assert_eq!(manager.scheduler.footprint().orphans, 0);
    }
}

#[test]
fn the_longest_list_is_refused_when_lists_use_too_much_memory() {
    let mut manager = Manager::new(Limits { memory: 8 * 128 * (MANY + 10), ..Limits::default() });
    list_many(&mut manager, 11);
    let closed = |manager: &mut Manager| {
        let link =
            |effect| if let Effect::Close { link, code, .. } = effect { Some((link, code)) } else { None };
        manager.take_effects().into_iter().filter_map(link).collect::<Vec<_>>()
    };
    for sequence in 1..=20 {
        let held = vec![held_by(12, attempt(2, sequence, 1))];
        manager.step(Input::AttemptsListed { link: ConnId(12), held });
    }
    assert_eq!(closed(&mut manager), [(ConnId(11), RefusalCode::Busy)]);
    manager.join(12, 1, &[]);
    assert_eq!(manager.scheduler.footprint().orphans, 20);
}
