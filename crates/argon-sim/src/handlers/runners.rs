//! Virtual runners: what a task does once it is handed over.

use argon_core::pool::{Blame, Exit, Input, RunnerId, TemplateKey};
use argon_proto::AttemptId;
use argon_proto::{Codec, Outcome, OutcomeHead, Status, Task};
use bytes::Bytes;

use crate::event::{Dialler, RunnerDoes};
use crate::plan::TaskBehaviour;
use crate::worker::Runner;
use crate::world::World;

/// Duration of one slow turn of a slow worker.
const SLOW_TURN_US: u64 = 1_000_000;

impl World {
    pub(crate) fn spawn_runner(
        &mut self,
        worker: usize,
        id: RunnerId,
        template: Option<TemplateKey>,
        is_too_small: bool,
    ) {
        self.judge_template(worker, id, template);
        let is_starved = self.workers[worker].starved > 0;
        // Most forks take a moment, some much longer.
        let slowest_fork = if self.random.percent(3) { 400_000 } else { 2_000 };
        let wait = match template {
            Some(_) => self.random.spread(50, slowest_fork),
            None => self.random.spread(1_000, 60_000),
        };
        let fails = is_starved || self.random.percent(1) && !self.plan.faults.is_empty();
        let (wait, does) = match template {
            // The answer comes at once, as that of a system call does.
            _ if is_too_small => (wait, RunnerDoes::FailToStart),
            _ if fails && self.random.percent(50) => (0, RunnerDoes::FailToSpawn),
            _ if fails => (wait, RunnerDoes::FailToStart),
            Some(_) => (wait, RunnerDoes::Forked),
            None => (wait, RunnerDoes::Ready),
        };
        self.trace.note(self.now, [15, worker as u64, id.0], || {
            format!("worker {worker} makes runner {} from {template:?}: {does:?} in {wait} µs", id.0)
        });
        if let Some(process) = &mut self.workers[worker].process {
            let awaits_fork_of = template.filter(|_| does != RunnerDoes::FailToStart);
            process.runners.insert(id, Runner { awaits_fork_of, ..Runner::default() });
        }
        self.runner_will(worker, id, wait, does);
    }

    /// The runner claims it when it has finished what it was handed before.
    pub(crate) fn prefetch(&mut self, worker: usize, id: RunnerId, task: Task) {
        let attempt = attempt_of(&task);
        let Some(runner) = self.runner(worker, id) else {
            return self.oracle.fail(format!("{attempt:?} was handed to a runner that is not there"));
        };
        // One that leaves claims nothing more; what stands in its pipe is taken back.
        if runner.task.is_some() || runner.is_leaving {
            runner.ahead.push_back(task);
        } else {
            self.hand(worker, id, task);
        }
    }

    pub(crate) fn reclaim(&mut self, worker: usize, id: RunnerId) {
        let runner = self.runner(worker, id);
        let tasks = runner.map(|runner| std::mem::take(&mut runner.ahead)).unwrap_or_default();
        let attempts = tasks.iter().map(attempt_of).collect();
        self.step_worker(worker, Input::Retracted { runner: id, attempts });
    }

    fn runner(&mut self, worker: usize, id: RunnerId) -> Option<&mut Runner> {
        self.workers[worker].process.as_mut()?.runners.get_mut(&id)
    }

    pub(crate) fn hand(&mut self, worker: usize, id: RunnerId, task: Task) {
        let attempt = AttemptId { task: task.head.id, attempt: task.head.attempt };
        let number = self.oracle.number_of(attempt.task);
        self.trace.note(self.now, [12, worker as u64, attempt.task.sequence], || {
            format!("worker {worker} starts {attempt:?}, task {number}, in runner {}", id.0)
        });
        self.oracle.started(self.now, attempt);
        self.oracle.has_begun(self.now, worker, task.head.memory_mib);
        let plan = self.task_plan(attempt.task);
        let starts = self.oracle.fates[self.oracle.number_of(attempt.task)].starts;
        let behaviour = if starts <= plan.failures { plan.behaviour } else { TaskBehaviour::Return };
        let has_children = !plan.children.is_empty();
        let run_us = self.time_on(worker, plan.run_us);
        self.judge_parent(attempt);
        let Some(process) = &mut self.workers[worker].process else {
            return;
        };
        let Some(runner) = process.runners.get_mut(&id) else {
            return self.oracle.fail(format!("{attempt:?} was handed to a runner that is not there"));
        };
        runner.run += 1;
        let family = task.head.id.session.family();
        let before = *runner.family.get_or_insert(family);
        runner.task = Some(task);
        let (run, is_leaving) = (runner.run, runner.is_leaving);
        if before != family {
            self.oracle.fail(format!("runner {} of worker {worker} serves {before:?} and {family:?}", id.0));
        }
        if is_leaving {
            self.oracle
                .fail(format!("{attempt:?} was handed to runner {} of worker {worker}, which leaves", id.0));
        }
        if has_children {
            self.runner_will(worker, id, run_us / 2, RunnerDoes::BeginChildren { run });
        }
        let does = match behaviour {
            // It goes on when they have ended.
            TaskBehaviour::Return | TaskBehaviour::Throw if has_children => return,
            TaskBehaviour::Return | TaskBehaviour::Throw => RunnerDoes::Finish { run },
            TaskBehaviour::Die => RunnerDoes::Die { run },
            TaskBehaviour::Hang => return,
        };
        self.runner_will(worker, id, run_us, does);
    }

