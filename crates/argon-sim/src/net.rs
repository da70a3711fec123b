//! Connections: delay, order, reset, silence, partition. A connection is made by a dialler with one incarnation of the manager.

use std::collections::VecDeque;

use argon_core::scheduler::ConnId;

use crate::event::{Dialler, Packet};
use crate::random::Random;

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) dialler: Dialler,
    /// Whose cable it uses: the client inside a task uses its worker's.
    pub(crate) cable: Dialler,
    pub(crate) link: ConnId,
    /// Incarnation of the manager at its other end.
    pub(crate) manager: u32,
    /// True if the dialler's, the manager's end is open.
    pub(crate) ends: [bool; 2],
    /// Nothing passes any more.
    pub(crate) is_dead: bool,
    /// When the last packet arrives, up and down.
    pub(crate) last: [u64; 2],
    /// Packets that wait for the end of a partition, up and down.
    pub(crate) stuck: [VecDeque<Packet>; 2],
}

/// Connections, and the processes that cannot reach each other.
#[derive(Debug, Default)]
pub(crate) struct Net {
    pub(crate) connections: Vec<Connection>,
    /// Partitions that hold now, by dialler: up and down.
    pub(crate) blocked: Vec<(Dialler, [u32; 2])>,
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

    pub(crate) fn longest_delay(&self) -> u64 {
        self.delay_us.1.max(3 * self.delay_us.0)
    }

    pub(crate) fn is_blocked(&self, dialler: Dialler, up: bool) -> bool {
        self.blocked.iter().any(|(other, counts)| *other == dialler && counts[usize::from(!up)] > 0)
    }

    pub(crate) fn is_partitioned(&self, dialler: Dialler) -> bool {
        self.is_blocked(dialler, true) || self.is_blocked(dialler, false)
    }
}
