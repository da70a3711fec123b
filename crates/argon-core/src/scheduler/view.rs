//! Views of the scheduler for people and programs: plain values, copied out.

mod phases;

use argon_proto::conversation::admin::{AwayClient, FirstNames};
pub use argon_proto::conversation::admin::{RunningTask, SchedulerView, Totals, WorkerView};
use argon_proto::line;
use argon_proto::{AttemptId, BlobHash, Flags, Report, Task, TaskId, WorkerId};
use serde::{Deserialize, Serialize};

pub use self::phases::{Distribution, Phases};
use super::input::ConnId;
use super::short_ids::ShortIds;
use super::task::{TaskEntry, TaskState};
use super::worker::Worker;
use super::{Scheduler, TaskKey, WorkerKey};
use crate::time::Time;

/// Running tasks that a view lists at most.
const RUNNING_AT_MOST: usize = 1000;

/// Letters that it says of what a task is.
const WHAT_LETTERS: usize = 200;

impl Scheduler {
    /// Number of tasks that are assigned to a worker.
    #[must_use]
    pub fn held_by(&self, worker: WorkerId) -> usize {
        self.worker_by_id.get(&worker).map_or(0, |key| self.workers[*key].assigned.len())
    }

    /// Number of tasks at a worker that need a blob: those of the client at a connection, or of all. Costs time in
    /// proportion to the tasks there.
    #[must_use]
    pub fn held_with_blob(&self, worker: WorkerId, blob: BlobHash, of: Option<ConnId>) -> u64 {
        let session = of.map(|link| self.client_at(link));
        let Some(key) = self.worker_by_id.get(&worker).filter(|_| session != Some(None)) else {
            return 0;
        };
        let entries = self.workers[*key].assigned.iter().filter_map(|task| self.tasks.get(*task));
        let is_its = |entry: &&TaskEntry| session.is_none_or(|session| session == Some(entry.session));
        let needs = |entry: &TaskEntry| entry.task.blob_hashes().any(|hash| hash == blob);
        entries.filter(is_its).filter(|entry| needs(entry)).count() as u64
    }

    /// True if a task is at this worker and needs this blob.
    #[must_use]
    pub fn is_held_with_blob(&self, id: TaskId, worker: WorkerId, blob: BlobHash) -> bool {
        let entry = self.task_of(&id).map(|key| &self.tasks[key]);
        entry.is_some_and(|entry| {
            entry.worker().is_some_and(|key| self.workers[key].profile.id == worker)
                && entry.task.blob_hashes().any(|hash| hash == blob)
        })
    }

    /// Name of a worker.
    #[must_use]
    pub fn name_of_worker(&self, worker: WorkerId) -> Option<&str> {
        self.worker_by_id.get(&worker).map(|key| &*self.workers[*key].profile.name)
    }

    /// Events since it was made. Costs nothing.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Times of attempts in each phase. Costs nothing.
    #[must_use]
    pub fn phases(&self) -> &Phases {
        &self.phases
    }

    /// True if no more tasks are taken until some have started.
    #[must_use]
    pub fn is_queue_full(&self) -> bool {
        self.waiting_len() >= self.limits.queue_size
    }

