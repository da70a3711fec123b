//! Clients inside of tasks: who may connect, and which attempts wait for their own tasks.

use argon_core::pool::Input;
use argon_proto::AttemptId;
use argon_proto::conversation::child::Child;
use argon_proto::handshake::{Refusal, RefusalCode};

use super::WorkerLoop;
use crate::worker::task_clients::TaskClientEvent;

impl WorkerLoop {
    pub(super) fn on_task_client(&mut self, event: TaskClientEvent) {
        match event {
            TaskClientEvent::Arrived { child, reply } => {
                let admission = self.check(&child).and_then(|attempt| self.task_clients.admit(attempt));
                // A client that is gone is not served.
                if let Err(Ok((number, _))) = reply.send(admission) {
                    self.task_clients.on_closed(number);
                }
            }
            TaskClientEvent::Waits { number, waits } => {
                let changed = self.task_clients.on_waits(number, waits);
                self.tell_waits(changed, waits);
            }
            TaskClientEvent::Closed { number } => {
                let changed = self.task_clients.on_closed(number);
                self.tell_waits(changed, false);
            }
        }
    }

    /// The attempt that the client's process executes.
    fn check(&mut self, child: &Child) -> Result<AttemptId, Refusal> {
        let attempt = AttemptId { task: child.task, attempt: child.attempt };
        let has_attempt = if let Some(runner) = self.runners.by_token(child.token) {
            runner.queue.find(attempt).is_some()
        } else if let Some(starting) = self.processes.starting_attempt(child.token) {
            // A command may connect before the thread that starts it has reported that it runs.
            starting == attempt
        } else {
            let message = "ARGON_TASK_TOKEN is not of a process that this worker has started";
            return Err(Refusal::new(RefusalCode::Key, message));
        };
        if !has_attempt {
            let (task, number) = (child.task, child.attempt.0);
            let message =
                format!("attempt {number} of task {task} does not run in this process, or has ended");
            return Err(Refusal::new(RefusalCode::Session, message));
        }
        Ok(attempt)
    }

    fn tell_waits(&mut self, changed: Option<AttemptId>, waits: bool) {
        if let Some(attempt) = changed {
            self.tell_pool(Input::AttemptWaits { attempt, waits });
        }
    }
}
