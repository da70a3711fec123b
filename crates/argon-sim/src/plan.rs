//! What a seed stands for: the shape of the cluster, the tasks and the faults. A plan can be thinned out and run again.

use std::time::Duration;

use argon_core::scheduler::Limits;
use argon_proto::{Flags, Priority};

use crate::fault::{self, Fault};
use crate::random::Random;

/// Blobs that there are.
pub(crate) const BLOBS: usize = 5;

/// One run, decided beforehand but for the chance that its seed feeds.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of everything that the plan does not fix.
    pub seed: u64,
    /// The cluster.
    pub shape: Shape,
    /// The tasks, by their sequence number.
    pub tasks: Vec<TaskPlan>,
    /// The faults, by time.
    pub faults: Vec<Fault>,
}

/// Sizes, delays and bounds of the cluster.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Workers.
    pub workers: usize,
    /// Slots of each worker.
    pub slots: usize,
    /// Clients; the first one is never killed.
    pub clients: usize,
    /// The manager's bounds.
    pub limits: Limits,
    /// Least and longest delay of a packet, microseconds.
    pub delay_us: (u64, u64),
    /// Least and longest time of a commit, microseconds.
    pub commit_us: (u64, u64),
    /// Whether the manager waits for each commit before it goes on.
    pub waits_for_commits: bool,
    /// Most inputs in one batch.
    pub batch: usize,
    /// A runner is replaced after so many tasks; 0 for never.
    pub max_requests: u64,
    /// Longest time that a client keeps acknowledgements to itself, microseconds.
    pub ack_us: u64,
    /// How far clocks may run from true time, millionths.
    pub drift: u64,
    /// Bytes of outcomes that a worker may hold unsettled.
    pub unsettled_bytes: u64,
    /// Bytes of blobs that the manager keeps beyond what tasks need.
    pub spare_bytes: u64,
    /// Bytes of blobs that a worker keeps beyond what its tasks need.
    pub cache_bytes: u64,
    /// Steps between two looks at the invariants.
    pub look_every: u64,
    /// How many times as long a task takes that begins on a worker while that is slow: each of them is, in its turn,
    /// one second in three.
    pub slowness: u64,
}

/// One task.
#[derive(Clone, Debug)]
pub struct TaskPlan {
    /// Its number among all tasks, which is its sequence number.
    pub number: u64,
    /// Who submits it.
    pub client: usize,
    /// When.
    pub at: u64,
    /// How long each attempt runs, microseconds.
    pub run_us: u64,
    /// What an attempt does.
    pub deed: Deed,
    /// How many attempts fail before one succeeds, if the deed is a failure.
    pub failures: u32,
    /// Its flags.
    pub flags: Flags,
    /// Its priority.
    pub priority: Priority,
    /// Its time limit.
    pub timeout_ms: u32,
    /// Its retries.
    pub retries: u16,
    /// Wait before the first of them.
    pub backoff_ms: u32,
    /// Bytes of its arguments, and of its result.
    pub bytes: usize,
    /// Numbers of the blobs that it names, perhaps one of them many times.
    pub blobs: Vec<u8>,
    /// Memory limit: tasks that differ in it need different runners.
    pub memory_mib: u32,
    /// How long after its submission the client cancels it, if it does.
    pub cancel_after: Option<u64>,
    /// Who collects a detached task, and how long after it was accepted.
    pub collect: (usize, u64),
}

/// How an attempt of a task fails, if it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    /// It returns.
    Return,
    /// It throws.
    Throw,
    /// Its runner dies.
    Die,
    /// It never ends by itself.
    Hang,
}

impl Plan {
    /// The mixed run of a seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let shape = mixed_shape(&mut random);
        let span = random.between(1, 30) * 1_000_000;
        let count = random.spread(4, 64);
        let flavour = Flavour::of(&mut random);
        let mut tasks: Vec<TaskPlan> =
            (0..count).map(|number| flavour.task(number, span, &shape, &mut random)).collect();
        tasks.sort_by_key(|task| (task.at, task.number));
        let faults = fault::mixed(&shape, span, &mut random);
        Self { seed, shape, tasks, faults }
    }

    /// The time after which nothing new is planned.
    pub(crate) fn quiet_from(&self) -> u64 {
        let tasks = self.tasks.iter().map(|task| task.at + task.cancel_after.unwrap_or(0));
        let faults = self.faults.iter().map(|fault| fault.at + fault.lasts);
        tasks.chain(faults).max().unwrap_or(0)
    }

    /// The time that the work itself takes, at the most: everything in one slot after the other, shared by all.
    pub(crate) fn work_us(&self) -> u64 {
        let longest = self.tasks.iter().map(|task| task.run_us).max().unwrap_or(0);
        let all: u64 = self.tasks.iter().map(|task| task.run_us).sum();
        let slots = (self.shape.workers * self.shape.slots).max(1) as u64;
        (longest + all / slots) * self.shape.slowness
    }
}

