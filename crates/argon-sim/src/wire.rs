//! A dialler's view of its one connection: when it dials, when it waits, when it gives up.

use crate::event::{Dialler, Event};
use crate::world::World;

/// First pause between two dials, and the longest, microseconds.
const PAUSE: (u64, u64) = (50_000, 2_000_000);
/// A manager that was not heard for so long is dead.
pub(crate) const SILENCE: u64 = 15_000_000;
/// Who has said nothing for so long sends a PING.
pub(crate) const QUIET: u64 = 5_000_000;

/// The state of a dialler's connection. Times are on its own clock.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    state: State,
    /// Number of the last dial.
    pub(crate) dial: u32,
    tries: u32,
    pub(crate) heard: u64,
    pub(crate) said: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Away,
    Dialling,
    /// Connected, and not yet let in.
    Opening(usize),
    /// Let in.
    Open(usize),
}

impl Wire {
    pub(crate) fn is_dialling(&self) -> bool {
        self.state == State::Dialling
    }

    pub(crate) fn is_opening(&self, dial: u32) -> bool {
        self.dial == dial && matches!(self.state, State::Dialling | State::Opening(_))
    }

    pub(crate) fn begin_dial(&mut self) -> u32 {
        self.dial += 1;
        self.state = State::Dialling;
        self.dial
    }

    pub(crate) fn connects(&mut self, id: usize) {
        self.state = State::Opening(id);
    }

    pub(crate) fn opens(&mut self, now: u64) {
        if let State::Opening(id) = self.state {
            self.state = State::Open(id);
            self.tries = 0;
            self.heard = now;
            self.said = now;
        }
    }

    /// The connection, let in or not.
    pub(crate) fn any(&self) -> Option<usize> {
        match self.state {
            State::Opening(id) | State::Open(id) => Some(id),
            State::Away | State::Dialling => None,
        }
    }

    /// The connection on which it was let in.
    pub(crate) fn open(&self) -> Option<usize> {
        match self.state {
            State::Open(id) => Some(id),
            State::Away | State::Dialling | State::Opening(_) => None,
        }
    }

    /// The connection is gone; the mean pause before the next dial.
    fn lose(&mut self) -> u64 {
        let was_open = self.open().is_some();
        self.state = State::Away;
        if was_open {
            return 0;
        }
        self.tries += 1;
        (PAUSE.0 << self.tries.min(10)).min(PAUSE.1)
    }

    pub(crate) fn rest(&mut self) {
        self.state = State::Away;
        self.dial += 1;
    }
}

impl World {
    /// A dialler gives its connection up and dials again after a while.
    pub(crate) fn lose_wire(&mut self, dialler: Dialler) {
        if let Some(id) = self.wire_of(dialler).any() {
            self.close_end(id, true);
        }
        if let Dialler::Worker(worker) = dialler {
            self.worker_loses_manager(worker);
        }
        let wire = self.wire_of(dialler);
        let pause = wire.lose();
        let dial = wire.dial;
        let wait = self.random.between(pause / 2, pause);
        let life = self.life_of(dialler);
        self.agenda.enter(self.now + wait, Event::Dial { dialler, life, dial });
    }

    fn life_of(&self, dialler: Dialler) -> u32 {
        match dialler {
            Dialler::Worker(worker) => self.workers[worker].life,
            Dialler::Client(_) => 0,
        }
    }
}
