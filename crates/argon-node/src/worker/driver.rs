//! The worker's loop: waits until something happened, tells the pool one fact at a time, then writes everything at once.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use argon_core::gate::WorkerGate;
use argon_core::outcome_batch::OutcomeBatch;
use argon_core::pool::{Effect, Input, Pool, PoolCounts, RunnerId, Settings};
use argon_core::{Machine, Time};
use argon_proto::conversation::worker::FromWorker;
use argon_proto::conversation::{Goodbye, Output};
use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;
use tokio::time::Sleep;

use crate::signals::{StopLevel, StopSignal};

use super::cache::answers::Answers;
use super::cache::executables::Executables;
use super::command::{Starting, Surroundings};
use super::drain::Drain;
use super::process::environment;
use super::process::guardian::Guardian;
use super::process::mark::Mark;
use super::process::spawners::{Spawned, Spawners};
use super::process::sweep::Children;
use super::runners::runner::{Found, Runner};
use super::runtime::Runtimes;
use super::{Link, LinkEvent, WorkerConfig, WorkerError};

/// Between TERM and KILL (`spec/runner.md`, section 2).
const TERM_GRACE: Duration = Duration::from_secs(2);
/// A manager takes a worker for dead after so much silence, so after as much a worker takes itself for dead.
const LEASE: Duration = Duration::from_secs(15);
/// Outcomes that wait for the manager hold at most so much memory before no more tasks are started.
const UNSETTLED_BYTES: u64 = 256 << 20;
/// What the manager said, taken in one go at most.
const MAIL_MAX: usize = 512;
/// Room for one read of a socket or pipe.
const SCRATCH_BYTES: usize = 256 << 10;
/// Nothing is due: look again then.
const IDLE: Duration = Duration::from_secs(3600);
/// Runners that were killed are gone by then, or the kernel has a problem.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);

/// Everything that a worker holds beside its pool.
pub(super) struct Driver {
    pub(super) config: WorkerConfig,
    pub(super) runtimes: Runtimes,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) surroundings: Surroundings,
    pub(super) pool: Pool,
    pub(super) runners: BTreeMap<RunnerId, Runner>,
    /// Commands that are not there yet.
    pub(super) starting: BTreeMap<RunnerId, Starting>,
    pub(super) spawners: Spawners,
    spawned: Vec<Spawned>,
    /// Runners started so far.
    pub(super) serial: u32,
    /// Why runners do not start, if they do not; said once.
    pub(super) trouble: Option<String>,
    pub(super) gate: WorkerGate,
    pub(super) executables: Executables,
    pub(super) answers: Answers,
    pub(super) is_linked: bool,
    /// There may be blobs that the manager has to be asked for.
    pub(super) has_questions: bool,
    pub(super) batch: OutcomeBatch,
    /// Output that waits for a manager.
    pub(super) unsent_output: Vec<Output>,
    pub(super) inputs: VecDeque<Input>,
    pub(super) now: Time,
    /// When the worker stops waiting for its runners; set once it leaves.
    pub(super) leave_until: Option<Time>,
    pub(super) link: Link,
    pub(super) scratch: Vec<u8>,
    effects: Vec<Effect>,
    mail: Vec<LinkEvent>,
    found: Vec<(RunnerId, Found)>,
    begun: Instant,
    timer: Pin<Box<Sleep>>,
    timer_at: Time,
    pub(super) children: unix::Signal,
    pub(super) have_children_changed: bool,
    pub(super) leftovers: usize,
    pub(super) own_children: Children,
    pub(super) have_pythons_changed: bool,
    stops: mpsc::UnboundedReceiver<StopLevel>,
    stop_asked: Option<StopLevel>,
    pub(super) drain: Option<Drain>,
    pub(super) guardian: Option<Guardian>,
}

