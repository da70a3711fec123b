//! What comes from the manager becomes facts for the pool, answers for runners and blobs for the cache.

use std::time::Duration;

use argon_core::gate::Retracted;
use argon_core::pool::Input;
use argon_proto::conversation::runner::ToRunner;
use argon_proto::conversation::worker::{Drain, FromWorker, Register, ToWorker};
use argon_proto::conversation::{Blob, OutputCredit};
use argon_proto::{AttemptId, BlobHash, Payload, Task};

use super::LinkEvent;
use super::driver::Driver;
use super::on_python::must_wait;
use super::runners::runner::Runner;
use super::uplink::register;

impl Driver {
    pub(super) fn on_link_event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::WantRegister(reply) => {
                let _ = reply.send(self.introduction());
            }
            LinkEvent::Message(message) => self.on_message(message),
            LinkEvent::Heard => {}
            LinkEvent::Lost => self.on_link_lost(),
        }
    }

    pub(super) fn introduction(&self) -> Register {
        let held = self.pool.held().into_iter().chain(self.gate.parked());
        register::introduction(&self.config, &self.runtimes.described(), held)
    }

    /// What was waiting for a manager goes out in the order that each attempt's client must see: output before outcomes.
    fn on_registered(&mut self) {
        self.is_linked = true;
        for output in std::mem::take(&mut self.unsent_output) {
            self.tell(FromWorker::Output(output));
        }
        self.step(Input::ManagerFound);
        self.ask_clients_again();
        self.ask_for_blobs();
        self.look_for_python();
    }

    fn on_link_lost(&mut self) {
        self.is_linked = false;
        self.batch.on_manager_lost();
        self.gate.on_manager_lost();
        for current in self.runners.values_mut().flat_map(|runner| runner.hands.all()) {
            current.window.write_off();
        }
        self.step(Input::ManagerLost);
    }

    fn on_message(&mut self, message: ToWorker) {
        match message {
            ToWorker::Registered(_) => self.on_registered(),
            ToWorker::Run(task) => self.on_run(task),
            ToWorker::Blob(Blob { hash, payload }) => self.on_blob(hash, payload),
            ToWorker::Stop(attempts) => {
                self.gate.on_stop(&attempts);
                self.step(Input::StopReceived(attempts));
            }
            ToWorker::Recall(count) => self.on_retract(count),
            ToWorker::Settled(attempts) => self.step(Input::OutcomesSettled(attempts)),
            ToWorker::OutputCredit(OutputCredit { to, bytes }) => {
                if let Some(current) = self.runner_of(to).and_then(|runner| runner.hands.find(to)) {
                    current.window.on_granted(bytes);
                }
            }
            ToWorker::Answer(answer) => self.on_answer(answer),
            ToWorker::Drain(Drain { within_ms }) => {
                self.drain("its manager wants it", within_ms.map(Duration::from_millis));
            }
            // The connection ends with it, and that is what counts.
            ToWorker::Goodbye(_) => {}
        }
    }

    fn on_run(&mut self, task: Task) {
        // A draining pool gives the task back, blobs or no blobs.
        if self.is_draining() {
            return self.step(Input::TaskReceived(task));
        }
        let runtimes = &mut self.runtimes;
        match self.gate.on_run(task, |task| !must_wait(runtimes, task)) {
            Some(task) => self.step(Input::TaskReceived(task)),
            None => self.ask_for_blobs(),
        }
    }

    fn on_blob(&mut self, hash: BlobHash, payload: Payload) {
        let runtimes = &mut self.runtimes;
        let may_start = |task: &Task| !must_wait(runtimes, task);
        let complete = self.gate.on_blob(hash, payload.clone(), self.pool.tasks(), may_start);
        for runner in self.runners.values_mut() {
            if let Some(at) = runner.wants_blobs.iter().position(|wanted| *wanted == hash) {
                runner.wants_blobs.swap_remove(at);
                runner.has_blobs.insert(hash);
                runner.say(ToRunner::Blob(Blob { hash, payload: payload.clone() }));
            }
        }
        complete.into_iter().for_each(|task| self.step(Input::TaskReceived(task)));
    }

    /// Asks the manager for a blob that was here.
    pub(super) fn ask_for(&mut self, hash: BlobHash) {
        let hashes = self.gate.take_questions([hash].into_iter());
        if !hashes.is_empty() {
            self.tell(FromWorker::NeedBlob(hashes));
        }
    }

    /// The manager will be asked for what is missing and was not asked for on this connection.
    pub(super) fn ask_for_blobs(&mut self) {
        self.has_questions = true;
    }

    /// Asks, once everything that has come is taken: what is missing may have been right behind.
    pub(super) fn ask_what_is_due(&mut self) {
        if !self.has_questions || !self.link.events.is_empty() {
            return;
        }
        self.has_questions = false;
        if !self.is_linked {
            return;
        }
        let wanted = self.runners.values().flat_map(|runner| runner.wants_blobs.iter().copied());
        let hashes = self.gate.take_questions(wanted);
        if !hashes.is_empty() {
            self.tell(FromWorker::NeedBlob(hashes));
        }
    }

    fn on_retract(&mut self, count: u32) {
        let Retracted { returned, left } = self.gate.on_retract(count);
        self.return_attempts(returned);
        if let Some(left) = left {
            self.step(Input::RetractRequested(left));
        }
    }

    /// Gives attempts back to the manager.
    pub(super) fn return_attempts(&mut self, attempts: Vec<AttemptId>) {
        if !attempts.is_empty() {
            self.tell(FromWorker::Returned(attempts));
        }
    }

    /// The runner that has this attempt.
    pub(super) fn runner_of(&mut self, attempt: AttemptId) -> Option<&mut Runner> {
        let id = self.pool.runner_of(attempt)?;
        let runner = self.runners.get_mut(&id)?;
        runner.hands.find(attempt).is_some().then_some(runner)
    }
}
