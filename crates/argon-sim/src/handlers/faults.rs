//! Faults take effect, and end.

use argon_core::pool::Input as PoolInput;
use argon_core::scheduler::Input;
use argon_proto::WorkerId;

use crate::event::{Dialler, Event, RunnerDoes};
use crate::fault::{Fault, FaultKind};
use crate::world::World;

/// Time that a worker has to leave after it was asked to.
const LEAVES_WITHIN: u64 = 60_000_000;

impl World {
    pub(crate) fn on_fault_begins(&mut self, place: usize) {
        if self.is_closing {
            return;
        }
        let fault = self.plan.faults[place].clone();
        self.trace.note(self.now, [20, place as u64, 0], || format!("fault {fault}"));
        self.queue.push(self.now + fault.lasts, Event::FaultEnds(place));
        match fault.what {
            FaultKind::KillManager { is_silent } => self.crash_manager(is_silent),
            FaultKind::FreezeManager => self.freeze_manager(place),
            FaultKind::BreakStore => self.manager.store.is_broken = true,
            FaultKind::FillStore => self.manager.store.is_full = true,
            FaultKind::KillWorker { worker, is_silent } => self.end_worker(worker, is_silent),
            FaultKind::FreezeWorker(worker) => self.freeze_worker(worker, place),
            FaultKind::DrainWorker { worker, by_operator } => self.drain(worker, by_operator),
            FaultKind::StarveWorker(worker) => self.workers[worker].starved += 1,
            FaultKind::Failover { kills, late_us, leaves_workers } => {
                self.on_failover(kills, late_us, leaves_workers);
            }
            FaultKind::KillRunner(worker) => self.kill_runner(worker),
            FaultKind::KillTemplate(worker) => self.kill_template(worker),
            FaultKind::KillClient(client) => self.end_client(client),
            FaultKind::FreezeClient(client) => self.clients[client].frozen += 1,
            FaultKind::Cut(dialler) => self.cut(dialler),
            FaultKind::CutAll => self.all_diallers().into_iter().for_each(|dialler| self.cut(dialler)),
            FaultKind::Blackhole(dialler) => {
                if let Some(id) = self.dial_state_of(dialler).any() {
                    self.blackhole(id);
                }
            }
            FaultKind::Partition { dialler, up, down } => self.set_partition(dialler, [up, down], true),
        }
    }

    pub(crate) fn on_fault_ends(&mut self, place: usize) {
        let Fault { what, .. } = self.plan.faults[place];
        match what {
            FaultKind::KillManager { .. } => self.on_manager_starts(),
            FaultKind::FreezeManager => self.thaw_manager(place),
            FaultKind::FillStore => {
                self.manager.store.is_full = false;
                self.stand_by.store.is_full = false;
            }
            FaultKind::KillWorker { worker, .. } => self.on_worker_starts(worker),
            FaultKind::FreezeWorker(worker) => self.thaw_worker(worker, place),
            FaultKind::StarveWorker(worker) => self.workers[worker].starved -= 1,
            FaultKind::FreezeClient(client) => {
                self.clients[client].frozen -= 1;
                if self.clients[client].frozen == 0 {
                    let stalled = std::mem::take(&mut self.clients[client].stalled);
                    self.replay(stalled);
                }
            }
            FaultKind::Partition { dialler, up, down } => self.set_partition(dialler, [up, down], false),
            FaultKind::Failover { .. }
            | FaultKind::BreakStore
            | FaultKind::DrainWorker { .. }
            | FaultKind::KillRunner(_)
            | FaultKind::KillTemplate(_)
            | FaultKind::KillClient(_)
            | FaultKind::Cut(_)
            | FaultKind::CutAll
            | FaultKind::Blackhole(_) => {}
        }
    }

    fn freeze_manager(&mut self, place: usize) {
        if self.manager.process.is_some() {
            self.manager.frozen += 1;
            self.manager.stood_still = true;
            self.frozen_incarnations.insert(place, self.manager.incarnation);
        }
    }

