//! Two managers, of which one is seated: everybody who dials comes to it. The other lives on, cut off from all, and takes
//! its seat again at the next failover with what it knew.
//!
//! What happens to the manager that has no seat is handled with the places swapped, and the oracle does not look: nothing
//! that it decides reaches anybody.

use crate::event::{Dialler, Event};
use crate::world::World;

/// Numbers of the incarnations at the second place begin here.
pub(crate) const SECOND_PLACE: u32 = 1 << 31;

/// How much later than at once a dialler comes to the manager that takes over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Lateness {
    /// When the failover was.
    since: u64,
    longest_us: u64,
}

impl World {
    pub(crate) fn on_failover(&mut self, kills: bool, late_us: u64) {
        self.lateness = Lateness { since: self.now, longest_us: late_us };
        if kills {
            self.crash_manager(false);
        } else {
            if let Some(process) = self.manager.process.take() {
                self.note_sessions_given_up(&process);
                self.manager.process = Some(process);
            }
            self.oracle.manager_lost();
        }
        self.cut_everybody();
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

    fn cut_everybody(&mut self) {
        let workers = (0..self.workers.len()).map(Dialler::Worker);
        let clients = (0..self.clients.len()).map(Dialler::Client);
        let rogues = (0..self.rogues.len()).map(Dialler::Rogue);
        for dialler in workers.chain(clients).chain(rogues) {
            self.cut(dialler);
        }
    }

    /// How long a dialler tries elsewhere before it dials the manager that has taken over.
    pub(crate) fn pause_before_dial(&mut self, dialler: Dialler) -> u64 {
        let Lateness { since, longest_us } = self.lateness;
        let is_late = longest_us > 0 && self.now < since + longest_us;
        match dialler {
            Dialler::Worker(_) if is_late => self.random.below(since + longest_us - self.now),
            Dialler::Client(client) if is_late && self.clients[client].parent.is_none() => {
                self.random.below(since + longest_us - self.now)
            }
            Dialler::Worker(_) | Dialler::Client(_) | Dialler::Rogue(_) => 0,
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
