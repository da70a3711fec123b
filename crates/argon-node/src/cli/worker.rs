//! `argon worker`: a pool of processes, for a manager or stand-alone.

use argon_net::key_file::KeySource;
use std::rc::Rc;

use argon_net::{Trust, listen, random};
use argon_proto::Secret;
use argon_proto::key::Role;
use clap::{Arg, Args};
use tokio::sync::{mpsc, watch};

use super::isolation::Isolation;
use super::options::{
    AuthorityOption, DoorOptions, KeyOption, LogOption, PoolOptions, cluster_key, parse_address, start_log,
};
use super::quantity::millis;
use crate::exit::{Failure, FailureKind};
use crate::key_file::{self, Found};
use crate::local_managers;
use crate::memory;
use crate::newcomer;
use crate::ready;
use crate::signals::{self, StopLevel};
use crate::standalone;
use crate::worker::{self, LinkEnd, ManagerAccess, ManagerChannel, WorkerConfig, machine};

/// Run tasks in a managed pool of processes.
#[derive(Debug, Args)]
#[command(mut_arg("host", |host| host.help(
    "Address to listen on [default: 127.0.0.1]; with --manager the machine in the worker's name [default: its hostname]",
)))]
#[command(mut_arg("port", |port| port.help("Port to listen on, 0 for any free one; with --manager the number in the worker's name")))]
#[command(mut_arg("insecure_plaintext", |plain| plain.help(
    "Speak without encryption to a manager on another machine; without --manager, let other machines connect so",
)))]
#[command(mut_args(only_alone))]
#[command(after_help = "\
Examples:
  argon worker --port 8001 --host workerhost --manager somehost:8000
  argon worker --manager somehost:8000 --slots 8
  argon worker --manager first:8000,second:8000    the second is tried when the first is away
  argon worker --manager somehost:8000 --run-as tasks    as root: tasks get the user 'tasks'
  argon worker --manager somehost:8000 --sandbox --sandbox-read /srv/data    tasks read /srv/data, and no home
  argon worker --manager somehost:8000 --memfree 2G --load 80% --nice 10    leaves room for other work
  argon worker --port 8000                         stand-alone: clients call it directly

With --manager nothing is listened on: host and port are the worker's name. It stays with its
manager for ever, and comes back by itself after any loss. A machine without a key shows a code of
six digits and waits until 'argon approve CODE' on the manager's machine lets it in; the key is
written then, and the next start needs no code. When the worker is ready it prints one line:
  argon-ready role=worker name=HOST:PORT manager=HOST:PORT pid=N version=V slots=N
SIGTERM or Ctrl-C lets it finish what it runs (see --drain-limit); a second ends it at once.")]
pub(super) struct WorkerArguments {
    /// Serve this manager; may be repeated or hold a list, of which the first that answers is served
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', value_parser = parse_address)]
    manager: Vec<String>,
    #[command(flatten)]
    door: DoorOptions,
    #[command(flatten)]
    pool: PoolOptions,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    authority: AuthorityOption,
    #[command(flatten)]
    log: LogOption,
}

/// The options of a manager mean something only to the one inside of a stand-alone worker.
fn only_alone(option: Arg) -> Arg {
    match option.get_id().as_str() {
        "queue_size" | "session_grace" | "result_ttl" | "tls_cert" | "tls_key" | "store" => {
            option.help_heading("Stand-alone, without --manager").conflicts_with("manager")
        }
        _ => option,
    }
}

pub(super) fn run(arguments: WorkerArguments) -> Result<(), Failure> {
    memory::close_to_others();
    start_log(&arguments.log);
    memory::keep_some();
    super::block_on(async move {
        if arguments.manager.is_empty() {
            serve_alone("worker", &arguments.door, &arguments.pool, &arguments.key, EndedBy::Signals).await
        } else {
            serve_manager(arguments).await
        }
    })
}

async fn serve_manager(arguments: WorkerArguments) -> Result<(), Failure> {
    let WorkerArguments { manager: managers, door, pool, key, authority, .. } = arguments;
    // Nobody lets a worker in that cannot start.
    pool.isolation.find()?;
    let trust = authority.trust(door.insecure_plaintext)?;
    let key = match key_file::find_if_there(key.key.as_deref(), Role::Worker)? {
        Some(found) => found,
        None => match paired(&managers, &trust).await? {
            Some(found) => found,
            // It was asked to end before it was let in.
            None => return Ok(()),
        },
    };
    serve(Served { managers, host: door.host, port: door.port, trust, key }, &pool).await
}

/// The key of a machine that had none; `None` after SIGTERM or Ctrl-C.
async fn paired(managers: &[String], trust: &Trust) -> Result<Option<Found>, Failure> {
    let path = key_file::place_for(None, Role::Worker)?;
    let mut stop = signals::watch_stop()?;
    let key = tokio::select! {
        key = newcomer::pair_worker(managers, trust) => key?,
        () = signals::stopped(&mut stop, StopLevel::Drain) => return Ok(None),
    };
    newcomer::keep(&path, &key, Role::Worker)?;
    Ok(Some(Found { key, source: path.display().to_string(), is_new: true }))
}

/// A worker that has all it needs to reach its managers.
pub(super) struct Served {
    pub(super) managers: Vec<String>,
    /// The machine in its name [default: this one].
    pub(super) host: Option<String>,
    /// The number in its name; 0 for that of the process.
    pub(super) port: u16,
    pub(super) trust: Trust,
    pub(super) key: Found,
}

