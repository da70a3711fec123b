//! The plan that a seed stands for: the shape of the cluster, the tasks and the faults. A plan can be made smaller
//! and run again.

use argon_proto::{Flags, Priority};

use crate::blobs::BLOBS;
use crate::fault::{self, Fault, FaultKind};
use crate::random::Random;
use crate::rogue::{self, RoguePlan};
use crate::shape::Shape;

/// Memory limits up to this are too small for a runner.
pub(crate) const TOO_SMALL_MIB: u32 = 2;
/// Steps between two looks at the invariants, in three of four runs: what they find broken mostly stays so.
const LOOK_EVERY: u64 = 8;
/// Levels of tasks below a task.
const DEPTH_MAX: u64 = 6;

/// One run, decided beforehand but for the chance that its seed feeds.
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// The seed of everything that the plan does not fix.
    pub seed: u64,
    /// The cluster.
    pub shape: Shape,
    /// The tasks, by their sequence number.
    pub tasks: Vec<TaskPlan>,
    /// The faults, by time.
    pub faults: Vec<Fault>,
    /// Lying processes.
    pub rogues: Vec<RoguePlan>,
}

/// One task.
#[derive(Clone, Debug)]
pub struct TaskPlan {
    /// Its number among all tasks, which is its sequence number.
    pub number: u64,
    /// Client that submits it.
    pub client: usize,
    /// When.
    pub at: u64,
    /// Run time of each attempt, microseconds.
    pub run_us: u64,
    /// Behaviour of its attempts.
    pub behaviour: TaskBehaviour,
    /// Number of attempts that fail before one succeeds, if the behaviour is a failure.
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
    /// Tasks that it makes half-way, and waits for.
    pub children: Vec<TaskPlan>,
    /// Its runner is not what it was, and leaves when the task has ended.
    pub leaves: bool,
    /// Time after its submission at which the client cancels it, if it does.
    pub cancel_after: Option<u64>,
    /// Client that collects a detached task, and the time after its acceptance, microseconds.
    pub collect: (usize, u64),
}

impl TaskPlan {
    /// The longest pause before an attempt of it or of the tasks below it.
    pub(crate) fn longest_pause_us(&self) -> u64 {
        let own = if self.retries > 0 { (u64::from(self.backoff_ms) * 1_500) << self.retries } else { 0 };
        self.children.iter().map(Self::longest_pause_us).fold(own, u64::max)
    }

    /// Lets it and the tasks below it end with their clients.
    fn attach(&mut self) {
        self.flags = self.flags.without(Flags::DETACHED);
        self.children.iter_mut().for_each(Self::attach);
    }

    /// A task that a rogue submits: nobody waits for it.
    pub(crate) fn of_rogue(number: u64, client: usize, run_us: u64) -> Self {
        Self {
            number,
            client,
            at: 0,
            run_us,
            behaviour: TaskBehaviour::Return,
            failures: 0,
            flags: Flags::default(),
            priority: Priority::Normal,
            timeout_ms: 0,
            retries: 0,
            backoff_ms: 0,
            bytes: 8,
            blobs: Vec::new(),
            memory_mib: 0,
            children: Vec::new(),
            leaves: false,
            cancel_after: None,
            collect: (0, 0),
        }
    }

    /// True if no runner comes up within its memory limit.
    pub(crate) fn is_too_small(&self) -> bool {
        (1..=TOO_SMALL_MIB).contains(&self.memory_mib)
    }

    /// Run time of the task and the tasks below it, one after the other, and again for each retry.
    fn work_us(&self) -> u64 {
        let once = self.run_us + self.children.iter().map(Self::work_us).sum::<u64>();
        once * (1 + u64::from(self.retries))
    }
}

/// Behaviour of the attempts of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskBehaviour {
    /// Returns.
    Return,
    /// Throws.
    Throw,
    /// Its runner dies.
    Die,
    /// Never ends by itself.
    Hang,
}

