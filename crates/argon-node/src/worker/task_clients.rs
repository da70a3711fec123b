//! Clients inside of tasks: they reach the manager through the socket of the task's worker (`spec/protocol.md`, section 9).
//!
//! `door` lets them in and `relay` carries their frames. Here is what the worker's loop knows of them: which attempt each
//! connection belongs to, and whether it waits. The connections of an attempt end with it.

mod door;
mod relay;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use argon_proto::conversation::child::Child;
use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::{AttemptId, AttemptToken};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

use super::config::{ManagerAccess, WorkerConfig};
use super::private_folder::{PrivateFolder, own_user};
use super::process::user::RunAs;
use door::Door;

/// Connections of one attempt at once.
const CONNECTIONS_MAX: usize = 64;
/// Longest path of a Unix socket.
const PATH_BYTES_MAX: usize = 107;

/// The number of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ConnectionNumber(u64);

/// An answer for a client that has arrived.
type Admission = Result<AdmittedClient, Refusal>;

/// A client of an attempt that runs here.
#[derive(Debug)]
pub(crate) struct AdmittedClient {
    pub(crate) number: ConnectionNumber,
    /// Token of its attempt.
    pub(crate) token: AttemptToken,
    /// Ends when the attempt does.
    pub(crate) end: oneshot::Receiver<()>,
}

/// Event at a client of a task.
#[derive(Debug)]
pub(crate) enum TaskClientEvent {
    /// The client has connected.
    Arrived {
        /// Its opening, which names its task.
        child: Child,
        /// Takes the answer.
        reply: oneshot::Sender<Admission>,
    },
    /// The client begins to wait for its tasks, or goes on.
    Waits {
        /// Its connection.
        number: ConnectionNumber,
        /// True if it waits.
        waits: bool,
    },
    /// Its connection has ended.
    Closed {
        /// Its connection.
        number: ConnectionNumber,
    },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct TaskClients {
    /// The folder of the socket, while there is one.
    folder: Option<PrivateFolder>,
    events: mpsc::UnboundedReceiver<TaskClientEvent>,
    connections: BTreeMap<ConnectionNumber, Connection>,
    last_number: u64,
}

#[derive(Debug)]
struct Connection {
    attempt: AttemptId,
    waits: bool,
    /// Dropped to end it.
    _end: oneshot::Sender<()>,
}

impl TaskClients {
    /// Opens the socket, if the worker can reach its manager for others. Without a socket tasks have no client; that is
    /// logged.
    pub(crate) fn open(config: &WorkerConfig) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let opened = config.manager.clone().map(|manager| listen(config, manager, sender));
        let folder = match opened {
            Some(Ok(folder)) => Some(folder),
            Some(Err(why)) => {
                tracing::warn!("tasks of this worker cannot submit tasks: {why}");
                None
            }
            None => None,
        };
        Self { folder, events, connections: BTreeMap::new(), last_number: 0 }
    }

    /// The path of the socket.
    pub(crate) fn socket(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| socket_in(folder.path()))
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TaskClientEvent> {
        match self.events.poll_recv(cx) {
            Poll::Ready(Some(event)) => Poll::Ready(event),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// A client of this attempt has arrived. `token` is the attempt's.
    pub(crate) fn admit(&mut self, attempt: AttemptId, token: AttemptToken) -> Admission {
        let count = self.connections.values().filter(|connection| connection.attempt == attempt).count();
        if count >= CONNECTIONS_MAX {
            let message = format!(
                "attempt {} of task {} has {CONNECTIONS_MAX} connections to its worker, which is the limit; close some",
                attempt.attempt.0, attempt.task
            );
            return Err(Refusal::new(RefusalCode::Busy, message));
        }
        self.last_number += 1;
        let number = ConnectionNumber(self.last_number);
        let (sender, end) = oneshot::channel();
        self.connections.insert(number, Connection { attempt, waits: false, _end: sender });
        Ok(AdmittedClient { number, token, end })
    }

    /// A client begins to wait, or goes on. Returns the attempt if that changes whether it waits.
    pub(crate) fn on_waits(&mut self, number: ConnectionNumber, waits: bool) -> Option<AttemptId> {
        let connection = self.connections.get_mut(&number)?;
        let attempt = connection.attempt;
        let was_waiting = self.waits(attempt);
        self.connections.get_mut(&number)?.waits = waits;
        (self.waits(attempt) != was_waiting).then_some(attempt)
    }

    /// A connection has ended. Returns its attempt if that waits no longer.
    pub(crate) fn on_closed(&mut self, number: ConnectionNumber) -> Option<AttemptId> {
        let Connection { attempt, waits, .. } = self.connections.remove(&number)?;
        (waits && !self.waits(attempt)).then_some(attempt)
    }

    /// True if a client of the attempt waits.
    pub(crate) fn waits(&self, attempt: AttemptId) -> bool {
        self.connections.values().any(|connection| connection.attempt == attempt && connection.waits)
    }

    /// An attempt has ended, and its connections with it.
    pub(crate) fn on_attempt_ended(&mut self, attempt: AttemptId) {
        if !self.connections.is_empty() {
            self.connections.retain(|_, connection| connection.attempt != attempt);
        }
    }
}

/// Listens in a new folder of this worker.
fn listen(
    config: &WorkerConfig,
    manager: ManagerAccess,
    events: mpsc::UnboundedSender<TaskClientEvent>,
) -> Result<PrivateFolder, String> {
    let (worker, user) = (config.id(), config.run_as.as_deref());
    let name = worker.to_string();
    // Eight digits suffice to tell the workers of one user apart, and paths of sockets are short.
    let folder = PrivateFolder::make(&bases(user), &name[..8], user).map_err(|error| error.to_string())?;
    let path = socket_in(folder.path());
    let listener =
        UnixListener::bind(&path).map_err(|error: io::Error| format!("{}: {error}", path.display()))?;
    user.map_or(Ok(()), |user| user.own_file(&path))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    tokio::task::spawn_local(door::accept(listener, Door { worker, manager, events }));
    Ok(folder)
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("tasks")
}

/// Parents of the folders of this user's workers whose paths are short enough, and which the user of runners reaches.
fn bases(user: Option<&RunAs>) -> Vec<PathBuf> {
    if user.is_some() {
        return ["/run/argon-tasks", "/tmp/argon-tasks-run-as"].map(PathBuf::from).into();
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let temporary = format!("argon-tasks-{}", own_user());
    let all = runtime.map(|runtime| runtime.join("argon-tasks")).into_iter();
    let all = all.chain([std::env::temp_dir().join(&temporary), Path::new("/tmp").join(&temporary)]);
    let fits = |base: &PathBuf| socket_in(&base.join("12345678")).as_os_str().len() <= PATH_BYTES_MAX;
    all.filter(fits).collect()
}
