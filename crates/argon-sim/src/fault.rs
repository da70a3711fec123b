//! Faults of a run: kind, time, place and length.

use std::fmt;

use crate::event::Dialler;
use crate::random::Random;
use crate::shape::Shape;

/// The most that a process is late at a manager that takes over: less than it waits, by the way of a few packets.
const LATE_MAX: u64 = 3_000_000;

/// One fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// When it begins, microseconds of true time.
    pub at: u64,
    /// Duration of the fault, or of the absence of a killed process.
    pub lasts: u64,
    /// Kind of the fault.
    pub what: FaultKind,
}

/// The kinds of faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// The manager's process is killed; its store stays.
    KillManager {
        /// True if its machine goes with it, so that nobody receives.
        is_silent: bool,
    },
    /// The manager's process stands still.
    FreezeManager,
    /// The store cannot read what it holds: the manager stops.
    BreakStore,
    /// The store takes nothing.
    FillStore,
    /// A worker's process is killed, its runners with it.
    KillWorker {
        /// Number of the worker.
        worker: usize,
        /// True if its machine goes with it, so that nobody receives.
        is_silent: bool,
    },
    /// A worker's process stands still.
    FreezeWorker(usize),
    /// A worker receives to finish and leave.
    DrainWorker {
        /// Number of the worker.
        worker: usize,
        /// By an operator through the manager; otherwise by a signal.
        by_operator: bool,
    },
    /// A worker cannot start runners.
    StarveWorker(usize),
    /// Everybody goes to the other manager, of two.
    Failover {
        /// True if the manager that they leave is killed; it lives on otherwise.
        kills: bool,
        /// Longest delay with which workers and clients come, microseconds.
        late_us: u64,
        /// True if workers stay with the manager that lives on, and come as late as that.
        leaves_workers: bool,
    },
    /// One runner of a worker is killed.
    KillRunner(usize),
    /// One template of a worker is killed.
    KillTemplate(usize),
    /// A client is killed for good.
    KillClient(usize),
    /// A client's process stands still.
    FreezeClient(usize),
    /// A connection is reset.
    Cut(Dialler),
    /// All connections are reset.
    CutAll,
    /// A connection carries nothing any more and nobody receives.
    Blackhole(Dialler),
    /// A machine's packets do not pass, in one direction or both.
    Partition {
        /// Whose.
        dialler: Dialler,
        /// True if packets to the manager are lost.
        up: bool,
        /// True if packets from the manager are lost.
        down: bool,
    },
}

/// The faults of a mixed run.
pub(crate) fn mixed(shape: &Shape, span: u64, random: &mut Random) -> Vec<Fault> {
    let theme = random.below(8);
    let count = if theme == 0 { 0 } else { random.spread(1, 12) };
    let mut faults: Vec<Fault> = (0..count)
        .map(|_| Fault {
            at: random.below(span + span / 2),
            lasts: random.spread(1_000, 25_000_000),
            what: draw(theme, shape, random),
        })
        .collect();
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// Failovers of a run with two managers.
pub(crate) fn failovers(span: u64, random: &mut Random) -> Vec<Fault> {
    let count = random.between(1, 3);
    let failover = |random: &mut Random| {
        let at = random.below(span + span / 4);
        // One that has lived on does not get its seat back: it cannot know what went on meanwhile.
        let kills = count > 1 || random.percent(50);
        let late_us = random.one_of(&[0, 50_000, 500_000, LATE_MAX, LATE_MAX]);
        let leaves_workers = !kills && late_us > 0 && random.percent(60);
        Fault { at, lasts: 0, what: FaultKind::Failover { kills, late_us, leaves_workers } }
    };
    (0..count).map(|_| failover(random)).collect()
}

fn draw(theme: u64, shape: &Shape, random: &mut Random) -> FaultKind {
    let kind = match theme {
        1 => random.below(4),
        2 => random.one_of(&[4, 5, 6, 7, 8, 17]),
        3 => 11 + random.below(6),
        4 => random.one_of(&[0, 0, 4, 11]),
        _ => random.below(18),
    };
    let worker = random.index(shape.workers);
    let client = random.index(shape.clients);
    let dialler = if random.percent(70) { Dialler::Worker(worker) } else { Dialler::Client(client) };
    let is_silent = random.percent(25);
    match kind {
        0 => FaultKind::KillManager { is_silent },
        1 => FaultKind::FreezeManager,
        2 => FaultKind::BreakStore,
        3 => FaultKind::FillStore,
        4 => FaultKind::KillWorker { worker, is_silent },
        5 => FaultKind::FreezeWorker(worker),
        6 => FaultKind::DrainWorker { worker, by_operator: random.percent(50) },
        7 => FaultKind::StarveWorker(worker),
        8 => FaultKind::KillRunner(worker),
        // The first client lives, so that somebody is there to collect.
        9 if client > 0 => FaultKind::KillClient(client),
        9 | 10 => FaultKind::FreezeClient(client),
        11 | 12 => FaultKind::Cut(dialler),
        13 => FaultKind::CutAll,
        14 => FaultKind::Blackhole(dialler),
        17 => FaultKind::KillTemplate(worker),
        _ => {
            let (up, down) = random.one_of(&[(true, true), (true, false), (false, true)]);
            FaultKind::Partition { dialler, up, down }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at as f64 / 1e6, self.lasts as f64 / 1e6);
        write!(f, "at {at:.6} s for {lasts:.6} s: {:?}", self.what)
    }
}
