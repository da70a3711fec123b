//! Owners of tasks: their turns, their bounds, and what of it survives a restart.

use std::time::Duration;

use crate::manager::{HERE, Manager, attempt, id, session, task, with_flags};
use argon_core::scheduler::{ConnId, Effect, Input, Limits, Record, WaitReason};
use argon_proto::conversation::worker::Lent;
use argon_proto::handshake::RefusalCode;
use argon_proto::holder::OwnerName;
use argon_proto::{Flags, Priority, Status};

fn owner(name: &str) -> OwnerName {
    OwnerName::read(name).expect("a name")
}

/// Sessions 1, 2 and 3 are Ann's, session 4 Bob's.
fn manager(limits: Limits) -> Manager {
    let mut manager = Manager::new(limits);
    (1..=3).for_each(|link| manager.open_as(link, owner("ann"), None));
    manager.open_as(4, owner("bob"), None);
    manager
}

/// Runs what is queued on the one slot of a worker; the clients of the tasks in their order.
fn drain(manager: &mut Manager, link: u64) -> Vec<u64> {
    let mut order = Vec::new();
    while let [run] = manager.runs(link)[..] {
        let client =
            (1..9).find(|client| session(*client) == run.task.session).expect("a client of the test");
        order.push(client);
        manager.finish(link, run, Status::Ok, 500_000);
    }
    order
}

#[test]
fn the_sessions_of_one_owner_share_a_turn_and_take_turns_in_it() {
    let mut manager = manager(Limits::default());
    for link in 1..=4 {
        (0..3).for_each(|n| manager.submit(link, task(link, n)));
    }
    manager.join(11, 1, &[]);
    assert_eq!(drain(&mut manager, 11), [1, 4, 2, 4, 3, 4, 1, 2, 3, 1, 2, 3]);
}

#[test]
fn an_owner_that_comes_late_has_the_next_turn_but_not_that_of_more_urgent_tasks() {
    let mut manager = manager(Limits::default());
    (0..4).for_each(|n| manager.submit(1, task(1, n)));
    manager.submit(2, task(2, 0));
    let mut urgent = task(3, 0);
    urgent.head.priority = Priority::High;
    manager.submit(4, task(4, 0));
    manager.submit(3, urgent);
    manager.join(11, 1, &[]);
    assert_eq!(drain(&mut manager, 11), [3, 1, 4, 2, 1, 1, 1]);
}

/// Tasks of each owner at workers, by the owner's name.
fn running(manager: &Manager) -> Vec<u32> {
    manager.scheduler.owner_views().iter().map(|view| view.running).collect()
}

/// Why a connection was closed since this was last asked.
fn refused(manager: &mut Manager, link: u64) -> Option<RefusalCode> {
    manager.take_effects().into_iter().find_map(|effect| {
        let Effect::Close { link: closed, code, .. } = effect else { return None };
        (closed == ConnId(link)).then_some(code)
    })
}

#[test]
fn an_owner_runs_no_more_tasks_than_its_bound_and_others_take_the_slots() {
    let mut manager = manager(Limits { max_running: 2, ..Limits::default() });
    for link in [1, 2, 4] {
        (0..3).for_each(|n| manager.submit(link, task(link, n)));
    }
    manager.join(11, 8, &[]);
    assert_eq!(running(&manager), [2, 2]);
    let why = manager.scheduler.waiting(manager.now).waiting;
    let [why] = &why[..] else { panic!("{why:?}") };
    assert_eq!((why.code.as_str(), why.tasks), (WaitReason::Owner.name(), 5));
    assert!(why.message.contains("--max-running"), "{}", why.message);
    let own = manager.scheduler.waiting_of(manager.now, ConnId(4)).expect("a client").waiting;
    assert_eq!(own.iter().map(|why| (why.code.as_str(), why.tasks)).collect::<Vec<_>>(), [("owner", 1)]);
    let mut ended = 0;
    let mut at_worker = manager.runs(11);
    while let Some(run) = at_worker.pop() {
        manager.finish(11, run, Status::Ok, 500_000);
        assert!(running(&manager).iter().all(|count| *count <= 2));
        at_worker.extend(manager.runs(11));
        ended += 1;
    }
    assert_eq!(ended, 9, "all of them run at last");
}

