//! Clients inside tasks: whose turns their tasks take, which slots are lent, and when all that ends.

use std::collections::VecDeque;
use std::time::Duration;

use argon_core::scheduler::{ConnId, Effect, Input, Limits, Record};
use argon_proto::conversation::worker::{Lent, ToWorker};
use argon_proto::handshake::RefusalCode;
use argon_proto::holder::OwnerName;
use argon_proto::{Attempt, AttemptId, Flags, Secret, SessionId, Status, Task, TaskId};

use crate::manager::{Manager, attempt, session, task, token, with_flags, worker_id};

/// Of the client inside an attempt, numbered.
fn child_secret(number: u64) -> Secret {
    let mut bytes = [100; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Secret::new(bytes)
}

/// The session of the client inside an attempt, numbered.
fn child_id(parent: AttemptId, number: u64) -> SessionId {
    SessionId::of_child(parent.task.session.family(), &child_secret(number))
}

/// The client inside an attempt opens its session through its worker.
fn child_opens(link: u64, parent: AttemptId, worker: u64, number: u64) -> Input {
    Input::ChildSessionOpened {
        link: ConnId(link),
        session: child_id(parent, number),
        secret: child_secret(number),
        previous: None,
        client: "inside".into(),
        parent,
        token: token(worker, parent),
        worker: worker_id(worker),
    }
}

fn child_task(session: SessionId, sequence: u64) -> Task {
    let mut task = task(1, sequence);
    task.head.id.session = session;
    task
}

impl Manager {
    fn open_child(&mut self, link: u64, parent: AttemptId, worker: u64, number: u64) -> SessionId {
        self.step(child_opens(link, parent, worker, number));
        child_id(parent, number)
    }

    fn lend(&mut self, link: u64, attempt: AttemptId, waits: bool) {
        self.step(Input::AttemptLent { link: ConnId(link), lent: Lent { attempt, waits } });
    }

    fn refusals(&mut self) -> Vec<(u64, RefusalCode)> {
        let effects = self.take_effects();
        let refusal = |effect: &Effect| {
            let Effect::Close { link, code, .. } = effect else { return None };
            Some((link.0, *code))
        };
        effects.iter().filter_map(refusal).collect()
    }

    fn stops(&mut self, link: u64) -> Vec<AttemptId> {
        let stops = |message| if let ToWorker::Stop(attempts) = message { attempts } else { Vec::new() };
        self.sent_to_worker(link).into_iter().flat_map(stops).collect()
    }
}

/// A manager whose worker 11 has one slot, in which task 0 of client 1 runs.
fn with_parent() -> (Manager, AttemptId) {
    let mut manager = Manager::new(Limits::default());
    manager.join(11, 1, &[]);
    manager.open(1);
    manager.submit(1, task(1, 0));
    let parent = manager.runs(11)[0];
    (manager, parent)
}

#[test]
fn a_task_that_waits_for_its_own_tasks_lets_them_run_in_its_slot() {
    let (mut manager, parent) = with_parent();
    let child = manager.open_child(50, parent, 11, 1);
    manager.submit(50, child_task(child, 7));
    assert!(manager.runs(11).is_empty(), "the only slot is taken");
    manager.lend(11, parent, true);
    let runs = manager.runs(11);
    assert_eq!(runs.iter().map(|run| run.task).collect::<Vec<_>>(), [TaskId { session: child, sequence: 7 }]);
    manager.finish(11, runs[0], Status::Ok, 10);
    assert_eq!(manager.outcomes(50).len(), 1);
    manager.lend(11, parent, false);
    manager.submit(1, task(1, 1));
    assert!(manager.runs(11).is_empty(), "the slot is taken again");
}

#[test]
fn deeper_tasks_of_one_session_start_first_and_other_sessions_keep_their_turns() {
    let (mut manager, parent) = with_parent();
    manager.open(2);
    let child = manager.open_child(50, parent, 11, 1);
    for sequence in 1..=3 {
        manager.submit(1, task(1, sequence));
        manager.submit(2, task(2, sequence));
    }
    manager.submit(50, child_task(child, 1));
    manager.lend(11, parent, true);
    let inner = loop {
        let run = manager.runs(11)[0];
        if run.task.session == child {
            break run;
        }
        assert_eq!(run.task.session, session(2), "an elder went before");
        manager.finish(11, run, Status::Ok, 500_000);
    };
    let grandchild = manager.open_child(51, inner, 11, 2);
    manager.submit(50, child_task(child, 2));
    manager.submit(51, child_task(grandchild, 1));
    manager.lend(11, inner, true);
    let mut order = Vec::new();
    while let [run] = manager.runs(11)[..] {
        order.push(run.task.session);
        manager.finish(11, run, Status::Ok, 500_000);
    }
    let of_one: Vec<SessionId> = order.iter().copied().filter(|id| *id != session(2)).collect();
    assert_eq!(of_one, [grandchild, child, session(1), session(1), session(1)]);
    let first_of_two = order.iter().position(|id| *id == session(2));
    assert!(first_of_two.is_some_and(|place| place <= 1), "{order:?}");
}

#[test]
fn the_sessions_of_clients_inside_a_task_end_with_its_attempt() {
    for status in [Status::Ok, Status::Error, Status::Died] {
        let (mut manager, parent) = with_parent();
        let child = manager.open_child(50, parent, 11, 1);
        manager.submit(50, child_task(child, 1));
        manager.submit(50, child_task(child, 2));
        manager.lend(11, parent, true);
        let inner = manager.runs(11)[0];
        manager.finish(11, parent, status, 10);
        assert_eq!(manager.stops(11), [inner]);
        assert_eq!(manager.refusals(), [(50, RefusalCode::Session)]);
        assert_eq!(manager.scheduler.footprint().sessions, 1);
        manager.open_child(52, parent, 11, 3);
        assert_eq!(manager.refusals(), [(52, RefusalCode::Session)], "it comes too late");
    }
}

#[test]
fn they_end_when_the_attempt_is_lost_or_cancelled_and_all_below_them_with_them() {
    for cancel in [false, true] {
        let (mut manager, parent) = with_parent();
        let child = manager.open_child(50, parent, 11, 1);
        manager.submit(50, child_task(child, 1));
        manager.lend(11, parent, true);
        let inner = manager.runs(11)[0];
        let grandchild = manager.open_child(51, inner, 11, 2);
        manager.submit(51, child_task(grandchild, 1));
        if cancel {
            let ids = vec![parent.task];
            manager.step(Input::CancelRequested { link: ConnId(1), ids, by: String::new() });
        } else {
            manager.lose(11);
        }
        let mut refused = manager.refusals();
        refused.sort_by_key(|(link, _)| *link);
        assert_eq!(refused, [(50, RefusalCode::Session), (51, RefusalCode::Session)]);
        let left = manager.scheduler.footprint();
        assert_eq!((left.sessions, left.tasks), (1, 1));
    }
}

#[test]
fn detached_tasks_of_a_client_inside_a_task_survive_it() {
    let (mut manager, parent) = with_parent();
    let child = manager.open_child(50, parent, 11, 1);
    let mut detached = with_flags(1, 5, Flags::DETACHED);
    detached.head.id.session = child;
    manager.submit(50, detached);
    manager.commit();
    manager.finish(11, parent, Status::Ok, 10);
    let run = manager.runs(11)[0];
    assert_eq!(run.task, TaskId { session: child, sequence: 5 });
    // The root goes first; the detached task is still known.
    manager.take(1, parent.task);
    manager.step(Input::ClientLost { link: ConnId(1), closed_cleanly: true });
    manager.finish(11, run, Status::Ok, 10);
    manager.commit();
    assert_eq!(manager.scheduler.footprint().tasks, 1);
    manager.pass(Duration::from_secs(3600));
    manager.commit();
    assert!(manager.scheduler.footprint().is_bare(), "{:?}", manager.scheduler.footprint());
}

#[test]
fn a_client_inside_a_task_comes_back_with_the_same_session() {
    let (mut manager, parent) = with_parent();
    let child = manager.open_child(50, parent, 11, 1);
    manager.submit(50, child_task(child, 1));
    manager.step(Input::ClientLost { link: ConnId(50), closed_cleanly: false });
    manager.open_child(51, parent, 11, 1);
    manager.submit(51, child_task(child, 1));
    manager.step(Input::OfferEnded { link: ConnId(51) });
    manager.lend(11, parent, true);
    let run = manager.runs(11)[0];
    manager.finish(11, run, Status::Ok, 10);
    assert_eq!(manager.outcomes(51).len(), 1);
    assert_eq!(manager.refusals(), []);
}

#[test]
fn a_manager_that_has_just_started_lets_them_try_again_until_their_task_is_known() {
    let mut manager = Manager::just_started(Limits::default(), Vec::new());
    let parent = attempt(1, 0, 1);
    manager.open_child(50, parent, 11, 1);
    assert_eq!(manager.refusals(), [(50, RefusalCode::Busy)], "its worker is not here");
    manager.join(11, 1, &[parent]);
    manager.lend(11, parent, true);
    manager.open_child(51, parent, 11, 1);
    assert_eq!(manager.refusals(), [(51, RefusalCode::Busy)], "its client is not here");
    manager.open(1);
    let mut offered = task(1, 0);
    offered.head.flags = Flags::OFFERED_AGAIN;
    manager.submit(1, offered);
    let child = manager.open_child(52, parent, 11, 1);
    manager.submit(52, child_task(child, 1));
    assert_eq!(manager.runs(11).len(), 1, "the slot is lent as the worker has said");
}

#[test]
fn a_client_deep_inside_may_come_back_before_those_above_it() {
    let top = attempt(1, 1, 1);
    let mut middle = child_task(child_id(top, 1), 7);
    middle.head.flags = Flags::DETACHED;
    let middle_attempt = AttemptId { task: middle.head.id, attempt: top.attempt };
    // The store brings the task in the middle back, and with it a session that is nobody's child yet.
    let records =
        vec![Record::TaskAccepted(middle, OwnerName::admin()), Record::AttemptStarted(middle_attempt)];
    let mut manager = Manager::just_started(Limits::default(), records);
    manager.join(11, 2, &[top, middle_attempt]);
    let deep = manager.open_child(50, middle_attempt, 11, 2);
    manager.submit(50, child_task(deep, 9));
    manager.open(1);
    manager.submit(1, with_flags(1, 1, Flags::OFFERED_AGAIN));
    manager.open_child(51, top, 11, 1);
    manager.lend(11, middle_attempt, true);
    assert_eq!(manager.runs(11).iter().map(|run| run.task.session).collect::<Vec<_>>(), [deep]);
}

#[test]
fn a_foreign_session_gets_neither_the_family_nor_the_task_of_another() {
    let (mut manager, parent) = with_parent();
    let child = manager.open_child(50, parent, 11, 1);
    let open = |link, session, secret| {
        let (client, owner) = ("x".into(), OwnerName::admin());
        Input::SessionOpened { link: ConnId(link), owner, session, secret, previous: None, client }
    };
    manager.step(open(60, child_id(parent, 9), child_secret(9)));
    assert_eq!(manager.refusals(), [(60, RefusalCode::Session)], "its first half is another's");
    manager.step(open(61, child, child_secret(1)));
    assert_eq!(manager.refusals(), [(61, RefusalCode::Session)], "that client is inside a task");
    let mut foreign = child_opens(62, parent, 11, 1);
    if let Input::ChildSessionOpened { session: of, secret, .. } = &mut foreign {
        *of = SessionId::of_child(session(3).family(), secret);
    }
    manager.step(foreign);
    assert_eq!(manager.refusals(), [(62, RefusalCode::Frame)]);
    manager.open_child(63, parent, 12, 4);
    assert_eq!(manager.refusals(), [(63, RefusalCode::Busy)], "no such worker");
    manager.join(12, 1, &[]);
    manager.open_child(64, parent, 12, 4);
    assert_eq!(manager.refusals(), [(64, RefusalCode::Session)], "that worker does not execute it");
}

#[test]
fn nothing_is_sent_ahead_for_a_session_whose_tasks_have_clients() {
    let mut manager = Manager::new(Limits::default());
    manager.join(11, 1, &[]);
    manager.open(1);
    (0..100).for_each(|sequence| manager.submit(1, task(1, sequence)));
    let mut held = VecDeque::from(manager.runs(11));
    for _ in 0..20 {
        let run = held.pop_front().expect("one runs");
        manager.finish(11, run, Status::Ok, 20);
        held.extend(manager.runs(11));
    }
    assert!(held.len() > 1, "short tasks are sent ahead");
    let parent = held[0];
    manager.open_child(50, parent, 11, 1);
    let recalled =
        manager.sent_to_worker(11).into_iter().any(|message| matches!(message, ToWorker::Recall(_)));
    assert!(recalled, "what waits there would start before what is waited for");
}

// kind: tasks that wait for tasks | a deep tree of tasks on few slots | right | deeper ones go first, so those that wait stay near slots times depth
#[test]
fn a_deep_tree_of_tasks_ends_with_few_that_wait() {
    for slots in [1, 2, 4] {
        let mut tree = Tree::new(slots, 12);
        let most = tree.run();
        assert!(most <= slots as usize * 12, "{most} tasks waited at once on {slots} slots");
    }
}

/// Fibonacci by tasks: each of n > 1 starts two and waits for them.
struct Tree {
    manager: Manager,
    nodes: Vec<Node>,
    depth: u64,
}

struct Node {
    attempt: AttemptId,
    n: u64,
    link: u64,
    session: Option<SessionId>,
    open: usize,
    parent: Option<usize>,
}

impl Tree {
    fn new(slots: u32, depth: u64) -> Self {
        let mut manager = Manager::new(Limits::default());
        manager.join(11, slots, &[]);
        manager.open(1);
        manager.submit(1, task(1, depth));
        Self { manager, nodes: Vec::new(), depth }
    }

    /// Runs to the end; returns how many waited at once at most.
    fn run(&mut self) -> usize {
        let mut most = 0;
        let mut ended = 0;
        loop {
            let runs = self.manager.runs(11);
            if runs.is_empty() && ended == self.nodes.len() {
                assert_eq!(self.manager.outcomes(1).len(), 1, "the root has not ended");
                assert!(self.nodes.len() > self.depth as usize);
                return most;
            }
            assert!(!runs.is_empty(), "nothing runs and {} tasks have not ended", self.nodes.len() - ended);
            for run in runs {
                ended += self.start(run);
                let waiting = self.nodes.iter().filter(|node| node.open > 0).count();
                most = most.max(waiting);
            }
        }
    }

    /// Does what a task does when it starts; returns the number of tasks that ended by that.
    fn start(&mut self, attempt: AttemptId) -> usize {
        let parent = self.nodes.iter().position(|node| node.session == Some(attempt.task.session));
        let n = attempt.task.sequence % 100;
        let at = self.nodes.len();
        let link = 1_000 + at as u64;
        self.nodes.push(Node { attempt, n, link, session: None, open: 0, parent });
        if n < 2 {
            return self.end(at);
        }
        let session = self.manager.open_child(link, attempt, 11, at as u64 + 1);
        self.nodes[at].session = Some(session);
        self.nodes[at].open = 2;
        self.manager.submit(link, child_task(session, 100 + n - 1));
        self.manager.submit(link, child_task(session, 200 + n - 2));
        self.manager.lend(11, attempt, true);
        0
    }

    fn end(&mut self, at: usize) -> usize {
        let Node { attempt, parent, link, .. } = self.nodes[at];
        assert!(self.nodes[at].n < 2 || link > 0);
        self.manager.finish(11, attempt, Status::Ok, 200);
        let Some(parent) = parent else {
            return 1;
        };
        self.nodes[parent].open -= 1;
        if self.nodes[parent].open > 0 {
            return 1;
        }
        let waiter = self.nodes[parent].attempt;
        self.manager.lend(11, waiter, false);
        1 + self.end(parent)
    }
}

#[test]
fn a_task_of_a_task_whose_kind_rests_keeps_its_turn_when_a_task_beside_it_starts() {
    let (mut manager, parent) = with_parent();
    manager.lend(11, parent, true);
    let mut limited = child_task(manager.open_child(21, parent, 11, 5), 1);
    limited.head.memory_mib = 64;
    let below = AttemptId { task: limited.head.id, attempt: Attempt(1) };
    manager.submit(21, limited);
    manager.returned(11, &[below]);
    manager.submit(1, task(1, 2));
    assert_eq!(manager.runs(11), [below, attempt(1, 2, 1)]);
    manager.finish(11, attempt(1, 2, 1), Status::Ok, 500);
    manager.pass(Duration::from_secs(1));
    assert_eq!(manager.runs(11), [below], "its kind has rested");
}
