//! Queue of events of connections that the event loop has not handled.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use argon_core::scheduler::ConnId;
use argon_proto::conversation::admin::FromAdmin;
use argon_proto::conversation::client::ToManager;
use argon_proto::conversation::worker::FromWorker;
use argon_proto::key::Role;
use tokio::sync::Notify;

use crate::manager::peers::Port;

/// Something that happened at a door.
#[derive(Debug)]
pub enum PeerEvent {
    /// A peer proved the key.
    Admitted {
        /// Its number.
        link: ConnId,
        /// Its role.
        role: Role,
        /// Its connection.
        port: Port,
        /// Its address, for the log.
        from: String,
    },
    /// A client sent something.
    ClientSent {
        /// Its number.
        link: ConnId,
        /// What.
        message: ToManager,
    },
    /// The client of a task sent something, through its worker.
    ChildSent {
        /// The number of the connection.
        link: ConnId,
        /// What.
        message: ToManager,
    },
    /// A worker sent something.
    WorkerSent {
        /// Its number.
        link: ConnId,
        /// What.
        message: FromWorker,
    },
    /// An admin or observer sent something.
    AdminSent {
        /// Its number.
        link: ConnId,
        /// What.
        message: FromAdmin,
    },
    /// Its connection ended.
    Gone {
        /// Its number.
        link: ConnId,
        /// True if it was silent for longer than a peer may be.
        is_dead: bool,
        /// Why, for the log.
        why: String,
    },
}

/// The queue of events, shared by the doors and the driver.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    shared: Rc<InboxQueue>,
}

#[derive(Debug, Default)]
struct InboxQueue {
    events: RefCell<VecDeque<PeerEvent>>,
    filled: Notify,
}

impl Inbox {
    /// Adds an event.
    pub fn push(&self, event: PeerEvent) {
        self.shared.events.borrow_mut().push_back(event);
        self.shared.filled.notify_one();
    }

    /// The oldest event.
    #[must_use]
    pub fn pop(&self) -> Option<PeerEvent> {
        self.shared.events.borrow_mut().pop_front()
    }

    /// Waits until there is an event.
    pub async fn filled(&self) {
        while self.shared.events.borrow().is_empty() {
            self.shared.filled.notified().await;
        }
    }
}
