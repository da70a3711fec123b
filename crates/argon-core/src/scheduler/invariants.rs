//! Invariants of the scheduler. Tests and the simulator check them after every step.

use super::session::TaskCounts;
use super::task::TaskState;
use super::worker::Worker;
use super::{PeerKey, Scheduler};
use crate::pool::RunnerKind;

impl Scheduler {
    pub(super) fn assert_all_invariants(&self) {
        self.assert_tasks_are_where_they_say();
        self.assert_lists_are_complete();
        self.assert_peers_are_mutual();
        self.assert_children_are_mutual();
        self.assert_outcomes_are_kept();
        self.assert_nothing_waits_in_vain();
        self.assert_memory_is_counted();
        self.assert_owners_are_counted();
        self.assert_listings_are_counted();
    }

    fn assert_tasks_are_where_they_say(&self) {
        let mut queued = [0; 3];
        for (key, entry) in self.tasks.iter() {
            assert_eq!(self.task_of(&entry.task.head.id), Some(key));
            assert_eq!(
                self.sessions[entry.session].tasks.get(entry.session_place as usize),
                Some(&key),
                "a task is not in its session's list"
            );
            match entry.state {
                TaskState::Queued { .. } => {
                    let lane = entry.task.head.priority.index();
                    queued[lane] += 1;
                    let (session, place) = (&self.sessions[entry.session], (key, entry.stamp));
                    let is_in_place = match &session.aside {
                        Some(aside) if entry.is_aside => aside.places(lane).any(|other| *other == place),
                        _ => !entry.is_aside && session.lanes[lane].contains(&place),
                    };
                    assert!(is_in_place, "a queued task is not in its lane");
                }
                TaskState::Assigned { worker, place, .. } => assert_eq!(
                    self.workers[worker].assigned.get(place as usize),
                    Some(&key),
                    "an assigned task is not in its worker's list"
                ),
                TaskState::Persisting | TaskState::Recovering | TaskState::Delayed | TaskState::Ended(_) => {}
            }
        }
        assert_eq!(queued, self.queue.lengths(), "the queue's lengths are wrong");
        let recovering = self.tasks.values().filter(|entry| matches!(entry.state, TaskState::Recovering));
        assert_eq!(recovering.count(), self.recovering, "tasks that wait for a holder are miscounted");
        for session in self.sessions.values() {
            let mut counts = TaskCounts::default();
            for key in &session.tasks {
                let entry = &self.tasks[*key];
                counts.add(&entry.state, entry.task.head.runtime);
            }
            assert_eq!(counts, session.counts, "a session counts its tasks wrong");
        }
    }

    fn assert_lists_are_complete(&self) {
        assert_eq!(self.task_by_id.len(), self.tasks.len());
        assert_eq!(self.session_by_id.len(), self.sessions.len());
        assert_eq!(self.worker_by_id.len(), self.workers.len());
        let listed: usize = self.sessions.iter().map(|(_, session)| session.tasks.len()).sum();
        assert_eq!(listed, self.tasks.len(), "sessions list tasks that do not exist");
        let assigned: usize = self.workers.iter().map(|(_, worker)| worker.assigned.len()).sum();
        let say_so = self.tasks.iter().filter(|(_, entry)| entry.worker().is_some()).count();
        assert_eq!(assigned, say_so, "workers list tasks that are not assigned to them");
        for orphan in self.orphans.values() {
            assert!(self.workers.contains(orphan.worker));
        }
    }

    fn assert_peers_are_mutual(&self) {
        for (link, peer) in &self.peers {
            let theirs = match peer {
                PeerKey::Client(key) => self.sessions[*key].link,
                PeerKey::Worker(key) => self.workers[*key].link,
            };
            assert_eq!(theirs, Some(*link), "a connection's peer has another connection");
        }
        let connected = self.sessions.iter().filter(|(_, session)| session.link.is_some()).count()
            + self.workers.iter().filter(|(_, worker)| worker.link.is_some()).count();
        assert_eq!(connected, self.peers.len());
        for (key, worker) in self.workers.iter() {
            let is_listed = self.placement.is_able(key);
            assert_eq!(is_listed, worker.may_take(), "the placement index is stale");
        }
        for (key, session) in self.sessions.iter() {
            for lane in 0..3 {
                let ring = &self.queue.owners[session.owner].rings[lane];
                let has_turn = ring.contains(&key);
                assert_eq!(
                    has_turn, session.has_turn[lane],
                    "a session has a turn and does not know it, or not"
                );
                let waits = session.has_waiting(lane) && !self.is_choked(session);
                let nested = session.nested.as_ref();
                let must = waits || nested.is_some_and(|nested| !nested.waiting[lane].is_empty());
                assert!(has_turn || !must || session.root != key, "a session with waiting tasks has no turn");
            }
        }
    }

    /// Sessions with clients inside tasks wait for a free slot, others for any room.
    fn assert_nothing_waits_in_vain(&self) {
        let Some(best) = self.placement.best() else {
            return;
        };
        if self.timers.goes_on() {
            return;
        }
        if self.placement.has_choosy() {
            return self.assert_all_that_waits_rests();
        }
        let mut roots = (0..3).flat_map(|lane| self.queue.turns(lane));
        let is_nested = |root| self.sessions[root].nested.is_some();
        let in_vain = roots.any(|root| best.has_free_slot || !is_nested(root));
        assert!(!in_vain, "a task waits though a worker may take it");
    }

    /// A worker at which some kinds rest has no waiting tasks of other kinds, unless the step was cut short and the next one
    /// continues.
    fn assert_all_that_waits_rests(&self) {
        let able: Vec<_> = self.workers.values().filter(|worker| worker.may_take()).collect();
        for entry in self.tasks.values().filter(|entry| matches!(entry.state, TaskState::Queued { .. })) {
            let session = &self.sessions[entry.session];
            let kind = RunnerKind::asked_by(&entry.task);
            let is_nested = self.sessions[session.root].nested.is_some();
            let fits = |worker: &&&Worker| !worker.rests.has(kind) && (worker.free_slots() > 0 || !is_nested);
            let in_vain = !self.is_choked(session) && able.iter().any(|worker| fits(&worker));
            assert!(!in_vain, "a task waits though a worker may start it");
        }
    }
}
