//! The worker's loop: waits for events, turns each into facts for the pool, carries out what the pool decides, and writes
//! everything at once.

mod effects;
mod from_manager;
mod from_runner;
mod from_task_client;
mod from_template;
mod pausing;

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use argon_core::pool::{Input, Pool, PoolCounts, RunnerId, Settings};
use argon_core::{Machine, Time};
use argon_proto::conversation::worker::{FromWorker, RunnersReport};

use super::cache::Cache;
use super::config::{WorkerConfig, WorkerError};
use super::pool_queue::PoolQueue;
use super::process::leftovers::Look;
use super::processes::{ProcessEvent, Processes};
use super::runners::Runners;
use super::runners::runner::RunnerEvent;
use super::status_report::StatusReport;
use super::stop::Stop;
use super::task_clients::{TaskClientEvent, TaskClients};
use super::templates;
use super::timers::{Timer, Timers};
use super::uplink::{LinkEvent, LinkRead, ManagerChannel, Uplink};
use crate::signals::{StopLevel, StopSignal};

/// Time between TERM and KILL (`spec/runner.md`, section 2).
const TERM_GRACE: Duration = Duration::from_secs(2);
/// A manager declares a worker dead after this silence, so after the same silence a worker starts nothing.
const LEASE: Duration = Duration::from_secs(15);
/// Memory of outcomes that wait for the manager, before no more tasks are started. The manager leaves less than that
/// here: see `Limits::kept_bytes`.
const UNSETTLED_BYTES: u64 = 384 << 20;
/// Time after the end of a task until processes that it has left behind are looked for.
const LEFTOVERS_AFTER: Duration = Duration::from_millis(300);

/// See the module.
pub(crate) struct WorkerLoop {
    config: WorkerConfig,
    pool: PoolQueue,
    runners: Runners,
    processes: Processes,
    cache: Cache,
    uplink: Uplink,
    task_clients: TaskClients,
    status: StatusReport,
    /// Why nothing further starts, if the machine has too little left.
    paused: Option<String>,
    timers: Timers,
    stop: Stop,
}

/// Event of the loop.
enum Event {
    ManagerHeard,
    Link(LinkEvent),
    Runner(RunnerId, RunnerEvent),
    Process(ProcessEvent),
    TaskClient(TaskClientEvent),
    Stop(StopLevel),
    Timer(Timer),
}

impl WorkerLoop {
    pub(crate) fn new(
        config: WorkerConfig,
        link: ManagerChannel,
        stop: StopSignal,
        guardian: Option<std::process::Command>,
    ) -> Result<Self, WorkerError> {
        let task_clients = TaskClients::open(&config);
        let processes = Processes::new(&config, task_clients.socket(), guardian)?;
        Ok(Self {
            pool: PoolQueue::new(Pool::new(Time(0), settings(&config, &processes))),
            runners: Runners::new(),
            processes,
            cache: Cache::new(&config),
            uplink: Uplink::new(link),
            task_clients,
            status: StatusReport::default(),
            paused: None,
            timers: Timers::new(),
            stop: Stop::new(stop, config.drain_limit),
            config,
        })
    }

    /// Runs until the worker has left.
    pub(crate) async fn run(mut self) {
        let mut events = Vec::new();
        self.pool.push(Input::Started);
        self.carry_out_all();
        self.look_at_machine();
        while !self.stop.is_over(self.timers.now(), self.runners.is_empty() && self.processes.is_idle()) {
            self.write_all();
            self.set_timers();
            let supplied_for = || self.pool.supplied_for();
            self.uplink.let_outcomes_gather(self.timers.now(), supplied_for).await;
            poll_fn(|cx| self.poll(cx, &mut events)).await;
            self.timers.tick();
            events.drain(..).for_each(|event| self.handle_event(event));
            while let Some(timer) = self.timers.take_due() {
                self.handle_event(Event::Timer(timer));
            }
        }
        self.processes.end_all(self.timers.now(), &mut self.runners).await;
    }

