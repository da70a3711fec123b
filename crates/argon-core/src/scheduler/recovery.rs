//! Tasks and attempts that this manager does not know: another manager may have given them out.
//!
//! A task that is offered again waits for a worker that may hold it. The wait counts from the arrival of the *session*, not
//! from the start of this manager: a manager that takes over after it has been up for days knows no more than one that has
//! just started. The same holds for a worker with attempts that nobody here knows: they are kept for a while from *its*
//! arrival. Both say which manager they were connected to before. If it was this one, what is unknown here cannot run
//! anywhere, and nothing waits.

use std::collections::VecDeque;

use argon_proto::conversation::Ask;
use argon_proto::{AttemptId, Flags, Incarnation, Outcome, WorkerId};

use super::effect::Out;
use super::task::TaskState;
use super::timers::{STEP, Timer};
use super::{Scheduler, SessionKey, TaskId, TaskKey, WorkerKey};
use crate::time::Time;

/// Knowledge about tasks of a session that workers may hold and this manager does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Elsewhere {
    /// No: the session was connected to no other manager.
    No,
    /// Its client has not said so.
    #[default]
    Unsaid,
    /// Another manager may have given them out.
    Perhaps,
}

/// Consequences of a session's arrival for tasks that are not known here.
#[derive(Debug, Default)]
pub(super) struct SessionRecovery {
    elsewhere: Elsewhere,
    /// Until then, tasks that are offered again wait for a worker that may hold them.
    until: Time,
    /// Tasks that do, each until its time, in the order in which they came.
    waiting: VecDeque<(Time, TaskKey, u32)>,
    /// True until the client has offered all that it still waits for.
    pub(super) is_offering: bool,
}

impl SessionRecovery {
    /// Every task of the session may be with a worker, until this time.
    fn expect_until(&mut self, until: Time) {
        self.elsewhere = Elsewhere::Perhaps;
        self.until = self.until.max(until);
    }
}

/// An attempt that a worker holds though no client and no store knows its task (yet).
#[derive(Clone, Debug)]
pub(super) struct OrphanAttempt {
    pub(super) worker: WorkerKey,
    pub(super) attempt: AttemptId,
    pub(super) outcome: Option<Outcome>,
    /// Bytes of output that came over the worker's present connection.
    pub(super) printed: u64,
    /// Question to its client.
    pub(super) question: Option<Ask>,
    pub(super) until: Time,
}

impl Scheduler {
    /// Notes that a session opens, before it has its new connection. `previous` is the manager that it was connected to.
    pub(super) fn note_arrival(&mut self, now: Time, key: SessionKey, previous: Option<Incarnation>) {
        let was_here = previous == Some(self.identity.incarnation);
        let until = now + self.limits.recovery;
        let session = &mut self.sessions[key];
        let is_known = session.link.is_some() || session.away_until.is_some();
        let recovery = &mut session.recovery;
        recovery.is_offering = true;
        match (was_here && is_known, recovery.elsewhere) {
            // It came from another manager a moment ago: the wait of then goes on.
            (true, Elsewhere::Perhaps) => {}
            (true, Elsewhere::No | Elsewhere::Unsaid) => {
                recovery.elsewhere = Elsewhere::No;
                recovery.until = now;
                recovery.waiting.iter_mut().for_each(|(until, _, _)| *until = now);
                if !recovery.waiting.is_empty() {
                    self.timers.set(now, Timer::RecoveryEnd(key));
                }
            }
            (false, elsewhere) => {
                recovery.until = until;
                recovery.elsewhere = match (previous, elsewhere) {
                    (None, Elsewhere::No | Elsewhere::Unsaid) => Elsewhere::Unsaid,
                    (Some(_), _) | (None, Elsewhere::Perhaps) => Elsewhere::Perhaps,
                };
            }
        }
    }

    /// Lets a task that the store has kept wait for a worker that may still run it.
    pub(super) fn expect_holder(&mut self, now: Time, key: TaskKey) {
        let until = now + self.limits.recovery;
        let session = self.tasks[key].session;
        self.sessions[session].recovery.expect_until(until);
        self.await_holder(key, session);
    }

    /// Gives a task that is offered again and not known here its first place. Returns `false` if a worker cannot have it,
    /// or has had the time to come.
    pub(super) fn recover_task(&mut self, now: Time, key: TaskKey, out: &mut Out) -> bool {
        let session = self.tasks[key].session;
        let recovery = &mut self.sessions[session].recovery;
        if recovery.elsewhere == Elsewhere::No {
            return false;
        }
        // A manager that never answered the client may have given it out.
        recovery.elsewhere = Elsewhere::Perhaps;
        if now < recovery.until {
            self.await_holder(key, session);
            return true;
        }
        let is_in_doubt = self.tasks[key].is(Flags::NEVER_TWICE);
        if is_in_doubt {
            self.end_in_doubt(now, key, out);
        }
        is_in_doubt
    }

