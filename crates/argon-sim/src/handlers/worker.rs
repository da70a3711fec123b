//! A worker's shell: its pool, its connection, and virtual runners that start, work, disobey and die.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use argon_core::Machine;
use argon_core::gate::WorkerGate;
use argon_core::outcome_batch::{OutcomeBatch, Supply};
use argon_core::pool::{Effect, Input, Pool, PoolCounts, RunnerId, Settings, Signal};
use argon_proto::conversation::Goodbye;
use argon_proto::conversation::worker::{FromWorker, Held, Register};
use argon_proto::limit::{PING_AFTER, SILENCE};
use argon_proto::{AttemptId, Runtime, Task, Time, WorkerId};

use crate::described::Described;
use crate::event::{Dialler, Event, Packet, RunnerDoes};
use crate::oracle::Finished;
use crate::plan::TOO_SMALL_MIB;
use crate::worker::WorkerProcess;
use crate::world::World;

impl World {
    pub(crate) fn on_worker_starts(&mut self, worker: usize) {
        if self.workers[worker].process.is_some() {
            return;
        }
        let clock = self.new_clock();
        let shape = &self.plan.shape;
        let settings = Settings {
            name: format!("worker-{worker}"),
            host: format!("host-{worker}"),
            slots: shape.slots,
            runtimes: vec![Runtime::Perl],
            pythons: Vec::new(),
            max_requests: shape.max_requests,
            default_timeout_ms: 0,
            term_grace: Duration::from_millis(500),
            lease: Duration::from_secs(15),
            unsettled_bytes: shape.unsettled_bytes,
            has_templates: shape.has_templates,
            runners_max: shape.runners_max,
            runner_memory: shape.runner_memory_mib << 20,
            waiting_max: shape.waiting_max,
        };
        let secret = self.random.secret();
        let process = WorkerProcess {
            id: WorkerId::of(&secret),
            secret,
            welcomed: None,
            previous: None,
            pool: Pool::new(clock.read(self.now), settings),
            gate: WorkerGate::new(shape.cache_bytes),
            batch: OutcomeBatch::default(),
            was_asked_to_leave: false,
            is_draining: false,
            clock,
            runners: BTreeMap::new(),
            templates: BTreeMap::new(),
            last_template: 0,
            inputs: VecDeque::new(),
            is_stepping: false,
            timer: None,
            is_linked: false,
            steps: 0,
        };
        let place = &mut self.workers[worker];
        place.incarnation += 1;
        place.free_since = None;
        self.oracle.pool_is_new(worker);
        let place = &mut self.workers[worker];
        place.process = Some(process);
        let (incarnation, dial) = (place.incarnation, place.dial.number);
        self.trace.note(self.now, [10, worker as u64, 0], || format!("worker {worker} starts"));
        self.step_worker(worker, Input::Started);
        self.queue.push(self.now, Event::Dial { worker, incarnation, dial });
        self.queue.push(self.now + 1_000_000, Event::WorkerBeat { worker, incarnation });
    }

    /// The process ends, its runners with it.
    pub(crate) fn end_worker(&mut self, worker: usize, is_silent: bool) {
        let place = &mut self.workers[worker];
        let Some(process) = place.process.take() else {
            return;
        };
        for client in process.runners.values().filter_map(|runner| runner.client) {
            self.kill_client(client, is_silent);
        }
        let place = &mut self.workers[worker];
        place.frozen = 0;
        place.stalled.clear();
        let connection = place.dial.any();
        place.dial.rest();
        self.trace.note(self.now, [11, worker as u64, 0], || format!("worker {worker} is gone"));
        match connection {
            Some(id) if is_silent => self.net.connections[id].ends[0] = false,
            Some(id) => self.close_end(id, true),
            None => {}
        }
    }

    /// Steps the pool. As in the real worker, an input that an effect brings waits until all effects are carried out.
    pub(crate) fn step_worker(&mut self, worker: usize, input: Input) {
        let Some(process) = &mut self.workers[worker].process else {
            return;
        };
        process.inputs.push_back(input);
        if std::mem::replace(&mut process.is_stepping, true) {
            return;
        }
        while let Some(process) = &mut self.workers[worker].process
            && let Some(input) = process.inputs.pop_front()
        {
            self.step_pool(worker, input);
        }
        if let Some(process) = &mut self.workers[worker].process {
            process.is_stepping = false;
        }
        self.flush_worker(worker);
        self.arm_worker(worker);
    }

    fn step_pool(&mut self, worker: usize, input: Input) {
        let look_every = self.plan.shape.look_every;
        let Some(process) = &mut self.workers[worker].process else {
            return;
        };
        let mut effects = Vec::new();
        process.pool.step(process.clock.read(self.now), input, &mut effects);
        process.steps += 1;
        if process.steps.is_multiple_of(look_every) {
            process.pool.assert_invariants();
            process.gate.assert_invariants();
        }
        let makes_runners = effects.iter().any(|effect| matches!(effect, Effect::Spawn { .. }));
        for effect in effects {
            self.on_pool_effect(worker, effect);
        }
        if makes_runners {
            self.judge_processes(worker);
        }
    }

