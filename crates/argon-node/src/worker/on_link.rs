//! What comes from the manager becomes facts for the pool, answers for runners and blobs for the cache.

use std::time::Duration;

use argon_core::pool::{Input, SlotId};
use argon_proto::conversation::runner::ToRunner;
use argon_proto::conversation::worker::{Drain, FromWorker, Register, ToWorker};
use argon_proto::conversation::{Blob, OutputCredit};
use argon_proto::{AttemptId, BlobHash, Payload, Task};

use super::LinkEvent;
use super::driver::Driver;
use super::register;
use super::runner::Runner;

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
        let held = self.pool.held().into_iter().chain(self.blobs.parked());
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
        self.forget_untold();
        self.blobs.forget_questions();
        for current in self.runners.iter_mut().flatten().flat_map(|runner| runner.hands.all()) {
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
                self.blobs.take_parked(usize::MAX, |parked| attempts.contains(&parked));
                self.step(Input::StopReceived(attempts));
            }
            ToWorker::Recall(count) => self.on_recall(count),
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
        let must_wait = !self.blobs.has_all(&task) || self.must_wait_for_python(&task);
        if !must_wait || self.is_draining() {
            return self.step(Input::TaskReceived(task));
        }
        self.blobs.park(task);
        self.ask_for_blobs();
    }

    fn on_blob(&mut self, hash: BlobHash, payload: Payload) {
        self.blobs.keep(hash, payload.clone(), self.pool.tasks());
        for runner in self.runners.iter_mut().flatten() {
            if let Some(at) = runner.wants_blobs.iter().position(|wanted| *wanted == hash) {
                runner.wants_blobs.swap_remove(at);
                runner.has_blobs.insert(hash);
                runner.say(ToRunner::Blob(Blob { hash, payload: payload.clone() }));
            }
        }
        self.start_complete();
    }

    /// Asks the manager for a blob that was here.
    pub(super) fn ask_for(&mut self, hash: BlobHash) {
        let hashes = self.blobs.take_questions([hash].into_iter());
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
        let wanted = self.runners.iter().flatten().flat_map(|runner| runner.wants_blobs.iter().copied());
        let hashes = self.blobs.take_questions(wanted);
        if !hashes.is_empty() {
            self.tell(FromWorker::NeedBlob(hashes));
        }
    }

    /// Tasks that wait for their blobs have started least of all, so they go back first.
    fn on_recall(&mut self, count: u32) {
        let returned = self.return_parked(count as usize);
        let left = count - u32::try_from(returned).unwrap_or(count).min(count);
        if left > 0 || returned == 0 {
            self.step(Input::RecallReceived(left));
        }
    }

    /// Gives parked tasks back to the manager, and says how many.
    pub(super) fn return_parked(&mut self, count: usize) -> usize {
        let returned = self.blobs.take_parked(count, |_| true);
        let returned_len = returned.len();
        if returned_len > 0 {
            self.tell(FromWorker::Returned(returned));
        }
        returned_len
    }

    /// The runner that has this attempt.
    pub(super) fn runner_of(&mut self, attempt: AttemptId) -> Option<&mut Runner> {
        let SlotId(slot) = self.pool.slot_of(attempt)?;
        let runner = self.runners[slot].as_mut()?;
        runner.hands.find(attempt).is_some().then_some(runner)
    }
}
