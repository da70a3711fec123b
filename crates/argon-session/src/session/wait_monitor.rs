//! Notices that nothing has ended for two seconds while tasks are open, asks the manager why, and hands each reason over once.
//!
//! The client knows two reasons by itself: the manager is away, or it rejected the tasks. All others the manager answers.

use std::time::{Duration, Instant};

use argon_proto::conversation::admin::WaitingReport;

use super::SessionState;
use super::entry::{EntryState, Purpose};
use crate::waiting::Waiting;

/// The first look after this, the next after twice the time, and so on.
const FIRST: Duration = Duration::from_secs(2);
const MOST: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct WaitMonitor {
    /// Since when tasks are open and nothing has come.
    since: Option<Instant>,
    /// When to look next, and after what pause.
    next: Option<Instant>,
    pause: Duration,
    /// The request that is open at the manager.
    request: Option<u64>,
    /// A manager of an earlier release does not know the request.
    is_mute: bool,
    /// Why the manager cannot be reached.
    away: Option<String>,
    /// Why the manager rejects tasks: code and sentence.
    rejected: Option<(String, String)>,
    /// The address of the manager, which does not know by itself how it is seen from here.
    manager: String,
    /// What the hook has received and still holds: code and runtime.
    told: Vec<(String, String)>,
    news: Vec<Waiting>,
}

impl SessionState {
    /// Something ended: the wait begins anew.
    pub(super) fn waits_anew(&mut self, now: Instant) {
        if self.waits.since.is_some() {
            self.waits.since = Some(now);
            self.waits.next = Some(now + FIRST);
            self.waits.pause = FIRST;
        }
    }

    /// A manager was reached under this address.
    pub fn reached_at(&mut self, address: String) {
        self.waits.manager = address;
    }

    /// A try to reach a manager failed.
    pub fn away(&mut self, why: String) {
        self.waits.away = Some(why);
    }

    pub(super) fn rejected(&mut self, code: Option<String>, message: String) {
        self.waits.rejected = Some((code.unwrap_or_else(|| "queue_full".to_owned()), message));
    }

    /// Looks whether somebody waits for too long. Must be called every two seconds at least.
    pub fn look(&mut self, now: Instant) {
        if !self.has_open() {
            let manager = std::mem::take(&mut self.waits.manager);
            self.waits = WaitMonitor { is_mute: self.waits.is_mute, manager, ..WaitMonitor::default() };
            return;
        }
        if self.connection.is_some() {
            self.waits.away = None;
        }
        if self.waits.since.is_none() {
            self.waits.since = Some(now);
            self.waits.next = Some(now + FIRST);
            self.waits.pause = FIRST;
        }
        self.take_reply();
        if self.waits.next.is_none_or(|next| next > now) {
            return;
        }
        // Tasks that nobody waits for any more go on, and need no reason.
        if self.waits_of_tasks() == 0 {
            self.waits = WaitMonitor { is_mute: self.waits.is_mute, ..WaitMonitor::default() };
            return;
        }
        self.waits.pause = (self.waits.pause * 2).min(MOST);
        self.waits.next = Some(now + self.waits.pause);
        if self.connection.is_none() {
            // A failed try comes within seconds, and brings the reason.
            match &self.waits.away {
                Some(why) => {
                    let message = why.clone();
                    let tasks = self.waits_of_tasks();
                    self.keep_reasons(vec![reason("manager_away", "", tasks, message)]);
                }
                None => self.waits.next = Some(now),
            }
        } else if self.retry_queue.next().is_some()
            && let Some((code, message)) = self.waits.rejected.clone()
        {
            let tasks = self.waits_of_tasks();
            self.keep_reasons(vec![reason(&code, "", tasks, message)]);
        } else if self.waits.request.is_some() {
            // It has not answered since the last look.
            let message = format!("the manager at {} does not answer", self.waits.manager);
            let tasks = self.waits_of_tasks();
            self.keep_reasons(vec![reason("manager_away", "", tasks, message)]);
        } else if !self.waits.is_mute {
            self.waits.request = Some(self.request("waiting", serde_json::Map::new()));
        }
    }

    /// What the hook is to receive, after the lock is gone.
    pub fn take_waiting(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.waits.news)
    }

    fn take_reply(&mut self) {
        let Some(reply) = self.waits.request.and_then(|number| self.taken_reply(number)) else {
            return;
        };
        self.waits.request = None;
        if reply["ok"] != true {
            self.waits.is_mute = true;
            return;
        }
        let report: WaitingReport = serde_json::from_value(reply).unwrap_or_default();
        let reasons = report.waiting.into_iter().map(|why| {
            let message = why.message.replace("HOST:PORT", &self.waits.manager);
            reason(&why.code, &why.runtime, why.tasks, message)
        });
        let reasons = reasons.collect();
        self.keep_reasons(reasons);
    }

    /// Hands over what has begun, and forgets what is over.
    fn keep_reasons(&mut self, reasons: Vec<Waiting>) {
        let keys: Vec<_> =
            reasons.iter().map(|reason| (reason.code.clone(), reason.runtime.clone())).collect();
        let told = std::mem::replace(&mut self.waits.told, keys);
        let is_new = |of: &Waiting| !told.iter().any(|(code, on)| *code == of.code && *on == of.runtime);
        self.waits.news.extend(reasons.into_iter().filter(is_new));
    }

    /// Whether anything is under way. Without a connection each entry is looked at; there is time then.
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
            None => self.waits_of_tasks() > 0,
        }
    }

    fn waits_of_tasks(&self) -> u64 {
        let open = self.entries.iter().filter(|(_, entry)| {
            entry.state != EntryState::Ended && !(entry.is_abandoned && entry.purpose == Purpose::Attached)
        });
        open.count() as u64
    }
}

fn reason(code: &str, runtime: &str, tasks: u64, message: String) -> Waiting {
    Waiting { code: code.to_owned(), runtime: runtime.to_owned(), tasks, message }
}
