//! What must be true whatever goes wrong, judged from outside the core by what processes did and received.

use argon_core::scheduler::ConnId;
use argon_proto::AttemptId;
use argon_proto::{Attempt, Flags, Outcome, Status, TaskId};
use rustc_hash::FxHashMap;

use crate::plan::TaskPlan;

/// So long, generously, a worker whose connection broke may come back with what it held.
const GRACE: u64 = 1_000_000;

/// What the oracle knows of one task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate {
    /// Attempts that began in a runner.
    pub(crate) starts: u32,
    /// When the first of them did.
    pub(crate) began_at: Option<u64>,
    /// Events after which the manager could not know whether an attempt of it goes on.
    losses: u32,
    /// How often the manager forgot, while it was not over, how many retries it had used.
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
    /// How often its caller received an outcome.
    pub(crate) delivered: u32,
    /// Whether a manager has read that its outcome is in hand.
    is_taken: bool,
    /// Whether the present manager has sent it to a worker.
    was_run: bool,
    /// How many managers before have: each but the first had given up what the ones before had sent.
    lives_run: u32,
    /// Attempts that were followed by another because of how they ended.
    judged: Vec<Attempt>,
    /// When a connection of a worker that held it was last lost: for a moment that worker may come back with it.
    lost_at: Option<u64>,
    /// Attempts whose outcome the present manager has read.
    read: Vec<Attempt>,
    /// Attempts that the present manager has stopped: one that comes back may have begun to end.
    doomed: Vec<Attempt>,
    /// Whether the present manager has sent its client an outcome.
    is_sent: bool,
    /// Connections of the present manager whose workers hold an attempt, as far as the manager can know.
    holders: Vec<(ConnId, Attempt)>,
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
    /// When an attempt last started, ended, began to wait or went on.
    pub(crate) progress_at: u64,
    /// Whether anything went wrong so far that may excuse a loss.
    pub(crate) is_disturbed: bool,
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
            progress_at: 0,
            is_disturbed: false,
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
        self.progress_at = now;
        let fate = self.fate(attempt.task);
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

    /// When the attempt ended that a task belongs to; detached tasks belong to none.
    pub(crate) fn parent_ended_at(&self, id: TaskId) -> Option<u64> {
        let parent = self.fates[self.number_of(id)].parent?;
        let ended = &self.fates[self.number_of(parent.task)].ended;
        ended.iter().find(|(attempt, ..)| *attempt == parent.attempt).map(|(.., at)| *at)
    }

    /// True if the present manager knows that the attempt is over which this task belongs to.
    fn is_orphan(&self, number: usize) -> bool {
        let Some(parent) =
            self.fates[number].parent.filter(|_| !self.flags[number].contains(Flags::DETACHED))
        else {
            return false;
        };
        let fate = &self.fates[self.number_of(parent.task)];
        // A task whose client was away too long begins again with attempt 1.
        let goes_on = fate.holders.iter().any(|(_, attempt)| *attempt == parent.attempt);
        !goes_on && (fate.read.contains(&parent.attempt) || fate.doomed.contains(&parent.attempt))
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
    pub(crate) fn run_sent(&mut self, link: ConnId, attempt: AttemptId) {
        let number = self.number_of(attempt.task);
        if let Some(parent) = self.fates[number].parent.filter(|_| self.is_orphan(number)) {
            let above = self.number_of(parent.task);
            self.fail(format!(
                "{attempt:?}, task {number}, is sent to run though attempt {} of task {above} is over: {:?}",
                parent.attempt.0, self.fates[above]
            ));
        }
        let fate = self.fate(attempt.task);
        let taken = fate.is_taken;
        // An attempt of which the manager has read the outcome is over, wherever it is still listed.
        let other = fate.holders.iter().find(|(_, attempt)| !fate.read.contains(attempt)).copied();
        fate.holders.push((link, attempt.attempt));
        fate.was_run = true;
        fate.judged.extend(fate.read.iter().filter(|read| **read < attempt.attempt));
        if taken {
            self.fail(format!("{attempt:?} is sent to run though its outcome was taken"));
        }
        if let Some((other, held)) = other {
            self.fail(format!(
                "{attempt:?} is sent to {link:?} while attempt {} goes on at {other:?}",
                held.0
            ));
        }
    }

    /// A worker registers with what it holds; `is_recovering` if the manager has just started and has not seen it before.
    pub(crate) fn held(&mut self, link: ConnId, attempts: &[AttemptId], is_recovering: bool) {
        for attempt in attempts {
            let fate = self.fate(attempt.task);
            let run_elsewhere = fate.was_run && fate.holders.iter().any(|(other, _)| *other != link);
            let was_lost = fate.losses > fate.crashes || fate.lives_run > 1;
            let was_judged = fate.judged.contains(&attempt.attempt);
            fate.holders.retain(|held| *held != (link, attempt.attempt));
            fate.holders.push((link, attempt.attempt));
            if is_recovering && run_elsewhere && !was_lost && !was_judged && fate.read.is_empty() {
                self.fail(format!(
                    "{attempt:?} came back in time after a restart, but its task had been started again"
                ));
            }
        }
    }

    /// The manager orders a worker to stop attempts, or read that they are gone.
    pub(crate) fn released(&mut self, link: ConnId, attempts: &[AttemptId], by_stop: bool) {
        for attempt in attempts {
            let fate = self.fate(attempt.task);
            fate.holders.retain(|held| *held != (link, attempt.attempt));
            fate.losses += u32::from(by_stop);
        }
    }

    /// A worker's connection is no more.
    pub(crate) fn link_lost(&mut self, now: u64, link: ConnId, attempts: &[AttemptId]) {
        for attempt in attempts {
            let fate = self.fate(attempt.task);
            let before = fate.holders.len();
            fate.holders.retain(|(other, _)| *other != link);
            fate.losses += u32::from(fate.holders.len() < before);
            fate.lost_at = Some(now);
            self.sessions_below_lost(attempt.task);
        }
    }

    /// A manager that loses an attempt ends the sessions of the clients inside it. If the attempt goes on after all, they
    /// offer their tasks again.
    fn sessions_below_lost(&mut self, above: TaskId) {
        for number in self.below.get(&above).cloned().unwrap_or_default() {
            self.session_lost(std::iter::once(number as u64));
            if let Some(id) = self.fates[number].id {
                self.sessions_below_lost(id);
            }
        }
    }

    /// The manager is gone, and what it knew.
    pub(crate) fn manager_lost(&mut self) {
        for fate in &mut self.fates {
            if fate.is_submitted && fate.delivered == 0 {
                fate.losses += 1;
                fate.crashes += 1;
            }
            fate.holders.clear();
            fate.is_sent = false;
            fate.lives_run += u32::from(fate.was_run);
            fate.was_run = false;
            fate.read.clear();
            fate.doomed.clear();
        }
    }

    /// The manager reads how an attempt ended.
    pub(crate) fn outcome_read(&mut self, attempt: AttemptId) {
        self.fate(attempt.task).read.push(attempt.attempt);
    }

    /// The manager sends an outcome to its client or its collector.
    pub(crate) fn outcome_sent(&mut self, id: TaskId) {
        self.fate(id).is_sent = true;
    }

    /// The manager orders a worker to stop an attempt. Whether that ends something that somebody needs: not if it did so before.
    pub(crate) fn stop_is_harm(&mut self, attempt: AttemptId) -> bool {
        let fate = self.fate(attempt.task);
        let is_wanted = fate.delivered == 0
            && !fate.is_cancelled
            && !fate.is_sent
            && !fate.read.contains(&attempt.attempt);
        let is_doomed = fate.doomed.contains(&attempt.attempt);
        fate.doomed.push(attempt.attempt);
        is_wanted && !is_doomed
    }

    /// A client was away for longer than its grace, and its attached tasks were dropped.
    pub(crate) fn session_lost(&mut self, tasks: impl Iterator<Item = u64>) {
        for number in tasks {
            let fate = &mut self.fates[number as usize];
            if fate.is_submitted && fate.delivered == 0 {
                fate.losses += 1;
                fate.crashes += 1;
                fate.is_sent = false;
            }
        }
    }

    /// Whether some worker of the present manager holds an attempt of the task, or may come back with one.
    pub(crate) fn is_held(&self, now: u64, id: TaskId) -> bool {
        let fate = &self.fates[self.number_of(id)];
        !fate.holders.is_empty() || fate.lost_at.is_some_and(|lost| now < lost + GRACE)
    }

    /// The manager read that an outcome is in hand.
    pub(crate) fn taken(&mut self, ids: &[TaskId]) {
        for id in ids {
            let fate = self.fate(*id);
            fate.is_taken = fate.delivered > 0;
        }
    }

    /// A caller receives the outcome of its task.
    pub(crate) fn delivered(&mut self, outcome: &Outcome) {
        let id = outcome.head.id;
        let number = self.number_of(id);
        let flags = self.flags[number];
        let (disturbed, limited) = (self.is_disturbed, self.is_limited[number]);
        let uprooted = self.is_uprooted(id);
        let fate = self.fate(id);
        fate.delivered += 1;
        let (delivered, losses) = (fate.delivered, fate.losses);
        let happened = fate
            .ended
            .iter()
            .any(|(attempt, status, _)| (*attempt, *status) == (outcome.head.attempt, outcome.head.status));
        let (cancelled, starts) = (fate.is_cancelled, fate.starts);
        if delivered > 1 {
            self.fail(format!("the caller of {id:?} received {delivered} outcomes"));
        }
        let is_true = match outcome.head.status {
            Status::Ok => happened && payload_is_of(outcome, number),
            Status::Died if is_too_small(outcome) => limited,
            // It may come to its own end while it is ended.
            Status::Died if waited_beyond_the_bound(outcome) => starts > 0,
            Status::Error | Status::Died => happened,
            Status::Timeout => starts > 0,
            Status::Cancelled => cancelled || uprooted,
            Status::Lost if flags.contains(Flags::NEVER_TWICE) => disturbed,
            Status::Lost => losses >= 3,
            Status::Rejected => false,
        };
        if !is_true {
            let report = String::from_utf8_lossy(&outcome.report).into_owned();
            self.fail(format!(
                "{id:?} ended as {} of attempt {}, which is not what happened ({starts} starts, {losses} losses): {report}",
                outcome.head.status.name(),
                outcome.head.attempt.0
            ));
        }
    }
}

/// True if a pool reports that no runner comes up within the task's memory limit: it ends without a start.
fn is_too_small(outcome: &Outcome) -> bool {
    argon_proto::Report::from_json(&outcome.report).message.contains("comes up within the task's limit")
}

/// True if a pool reports that one task too many waits for tasks of its own.
fn waited_beyond_the_bound(outcome: &Outcome) -> bool {
    argon_proto::Report::from_json(&outcome.report)
        .message
        .contains("when it began to wait for tasks of its own")
}

/// The result of a task is its own number, so that a mix-up shows.
fn payload_is_of(outcome: &Outcome, number: usize) -> bool {
    let bytes = outcome.payload.to_contiguous();
    bytes.get(..8) == Some(&(number as u64).to_be_bytes()[..])
}