    /// Ready when something has happened; finds all that has.
    fn poll(&mut self, cx: &mut Context<'_>, events: &mut Vec<Event>) -> Poll<()> {
        match self.uplink.poll(cx) {
            Poll::Ready(LinkRead::Events { heard }) => {
                events.extend(heard.then_some(Event::ManagerHeard));
                events.extend(self.uplink.received().map(Event::Link));
            }
            Poll::Ready(LinkRead::Closed) => events.push(Event::Stop(StopLevel::End)),
            Poll::Pending => {}
        }
        self.runners.poll(cx, |id, event| events.push(Event::Runner(id, event)));
        self.processes.poll(cx, |event| events.push(Event::Process(event)));
        while let Poll::Ready(event) = self.task_clients.poll(cx) {
            events.push(Event::TaskClient(event));
        }
        while let Poll::Ready(level) = self.stop.poll(cx) {
            events.push(Event::Stop(level));
        }
        let is_due = self.timers.poll(cx).is_ready();
        if is_due || !events.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::ManagerHeard => self.pool.push(Input::ManagerHeard),
            Event::Link(event) => self.on_link(event),
            Event::Runner(id, event) => {
                self.status.touch(self.timers.now());
                self.on_runner(id, event);
            }
            Event::Process(ProcessEvent::Spawned(spawned)) => self.on_spawned(spawned),
            Event::Process(ProcessEvent::ChildEnded) => self.look_for_leftovers(),
            Event::Process(ProcessEvent::Template(key, event)) => {
                self.status.touch(self.timers.now());
                self.on_template(key, event);
            }
            Event::Process(ProcessEvent::PythonsFound(answer)) => self.on_pythons_found(answer),
            Event::Process(ProcessEvent::EnvironmentFound(id, found)) => {
                self.status.touch(self.timers.now());
                self.pool.push(Input::EnvironmentFound { id, found });
            }
            Event::TaskClient(event) => self.on_task_client(event),
            Event::Stop(StopLevel::Run) => {}
            Event::Stop(StopLevel::Drain) => {
                self.drain("it was told to stop", Some(self.stop.drain_limit()));
            }
            Event::Stop(StopLevel::End) => self.end_at_once("the worker was told to end at once"),
            Event::Timer(timer) => self.on_timer(timer),
        }
        self.carry_out_all();
    }

    fn on_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Pool => self.pool.push(Input::TimePassed),
            // Written at the end of the round.
            Timer::Outcomes | Timer::Leave => {}
            Timer::Leftovers => {
                self.runners.read_meters(self.timers.now());
                self.look_for_leftovers();
            }
            Timer::Cache => self.cache.on_time(self.timers.now(), || self.pool.tasks()),
            Timer::Status => {
                self.measure_runners();
                let installing = self.processes.runtimes.environments.installing();
                let report = RunnersReport { installing, ..self.pool.runners_report() };
                let news = self.status.take_news(report);
                if let Some(report) = news.filter(|_| self.uplink.is_registered()) {
                    self.send(FromWorker::Runners(report));
                }
            }
            Timer::Machine => self.look_at_machine(),
            Timer::BusyFiles => {
                self.processes.busy().into_iter().for_each(|(id, kind)| self.spawn(id, kind));
            }
            Timer::Drain => {
                let PoolCounts { running, unsettled, .. } = self.pool.counts();
                self.end_at_once(match unsettled {
                    1.. if running == 0 => "no manager took the outcomes of its last tasks in time",
                    _ => "its tasks took too long to finish",
                });
            }
            Timer::Template(key) => {
                let complaint = "it did not send READY within 30 s".to_owned();
                self.processes.templates.kill_for(key, complaint);
            }
            Timer::Runner(id) => {
                if let Some(runner) = self.runners.get_mut(id) {
                    runner.kill_for(runner.when_overdue.to_owned());
                }
            }
        }
    }

    /// Ends what tasks have left behind.
    fn look_for_leftovers(&mut self) {
        let Look { ending, again } = self.processes.look_for_leftovers(self.timers.now(), &self.runners);
        self.runners.end_idle(&ending);
        match again {
            Some(pause) => self.timers.set_after(Timer::Leftovers, pause),
            None => self.timers.stop(Timer::Leftovers),
        }
    }

    /// A task has ended: soon something looks for what it has left.
    fn expect_leftovers(&mut self) {
        self.timers.set_unless_set(Timer::Leftovers, LEFTOVERS_AFTER);
    }

    /// Measures idle runners if there are many.
    fn measure_runners(&mut self) {
        if self.pool.counts().idle > self.config.slots {
            let measured = self.runners.measure_idle();
            self.tell_pool(Input::RunnerMemory(measured));
        }
    }

    fn write_all(&mut self) {
        if self.uplink.is_registered() && !self.uplink.has_unread() {
            let wanted = self.cache.take_wanted_blobs(self.timers.now(), self.runners.wanted_blobs());
            self.ask_for_blobs(wanted);
        }
        self.uplink.flush(self.timers.now(), || self.pool.supply());
        self.runners.flush();
    }

    fn set_timers(&mut self) {
        if !self.stop.is_leaving() {
            self.timers.follow(Timer::Pool, self.pool.next_deadline());
        }
        self.timers.follow(Timer::Outcomes, self.uplink.next_deadline());
        self.timers.follow(Timer::Cache, self.cache.next_deadline());
        self.timers.follow(Timer::Status, self.status.next_deadline());
    }

    fn send(&mut self, message: FromWorker) {
        self.uplink.send(self.timers.now(), message);
    }
}

fn settings(config: &WorkerConfig, processes: &Processes) -> Settings {
    Settings {
        name: config.name.clone(),
        host: config.host.clone(),
        slots: config.slots,
        runtimes: processes.runtimes.offered(),
        pythons: processes.runtimes.pythons.versions(),
        max_requests: config.max_requests,
        default_timeout_ms: config.default_timeout_ms,
        term_grace: TERM_GRACE,
        lease: LEASE,
        unsettled_bytes: UNSETTLED_BYTES,
        has_templates: config.has_templates && templates::ARE_POSSIBLE,
        runners_max: config.runners_max,
        runner_memory: config.runner_memory,
        waiting_max: config.waiting_max,
    }
}
