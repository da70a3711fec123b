//! Output of tasks: passed on to their clients, counted, and bounded by what the clients have taken.
//!
//! A worker may have a window of bytes under way for each attempt. The client moves the window with the bytes that it has
//! taken. The scheduler moves it where no client will: it is away, the task has none, or its connection broke. Client and
//! worker count from zero on each connection; the counts are translated here. Bytes under way to a client count as not
//! taken, as its outcomes do.

use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::ToWorker;
use argon_proto::conversation::{OutputCredit, TaskOutput};
use argon_proto::{Attempt, AttemptId, Flags};

use super::effect::Out;
use super::input::ConnId;
use super::{Scheduler, SessionKey, TaskKey, WorkerKey};
use crate::time::Time;

/// Bytes of output of one task: passed on, and taken by its client.
#[derive(Debug, Default)]
pub(super) struct OutputAccount {
    attempt: Attempt,
    /// Bytes of the attempt that came over the worker's present connection.
    came: u64,
    /// Bytes of the attempt that were passed on over the client's present connection.
    passed: u64,
    /// Bytes of these that the client said it has taken; it may say so in advance.
    taken: u64,
    /// Bytes of earlier attempts that may be under way.
    earlier: u64,
}

impl OutputAccount {
    fn of(attempt: Attempt) -> Self {
        Self { attempt, ..Self::default() }
    }

    /// Counts begin again with each attempt.
    fn turn_to(&mut self, attempt: Attempt) {
        if self.attempt != attempt {
            *self = Self { earlier: self.earlier + self.under_way(), ..Self::of(attempt) };
        }
    }

    fn under_way(&self) -> u64 {
        self.passed.saturating_sub(self.taken)
    }

    /// Output that the client has taken or may take, as the worker counts it.
    fn granted(&self) -> u64 {
        self.came.saturating_add(self.taken).saturating_sub(self.passed)
    }
}

impl Scheduler {
    /// An attempt wrote something: it goes to its client, if that wants to see it.
    pub(super) fn on_output_arrived(&mut self, now: Time, link: ConnId, output: TaskOutput, out: &mut Out) {
        let Some(worker) = self.worker_at(link) else {
            return;
        };
        self.decide_about(now, &output.from.task, out);
        match self.listener(worker, output.from) {
            (Some(key), client) => self.pass_output(key, link, client, output, out),
            (None, _) => self.count_orphan_output(worker, link, &output, out),
        }
    }

    /// The task, if this is its present attempt and the connection its client's.
    pub(super) fn task_for_client(&self, link: ConnId, attempt: AttemptId) -> Option<TaskKey> {
        let key = self.task_of(&attempt.task)?;
        let entry = &self.tasks[key];
        let is_owner = self.sessions[entry.session].link == Some(link);
        (is_owner && entry.task.head.attempt == attempt.attempt).then_some(key)
    }

    /// Passes output on to `client`, who wants to see it, if anybody does.
    fn pass_output(
        &mut self,
        key: TaskKey,
        worker: ConnId,
        client: Option<ConnId>,
        output: TaskOutput,
        out: &mut Out,
    ) {
        let bytes = output.bytes.len() as u64;
        let entry = &mut self.tasks[key];
        let attempt = entry.attempt_id();
        let account = entry.cold_mut().output.get_or_insert_with(|| OutputAccount::of(attempt.attempt));
        account.turn_to(attempt.attempt);
        account.came += bytes;
        let Some(client) = client else {
            // Nobody listens: the task must not stall for that. Its report keeps the last lines.
            let granted = account.granted();
            return out.send_to_worker(worker, credit(attempt, granted));
        };
        let before = account.under_way();
        account.passed += bytes;
        self.sessions[entry.session].untaken_bytes += account.under_way() - before;
        out.send_to_client(client, ToClient::Output(output));
    }

