//! Tasks that make tasks: the client inside an attempt, the wait that lends the slot, and what must be true of both.

use argon_core::pool::Input as PoolInput;
use argon_proto::conversation::Goodbye;
use argon_proto::conversation::child::{Child, ChildOpen, TaskToken};
use argon_proto::conversation::client::ToManager;
use argon_proto::{AttemptId, Flags, RunnerId};
use argon_session::{ErrorKind, Input};

use crate::client::{Client, Parent};
use crate::event::RunnerDoes;
use crate::handlers::watch::STARTS_WITHIN;
use crate::world::World;

impl World {
    /// A task makes the tasks of its plan, and waits for them.
    pub(crate) fn begin_children(&mut self, worker: usize, runner: RunnerId, attempt: AttemptId) {
        let process = self.workers[worker].process.as_ref();
        let Some((worker_id, token)) =
            process.and_then(|process| Some((process.id, process.pool.token_of(attempt)?)))
        else {
            return;
        };
        let clock = self.new_clock();
        let client = self.clients.len();
        let parent = Parent { attempt, worker, worker_id, token, runner };
        self.clients.push(Client::inside(parent, clock, &mut self.random));
        for mut plan in self.task_plan(attempt.task).children.clone() {
            let place = self.plan.tasks.len();
            plan.number = self.places.len() as u64;
            plan.client = client;
            self.oracle.add_child(&plan, attempt);
            self.places.push(place);
            self.ids.push(None);
            self.plan.tasks.push(plan);
            self.to_come += 1;
            self.on_client_submits(place);
        }
        if let Some(process) = &mut self.workers[worker].process
            && let Some(runner) = process.runners.get_mut(&runner)
        {
            runner.client = Some(client);
        }
        self.trace.note(self.now, [17, worker as u64, client as u64], || {
            let numbers = self.plan.tasks.iter().filter(|task| task.client == client).map(|task| task.number);
            let numbers: Vec<u64> = numbers.collect();
            format!("{attempt:?} makes the tasks {numbers:?} as client {client}, and waits")
        });
        self.step_client(client, [Input::Started]);
        self.set_waits(parent, true);
    }

    /// All tasks of an attempt have ended: it goes on, and its client ends.
    pub(crate) fn end_children(&mut self, client: usize) {
        let Some(parent) = self.clients[client].parent else {
            return;
        };
        let Some(process) = &mut self.workers[parent.worker].process else {
            return;
        };
        let Some(runner) =
            process.runners.get_mut(&parent.runner).filter(|runner| runner.client == Some(client))
        else {
            return;
        };
        runner.client = None;
        let run = runner.run;
        let owner = &mut self.clients[client];
        owner.machine.end(ErrorKind::Closed, "closed", Some(Goodbye::default()), &mut owner.out);
        self.settle_client(client);
        self.kill_client(client, false);
        self.set_waits(parent, false);
        let run_us = self.task_plan(parent.attempt.task).run_us;
        self.runner_will(parent.worker, parent.runner, run_us / 2, RunnerDoes::Finish { run });
    }

    fn set_waits(&mut self, parent: Parent, waits: bool) {
        self.oracle.progress_at = self.now;
        if let Some(process) = &mut self.workers[parent.worker].process
            && let Some(runner) = process.runners.get_mut(&parent.runner)
        {
            runner.waits = waits;
        }
        self.step_worker(parent.worker, PoolInput::AttemptWaits { attempt: parent.attempt, waits });
    }

    /// The process of a task ends, and the client inside it.
    pub(crate) fn kill_client_in(&mut self, worker: usize, runner: RunnerId) {
        let process = self.workers[worker].process.as_mut();
        let client = process.and_then(|process| process.runners.get_mut(&runner)?.client.take());
        if let Some(client) = client {
            self.kill_client(client, false);
        }
    }

    pub(crate) fn kill_client(&mut self, client: usize, is_silent: bool) {
        let owner = &mut self.clients[client];
        owner.is_alive = false;
        let connection = owner.dial.any();
        owner.dial.rest();
        match connection {
            Some(id) if is_silent => self.net.connections[id].ends[0] = false,
            Some(id) => self.close_end(id, true),
            None => {}
        }
    }

    /// Returns the message that the worker sends to the manager for a message of a client.
    pub(crate) fn relayed(&self, client: usize, message: ToManager) -> ToManager {
        match (message, self.clients[client].parent) {
            (ToManager::Open(open), Some(Parent { attempt, worker_id, token: of_attempt, .. })) => {
                let AttemptId { task, attempt } = attempt;
                let child = Child { token: TaskToken([0; 16]), task, attempt };
                ToManager::ChildOpen(Box::new(ChildOpen::new(worker_id, &child, of_attempt, open)))
            }
            (message, _) => message,
        }
    }

    /// Without faults, no task starts long after the attempt that it belongs to has ended.
    pub(crate) fn judge_parent(&mut self, attempt: AttemptId) {
        let is_detached = self.task_plan(attempt.task).flags.contains(Flags::DETACHED);
        if !self.plan.is_calm() || is_detached {
            return;
        }
        if self.oracle.parent_ended_at(attempt.task).is_some_and(|ended| ended + STARTS_WITHIN < self.now) {
            self.oracle
                .fail(format!("{attempt:?} starts long after the attempt has ended that it belongs to"));
        }
    }
}
