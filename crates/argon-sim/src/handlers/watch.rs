//! Rules of progress, checked now and then: a task that can run and a free slot meet within a second; waits of tasks
//! for their own tasks end; no task outlives the attempt that it belongs to.

use argon_core::Time;
use argon_core::scheduler::WaitReason;
use argon_proto::Flags;

use crate::event::{Dialler, Event};
use crate::manager::PeerState;
use crate::plan::TaskPlan;
use crate::worker::Runner;
use crate::world::World;

/// Between two looks of the oracle.
const WATCH_EVERY: u64 = 250_000;
/// With a free slot, a task that can run starts within this time.
pub(crate) const STARTS_WITHIN: u64 = 1_000_000;
/// Time for which a kind of task rests at a worker that has given one back.
pub(crate) const REST: u64 = 1_000_000;
/// The longest that a template and a runner take to come up.
const COMES_UP_WITHIN: u64 = 800_000;
/// Time until a task is given up for which no runner comes up: several starts, with growing pauses.
const GIVES_UP_WITHIN: u64 = 20_000_000;
/// After the end of an attempt, its tasks have ended within this time: messages travel, TERM is ignored, KILL is not.
const ENDS_WITHIN: u64 = 3_000_000;

impl World {
    pub(crate) fn on_watch(&mut self) {
        if self.is_closing {
            return;
        }
        self.queue.push(self.now + WATCH_EVERY, Event::Watch);
        if self.plan.is_calm() {
            self.judge_nested_waits();
        }
        if self.plan.shape.untaken_bytes_are_ample() {
            self.excuse_held_back();
            self.judge_free_slots();
        }
    }

    /// Tasks of a session whose outcomes fill the memory wait until it has taken some. The manager says so, and its memory
    /// is full: then they could not be started until now.
    fn excuse_held_back(&mut self) {
        let Some(process) = &self.manager.process else {
            return;
        };
        let scheduler = &process.scheduler;
        if !self.plan.shape.has_little_memory() || !scheduler.is_memory_full() {
            return;
        }
        let is_held_back = |number: &usize| {
            let report = scheduler.waiting_of_task(Time(self.now), self.id_of(self.places[*number]));
            report.waiting.iter().any(|why| why.code == WaitReason::Memory.name())
        };
        let held_back: Vec<usize> = self.oracle.waiting_since(self.now).filter(is_held_back).collect();
        held_back.into_iter().for_each(|number| self.oracle.was_held_back(self.now, number));
    }

    /// A task that can run and a slot that is free: neither waits for long.
    fn judge_free_slots(&mut self) {
        for worker in 0..self.workers.len() {
            if !self.has_free_slot(worker) {
                self.workers[worker].free_since = None;
            } else if self.workers[worker].free_since.is_none() {
                self.workers[worker].free_since = Some(self.now);
            }
            let is_idle = self.busy(worker) < self.plan.shape.slots && self.workers[worker].frozen == 0;
            let idle_since = self.workers[worker].idle_since.unwrap_or(self.now);
            self.workers[worker].idle_since = is_idle.then_some(idle_since);
        }
        let travels = 4 * self.net.longest_delay() + 2 * self.plan.shape.commit_us.1;
        let within = STARTS_WITHIN + travels;
        let free_since = self.workers.iter().filter_map(|worker| worker.free_since).min();
        let Some(free_since) = free_since.filter(|since| since + within < self.now) else {
            return;
        };
        let is_wanted = |place: &usize| {
            let client = self.plan.tasks[*place].client;
            self.has_offered(client) && !self.oracle.is_uprooted(self.id_of(*place))
        };
        let at = self.now.saturating_sub(within);
        let rested = |place: &usize| self.oracle.has_rested_since(self.plan.tasks[*place].memory_mib, at);
        let waiting = self.oracle.waiting_since(at).filter(|number| {
            let place = self.places[*number];
            is_wanted(&place) && !rested(&place)
        });
        let waiting = waiting.min();
        if let Some(number) = waiting {
            let id = self.id_of(self.places[number]);
            let state = self.manager.process.as_ref().and_then(|process| process.scheduler.task_state(id));
            self.oracle.fail(format!(
                "task {number}, {id:?}, can run and a slot is free since {free_since}, and it does not start; \
                 the manager says: {}",
                state.unwrap_or_default()
            ));
        }
        self.judge_pools(within);
    }

    /// True if the manager knows which tasks a client waits for.
    fn has_offered(&self, client: usize) -> bool {
        let link = self.clients[client].dial.open().map(|id| self.net.connections[id].link);
        let process = self.manager.process.as_ref();
        let peer = link.zip(process).and_then(|(link, process)| process.peers.get(&link));
        self.clients[client].is_alive && peer.is_some_and(|peer| peer.has_offered)
    }

