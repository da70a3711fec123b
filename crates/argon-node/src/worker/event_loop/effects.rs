//! Carries out what the pool decides.

use std::time::Duration;

use argon_core::pool::{Blame, Effect, Environment, Input, Program, RunnerId, RunnerKind, Signal};
use argon_proto::{Flags, Runtime, Task};
use bytes::Bytes;
use nix::sys::signal;

use super::WorkerLoop;
use crate::worker::process::spawners::Spawned;
use crate::worker::processes::{BUSY_PAUSE, NoRunner};
use crate::worker::runners::attempt_io::AttemptIo;
use crate::worker::runners::runner::Runner;
use crate::worker::runtime::Launch;
use crate::worker::timers::Timer;

/// A runner that is not ready by then is killed.
pub(super) const START_LIMIT: Duration = Duration::from_secs(30);
/// A client's own executable has less to do before it is ready.
const NATIVE_START_LIMIT: Duration = Duration::from_secs(10);
/// A runner whose socket was closed exits within this time.
const RETIRE_LIMIT: Duration = Duration::from_secs(2);

impl WorkerLoop {
    /// Adds a fact for the pool, and does what it leads to at once.
    pub(super) fn tell_pool(&mut self, input: Input) {
        self.pool.push(input);
        self.carry_out_all();
    }

    pub(super) fn carry_out_all(&mut self) {
        while let Some(effect) = self.pool.next_effect(self.timers.now()) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        if self.stop.is_leaving() && begins_something(&effect) {
            return;
        }
        match effect {
            Effect::Spawn { runner, kind, template: None } => self.spawn(runner, kind),
            Effect::Spawn { runner, kind, template: Some(key) } => self.fork(runner, kind, key),
            Effect::StartTemplate { key } => self.start_template(key),
            Effect::EndTemplate { key } => {
                self.processes.templates.kill_for(key, "it is not needed".to_owned());
            }
            Effect::ReportFallback { key, why } => {
                tracing::warn!("{} runners are started without a template: {why}", key.runtime.name());
            }
            Effect::Hand { runner, task } => self.start_task(runner, task),
            Effect::Prefetch { runner, task } => self.prefetch(runner, task),
            Effect::Retract { runner } => self.retract(runner),
            Effect::Execute { runner, task } => {
                // It is here: the gate has waited for it.
                let base = task.blob_hashes().next().and_then(|hash| self.cache.blobs.find(hash));
                let failed = self.processes.start_command(self.timers.now(), runner, &task, base);
                failed.into_iter().for_each(|input| self.pool.push(input));
            }
            Effect::Retire { runner: id } => {
                if let Some(runner) = self.runners.get_mut(id) {
                    runner.retire();
                }
                self.expect_within(id, RETIRE_LIMIT, "it did not exit when its socket was closed");
            }
            Effect::Signal { runner: id, signal } => {
                let signal = match signal {
                    Signal::Term => signal::Signal::SIGTERM,
                    Signal::Kill => signal::Signal::SIGKILL,
                };
                match self.runners.get_mut(id) {
                    Some(runner) => runner.signal(signal),
                    None => self.processes.signal_starting(id, signal),
                }
            }
            Effect::FindEnvironment { id, environment, version } => {
                let list = match &environment {
                    Environment::Packages { list } => self.cache.blobs.find(*list),
                    Environment::Folder { .. } => None,
                };
                self.status.touch(self.timers.now());
                self.processes.runtimes.find_environment(id, environment, version, list);
            }
            Effect::ForgetEnvironment { id } => {
                self.status.touch(self.timers.now());
                self.processes.runtimes.environments.forget(id);
            }
            Effect::Tell(message) => self.send(message),
            Effect::Leave => {
                tracing::info!("the worker leaves: everything that it ran has finished");
                self.leave("the worker has finished what it ran");
            }
        }
    }

    pub(super) fn spawn(&mut self, id: RunnerId, kind: RunnerKind) {
        self.processes.wants(id, self.timers.now());
        let launched = self.launch(kind).and_then(|launch| self.processes.start_runner(id, kind, &launch));
        match launched {
            Ok(Some(runner)) => self.on_started(id, runner),
            Ok(None) => self.timers.set_after(Timer::BusyFiles, BUSY_PAUSE),
            Err(error) => self.on_not_started(id, kind, error),
        }
    }

    /// The process of a runner is there.
    pub(super) fn on_started(&mut self, id: RunnerId, runner: Runner) {
        let (limit, when_overdue) = match runner.kind.runtime {
            Runtime::Native => (NATIVE_START_LIMIT, "it did not send READY within 10 s"),
            Runtime::Perl | Runtime::Python | Runtime::Exec => {
                (START_LIMIT, "it did not send READY within 30 s")
            }
        };
        if self.stop.is_leaving() {
            runner.signal(signal::Signal::SIGKILL);
        }
        self.runners.insert(id, runner);
        self.expect_within(id, limit, when_overdue);
    }

