//! Options that several commands share, parsed into what the commands use.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use argon_core::pool::Settings;
use argon_core::scheduler::{Limits, NO_BOUND};
use argon_net::listen::Bound;
use argon_net::{Certificates, Trust};
use argon_proto::key::{Key, Scope};
use clap::Args;

use super::interpreters::InterpreterOptions;
use super::isolation::IsolationOptions;
pub(super) use super::log::{LogOption, start_log};
use super::machine_limits::MachineOptions;
pub(super) use super::manager_option::{ManagerOption, parse_address};
pub(super) use super::quantity::whole;
use super::quantity::{size, time};
use crate::exit::{Failure, FailureKind};
use crate::key_file::Found;
use crate::manager::ManagerConfig;
use crate::manager::key_book::KeyBook;
use crate::manager::key_files::KeyFiles;
use crate::manager::newcomers::Newcomers;
use crate::manager::store::{DiskStore, MemoryStore, Store};
use crate::state;
use crate::worker::machine;

/// Option that names the key.
#[derive(Debug, Args)]
pub(super) struct KeyOption {
    /// File that holds the key [default: $ARGON_KEY, else argon/key in the user's config folder]
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
}

/// Option that names further managers to trust on other machines.
#[derive(Debug, Args)]
pub(super) struct AuthorityOption {
    /// File of the CA (PEM) that signed the manager's certificate, in place of the key's pin [default: $ARGON_TLS_CA]
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
}

/// Options for connections to a manager on another machine.
#[derive(Debug, Args)]
pub(super) struct TrustOption {
    /// Speak without encryption to a manager on another machine [default: $ARGON_INSECURE_PLAINTEXT]
    #[arg(long)]
    insecure_plaintext: bool,
    #[command(flatten)]
    authority: AuthorityOption,
}

impl AuthorityOption {
    pub(super) fn trust(&self, insecure_plaintext: bool) -> Result<Trust, Failure> {
        Ok(Trust::given(insecure_plaintext.then_some(true), self.tls_ca.as_deref())?)
    }
}

impl TrustOption {
    pub(super) fn trust(&self) -> Result<Trust, Failure> {
        self.authority.trust(self.insecure_plaintext)
    }
}

/// Address and limits of a manager.
#[derive(Debug, Args)]
pub(super) struct DoorOptions {
    /// Address to listen on, or a name of this machine [default: 127.0.0.1]
    #[arg(long)]
    pub(super) host: Option<String>,
    /// Port to listen on; 0 for any free one
    #[arg(long, default_value_t = 8000, value_parser = whole::<u16>(0, u16::MAX))]
    pub(super) port: u16,
    /// Most waiting tasks; another task is rejected, and its client tries again
    #[arg(long, value_name = "TASKS", default_value_t = 1_000_000, value_parser = whole::<u32>(1, u32::MAX))]
    pub(super) queue_size: u32,
    /// Most waiting tasks of one owner, which is the name on the key that they were submitted with, or 'admin'
    #[arg(long, value_name = "TASKS", value_parser = whole::<u32>(1, u32::MAX))]
    pub(super) max_queued: Option<u32>,
    /// Most tasks of one owner that workers have at once; tasks that wait for tasks of their own do not count
    #[arg(long, value_name = "TASKS", value_parser = whole::<u32>(1, u32::MAX))]
    pub(super) max_running: Option<u32>,
    /// Memory that the manager may use; beyond three quarters of it only sessions that use little are served, and other
    /// tasks are rejected and tried again by their clients [default: half of the machine or control group]
    #[arg(long, value_name = "SIZE", value_parser = memory_size, verbatim_doc_comment)]
    pub(super) memory: Option<u64>,
    /// Time for a disconnected client to return before its tasks are cancelled
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = time)]
    pub(super) session_grace: Duration,
    /// Time for which the outcome of a detached task is kept to be collected
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = time)]
    pub(super) result_ttl: Duration,
    /// Ended tasks to remember for 'argon tasks', and as many failed ones; or 'off'
    #[arg(long, value_name = "TASKS", default_value = "10000", value_parser = history)]
    pub(super) history: usize,
    /// Let other machines connect without encryption, too
    #[arg(long)]
    pub(super) insecure_plaintext: bool,
    /// Show this certificate (PEM, with those that lead to its CA) in place of the one that follows from the key
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of --tls-cert (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// File for detached tasks, or 'memory' for none
    /// [default: a file for this host and port in $STATE_DIRECTORY or the user's state folder; memory with --port 0
    /// or where that cannot be written]
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    pub(super) store: Option<PathBuf>,
    /// Continue with the rest of a damaged store, after a copy of the damaged file; no effect without damage
    #[arg(long)]
    pub(super) accept_loss: bool,
}

