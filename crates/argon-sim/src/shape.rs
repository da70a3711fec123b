//! The shape of a simulated cluster: sizes, delays and bounds.

use std::time::Duration;

use argon_core::scheduler::Limits;

use crate::random::Random;

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
    /// True if the manager waits for each commit before it goes on.
    pub waits_for_commits: bool,
    /// Most inputs in one batch.
    pub batch: usize,
    /// Number of tasks after which a runner is replaced; 0 for never.
    pub max_requests: u64,
    /// Largest error of the rate of a clock, millionths.
    pub drift: u64,
    /// Bytes of outcomes that a worker may hold unsettled.
    pub unsettled_bytes: u64,
    /// Bytes of blobs that the manager keeps beyond what tasks need.
    pub spare_bytes: u64,
    /// Bytes of blobs that a worker keeps beyond what its tasks need.
    pub cache_bytes: u64,
    /// Steps between two looks at the invariants.
    pub look_every: u64,
    /// Workers fork their runners from templates.
    pub has_templates: bool,
    /// Idle runners that a worker keeps.
    pub runners_max: usize,
    /// Memory of all idle runners of a worker, MiB. A simulated one takes from 1 to 64.
    pub runner_memory_mib: u64,
    /// Tasks that may wait for their own tasks at one worker.
    pub waiting_max: usize,
    /// Factor on the run time of a task that begins on a worker while that is slow: each of them is, in its turn,
    /// one second in three.
    pub slowness: u64,
}

impl Shape {
    /// True if no client's tasks are held up because it takes no outcomes.
    pub(crate) fn untaken_bytes_are_ample(&self) -> bool {
        self.limits.untaken_bytes > 1 << 20
    }

    /// True if the manager has so little memory that tasks are refused.
    pub(crate) fn has_little_memory(&self) -> bool {
        self.limits.memory < 1 << 30
    }

    /// True if workers keep outcomes only for as long as there is room.
    pub(crate) fn keeps_few_outcomes(&self) -> bool {
        self.limits.kept_bytes < 1 << 20
    }

    /// The shape of a mixed run.
    pub(crate) fn mixed(random: &mut Random) -> Self {
        let tight = random.percent(30);
        let window_tasks = if tight { random.between(1, 8) } else { 65_536 };
        let mut limits = Limits {
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
        if slow == 1_000 {
            // Every payload of a detached task that is durable is in the store only.
            limits.stored_above = 0;
        }
        // Often so few that what a session or a worker leaves behind takes many steps.
        limits.at_once = random.one_of(&[4096, 64, 5, 1]);
        if random.percent(15) {
            limits.memory = random.between(256, 1024) << 10;
        }
        if random.percent(15) {
            limits.kept_bytes = random.between(1, 8 << 10);
        }
        let spare_bytes = random.one_of(&[0, 200, 1 << 20]).min(limits.memory / 8);
        Self {
            workers: random.between(1, 5) as usize,
            slots: random.between(1, 4) as usize,
            clients: random.between(1, 4) as usize,
            limits,
            delay_us: (20, slow),
            commit_us: (50, random.one_of(&[500, 10_000, 200_000])),
            waits_for_commits: random.percent(50),
            batch: random.one_of(&[1, 4, 64]),
            max_requests: random.one_of(&[0, 0, 1, 3]),
            drift: random.one_of(&[0, 100, 10_000]),
            unsettled_bytes: if random.percent(20) { 2_000 } else { 64 << 20 },
            spare_bytes,
            cache_bytes: random.one_of(&[0, 200, 1 << 20]),
            has_templates: random.percent(70),
            runners_max: random.one_of(&[1, 4, 16, 16]),
            runner_memory_mib: random.one_of(&[32, 1_000_000]),
            waiting_max: random.one_of(&[2, 256, 256, 256]),
            look_every: 1,
            slowness: 1,
        }
    }
}
