//! Decides when workers learn that they need not keep outcomes any more. No one waits for this message, and one of
//! its own costs the manager a system call and the worker a wake-up. So it travels with the worker's next task, or
//! after a moment. A worker that is leaving waits for it and gets it at once.

use std::time::Duration;

use argon_proto::AttemptId;
use argon_proto::conversation::worker::ToWorker;
use argon_proto::limit;

use super::effect::Out;
use super::timers::Timer;
use super::{Scheduler, WorkerKey};
use crate::time::Time;

/// Longest time that a worker keeps an outcome for want of the word.
const ACK_WITHIN: Duration = Duration::from_millis(200);
/// Most outcomes that a worker keeps for want of the word.
const ACKS_MAX: usize = 64;
/// Limit for outcomes that a worker keeps because no acknowledgement has come, bytes.
const ACKED_BYTES_MAX: u64 = 4 << 20;

/// Outcomes that are not acknowledged to their worker yet.
#[derive(Debug, Default)]
pub(super) struct PendingAcks {
    attempts: Vec<AttemptId>,
    /// Memory that they use, bytes.
    bytes: u64,
    /// True if it is written to in this batch anyway.
    is_due: bool,
    /// True if the end of the batch looks at it.
    is_looked_at: bool,
    /// True if it is acknowledged at [`Timer::AcksDue`], if not before.
    is_waiting: bool,
}

impl PendingAcks {
    /// Adds one; true if the worker has to be looked at, at the end of the batch.
    pub(super) fn add(&mut self, attempt: AttemptId, bytes: u64) -> bool {
        self.attempts.push(attempt);
        self.bytes += bytes;
        !std::mem::replace(&mut self.is_looked_at, true)
    }

    /// Forgets the outcomes: the connection over which they came is no more.
    pub(super) fn clear(&mut self) {
        self.attempts.clear();
        self.bytes = 0;
    }
}

impl Scheduler {
    /// Notes that a worker need not keep an outcome that did not end its task. It hears so at once: a manager that has
    /// just started could take it for the last word.
    pub(super) fn ack_discarded(&mut self, key: WorkerKey, attempt: AttemptId) {
        if let Some(worker) = self.workers.get_mut(key) {
            if worker.pending_acks.add(attempt, 0) {
                self.acks_due.push(key);
            }
            self.flush_acks(key);
        }
    }

    /// Schedules acknowledgements to a worker for the end of the batch.
    pub(super) fn flush_acks(&mut self, key: WorkerKey) {
        let pending_acks = &mut self.workers[key].pending_acks;
        if !pending_acks.attempts.is_empty() {
            pending_acks.is_due = true;
            self.look_at_acks(key);
        }
    }

    fn look_at_acks(&mut self, key: WorkerKey) {
        if !std::mem::replace(&mut self.workers[key].pending_acks.is_looked_at, true) {
            self.acks_due.push(key);
        }
    }

    /// Acknowledges to the workers that were not written to for a while.
    pub(super) fn on_acks_due(&mut self) {
        for key in std::mem::take(&mut self.acks_later) {
            if let Some(worker) = self.workers.get_mut(key) {
                worker.pending_acks.is_waiting = false;
                self.flush_acks(key);
            }
        }
    }

    /// Acknowledges to the workers whose turn it is; the others wait.
    pub(super) fn send_acks(&mut self, now: Time, out: &mut Out) {
        for key in std::mem::take(&mut self.acks_due) {
            let Some(worker) = self.workers.get_mut(key) else {
                continue;
            };
            let pending_acks = &mut worker.pending_acks;
            pending_acks.is_looked_at = false;
            let is_much = pending_acks.attempts.len() >= ACKS_MAX || pending_acks.bytes >= ACKED_BYTES_MAX;
            if pending_acks.is_due || worker.draining || is_much {
                let settled = std::mem::take(&mut pending_acks.attempts);
                (pending_acks.is_due, pending_acks.bytes) = (false, 0);
                if let Some(link) = worker.link {
                    for part in settled.chunks(limit::IDS_PER_FRAME) {
                        out.send_to_worker(link, ToWorker::Settled(part.to_vec()));
                    }
                }
            } else if !std::mem::replace(&mut pending_acks.is_waiting, true) {
                if self.acks_later.is_empty() {
                    self.timers.set(now + ACK_WITHIN, Timer::AcksDue);
                }
                self.acks_later.push(key);
            }
        }
    }
}
