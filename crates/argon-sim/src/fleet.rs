//! The large run: thousands of workers, some of which are lost at random, and far more tasks than slots.

use argon_core::scheduler::Limits;
use argon_proto::{Flags, Priority};

use crate::fault::{Fault, FaultKind};
use crate::plan::{RunPlan, TaskBehaviour, TaskPlan};
use crate::random::Random;
use crate::shape::Shape;

/// Size of a fleet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fleet {
    /// Workers.
    pub workers: usize,
    /// Slots of each.
    pub slots: usize,
    /// Tasks.
    pub tasks: usize,
    /// Workers that are killed, and come back.
    pub losses: usize,
}

/// The plan of a fleet.
#[must_use]
pub fn fleet_plan(seed: u64, fleet: Fleet) -> RunPlan {
    let mut random = Random::new(seed);
    let shape = Shape {
        workers: fleet.workers,
        slots: fleet.slots,
        clients: 8,
        limits: Limits::default(),
        delay_us: (50, 2_000),
        commit_us: (100, 1_000),
        waits_for_commits: false,
        batch: 256,
        max_requests: 0,
        drift: 1_000,
        unsettled_bytes: 64 << 20,
        slowness: 1,
        spare_bytes: 1 << 20,
        cache_bytes: 1 << 20,
        has_templates: true,
        runners_max: 8 * fleet.slots,
        runner_memory_mib: 1 << 20,
        waiting_max: 64 * fleet.slots,
        look_every: (fleet.tasks as u64 / 8).max(1),
    };
    let tasks = (0..fleet.tasks as u64)
        .map(|number| TaskPlan {
            number,
            client: random.index(shape.clients),
            at: random.below(1_000_000),
            run_us: random.spread(1_000, 500_000),
            behaviour: TaskBehaviour::Return,
            failures: 0,
            flags: Flags::default(),
            priority: Priority::Normal,
            timeout_ms: 0,
            retries: 0,
            backoff_ms: 0,
            bytes: 8,
            memory_mib: 0,
            children: Vec::new(),
            leaves: false,
            blobs: Vec::new(),
            cancel_after: None,
            collect: (0, 0),
        })
        .collect();
    let mut faults: Vec<Fault> = (0..fleet.losses)
        .map(|_| {
            let worker = random.index(fleet.workers);
            let what = match random.below(4) {
                0 => FaultKind::FreezeWorker(worker),
                1 => FaultKind::Cut(crate::event::Dialler::Worker(worker)),
                _ => FaultKind::KillWorker { worker, is_silent: random.percent(20) },
            };
            Fault { at: random.below(3_000_000), lasts: random.between(100_000, 20_000_000), what }
        })
        .collect();
    faults.sort_by_key(|fault| fault.at);
    RunPlan { seed, shape, tasks, faults, rogues: Vec::new() }
}