/// Runs a worker until it is asked to end.
pub(super) async fn serve(served: Served, pool: &PoolOptions) -> Result<(), Failure> {
    let Served { managers, host, port, trust, key: found } = served;
    let stop = signals::watch_stop()?;
    let isolation = pool.isolation.find()?;
    // 127.0.0.1 would be the name of every machine's worker.
    let machine = host.unwrap_or_else(machine::host_name);
    let name = match port {
        0 => format!("{machine}:pid{}", std::process::id()),
        port => format!("{machine}:{port}"),
    };
    let (current, address) = watch::channel(None);
    let access = ManagerAccess { key: Rc::new(KeySource::of(&found)), trust: trust.clone(), address };
    let config = pool_config(name, access, pool, isolation.with_key(&found.source)?)?;
    let (events, incoming) = mpsc::unbounded_channel();
    let (outbox, outgoing) = mpsc::unbounded_channel();
    let facts = config.clone();
    let announce = move |manager: &str| {
        ready::announce(&[
            ("role", "worker"),
            ("name", &facts.name),
            ("manager", manager),
            ("pid", &std::process::id().to_string()),
            ("version", env!("CARGO_PKG_VERSION")),
            ("slots", &facts.slots.to_string()),
        ]);
    };
    let end = LinkEnd { events, outbox: outgoing, current };
    let keeping =
        worker::keep_link(managers, (KeySource::of(&found), trust), config.id(), end, stop.clone(), announce);
    let link = ManagerChannel { events: incoming, outbox };
    // The link ends when the worker has dropped its end and its last words are written.
    let (ended, ()) = tokio::join!(worker::run(config, link, stop), keeping);
    Ok(ended?)
}

/// Reason for the end of a pool of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndedBy {
    /// Signals.
    Signals,
    /// Signals, and the end of standard input: it belongs to the program that holds the other end.
    Input,
}

/// A manager and a pool in one process, joined in memory: a stand-alone worker, and `argon up`.
pub(super) async fn serve_alone(
    role: &str,
    door: &DoorOptions,
    pool: &PoolOptions,
    key: &KeyOption,
    ended_by: EndedBy,
) -> Result<(), Failure> {
    // A peer that reaches the port finds the key, and a signal that ends this process is handled.
    let stop = match ended_by {
        EndedBy::Signals => signals::watch_stop()?,
        EndedBy::Input => signals::watch_stop_and_input()?,
    };
    let isolation = pool.isolation.find()?;
    let bound = listen::bind(door.address(), door.port).await?;
    let found = key_file::find_or_make(key.key.as_deref())?;
    if found.is_new {
        tracing::info!("made the cluster key: {}", found.source);
    }
    let address = bound.address();
    let source = found.source.clone();
    let key_source = KeySource::of(&found);
    let (key, store) = (cluster_key(found)?, door.open_store()?);
    // The clients of its tasks reach the manager of this process as all others do.
    let (_current, own) = watch::channel(Some(local_managers::reachable(address).to_string()));
    let access = ManagerAccess { key: Rc::new(key_source), trust: Trust::given(None, None)?, address: own };
    let config = pool_config(
        format!("{}:{}", door.address(), address.port()),
        access,
        pool,
        isolation.with_key(&source)?,
    )?;
    let manager = door.config(bound, (key, &source), store)?;
    let encryption = manager.encryption();
    let newcomers = door.host.is_some().then(|| Rc::clone(&manager.newcomers));
    let _note = (ended_by == EndedBy::Signals).then(|| local_managers::note(address));
    let (role, slots) = (role.to_owned(), config.slots.to_string());
    let announce = move || {
        ready::announce(&[
            ("role", &role),
            ("addr", &address.to_string()),
            ("pid", &std::process::id().to_string()),
            ("version", env!("CARGO_PKG_VERSION")),
            ("slots", &slots),
            ("tls", encryption.word()),
            ("pin", &encryption.pin.short()),
            ("key", &source),
        ]);
        tracing::info!("clients and further workers reach this at {address} with the key in {source}");
        if let Some(newcomers) = &newcomers {
            newcomers.show_invitation();
        }
    };
    standalone::serve(manager, config, stop, announce).await
}

fn pool_config(
    name: String,
    access: ManagerAccess,
    pool: &PoolOptions,
    isolation: Isolation,
) -> Result<WorkerConfig, Failure> {
    Ok(WorkerConfig {
        secret: Secret::new(random::bytes()?),
        name,
        host: machine::host_name(),
        slots: pool.slots(),
        max_requests: pool.max_requests,
        default_timeout_ms: u32::try_from(millis(pool.timeout)).unwrap_or(u32::MAX),
        pass_env: pool.pass_env.clone(),
        perl: pool.interpreters.perl.clone(),
        pythons: pool.interpreters.python.clone(),
        environments: !pool.interpreters.no_environments,
        packages: pool.interpreters.packages(),
        remote_modules: !pool.interpreters.no_remote_modules,
        has_templates: true,
        runners_max: pool.runners_max(),
        runner_memory: pool.runner_memory.unwrap_or_else(WorkerConfig::default_runner_memory),
        waiting_max: pool.waiting_max(),
        manager: Some(access),
        drain_limit: pool.drain_limit,
        run_as: isolation.user,
        sandbox: isolation.sandbox,
        limits: pool.machine.limits(),
        nice: pool.machine.nice,
    })
}

impl From<worker::WorkerError> for Failure {
    fn from(error: worker::WorkerError) -> Self {
        Self::new(FailureKind::Machine, error.to_string())
    }
}
