//! Clients inside of tasks: who may connect, and which attempts wait for their own tasks.

use argon_core::pool::Input;
use argon_proto::conversation::child::Child;
use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::{AttemptId, AttemptToken};

use super::WorkerLoop;
use crate::worker::task_clients::TaskClientEvent;

impl WorkerLoop {
    pub(super) fn on_task_client(&mut self, event: TaskClientEvent) {
        match event {
            TaskClientEvent::Arrived { child, reply } => {
                let checked = self.check(&child);
                let admission = checked.and_then(|(attempt, token)| self.task_clients.admit(attempt, token));
                // A client that is gone is not served.
                if let Err(Ok(admitted)) = reply.send(admission) {
                    self.task_clients.on_closed(admitted.number);
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

    /// The attempt that the client's process executes, and its token.
    fn check(&mut self, child: &Child) -> Result<(AttemptId, AttemptToken), Refusal> {
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
        let token = self.pool.token_of(attempt).filter(|_| has_attempt);
        let Some(token) = token else {
            let (task, number) = (child.task, child.attempt.0);
            let message =
                format!("attempt {number} of task {task} does not run in this process, or has ended");
            return Err(Refusal::new(RefusalCode::Session, message));
        };
        Ok((attempt, token))
    }

    fn tell_waits(&mut self, changed: Option<AttemptId>, waits: bool) {
        if let Some(attempt) = changed {
            self.tell_pool(Input::AttemptWaits { attempt, waits });
        }
    }
}
