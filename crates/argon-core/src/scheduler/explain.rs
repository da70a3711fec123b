//! Why one task is where it is: a pure function of the scheduler's state and the time. Nothing here decides.

use std::time::Duration;

use argon_proto::conversation::admin::{Explanation, TaskReason, WorkerVerdict};
use argon_proto::{Runtime, TaskId};

use super::task::{Origin, TaskEntry, TaskState};
use super::waiting::{LOOKS_FOR_PYTHON, WaitReason};
use super::worker::Worker;
use super::{Scheduler, SessionKey, TaskKey, WorkerKey};
use crate::pool::{RunnerKind, Version};
use crate::time::Time;

/// Workers of one explanation.
const WORKERS_MAX: usize = 200;

/// Obstacle between a waiting task and a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Obstacle {
    Away,
    Draining,
    NoRuntime,
    Resting,
    Full,
    None,
}

/// Tasks that start before one that waits.
#[derive(Clone, Copy, Default)]
struct Before {
    /// Tasks of a higher priority.
    urgent: usize,
    /// Tasks of the same priority and session.
    own: usize,
    /// Tasks of sessions that take turns with it, at most.
    others: usize,
}

impl Scheduler {
    /// Why a task waits, or what it does; `None` if it is not here. Costs time in proportion to workers and sessions, and to
    /// the tasks of its session.
    #[must_use]
    pub fn explain(&self, now: Time, id: TaskId) -> Option<Explanation> {
        let key = self.task_of(&id)?;
        let entry = &self.tasks[key];
        let mut told = Explanation {
            task: id.to_string(),
            state: self.task_state(id)?,
            why: self.waiting_of_task(now, id).waiting,
            ..Explanation::default()
        };
        match entry.state {
            TaskState::Persisting => {
                reason(
                    &mut told,
                    WaitReason::Store.name(),
                    "it waits until the store has written it".to_owned(),
                );
            }
            TaskState::Recovering => {
                let why =
                    "another manager may have given it out: it waits for a worker that may still run it";
                reason(&mut told, WaitReason::Recovery.name(), why.to_owned());
            }
            TaskState::Delayed => self.explain_delayed(now, key, &mut told),
            TaskState::Queued { .. } => self.explain_queued(now, key, &mut told),
            TaskState::Assigned { worker, since, .. } => {
                self.explain_assigned(now, key, (worker, since), &mut told);
            }
            TaskState::Ended(_) => {
                reason(
                    &mut told,
                    "ended",
                    "it has ended, and its client has not taken the outcome".to_owned(),
                );
            }
        }
        Some(told)
    }

    fn explain_delayed(&self, now: Time, key: TaskKey, told: &mut Explanation) {
        let entry = &self.tasks[key];
        let due = self.timers.retry_of(key, entry.stamp);
        let when = due.map_or("soon".to_owned(), |due| format!("in {}", seconds(due.since(now))));
        let cause = entry.past().last().map(|past| match &*past.message {
            "" => format!("attempt {} ended as {}", past.attempt.0, past.end.name()),
            message => format!("attempt {} ended as {}: {message}", past.attempt.0, past.end.name()),
        });
        let cause = cause.unwrap_or_else(|| "an attempt failed".to_owned());
        reason(told, WaitReason::Delayed.name(), format!("{cause}; the next attempt is due {when}"));
    }

    fn explain_assigned(
        &self,
        now: Time,
        key: TaskKey,
        (worker_key, since): (WorkerKey, Time),
        told: &mut Explanation,
    ) {
        let entry = &self.tasks[key];
        let worker = &self.workers[worker_key];
        let name = &worker.profile.name;
        let age = seconds(now.since(since));
        if worker.link.is_none() {
            let why = format!(
                "worker {name}, which has it, is disconnected; if it does not come back, the task starts elsewhere"
            );
            return reason(told, "worker_away", why);
        }
        if entry.origin == Origin::Unsent {
            let why = format!("it goes to worker {name} when the store has written that it starts");
            return reason(told, WaitReason::Store.name(), why);
        }
        if let Some((_, lacking)) = entry.cold.as_ref().and_then(|cold| cold.lacks_blobs) {
            let why = format!(
                "worker {name} has it and lacks its code or arguments, for which the client was asked {} ago",
                seconds(now.since(lacking))
            );
            return reason(told, WaitReason::Blob.name(), why);
        }
        let before = self.tasks_before_at_worker(key);
        if before >= worker.slots() {
            let entries = worker.assigned.iter().map(|other| &self.tasks[*other]);
            let oldest = entries.filter(|other| !other.is_lent).filter_map(held_since);
            let longest = oldest.min().map_or(Duration::ZERO, |since| now.since(since));
            let why = format!(
                "worker {name} has it, and {before} tasks before it for {} slots; the oldest of them is there for {}; if a slot \
                 gets free elsewhere, the worker is asked to give it back",
                worker.slots(),
                seconds(longest)
            );
            return reason(told, "sent_ahead", why);
        }
        let why = if entry.is_lent {
            format!("worker {name} runs it since {age}; it waits for tasks of its own, and lends its slot")
        } else {
            format!("worker {name} runs it since {age}")
        };
        reason(told, "running", why);
    }

