//! Facts of tasks and clients for people and programs, copied out: of tasks that are here, and of ended ones that are
//! remembered. Not for the hot path, and nothing here decides.

use argon_proto::conversation::admin::{AttemptFacts, ClientFacts, ClientView, StoryLine, TaskFacts};
use argon_proto::{Flags, Priority, Report, Runtime, Status, Task, TaskHead, TaskId, line};

use super::history::{EndedTask, is_failure};
use super::input::ConnId;
use super::past::{KnownClient, PastAttempt, UNKNOWN};
use super::short_ids::ShortIds;
use super::task::{TaskEntry, TaskState};
use super::view::words;
use super::{OwnerName, Scheduler, TaskKey};
use crate::time::Time;

/// Letters of a message.
const MESSAGE_LETTERS: usize = 200;

/// The present, on the scheduler's clock and on that of people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// Time of the scheduler.
    pub now: Time,
    /// The same in milliseconds since 1970.
    pub unix_ms: u64,
}

/// TaskPlace of a task: here, or in the history.
pub(super) enum TaskPlace<'a> {
    Here(TaskKey),
    Past(&'a EndedTask),
}

impl Moment {
    fn unix(&self, time: Time) -> Option<u64> {
        let ago = u64::try_from(self.now.since(time).as_millis()).unwrap_or(u64::MAX);
        (time != UNKNOWN).then(|| self.unix_ms.saturating_sub(ago))
    }