    /// A worker with a free slot starts what it was given. Runners that do not come up excuse it.
    fn judge_pools(&mut self, within: u64) {
        if !self.plan.faults.is_empty() {
            return;
        }
        let within = within + COMES_UP_WITHIN;
        for worker in 0..self.workers.len() {
            let at = self.now.saturating_sub(within);
            if self.workers[worker].idle_since.is_none_or(|since| since > at) {
                continue;
            }
            let given = self.oracle.given_since(worker, at).find(|number| !self.is_hopeless(*number));
            let has_progress = |number: &usize| {
                self.oracle.has_begun_since(worker, self.plan.tasks[self.places[*number]].memory_mib, at)
            };
            if let Some(number) = given.filter(|number| !has_progress(number)) {
                self.oracle
                    .fail(format!("worker {worker} has a free slot, and does not start task {number}"));
            }
        }
    }

    /// True for a task whose runners cannot come up.
    fn is_hopeless(&self, number: usize) -> bool {
        self.plan.tasks[self.places[number]].is_too_small()
    }

    /// True if a worker can be given a task now and begin it: the manager reaches it, and it holds fewer than it has slots.
    fn has_free_slot(&self, worker: usize) -> bool {
        let place = &self.workers[worker];
        let dialler = Dialler::Worker(worker);
        let Some(process) = &place.process else {
            return false;
        };
        let Some(manager) = &self.manager.process else {
            return false;
        };
        let is_reached = place.dial.open().is_some_and(|id| {
            let connection = &self.net.connections[id];
            let lent = process.runners.values().filter(|runner| runner.waits).count();
            let has_room = |peer: &PeerState| peer.holds.len() < self.plan.shape.slots + lent;
            !connection.is_dead
                && manager
                    .peers
                    .get(&connection.link)
                    .is_some_and(|peer| peer.worker == Some(process.id) && has_room(peer))
        });
        is_reached
            // Tasks that wait until the store knows of their start have taken their slots.
            && !self.manager.store.is_full
            && !self.manager.store.is_broken
            && place.frozen == 0
            && place.starved == 0
            && !process.was_asked_to_leave
            && !self.net.is_partitioned(dialler)
            && self.manager.frozen == 0
            && !manager.waits
            && manager.inbox.is_empty()
            && self.busy(worker) < self.plan.shape.slots
    }

    /// Number of tasks that take slots of a worker.
    pub(crate) fn busy(&self, worker: usize) -> usize {
        let takes_slot = |runner: &&Runner| runner.task.is_some() && !runner.waits;
        let process = self.workers[worker].process.as_ref();
        process.map_or(0, |process| process.runners.values().filter(takes_slot).count())
    }

    /// A worker is given a task: it may be the last that it can begin at once.
    pub(crate) fn note_given(&mut self, dialler: Dialler, holds: usize) {
        if let Dialler::Worker(worker) = dialler
            && holds >= self.plan.shape.slots
        {
            self.workers[worker].free_since = None;
        }
    }

    /// Time until a task is given up for which no runner can come up.
    fn gives_up_within(&self) -> u64 {
        let is_any_too_small = self.plan.tasks.iter().any(TaskPlan::is_too_small);
        if is_any_too_small { GIVES_UP_WITHIN } else { 0 }
    }

    fn judge_nested_waits(&mut self) {
        // Looked up only where a task waits: a run without such has a million watches.
        let pause = || self.plan.tasks.iter().map(TaskPlan::longest_pause_us).max().unwrap_or(0);
        let running = || {
            let processes = self.workers.iter().filter_map(|worker| worker.process.as_ref());
            processes.flat_map(|process| process.runners.values()).filter(|runner| runner.task.is_some())
        };
        let waiting = running().filter(|runner| runner.waits).count();
        let is_stuck = waiting > 0
            && running().count() == waiting
            && self.oracle.progress_at + STARTS_WITHIN < self.now
            && self.oracle.progress_at + STARTS_WITHIN + pause() + self.gives_up_within() < self.now;
        let outlives = |task: &&argon_proto::Task| {
            !task.head.flags.contains(Flags::DETACHED)
                && self.oracle.parent_ended_at(task.head.id).is_some_and(|at| at + ENDS_WITHIN < self.now)
        };
        let orphan =
            running().filter_map(|runner| runner.task.as_ref()).find(outlives).map(|task| task.head.id);
        if is_stuck {
            self.oracle.fail(format!("{waiting} tasks wait for their own, and nothing else starts"));
        }
        if let Some(id) = orphan {
            self.oracle.fail(format!("{id:?} runs on after the attempt that it belongs to"));
        }
    }
}
