//! The place of the manager: its store, and its process while there is one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use argon_core::Time;
use argon_core::gate::{GateEffect, ManagerGate};
use argon_core::scheduler::{ConnId, Out, Scheduler};
use argon_proto::conversation::worker::Held;
use argon_proto::{AttemptId, WorkerId};

use crate::clock::Clock;
use crate::event::{Dialler, Event, Packet};
use crate::store::Store;

/// Numbers of the incarnations at the second place begin here.
pub(crate) const SECOND_PLACE: u32 = 1 << 31;

/// Seat of a manager.
#[derive(Debug, Default)]
pub(crate) struct Manager {
    pub(crate) incarnation: u32,
    pub(crate) process: Option<Box<ManagerProcess>>,
    pub(crate) store: Store,
    /// The whole machine is away: a dialler is not even refused.
    pub(crate) is_silent: bool,
    pub(crate) frozen: u32,
    /// True if this incarnation stood still at some time: its time to let workers come back may have passed meanwhile.
    pub(crate) stood_still: bool,
    pub(crate) stalled: Vec<Event>,
}

/// A manager process.
#[derive(Debug)]
pub(crate) struct ManagerProcess {
    pub(crate) scheduler: Scheduler,
    pub(crate) gate: ManagerGate,
    pub(crate) passing: Vec<GateEffect>,
    /// Bytes of the gate, as last reported to the scheduler.
    pub(crate) memory_told: u64,
    pub(crate) clock: Clock,
    pub(crate) started: Time,
    pub(crate) out: Out,
    pub(crate) inbox: VecDeque<(ConnId, Arrival)>,
    pub(crate) peers: BTreeMap<ConnId, PeerState>,
    /// True if another manager has had its seat since it had it last.
    pub(crate) was_away: bool,
    /// Workers that registered in this incarnation.
    pub(crate) known: BTreeSet<usize>,
    /// When clients, by their place, first opened their sessions since this manager has its seat.
    pub(crate) arrived: BTreeMap<usize, Time>,
    /// Clients, by their place, that have come from another manager.
    pub(crate) from_elsewhere: BTreeSet<usize>,
    /// Attempts that workers have brought from another manager, and when.
    pub(crate) brought: BTreeMap<AttemptId, Time>,
    /// Workers whose connection broke.
    pub(crate) absent: BTreeMap<WorkerId, Absent>,
    /// When clients went whose sessions may still be kept.
    pub(crate) left: BTreeMap<usize, Time>,
    pub(crate) works_soon: bool,
    pub(crate) timer: Option<u64>,
    /// Effects wait for the commit that is under way.
    pub(crate) waits: bool,
    pub(crate) steps: u64,
    /// Attempts that received to stop in this batch, to be judged at its end.
    pub(crate) stopped: Vec<AttemptId>,
}

/// A worker whose connection broke.
#[derive(Debug)]
pub(crate) struct Absent {
    pub(crate) since: Time,
    /// Attempts that count for their tasks, each with the number of times that the task had been dropped before.
    pub(crate) holds: Vec<(AttemptId, u32)>,
}

/// The manager's end of a connection. Times are on its own clock.
#[derive(Debug)]
pub(crate) struct PeerState {
    pub(crate) connection: usize,
    pub(crate) dialler: Dialler,
    pub(crate) is_introduced: bool,
    /// The worker that registered here.
    pub(crate) worker: Option<WorkerId>,
    /// A client that has offered everything again.
    pub(crate) has_offered: bool,
    /// A client that does not say which manager it was connected to before.
    pub(crate) comes_from_nowhere: bool,
    /// A worker that has said here that it leaves, or was asked to.
    pub(crate) is_draining: bool,
    pub(crate) received_at: u64,
    pub(crate) sent_at: u64,
    /// Attempts that the worker holds as far as the manager can know.
    pub(crate) holds: BTreeSet<AttemptId>,
    /// Attempts that the worker has listed before it registers.
    pub(crate) listed: Vec<Held>,
}

impl ManagerProcess {
    /// The place of the rogue at this connection.
    pub(crate) fn rogue_at(&self, link: ConnId) -> Option<usize> {
        match self.peers.get(&link)?.dialler {
            Dialler::Rogue(rogue) => Some(rogue),
            Dialler::Worker(_) | Dialler::Client(_) => None,
        }
    }

    /// True if the worker at this connection holds the attempt, as far as the manager can know.
    pub(crate) fn holds(&self, link: ConnId, attempt: AttemptId) -> bool {
        self.peers.get(&link).is_some_and(|peer| peer.holds.contains(&attempt))
    }
}

/// Entry of the inbox.
#[derive(Debug)]
pub(crate) enum Arrival {
    Packet(Packet),
    Gone { is_dead: bool },
}