    fn await_holder(&mut self, key: TaskKey, session: SessionKey) {
        let stamp = self.next_stamp();
        self.tasks[key].stamp = stamp;
        self.set_state(key, TaskState::Recovering);
        self.recovering += 1;
        let recovery = &mut self.sessions[session].recovery;
        recovery.waiting.push_back((recovery.until, key, stamp));
        self.timers.set(recovery.until, Timer::RecoveryEnd(session));
    }

    /// A task does not wait for its worker any more, if it did; the caller gives it another state or forgets it.
    pub(super) fn await_no_holder(&mut self, key: TaskKey) {
        if matches!(self.tasks[key].state, TaskState::Recovering) {
            self.recovering -= 1;
            self.set_state(key, TaskState::Delayed);
        }
    }

    /// The workers of a session's tasks have had the time to come.
    pub(super) fn end_recovery(&mut self, now: Time, session: SessionKey, out: &mut Out) {
        while self.has_time() {
            // Ended tasks may take their session along.
            let Some(recovery) = self.sessions.get_mut(session).map(|session| &mut session.recovery) else {
                return;
            };
            let Some((_, key, stamp)) = recovery.waiting.pop_front_if(|(until, _, _)| *until <= now) else {
                if let Some((until, _, _)) = recovery.waiting.front() {
                    self.timers.set(*until, Timer::RecoveryEnd(session));
                }
                return;
            };
            let is_current = self
                .tasks
                .get(key)
                .is_some_and(|entry| entry.stamp == stamp && matches!(entry.state, TaskState::Recovering));
            if is_current {
                self.start_unheld(now, key, out);
            }
        }
        self.timers.set(now + STEP, Timer::RecoveryEnd(session));
    }

    /// No worker holds the task, as far as one can tell.
    fn start_unheld(&mut self, now: Time, key: TaskKey, out: &mut Out) {
        self.await_no_holder(key);
        if self.is_listed(now, key, out) {
            return;
        }
        let entry = &self.tasks[key];
        // The store knows of every start of a detached task that must not run twice.
        let may_have_run = !entry.is(Flags::DETACHED) || entry.task.head.attempt.0 > 0;
        if entry.is(Flags::NEVER_TWICE) && may_have_run {
            self.end_in_doubt(now, key, out);
        } else {
            self.enqueue(now, key, false);
        }
    }

    /// A task ends while a worker may hold it: when the worker comes, it is to stop it.
    pub(super) fn stop_on_arrival(&mut self, key: TaskKey) {
        let until = self.now + self.limits.recovery + self.limits.orphan_timeout;
        self.stop_on_arrival.insert(self.tasks[key].task.head.id, until);
        self.timers.set(until, Timer::OrphansEnd);
    }

    /// True if what a worker holds and nobody here knows has ended here. `previous` is the manager that registered it last.
    /// That may be this one although its answer came before the attempts of others were listed; so the worker must be known.
    pub(super) fn has_ended_here(&self, worker: WorkerId, previous: Option<Incarnation>) -> bool {
        previous == Some(self.identity.incarnation) && self.seen_workers.contains(&worker)
    }

    /// Forgets the unclaimed attempts of a worker that is lost. It may come back with them before their time is over.
    pub(super) fn part_with_orphans(&mut self, now: Time, worker: WorkerKey) {
        if self.orphans.is_empty() {
            return;
        }
        let until = now + self.limits.orphan_timeout;
        let parted = &mut self.parted;
        self.orphans.retain(|_, orphan| {
            let stays = orphan.worker != worker;
            if !stays {
                parted.insert(orphan.attempt, until);
            }
            stays
        });
        self.timers.set(until, Timer::OrphansEnd);
    }

    /// Keeps an attempt that no task is known for.
    pub(super) fn keep_orphan(&mut self, now: Time, worker: WorkerKey, attempt: AttemptId) {
        let until = now + self.limits.orphan_timeout;
        self.workers[worker].without_task.insert(attempt);
        self.orphans.entry(attempt.task).or_insert_with(|| {
            self.orphan_ends.push_back((until, attempt));
            self.timers.set(until, Timer::OrphansEnd);
            OrphanAttempt { worker, attempt, outcome: None, printed: 0, question: None, until }
        });
    }

    /// Drops attempts that nobody has claimed.
    pub(super) fn drop_orphans(&mut self, now: Time, out: &mut Out) {
        self.stop_on_arrival.expire(now);
        self.parted.expire(now);
        while self.has_time() {
            let Some((until, attempt)) = self.orphan_ends.pop_front_if(|(until, _)| *until <= now) else {
                return;
            };
            let is_due = self
                .orphans
                .get(&attempt.task)
                .is_some_and(|orphan| orphan.attempt == attempt && orphan.until == until);
            if is_due {
                self.discard_orphan(attempt.task, out);
            }
        }
        self.timers.set(now + STEP, Timer::OrphansEnd);
    }

    /// Lets its worker forget the attempt of this task that is kept without the task.
    pub(super) fn discard_orphan(&mut self, task: TaskId, out: &mut Out) {
        let Some(orphan) = self.orphans.remove(&task) else { return };
        match orphan.outcome {
            Some(_) => self.ack_discarded(orphan.worker, orphan.attempt),
            None => self.stop(orphan.worker, orphan.attempt, out),
        }
    }
}
