//! Packets travel, connections are made and end.

use argon_core::scheduler::ConnId;

use crate::event::{Dialler, Event, Packet};
use crate::net::Connection;
use crate::world::World;

/// Time for which a dialler tries to reach a machine that does not answer.
const DIAL_TIMEOUT: u64 = 3_000_000;

impl World {
    pub(crate) fn send(&mut self, id: usize, up: bool, packet: Packet) {
        let connection = &self.net.connections[id];
        let sender_is_open = connection.ends[usize::from(!up)];
        if connection.is_dead || !sender_is_open {
            return;
        }
        if self.net.is_blocked(connection.cable, up) {
            self.net.connections[id].stuck[usize::from(!up)].push_back(packet);
            return;
        }
        let delay = self.net.delay(&mut self.random);
        let now = self.now;
        let last = &mut self.net.connections[id].last[usize::from(!up)];
        let at = (now + delay).max(*last);
        *last = at;
        self.queue.push(at, Event::Arrive { connection: id, up, packet });
    }

    /// Closes one end after what was sent on it; the other learns of it when that has arrived.
    pub(crate) fn close_end(&mut self, id: usize, up: bool) {
        self.send(id, up, Packet::End);
        self.net.connections[id].ends[usize::from(!up)] = false;
    }

    /// True if a packet that arrives is for an end that is still open.
    pub(crate) fn is_deliverable(&self, id: usize, up: bool) -> bool {
        let connection = &self.net.connections[id];
        !connection.is_dead && connection.ends[usize::from(up)]
    }

    /// True if nobody at the dialler's end would acknowledge a byte.
    pub(crate) fn is_unreachable(&self, id: usize) -> bool {
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

    /// Delivers the packets that could not pass, because TCP sends them again.
    fn release_stuck(&mut self, dialler: Dialler) {
        for id in 0..self.net.connections.len() {
            for up in [true, false] {
                if self.net.connections[id].cable != dialler || self.net.is_blocked(dialler, up) {
                    continue;
                }
                let side = usize::from(!up);
                for packet in std::mem::take(&mut self.net.connections[id].stuck[side]) {
                    let delay = self.net.delay(&mut self.random);
                    let last = &mut self.net.connections[id].last[side];
                    let at = (self.now + delay).max(*last);
                    *last = at;
                    self.queue.push(at, Event::Arrive { connection: id, up, packet });
                }
            }
        }
    }

    fn cable_of(&self, dialler: Dialler) -> Dialler {
        match dialler {
            Dialler::Client(client) => match self.clients[client].parent {
                Some(parent) => Dialler::Worker(parent.worker),
                None => dialler,
            },
            Dialler::Worker(_) | Dialler::Rogue(_) => dialler,
        }
    }

    /// A process dials the manager. It receives, sooner or later, by a packet or by [`Event::DialFails`].
    pub(crate) fn dial(&mut self, dialler: Dialler, incarnation: u32, dial: u32) {
        let delay = self.net.delay(&mut self.random) + self.pause_before_dial(dialler);
        if self.net.is_partitioned(self.cable_of(dialler)) {
            self.queue.push(self.now + DIAL_TIMEOUT, Event::DialFails { dialler, incarnation, dial });
        } else {
            self.queue.push(self.now + delay, Event::DialArrives { dialler, incarnation, dial });
            // A manager that accepts and sends nothing is given up as well.
            self.queue.push(self.now + DIAL_TIMEOUT * 2, Event::DialFails { dialler, incarnation, dial });
        }
    }

    /// The manager's machine answers a dialler: it is up, or refuses.
    pub(crate) fn on_dial_arrives(&mut self, dialler: Dialler, incarnation: u32, dial: u32) {
        if self.dial_of(dialler) != Some((incarnation, dial)) {
            return;
        }
        if self.manager.process.is_none() {
            let delay = self.net.delay(&mut self.random);
            let delay = if self.manager.is_silent { DIAL_TIMEOUT } else { delay };
            self.queue.push(self.now + delay, Event::DialFails { dialler, incarnation, dial });
            return;
        }
        self.next_link += 1;
        let id = self.net.connections.len();
        self.net.connections.push(Connection {
            dialler,
            cable: self.cable_of(dialler),
            link: ConnId(self.next_link),
            manager: self.manager.incarnation,
            ends: [true, true],
            is_dead: false,
            last: [0, 0],
            stuck: Default::default(),
        });
        self.manager_admits(id);
        self.dialler_connects(dialler, id);
    }
}
