//! A client or worker at the manager's door: how it is reached, and what it was sent.

use std::rc::Rc;

use argon_proto::handshake::Refusal;
use argon_proto::key::Role;
use argon_proto::{BlobHash, Message, Task, TaskId};
use rustc_hash::FxHashSet;
use tokio::sync::mpsc;

use crate::net::Connection;
use crate::worker::LinkEvent;

/// How a peer is reached.
#[derive(Clone, Debug)]
pub enum Port {
    /// Over TCP.
    Tcp(Rc<Connection>),
    /// The pool of a stand-alone worker, in this process.
    Memory(mpsc::UnboundedSender<LinkEvent>),
}

/// One peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) port: Port,
    pub(super) role: Role,
    pub(super) from: String,
    /// Blobs that it was sent on this connection.
    pub(super) sent: FxHashSet<BlobHash>,
    /// Tasks that it submitted and whose blobs are not all here.
    pub(super) parked: Vec<Task>,
    /// Whether it said goodbye.
    pub(super) said_goodbye: bool,
    /// Whether something was sent since the last flush.
    pub(super) is_dirty: bool,
}

impl Peer {
    pub(super) fn new(port: Port, role: Role, from: String) -> Self {
        Self {
            port,
            role,
            from,
            sent: FxHashSet::default(),
            parked: Vec::new(),
            said_goodbye: false,
            is_dirty: false,
        }
    }

    pub(super) fn has_parked(&self, id: TaskId) -> bool {
        self.parked.iter().any(|task| task.head.id == id)
    }
}

impl Port {
    /// Queues a message.
    pub fn send(&self, message: Message) {
        match self {
            Self::Tcp(connection) => connection.send(message),
            Self::Memory(events) => {
                let event = if matches!(message, Message::Registered(_)) {
                    LinkEvent::Registered
                } else {
                    LinkEvent::Message(message)
                };
                // A pool that has ended hears nothing more; the process is ending too.
                let _ = events.send(event);
            }
        }
    }

    /// Sends what is queued.
    pub fn flush(&self) {
        match self {
            Self::Tcp(connection) => connection.flush(),
            Self::Memory(_) => {}
        }
    }

    /// Ends the connection with a reason.
    pub fn refuse(&self, code: &str, why: &str) {
        match self {
            Self::Tcp(connection) => connection.refuse(&Refusal::new(code, why)),
            Self::Memory(events) => {
                tracing::error!("the manager refused its own pool: {why}");
                let _ = events.send(LinkEvent::Lost);
            }
        }
    }

    /// Whether a blob is on its way from this peer.
    #[must_use]
    pub fn is_arriving(&self, hash: BlobHash) -> bool {
        match self {
            Self::Tcp(connection) => connection.is_arriving(hash),
            Self::Memory(_) => false,
        }
    }

    /// A blob that was on its way has been taken.
    pub fn forget_arrival(&self, hash: BlobHash) {
        match self {
            Self::Tcp(connection) => connection.forget_arrival(hash),
            Self::Memory(_) => {}
        }
    }
}
