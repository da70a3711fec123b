//! A client or worker at the manager's door: how it is reached, and what it was sent.

use std::rc::Rc;
use std::time::Instant;

use argon_core::scheduler::ConnId;
use argon_net::Connection;
use argon_proto::conversation::Goodbye;
use argon_proto::conversation::admin::{Reply, ToAdmin};
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::{Installing, RunnersReport, ToWorker};
use argon_proto::handshake::{Proven, Refusal, RefusalCode};
use argon_proto::key::Role;
use argon_proto::{BlobHash, WorkerId};
use tokio::sync::mpsc;

use super::feed::{Feed, Feeder, Outgoing, PacedPort};
use super::ingress::worker_role::ToWorkerRole;
use crate::worker::LinkEvent;

/// Connection of a peer.
#[derive(Clone, Debug)]
pub enum Port {
    /// A client over TCP.
    Client(Rc<Connection<ToClient>>),
    /// A worker.
    Worker(WorkerPort),
    /// The client of a task, over a connection that its worker relays.
    Child(Rc<Connection<ToWorkerRole>>),
    /// An admin or observer over TCP.
    Admin(Rc<Connection<ToAdmin>>),
}

/// Connection of a worker.
#[derive(Clone, Debug)]
pub enum WorkerPort {
    /// Over TCP.
    Tcp(Rc<Connection<ToWorkerRole>>),
    /// The pool of a stand-alone worker, in this process.
    Memory(mpsc::UnboundedSender<LinkEvent>),
}

/// One peer.
#[derive(Debug)]
pub(super) struct AdmittedPeer {
    pub(super) port: Port,
    /// Its present role: the client of a task comes over a connection that was opened as a worker's.
    pub(super) role: Role,
    /// Role and holder that the peer has proven.
    pub(super) proven: Proven,
    /// True if its key is in force no longer.
    pub(super) is_expelled: bool,
    pub(super) from: String,
    /// True after its GOODBYE.
    pub(super) said_goodbye: bool,
    /// The worker that has registered here.
    pub(super) worker: Option<WorkerId>,
    /// Number of attempts that a worker has listed before it registers.
    pub(super) held: usize,
    /// Its runner processes, as it reported them last.
    pub(super) runners: RunnersReport,
    /// Packages that it installs, and when it first reported each list.
    pub(super) installing: Vec<(Installing, Instant)>,
    /// True if messages wait for a flush.
    pub(super) is_dirty: bool,
    /// Messages that wait for a payload from the store.
    pub(super) feed: Feed,
}

impl AdmittedPeer {
    pub(super) fn new(port: Port, proven: Proven, from: String) -> Self {
        Self {
            port,
            role: proven.role,
            proven,
            is_expelled: false,
            from,
            said_goodbye: false,
            worker: None,
            held: 0,
            runners: RunnersReport::default(),
            installing: Vec::new(),
            is_dirty: false,
            feed: Feed::default(),
        }
    }
}

impl AdmittedPeer {
    /// True if this is the client of a task.
    pub(super) fn is_child(&self) -> bool {
        matches!(self.port, Port::Child(_))
    }

    /// Makes a client of a connection that a worker has opened for a task. False if the connection is another one, or has
    /// been used.
    pub(super) fn become_child(&mut self) -> bool {
        let Port::Worker(WorkerPort::Tcp(connection)) = &self.port else {
            return false;
        };
        if self.worker.is_some() {
            return false;
        }
        self.port = Port::Child(Rc::clone(connection));
        self.role = Role::Client;
        true
    }

    /// Queues a message. One whose payload is in the store waits until that is read, and so do all behind it.
    pub(super) fn send(&mut self, message: Outgoing, link: ConnId, feeder: &Feeder) {
        if self.feed.is_idle() && message.stored().is_none() {
            self.port.send(message);
        } else {
            self.feed.push(message, &self.port, link, feeder);
        }
    }

    /// Lets the end of the batch flush the connection.
    pub(super) fn flush_later(&mut self, link: ConnId, dirty: &mut Vec<ConnId>) {
        if !std::mem::replace(&mut self.is_dirty, true) {
            dirty.push(link);
        }
    }
}

