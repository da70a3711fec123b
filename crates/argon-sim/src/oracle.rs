//! Rules that hold under every fault, checked from outside the core on what processes did and received.

mod losses;
mod outcomes;
mod rogues;
mod stops;
mod waits;

pub(crate) use outcomes::had_no_room;

use argon_core::scheduler::ConnId;
use argon_proto::AttemptId;
use argon_proto::{Attempt, Flags, Status, TaskId};
use rustc_hash::FxHashMap;

use crate::plan::TaskPlan;

/// Time, generous, within which a worker whose connection broke may come back with what it held.
const GRACE: u64 = 1_000_000;

/// Knowledge of the oracle about one task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate {
    /// Attempts that began in a runner.
    pub(crate) starts: u32,
    /// When the first of them did.
    pub(crate) began_at: Option<u64>,
    /// Events after which the manager could not know whether an attempt of it goes on.
    losses: u32,
    /// Number of times that the manager forgot, before its end, the retries that it had used.
    crashes: u32,
    /// Attempts that came to an end of their own in a runner, and when.
    ended: Vec<(Attempt, Status, u64)>,
    /// The attempt whose client submitted it.
    parent: Option<AttemptId>,
    /// Its id, once a session has given it one.
    id: Option<TaskId>,
    pub(crate) is_submitted: bool,
    pub(crate) is_accepted: bool,
    pub(crate) is_cancelled: bool,
    /// Number of outcomes that its caller received.
    pub(crate) delivered: u32,
    /// True if a manager has read that its outcome is in hand.
    is_taken: bool,
    /// True if the present manager has sent it to a worker.
    was_run: bool,
    /// Number of managers before that ran it: each but the first had given up what the ones before had sent.
    lives_run: u32,
    /// The highest attempt that was sent to a worker.
    latest: Attempt,
    /// Attempts that were followed by another because of how they ended.
    judged: Vec<Attempt>,
    /// When a connection of a worker that held it was last lost: for a moment that worker may come back with it.
    lost_at: Option<u64>,
    /// Attempt that was lost.
    lost: Option<Attempt>,
    /// Attempts whose outcome the present manager has read.
    read: Vec<Attempt>,
    /// Attempts that the present manager has stopped: one that comes back may have begun to end.
    doomed: Vec<Attempt>,
    /// True if the present manager has sent its client an outcome.
    is_sent: bool,
    /// The last attempt that a manager gave out after it was cut off from the clients, while another one served them.
    pub(crate) run_by_another: Option<Attempt>,
    /// The attempt that has come to its end, and where.
    finished: Option<Finished>,
    /// True if its client offered it again after it had come from another manager.
    may_have_run_elsewhere: bool,
    /// True if the present manager has taken it in.
    is_admitted: bool,
    /// Until when the present manager may wait for a worker that holds it.
    recovers_until: u64,
    /// Since when it could have been started, and was not.
    waits_since: Option<u64>,
    /// The worker whose pool was given its present attempt and has not begun it, and when.
    given: Option<(usize, u64)>,
    /// A rogue has submitted it: nothing is promised.
    is_rogues: bool,
    /// Attempts that rogues were given to run. A rogue may come back with one that it has given back.
    with_rogues: Vec<Attempt>,
    /// How rogues claim that such attempts ended, to the present manager.
    claimed: Vec<(Attempt, Status)>,
    /// A rogue was given an attempt at some time.
    was_with_rogue: bool,
    /// Connections of the present manager whose workers hold an attempt, as far as the manager can know.
    holders: Vec<(ConnId, Attempt)>,
}

/// An attempt that has come to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finished {
    pub(crate) attempt: Attempt,
    /// The worker, by its place.
    pub(crate) worker: usize,
    pub(crate) incarnation: u32,
}

/// The judge.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) fates: Vec<Fate>,
    /// Numbers of tasks in the plan, by the ids that sessions have given them.
    numbers: FxHashMap<TaskId, usize>,
    /// Numbers of the tasks that the attempts of a task have made.
    below: FxHashMap<TaskId, Vec<usize>>,
    flags: Vec<Flags>,
    retries: Vec<u16>,
    is_limited: Vec<bool>,
    /// When a task last began, by worker and memory limit.
    begun_at: FxHashMap<(usize, u32), u64>,
    /// When a worker last gave back a task, by memory limit.
    rested_at: FxHashMap<u32, u64>,
    /// When an attempt last started, ended, began to wait or went on.
    pub(crate) progress_at: u64,
    /// True while the events reach no peer.
    pub(crate) looks_away: bool,
    /// Managers have so little memory that tasks are refused.
    pub(crate) has_little_memory: bool,
    pub(crate) verdict: Option<String>,
}