    pub(super) fn age_ms(&self, time: Time) -> u64 {
        u64::try_from(self.now.since(time).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Scheduler {
    /// All facts of one task, with its attempts and its story; `None` if it is neither here nor remembered.
    #[must_use]
    pub fn task_facts(&self, moment: Moment, id: TaskId) -> Option<TaskFacts> {
        let here = self.task_of(&id).filter(|key| !self.tasks[*key].is_ended());
        let place = match here {
            Some(key) => TaskPlace::Here(key),
            None => TaskPlace::Past(self.history.find(id)?),
        };
        let mut facts = self.facts_at(moment, &place, &self.short_ids());
        let past: &[PastAttempt] = match &place {
            TaskPlace::Here(key) => self.tasks[*key].past(),
            TaskPlace::Past(task) => {
                facts.output = Report::from_json(task.report()).output.unwrap_or_default();
                task.past()
            }
        };
        facts.attempts = past.iter().map(|attempt| attempt_facts(moment, attempt)).collect();
        if let Some(started) =
            facts.started_ms.filter(|_| facts.attempts.iter().all(|past| past.attempt != facts.attempt))
        {
            let is_over = facts.ended_ms.is_some();
            facts.attempts.push(AttemptFacts {
                attempt: facts.attempt,
                worker: facts.worker.clone(),
                started_ms: Some(started),
                ended_ms: facts.ended_ms,
                end: if is_over { facts.state.clone() } else { String::new() },
                message: facts.message.clone(),
            });
        }
        facts.story = story(&facts);
        Some(facts)
    }

    /// Facts of a task of the client at a connection that waits for its blobs, and is not known here yet.
    #[must_use]
    pub fn facts_of_parked(&self, moment: Moment, link: ConnId, task: &Task) -> Option<TaskFacts> {
        let client = &self.sessions[self.client_at(link)?].facts;
        let facts = facts_of(&task.head, task.meta(), client, &self.short_ids());
        let (state, reason) = ("waiting".to_owned(), "blob".to_owned());
        let at_ms = Some(moment.unix_ms);
        Some(TaskFacts { state, reason, bytes_in: task.payload.len(), submitted_ms: at_ms, ..facts })
    }

    /// The owner of a task that is here or remembered.
    #[must_use]
    pub fn owner_of_known(&self, id: TaskId) -> Option<&OwnerName> {
        self.owner_of_task(id).or_else(|| Some(&self.history.find(id)?.client.owner))
    }

    /// How a task ended that is remembered.
    pub(super) fn ended_as(&self, id: TaskId) -> Option<Status> {
        self.history.find(id).map(|task| task.status)
    }

    /// Clients that are connected, or have tasks here; of one owner or of all.
    #[must_use]
    pub fn client_views(&self, now: Time, sees: Option<&OwnerName>) -> Vec<ClientView> {
        let short = self.short_ids();
        let mut views: Vec<ClientView> = self
            .sessions
            .values()
            .filter(|session| sees.is_none_or(|owner| self.queue.owners[session.owner].name == *owner))
            .map(|session| {
                let counts = &session.counts;
                let queued: u64 = counts.queued.iter().copied().map(u64::from).sum();
                ClientView {
                    client: client_facts(&session.facts, &short),
                    owner: self.queue.owners[session.owner].name.to_string(),
                    connected: session.link.is_some(),
                    seconds_left: session.away_until.map(|until| until.since(now).as_secs()),
                    waiting: queued + u64::from(counts.persisting + counts.recovering + counts.delayed),
                    running: counts.assigned.into(),
                    untaken: counts.ended.into(),
                }
            })
            .collect();
        views.sort_by(|one, other| (&one.owner, &one.client.short).cmp(&(&other.owner, &other.client.short)));
        views
    }

    pub(super) fn facts_at(&self, moment: Moment, place: &TaskPlace<'_>, short: &ShortIds) -> TaskFacts {
        match place {
            TaskPlace::Here(key) => self.facts_here(moment, *key, short),
            TaskPlace::Past(task) => facts_past(moment, task, short),
        }
    }

    fn facts_here(&self, moment: Moment, key: TaskKey, short: &ShortIds) -> TaskFacts {
        let entry = &self.tasks[key];
        let client = &self.sessions[entry.session].facts;
        let facts = facts_of(&entry.task.head, entry.task.meta(), client, short);
        let facts = TaskFacts {
            bytes_in: entry.task.payload.len(),
            submitted_ms: moment.unix(entry.submitted),
            attempt: entry.task.head.attempt.0,
            state: "waiting".to_owned(),
            age_ms: moment.age_ms(waits_since(entry)),
            ..facts
        };
        let reason = match &entry.state {
            TaskState::Persisting => "store",
            TaskState::Recovering => "recovery",
            TaskState::Queued { .. } => "queue",
            TaskState::Delayed => "delayed",
            TaskState::Ended(_) => "",
            TaskState::Assigned { worker, since, .. } => {
                let is_ahead = self.tasks_before_at_worker(key) >= self.workers[*worker].slots();
                return TaskFacts {
                    state: "running".to_owned(),
                    reason: if is_ahead { "sent_ahead" } else { "" }.to_owned(),
                    worker: self.workers[*worker].profile.name.clone(),
                    started_ms: moment.unix(*since),
                    age_ms: moment.age_ms(*since),
                    ..facts
                };
            }
        };
        let last = entry.past().last();
        TaskFacts {
            reason: reason.to_owned(),
            message: last.map(|past| last_line(&past.message)).unwrap_or_default(),
            ..facts
        }
    }

    /// Number of tasks that the worker of a task received before it and still holds, without those that lend their slots.
    pub(super) fn tasks_before_at_worker(&self, key: TaskKey) -> u64 {
        let TaskState::Assigned { worker, since, place } = self.tasks[key].state else {
            return 0;
        };
        let worker = &self.workers[worker];
        if worker.surplus() == 0 {
            return 0;
        }
        let is_before = |other: &&TaskKey| match &self.tasks[**other] {
            TaskEntry { is_lent: true, .. } => false,
            TaskEntry { state: TaskState::Assigned { since: other, place: at, .. }, .. } => {
                (*other, *at) < (since, place)
            }
            _ => false,
        };
        worker.assigned.iter().filter(is_before).count() as u64
    }
}

/// When a task that waits began to do so.
pub(super) fn waits_since(entry: &TaskEntry) -> Time {
    let submitted = if entry.submitted == UNKNOWN { Time(0) } else { entry.submitted };
    let failed = entry.past().last().map(|past| past.ended);
    failed.or(entry.queued_since()).unwrap_or(submitted)
}

fn facts_past(moment: Moment, task: &EndedTask, short: &ShortIds) -> TaskFacts {
    let facts = facts_of(&task.head(), task.meta.as_deref().unwrap_or_default(), &task.client, short);
    let report = if is_failure(task.status) || task.status == Status::Cancelled {
        Report::from_json(task.report())
    } else {
        Report::default()
    };
    let last = task.worker.as_ref().map(|worker| (worker.as_str(), task.started));
    let last = last.or(task.past().last().map(|past| (past.worker.as_str(), past.started)));
    TaskFacts {
        state: task.status.name().to_owned(),
        message: last_line(&report.message),
        submitted_ms: moment.unix(task.submitted),
        started_ms: last.and_then(|(_, since)| moment.unix(since)),
        ended_ms: moment.unix(task.ended),
        age_ms: moment.age_ms(task.ended),
        worker: last.map(|(worker, _)| worker.to_owned()).unwrap_or_default(),
        attempt: task.attempt.0,
        run_us: (task.run_us > 0).then_some(task.run_us),
        cpu_ms: report.cpu_ms,
        peak_kib: report.peak_kib,
        bytes_in: task.bytes_in,
        bytes_out: task.bytes_out,
        ..facts
    }
}

fn facts_of(head: &TaskHead, meta: &[u8], client: &KnownClient, short: &ShortIds) -> TaskFacts {
    let words = words(meta);
    let priority = match head.priority {
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    };
    TaskFacts {
        task: head.id.to_string(),
        short: short.task(head.id),
        name: named(&words.name(), head.runtime),
        label: words.label(),
        runtime: head.runtime.name().to_owned(),
        priority: priority.to_owned(),
        detached: head.flags.contains(Flags::DETACHED),
        owner: client.owner.to_string(),
        client: client_facts(client, short),
        ..TaskFacts::default()
    }
}

/// A task that names nothing is code of its runtime.
pub(super) fn named(name: &str, runtime: Runtime) -> String {
    if name.is_empty() { format!("{} code", runtime.name()) } else { name.to_owned() }
}

fn client_facts(client: &KnownClient, short: &ShortIds) -> ClientFacts {
    ClientFacts {
        session: client.session.to_string(),
        short: short.session(client.session),
        program: client.program.name.clone(),
        host: client.program.host.clone(),
        pid: client.program.pid,
        inside: client.inside.map(|id| short.task(id)).unwrap_or_default(),
    }
}

fn attempt_facts(moment: Moment, past: &PastAttempt) -> AttemptFacts {
    AttemptFacts {
        attempt: past.attempt.0,
        worker: past.worker.to_string(),
        started_ms: moment.unix(past.started),
        ended_ms: moment.unix(past.ended),
        end: past.end.name().to_owned(),
        message: last_line(&past.message),
    }
}

/// The events of a task in the order of time.
fn story(facts: &TaskFacts) -> Vec<StoryLine> {
    let line = |at_ms, text: String| StoryLine { at_ms, text };
    let ClientFacts { program, host, pid, inside, .. } = &facts.client;
    let inside = if inside.is_empty() { String::new() } else { format!(", inside task {inside}") };
    let of = match pid {
        0 => String::new(),
        pid => format!(" (process {pid} of {host})"),
    };
    let mut story =
        vec![line(facts.submitted_ms, format!("{program}{of}{inside} submitted it for {}", facts.owner))];
    for AttemptFacts { attempt, worker, started_ms, ended_ms, end, message } in &facts.attempts {
        story.push(line(*started_ms, format!("worker {worker} received attempt {attempt}")));
        let is_last = *attempt == facts.attempt && *ended_ms == facts.ended_ms;
        if !end.is_empty() && !is_last {
            let why = if message.is_empty() { String::new() } else { format!(": {message}") };
            story.push(line(*ended_ms, format!("attempt {attempt} ended as {end}{why}")));
        }
    }
    if facts.ended_ms.is_some() {
        let why = if facts.message.is_empty() { String::new() } else { format!(": {}", facts.message) };
        story.push(line(facts.ended_ms, format!("the task ended as {}{why}", facts.state)));
    }
    story
}

/// The last line of a message that has words, for people.
fn last_line(message: &str) -> String {
    let last = message.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line::clean_up_to(last.trim(), MESSAGE_LETTERS).into_owned()
}