    /// An attempt that nobody has claimed yet wrote something, which nobody will see.
    fn count_orphan_output(&mut self, worker: WorkerKey, link: ConnId, output: &TaskOutput, out: &mut Out) {
        if let Some(orphan) = self.orphans.get_mut(&output.from.task)
            && orphan.attempt == output.from
            && orphan.worker == worker
        {
            orphan.printed += output.bytes.len() as u64;
            let bytes = orphan.printed;
            out.send_to_worker(link, credit(output.from, bytes));
        }
    }

    /// The task is claimed with an attempt that has already printed `printed` bytes over the worker's connection.
    pub(super) fn claim_printed(&mut self, key: TaskKey, printed: u64) {
        let entry = &mut self.tasks[key];
        let attempt = entry.task.head.attempt;
        if printed > 0 {
            entry.cold_mut().output = Some(OutputAccount { came: printed, ..OutputAccount::of(attempt) });
        }
    }

    /// A client has taken output of an attempt.
    pub(super) fn on_output_taken(&mut self, link: ConnId, taken: OutputCredit, out: &mut Out) {
        let Some(key) = self.task_for_client(link, taken.to) else {
            return;
        };
        let entry = &mut self.tasks[key];
        let (session, attempt, worker) = (entry.session, entry.attempt_id(), entry.worker());
        let Some(output) = entry.output_mut().filter(|output| output.attempt == attempt.attempt) else {
            return;
        };
        let before = output.under_way();
        output.taken = output.taken.max(taken.bytes);
        let (freed, granted) = (before - output.under_way(), output.granted());
        if let Some(link) = worker.and_then(|worker| self.workers[worker].link) {
            out.send_to_worker(link, credit(attempt, granted));
        }
        self.release_credit(session, freed);
    }

    /// A client's connection is gone, and with it what was under way: its tasks must not wait for that to be taken.
    pub(super) fn write_off_output(&mut self, key: SessionKey, out: &mut Out) {
        for task in self.sessions[key].tasks.clone() {
            let freed = self.forget_output(task);
            let entry = &mut self.tasks[task];
            let (attempt, worker) = (entry.attempt_id(), entry.worker());
            let worker = worker.and_then(|worker| self.workers[worker].link);
            if let (Some(output), Some(link)) = (entry.output_mut(), worker) {
                out.send_to_worker(link, credit(attempt, output.granted()));
            }
            self.release_credit(key, freed);
        }
    }

    /// TaskCounts nothing of the task's output as under way any more, and says how much that was.
    pub(super) fn forget_output(&mut self, key: TaskKey) -> u64 {
        let Some(output) = self.tasks[key].output_mut() else {
            return 0;
        };
        let freed = output.earlier + output.under_way();
        *output = OutputAccount { came: output.came, ..OutputAccount::of(output.attempt) };
        freed
    }

    /// A worker's new connection: it counts anew what its attempts print.
    pub(super) fn count_output_anew(&mut self, worker: WorkerKey) {
        for task in &self.workers[worker].assigned {
            if let Some(output) = self.tasks[*task].output_mut() {
                output.came = 0;
            }
        }
        for orphan in self.orphans.values_mut().filter(|orphan| orphan.worker == worker) {
            orphan.printed = 0;
        }
    }

    /// Returns the connection for the output and questions of an attempt, and the task if the attempt is its current one.
    pub(super) fn listener(
        &self,
        worker: WorkerKey,
        attempt: AttemptId,
    ) -> (Option<TaskKey>, Option<ConnId>) {
        let Some(key) = self.task_of(&attempt.task) else {
            return (None, None);
        };
        let entry = &self.tasks[key];
        if entry.worker() != Some(worker) || entry.attempt_id() != attempt {
            return (None, None);
        }
        let client = if entry.is(Flags::DETACHED) { None } else { self.sessions[entry.session].link };
        (Some(key), client)
    }
}

fn credit(to: AttemptId, bytes: u64) -> ToWorker {
    ToWorker::OutputCredit(OutputCredit { to, bytes })
}
