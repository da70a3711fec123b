//! Why tasks wait: the reasons for a client that has received nothing for a while.
//!
//! Answers cost the same with ten tasks or a million: sessions count their tasks by state, and only a few tasks are looked
//! at for what the counts cannot tell. `tasks` of a reason is exact but for that: then it is a lower bound.

mod fleet;

use argon_proto::conversation::admin::{WaitingReport, WhyWaiting};
use argon_proto::{Runtime, TaskId};

pub(super) use fleet::LOOKS_FOR_PYTHON;
use fleet::{FleetSummary, place};

use super::input::ConnId;
use super::session::{Session, TaskCounts};
use super::task::{TaskEntry, TaskState, is_live};
use super::{Scheduler, SessionKey};
use crate::pool::Version;
use crate::time::Time;

/// Waiting Python tasks whose meta data is read for the version that they want.
const PYTHONS_READ: u64 = 256;
/// Bytes of meta data after which no more is read.
const META_READ: usize = 256 << 10;
/// Places of a lane that are looked at to find them.
const PLACES_READ: usize = 1024;
/// Tasks of other sessions that are looked at because the client collects them.
const COLLECTED_READ: usize = 1024;
/// Reasons for which tasks wait at a manager.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitReason {
    /// No worker is connected.
    NoWorker,
    /// Workers are connected, but none with the interpreter.
    NoRuntime,
    /// All workers drain.
    Draining,
    /// All workers that do not drain pause, because of their own limits on the machine.
    Paused,
    /// All workers gave their tasks back: they cannot start processes.
    Exhausted,
    /// The client does not take its outcomes.
    Outcomes,
    /// Memory is full, and the outcomes of the client take more than its part.
    Memory,
    /// The owner has as many tasks at workers as one owner may.
    Owner,
    /// Packages that a worker installs for them.
    Environment,
    /// Code or arguments have not arrived.
    Blob,
    /// The store has not written them.
    Store,
    /// Another manager may have given them out, and a worker may still run them.
    Recovery,
    /// They failed, and wait for their next attempt.
    Delayed,
    /// All slots are taken.
    Busy,
}

impl WaitReason {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::NoWorker,
        Self::NoRuntime,
        Self::Draining,
        Self::Paused,
        Self::Exhausted,
        Self::Outcomes,
        Self::Memory,
        Self::Owner,
        Self::Environment,
        Self::Blob,
        Self::Store,
        Self::Recovery,
        Self::Delayed,
        Self::Busy,
    ];

    /// The code on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoWorker => "no_worker",
            Self::NoRuntime => "no_runtime",
            Self::Draining => "draining",
            Self::Paused => "paused",
            Self::Exhausted => "exhausted",
            Self::Outcomes => "outcomes",
            Self::Memory => "memory",
            Self::Owner => "owner",
            Self::Environment => "environment",
            Self::Blob => "blob",
            Self::Store => "store",
            Self::Recovery => "recovery",
            Self::Delayed => "delayed",
            Self::Busy => "busy",
        }
    }
}

/// Counts of the tasks in question, by what they wait for.
#[derive(Default)]
struct Tally {
    counts: TaskCounts,
    /// Queued tasks of sessions that do not take their outcomes.
    choked: u64,
    /// Queued tasks of sessions that are held back because memory is full.
    held_back: u64,
    /// Queued tasks of owners that have as many tasks at workers as they may.
    at_bound: u64,
    /// Python versions that the examined tasks ask for.
    pythons: Vec<(Option<Version>, u64)>,
    read: u64,
    meta_read: usize,
}

impl Scheduler {
    /// Why the tasks of the client at this connection wait, those that it collects included; `None` if no client is there.
    #[must_use]
    pub fn waiting_of(&self, now: Time, link: ConnId) -> Option<WaitingReport> {
        let key = self.client_at(link)?;
        let session = &self.sessions[key];
        let mut tally = Tally::default();
        self.tally_session(session, &mut tally);
        self.tally_collected(key, session, &mut tally);
        Some(self.reasons(now, &tally))
    }

    /// Why the tasks of all sessions wait. Costs time in proportion to sessions and workers.
    #[must_use]
    pub fn waiting(&self, now: Time) -> WaitingReport {
        let mut tally = Tally::default();
        self.sessions.iter().for_each(|(_, session)| self.tally_session(session, &mut tally));
        self.reasons(now, &tally)
    }

