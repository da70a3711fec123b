//! A store whose commits take time, can be refused, can break, and of which a crash leaves what was durable.

use std::collections::BTreeMap;

use argon_core::scheduler::Record;
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::ToWorker;
use argon_proto::{Payload, TaskId};

/// The disk, which outlives the manager.
#[derive(Debug, Default)]
pub(crate) struct Store {
    kept: BTreeMap<TaskId, Vec<Record>>,
    /// Records that are being written now.
    under_way: Option<Vec<Record>>,
    /// Records that wait for the next commit.
    pub(crate) waiting: Vec<Record>,
    /// Records of this manager's incarnation that were handed to a commit, in all.
    handed: u64,
    pub(crate) is_full: bool,
    pub(crate) is_broken: bool,
    /// After a refusal nothing is tried for a moment.
    pub(crate) is_pausing: bool,
}

/// Result of a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Durable { up_to: u64 },
    Refused { up_to: u64 },
    Broken,
}

impl Store {
    /// Takes everything that waits into a commit; false if there is nothing to do now.
    pub(crate) fn begin(&mut self) -> bool {
        if self.under_way.is_some() || self.waiting.is_empty() || self.is_pausing {
            return false;
        }
        let records = std::mem::take(&mut self.waiting);
        self.handed += records.len() as u64;
        self.under_way = Some(records);
        true
    }

    /// Ends the commit that is under way.
    pub(crate) fn end(&mut self) -> Option<Verdict> {
        let up_to = self.handed;
        if self.is_broken {
            return self.under_way.is_some().then_some(Verdict::Broken);
        }
        let records = self.under_way.take()?;
        if self.is_full {
            self.is_pausing = true;
            return Some(Verdict::Refused { up_to });
        }
        self.keep(records);
        Some(Verdict::Durable { up_to })
    }

    /// The manager is gone: a commit under way is wholly there or wholly not.
    pub(crate) fn crash(&mut self, is_lucky: bool) {
        let records = self.under_way.take();
        if is_lucky && let Some(records) = records {
            self.keep(records);
        }
        self.waiting.clear();
        self.handed = 0;
        self.is_pausing = false;
        self.is_broken = false;
    }

    /// Returns the records that a new manager finds; payloads beyond a size stay here.
    pub(crate) fn load(&self, stored_above: u64) -> Vec<Record> {
        let mut records: Vec<Record> = self.kept.values().flatten().cloned().collect();
        for record in &mut records {
            let payload = match record {
                Record::TaskAccepted(task, _) => &mut task.payload,
                Record::TaskEnded(outcome) => &mut outcome.payload,
                Record::AttemptStarted(_) | Record::TaskForgotten(_) => continue,
            };
            if payload.len() > stored_above {
                *payload = Payload::stored(payload.len());
            }
        }
        records
    }

    /// Puts the bytes into a message to a worker whose payload is here.
    pub(crate) fn fill_run(&self, message: &mut ToWorker) {
        if let ToWorker::Run(run) = message
            && run.task.payload.is_stored()
        {
            let accepted = |record: &Record| match record {
                Record::TaskAccepted(task, _) => Some(task.payload.clone()),
                Record::AttemptStarted(_) | Record::TaskEnded(_) | Record::TaskForgotten(_) => None,
            };
            run.task.payload = self.payload(run.task.head.id, accepted);
        }
    }

    /// Puts the bytes into a message to a client whose payload is here.
    pub(crate) fn fill_outcome(&self, message: &mut ToClient) {
        if let ToClient::Outcome(outcome) = message
            && outcome.payload.is_stored()
        {
            let ended = |record: &Record| match record {
                Record::TaskEnded(outcome) => Some(outcome.payload.clone()),
                Record::TaskAccepted(..) | Record::AttemptStarted(_) | Record::TaskForgotten(_) => None,
            };
            outcome.payload = self.payload(outcome.head.id, ended);
        }
    }

    fn payload(&self, id: TaskId, of: impl Fn(&Record) -> Option<Payload>) -> Payload {
        let found = self.kept.get(&id).and_then(|records| records.iter().find_map(of));
        found.unwrap_or_else(|| panic!("the payload of {id:?} left memory and is not in the store"))
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// The tasks that it holds, some at least.
    pub(crate) fn ids(&self) -> Vec<TaskId> {
        self.kept.keys().copied().take(10).collect()
    }

    fn keep(&mut self, records: Vec<Record>) {
        for record in records {
            match record {
                Record::TaskAccepted(ref task, _) => {
                    self.kept.insert(task.head.id, vec![record]);
                }
                Record::AttemptStarted(ref attempt) => self.append(attempt.task, record),
                Record::TaskEnded(ref outcome) => self.append(outcome.head.id, record),
                Record::TaskForgotten(id) => {
                    self.kept.remove(&id);
                }
            }
        }
    }

    fn append(&mut self, id: TaskId, record: Record) {
        if let Some(records) = self.kept.get_mut(&id) {
            records.push(record);
        }
    }
}
