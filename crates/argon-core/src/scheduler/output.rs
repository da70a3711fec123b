//! What tasks print: passed on to their clients, counted, and bounded by what the clients take.
//!
//! A worker may have a window of bytes under way for each attempt. It is moved by what the client says it has taken, or by
//! the scheduler itself when nobody will ever say so: the client is away, the task has none, or the connection broke.
//! Each of them counts anew on each of its connections; the counts are translated here. What is under way to a client counts
//! as not taken, as its outcomes do.

use argon_proto::message::AttemptId;
use argon_proto::{Attempt, Flags, Message};

use super::effect::Out;
use super::input::Link;
use super::{Scheduler, SessionKey, TaskKey, WorkerKey};

/// The output of one task.
#[derive(Debug, Default)]
pub(super) struct Output {
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

impl Output {
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

    /// What the client has taken, or will, in the worker's count.
    fn granted(&self) -> u64 {
        self.came.saturating_add(self.taken).saturating_sub(self.passed)
    }
}

impl Scheduler {
    /// A task printed something. `client` is who wants to see it, if anybody.
    pub(super) fn on_printed(
        &mut self,
        key: TaskKey,
        worker: Link,
        client: Option<Link>,
        word: Message,
        out: &mut Out,
    ) {
        let bytes = output_bytes(&word);
        let entry = &mut self.tasks[key.index()];
        let attempt = entry.attempt_id();
        let output = entry.rare_mut().output.get_or_insert_with(|| Output::of(attempt.attempt));
        output.turn_to(attempt.attempt);
        output.came += bytes;
        let Some(client) = client else {
            // Nobody listens: the task must not stall for that. Its report keeps the last lines.
            let granted = output.granted();
            return out.send(worker, Message::OutputCredit { to: attempt, bytes: granted });
        };
        let before = output.under_way();
        output.passed += bytes;
        self.sessions[entry.session.index()].untaken_bytes += output.under_way() - before;
        out.send(client, word);
    }

    /// An attempt that nobody has claimed yet printed something, which nobody will see.
    pub(super) fn on_unclaimed_printed(
        &mut self,
        attempt: AttemptId,
        worker: Link,
        word: &Message,
        out: &mut Out,
    ) {
        if let Some(unclaimed) = self.unclaimed.get_mut(&attempt.task)
            && unclaimed.attempt == attempt
        {
            unclaimed.printed += output_bytes(word);
            let bytes = unclaimed.printed;
            out.send(worker, Message::OutputCredit { to: attempt, bytes });
        }
    }

    /// The task is claimed with an attempt that has printed so much over the worker's connection.
    pub(super) fn claim_printed(&mut self, key: TaskKey, printed: u64) {
        let entry = &mut self.tasks[key.index()];
        let attempt = entry.task.head.attempt;
        if printed > 0 {
            entry.rare_mut().output = Some(Output { came: printed, ..Output::of(attempt) });
        }
    }

    /// A client has taken so many bytes of an attempt's output, in all.
    pub(super) fn on_output_taken(&mut self, key: TaskKey, bytes: u64, out: &mut Out) {
        let entry = &mut self.tasks[key.index()];
        let (session, attempt, worker) = (entry.session, entry.attempt_id(), entry.worker());
        let Some(output) = entry.output_mut().filter(|output| output.attempt == attempt.attempt) else {
            return;
        };
        let before = output.under_way();
        output.taken = output.taken.max(bytes);
        let (freed, granted) = (before - output.under_way(), output.granted());
        if let Some(link) = worker.and_then(|worker| self.workers[worker.index()].link) {
            out.send(link, Message::OutputCredit { to: attempt, bytes: granted });
        }
        self.relieve(session, freed);
    }

    /// A client's connection is gone, and with it what was under way: its tasks must not wait for that to be taken.
    pub(super) fn write_off_output(&mut self, key: SessionKey, out: &mut Out) {
        for task in self.sessions[key.index()].tasks.clone() {
            let freed = self.forget_output(task);
            let entry = &mut self.tasks[task.index()];
            let (attempt, worker) = (entry.attempt_id(), entry.worker());
            let worker = worker.and_then(|worker| self.workers[worker.index()].link);
            if let (Some(output), Some(link)) = (entry.output_mut(), worker) {
                let word = Message::OutputCredit { to: attempt, bytes: output.granted() };
                out.send(link, word);
            }
            self.relieve(key, freed);
        }
    }

    /// Counts nothing of the task's output as under way any more, and says how much that was.
    pub(super) fn forget_output(&mut self, key: TaskKey) -> u64 {
        let Some(output) = self.tasks[key.index()].output_mut() else {
            return 0;
        };
        let freed = output.earlier + output.under_way();
        *output = Output { came: output.came, ..Output::of(output.attempt) };
        freed
    }

    /// A worker's new connection: it counts anew what its attempts print.
    pub(super) fn count_output_anew(&mut self, worker: WorkerKey) {
        for task in &self.workers[worker.index()].assigned {
            if let Some(output) = self.tasks[task.index()].output_mut() {
                output.came = 0;
            }
        }
        for unclaimed in self.unclaimed.values_mut().filter(|unclaimed| unclaimed.worker == worker) {
            unclaimed.printed = 0;
        }
    }

    /// Who wants to see what an attempt prints, or to be asked by it; and the task, if the attempt is its present one.
    pub(super) fn listener(&self, worker: WorkerKey, attempt: AttemptId) -> (Option<TaskKey>, Option<Link>) {
        let Some(key) = self.task_of(&attempt.task) else {
            return (None, None);
        };
        let entry = &self.tasks[key.index()];
        if entry.worker() != Some(worker) || entry.attempt_id() != attempt {
            return (None, None);
        }
        let client = if entry.is(Flags::DETACHED) { None } else { self.sessions[entry.session.index()].link };
        (Some(key), client)
    }
}

fn output_bytes(word: &Message) -> u64 {
    if let Message::Output { bytes, .. } = word { bytes.len() as u64 } else { 0 }
}