impl Oracle {
    pub(crate) fn new(tasks: &[TaskPlan]) -> Self {
        let size = tasks.iter().map(|task| task.number as usize + 1).max().unwrap_or(0);
        let mut flags = vec![Flags::default(); size];
        let mut retries = vec![0; size];
        let mut is_limited = vec![false; size];
        for task in tasks {
            flags[task.number as usize] = task.flags;
            retries[task.number as usize] = task.retries;
            is_limited[task.number as usize] = task.memory_mib > 0;
        }
        let fates = vec![Fate::default(); size];
        Self {
            fates,
            numbers: FxHashMap::default(),
            below: FxHashMap::default(),
            flags,
            retries,
            is_limited,
            begun_at: FxHashMap::default(),
            rested_at: FxHashMap::default(),
            progress_at: 0,
            looks_away: false,
            has_little_memory: false,
            verdict: None,
        }
    }

    pub(crate) fn fail(&mut self, complaint: String) {
        self.verdict.get_or_insert(complaint);
    }

    /// A session has given a task its id.
    pub(crate) fn named(&mut self, id: TaskId, number: u64) {
        self.numbers.insert(id, number as usize);
        self.fates[number as usize].id = Some(id);
    }

    /// A client sends a task to a manager.
    pub(crate) fn submitted(&mut self, id: TaskId) {
        self.fate(id).is_submitted = true;
    }

    /// The number of a task in its plan.
    ///
    /// # Panics
    /// If no client has submitted it: some process has made it up.
    pub(crate) fn number_of(&self, id: TaskId) -> usize {
        *self.numbers.get(&id).unwrap_or_else(|| panic!("nobody has submitted {id:?}"))
    }

    fn fate(&mut self, id: TaskId) -> &mut Fate {
        let number = self.number_of(id);
        &mut self.fates[number]
    }

    /// An attempt begins in a runner.
    pub(crate) fn started(&mut self, now: u64, attempt: AttemptId) {
        let number = self.number_of(attempt.task);
        let (flags, retries) = (self.flags[number], u32::from(self.retries[number]));
        let fate = self.fate(attempt.task);
        fate.starts += 1;
        fate.began_at.get_or_insert(now);
        fate.given = None;
        self.progress_at = now;
        let fate = self.fate(attempt.task);
        if fate.is_rogues {
            return;
        }
        let (starts, losses, crashes) = (fate.starts, fate.losses, fate.crashes);
        if flags.contains(Flags::NEVER_TWICE) && starts > 1 {
            self.fail(format!("{attempt:?} must never run twice and was started {starts} times"));
        }
        if starts > 1 + losses + retries * (1 + crashes) {
            self.fail(format!(
                "{attempt:?}, task {number}, is start {starts} of its task after only {losses} losses"
            ));
        }
    }

    /// An attempt came to its own end in a runner.
    pub(crate) fn ended(&mut self, now: u64, attempt: AttemptId, status: Status) {
        self.progress_at = now;
        self.fate(attempt.task).ended.push((attempt.attempt, status, now));
    }

    /// A task of a task comes to be.
    pub(crate) fn add_child(&mut self, plan: &TaskPlan, parent: AttemptId) {
        self.below.entry(parent.task).or_default().push(self.fates.len());
        self.fates.push(Fate { parent: Some(parent), ..Fate::default() });
        self.flags.push(plan.flags);
        self.retries.push(plan.retries);
        self.is_limited.push(plan.memory_mib > 0);
    }

    /// A worker reports that an attempt has come to its end, after which nothing calls for another.
    pub(crate) fn has_finished(&mut self, finished: Finished, id: TaskId, status: Status) {
        let number = self.number_of(id);
        let is_final = match status {
            Status::Ok => true,
            Status::Error => !self.flags[number].contains(Flags::RETRY_ERROR),
            Status::Died | Status::Timeout | Status::Cancelled | Status::Lost | Status::Rejected => false,
        };
        // The manager has ordered its worker to stop it, after it had given the worker up.
        let was_given_up = self.fates[number].doomed.contains(&finished.attempt);
        if is_final && !was_given_up {
            self.fates[number].finished = Some(finished);
        }
    }

    /// The outcome of a task is kept no longer, as nobody has claimed it.
    pub(crate) fn was_given_up(&mut self, id: TaskId) {
        self.fate(id).finished = None;
    }

    /// The attempt of a task that has finished, if nothing that happened since excuses another.
    pub(crate) fn finished(&self, id: TaskId) -> Option<Finished> {
        self.fate_of(id)?.finished.filter(|_| !self.looks_away)
    }

    /// The last attempt of a task that a manager gave out after it was cut off from the clients.
    pub(crate) fn run_by_another(&self, id: TaskId) -> Option<Attempt> {
        self.fate_of(id)?.run_by_another
    }

    /// True if the present manager has sent an attempt of the task to a worker.
    pub(crate) fn was_run(&self, id: TaskId) -> bool {
        self.fate_of(id).is_some_and(|fate| fate.was_run)
    }