/// Options of a pool.
#[derive(Debug, Args)]
pub(super) struct PoolOptions {
    /// Tasks that run at once [default: number of CPUs that this process may use]
    #[arg(long, value_name = "SLOTS", value_parser = whole::<u32>(1, 4096))]
    pub(super) slots: Option<u32>,
    /// Older name of --slots
    #[arg(long, value_name = "SLOTS", conflicts_with = "slots", value_parser = whole::<u32>(1, 4096))]
    pub(super) workers: Option<u32>,
    /// Replace a runner process after this number of tasks; 0 for never
    #[arg(long, value_name = "TASKS", default_value_t = 0, value_parser = whole::<u64>(0, u64::MAX))]
    pub(super) max_requests: u64,
    /// Idle runner processes to keep. Each serves one session; the one unused for longest ends first
    /// [default: 8 for each slot, at least 16]
    #[arg(long, value_name = "RUNNERS", value_parser = whole::<u32>(0, 100_000), verbatim_doc_comment)]
    pub(super) runners_max: Option<u32>,
    /// Memory that all idle runner processes may have together [default: a quarter of the machine or control group]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) runner_memory: Option<u64>,
    /// Most tasks that wait for their own tasks and lend their slots; another one fails
    /// [default: 64 for each slot]
    #[arg(long, value_name = "TASKS", value_parser = whole::<u32>(0, 100_000), verbatim_doc_comment)]
    pub(super) waiting_max: Option<u32>,
    /// Time limit of tasks without one of their own; 0 for none
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = time)]
    pub(super) timeout: Duration,
    /// Let tasks see this environment variable; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) pass_env: Vec<String>,
    #[command(flatten)]
    pub(super) interpreters: InterpreterOptions,
    /// Time for running tasks to finish after SIGTERM or Ctrl-C; 'argon drain' sets no limit
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub(super) drain_limit: Duration,
    #[command(flatten)]
    pub(super) machine: MachineOptions,
    #[command(flatten)]
    pub(super) isolation: IsolationOptions,
}

/// State that a manager keeps from one start to the next.
pub(super) struct KeptState {
    store: Box<dyn Store>,
    people: KeyBook,
    /// File of the store, if it has one.
    file: Option<PathBuf>,
}

impl KeptState {
    fn in_memory() -> Self {
        Self { store: Box::new(MemoryStore), people: KeyBook::default(), file: None }
    }
}

impl DoorOptions {
    /// The address to listen on.
    pub(super) fn address(&self) -> &str {
        self.host.as_deref().unwrap_or("127.0.0.1")
    }

    /// The configuration of a manager at an address that this process has taken.
    pub(super) fn config(
        &self,
        bound: Bound,
        (key, source): (Key, &str),
        KeptState { store, people, file }: KeptState,
    ) -> Result<ManagerConfig, Failure> {
        let (certificates, allows_plaintext) = (self.certificates(&key)?, self.insecure_plaintext);
        let port = bound.address().port();
        let (listener, limits) = (bound.listen()?, self.limits());
        let newcomers = Newcomers::new(joined_at(self.address(), port), certificates.pin());
        let key_files = KeyFiles::of(source, &key).map_err(|why| Failure::new(FailureKind::Key, why))?;
        Ok(ManagerConfig {
            listener,
            key,
            certificates,
            allows_plaintext,
            limits,
            store,
            people,
            newcomers,
            key_files,
            store_file: file,
            stopping: None,
        })
    }

