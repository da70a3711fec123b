//! What people and programs may see of the scheduler: plain values, copied out.

use argon_proto::{Report, Status, Task, TaskId};
use serde::{Deserialize, Serialize};

use super::Scheduler;
use super::task::State;
use crate::time::Time;

/// Running tasks that a view lists at most.
const RUNNING_AT_MOST: usize = 1000;

/// Letters that it says of what a task is.
const WHAT_LETTERS: usize = 200;

/// Events since the scheduler was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Totals {
    /// Tasks that came in.
    pub submitted: u64,
    /// Tasks that were not let in.
    pub rejected: u64,
    /// Attempts that were given to workers.
    pub started: u64,
    /// Attempts that were found with a worker and taken over.
    pub adopted: u64,
    /// Attempts that came back before they started.
    pub recalled: u64,
    /// Attempts that were lost with their worker.
    pub lost_attempts: u64,
    /// Attempts that failed and were tried again.
    pub retried: u64,
    /// Tasks that ended as ok.
    pub ok: u64,
    /// … as error.
    pub error: u64,
    /// … as died.
    pub died: u64,
    /// … as timeout.
    pub timeout: u64,
    /// … as cancelled.
    pub cancelled: u64,
    /// … as lost.
    pub lost: u64,
    /// Outcomes that nobody collected in time.
    pub expired: u64,
}

/// One worker.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct WorkerView {
    /// Its random id.
    pub worker: String,
    /// Its name.
    pub name: String,
    /// Its host.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// Release of its program.
    pub release: String,
    /// Runtimes and their versions.
    pub runtimes: Vec<(String, String)>,
    /// Tasks it can run at once.
    pub slots: u32,
    /// Attempts that it holds, those sent ahead included.
    pub held: u64,
    /// Whether it is connected; if not, it may come back in a moment.
    pub connected: bool,
    /// Whether it takes no more tasks.
    pub draining: bool,
    /// Attempts that ended there.
    pub finished: u64,
    /// Mean run time of its recent tasks, microseconds; 0 while unknown.
    pub mean_us: u64,
    /// Seconds since it joined.
    pub joined_s: u64,
}

/// One attempt that a worker holds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RunningTask {
    /// The task.
    pub task: String,
    /// Which attempt.
    pub attempt: u32,
    /// What runs it.
    pub runtime: &'static str,
    /// Its label, or what it calls or starts, as far as its meta data says; may be empty.
    pub what: String,
    /// The worker's name.
    pub worker: String,
    /// Milliseconds since it was handed over.
    pub age_ms: u64,
}

/// The whole scheduler at a moment.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct SchedulerView {
    /// Connected workers.
    pub workers: usize,
    /// Slots of all connected workers.
    pub total_capacity: u64,
    /// Slots that nothing occupies.
    pub current_capacity: u64,
    /// Tasks that wait in the queue.
    pub queue_length: usize,
    /// … by priority: high, normal, low.
    pub queued: [usize; 3],
    /// Attempts that workers hold.
    pub pending: usize,
    /// Tasks that wait for a retry, for the store, or for a worker to come back.
    pub waiting: usize,
    /// Ended tasks whose outcome was not taken yet.
    pub untaken: usize,
    /// Connected clients.
    pub clients: usize,
    /// Events so far.
    pub totals: Totals,
    /// Each worker.
    pub worker_list: Vec<WorkerView>,
    /// Attempts that workers hold, the oldest first; at most 1000.
    pub running: Vec<RunningTask>,
}

impl Totals {
    pub(super) fn count(&mut self, status: Status) {
        match status {
            Status::Ok => self.ok += 1,
            Status::Error => self.error += 1,
            Status::Died => self.died += 1,
            Status::Timeout => self.timeout += 1,
            Status::Cancelled => self.cancelled += 1,
            Status::Lost => self.lost += 1,
            Status::Rejected => self.rejected += 1,
        }
    }
}

