//! What comes from the manager becomes facts for the pool, answers for runners and blobs for the cache.

use argon_core::pool::{Input, SlotId};
use argon_proto::message::AttemptId;
use argon_proto::{BlobHash, Message, Payload, Task};
use bytes::Bytes;

use super::LinkEvent;
use super::drain::limit_of;
use super::driver::Driver;
use super::register;
use super::runner::Runner;

impl Driver {
    pub(super) fn on_link_event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::WantRegister(reply) => {
                let _ = reply.send(self.register_body());
            }
            LinkEvent::Registered => self.on_registered(),
            LinkEvent::Message(message) => self.on_message(message),
            LinkEvent::Heard => {}
            LinkEvent::Lost => self.on_link_lost(),
        }
    }

    pub(super) fn register_body(&self) -> Bytes {
        let held = self.pool.held().into_iter().chain(self.blobs.parked());
        register::body(&self.config, &self.runtimes.described(), held)
    }

    /// What was waiting for a manager goes out in the order that each attempt's client must see: output before outcomes.
    fn on_registered(&mut self) {
        self.is_linked = true;
        for output in std::mem::take(&mut self.unsent_output) {
            self.tell(output);
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

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Run(task) => self.on_run(task),
            Message::Blob { hash, payload } => self.on_blob(hash, payload),
            Message::Stop(attempts) => {
                self.blobs.take_parked(usize::MAX, |parked| attempts.contains(&parked));
                self.step(Input::StopReceived(attempts));
            }
            Message::Recall(count) => self.on_recall(count),
            Message::Settled(attempts) => self.step(Input::OutcomesSettled(attempts)),
            Message::OutputCredit { to, bytes } => {
                if let Some(current) = self.runner_of(to).and_then(|runner| runner.hands.find(to)) {
                    current.window.on_granted(bytes);
                }
            }
            Message::Answer { to, ask, found, bytes } => self.on_answer(to, ask, found, bytes),
            Message::Drain(body) => self.drain("its manager wants it", limit_of(&body)),
            Message::Ping(_) | Message::Pong(_) | Message::Registered(_) => {}
            other @ (Message::Refused(_)
            | Message::Goodbye(_)
            | Message::Open(_)
            | Message::Submit(_)
            | Message::Offered
            | Message::Ack(_)
            | Message::Cancel(_)
            | Message::Collect(_)
            | Message::Request(_)
            | Message::Reply(_)
            | Message::Accepted(_)
            | Message::Credit { .. }
            | Message::NeedBlob(_)
            | Message::Register(_)
            | Message::Outcome(_)
            | Message::Returned(_)
            | Message::Output { .. }
            | Message::Draining(_)
            | Message::Ask { .. }
            | Message::Ready(_)
            | Message::OutputLeft
            | Message::OutputTaken) => {
                tracing::debug!("the manager sent what is not for a worker: {other:?}");
            }
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
                runner.say(Message::Blob { hash, payload: payload.clone() });
            }
        }
        self.start_complete();
    }

    /// Asks the manager for a blob that was here.
    pub(super) fn ask_for(&mut self, hash: BlobHash) {
        let hashes = self.blobs.take_questions([hash].into_iter());
        if !hashes.is_empty() {
            self.tell(Message::NeedBlob(hashes));
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
            self.tell(Message::NeedBlob(hashes));
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
            self.tell(Message::Returned(returned));
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