    /// Why one task waits; nothing if it does not wait or is not known.
    #[must_use]
    pub fn waiting_of_task(&self, now: Time, id: TaskId) -> WaitingReport {
        let mut tally = Tally::default();
        if let Some(key) = self.task_of(&id) {
            let entry = &self.tasks[key];
            let session = &self.sessions[entry.session];
            let is_queued = matches!(entry.state, TaskState::Queued { .. });
            if is_queued && session.untaken_bytes > self.limits.untaken_bytes {
                tally.choked = 1;
            } else if is_queued && session.is_held_back {
                tally.held_back = 1;
            } else if is_queued && self.is_at_bound(session.owner) {
                tally.at_bound = 1;
            } else {
                tally.counts.add(&entry.state, entry.task.head.runtime);
                tally.read_python(entry);
            }
        }
        self.reasons(now, &tally)
    }

    /// True if tasks are queued and no worker is there to take them.
    #[must_use]
    pub fn is_stranded(&self) -> bool {
        self.workers.is_empty() && self.queue.len() > 0
    }

    fn tally_session(&self, session: &Session, tally: &mut Tally) {
        let mut counts = session.counts;
        if self.is_choked(session) {
            let queued = std::mem::take(&mut counts.queued).into_iter().map(u64::from).sum::<u64>();
            let is_own = session.untaken_bytes > self.limits.untaken_bytes;
            *(if is_own { &mut tally.choked } else { &mut tally.held_back }) += queued;
        } else if self.is_at_bound(session.owner) {
            tally.at_bound += std::mem::take(&mut counts.queued).into_iter().map(u64::from).sum::<u64>();
        }
        tally.counts.merge(&counts);
        if counts.queued[place(Runtime::Python)] > 0 {
            let aside = session.aside.iter().flat_map(|aside| (0..3).flat_map(|lane| aside.places(lane)));
            let lanes = session.lanes.iter().flat_map(|lane| lane.iter().take(PLACES_READ));
            let places = aside.take(PLACES_READ).chain(lanes);
            for (key, stamp) in places {
                if tally.has_read_enough() {
                    break;
                }
                if is_live(&self.tasks, (*key, *stamp)) {
                    tally.read_python(&self.tasks[*key]);
                }
            }
        }
    }

    fn tally_collected(&self, key: SessionKey, session: &Session, tally: &mut Tally) {
        let known = |id: &TaskId| Some(&self.tasks[self.task_of(id)?]);
        let others = session.collecting.iter().take(COLLECTED_READ).filter_map(known);
        for entry in others.filter(|entry| entry.session != key) {
            tally.counts.add(&entry.state, entry.task.head.runtime);
            if matches!(entry.state, TaskState::Queued { .. }) && !tally.has_read_enough() {
                tally.read_python(entry);
            }
        }
    }

    fn reasons(&self, now: Time, tally: &Tally) -> WaitingReport {
        let workers = self.workers_at(now);
        let counts = &tally.counts;
        let mut waiting = Vec::new();
        let mut queued: u64 = counts.queued.iter().copied().map(u64::from).sum();
        if workers.connected == 0 {
            let why = "no worker is connected; start one with: argon worker --manager HOST:PORT";
            push(&mut waiting, WaitReason::NoWorker, std::mem::take(&mut queued), why);
        } else {
            for (runtime, tasks) in tally.without_runtime(&workers) {
                queued -= tasks;
                let why = format!(
                    "no worker has {runtime}; start one where it is installed (argon status shows what each has); \
                     a task that another worker takes ends as died"
                );
                push(&mut waiting, WaitReason::NoRuntime, tasks, &why);
                if let Some(last) = waiting.last_mut() {
                    last.runtime = runtime;
                }
            }
        }
        if workers.draining == workers.connected {
            let why = format!("{} draining; start another one", all_workers(workers.connected));
            push(&mut waiting, WaitReason::Draining, std::mem::take(&mut queued), &why);
        }
        if workers.paused > 0 && workers.draining + workers.paused == workers.connected {
            push(&mut waiting, WaitReason::Paused, std::mem::take(&mut queued), &workers.why_paused());
        }
        let exhausted: u64 = tally.exhausted(&workers).min(queued);
        queued -= exhausted;
        let why = "no worker can start a process for them now; the logs of the workers say why";
        push(&mut waiting, WaitReason::Exhausted, exhausted, why);
        let why = "the client leaves outcomes untaken; they start when it has taken some";
        push(&mut waiting, WaitReason::Outcomes, tally.choked, why);
        let why =
            "the manager's memory is full; they start when the client has taken outcomes, or others have";
        push(&mut waiting, WaitReason::Memory, tally.held_back, why);
        let why = format!(
            "their owner has {} tasks at workers, which is the most for one owner (--max-running)",
            self.limits.max_running
        );
        push(&mut waiting, WaitReason::Owner, tally.at_bound, &why);
        push(&mut waiting, WaitReason::Store, counts.persisting.into(), "the store has not written them yet");
        let why = "another manager may have given them out, and a worker that comes back may run them";
        push(&mut waiting, WaitReason::Recovery, counts.recovering.into(), why);
        let why = "they failed and are tried again after a pause";
        push(&mut waiting, WaitReason::Delayed, counts.delayed.into(), why);
        let why = match workers.slots {
            1 => "the only slot is taken".to_owned(),
            slots => format!("all {slots} slots are taken"),
        };
        let why = match workers.lent {
            0 => why,
            1 => format!("{why}; 1 more task waits for its own tasks"),
            lent => format!("{why}; {lent} more tasks wait for their own tasks"),
        };
        push(&mut waiting, WaitReason::Busy, queued, &why);
        WaitingReport { running: counts.assigned.into(), waiting }
    }
}

