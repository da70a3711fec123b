//! Passes messages from a manager through the gate of a worker to its pool.

use argon_core::gate::Retracted;
use argon_core::pool::Input;
use argon_proto::AttemptId;
use argon_proto::conversation::worker::{FromWorker, ToWorker};

use crate::world::World;

impl World {
    /// A sign of incarnation of the manager.
    pub(crate) fn on_manager_alive(&mut self, worker: usize) {
        let place = &mut self.workers[worker];
        let Some(process) = &mut place.process else {
            return;
        };
        place.dial.received_at = process.clock.read(self.now).0;
        if process.is_linked {
            self.step_worker(worker, Input::ManagerHeard);
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "simulated tasks print and ask nothing")]
    pub(crate) fn worker_reads(&mut self, worker: usize, message: ToWorker) {
        let place = &mut self.workers[worker];
        let Some(process) = &mut place.process else {
            return;
        };
        if let ToWorker::Registered(_) = message {
            place.dial.opens(process.clock.read(self.now).0);
            process.is_linked = true;
            process.previous = process.welcomed;
            self.step_worker(worker, Input::ManagerFound);
            return self.ask_for_blobs(worker);
        }
        self.on_manager_alive(worker);
        let Some(process) = &mut self.workers[worker].process else {
            return;
        };
        let input = match message {
            ToWorker::Run(run) if process.is_draining => Input::TaskReceived(run),
            ToWorker::Run(run) => match process.gate.on_run(run, |_| true) {
                Some(run) => {
                    self.oracle.given_to_pool(self.now, worker, run.task.attempt_id());
                    Input::TaskReceived(run)
                }
                None => return self.ask_for_blobs(worker),
            },
            ToWorker::Blob(blob) => {
                let complete = process.gate.on_blob(blob.hash, blob.payload, process.pool.tasks(), |_| true);
                for run in complete {
                    self.oracle.given_to_pool(self.now, worker, run.task.attempt_id());
                    self.step_worker(worker, Input::TaskReceived(run));
                }
                return;
            }
            ToWorker::Stop(attempts) => {
                process.gate.on_stop(&attempts);
                attempts.iter().for_each(|attempt| self.oracle.not_with_pool(attempt.task));
                Input::StopReceived(attempts)
            }
            ToWorker::Recall(count) => {
                let Retracted { returned, left } = process.gate.on_retract(count);
                self.give_back(worker, returned);
                let Some(left) = left else {
                    return;
                };
                Input::RetractRequested(left)
            }
            ToWorker::Settled(attempts) => Input::OutcomesSettled(attempts),
            ToWorker::Drain(_) => {
                process.is_draining = true;
                let returned = process.gate.retract(usize::MAX);
                self.give_back(worker, returned);
                Input::DrainRequested("the manager asked for it".to_owned())
            }
            _ => return,
        };
        self.step_worker(worker, input);
    }

    fn give_back(&mut self, worker: usize, attempts: Vec<AttemptId>) {
        if !attempts.is_empty() {
            self.batch_to_manager(worker, FromWorker::Returned(attempts));
        }
    }

    fn ask_for_blobs(&mut self, worker: usize) {
        let process = self.workers[worker].process.as_mut();
        let hashes =
            process.map(|process| process.gate.take_questions(std::iter::empty())).unwrap_or_default();
        if !hashes.is_empty() {
            self.batch_to_manager(worker, FromWorker::NeedBlob(hashes));
        }
    }
}