    /// Certificates for peers that encrypt.
    fn certificates(&self, key: &Key) -> Result<Certificates, Failure> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(private_key)) => {
                Ok(Certificates::of_files(key, certificate, private_key)?)
            }
            _ => Certificates::of_key(key).ok_or_else(|| Failure::new(FailureKind::Key, KEY_OF_A_ROLE)),
        }
    }

    pub(super) fn open_store(&self) -> Result<KeptState, Failure> {
        let path = match &self.store {
            Some(path) if path.as_os_str() == "memory" => return Ok(KeptState::in_memory()),
            Some(path) => path.clone(),
            None if self.port == 0 => return Ok(KeptState::in_memory()),
            None => match state::store(self.address(), self.port) {
                Ok(path) => path,
                Err(why) => {
                    tracing::warn!(
                        "detached tasks are kept in memory, and are gone when this process ends: {why}; \
                         name a file with --store, or say --store memory"
                    );
                    return Ok(KeptState::in_memory());
                }
            },
        };
        let store = DiskStore::open(&path, self.accept_loss)
            .map_err(|error| Failure::new(FailureKind::Store, error.to_string()))?;
        match store.loss() {
            Some(loss) => tracing::warn!("{loss}"),
            None if self.accept_loss => {
                tracing::warn!(
                    "nothing of the store {} was lost: start without --accept-loss",
                    path.display()
                );
            }
            None => {}
        }
        let people = KeyBook::of_store(&path).map_err(|why| Failure::new(FailureKind::Store, why))?;
        Ok(KeptState { store: Box::new(store), people, file: Some(path) })
    }

    pub(super) fn limits(&self) -> Limits {
        let memory = self.memory.or_else(|| Some(machine::memory_bytes()? / 2)).unwrap_or(MEMORY_UNKNOWN);
        let limits = Limits::default();
        Limits {
            memory: memory.max(MEMORY_MIN),
            // One client gets no more than a part, so that it is held up before all others are.
            window_bytes: limits.window_bytes.min(memory / ONE_CLIENT),
            untaken_bytes: limits.untaken_bytes.min(memory / ONE_CLIENT),
            queue_size: self.queue_size as usize,
            max_queued: self.max_queued.unwrap_or(NO_BOUND),
            max_running: self.max_running.unwrap_or(NO_BOUND),
            session_grace: self.session_grace,
            result_ttl: self.result_ttl,
            history: self.history,
            ..limits
        }
    }
}

/// The address under which other machines reach a listener: as it was named, or by the name of this machine.
fn joined_at(host: &str, port: u16) -> String {
    let address = host.parse::<IpAddr>();
    match address {
        Ok(address) if address.is_unspecified() => format!("{}:{port}", machine::host_name()),
        Ok(address) => SocketAddr::new(address, port).to_string(),
        Err(_) => format!("{host}:{port}"),
    }
}

const KEY_OF_A_ROLE: &str = "a manager needs the cluster key; this one is the key of a role";
/// Least memory of a manager, bytes.
const MEMORY_MIN: u64 = 64 << 20;
/// Memory of a manager where the machine does not say what it has.
const MEMORY_UNKNOWN: u64 = 1 << 30;
/// Part of the memory that one client may fill with arguments, and with outcomes that it does not take.
const ONE_CLIENT: u64 = 8;

/// Number of tasks, or `off`.
fn history(text: &str) -> Result<usize, String> {
    const MOST: usize = 1_000_000;
    match text.parse() {
        _ if text == "off" => Ok(0),
        Ok(tasks) if tasks <= MOST => Ok(tasks),
        Ok(_) | Err(_) => Err(format!("expected a number of tasks up to {MOST}, or off")),
    }
}

fn memory_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        bytes if bytes < MEMORY_MIN => Err("a manager needs at least 64M".to_owned()),
        bytes => Ok(bytes),
    }
}

impl PoolOptions {
    pub(super) fn slots(&self) -> usize {
        self.slots.or(self.workers).map_or_else(
            || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            |slots| slots as usize,
        )
    }

    pub(super) fn runners_max(&self) -> usize {
        self.runners_max.map_or_else(|| Settings::default_runners_max(self.slots()), |most| most as usize)
    }

    pub(super) fn waiting_max(&self) -> usize {
        self.waiting_max.map_or_else(|| Settings::default_waiting_max(self.slots()), |most| most as usize)
    }
}

/// A listener needs the cluster key: a role's key opens only that role.
pub(super) fn cluster_key(found: Found) -> Result<Key, Failure> {
    match found.key.scope() {
        Scope::Cluster => Ok(found.key),
        Scope::Role(role) => Err(Failure::new(
            FailureKind::Key,
            format!(
                "{} holds the key of the role '{}'; a manager needs the cluster key",
                found.source,
                role.name()
            ),
        )),
    }
}