impl Port {
    /// Queues the answer to a request; a worker asks nothing.
    pub fn reply(&self, reply: Reply) {
        match self {
            Self::Client(connection) => connection.send(&ToClient::Reply(reply)),
            Self::Admin(connection) => connection.send(&ToAdmin::Reply(reply)),
            Self::Child(connection) => connection.send(&ToWorkerRole::Child(ToClient::Reply(reply))),
            Self::Worker(_) => {}
        }
    }

    /// Queues a goodbye.
    pub fn say_goodbye(&self, goodbye: Goodbye) {
        match self {
            Self::Client(connection) => connection.send(&ToClient::Goodbye(goodbye)),
            Self::Child(connection) => connection.send(&ToWorkerRole::Child(ToClient::Goodbye(goodbye))),
            Self::Worker(worker) => worker.send(ToWorker::Goodbye(goodbye)),
            Self::Admin(connection) => connection.send(&ToAdmin::Goodbye(goodbye)),
        }
    }

    /// Sends what is queued.
    pub fn flush(&self) {
        match self {
            Self::Client(connection) => connection.flush(),
            Self::Child(connection) | Self::Worker(WorkerPort::Tcp(connection)) => connection.flush(),
            Self::Worker(WorkerPort::Memory(_)) => {}
            Self::Admin(connection) => connection.flush(),
        }
    }

    /// Ends the connection with a reason.
    pub fn refuse(&self, code: RefusalCode, why: &str) {
        let refusal = Refusal::new(code, why);
        match self {
            Self::Client(connection) => connection.refuse(&refusal),
            Self::Child(connection) | Self::Worker(WorkerPort::Tcp(connection)) => {
                connection.refuse(&refusal)
            }
            Self::Worker(WorkerPort::Memory(events)) => {
                tracing::error!("the manager refused its own pool: {why}");
                let _ = events.send(LinkEvent::Lost);
            }
            Self::Admin(connection) => connection.refuse(&refusal),
        }
    }

    /// True if the peer has dialled with small segments.
    #[must_use]
    pub fn has_small_segments(&self) -> bool {
        match self {
            Self::Client(connection) => connection.has_small_segments(),
            Self::Child(connection) | Self::Worker(WorkerPort::Tcp(connection)) => {
                connection.has_small_segments()
            }
            Self::Worker(WorkerPort::Memory(_)) => false,
            Self::Admin(connection) => connection.has_small_segments(),
        }
    }

    /// True if a blob is arriving from this peer. Only clients send blobs.
    #[must_use]
    pub fn is_arriving(&self, hash: BlobHash) -> bool {
        match self {
            Self::Client(connection) => connection.is_arriving(hash),
            Self::Child(connection) => connection.is_arriving(hash),
            Self::Worker(_) | Self::Admin(_) => false,
        }
    }

    /// A blob that was on its way has been taken.
    pub fn forget_arrival(&self, hash: BlobHash) {
        match self {
            Self::Client(connection) => connection.forget_arrival(hash),
            Self::Child(connection) => connection.forget_arrival(hash),
            Self::Worker(_) | Self::Admin(_) => {}
        }
    }
}

impl PacedPort for Port {
    fn send(&self, message: Outgoing) {
        match (self, message) {
            (Self::Client(connection), Outgoing::Client(message)) => connection.send(&message),
            (Self::Child(connection), Outgoing::Client(message)) => {
                connection.send(&ToWorkerRole::Child(message));
            }
            (Self::Worker(worker), Outgoing::Worker(message)) => worker.send(message),
            (Self::Client(_) | Self::Child(_) | Self::Worker(_) | Self::Admin(_), _) => {}
        }
    }

    async fn drained(&self, bytes: u64) {
        match self {
            Self::Client(connection) => connection.drained(bytes).await,
            Self::Child(connection) | Self::Worker(WorkerPort::Tcp(connection)) => {
                connection.drained(bytes).await;
            }
            Self::Worker(WorkerPort::Memory(_)) => {}
            Self::Admin(connection) => connection.drained(bytes).await,
        }
    }

    fn flush(&self) {
        Self::flush(self);
    }
}

impl WorkerPort {
    /// Queues a message.
    pub fn send(&self, message: ToWorker) {
        match self {
            Self::Tcp(connection) => connection.send(&ToWorkerRole::Worker(message)),
            Self::Memory(events) => {
                // A pool that has ended receives nothing more; the process is ending too.
                let _ = events.send(LinkEvent::Message(message));
            }
        }
    }
}