    /// The scheduler as it is at `now`. Costs time in proportion to the tasks; not for the hot path.
    #[must_use]
    pub fn view(&self, now: Time) -> SchedulerView {
        let connected = || self.workers.values().filter(|worker| worker.link.is_some());
        let mut waiting = 0;
        let mut untaken = 0;
        let mut running: Vec<(Time, AttemptId, WorkerKey, TaskKey)> = Vec::new();
        for (key, entry) in self.tasks.iter() {
            match &entry.state {
                TaskState::Persisting | TaskState::Recovering | TaskState::Delayed => waiting += 1,
                TaskState::Queued { .. } => {}
                TaskState::Ended(_) => untaken += 1,
                TaskState::Assigned { worker, since, .. } => {
                    running.push((*since, entry.attempt_id(), *worker, key))
                }
            }
        }
        let tasks_running = running.len();
        running.sort_unstable();
        running.truncate(RUNNING_AT_MOST);
        let slots_total = connected().map(|worker| worker.slots()).sum();
        let slots_free = connected().filter(|worker| !worker.draining && worker.profile.paused.is_none());
        let slots_free = slots_free.map(|worker| worker.free_slots()).sum();
        let tasks_queued = self.queue.len();
        let short = self.short_ids();
        SchedulerView {
            workers: connected().count(),
            slots_total,
            slots_free,
            tasks_queued,
            queued: self.queue.lengths(),
            tasks_running,
            tasks_lent: self.workers.values().map(|worker| worker.lent.len()).sum(),
            waiting,
            untaken,
            clients: self
                .sessions
                .values()
                .filter(|session| session.link.is_some() && session.parent.is_none())
                .count(),
            away: self.away_clients(now),
            owners: self.owner_views(),
            totals: self.totals,
            worker_list: self.worker_views(now),
            running: running.into_iter().map(|found| self.running_task(now, found, &short)).collect(),
            first_names: FirstNames {
                total_capacity: slots_total,
                current_capacity: slots_free,
                queue_length: tasks_queued,
                pending: tasks_running,
            },
        }
    }

    fn running_task(
        &self,
        now: Time,
        (since, attempt, worker, key): (Time, AttemptId, WorkerKey, TaskKey),
        short: &ShortIds,
    ) -> RunningTask {
        RunningTask {
            task: attempt.task.to_string(),
            short: short.task(attempt.task),
            owner: self.owner_of(self.tasks[key].session).name.to_string(),
            attempt: attempt.attempt.0,
            runtime: self.tasks[key].task.head.runtime.name().to_owned(),
            what: what(&self.tasks[key].task),
            worker: self.workers[worker].profile.name.clone(),
            age_ms: now.since(since).as_millis() as u64,
        }
    }

    /// Returns the state of a task in one or two words; `None` if the task is not known.
    #[must_use]
    pub fn task_state(&self, id: TaskId) -> Option<String> {
        let entry = &self.tasks[self.task_of(&id)?];
        Some(match &entry.state {
            TaskState::Persisting => "being stored".to_owned(),
            TaskState::Recovering => "waiting for the worker that may run it".to_owned(),
            TaskState::Queued { .. } => "queued".to_owned(),
            TaskState::Delayed => "waiting for its next attempt".to_owned(),
            TaskState::Assigned { worker, .. } => {
                format!("with worker {}", self.workers[*worker].profile.name)
            }
            TaskState::Ended(ended) => {
                let report = Report::from_json(&ended.outcome.report);
                format!("ended as {} {}", ended.outcome.head.status.name(), report.message)
            }
        })
    }

    fn away_clients(&self, now: Time) -> Vec<AwayClient> {
        let mut away: Vec<_> = self
            .sessions
            .iter()
            .filter_map(|(_, session)| Some((session.away_until?, session)))
            .map(|(until, session)| {
                let tasks = session.tasks.iter().map(|key| &self.tasks[*key]);
                let attached = tasks.filter(|entry| !entry.is_ended() && !entry.is(Flags::DETACHED));
                let (running, waiting): (Vec<_>, Vec<_>) =
                    attached.map(|entry| entry.worker().is_some()).partition(|is_running| *is_running);
                AwayClient {
                    owner: self.queue.owners[session.owner].name.to_string(),
                    client: session.client.clone(),
                    tasks: running.len() + waiting.len(),
                    running: running.len(),
                    seconds_left: until.since(now).as_secs(),
                }
            })
            .collect();
        away.sort_by_key(|client| client.seconds_left);
        away.truncate(RUNNING_AT_MOST);
        away
    }