impl RunPlan {
    /// The mixed run of a seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut shape = Shape::mixed(&mut random);
        shape.look_every = if seed.is_multiple_of(4) { 1 } else { LOOK_EVERY };
        let span = random.between(1, 30) * 1_000_000;
        let count = random.spread(4, 64);
        let flavour = Flavour::of(&shape, &mut random);
        let mut tasks: Vec<TaskPlan> =
            (0..count).map(|number| flavour.task(number, span, &shape, &mut random)).collect();
        tasks.sort_by_key(|task| (task.at, task.number));
        let mut faults = fault::mixed(&shape, span, &mut random);
        let rogues = rogue::mixed(span, &mut random);
        if random.percent(15) {
            faults.extend(fault::failovers(span, &mut random));
            faults.sort_by_key(|fault| fault.at);
            // Detached tasks stay in the store of the manager that accepted them.
            tasks.iter_mut().for_each(TaskPlan::attach);
        }
        if shape.has_little_memory() && random.percent(40) {
            fill_memory(&shape, span, (&mut tasks, &mut faults), &mut random);
        }
        Self { seed, shape, tasks, faults, rogues }
    }

    /// True if a failover is planned.
    pub(crate) fn has_two_managers(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault.what, FaultKind::Failover { .. }))
    }

    /// True if the oracle looks now and then whether everything goes on: not in measurements.
    pub(crate) fn is_watched(&self) -> bool {
        self.shape.look_every <= LOOK_EVERY || self.is_calm()
    }

    /// True if nothing goes wrong and nothing is refused, so that delays are bounded.
    pub(crate) fn is_calm(&self) -> bool {
        self.faults.is_empty()
            && self.rogues.is_empty()
            && self.shape.limits.queue_size > 1_000
            && !self.shape.has_little_memory()
    }

    /// The time after which nothing new is planned.
    pub(crate) fn quiet_from(&self) -> u64 {
        let tasks = self.tasks.iter().map(|task| task.at + task.cancel_after.unwrap_or(0));
        let faults = self.faults.iter().map(|fault| fault.at + fault.lasts);
        let rogues = self.rogues.iter().map(|rogue| rogue.at + rogue.lasts);
        tasks.chain(faults).chain(rogues).max().unwrap_or(0)
    }

    /// The time that the work itself takes, at the most: everything in one slot after the other, shared by all.
    pub(crate) fn work_us(&self) -> u64 {
        let all: u64 = self.tasks.iter().map(TaskPlan::work_us).sum();
        let longest = self.tasks.iter().map(TaskPlan::work_us).max().unwrap_or(0);
        let slots = (self.shape.workers * self.shape.slots).max(1) as u64;
        (longest + all / slots) * self.shape.slowness
    }
}

/// Lets a client take no outcomes for a while, and all outcomes together fill the memory or nearly so: its tasks start no
/// more until there is room.
fn fill_memory(
    shape: &Shape,
    span: u64,
    (tasks, faults): (&mut [TaskPlan], &mut Vec<Fault>),
    random: &mut Random,
) {
    let all = shape.limits.memory * random.between(60, 140) / 100;
    let most = all * 2 / tasks.len().max(1) as u64;
    tasks.iter_mut().for_each(|task| task.bytes = 8 + random.below(most) as usize);
    let (at, lasts) = (random.below(span), random.between(2, 20) * 1_000_000);
    faults.push(Fault { at, lasts, what: FaultKind::FreezeClient(random.index(shape.clients)) });
    faults.sort_by_key(|fault| fault.at);
}

/// Character of the tasks of a run.
struct Flavour {
    longest_us: u64,
    /// Percent of the tasks that come all at once.
    burst: u64,
    detached: u64,
    never_twice: u64,
    failing: u64,
    /// Percent of the tasks that are tried again.
    retrying: u64,
    cancelled: u64,
    /// Percent of the tasks that make tasks of their own.
    nested: u64,
    /// Percent of the tasks whose runners leave.
    leaving: u64,
    /// Percent of the tasks that are limited to less memory than a runner needs.
    too_small: u64,
    /// Percent of the tasks that name blobs.
    shared: u64,
    big: usize,
}

