//! The processes of a worker: starts runners and commands, and ends what they leave behind.

mod command_scratch;
mod event;
mod known;
mod no_runner;
mod token;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use argon_core::Time;
use argon_core::pool::{Blame, Exit, Input, RunnerId, RunnerKind, TemplateKey};
use argon_proto::conversation::child::TaskToken;
use argon_proto::{AttemptId, Payload, Task, WorkerId};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::command::line::CommandLine;
use super::command::{Commands, NotStarted, StartingCommand, on_machine};
use super::config::{WorkerConfig, WorkerError};
use super::process::environment;
use super::process::group::Group;
use super::process::leftovers::{Leftovers, Look};
use super::process::mark::Mark;
use super::process::sandbox::Sandbox;
use super::process::spawn::SpawnError;
use super::process::spawners::{Spawned, Spawners};
use super::process::start::{self, Setting};
use super::process::user::RunAs;
use super::runners::Runners;
use super::runners::runner::{Identity, Runner};
use super::runtime::{Launch, Runtimes};
use super::templates::{Forking, Templates};
use command_scratch::CommandScratch;
pub(crate) use event::ProcessEvent;
use known::Known;
pub(crate) use no_runner::NoRunner;
use no_runner::no_runner;
use token::new_token;

/// Pause before an executable is started again that another process held open.
pub(crate) const BUSY_PAUSE: Duration = Duration::from_millis(1);
/// Starts of such an executable before that counts as a failure.
const BUSY_TRIES: u32 = 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Processes {
    worker: WorkerId,
    pub(crate) runtimes: Runtimes,
    environment: Vec<(OsString, OsString)>,
    /// User of runners, if that is not the worker's.
    user: Option<Arc<RunAs>>,
    /// Number that is added to the nice value of runners.
    nice: u8,
    sandbox: Option<Sandbox>,
    scratches: CommandScratch,
    commands: Commands,
    spawners: Spawners,
    starting: BTreeMap<RunnerId, StartingCommand>,
    /// Runners that are not ready yet, and when the pool has wanted them.
    wanted: BTreeMap<RunnerId, Time>,
    /// Runners whose executable another process held open, and how often it was tried.
    busy: BTreeMap<RunnerId, (RunnerKind, u32)>,
    pub(crate) templates: Templates,
    leftovers: Leftovers,
    /// Marks given so far.
    marks: u32,
    /// Why no process can be started; logged once.
    trouble: Option<String>,
}

impl Processes {
    /// Processes of a worker. `task_socket` is where clients inside of tasks connect; `guardian` starts its guardian.
    ///
    /// # Errors
    /// If an interpreter that was named does not work, or the system refuses something.
    pub(crate) fn new(
        config: &WorkerConfig,
        task_socket: Option<PathBuf>,
        guardian: Option<std::process::Command>,
    ) -> Result<Self, WorkerError> {
        let runtimes = Runtimes::discover(config)?;
        let mut environment = environment::for_runners(config, std::env::vars_os());
        let (user, door) = (config.run_as.as_ref(), task_socket.as_deref());
        let sandbox = config.sandbox.as_ref().map(|sandbox| Sandbox::new(config.id(), sandbox, user, door));
        let sandbox = sandbox.transpose()?;
        environment.extend(task_socket.map(|path| ("ARGON_WORKER_SOCKET".into(), path.into())));
        Ok(Self {
            worker: config.id(),
            runtimes,
            commands: Commands::new(config, &environment)
                .map_err(WorkerError::system("prepare the environment of its runners"))?,
            environment,
            user: config.run_as.clone(),
            nice: config.nice,
            sandbox,
            scratches: CommandScratch::default(),
            spawners: Spawners::new(config.slots),
            starting: BTreeMap::new(),
            wanted: BTreeMap::new(),
            busy: BTreeMap::new(),
            templates: Templates::default(),
            leftovers: Leftovers::watch(config.id(), guardian)?,
            marks: 0,
            trouble: None,
        })
    }