    /// The end of a round: outcomes go out that have waited long enough.
    fn flush_worker(&mut self, worker: usize) {
        if let Some(process) = &mut self.workers[worker].process {
            let PoolCounts { slots, waiting, .. } = process.pool.counts();
            if process.batch.is_due(process.clock.read(self.now), || Supply { slots, waiting }) {
                self.flush_batch(worker);
            }
        }
    }

    fn arm_worker(&mut self, worker: usize) {
        let incarnation = self.workers[worker].incarnation;
        if let Some(process) = &mut self.workers[worker].process
            && let Some(deadline) =
                [process.pool.next_deadline(), process.batch.next_deadline()].into_iter().flatten().min()
        {
            let at = process.clock.when(deadline).max(self.now);
            if process.timer.is_none_or(|timer| at < timer) {
                process.timer = Some(at);
                self.queue.push(at, Event::WorkerTimer { worker, incarnation, at });
            }
        }
    }

    pub(crate) fn on_worker_timer(&mut self, worker: usize, incarnation: u32, at: u64) {
        if !self.is_living(Dialler::Worker(worker), incarnation) {
            return;
        }
        if let Some(process) = &mut self.workers[worker].process
            && process.timer == Some(at)
        {
            process.timer = None;
            self.step_worker(worker, Input::TimePassed);
        }
    }

    fn on_pool_effect(&mut self, worker: usize, effect: Effect) {
        match effect {
            Effect::Spawn { runner, kind, template } => {
                let is_too_small = (1..=TOO_SMALL_MIB).contains(&kind.memory_mib);
                self.spawn_runner(worker, runner, template, is_too_small);
            }
            Effect::Hand { runner, task } => {
                self.judge_handed_blobs(worker, &task);
                self.hand(worker, runner, task);
            }
            Effect::Prefetch { runner, task } => {
                self.judge_handed_blobs(worker, &task);
                self.prefetch(worker, runner, task);
            }
            Effect::Retract { runner } => self.reclaim(worker, runner),
            Effect::Execute { .. } => self.oracle.fail(format!("worker {worker} received a command")),
            Effect::FindEnvironment { .. } | Effect::ForgetEnvironment { .. } => {
                self.oracle.fail(format!("worker {worker} received an environment"));
            }
            Effect::Retire { runner } => {
                if let Some(process) = &mut self.workers[worker].process
                    && let Some(runner) = process.runners.get_mut(&runner)
                {
                    runner.is_leaving = true;
                }
                self.trace.note(self.now, [16, worker as u64, runner.0], || {
                    format!("worker {worker} retires runner {}", runner.0)
                });
                self.runner_will(worker, runner, 1_000, RunnerDoes::End { signal: None });
            }
            Effect::Signal { runner, signal } => {
                let ends = signal == Signal::Kill || self.random.percent(70);
                let wait = self.random.between(500, 20_000);
                if ends {
                    let end = RunnerDoes::End { signal: Some(if signal == Signal::Kill { 9 } else { 15 }) };
                    self.runner_will(worker, runner, wait, end);
                }
            }
            Effect::StartTemplate { key } => self.start_template(worker, key),
            Effect::EndTemplate { key } => self.end_template(worker, key),
            Effect::ReportFallback { key, why } => {
                self.trace.note(self.now, [14, worker as u64, 0], || {
                    format!("worker {worker} does without the template {key:?}: {why}")
                });
            }
            Effect::Tell(message) => self.send_to_manager(worker, message),
            Effect::Leave => {
                self.batch_to_manager(worker, FromWorker::Goodbye(Goodbye::default()));
                self.end_worker(worker, false);
                self.queue.push(self.now + 1_000_000, Event::WorkerStarts { worker });
            }
        }
    }

    pub(crate) fn runner_will(&mut self, worker: usize, runner: RunnerId, wait: u64, does: RunnerDoes) {
        let incarnation = self.workers[worker].incarnation;
        self.queue.push(self.now + wait, Event::Runner { worker, incarnation, runner, does });
    }

    fn send_to_manager(&mut self, worker: usize, message: FromWorker) {
        if let FromWorker::Outcome(outcome) = &message
            && outcome.head.leaves
        {
            self.oracle.fail(format!("worker {worker} relays the flag LEAVES of {:?}", outcome.head.id));
        }
        let is_linked = self.workers[worker].process.as_ref().is_some_and(|process| process.is_linked);
        if !is_linked {
            self.oracle.fail(format!("worker {worker} sends {} without a manager", message.brief()));
        }
        match &message {
            FromWorker::Outcome(outcome) => {
                let incarnation = self.workers[worker].incarnation;
                let finished = Finished { attempt: outcome.head.attempt, worker, incarnation };
                self.oracle.has_finished(finished, outcome.head.id, outcome.head.status);
                self.oracle.not_with_pool(outcome.head.id);
            }
            FromWorker::Returned(attempts) => {
                attempts.iter().for_each(|attempt| self.oracle.not_with_pool(attempt.task));
            }
            FromWorker::Register(_)
            | FromWorker::Held(_)
            | FromWorker::Output(_)
            | FromWorker::Ask(_)
            | FromWorker::NeedBlob(_)
            | FromWorker::Lent(_)
            | FromWorker::Runners(_)
            | FromWorker::Draining(_)
            | FromWorker::Goodbye(_) => {}
        }
        self.batch_to_manager(worker, message);
    }