    /// Time that a task of this length takes if it begins on a worker now.
    fn time_on(&self, worker: usize, run_us: u64) -> u64 {
        let is_slow = (self.now / SLOW_TURN_US + worker as u64).is_multiple_of(3);
        if is_slow { run_us * self.plan.shape.slowness } else { run_us }
    }

    pub(crate) fn on_runner(&mut self, worker: usize, incarnation: u32, id: RunnerId, does: RunnerDoes) {
        if !self.is_living(Dialler::Worker(worker), incarnation) {
            return;
        }
        let Some(process) = &mut self.workers[worker].process else {
            return;
        };
        let Some(runner) = process.runners.get_mut(&id) else {
            return;
        };
        let (run, task) = (runner.run, runner.task.clone());
        let input = match does {
            RunnerDoes::Ready => {
                runner.is_ready = true;
                Input::RunnerReady { runner: id, takes_prefetch: true }
            }
            RunnerDoes::Forked => {
                runner.awaits_fork_of = None;
                let wait = self.random.spread(100, 2_000);
                return self.runner_will(worker, id, wait, RunnerDoes::Ready);
            }
            RunnerDoes::Finish { run: which } => {
                let Some(task) = task.filter(|_| run == which) else {
                    return;
                };
                runner.task = None;
                let outcome = self.outcome_of(worker, &task);
                self.oracle.ended(self.now, attempt_of(&task), outcome.head.status);
                if outcome.head.leaves {
                    return self.leave(worker, id, outcome);
                }
                let next = self.runner(worker, id).and_then(|runner| runner.ahead.pop_front());
                if let Some(runner) = self.runner(worker, id) {
                    runner.unread.push_back(outcome);
                }
                if let Some(next) = next {
                    self.hand(worker, id, next);
                }
                // Now and then the worker has other things to do.
                let longest = if self.random.percent(5) { 500 } else { 15 };
                let wait = self.random.spread(0, longest);
                return self.runner_will(worker, id, wait, RunnerDoes::Read);
            }
            RunnerDoes::BeginChildren { run: which } => {
                if let Some(task) = task.filter(|_| run == which) {
                    self.begin_children(worker, id, attempt_of(&task));
                }
                return;
            }
            RunnerDoes::Read => return self.read_runner(worker, id),
            RunnerDoes::FailToSpawn => {
                process.runners.remove(&id);
                let why = "no process could be made".to_owned();
                Input::SpawnFailed { runner: id, why, blame: Blame::Machine }
            }
            RunnerDoes::Die { run: which } if run != which || task.is_none() => return,
            RunnerDoes::Die { .. } | RunnerDoes::End { .. } | RunnerDoes::FailToStart => {
                // What it had written is read first, and what it had not claimed is not its own any more.
                self.step_worker(worker, Input::RunnerEnded { runner: id });
                self.reclaim(worker, id);
                self.read_runner(worker, id);
                self.kill_client_in(worker, id);
                if let Some(process) = &mut self.workers[worker].process {
                    process.runners.remove(&id);
                }
                if let Some(task) = task {
                    self.oracle.ended(self.now, attempt_of(&task), Status::Died);
                }
                let signal = if let RunnerDoes::End { signal } = does { signal } else { Some(11) };
                Input::RunnerGone { runner: id, exit: Exit { signal, ..Exit::default() } }
            }
        };
        self.step_worker(worker, input);
    }

    /// A runner that is not what it was writes its last outcome, and exits.
    fn leave(&mut self, worker: usize, id: RunnerId, outcome: Outcome) {
        if let Some(runner) = self.runner(worker, id) {
            runner.is_leaving = true;
            runner.unread.push_back(outcome);
        }
        let wait = self.random.spread(1, 3_000);
        self.runner_will(worker, id, wait, RunnerDoes::Read);
        let wait = self.random.spread(1, 3_000);
        self.runner_will(worker, id, wait, RunnerDoes::End { signal: None });
    }

    fn read_runner(&mut self, worker: usize, id: RunnerId) {
        while let Some(outcome) = self.runner(worker, id).and_then(|runner| runner.unread.pop_front()) {
            self.step_worker(worker, Input::RunnerFinished { runner: id, outcome });
        }
    }

    /// Returns the outcome of a task that returned or threw: its number, and as many bytes as it was given.
    fn outcome_of(&self, worker: usize, task: &Task) -> Outcome {
        let id = task.head.id;
        let plan = self.task_plan(id);
        let starts = self.oracle.fates[self.oracle.number_of(id)].starts;
        let throws = plan.behaviour == TaskBehaviour::Throw && starts <= plan.failures;
        let mut bytes = plan.number.to_be_bytes().to_vec();
        bytes.resize(plan.bytes.max(8), 0);
        Outcome {
            head: OutcomeHead {
                id,
                attempt: task.head.attempt,
                status: if throws { Status::Error } else { Status::Ok },
                codec: Codec::Own,
                run_us: self.time_on(worker, plan.run_us),
                leaves: plan.leaves,
            },
            report: Bytes::new(),
            payload: bytes.into(),
        }
    }
}

fn attempt_of(task: &Task) -> AttemptId {
    AttemptId { task: task.head.id, attempt: task.head.attempt }
}
