//! A batch of tasks on a fleet without faults, and how well the fleet's slots were used.

#![allow(dead_code, reason = "each test file uses a part of it")]

use argon_core::scheduler::Limits;
use argon_proto::{Flags, Priority};
use argon_sim::{Mode, RunPlan, Summary, TaskBehaviour, run};

/// When one task for each slot comes, so that all runners are up; and when the batch begins.
const WARMS_US: u64 = 300_000;
const BEGINS_US: u64 = 1_000_000;
/// Run time of such a task.
const WARM_TASK_US: u64 = 200_000;

/// A batch.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) workers: usize,
    pub(crate) slots: usize,
    pub(crate) lengths: Vec<u64>,
    /// Time over which the tasks come one by one; 0 for all at once.
    pub(crate) spread_us: u64,
    /// See [`argon_sim::Shape::slowness`].
    pub(crate) slowness: u64,
}

impl Default for Batch {
    fn default() -> Self {
        Self { workers: 4, slots: 4, lengths: Vec::new(), spread_us: 0, slowness: 1 }
    }
}

impl Batch {
    /// The shortest time in which this could be done over the time that it took.
    pub(crate) fn efficiency(&self) -> f64 {
        let summary = self.run();
        let slots = (self.workers * self.slots) as f64;
        // A worker does its full share two seconds in three.
        let speed = 2.0 / 3.0 + 1.0 / (3.0 * self.slowness as f64);
        let shared = self.lengths.iter().sum::<u64>() as f64 / slots / speed;
        let longest = self.lengths.iter().max().copied().unwrap_or(0) as f64;
        shared.max(longest) / (summary.delivered_us - BEGINS_US) as f64
    }

    /// Time beyond what the slots needed for their shares, microseconds.
    pub(crate) fn excess_us(&self) -> u64 {
        let slots = (self.workers * self.slots) as u64;
        (self.run().delivered_us - BEGINS_US).saturating_sub(self.lengths.iter().sum::<u64>() / slots)
    }

    /// Time that each task below a length waited for its start, microseconds.
    pub(crate) fn waits_of_short(&self, below_us: u64) -> Vec<u64> {
        let began = self.run().began_us;
        let places = (0..self.lengths.len()).filter(|place| self.lengths[*place] < below_us);
        places.map(|place| began[place].map_or(u64::MAX, |at| at - self.comes_at(place))).collect()
    }

    fn comes_at(&self, place: usize) -> u64 {
        BEGINS_US + self.spread_us * place as u64 / self.lengths.len() as u64
    }

    fn run(&self) -> Summary {
        let mut plan = RunPlan::of_seed(1);
        let model = plan.tasks[0].clone();
        plan.faults.clear();
        plan.rogues.clear();
        let shape = &mut plan.shape;
        (shape.workers, shape.slots, shape.clients) = (self.workers, self.slots, 1);
        shape.limits = Limits::default();
        (shape.delay_us, shape.max_requests) = ((50, 100), 0);
        // Bounds as a worker has them by default.
        (shape.has_templates, shape.runners_max) = (true, (8 * self.slots).max(16));
        (shape.runner_memory_mib, shape.waiting_max) = (1 << 20, 64 * self.slots);
        (shape.unsettled_bytes, shape.batch, shape.drift) = (64 << 20, 64, 0);
        shape.slowness = self.slowness;
        // A look at everything after each step would cost more than the run.
        shape.look_every = 20_000;
        let warming = std::iter::repeat_n((WARMS_US, WARM_TASK_US), self.workers * self.slots);
        let batch = (0..).zip(&self.lengths).map(|(place, length)| (self.comes_at(place), *length));
        let tasks = (0..).zip(batch.chain(warming)).map(|(number, (at, length))| {
            let mut task = model.clone();
            (task.number, task.client, task.at, task.run_us) = (number, 0, at, length);
            (task.behaviour, task.flags, task.cancel_after) = (TaskBehaviour::Return, Flags::default(), None);
            (task.priority, task.memory_mib, task.timeout_ms) = (Priority::Normal, 0, 0);
            (task.leaves, task.children, task.blobs) = (false, Vec::new(), Vec::new());
            task
        });
        plan.tasks = tasks.collect();
        run(&plan, Mode::Silent).unwrap_or_else(|failure| panic!("{failure}"))
    }
}