fn mixed_shape(random: &mut Random) -> Shape {
    let tight = random.percent(30);
    let window_tasks = if tight { random.between(1, 8) } else { 65_536 };
    let limits = Limits {
        queue_size: if random.percent(20) { random.between(1, 10) as usize } else { 1_000_000 },
        window_tasks,
        window_bytes: if tight { random.between(64, 4096) } else { 256 << 20 },
        untaken_bytes: if random.percent(20) { random.between(64, 2048) } else { 256 << 20 },
        session_grace: Duration::from_secs(random.one_of(&[5, 20, 60])),
        result_ttl: Duration::from_secs(600),
        orphan_timeout: Duration::from_secs(random.one_of(&[10, 60])),
        ..Limits::default()
    };
    let slow = random.one_of(&[200, 1_000, 5_000, 50_000]);
    Shape {
        workers: random.between(1, 5) as usize,
        slots: random.between(1, 4) as usize,
        clients: random.between(1, 4) as usize,
        limits,
        delay_us: (20, slow),
        commit_us: (50, random.one_of(&[500, 10_000, 200_000])),
        waits_for_commits: random.percent(50),
        batch: random.one_of(&[1, 4, 64]),
        max_requests: random.one_of(&[0, 0, 1, 3]),
        ack_us: random.one_of(&[0, 1_000, 2_000_000]),
        drift: random.one_of(&[0, 100, 10_000]),
        unsettled_bytes: if random.percent(20) { 2_000 } else { 64 << 20 },
        spare_bytes: random.one_of(&[0, 200, 1 << 20]),
        cache_bytes: random.one_of(&[0, 200, 1 << 20]),
        look_every: 1,
        slowness: 1,
    }
}

/// What the tasks of a run are like.
struct Flavour {
    longest_us: u64,
    /// Percent of the tasks that come all at once.
    burst: u64,
    detached: u64,
    never_twice: u64,
    failing: u64,
    cancelled: u64,
    /// Percent of the tasks that name blobs.
    shared: u64,
    big: usize,
}

impl Flavour {
    fn of(random: &mut Random) -> Self {
        Self {
            longest_us: random.one_of(&[80, 500, 20_000, 1_000_000, 8_000_000]),
            burst: random.one_of(&[30, 90]),
            detached: random.one_of(&[0, 20, 60]),
            never_twice: random.one_of(&[0, 15, 50]),
            failing: random.one_of(&[0, 10, 40]),
            cancelled: random.one_of(&[0, 5, 25]),
            shared: random.one_of(&[0, 50, 100]),
            big: random.one_of(&[16, 600]),
        }
    }

    fn task(&self, number: u64, span: u64, shape: &Shape, random: &mut Random) -> TaskPlan {
        let mut flags = Flags::default();
        if random.percent(self.detached) {
            flags = flags.with(Flags::DETACHED);
        }
        if random.percent(self.never_twice) {
            flags = flags.with(Flags::NEVER_TWICE);
        }
        let fails = random.percent(self.failing);
        let deed = if fails { random.one_of(&[Deed::Throw, Deed::Die, Deed::Hang]) } else { Deed::Return };
        let retries = if random.percent(50) { random.between(1, 3) as u16 } else { 0 };
        if retries > 0 {
            for flag in [Flags::RETRY_ERROR, Flags::RETRY_DIED, Flags::RETRY_TIMEOUT] {
                flags = if random.percent(80) { flags.with(flag) } else { flags };
            }
        }
        let hangs = deed == Deed::Hang;
        let timed = hangs || random.percent(10);
        TaskPlan {
            number,
            client: random.index(shape.clients),
            at: if random.percent(self.burst) { 0 } else { random.below(span) },
            // A long one among short ones is what runners with tasks ahead have to be taken from.
            run_us: if random.percent(3) { 50_000 } else { random.spread(30, self.longest_us) },
            deed,
            failures: random.between(1, 3) as u32,
            flags,
            priority: random.one_of(&[Priority::Normal, Priority::Normal, Priority::High, Priority::Low]),
            timeout_ms: if timed { random.between(20, 3_000) as u32 } else { 0 },
            retries,
            backoff_ms: random.spread(1, 500) as u32,
            bytes: 8 + random.index(self.big),
            blobs: if random.percent(self.shared) { names(random) } else { Vec::new() },
            memory_mib: if random.percent(10) { 64 } else { 0 },
            cancel_after: random.percent(self.cancelled).then(|| random.spread(1, 10_000_000)),
            collect: (random.index(shape.clients), random.spread(1, 5_000_000)),
        }
    }
}

/// Code, and perhaps shared arguments; now and then one thing named many times.
fn names(random: &mut Random) -> Vec<u8> {
    let blob = |random: &mut Random| random.index(BLOBS) as u8;
    if random.percent(10) {
        return vec![blob(random); 16];
    }
    (0..random.between(1, 3)).map(|_| blob(random)).collect()
}