    pub(crate) fn batch_to_manager(&mut self, worker: usize, message: FromWorker) {
        if let Some(process) = &mut self.workers[worker].process
            && process.is_linked
            && process.batch.push(process.clock.read(self.now), message)
        {
            self.flush_batch(worker);
        }
    }

    fn flush_batch(&mut self, worker: usize) {
        let process = self.workers[worker].process.as_mut();
        let messages: Vec<FromWorker> =
            process.map(|process| process.batch.take().collect()).unwrap_or_default();
        for message in messages {
            self.send_if_open(worker, Packet::FromWorker(Box::new(message)));
        }
    }

    /// A task that starts finds its blobs here.
    fn judge_handed_blobs(&mut self, worker: usize, task: &Task) {
        if let Some(process) = &mut self.workers[worker].process
            && let Some(missing) = task.blob_hashes().find(|hash| process.gate.find(*hash).is_none())
        {
            let id = task.head.id;
            self.oracle.fail(format!("{id:?} starts at worker {worker} without its blob {missing:?}"));
        }
    }

    fn send_if_open(&mut self, worker: usize, packet: Packet) {
        let place = &mut self.workers[worker];
        let Some(id) = place.dial.open() else {
            return;
        };
        if let Some(process) = &place.process {
            place.dial.sent_at = process.clock.read(self.now).0;
        }
        self.send(id, true, packet);
    }

    pub(crate) fn worker_loses_manager(&mut self, worker: usize) {
        if let Some(process) = &mut self.workers[worker].process
            && std::mem::take(&mut process.is_linked)
        {
            process.gate.on_manager_lost();
            process.batch.on_manager_lost();
            self.workers[worker].free_since = None;
            self.step_worker(worker, Input::ManagerLost);
        }
    }

    pub(crate) fn worker_receives(&mut self, worker: usize, id: usize, packet: Packet) {
        if self.workers[worker].dial.any() != Some(id) {
            return;
        }
        match packet {
            Packet::Welcome { incarnation, .. } => {
                if let Some(process) = &mut self.workers[worker].process {
                    process.welcomed = Some(incarnation);
                }
                self.register(worker, id);
            }
            Packet::ToWorker(message) => self.worker_reads(worker, *message),
            Packet::Ping => {
                self.on_manager_alive(worker);
                self.send_if_open(worker, Packet::Pong);
            }
            Packet::Pong => self.on_manager_alive(worker),
            Packet::End => self.lose_connection(Dialler::Worker(worker)),
            Packet::FromClient(_) | Packet::FromWorker(_) | Packet::ToClient(_) | Packet::Refused(_) => {}
        }
    }

    fn register(&mut self, worker: usize, id: usize) {
        let Some(process) = &self.workers[worker].process else {
            return;
        };
        let held: Vec<Held> = process.pool.held().into_iter().chain(process.gate.parked()).collect();
        let register = Register {
            host: format!("host-{worker}").into(),
            name: format!("worker-{worker}").into(),
            pid: self.workers[worker].incarnation,
            previous: process.previous,
            release: "simulated".into(),
            run_as: None,
            paused: None,
            sandbox: None,
            runtimes: [("perl".into(), "5.36.0".into())].into(),
            slots: self.plan.shape.slots as u32,
            secret: process.secret.clone(),
            worker: process.id,
        };
        // It is not let in before that is answered.
        if !held.is_empty() {
            self.send(id, true, Packet::FromWorker(Box::new(FromWorker::Held(held))));
        }
        self.send(id, true, Packet::FromWorker(Box::new(FromWorker::Register(Box::new(register)))));
    }

    pub(crate) fn on_worker_beat(&mut self, worker: usize, incarnation: u32) {
        let dialler = Dialler::Worker(worker);
        if !self.is_living(dialler, incarnation) {
            return;
        }
        self.queue.push(self.now + 1_000_000, Event::WorkerBeat { worker, incarnation });
        let place = &self.workers[worker];
        let Some(now) = place.process.as_ref().map(|process| process.clock.read(self.now)) else {
            return;
        };
        let (is_open, received_at) = (place.dial.open().is_some(), place.dial.received_at);
        self.measure_runners(worker);
        if !is_open {
            return;
        }
        if now.since(Time(received_at)) > SILENCE {
            return self.lose_connection(dialler);
        }
        if now.since(Time(self.workers[worker].dial.sent_at)) >= PING_AFTER {
            self.send_if_open(worker, Packet::Ping);
        }
    }

    /// Attempts that are in a worker's hands, for the end of a run.
    pub(crate) fn held_by(&self, worker: usize) -> Vec<AttemptId> {
        let held = |process: &WorkerProcess| {
            let held = process.pool.held().into_iter().chain(process.gate.parked());
            held.map(|held| held.attempt).collect()
        };
        self.workers[worker].process.as_ref().map(held).unwrap_or_default()
    }
}