    fn thaw_manager(&mut self, place: usize) {
        let incarnation = self.frozen_incarnations.remove(&place);
        if incarnation == Some(self.stand_by.incarnation) {
            self.stand_by.frozen -= 1;
            if self.stand_by.frozen == 0 {
                let stalled = std::mem::take(&mut self.stand_by.stalled);
                self.replay(stalled);
            }
        }
        if incarnation == Some(self.manager.incarnation) {
            self.manager.frozen -= 1;
            if self.manager.frozen == 0 {
                let stalled = std::mem::take(&mut self.manager.stalled);
                self.replay(stalled);
            }
        }
    }

    fn freeze_worker(&mut self, worker: usize, place: usize) {
        if self.workers[worker].process.is_some() {
            self.workers[worker].frozen += 1;
            self.frozen_incarnations.insert(place, self.workers[worker].incarnation);
        }
    }

    fn thaw_worker(&mut self, worker: usize, place: usize) {
        let is_same = self.frozen_incarnations.remove(&place) == Some(self.workers[worker].incarnation);
        if is_same && self.workers[worker].process.is_some() {
            self.workers[worker].frozen -= 1;
            if self.workers[worker].frozen == 0 {
                let stalled = std::mem::take(&mut self.workers[worker].stalled);
                self.replay(stalled);
            }
        }
    }

    /// A process that stood still takes in what came meanwhile, now and in order.
    fn replay(&mut self, stalled: Vec<Event>) {
        for event in stalled {
            self.queue.push(self.now, event);
        }
    }

    fn drain(&mut self, worker: usize, by_operator: bool) {
        let incarnation = self.workers[worker].incarnation;
        self.queue.push(self.now + LEAVES_WITHIN, Event::WorkerOverdue { worker, incarnation });
        if let Some(process) = &mut self.workers[worker].process {
            process.was_asked_to_leave = true;
        }
        if !by_operator {
            if self.workers[worker].process.is_some() && self.workers[worker].frozen == 0 {
                self.step_worker(worker, PoolInput::DrainRequested("it was asked to stop".to_owned()));
            }
            return;
        }
        let Some(id) = self.worker_id(worker) else {
            return;
        };
        let incarnation = self.manager.incarnation;
        if self.manager.frozen > 0 {
            return;
        }
        self.with_manager(incarnation, |world, process| {
            let now = process.clock.read(world.now);
            world.step_manager(now, process, Input::DrainRequested { worker: id, within: None });
        });
        self.manager_works_soon();
    }

    /// Acts as a service manager. It also ends a wait that would last: while the last worker drains, tasks of its tasks have
    /// nowhere to start.
    pub(crate) fn on_worker_overdue(&mut self, worker: usize, incarnation: u32) {
        if self.is_living(Dialler::Worker(worker), incarnation) {
            self.end_worker(worker, false);
            self.queue.push(self.now + 1_000_000, Event::WorkerStarts { worker });
        }
    }

    fn worker_id(&self, worker: usize) -> Option<WorkerId> {
        self.workers[worker].process.as_ref().map(|process| process.id)
    }

    fn kill_runner(&mut self, worker: usize) {
        let chance = self.random.next();
        let Some(process) = &self.workers[worker].process else {
            return;
        };
        let count = process.runners.len().max(1) as u64;
        let runner = process.runners.iter().nth((chance % count) as usize);
        if let Some(runner) = runner.map(|(id, _)| *id) {
            self.runner_will(worker, runner, 0, RunnerDoes::End { signal: Some(9) });
        }
    }

    fn end_client(&mut self, client: usize) {
        self.clients[client].is_alive = false;
        if let Some(id) = self.clients[client].dial.any() {
            self.close_end(id, true);
        }
        self.clients[client].dial.rest();
    }

    /// Both ends of a connection learn of its end, each in its own time; what was under way is gone.
    pub(crate) fn cut(&mut self, dialler: Dialler) {
        let Some(id) = self.dial_state_of(dialler).any() else {
            return;
        };
        self.blackhole(id);
        let waits = (self.net.delay(&mut self.random), self.net.delay(&mut self.random));
        self.queue.push(self.now + waits.0, Event::Reset { connection: id, up: true });
        self.queue.push(self.now + waits.1, Event::Reset { connection: id, up: false });
    }

    fn all_diallers(&self) -> Vec<Dialler> {
        let workers = (0..self.workers.len()).map(Dialler::Worker);
        workers.chain((0..self.clients.len()).map(Dialler::Client)).collect()
    }
}