    /// True if nothing is being started.
    pub(crate) fn is_idle(&self) -> bool {
        self.starting.is_empty()
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, mut found: impl FnMut(ProcessEvent)) {
        while let Some(spawned) = self.spawners.poll(cx) {
            found(ProcessEvent::Spawned(spawned));
        }
        while let Some(answer) = self.runtimes.pythons.poll(cx) {
            found(ProcessEvent::PythonsFound(answer));
        }
        while let Some((id, result)) = self.runtimes.environments.poll(cx) {
            found(ProcessEvent::EnvironmentFound(id, result));
        }
        self.templates.poll(cx, |key, event| found(ProcessEvent::Template(key, event)));
        if let Poll::Ready(()) = self.leftovers.poll(cx) {
            found(ProcessEvent::ChildEnded);
        }
    }

    /// Starts a runner. Returns none if another process holds its executable open; it is then started again after
    /// [`BUSY_PAUSE`]: see [`Self::take_busy`].
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start_runner(
        &mut self,
        id: RunnerId,
        kind: RunnerKind,
        launch: &Launch,
    ) -> Result<Option<Runner>, NoRunner> {
        let identity = self
            .new_identity(kind.memory_mib, Some(id))
            .map_err(|error| NoRunner::on_machine(error.to_string()))?;
        let setting = self.setting(launch, &identity);
        let started = start::start(&setting, identity.token, kind.memory_mib);
        if let Err(SpawnError::Program(error)) = &started
            && error.kind() == ErrorKind::ExecutableFileBusy
        {
            // A child of another thread has inherited the file that was written, until it executes a program itself.
            let (_, tries) = self.busy.entry(id).or_insert((kind, 0));
            *tries += 1;
            if *tries < BUSY_TRIES {
                self.leftovers.end_group(identity.group.as_ref());
                return Ok(None);
            }
        }
        self.busy.remove(&id);
        let runner = started.and_then(|started| {
            Runner::new(started, kind, identity.clone(), &launch.preamble).map_err(SpawnError::System)
        });
        if runner.is_err() {
            self.leftovers.end_group(identity.group.as_ref());
        }
        runner.map(Some).map_err(|error| no_runner(kind, launch, &error))
    }

    /// Starts a template.
    ///
    /// # Errors
    /// With a message for people.
    pub(crate) fn start_template(&mut self, key: TemplateKey) -> Result<(), String> {
        let launch = self.runtimes.launch(key).ok_or("this worker does not have that interpreter")?;
        let identity = self.new_identity(0, None).map_err(|error| error.to_string())?;
        let started = start::start_template(&self.setting(&launch, &identity));
        let started = started.map_err(|error| error.to_string())?;
        let pid = started.pid;
        let Identity { mark, group, .. } = identity;
        self.templates.insert(key, started, (mark, group), &launch.preamble).map_err(|error| {
            let _ = killpg(pid, Signal::SIGKILL);
            error.to_string()
        })
    }