impl Driver {
    pub(super) fn new(
        config: WorkerConfig,
        link: Link,
        stop: StopSignal,
        guardian: Option<Command>,
    ) -> Result<Self, WorkerError> {
        let runtimes = Runtimes::discover(&config)?;
        nix::sys::prctl::set_child_subreaper(true)
            .map_err(|error| system("become the parent of its orphans", error.into()))?;
        let children =
            unix::signal(SignalKind::child()).map_err(|error| system("hear of children", error))?;
        let mark = Mark::new(config.id, 0);
        let begun = Instant::now();
        let environment = environment::for_runners(&config, std::env::vars_os());
        let settings = Settings {
            name: config.name.clone(),
            host: config.host.clone(),
            slots: config.slots,
            runtimes: runtimes.offered(),
            pythons: runtimes.pythons.found().iter().map(|python| python.version).collect(),
            max_requests: config.max_requests,
            default_timeout_ms: config.default_timeout_ms,
            term_grace: TERM_GRACE,
            lease: LEASE,
            unsettled_bytes: UNSETTLED_BYTES,
        };
        Ok(Self {
            surroundings: Surroundings::new(&environment)
                .map_err(|error| system("prepare what its runners find", error))?,
            environment,
            runtimes,
            pool: Pool::new(Time(0), settings),
            runners: BTreeMap::new(),
            starting: BTreeMap::new(),
            spawners: Spawners::new(config.slots),
            spawned: Vec::new(),
            serial: 0,
            trouble: None,
            gate: WorkerGate::default(),
            executables: Executables::new(&config.id.to_string()),
            answers: Answers::default(),
            is_linked: false,
            has_questions: false,
            batch: OutcomeBatch::default(),
            unsent_output: Vec::new(),
            inputs: VecDeque::new(),
            now: Time(0),
            leave_until: None,
            link,
            scratch: vec![0; SCRATCH_BYTES],
            effects: Vec::new(),
            mail: Vec::with_capacity(MAIL_MAX),
            found: Vec::new(),
            begun,
            timer: Box::pin(tokio::time::sleep(IDLE)),
            timer_at: Time(0) + IDLE,
            children,
            have_children_changed: false,
            leftovers: 0,
            own_children: Children::default(),
            have_pythons_changed: false,
            stops: levels_of(stop),
            stop_asked: None,
            drain: None,
            guardian: guardian.map(|command| Guardian::start(command, mark)),
            config,
        })
    }

