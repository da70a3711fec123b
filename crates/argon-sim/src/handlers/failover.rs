//! Two managers, of which one is seated: everybody who dials comes to it. The other lives on and takes its seat again at the
//! next failover with what it knew. It is cut off from its clients at once, and from its workers at once or a little later:
//! until then it starts tasks and reads outcomes beside the one that has taken over.
//!
//! What happens to the manager that has no seat is handled with the places swapped, and the oracle does not look: it judges
//! what workers run, and what the seated manager decides.

use crate::event::{Dialler, Event};
use crate::lateness::Lateness;
use crate::world::World;

impl World {
    pub(crate) fn on_failover(&mut self, kills: bool, late_us: u64, leaves_workers: bool) {
        self.lateness = Lateness::since(self.now, late_us);
        if kills {
            self.crash_manager(false);
        } else {
            if let Some(process) = self.manager.process.take() {
                self.note_sessions_given_up(&process);
                self.manager.process = Some(process);
            }
            self.oracle.manager_lost();
        }
        self.cut_clients();
        self.cut_workers(if leaves_workers { late_us } else { 0 });
        std::mem::swap(&mut self.manager, &mut self.stand_by);
        let incarnation = self.manager.incarnation;
        self.trace.note(self.now, [19, u64::from(incarnation), 0], || {
            format!("everybody goes to manager {incarnation}")
        });
        match &mut self.manager.process {
            Some(process) => {
                process.was_away = !process.known.is_empty() || !process.arrived.is_empty();
                process.known.clear();
                process.arrived.clear();
            }
            None => self.on_manager_starts(),
        }
    }

    fn cut_clients(&mut self) {
        let clients = (0..self.clients.len()).map(Dialler::Client);
        let rogues = (0..self.rogues.len()).map(Dialler::Rogue);
        for dialler in clients.chain(rogues) {
            self.cut(dialler);
        }
    }

    /// Cuts all workers off within `within` microseconds.
    fn cut_workers(&mut self, within: u64) {
        for worker in 0..self.workers.len() {
            match self.workers[worker].dial.any() {
                Some(connection) if within > 0 => {
                    let at = self.now + self.random.below(within);
                    self.queue.push(at, Event::WorkerCut { worker, connection });
                }
                Some(_) | None => self.cut(Dialler::Worker(worker)),
            }
        }
    }

    /// A worker that has stayed with the manager without a seat leaves it.
    pub(crate) fn on_worker_cut(&mut self, worker: usize, connection: usize) {
        if self.workers[worker].dial.any() == Some(connection) {
            self.cut(Dialler::Worker(worker));
        }
    }

    /// Delay with which a dialler comes to the manager that has taken over.
    pub(crate) fn pause_before_dial(&mut self, dialler: Dialler) -> u64 {
        let is_delayed = match dialler {
            Dialler::Worker(_) => true,
            Dialler::Client(client) => self.clients[client].parent.is_none(),
            Dialler::Rogue(_) => false,
        };
        match self.lateness.left(self.now) {
            Some(left) if is_delayed => self.random.below(left),
            Some(_) | None => 0,
        }
    }

    /// Lets an event happen to the manager that has no seat, if it is its own.
    pub(crate) fn happens_elsewhere(&mut self, event: Event) -> Option<Event> {
        let is_elsewhere = match &event {
            Event::ManagerWorks { incarnation }
            | Event::ManagerTimer { incarnation, .. }
            | Event::ManagerBeat { incarnation }
            | Event::CommitEnds { incarnation }
            | Event::StoreMayTry { incarnation } => *incarnation == self.stand_by.incarnation,
            Event::Arrive { connection, up: true, .. } | Event::Reset { connection, up: true } => {
                self.net.connections[*connection].manager == self.stand_by.incarnation
            }
            Event::Arrive { up: false, .. }
            | Event::Reset { up: false, .. }
            | Event::DialArrives { .. }
            | Event::DialFails { .. }
            | Event::WorkerOverdue { .. }
            | Event::WorkerCut { .. }
            | Event::Dial { .. }
            | Event::WorkerBeat { .. }
            | Event::ManagerStarts
            | Event::WorkerStarts { .. }
            | Event::WorkerTimer { .. }
            | Event::Runner { .. }
            | Event::Template { .. }
            | Event::ClientSubmits { .. }
            | Event::ClientCancels { .. }
            | Event::ClientCollects { .. }
            | Event::ClientStarts { .. }
            | Event::ClientTimer { .. }
            | Event::RogueActs { .. }
            | Event::FaultBegins(_)
            | Event::FaultEnds(_)
            | Event::Watch => false,
        };
        if !is_elsewhere {
            return Some(event);
        }
        self.elsewhere(|world| world.happen(event));
        None
    }

    /// Does something at the place of the manager that has no seat.
    pub(crate) fn elsewhere(&mut self, work: impl FnOnce(&mut Self)) {
        let swap = |world: &mut Self| std::mem::swap(&mut world.manager, &mut world.stand_by);
        swap(self);
        self.oracle.looks_away = true;
        work(self);
        self.oracle.looks_away = false;
        swap(self);
    }
}
