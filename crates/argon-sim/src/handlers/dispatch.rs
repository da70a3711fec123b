//! The loop that lets things happen, one after the other.

use crate::event::{Dialler, Event, Packet};
use crate::world::World;

/// The longest that everything may take after the last planned event, microseconds.
const PATIENCE: u64 = 300_000_000;
/// Number of events for each task and process beyond which something goes round in circles.
const EVENTS_MAX: u64 = 40_000;

impl World {
    /// Lets everything happen; the reason if something happens that must not.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        let patience = self.plan.quiet_from() + PATIENCE + self.plan.work_us();
        let size =
            (self.plan.tasks.len() + self.workers.len() + self.clients.len() + 50 * self.rogues.len()) as u64;
        let mut until = patience;
        while let Some((at, event)) = self.queue.pop() {
            debug_assert!(at >= self.now);
            self.now = at;
            self.events += 1;
            self.happen(event);
            if let Some(complaint) = self.oracle.verdict.take() {
                return Err(complaint);
            }
            if !self.is_closing && self.is_everything_delivered() {
                self.is_closing = true;
                self.delivered_at = self.now;
                self.close();
                until = self.now + PATIENCE + self.longest_keeping();
            }
            if self.is_closing && self.is_all_forgotten() {
                return Ok(());
            }
            if self.now > until {
                return Err(self.describe_standstill());
            }
            if self.events > size * EVENTS_MAX + 1_000_000 {
                return Err(format!("{} events and no end: something goes round in circles", self.events));
            }
        }
        Err("nothing is left to happen and the work is not done".to_owned())
    }

    pub(crate) fn happen(&mut self, event: Event) {
        let Some(event) = self.happens_elsewhere(event) else {
            return;
        };
        if let Some(stalled) = self.stalled_by(&event) {
            stalled.push(event);
            return;
        }
        match event {
            Event::Arrive { connection, up, packet } => self.on_arrive(connection, up, packet),
            Event::Reset { connection, up } => self.on_reset(connection, up),
            Event::DialArrives { dialler, incarnation, dial } => {
                self.on_dial_arrives(dialler, incarnation, dial)
            }
            Event::DialFails { dialler, incarnation, dial } => self.on_dial_fails(dialler, incarnation, dial),
            Event::Dial { worker, incarnation, dial } => self.on_dial(worker, incarnation, dial),
            Event::WorkerCut { worker, connection } => self.on_worker_cut(worker, connection),
            Event::WorkerOverdue { worker, incarnation } => self.on_worker_overdue(worker, incarnation),
            Event::WorkerBeat { worker, incarnation } => self.on_worker_beat(worker, incarnation),
            Event::ManagerStarts => self.on_manager_starts(),
            Event::ManagerWorks { incarnation } => self.on_manager_works(incarnation),
            Event::ManagerTimer { incarnation, at } => self.on_manager_timer(incarnation, at),
            Event::ManagerBeat { incarnation } => self.on_manager_beat(incarnation),
            Event::CommitEnds { incarnation } => self.on_commit_ends(incarnation),
            Event::StoreMayTry { incarnation } => self.on_store_may_try(incarnation),
            Event::WorkerStarts { worker } => self.on_worker_starts(worker),
            Event::WorkerTimer { worker, incarnation, at } => self.on_worker_timer(worker, incarnation, at),
            Event::Runner { worker, incarnation, runner, does } => {
                self.on_runner(worker, incarnation, runner, does);
            }
            Event::Template { worker, incarnation, key, number, does } => {
                self.on_template(worker, incarnation, key, number, does);
            }
            Event::ClientSubmits { task } => self.on_client_submits(task),
            Event::ClientCancels { task } => self.on_client_cancels(task),
            Event::ClientCollects { task } => self.on_client_collects(task),
            Event::ClientStarts { client } => self.on_client_starts(client),
            Event::ClientTimer { client, at } => self.on_client_timer(client, at),
            Event::FaultBegins(fault) => self.on_fault_begins(fault),
            Event::FaultEnds(fault) => self.on_fault_ends(fault),
            Event::RogueActs { rogue } => self.on_rogue_acts(rogue),
            Event::Watch => self.on_watch(),
        }
    }

    /// Queue for an event whose process stands still.
    fn stalled_by(&mut self, event: &Event) -> Option<&mut Vec<Event>> {
        let process = match event {
            Event::Arrive { connection, up: false, .. } | Event::Reset { connection, up: false } => {
                self.net.connections[*connection].dialler
            }
            Event::DialFails { dialler, .. } => *dialler,
            Event::Dial { worker, .. }
            | Event::WorkerBeat { worker, .. }
            | Event::WorkerTimer { worker, .. }
            | Event::Runner { worker, .. }
            | Event::Template { worker, .. } => Dialler::Worker(*worker),
            Event::ClientSubmits { task } | Event::ClientCancels { task } => {
                Dialler::Client(self.plan.tasks[*task].client)
            }
            Event::ClientCollects { task } => Dialler::Client(self.collector_of(*task)),
            Event::ClientStarts { client } | Event::ClientTimer { client, .. } => Dialler::Client(*client),
            Event::Arrive { up: true, .. }
            | Event::Reset { up: true, .. }
            | Event::DialArrives { .. }
            | Event::ManagerWorks { .. }
            | Event::ManagerTimer { .. }
            | Event::ManagerBeat { .. }
            | Event::CommitEnds { .. }
            | Event::StoreMayTry { .. } => {
                return (self.manager.frozen > 0).then_some(&mut self.manager.stalled);
            }
            Event::ManagerStarts
            | Event::WorkerStarts { .. }
            | Event::FaultBegins(_)
            | Event::FaultEnds(_)
            | Event::WorkerOverdue { .. }
            | Event::WorkerCut { .. }
            | Event::RogueActs { .. }
            | Event::Watch => return None,
        };
        match process {
            Dialler::Rogue(_) => None,
            Dialler::Worker(worker) => {
                let worker = &mut self.workers[worker];
                (worker.frozen > 0).then_some(&mut worker.stalled)
            }
            Dialler::Client(client) => {
                if let Some(parent) = self.clients[client].parent {
                    // It is gone with its worker, and stands still with it.
                    let worker = &mut self.workers[parent.worker];
                    return (worker.frozen > 0).then_some(&mut worker.stalled);
                }
                let client = &mut self.clients[client];
                (client.frozen > 0).then_some(&mut client.stalled)
            }
        }
    }

    fn on_arrive(&mut self, id: usize, up: bool, packet: Packet) {
        if !self.is_deliverable(id, up) {
            return;
        }
        self.deliver(id, up, packet);
    }

    /// As if the other end had closed, whatever the network does.
    fn on_reset(&mut self, id: usize, up: bool) {
        if self.net.connections[id].ends[usize::from(up)] {
            self.deliver(id, up, Packet::End);
        }
    }

    fn deliver(&mut self, id: usize, up: bool, packet: Packet) {
        if up {
            return self.manager_receives(id, packet);
        }
        match self.net.connections[id].dialler {
            Dialler::Worker(worker) => self.worker_receives(worker, id, packet),
            Dialler::Client(client) => self.client_receives(client, id, packet),
            Dialler::Rogue(rogue) => self.rogue_receives(rogue, id, packet),
        }
    }

    /// Incarnation and dial of a process that accept an answer now.
    pub(crate) fn dial_of(&self, dialler: Dialler) -> Option<(u32, u32)> {
        match dialler {
            Dialler::Worker(worker) => {
                let worker = &self.workers[worker];
                (worker.process.is_some() && worker.dial.is_dialling())
                    .then_some((worker.incarnation, worker.dial.number))
            }
            Dialler::Client(client) => {
                let client = &self.clients[client];
                (client.is_alive && client.dial.is_dialling()).then_some((0, client.dial.number))
            }
            Dialler::Rogue(rogue) => {
                let rogue = &self.rogues[rogue];
                (rogue.is_active && rogue.dial.is_dialling()).then_some((0, rogue.dial.number))
            }
        }
    }

    pub(crate) fn dialler_connects(&mut self, dialler: Dialler, id: usize) {
        self.dial_state_of(dialler).connects(id);
    }

    fn on_dial(&mut self, worker: usize, incarnation: u32, dial: u32) {
        let dialler = Dialler::Worker(worker);
        if !self.is_living(dialler, incarnation) || self.dial_state_of(dialler).number != dial {
            return;
        }
        let dial = self.dial_state_of(dialler).begin_dial();
        self.dial(dialler, incarnation, dial);
    }

    fn on_dial_fails(&mut self, dialler: Dialler, incarnation: u32, dial: u32) {
        if !self.is_living(dialler, incarnation) || !self.dial_state_of(dialler).is_opening(dial) {
            return;
        }
        self.lose_connection(dialler);
    }

    pub(crate) fn is_living(&self, dialler: Dialler, incarnation: u32) -> bool {
        match dialler {
            Dialler::Worker(worker) => {
                self.workers[worker].process.is_some() && self.workers[worker].incarnation == incarnation
            }
            Dialler::Client(client) => self.clients[client].is_alive,
            Dialler::Rogue(rogue) => self.rogues[rogue].is_active,
        }
    }

    pub(crate) fn dial_state_of(&mut self, dialler: Dialler) -> &mut crate::dial_state::DialState {
        match dialler {
            Dialler::Worker(worker) => &mut self.workers[worker].dial,
            Dialler::Client(client) => &mut self.clients[client].dial,
            Dialler::Rogue(rogue) => &mut self.rogues[rogue].dial,
        }
    }
}