#[test]
fn a_task_that_waits_for_its_own_tasks_does_not_count_as_running() {
    let mut manager = manager(Limits { max_running: 1, ..Limits::default() });
    manager.submit(1, task(1, 0));
    manager.submit(2, task(2, 0));
    manager.join(11, 4, &[]);
    assert_eq!(manager.runs(11), [attempt(1, 0, 1)]);
    let lent =
        |waits| Input::AttemptLent { link: ConnId(11), lent: Lent { attempt: attempt(1, 0, 1), waits } };
    manager.step(lent(true));
    assert_eq!(manager.runs(11), [attempt(2, 0, 1)], "its place among Ann's tasks is free");
    manager.step(lent(false));
    manager.submit(3, task(3, 0));
    manager.finish(11, attempt(2, 0, 1), Status::Ok, 500_000);
    assert_eq!(manager.runs(11), [], "one runs again");
    manager.step(lent(true));
    assert_eq!(manager.runs(11), [attempt(3, 0, 1)]);
    // A worker that comes back reports anew what is lent, and one that is lost lends nothing.
    manager.cut(11);
    manager.join_from(111, 4, HERE, &[attempt(1, 0, 1), attempt(3, 0, 1)]);
    manager.submit(1, task(1, 1));
    assert_eq!((manager.runs(111), running(&manager)), (vec![], vec![2, 0]));
    manager.lose(111);
    manager.pass(Duration::from_secs(2));
    manager.join(12, 4, &[]);
    assert_eq!(running(&manager), [1, 0]);
}

#[test]
fn an_owner_with_too_many_waiting_tasks_is_rejected_in_words_and_others_are_not() {
    let mut manager = manager(Limits { max_queued: 3, ..Limits::default() });
    (0..2).for_each(|n| manager.submit(1, task(1, n)));
    manager.submit(2, task(2, 0));
    manager.submit(3, task(3, 0));
    let [(_, Status::Rejected, report)] = &manager.outcomes(3)[..] else { panic!("it is not rejected") };
    assert_eq!(report.code.as_deref(), Some("owner_queue_full"));
    assert!(
        report.message.contains("3 tasks of ann wait") && report.message.contains("--max-queued"),
        "{}",
        report.message
    );
    manager.submit(4, task(4, 0));
    assert_eq!(manager.outcomes(4).len(), 0);
    manager.join(11, 1, &[]);
    manager.submit(3, task(3, 1));
    assert_eq!(manager.outcomes(3).len(), 0, "one has started");
}

#[test]
fn a_session_belongs_to_the_owner_that_has_opened_it_first() {
    let mut manager = manager(Limits::default());
    manager.submit(1, task(1, 0));
    manager.take_effects();
    // The secret is right: it was given away, or stolen.
    manager.open_as(101, owner("bob"), None);
    assert_eq!(refused(&mut manager, 101), Some(RefusalCode::Session));
    manager.open_as(201, owner("ann"), None);
    assert_eq!(refused(&mut manager, 201), None);
    assert_eq!(manager.scheduler.owner_of_task(id(1, 0)), Some(&owner("ann")));
}

#[test]
fn the_owner_of_a_detached_task_survives_the_manager() {
    let mut first = manager(Limits::default());
    first.submit(4, with_flags(4, 1, Flags::DETACHED));
    assert!(matches!(&first.records[0], Record::TaskAccepted(_, of) if *of == owner("bob")));
    let mut next = Manager::just_started(Limits::default(), first.records);
    assert_eq!(next.scheduler.owner_of_task(id(4, 1)), Some(&owner("bob")));
    // No one else can take over its session.
    next.open_as(4, owner("ann"), None);
    assert_eq!(refused(&mut next, 4), Some(RefusalCode::Session));
    assert_eq!(next.scheduler.owner_views().len(), 1);
}

#[test]
fn an_owner_is_forgotten_with_its_last_session() {
    let mut manager = manager(Limits::default());
    manager.submit(4, task(4, 0));
    manager.join(11, 1, &[]);
    for link in 1..=4 {
        manager.step(Input::ClientLost { link: ConnId(link), closed_cleanly: true });
    }
    assert!(manager.scheduler.owner_views().is_empty());
}
