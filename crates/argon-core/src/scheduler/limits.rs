//! Every bound and grace of the scheduler, with its default.

use std::time::Duration;

use super::owners::NO_BOUND;

/// The default of [`Limits::kept_bytes`].
pub(super) const KEPT_BYTES: u64 = 256 << 20;

/// Bounds that an operator or a test may set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Tasks that may wait in the queue; a task beyond that is rejected.
    pub queue_size: usize,
    /// Waiting tasks of one owner; beyond that its tasks are rejected.
    pub max_queued: u32,
    /// Tasks of one owner that may be at workers; those that wait for tasks of their own do not count.
    pub max_running: u32,
    /// Tasks that one client may have sent without having taken their outcomes.
    pub window_tasks: u64,
    /// Payload bytes that one client may have sent without having taken the outcomes.
    pub window_bytes: u64,
    /// Payloads of detached tasks beyond this size, bytes, leave memory when the store holds them. The default keeps all:
    /// only a shell that can read them back from its store sets a limit.
    pub stored_above: u64,
    /// Outcome bytes that one client may leave untaken before its tasks are started no more.
    pub untaken_bytes: u64,
    /// Bytes of outcomes that a worker keeps for a manager that may be started again; beyond that the oldest are settled
    /// before their clients have them.
    pub kept_bytes: u64,
    /// Memory that tasks, outcomes, blobs and connections may occupy, bytes. Beyond three quarters of it only sessions that
    /// use little are served.
    pub memory: u64,
    /// Time for which a client's attached tasks outlive its connection.
    pub session_grace: Duration,
    /// Time that a worker has to come back after its connection broke, before its tasks go elsewhere.
    pub worker_grace: Duration,
    /// Time after its start for which a manager lets repeated tasks wait for a worker that holds them.
    pub recovery: Duration,
    /// Time for which attempts that no client claims are kept.
    pub orphan_timeout: Duration,
    /// Time for which the outcome of a detached task is kept.
    pub result_ttl: Duration,
    /// Ended tasks that are remembered: at most this number that ended as ok or cancelled, and as many that failed. 0 for none.
    pub history: usize,
    /// Workers that a task may lose in a row before it ends as lost.
    pub losses: u32,
    /// Wait after which a task takes turns with more urgent ones.
    pub ageing: Duration,
    /// Tasks that are looked at, or started, at one moment. The next step goes on with the rest, so that no step takes long.
    pub at_once: usize,
    /// Longest wait before a retry.
    pub backoff_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_size: 1_000_000,
            max_queued: NO_BOUND,
            max_running: NO_BOUND,
            window_tasks: 65_536,
            window_bytes: 256 << 20,
            stored_above: u64::MAX,
            untaken_bytes: 256 << 20,
            kept_bytes: KEPT_BYTES,
            memory: 1 << 50,
            session_grace: Duration::from_secs(60),
            worker_grace: Duration::from_millis(500),
            recovery: Duration::from_secs(4),
            orphan_timeout: Duration::from_secs(60),
            result_ttl: Duration::from_secs(30 * 60),
            history: 10_000,
            losses: 3,
            ageing: Duration::from_secs(5),
            at_once: 4096,
            backoff_max: Duration::from_secs(60),
        }
    }
}