    /// When a connection was last lost whose worker held an attempt of the task.
    pub(crate) fn lost_at(&self, id: TaskId) -> Option<u64> {
        self.fate_of(id)?.lost_at
    }

    /// When the attempt ended that a task belongs to; detached tasks belong to none.
    pub(crate) fn parent_ended_at(&self, id: TaskId) -> Option<u64> {
        let parent = self.fates[self.number_of(id)].parent?;
        let ended = &self.fates[self.number_of(parent.task)].ended;
        ended.iter().find(|(attempt, ..)| *attempt == parent.attempt).map(|(.., at)| *at)
    }

    /// True if the present manager knows that the attempt is over which this task belongs to.
    fn is_orphan(&self, now: u64, number: usize) -> bool {
        let Some(parent) =
            self.fates[number].parent.filter(|_| !self.flags[number].contains(Flags::DETACHED))
        else {
            return false;
        };
        let fate = &self.fates[self.number_of(parent.task)];
        // A task whose client was away too long begins again with attempt 1.
        let goes_on = fate.holders.iter().any(|(_, attempt)| *attempt == parent.attempt);
        // Another manager may have given an attempt of this number to another worker: that one is stopped, this one may
        // come back.
        let may_return =
            fate.lost == Some(parent.attempt) && fate.lost_at.is_some_and(|lost| now < lost + GRACE);
        !goes_on
            && !may_return
            && (fate.read.contains(&parent.attempt) || fate.doomed.contains(&parent.attempt))
    }

    /// True if something happened to an attempt above this task, so that it may end as cancelled.
    pub(crate) fn is_uprooted(&self, id: TaskId) -> bool {
        let Some(parent) = self.fates[self.number_of(id)].parent else {
            return false;
        };
        let fate = &self.fates[self.number_of(parent.task)];
        fate.is_cancelled
            || fate.losses > 0
            || fate.delivered > 0
            || fate.lost_at.is_some()
            || fate.read.contains(&parent.attempt)
            || fate.doomed.contains(&parent.attempt)
            || fate.ended.iter().any(|(attempt, ..)| *attempt == parent.attempt)
            || self.is_uprooted(parent.task)
    }

    /// The manager sends RUN.
    pub(crate) fn run_sent(&mut self, now: u64, link: ConnId, attempt: AttemptId, may_be_taken: bool) {
        if self.looks_away {
            self.fate(attempt.task).run_by_another = Some(attempt.attempt);
            return;
        }
        let number = self.number_of(attempt.task);
        if let Some(parent) = self.fates[number].parent.filter(|_| self.is_orphan(now, number)) {
            let above = self.number_of(parent.task);
            self.fail(format!(
                "{attempt:?}, task {number}, is sent to run though attempt {} of task {above} is over: {:?}",
                parent.attempt.0, self.fates[above]
            ));
        }
        let fate = self.fate(attempt.task);
        if fate.is_rogues {
            return;
        }
        let taken = fate.is_taken;
        // An attempt of which the manager has read the outcome is over, wherever it is still listed.
        let other = fate.holders.iter().find(|(_, attempt)| !fate.read.contains(attempt)).copied();
        fate.holders.push((link, attempt.attempt));
        fate.was_run = true;
        fate.waits_since = None;
        // Judged before: later managers only go on with this attempt.
        fate.finished = None;
        fate.latest = fate.latest.max(attempt.attempt);
        fate.judged.extend(fate.read.iter().filter(|read| **read < attempt.attempt));
        if taken && !may_be_taken {
            self.fail(format!("{attempt:?} is sent to run though its outcome was taken"));
        }
        if let Some((other, held)) = other {
            self.fail(format!(
                "{attempt:?} is sent to {link:?} while attempt {} goes on at {other:?}",
                held.0
            ));
        }
    }

    /// The manager reads how an attempt ended.
    pub(crate) fn outcome_read(&mut self, now: u64, attempt: AttemptId, status: Status) {
        if self.looks_away {
            return;
        }
        let fate = self.fate(attempt.task);
        let is_new = !fate.read.contains(&attempt.attempt);
        fate.read.push(attempt.attempt);
        if fate.with_rogues.contains(&attempt.attempt) {
            fate.claimed.push((attempt.attempt, status));
        }
        if is_new {
            // An attempt for which no runner came up ends without a start.
            self.progress_at = now;
        }
    }

    /// The manager sends an outcome to its client or its collector.
    pub(crate) fn outcome_sent(&mut self, id: TaskId) {
        if self.looks_away {
            return;
        }
        self.fate(id).is_sent = true;
    }

    /// The manager read that an outcome is in hand.
    pub(crate) fn taken(&mut self, ids: &[TaskId]) {
        if self.looks_away {
            return;
        }
        for id in ids {
            let fate = self.fate(*id);
            fate.is_taken = fate.delivered > 0;
        }
    }
}
