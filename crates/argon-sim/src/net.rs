//! Connections: delay, order, reset, silence, partition. A connection is made by a dialler with one life of the manager.

use std::collections::VecDeque;

use argon_core::scheduler::ConnId;

use crate::event::{Dialler, Event, Packet};
use crate::random::Random;
use crate::world::World;

/// How long a dialler tries to reach a machine that does not answer.
const DIAL_TIMEOUT: u64 = 3_000_000;

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) dialler: Dialler,
    pub(crate) link: ConnId,
    /// Whether the dialler's, the manager's end is open.
    pub(crate) ends: [bool; 2],
    /// Nothing passes any more.
    is_dead: bool,
    /// When the last packet arrives, up and down.
    last: [u64; 2],
    /// What waits for the end of a partition, up and down.
    stuck: [VecDeque<Packet>; 2],
}

/// Who cannot reach whom.
#[derive(Debug, Default)]
pub(crate) struct Net {
    pub(crate) connections: Vec<Connection>,
    /// Partitions that hold now, by dialler: up and down.
    blocked: Vec<(Dialler, [u32; 2])>,
    delay_us: (u64, u64),
}

impl Net {
    pub(crate) fn new(delay_us: (u64, u64)) -> Self {
        Self { delay_us, ..Self::default() }
    }

    pub(crate) fn delay(&self, random: &mut Random) -> u64 {
        // Mostly near the least, now and then far from it.
        let far = if random.percent(10) { self.delay_us.1 } else { self.delay_us.0 * 3 };
        random.between(self.delay_us.0, far.max(self.delay_us.0))
    }

    fn is_blocked(&self, dialler: Dialler, up: bool) -> bool {
        self.blocked.iter().any(|(other, counts)| *other == dialler && counts[usize::from(!up)] > 0)
    }

    fn is_partitioned(&self, dialler: Dialler) -> bool {
        self.is_blocked(dialler, true) || self.is_blocked(dialler, false)
    }
}

impl World {
    pub(crate) fn send(&mut self, id: usize, up: bool, packet: Packet) {
        let connection = &self.net.connections[id];
        let sender_is_open = connection.ends[usize::from(!up)];
        if connection.is_dead || !sender_is_open {
            return;
        }
        if self.net.is_blocked(connection.dialler, up) {
            self.net.connections[id].stuck[usize::from(!up)].push_back(packet);
            return;
        }
        let delay = self.net.delay(&mut self.random);
        let now = self.now;
        let last = &mut self.net.connections[id].last[usize::from(!up)];
        let at = (now + delay).max(*last);
        *last = at;
        self.agenda.enter(at, Event::Arrive { connection: id, up, packet });
    }

    /// Closes one end after what was sent on it; the other learns of it when that has arrived.
    pub(crate) fn close_end(&mut self, id: usize, up: bool) {
        self.send(id, up, Packet::End);
        self.net.connections[id].ends[usize::from(!up)] = false;
    }

    /// Whether a packet that arrives is for an end that is still open.
    pub(crate) fn is_deliverable(&self, id: usize, up: bool) -> bool {
        let connection = &self.net.connections[id];
        !connection.is_dead && connection.ends[usize::from(up)]
    }

    /// Whether nobody at the dialler's end would acknowledge a byte.
    pub(crate) fn is_deaf(&self, id: usize) -> bool {
        self.net.connections[id].is_dead || !self.net.connections[id].ends[0]
    }

    /// Makes a connection carry nothing more.
    pub(crate) fn blackhole(&mut self, id: usize) {
        self.net.connections[id].is_dead = true;
    }

    pub(crate) fn set_partition(&mut self, dialler: Dialler, sides: [bool; 2], begins: bool) {
        let place = match self.net.blocked.iter().position(|(other, _)| *other == dialler) {
            Some(place) => place,
            None => {
                self.net.blocked.push((dialler, [0, 0]));
                self.net.blocked.len() - 1
            }
        };
        for (count, side) in self.net.blocked[place].1.iter_mut().zip(sides) {
            *count = if begins { *count + u32::from(side) } else { *count - u32::from(side) };
        }
        if !begins {
            self.release_stuck(dialler);
        }
    }

    /// What could not pass arrives after all, as TCP sends it again.
    fn release_stuck(&mut self, dialler: Dialler) {
        for id in 0..self.net.connections.len() {
            for up in [true, false] {
                if self.net.connections[id].dialler != dialler || self.net.is_blocked(dialler, up) {
                    continue;
                }
                let side = usize::from(!up);
                for packet in std::mem::take(&mut self.net.connections[id].stuck[side]) {
                    let delay = self.net.delay(&mut self.random);
                    let last = &mut self.net.connections[id].last[side];
                    let at = (self.now + delay).max(*last);
                    *last = at;
                    self.agenda.enter(at, Event::Arrive { connection: id, up, packet });
                }
            }
        }
    }

    /// A process dials the manager. It is told, sooner or later, by a packet or by [`Event::DialFails`].
    pub(crate) fn dial(&mut self, dialler: Dialler, life: u32, dial: u32) {
        let delay = self.net.delay(&mut self.random);
        if self.net.is_partitioned(dialler) {
            self.agenda.enter(self.now + DIAL_TIMEOUT, Event::DialFails { dialler, life, dial });
        } else {
            self.agenda.enter(self.now + delay, Event::DialArrives { dialler, life, dial });
            // A manager that accepts and says nothing is given up as well.
            self.agenda.enter(self.now + DIAL_TIMEOUT * 2, Event::DialFails { dialler, life, dial });
        }
    }

    /// The manager's machine answers a dialler: it is up, or refuses.
    pub(crate) fn on_dial_arrives(&mut self, dialler: Dialler, life: u32, dial: u32) {
        if self.dial_of(dialler) != Some((life, dial)) {
            return;
        }
        if self.manager.process.is_none() {
            let delay = self.net.delay(&mut self.random);
            let delay = if self.manager.is_silent { DIAL_TIMEOUT } else { delay };
            self.agenda.enter(self.now + delay, Event::DialFails { dialler, life, dial });
            return;
        }
        self.next_link += 1;
        let id = self.net.connections.len();
        self.net.connections.push(Connection {
            dialler,
            link: ConnId(self.next_link),
            ends: [true, true],
            is_dead: false,
            last: [0, 0],
            stuck: Default::default(),
        });
        self.manager_admits(id);
        self.dialler_connects(dialler, id);
    }
}