impl Tally {
    fn has_read_enough(&self) -> bool {
        self.read >= PYTHONS_READ || self.meta_read >= META_READ
    }

    fn read_python(&mut self, entry: &TaskEntry) {
        if entry.task.head.runtime != Runtime::Python {
            return;
        }
        self.read += 1;
        self.meta_read += entry.task.meta().len();
        let wanted = Version::wanted_by(&entry.task);
        match self.pythons.iter_mut().find(|(other, _)| *other == wanted) {
            Some((_, tasks)) => *tasks += 1,
            None => self.pythons.push((wanted, 1)),
        }
    }

    /// Queued tasks of the runtimes that no worker which might take them can start now.
    fn exhausted(&self, workers: &FleetSummary) -> u64 {
        let is_out = |runtime| {
            workers.draining + workers.paused + workers.resting[place(runtime)] == workers.connected
        };
        let runtimes = Runtime::ALL.into_iter().map(|(runtime, _)| runtime);
        runtimes
            .filter(|runtime| is_out(*runtime))
            .map(|runtime| u64::from(self.counts.queued[place(runtime)]))
            .sum()
    }

    /// Interpreters that no worker has, each with the queued tasks that need it.
    fn without_runtime(&self, workers: &FleetSummary) -> Vec<(String, u64)> {
        if workers.is_vague {
            return Vec::new();
        }
        let mut missing: Vec<(String, u64)> = Vec::new();
        for (runtime, name) in Runtime::ALL {
            let queued = u64::from(self.counts.queued[place(runtime)]);
            if queued > 0 && runtime == Runtime::Python {
                if !workers.looks_for_python {
                    missing.extend(self.without_python(queued, workers));
                }
            } else if queued > 0 && !workers.has[place(runtime)] {
                missing.push((name.to_owned(), queued));
            }
        }
        missing
    }

    fn without_python(&self, queued: u64, workers: &FleetSummary) -> Vec<(String, u64)> {
        let is_missing = |wanted: &Option<Version>| match wanted {
            Some(version) => !workers.pythons.contains(version),
            None => !workers.has[place(Runtime::Python)],
        };
        let missing: Vec<_> = self.pythons.iter().filter(|(wanted, _)| is_missing(wanted)).collect();
        // Those that were not read are taken to be like those that were, if these are all alike.
        let is_uniform = self.pythons.len() == 1;
        missing
            .into_iter()
            .map(|(wanted, tasks)| {
                let version = wanted.map(|version| version.to_string()).unwrap_or_default();
                (format!("python{version}"), if is_uniform { queued } else { *tasks })
            })
            .collect()
    }
}

pub(super) fn push(waiting: &mut Vec<WhyWaiting>, code: WaitReason, tasks: u64, why: &str) {
    if tasks > 0 {
        let message = match tasks {
            1 => format!("1 task waits: {why}"),
            _ => format!("{tasks} tasks wait: {why}"),
        };
        waiting.push(WhyWaiting { code: code.name().to_owned(), runtime: String::new(), tasks, message });
    }
}

fn all_workers(count: usize) -> String {
    if count == 1 { "the only worker is".to_owned() } else { format!("all {count} workers are") }
}