impl Flavour {
    fn of(shape: &Shape, random: &mut Random) -> Self {
        let nested = random.one_of(&[0, 0, 15, 60]);
        let big = if shape.has_little_memory() { 20_000 } else { 600 };
        Self {
            longest_us: random.one_of(&[80, 500, 20_000, 1_000_000, 8_000_000]),
            burst: random.one_of(&[30, 90]),
            detached: random.one_of(&[0, 20, 60]),
            never_twice: random.one_of(&[0, 15, 50]),
            failing: random.one_of(&[0, 10, 40]),
            retrying: random.one_of(&[0, 50]),
            cancelled: random.one_of(&[0, 5, 25]),
            nested,
            leaving: random.one_of(&[0, 10, 60]),
            shared: random.one_of(&[0, 50, 100]),
            big: random.one_of(&[16, big]),
            too_small: if random.percent(10) { 30 } else { 0 },
        }
    }

    /// A task that a client submits, with the tasks below it.
    fn task(&self, number: u64, span: u64, shape: &Shape, random: &mut Random) -> TaskPlan {
        let mut task = self.lone_task(number, span, shape, random);
        if random.percent(self.nested) {
            let mut left = 12;
            let depth = random.between(1, DEPTH_MAX);
            task.children = self.children(depth, &mut left, shape, random);
        }
        task
    }

    fn children(&self, depth: u64, left: &mut u64, shape: &Shape, random: &mut Random) -> Vec<TaskPlan> {
        let count = random.between(1, 3).min(*left);
        *left -= count;
        let mut children: Vec<TaskPlan> = (0..count)
            .map(|_| TaskPlan { cancel_after: None, ..self.lone_task(0, 1, shape, random) })
            .collect();
        for child in &mut children {
            if depth > 1 && *left > 0 && random.percent(70) {
                child.children = self.children(depth - 1, left, shape, random);
            }
        }
        children
    }

    fn lone_task(&self, number: u64, span: u64, shape: &Shape, random: &mut Random) -> TaskPlan {
        let mut flags = Flags::default();
        if random.percent(self.detached) {
            flags = flags.with(Flags::DETACHED);
        }
        if random.percent(self.never_twice) {
            flags = flags.with(Flags::NEVER_TWICE);
        }
        let fails = random.percent(self.failing);
        let behaviour = if fails {
            random.one_of(&[TaskBehaviour::Throw, TaskBehaviour::Die, TaskBehaviour::Hang])
        } else {
            TaskBehaviour::Return
        };
        let retries = if random.percent(self.retrying) { random.between(1, 3) as u16 } else { 0 };
        if retries > 0 {
            for flag in [Flags::RETRY_ERROR, Flags::RETRY_DIED, Flags::RETRY_TIMEOUT] {
                flags = if random.percent(80) { flags.with(flag) } else { flags };
            }
        }
        let hangs = behaviour == TaskBehaviour::Hang;
        let timed = hangs || random.percent(10);
        TaskPlan {
            number,
            client: random.index(shape.clients),
            at: if random.percent(self.burst) { 0 } else { random.below(span) },
            // A long one among short ones is what runners with tasks ahead have to be taken from.
            run_us: if random.percent(3) { 50_000 } else { random.spread(30, self.longest_us) },
            behaviour,
            failures: random.between(1, 3) as u32,
            flags,
            priority: random.one_of(&[Priority::Normal, Priority::Normal, Priority::High, Priority::Low]),
            timeout_ms: if timed { random.between(20, 3_000) as u32 } else { 0 },
            retries,
            backoff_ms: random.spread(1, 500) as u32,
            bytes: 8 + random.index(self.big),
            blobs: if random.percent(self.shared) { names(random) } else { Vec::new() },
            memory_mib: match random.percent(10) {
                _ if random.percent(self.too_small) => random.between(1, u64::from(TOO_SMALL_MIB)) as u32,
                true => 64,
                false => 0,
            },
            children: Vec::new(),
            leaves: random.percent(self.leaving),
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