    fn explain_queued(&self, now: Time, key: TaskKey, told: &mut Explanation) {
        let entry = &self.tasks[key];
        let session = &self.sessions[entry.session];
        let owner = &self.queue.owners[session.owner];
        if session.untaken_bytes > self.limits.untaken_bytes {
            let why = format!(
                "its client leaves {} MiB of outcomes untaken; it starts when the client has taken some",
                session.untaken_bytes >> 20
            );
            reason(told, WaitReason::Outcomes.name(), why);
        } else if session.is_held_back {
            let why =
                "the manager's memory is full; it starts when its client has taken outcomes, or others have";
            reason(told, WaitReason::Memory.name(), why.to_owned());
        }
        if self.is_at_bound(session.owner) {
            let why = format!(
                "its owner {} has {} tasks at workers, which is the most for one owner (--max-running)",
                owner.name,
                owner.running()
            );
            reason(told, WaitReason::Owner.name(), why);
        }
        let before = self.before(key);
        told.before = Some((before.urgent + before.own + before.others) as u64);
        self.explain_workers(now, entry, told);
        self.explain_fleet(now, entry, before, told);
    }

    /// What each worker is to a waiting task.
    fn explain_workers(&self, now: Time, entry: &TaskEntry, told: &mut Explanation) {
        let mut verdicts: Vec<(bool, WorkerVerdict)> = Vec::new();
        for worker in self.workers.values() {
            let (obstacle, why) = verdict(now, worker, entry);
            let takes = obstacle == Obstacle::None;
            verdicts.push((takes, WorkerVerdict { worker: worker.profile.name.clone(), takes, why }));
        }
        verdicts.sort_by(|one, other| (!one.0, &one.1.worker).cmp(&(!other.0, &other.1.worker)));
        told.more_workers = verdicts.len().saturating_sub(WORKERS_MAX);
        told.workers = verdicts.into_iter().take(WORKERS_MAX).map(|(_, verdict)| verdict).collect();
    }

    /// The reason that all workers have in common.
    fn explain_fleet(&self, now: Time, entry: &TaskEntry, before: Before, told: &mut Explanation) {
        let connected = || self.workers.values().filter(|worker| worker.link.is_some());
        let count = connected().count();
        let able = |obstacles: &[Obstacle]| {
            connected().filter(|worker| !obstacles.contains(&obstacle(now, worker, entry))).count()
        };
        if count == 0 {
            let why = "no worker is connected; start one with: argon worker --manager HOST:PORT";
            reason(told, WaitReason::NoWorker.name(), why.to_owned());
        } else if able(&[Obstacle::NoRuntime]) == 0 {
            let needs = needs(entry);
            let why = format!(
                "no worker has {needs}; start one where it is installed (argon workers shows what each has)"
            );
            reason(told, WaitReason::NoRuntime.name(), why);
        } else if able(&[Obstacle::NoRuntime, Obstacle::Draining]) == 0 {
            let why = "every worker that could take it is draining; start another one";
            reason(told, WaitReason::Draining.name(), why.to_owned());
        } else if able(&[Obstacle::NoRuntime, Obstacle::Draining, Obstacle::Resting]) == 0 {
            let why = "no worker can start a process for it now; the logs of the workers say why";
            reason(told, WaitReason::Exhausted.name(), why.to_owned());
        } else {
            let slots: u64 = connected().filter(|worker| !worker.draining).map(Worker::slots).sum();
            let taken = if slots == 1 {
                "the only slot is taken".to_owned()
            } else {
                format!("all {slots} slots are taken")
            };
            let total = before.urgent + before.own + before.others;
            let ahead = match total {
                0 => "it is the next to start".to_owned(),
                1 => format!("1 task is before it{}", of_what(before)),
                _ if before.others > 0 => format!("about {total} tasks are before it{}", of_what(before)),
                _ => format!("{total} tasks are before it{}", of_what(before)),
            };
            reason(told, WaitReason::Busy.name(), format!("{taken}, and {ahead}"));
        }
    }