impl Scheduler {
    /// Events since it was made. Costs nothing.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The scheduler as it is at `now`. Costs time in proportion to the tasks; not for the hot path.
    #[must_use]
    pub fn view(&self, now: Time) -> SchedulerView {
        let connected =
            || self.workers.iter().map(|(_, worker)| worker).filter(|worker| worker.link.is_some());
        let mut waiting = 0;
        let mut untaken = 0;
        let mut running = Vec::new();
        for (key, entry) in &self.tasks {
            match &entry.state {
                State::Storing | State::Recovering | State::Delayed => waiting += 1,
                State::Queued { .. } => {}
                State::Ended(_) => untaken += 1,
                State::Assigned { worker, since, .. } => {
                    running.push((*since, entry.attempt_id(), *worker, key))
                }
            }
        }
        let pending = running.len();
        running.sort_unstable();
        running.truncate(RUNNING_AT_MOST);
        let running = running
            .into_iter()
            .map(|(since, attempt, worker, key)| RunningTask {
                task: attempt.task.to_string(),
                attempt: attempt.attempt.0,
                runtime: self.tasks[key].task.head.runtime.name(),
                what: what(&self.tasks[key].task),
                worker: self.workers[worker.index()].profile.name.clone(),
                age_ms: now.since(since).as_millis() as u64,
            })
            .collect();
        SchedulerView {
            workers: connected().count(),
            total_capacity: connected().map(|worker| worker.slots()).sum(),
            current_capacity: connected()
                .filter(|worker| !worker.draining)
                .map(|worker| worker.free_slots())
                .sum(),
            queue_length: self.queue.len(),
            queued: self.queue.lengths(),
            pending,
            waiting,
            untaken,
            clients: self.sessions.iter().filter(|(_, session)| session.link.is_some()).count(),
            totals: self.totals,
            worker_list: self.worker_views(now),
            running,
        }
    }

    /// What state a task is in, in a word or two for people; `None` if it is not known.
    #[must_use]
    pub fn task_state(&self, id: TaskId) -> Option<String> {
        let entry = &self.tasks[self.task_of(&id)?.index()];
        Some(match &entry.state {
            State::Storing => "being stored".to_owned(),
            State::Recovering => "waiting for the worker that may run it".to_owned(),
            State::Queued { .. } => "queued".to_owned(),
            State::Delayed => "waiting for its next attempt".to_owned(),
            State::Assigned { worker, .. } => {
                format!("with worker {}", self.workers[worker.index()].profile.name)
            }
            State::Ended(ended) => {
                let report = Report::from_json(&ended.outcome.report);
                format!("ended as {} {}", ended.outcome.head.status.name(), report.message)
            }
        })
    }

    fn worker_views(&self, now: Time) -> Vec<WorkerView> {
        self.workers
            .iter()
            .map(|(_, worker)| WorkerView {
                worker: worker.profile.id.to_string(),
                name: worker.profile.name.clone(),
                host: worker.profile.host.clone(),
                pid: worker.profile.pid,
                release: worker.profile.release.clone(),
                runtimes: worker.profile.runtimes.clone(),
                slots: worker.profile.slots,
                held: worker.outstanding(),
                connected: worker.link.is_some(),
                draining: worker.draining,
                finished: worker.finished,
                mean_us: worker.mean_us,
                joined_s: now.since(worker.joined).as_secs(),
            })
            .collect()
    }
}

/// The words for people in a task's meta data, and those of the runtimes that tell what is called.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Meta {
    label: Option<String>,
    call: Option<String>,
    class: Option<String>,
    argv: Vec<String>,
}

fn what(task: &Task) -> String {
    let meta: Meta = serde_json::from_slice(task.meta()).unwrap_or_default();
    let words = meta.label.or(meta.call).or(meta.class).unwrap_or_else(|| meta.argv.join(" "));
    words.chars().take(WHAT_LETTERS).collect()
}

/// How many things the scheduler keeps, of each kind: what must go back to nothing when the work is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Footprint {
    /// Tasks.
    pub tasks: usize,
    /// Sessions.
    pub sessions: usize,
    /// Workers.
    pub workers: usize,
    /// Attempts that workers hold and nobody has claimed.
    pub unclaimed: usize,
    /// Callers that wait for outcomes of detached tasks.
    pub collectors: usize,
    /// Places in lanes, live or stale.
    pub lane_entries: usize,
    /// Records that are not durable yet.
    pub storing: usize,
    /// Timers, live or stale.
    pub timers: usize,
}

impl Footprint {
    /// Whether nothing is kept but workers.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.tasks + self.sessions + self.unclaimed + self.collectors + self.lane_entries + self.storing == 0
    }
}

impl Scheduler {
    /// How much is kept now. Costs time in proportion to sessions.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        let lanes = self.sessions.iter().flat_map(|(_, session)| &session.lanes);
        Footprint {
            tasks: self.tasks.len(),
            sessions: self.sessions.len(),
            workers: self.workers.len(),
            unclaimed: self.unclaimed.len(),
            collectors: self.collectors.len(),
            lane_entries: lanes.map(std::collections::VecDeque::len).sum(),
            storing: self.storing.len(),
            timers: self.timers.len(),
        }
    }
}