    /// Runs until the worker has left.
    pub(super) async fn run(mut self) {
        self.step(Input::Started);
        while !self.has_left() {
            self.flush();
            self.set_timer();
            self.let_outcomes_gather().await;
            poll_fn(|cx| self.poll(cx)).await;
            self.now = Time(u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX));
            self.on_mail();
            self.on_found();
            std::mem::take(&mut self.spawned).into_iter().for_each(|spawned| self.on_spawned(spawned));
            self.on_pythons();
            self.on_children();
            self.on_stop_asked();
            self.on_time();
        }
        self.end_leftovers().await;
    }

    /// Tells the pool one fact and carries out what it wants.
    pub(super) fn step(&mut self, input: Input) {
        self.inputs.push_back(input);
        self.step_queued();
    }

    pub(super) fn step_queued(&mut self) {
        while let Some(input) = self.inputs.pop_front() {
            let mut effects = std::mem::take(&mut self.effects);
            self.pool.step(self.now, input, &mut effects);
            effects.drain(..).for_each(|effect| self.carry_out(effect));
            self.effects = effects;
        }
    }

    /// Ends everything at once. The manager is told first, so that it takes the tasks for lost with their worker, not for
    /// dead by their own fault.
    pub(super) fn end_at_once(&mut self, reason: &str) {
        if self.leave_until.is_some() {
            return self.kill_runners();
        }
        tracing::info!("the worker ends: {reason}");
        self.say_goodbye(reason);
        self.step(Input::ManagerLost);
        self.kill_runners();
    }

    /// The last word to the manager.
    pub(super) fn say_goodbye(&mut self, reason: &str) {
        self.leave_until = Some(self.now + LEAVE_LIMIT);
        self.tell(FromWorker::Goodbye(Goodbye::because(reason)));
        self.is_linked = false;
    }

    pub(super) fn kill_runners(&self) {
        self.runners.values().for_each(|runner| runner.signal(Signal::SIGKILL));
    }

    fn has_left(&self) -> bool {
        let is_empty = self.runners.is_empty() && self.starting.is_empty();
        self.leave_until.is_some_and(|until| until <= self.now || is_empty)
    }

    fn flush(&mut self) {
        self.ask_what_is_due();
        self.tell_what_is_due();
        self.runners.values_mut().for_each(Runner::flush);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut is_ready = self.poll_link(cx);
        while let Poll::Ready(Some(level)) = self.stops.poll_recv(cx) {
            self.stop_asked = Some(level);
            is_ready = true;
        }
        while let Poll::Ready(Some(())) = self.children.poll_recv(cx) {
            self.have_children_changed = true;
            is_ready = true;
        }
        if self.runtimes.pythons.poll(cx) {
            self.have_pythons_changed = true;
            is_ready = true;
        }
        while let Some(spawned) = self.spawners.poll(cx) {
            self.spawned.push(spawned);
            is_ready = true;
        }
        for (id, runner) in &mut self.runners {
            runner.poll(cx, &mut self.scratch, |found| self.found.push((*id, found)));
        }
        is_ready |= !self.found.is_empty();
        is_ready |= self.timer.as_mut().poll(cx).is_ready();
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_link(&mut self, cx: &mut Context<'_>) -> bool {
        if self.leave_until.is_some() {
            return false;
        }
        match self.link.events.poll_recv_many(cx, &mut self.mail, MAIL_MAX) {
            Poll::Pending => false,
            Poll::Ready(0) => {
                self.stop_asked = Some(StopLevel::End);
                true
            }
            Poll::Ready(_) => true,
        }
    }

    fn on_mail(&mut self) {
        if self.mail.iter().any(|event| matches!(event, LinkEvent::Message(_) | LinkEvent::Heard)) {
            self.step(Input::ManagerHeard);
        }
        let mut mail = std::mem::take(&mut self.mail);
        mail.drain(..).for_each(|event| self.on_link_event(event));
        self.mail = mail;
    }

    fn on_found(&mut self) {
        let mut found = std::mem::take(&mut self.found);
        for (id, what) in found.drain(..) {
            match what {
                Found::Said => self.on_runner_said(id),
                Found::Closed => self.on_runner_closed(id),
                Found::Printed(writer, fd, bytes) => self.on_printed(id, writer, fd, bytes),
                Found::Hungry(ask, question) => self.on_ask(id, ask, question),
                Found::Ended => self.on_runner_ended(id),
            }
        }
        self.found = found;
    }

    fn on_stop_asked(&mut self) {
        match self.stop_asked.take() {
            None | Some(StopLevel::Run) => {}
            Some(StopLevel::Drain) => self.drain("it was told to stop", Some(self.config.drain_limit)),
            Some(StopLevel::End) => self.end_at_once("the worker was told to end at once"),
        }
    }

    fn on_time(&mut self) {
        self.remove_cold_executables();
        if self.leave_until.is_none() {
            if self.pool.next_deadline().is_some_and(|at| at <= self.now) {
                self.step(Input::TimePassed);
            }
            if self.drain_until().is_some_and(|at| at <= self.now) {
                let PoolCounts { running, unsettled, .. } = self.pool.counts();
                self.end_at_once(match unsettled {
                    1.. if running == 0 => "no manager took the outcomes of its last tasks in time",
                    _ => "its tasks took too long to finish",
                });
            }
        }
        if self.answers.next_deadline().is_some_and(|at| at <= self.now) {
            let pool = &self.pool;
            self.answers
                .drop_idle(self.now, |session| pool.tasks().any(|task| task.head.id.session == session));
        }
        let now = self.now;
        let overdue: Vec<_> =
            self.runners.iter_mut().filter_map(|(id, runner)| Some((*id, runner.overdue(now)?))).collect();
        overdue.into_iter().for_each(|(id, complaint)| self.complain(id, complaint.to_owned()));
    }

    /// Sets the timer to what comes next. It is moved forward only, since it costs nothing when it wakes us in vain.
    fn set_timer(&mut self) {
        let own = if self.leave_until.is_some() { None } else { self.pool.next_deadline() };
        let runners = self.runners.values().filter_map(|runner| runner.deadline.map(|(at, _)| at));
        let next = runners
            .chain(own)
            .chain(self.drain_until())
            .chain(self.leave_until)
            .chain(self.batch.next_deadline())
            .chain(self.answers.next_deadline())
            .min();
        // Whatever was due has been done: what still is due can only be tried again.
        let next = next.unwrap_or(self.now + IDLE).max(self.now + Duration::from_millis(1));
        if next < self.timer_at || self.timer_at <= self.now {
            self.timer_at = next;
            self.timer.as_mut().reset((self.begun + Duration::from_micros(next.0)).into());
        }
    }
}

/// The levels of a stop signal as a channel that can be polled.
fn levels_of(mut stop: StopSignal) -> mpsc::UnboundedReceiver<StopLevel> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let level = *stop.borrow_and_update();
            let is_over = sender.send(level).is_err();
            if is_over || stop.changed().await.is_err() {
                return;
            }
        }
    });
    receiver
}

fn system(what: &'static str, source: std::io::Error) -> WorkerError {
    WorkerError::System { what, source }
}
