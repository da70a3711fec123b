//! Messages of the manager become facts for the pool, answers for runners and blobs for the cache.

use std::time::Duration;

use argon_core::gate::Retracted;
use argon_core::pool::{Input, RunnerId};
use argon_proto::conversation::runner::ToRunner;
use argon_proto::conversation::worker::{Drain, FromWorker, Run, ToWorker};
use argon_proto::conversation::{Answer, Ask, Blob, OutputCredit};
use argon_proto::{AttemptId, BlobHash, Payload, Runtime, Task};
use bytes::Bytes;

use super::WorkerLoop;
use crate::worker::runtime::Python;
use crate::worker::uplink::{Introduction, LinkEvent};

impl WorkerLoop {
    pub(super) fn on_link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::WantRegister(reply) => {
                let _ = reply.send(self.introduction());
            }
            LinkEvent::Message(message) => self.on_message(message),
            LinkEvent::Heard => {}
            LinkEvent::Lost => self.on_manager_lost(),
        }
    }

    fn introduction(&self) -> Introduction {
        let held = self.pool.held().into_iter().chain(self.cache.blobs.parked()).collect();
        Introduction { held, register: self.described() }
    }

    fn on_registered(&mut self) {
        self.uplink.on_registered(self.timers.now());
        self.status.forget(self.timers.now());
        self.tell_pool(Input::ManagerFound);
        self.cache.questions.on_manager_found();
        self.send_questions();
        self.cache.want_blobs();
        // This takes too long to be done before the worker serves.
        self.processes.runtimes.pythons.search();
    }

    fn on_manager_lost(&mut self) {
        self.uplink.on_lost();
        self.cache.blobs.on_manager_lost();
        self.runners.on_manager_lost();
        self.tell_pool(Input::ManagerLost);
    }

    fn on_message(&mut self, message: ToWorker) {
        match message {
            ToWorker::Registered(_) => self.on_registered(),
            ToWorker::Run(run) => self.on_run(run),
            ToWorker::Blob(Blob { hash, payload }) => self.on_blob(hash, payload),
            ToWorker::Stop(attempts) => {
                self.cache.blobs.on_stop(&attempts);
                self.tell_pool(Input::StopReceived(attempts));
            }
            ToWorker::Recall(count) => self.on_retract(count),
            ToWorker::Settled(attempts) => self.tell_pool(Input::OutcomesSettled(attempts)),
            ToWorker::OutputCredit(OutputCredit { to, bytes }) => {
                let runner = self.pool.runner_of(to);
                if let Some(attempt) = runner.and_then(|id| self.runners.attempt(id, to)) {
                    attempt.window.on_granted(bytes);
                }
            }
            ToWorker::Answer(answer) => self.on_answer(answer),
            ToWorker::Drain(Drain { within_ms }) => {
                self.drain("its manager wants it", within_ms.map(Duration::from_millis));
            }
            // The connection ends with it.
            ToWorker::Goodbye(_) => {}
        }
    }

    fn on_run(&mut self, run: Run) {
        // A draining pool returns the task, with or without its blobs.
        if self.stop.is_draining() {
            return self.tell_pool(Input::TaskReceived(run));
        }
        let runtimes = &mut self.processes.runtimes;
        match self.cache.blobs.on_run(run, |task| !runtimes.must_wait(task)) {
            Some(run) => self.tell_pool(Input::TaskReceived(run)),
            None => self.cache.want_blobs(),
        }
    }

    fn on_blob(&mut self, hash: BlobHash, payload: Payload) {
        let runtimes = &mut self.processes.runtimes;
        let may_start = |task: &Task| !runtimes.must_wait(task);
        self.runners.on_blob(hash, &payload);
        let complete = self.cache.blobs.on_blob(hash, payload, self.pool.tasks(), may_start);
        complete.into_iter().for_each(|run| self.tell_pool(Input::TaskReceived(run)));
    }

    fn on_retract(&mut self, count: u32) {
        let Retracted { returned, left } = self.cache.blobs.on_retract(count);
        self.return_attempts(returned);
        if let Some(left) = left {
            self.tell_pool(Input::RetractRequested(left));
        }
    }

    fn on_answer(&mut self, answer: Answer) {
        for (id, answer) in self.cache.questions.on_answer(self.timers.now(), answer) {
            let Some(runner) = self.runners.get_mut(id) else {
                continue;
            };
            if runner.kind.runtime == Runtime::Exec {
                runner.on_input(answer.found, answer.bytes);
            } else {
                runner.answer(&ToRunner::Answer(answer));
            }
        }
    }

    /// Interpreters have reported their versions: tasks that waited for that go on.
    pub(super) fn on_pythons_found(&mut self, answer: Vec<Python>) {
        self.processes.runtimes.pythons.learn(answer);
        self.tell_pool(Input::PythonsFound(self.processes.runtimes.pythons.versions()));
        self.register_again();
        let runtimes = &mut self.processes.runtimes;
        for run in self.cache.blobs.take_startable(|task| !runtimes.must_wait(task)) {
            self.tell_pool(Input::TaskReceived(run));
        }
    }

    /// A task asks its client something.
    pub(super) fn on_question(&mut self, id: RunnerId, ask: u32, question: Bytes) {
        let Some(runner) = self.runners.get_mut(id) else {
            return;
        };
        let Some(from) = runner.queue.current().map(|current| current.attempt) else {
            return runner.kill_for("it asked a question while it had no task".to_owned());
        };
        if self.cache.questions.waits(id) {
            return runner
                .kill_for("it asked a question before it had the answer to the last one".to_owned());
        }
        match self.cache.questions.ask(self.timers.now(), id, Ask { from, ask, question }) {
            Some(answer) => runner.answer(&ToRunner::Answer(answer)),
            None => self.send_questions(),
        }
    }

    /// Sends the questions that nobody has sent yet.
    pub(super) fn send_questions(&mut self) {
        if self.uplink.is_registered() {
            let due = self.cache.questions.take_due();
            due.into_iter().for_each(|question| self.send(FromWorker::Ask(question)));
        }
    }

    /// Asks the manager for blobs.
    pub(super) fn ask_for_blobs(&mut self, hashes: Vec<BlobHash>) {
        if !hashes.is_empty() {
            self.send(FromWorker::NeedBlob(hashes));
        }
    }

    /// Gives attempts back to the manager.
    pub(super) fn return_attempts(&mut self, attempts: Vec<AttemptId>) {
        if !attempts.is_empty() {
            self.send(FromWorker::Returned(attempts));
        }
    }
}