    /// Tasks that start before a queued one, if nothing else comes.
    fn before(&self, key: TaskKey) -> Before {
        let entry = &self.tasks[key];
        let lane = entry.task.head.priority.index();
        let session = &self.sessions[entry.session];
        let aside = session.aside.iter().flat_map(|aside| aside.places(lane));
        let places = aside.chain(&session.lanes[lane]);
        let live = places.filter(|place| super::task::is_live(&self.tasks, **place));
        let own = live.take_while(|(other, _)| *other != key).count();
        // Sessions take turns: before its turn comes, each other one has as many.
        let others: usize = self
            .sessions
            .iter()
            .filter(|(other, _)| *other != entry.session)
            .map(|(other, _)| self.waiting_in(other, lane).min(own + 1))
            .sum();
        Before { urgent: self.queue.lengths()[..lane].iter().sum(), own, others }
    }

    /// Tasks of a session that wait in a priority and may start.
    fn waiting_in(&self, key: SessionKey, lane: usize) -> usize {
        let session = &self.sessions[key];
        if self.is_choked(session) || self.is_at_bound(session.owner) {
            return 0;
        }
        let aside = session.aside.as_ref().map_or(0, |aside| aside.places(lane).count());
        session.lanes[lane].len().saturating_sub(session.stale[lane]) + aside
    }
}

/// When a task came to the worker that has it.
fn held_since(entry: &TaskEntry) -> Option<Time> {
    match entry.state {
        TaskState::Assigned { since, .. } => Some(since),
        TaskState::Persisting
        | TaskState::Recovering
        | TaskState::Queued { .. }
        | TaskState::Delayed
        | TaskState::Ended(_) => None,
    }
}

fn reason(told: &mut Explanation, code: &str, message: String) {
    told.reasons.push(TaskReason { code: code.to_owned(), message });
}

fn of_what(before: Before) -> String {
    let parts = [
        (before.urgent, "more urgent"),
        (before.own, "of its own client"),
        (before.others, "of clients that take turns with it"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    format!(" ({})", parts.join(", "))
}

/// What keeps a waiting task from a worker.
fn obstacle(now: Time, worker: &Worker, entry: &TaskEntry) -> Obstacle {
    if worker.link.is_none() {
        Obstacle::Away
    } else if !has_runtime(now, worker, entry) {
        Obstacle::NoRuntime
    } else if worker.draining {
        Obstacle::Draining
    } else if worker.rests.is_whole() || worker.rests.has(RunnerKind::asked_by(&entry.task)) {
        Obstacle::Resting
    } else if !worker.may_take() {
        Obstacle::Full
    } else {
        Obstacle::None
    }
}

fn verdict(now: Time, worker: &Worker, entry: &TaskEntry) -> (Obstacle, String) {
    let obstacle = obstacle(now, worker, entry);
    let why = match obstacle {
        Obstacle::Away => "is disconnected, and may come back".to_owned(),
        Obstacle::NoRuntime => match has_of(worker, entry.task.head.runtime) {
            Some(version) => format!("has no {}, but {version}", needs(entry)),
            None => format!("has no {}", needs(entry)),
        },
        Obstacle::Draining => match worker.drain_until {
            Some(until) => format!("drains, and leaves within {}", seconds(until.since(now))),
            None => "drains: it takes no more tasks".to_owned(),
        },
        Obstacle::Resting => {
            "returned such tasks a moment ago: it could not start a process for them".to_owned()
        }
        Obstacle::Full => {
            let ahead = match worker.surplus() {
                0 => String::new(),
                ahead => format!(", and {ahead} more tasks wait there"),
            };
            match worker.slots() {
                1 => format!("its slot is taken{ahead}"),
                slots => format!("its {slots} slots are taken{ahead}"),
            }
        }
        Obstacle::None => "would take it".to_owned(),
    };
    (obstacle, why)
}

/// The runtime that a task needs, with the version if it wants one.
fn needs(entry: &TaskEntry) -> String {
    let runtime = entry.task.head.runtime;
    match Version::wanted_by(&entry.task).filter(|_| runtime == Runtime::Python) {
        Some(version) => format!("python{version}"),
        None => runtime.name().to_owned(),
    }
}

/// Versions of a runtime that a worker names.
fn has_of(worker: &Worker, runtime: Runtime) -> Option<&str> {
    let named = worker.profile.runtimes.iter().find(|(name, _)| name == runtime.name());
    named.map(|(_, version)| version.as_str())
}

/// True if a worker may have what a task needs. One that names nothing may have all.
fn has_runtime(now: Time, worker: &Worker, entry: &TaskEntry) -> bool {
    let runtime = entry.task.head.runtime;
    let may_look = runtime == Runtime::Python && now.since(worker.joined) < LOOKS_FOR_PYTHON;
    if worker.profile.runtimes.is_empty() || may_look {
        return true;
    }
    let Some(versions) = has_of(worker, runtime) else {
        return false;
    };
    let wanted = Version::wanted_by(&entry.task).filter(|_| runtime == Runtime::Python);
    wanted.is_none_or(|wanted| versions.split(',').filter_map(Version::parse).any(|found| found == wanted))
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