    /// The workers that have this name or id. Costs time in proportion to the workers.
    #[must_use]
    pub fn workers_named(&self, now: Time, name: &str) -> Vec<WorkerView> {
        let id = name.parse::<WorkerId>().ok();
        let is_meant = |worker: &&Worker| worker.profile.name == name || Some(worker.profile.id) == id;
        self.workers.values().filter(is_meant).map(|worker| worker_view(worker, now)).collect()
    }

    /// The names of all workers.
    pub fn worker_names(&self) -> impl Iterator<Item = &str> {
        self.workers.values().map(|worker| worker.profile.name.as_str())
    }

    fn worker_views(&self, now: Time) -> Vec<WorkerView> {
        self.workers.values().map(|worker| worker_view(worker, now)).collect()
    }
}

fn worker_view(worker: &Worker, now: Time) -> WorkerView {
    WorkerView {
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
        lent: worker.lent.len() as u64,
        run_as: worker.profile.run_as.clone(),
        sandbox: worker.profile.sandbox,
        paused: worker.profile.paused.clone(),
        ..WorkerView::default()
    }
}

/// The words for people in a task's meta data, and those of the runtimes that tell what is called.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct TaskWords {
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    argv: Vec<String>,
}

impl TaskWords {
    /// Its label, or what it calls or starts; may be empty.
    pub(super) fn name(&self) -> String {
        let word = self.label.as_ref().or(self.call.as_ref()).or(self.class.as_ref());
        let words = word.cloned().unwrap_or_else(|| self.argv.join(" "));
        line::clean_up_to(&words, WHAT_LETTERS).into_owned()
    }

    /// Its label; may be empty.
    pub(super) fn label(&self) -> String {
        line::clean_up_to(self.label.as_deref().unwrap_or_default(), WHAT_LETTERS).into_owned()
    }
}

/// The words of meta data, each of a length that people read.
pub(super) fn words(meta: &[u8]) -> TaskWords {
    let mut words: TaskWords = serde_json::from_slice(meta).unwrap_or_default();
    let cut = |text: String| text.chars().take(WHAT_LETTERS).collect::<String>();
    words.argv.truncate(WHAT_LETTERS);
    words.argv = words.argv.into_iter().map(cut).collect();
    for word in [&mut words.label, &mut words.call, &mut words.class] {
        *word = word.take().map(cut);
    }
    words
}

fn what(task: &Task) -> String {
    let meta: TaskWords = serde_json::from_slice(task.meta()).unwrap_or_default();
    meta.name()
}

/// Number of things that the scheduler keeps, by kind. All must go back to nothing when the work is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Footprint {
    /// Tasks.
    pub tasks: usize,
    /// Sessions.
    pub sessions: usize,
    /// FleetSummary.
    pub workers: usize,
    /// Attempts that workers hold and nobody has claimed.
    pub orphans: usize,
    /// Callers that wait for outcomes of detached tasks.
    pub collectors: usize,
    /// Places in lanes, live or stale.
    pub lane_entries: usize,
    /// Records that are not durable yet.
    pub persisting: usize,
    /// Timers, live or stale.
    pub timers: usize,
}

impl Footprint {
    /// True if nothing is kept but workers.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.tasks + self.sessions + self.orphans + self.collectors + self.lane_entries + self.persisting == 0
    }
}

impl Scheduler {
    /// Present numbers. Costs time in proportion to sessions.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        let lanes = self.sessions.iter().flat_map(|(_, session)| &session.lanes);
        let aside = self.sessions.values().filter_map(|session| Some(session.aside.as_ref()?.len()));
        Footprint {
            tasks: self.tasks.len(),
            sessions: self.sessions.len(),
            workers: self.workers.len(),
            orphans: self.orphans.len(),
            collectors: self.collectors.len(),
            lane_entries: lanes.map(std::collections::VecDeque::len).sum::<usize>() + aside.sum::<usize>(),
            persisting: self.persisting.len(),
            timers: self.timers.len(),
        }
    }
}
