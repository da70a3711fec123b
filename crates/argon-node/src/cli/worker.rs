//! `argon worker`: a pool of processes, for a manager or stand-alone.

use argon_net::{Trust, listen, random};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use argon_proto::Secret;
use clap::{Arg, Args};
use tokio::sync::{mpsc, watch};

use super::options::{
    AuthorityOption, DoorOptions, KeyOption, LogOption, PoolOptions, cluster_key, parse_address, start_log,
};
use super::quantity::millis;
use crate::exit::{Failure, FailureKind};
use crate::key_file;
use crate::memory;
use crate::ready;
use crate::signals;
use crate::standalone;
use crate::worker::{self, LinkEnd, ManagerAccess, ManagerChannel, WorkerConfig};

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
  argon worker --port 8000                         stand-alone: clients call it directly

With --manager nothing is listened on: host and port are the worker's name. It stays with its
manager for ever, and comes back by itself after any loss. When it is ready it prints one line:
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
            serve_alone("worker", &arguments.door, &arguments.pool, &arguments.key).await
        } else {
            serve_manager(arguments).await
        }
    })
}

async fn serve_manager(arguments: WorkerArguments) -> Result<(), Failure> {
    let stop = signals::watch_stop()?;
    let found = key_file::find(arguments.key.key.as_deref())?;
    let door = &arguments.door;
    // 127.0.0.1 would be the name of every machine's worker.
    let machine = door.host.clone().unwrap_or_else(this_machine);
    let name = match door.port {
        0 => format!("{machine}:pid{}", std::process::id()),
        port => format!("{machine}:{port}"),
    };
    let (current, address) = watch::channel(None);
    let trust = arguments.authority.trust(door.insecure_plaintext)?;
    let access = ManagerAccess { key: found.key.clone(), trust: trust.clone(), address };
    let config = pool_config(name, access, &arguments.pool)?;
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
        worker::keep_link(arguments.manager, (found.key, trust), config.id(), end, stop.clone(), announce);
    let link = ManagerChannel { events: incoming, outbox };
    // The link ends when the worker has dropped its end and its last words are written.
    let (ended, ()) = tokio::join!(worker::run(config, link, stop), keeping);
    Ok(ended?)
}

/// A manager and a pool in one process, joined in memory: a stand-alone worker, and `argon up`.
pub(super) async fn serve_alone(
    role: &str,
    door: &DoorOptions,
    pool: &PoolOptions,
    key: &KeyOption,
) -> Result<(), Failure> {
    // A peer that reaches the port finds the key, and a signal that ends this process is handled.
    let stop = signals::watch_stop()?;
    let bound = listen::bind(door.address(), door.port).await?;
    let found = key_file::find_or_make(key.key.as_deref())?;
    if found.is_new {
        tracing::info!("made the cluster key: {}", found.source);
    }
    let address = bound.address();
    let source = found.source.clone();
    let (key, store) = (cluster_key(found)?, door.open_store()?);
    // The clients of its tasks reach the manager of this process as all others do.
    let (_current, own) = watch::channel(Some(reachable(address).to_string()));
    let access = ManagerAccess { key: key.clone(), trust: Trust::given(None, None)?, address: own };
    let config = pool_config(format!("{}:{}", door.address(), address.port()), access, pool)?;
    let manager = door.config(bound, key, store)?;
    let encryption = manager.encryption();
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
    };
    standalone::serve(manager, config, stop, announce).await
}

/// Host name of this machine.
pub(super) fn this_machine() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "unknown".to_owned())
}

/// An address under which this machine reaches a listener.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listener.port())
}

fn pool_config(name: String, access: ManagerAccess, pool: &PoolOptions) -> Result<WorkerConfig, Failure> {
    Ok(WorkerConfig {
        secret: Secret::new(random::bytes()?),
        name,
        host: this_machine(),
        slots: pool.slots(),
        max_requests: pool.max_requests,
        default_timeout_ms: u32::try_from(millis(pool.timeout)).unwrap_or(u32::MAX),
        pass_env: pool.pass_env.clone(),
        perl: pool.perl.clone(),
        pythons: pool.python.clone(),
        remote_modules: !pool.no_remote_modules,
        has_templates: true,
        runners_max: pool.runners_max(),
        runner_memory: pool.runner_memory.unwrap_or_else(WorkerConfig::default_runner_memory),
        waiting_max: pool.waiting_max(),
        manager: Some(access),
        drain_limit: pool.drain_limit,
    })
}

impl From<worker::WorkerError> for Failure {
    fn from(error: worker::WorkerError) -> Self {
        Self::new(FailureKind::Machine, error.to_string())
    }
}