    /// Asks a template for a runner.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub(crate) fn fork_runner(
        &mut self,
        key: TemplateKey,
        id: RunnerId,
        kind: RunnerKind,
    ) -> Result<(), NoRunner> {
        let forked = self.new_identity(kind.memory_mib, Some(id)).and_then(|identity| {
            let ruleset = self.ruleset_of_fork(key, &identity)?;
            let (user, ruleset) = (self.user.as_deref(), ruleset.as_ref().map(AsFd::as_fd));
            self.templates.fork(key, id, kind, identity, user, ruleset)
        });
        forked.map_err(|error| NoRunner::on_machine(error.to_string()))
    }

    /// Ruleset that restricts a forked runner, in a sandbox.
    fn ruleset_of_fork(&self, key: TemplateKey, identity: &Identity) -> io::Result<Option<OwnedFd>> {
        let (Some(sandbox), Some(scratch)) = (&self.sandbox, &identity.scratch) else {
            return Ok(None);
        };
        let named = self.runtimes.launch(key).map(|launch| launch.program).unwrap_or_default();
        let path = start::path_of(&self.environment);
        let named = start::in_path(named.as_os_str(), path, None, self.user.as_deref())?;
        // The name may be that of a script which has started another program.
        let real = self.templates.program(key)?;
        sandbox.ruleset(scratch, &[&named, &real]).map(Some)
    }

    /// A template has forked a runner, or could not.
    ///
    /// # Errors
    /// If the runner cannot be used.
    pub(crate) fn on_forked(&mut self, forking: Forking, pid: io::Result<Pid>) -> Result<Runner, NoRunner> {
        let (kind, identity) = (forking.kind, forking.identity.clone());
        let is_moved = self.user.is_some() || self.sandbox.is_some();
        let started = pid.and_then(|pid| forking.started(pid, self.user.as_deref(), is_moved));
        let runner = started.and_then(|started| Runner::new(started, kind, identity.clone(), &[]));
        runner.map_err(|error| {
            self.leftovers.end_group(identity.group.as_ref());
            NoRunner::on_machine(format!("it could not be forked: {error}"))
        })
    }

    /// The runners to start again.
    pub(crate) fn busy(&self) -> Vec<(RunnerId, RunnerKind)> {
        self.busy.iter().map(|(id, (kind, _))| (*id, *kind)).collect()
    }

    /// Starts a command. Returns what the pool is told if it cannot be started.
    /// `base` are its base files.
    pub(crate) fn start_command(
        &mut self,
        now: Time,
        id: RunnerId,
        task: &Task,
        base: Option<Payload>,
    ) -> Option<Input> {
        let shield = self.leftovers.shield();
        let planned = CommandLine::of(task)
            .map(|line| line.with_base(base))
            .map_err(|why| NotStarted::Command(None, why))
            .and_then(|line| Ok((self.identity_of_command(task, id, &line).map_err(on_machine)?, line)))
            .and_then(|(identity, line)| {
                self.commands.plan(now, task, identity, shield, self.sandbox.as_ref(), line)
            });
        match planned {
            Ok((starting, plan)) => {
                self.starting.insert(id, starting);
                self.spawners.start(id, plan);
                None
            }
            Err(why) => Some(self.not_started(id, why)),
        }
    }

    /// A command was started, or could not be. Returns none for one that nobody waits for.
    pub(crate) fn on_spawned(&mut self, spawned: Spawned) -> Option<Result<(RunnerId, Runner), Input>> {
        let Spawned { runner: id, result } = spawned;
        let starting = self.starting.remove(&id)?;
        let group = starting.identity.group.clone();
        let started = match result {
            Ok(process) => starting.started(process),
            Err(error) => Err(self.commands.why_not(error, &starting)),
        };
        if started.is_err() {
            self.leftovers.end_group(group.as_ref());
        }
        Some(started.map(|runner| (id, runner)).map_err(|why| self.not_started(id, why)))
    }

    /// The attempt of the command that is being started with this token.
    pub(crate) fn starting_attempt(&self, token: TaskToken) -> Option<AttemptId> {
        self.starting.values().find_map(|starting| starting.attempt_of(token))
    }

    /// Signals a command as soon as its process is there.
    pub(crate) fn signal_starting(&mut self, id: RunnerId, signal: Signal) {
        if let Some(starting) = self.starting.get_mut(&id) {
            starting.signal = Some(signal);
        }
    }

    /// Kills templates, and commands as soon as their processes are there.
    pub(crate) fn kill_all(&mut self) {
        self.templates.kill_all();
        self.starting.values_mut().for_each(|starting| starting.signal = Some(Signal::SIGKILL));
    }

    fn not_started(&mut self, id: RunnerId, why: NotStarted) -> Input {
        match why {
            NotStarted::Command(code, why) => {
                let exit = Exit { code, complaint: Some(why), ..Exit::default() };
                Input::RunnerGone { runner: id, exit }
            }
            NotStarted::Machine(why) => {
                self.report_trouble(format!("no command can be started: {why}"));
                Input::SpawnFailed { runner: id, why, blame: Blame::Machine }
            }
        }
    }

    /// Logs why processes do not start, once for each reason.
    pub(crate) fn report_trouble(&mut self, trouble: String) {
        if self.trouble.as_ref() != Some(&trouble) {
            tracing::warn!("{trouble}; it is tried again");
            self.trouble = Some(trouble);
        }
    }

    /// The pool wants a runner.
    pub(crate) fn wants(&mut self, id: RunnerId, now: Time) {
        self.wanted.entry(id).or_insert(now);
    }

    /// A runner can take tasks. Returns when the pool has wanted it.
    pub(crate) fn on_runner_ready(&mut self, id: RunnerId) -> Option<Time> {
        self.on_recovery();
        self.wanted.remove(&id)
    }

    /// A runner was not started, or is gone.
    pub(crate) fn forget(&mut self, id: RunnerId) {
        self.wanted.remove(&id);
    }

    /// A process has come up.
    pub(crate) fn on_recovery(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!("runners start again");
        }
    }

    /// Ends what runners that are gone, and tasks that have ended, have left behind; wakes what somebody has stopped.
    pub(crate) fn look_for_leftovers(&mut self, now: Time, runners: &Runners) -> Look {
        let idle = runners.all().filter(|runner| runner.is_idle()).map(|runner| runner.pid);
        Leftovers::wake(self.templates.pids().chain(idle));
        let Self { leftovers, templates, starting, .. } = self;
        leftovers.look(&Known { now, runners, templates, starting })
    }

    /// The process of a group has ended: so does everything else in it.
    pub(crate) fn end_group(&mut self, group: Option<&Arc<Group>>) {
        self.leftovers.end_group(group);
    }

    /// Ends what is left of any runner, within reason.
    pub(crate) async fn end_all(&mut self, now: Time, runners: &mut Runners) {
        runners.clear();
        self.templates.clear();
        self.starting.clear();
        let Self { leftovers, templates, starting, .. } = self;
        leftovers.end_all(&Known { now, runners, templates, starting }).await;
    }

    fn setting<'a>(&'a self, launch: &'a Launch, identity: &Identity) -> Setting<'a> {
        let Identity { mark, group, scratch, .. } = identity.clone();
        let (shield, user, sandbox) = (self.leftovers.shield(), self.user.clone(), self.sandbox.as_ref());
        let (environment, nice) = (&self.environment, self.nice);
        Setting { launch, environment, mark, group, shield, user, sandbox, scratch, nice }
    }

    /// One with files has a scratch folder.
    fn identity_of_command(&mut self, task: &Task, id: RunnerId, line: &CommandLine) -> io::Result<Identity> {
        // The limit of a command's memory is that of its process, and of its group.
        let mut identity = self.new_identity(task.head.memory_mib, Some(id))?;
        if line.files.is_some() && identity.scratch.is_none() {
            identity.scratch = Some(self.scratches.of(self.worker, self.user.as_ref(), id)?);
        }
        Ok(identity)
    }

    /// For a process that is started next, for a runner or as a template.
    fn new_identity(&mut self, memory_mib: u32, runner: Option<RunnerId>) -> io::Result<Identity> {
        let scratch = self.sandbox.as_ref().zip(runner).map(|(sandbox, id)| sandbox.scratch(id.0));
        let scratch = scratch.transpose()?;
        let token = new_token()?;
        self.marks = Mark::serial_after(self.marks);
        let mark = Mark::new(self.worker, self.marks);
        Ok(Identity { mark, token, group: self.leftovers.group(mark, memory_mib), scratch })
    }
}