    pub(super) fn on_not_started(&mut self, id: RunnerId, kind: RunnerKind, error: NoRunner) {
        let NoRunner { why, blame } = error;
        self.processes.forget(id);
        if blame == Blame::Machine {
            let runtime = kind.runtime.name();
            self.processes.report_trouble(format!("no {runtime} runner can be started: {why}"));
        }
        self.pool.push(Input::SpawnFailed { runner: id, why, blame });
    }

    fn launch(&mut self, kind: RunnerKind) -> Result<Launch, NoRunner> {
        let on_machine = |why: &str| NoRunner::on_machine(why.to_owned());
        let Program::Executable(hash) = kind.program else {
            let launch = kind.template().and_then(|key| self.processes.runtimes.launch(key));
            return launch.ok_or_else(|| on_machine("this worker does not have that runtime"));
        };
        match self.cache.executable(hash, self.timers.now(), self.pool.tasks()) {
            Ok(Some(program)) => {
                Ok(Launch { program, arguments: Vec::new(), variables: Vec::new(), preamble: Bytes::new() })
            }
            Ok(None) => {
                let wanted = self.cache.blobs.take_questions([hash].into_iter());
                self.ask_for_blobs(wanted);
                Err(on_machine("the executable's file is gone, and is asked for again"))
            }
            Err(error) => Err(NoRunner { why: error.to_string(), blame: Blame::Program }),
        }
    }

    /// A command was started, or could not be.
    pub(super) fn on_spawned(&mut self, spawned: Spawned) {
        match self.processes.on_spawned(spawned) {
            Some(Ok((id, runner))) => self.runners.insert(id, runner),
            Some(Err(input)) => self.pool.push(input),
            None => {}
        }
    }

    fn start_task(&mut self, id: RunnerId, task: Task) {
        let now = self.timers.now();
        if let Some(runner) = self.runners.get_mut(id) {
            runner.queue.start(AttemptIo::of(&task, now));
        }
        self.runners.send_task(id, task, &mut self.cache.blobs);
    }

    fn prefetch(&mut self, id: RunnerId, mut task: Task) {
        let now = self.timers.now();
        let Some(runner) = self.runners.get_mut(id) else {
            return;
        };
        if let Err(error) = runner.queue.prefetch(AttemptIo::of(&task, now)) {
            return runner.kill_for(format!("no task could be prefetched: {error}"));
        }
        task.head.flags = task.head.flags.with(Flags::AHEAD);
        self.runners.send_task(id, task, &mut self.cache.blobs);
    }

    /// Retracts what a runner has not started.
    pub(super) fn retract(&mut self, id: RunnerId) {
        let attempts = self.runners.get_mut(id).map(|runner| runner.queue.retract()).unwrap_or_default();
        self.pool.push(Input::Retracted { runner: id, attempts });
    }

    /// Takes no more, finishes what runs, leaves.
    pub(super) fn drain(&mut self, reason: &str, limit: Option<Duration>) {
        if self.stop.drain(&mut self.timers, reason, limit) {
            let returned = self.cache.blobs.retract(usize::MAX);
            self.return_attempts(returned);
            self.tell_pool(Input::DrainRequested(reason.to_owned()));
        }
    }

    /// Ends everything at once. The manager learns it first: it then takes the tasks for lost with their worker, not for
    /// dead by their own fault.
    pub(super) fn end_at_once(&mut self, reason: &str) {
        if !self.stop.is_leaving() {
            tracing::info!("the worker ends: {reason}");
            self.leave(reason);
            self.tell_pool(Input::ManagerLost);
        }
        self.runners.kill_all();
        self.processes.kill_all();
    }

    fn leave(&mut self, reason: &str) {
        self.uplink.close(self.timers.now(), reason);
        self.stop.leave(&mut self.timers);
    }
}

fn begins_something(effect: &Effect) -> bool {
    match effect {
        Effect::Spawn { .. }
        | Effect::Hand { .. }
        | Effect::Prefetch { .. }
        | Effect::Execute { .. }
        | Effect::StartTemplate { .. }
        | Effect::FindEnvironment { .. }
        | Effect::Leave => true,
        Effect::Retract { .. }
        | Effect::Retire { .. }
        | Effect::Signal { .. }
        | Effect::EndTemplate { .. }
        | Effect::ReportFallback { .. }
        | Effect::ForgetEnvironment { .. }
        | Effect::Tell(_) => false,
    }
}
