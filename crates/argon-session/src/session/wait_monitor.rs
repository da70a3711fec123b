//! Asks the manager why tasks wait when nothing has ended for two seconds, and reports each reason once.
//!
//! The client knows two reasons by itself: the manager is away, or it rejected the tasks.

use std::time::Duration;

use argon_proto::Time;
use argon_proto::conversation::admin::WaitingReport;
use argon_proto::limit::{ASK_WHY_AFTER, ASK_WHY_AFTER_MAX};

use super::SessionState;
use super::effect::{Effect, Out};
use super::entry::{EntryState, Purpose};
use crate::waiting::Waiting;

/// Time between two looks. A task that is added brings no time with it, so its wait begins at the next look.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct WaitMonitor {
    /// The manager's address, which the manager does not know as it is seen from here.
    pub(super) manager: String,
    /// True for a manager of an earlier release, which does not know the request.
    is_mute: bool,
    looked_at: Option<Time>,
    wait: Wait,
}

/// The present wait.
#[derive(Debug, Default)]
struct Wait {
    /// When tasks are looked at next, and after what pause; `None` while there are none.
    next: Option<Time>,
    pause: Duration,
    /// The request that is open at the manager.
    request: Option<u64>,
    /// Why the manager cannot be reached.
    away: Option<String>,
    /// Why the manager rejects tasks: code and sentence.
    rejected: Option<(String, String)>,
    /// True if it rejected one since its last reply.
    is_rejected_since_reply: bool,
    /// Reasons that the hook has received and that still hold: code and runtime.
    reported: Vec<(String, String)>,
}

impl WaitMonitor {
    /// Begins the wait anew, because a task ended.
    pub(super) fn restart(&mut self, now: Time) {
        if self.wait.next.is_some() {
            self.wait.begin(now);
        }
    }

    /// A dial failed.
    pub(super) fn away(&mut self, why: String) {
        self.wait.away = Some(why);
    }

    pub(super) fn rejected(&mut self, code: Option<String>, message: String) {
        self.wait.rejected = Some((code.unwrap_or_else(|| "queue_full".to_owned()), message));
        self.wait.is_rejected_since_reply = true;
    }

    pub(super) fn next_look(&self) -> Option<Time> {
        self.looked_at.map(|looked| looked + LOOK_EVERY)
    }
}

impl Wait {
    fn begin(&mut self, now: Time) {
        self.next = Some(now + ASK_WHY_AFTER);
        self.pause = ASK_WHY_AFTER;
    }
}

impl SessionState {
    /// Looks whether somebody waits for too long.
    pub(super) fn look(&mut self, now: Time, out: &mut Out) {
        self.wait_monitor.looked_at = Some(now);
        if !self.has_open() {
            self.wait_monitor.wait = Wait::default();
            return;
        }
        if self.connection.is_some() {
            self.wait_monitor.wait.away = None;
        }
        if self.wait_monitor.wait.next.is_none() {
            self.wait_monitor.wait.begin(now);
        }
        self.take_reply(out);
        if self.wait_monitor.wait.next.is_none_or(|next| next > now) {
            return;
        }
        let tasks = self.tasks_that_wait();
        // Tasks that nobody waits for any more go on, and need no reason.
        if tasks == 0 {
            self.wait_monitor.wait = Wait::default();
            return;
        }
        let wait = &mut self.wait_monitor.wait;
        wait.pause = (wait.pause * 2).min(ASK_WHY_AFTER_MAX);
        wait.next = Some(now + wait.pause);
        if self.connection.is_none() {
            // A failed try comes within seconds, and brings the reason.
            match wait.away.clone() {
                Some(why) => self.report_known(reason("manager_away", "", tasks, why), out),
                None => wait.next = Some(now),
            }
        } else if self.retry_queue.next().is_some()
            && let Some((code, message)) = wait.rejected.clone()
        {
            self.report_known(reason(&code, "", tasks, message), out);
        } else if wait.request.is_some() {
            // It has not answered since the last look.
            let message = format!("the manager at {} does not answer", self.wait_monitor.manager);
            self.report_known(reason("manager_away", "", tasks, message), out);
        } else if !self.wait_monitor.is_mute {
            let request = self.request("waiting", serde_json::Map::new(), out);
            self.wait_monitor.wait.request = Some(request);
        }
    }

    fn take_reply(&mut self, out: &mut Out) {
        let Some(reply) = self.wait_monitor.wait.request.and_then(|number| self.taken_reply(number)) else {
            return;
        };
        self.wait_monitor.wait.request = None;
        if reply["ok"] != true {
            self.wait_monitor.is_mute = true;
            return;
        }
        let report: WaitingReport = serde_json::from_value(reply).unwrap_or_default();
        let reasons = report.waiting.into_iter().map(|why| {
            let message = why.message.replace("HOST:PORT", &self.wait_monitor.manager);
            reason(&why.code, &why.runtime, why.tasks, message)
        });
        let reasons = reasons.collect();
        self.report_all(reasons, out);
    }

    /// Reports what this client knows by itself.
    fn report_known(&mut self, known: Waiting, out: &mut Out) {
        let reported = &mut self.wait_monitor.wait.reported;
        if !reported.iter().any(|reported| is_same(reported, &known)) {
            reported.push((known.code.clone(), known.runtime.clone()));
            out.effects.push(Effect::ReportWaiting(known));
        }
    }

    /// Reports what has begun, and forgets what is over. A rejection since the last reply is not over: the task may be on its
    /// way to the manager again, just now.
    fn report_all(&mut self, reasons: Vec<Waiting>, out: &mut Out) {
        let wait = &mut self.wait_monitor.wait;
        let rejected = wait.rejected.as_ref().filter(|_| wait.is_rejected_since_reply).map(|(code, _)| code);
        wait.reported.retain(|reported| {
            Some(&reported.0) == rejected || reasons.iter().any(|reason| is_same(reported, reason))
        });
        wait.is_rejected_since_reply = false;
        for reason in reasons {
            self.report_known(reason, out);
        }
    }

    /// True if anything is under way. Without a connection each entry is looked at; there is time then.
    fn has_open(&self) -> bool {
        if self.is_ended() {
            return false;
        }
        match &self.connection {
            Some(connection) => {
                connection.in_flight > 0
                    || !self.backlog.is_empty()
                    || self.retry_queue.next().is_some()
                    || !self.collects.is_empty()
            }
            None => self.tasks_that_wait() > 0,
        }
    }

    fn tasks_that_wait(&self) -> u64 {
        let open = self.entries.iter().filter(|(_, entry)| {
            entry.state != EntryState::Ended && !(entry.is_abandoned && entry.purpose == Purpose::Attached)
        });
        open.count() as u64
    }
}

fn is_same((code, runtime): &(String, String), reason: &Waiting) -> bool {
    *code == reason.code && *runtime == reason.runtime
}

fn reason(code: &str, runtime: &str, tasks: u64, message: String) -> Waiting {
    Waiting { code: code.to_owned(), runtime: runtime.to_owned(), tasks, message }
}
