//! Starting a manager: key, port, doors, driver.

use std::cell::Cell;
use std::rc::Rc;

use argon_core::scheduler::{ConnId, Limits, ManagerIdentity};
use argon_net::accept::{self, Admitted};
use argon_net::{Connection, ConnectionEnd, Silence, connection, random};
use argon_proto::handshake::Welcome;
use argon_proto::key::{Key, Role};
use argon_proto::{Capabilities, Incarnation, Message, limit};
use tokio::net::TcpListener;

use super::inbox::{Inbox, PeerEvent};
use super::worker_role::FromWorkerRole;
use crate::exit::Failure;
use crate::manager::event_loop::ManagerLoop;
use crate::manager::peers::{Port, WorkerPort};
use crate::manager::store::Store;
use crate::signals::StopSignal;

/// Settings of a manager.
#[derive(Debug)]
pub struct ManagerConfig {
    /// The open port.
    pub listener: TcpListener,
    /// The cluster key.
    pub key: Key,
    /// Bounds.
    pub limits: Limits,
    /// Store of detached tasks.
    pub store: Box<dyn Store>,
}

/// Numbers connections; no number is used twice.
#[derive(Clone, Debug, Default)]
pub struct LinkNumbers(Rc<Cell<u64>>);

impl LinkNumbers {
    /// The next number, from 1.
    #[must_use]
    pub fn next(&self) -> ConnId {
        self.0.set(self.0.get() + 1);
        ConnId(self.0.get())
    }
}

/// Serves until asked to stop. `inbox` and `links` may be shared with a pool in this process.
///
/// # Errors
/// If the store fails.
pub async fn serve(
    config: ManagerConfig,
    inbox: Inbox,
    links: LinkNumbers,
    stop: StopSignal,
) -> Result<(), Failure> {
    let incarnation = Incarnation(random::bytes()?);
    let welcome = Welcome {
        incarnation: Some(incarnation),
        release: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: Vec::new(),
        credit_tasks: config.limits.window_tasks,
        credit_bytes: config.limits.window_bytes,
    };
    let identity = ManagerIdentity { incarnation, capabilities: Capabilities::new(&config.key) };
    let driver = ManagerLoop::new(config.limits, identity, config.store, inbox.clone())?;
    let admit = move |admitted: Admitted| {
        tokio::task::spawn_local(attend(admitted, links.next(), inbox.clone()));
    };
    let doors = tokio::task::spawn_local(accept::serve(config.listener, config.key, welcome, admit));
    // A task of its own, so that its turn comes right after those of the connections that woke it: what is awaited here is
    // looked at only when the system was asked once more whether there is anything else.
    let driving = tokio::task::spawn_local(driver.run(stop));
    let ended = driving.await;
    doors.abort();
    match ended {
        Ok(ended) => ended,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Ok(()),
        },
    }
}

/// Attends to a peer in the conversation of its role.
async fn attend(admitted: Admitted, link: ConnId, inbox: Inbox) {
    match admitted.role {
        Role::Client => {
            let sent = |message| PeerEvent::ClientSent { link, message };
            converse(admitted, link, &inbox, Silence::Allowed, Port::Client, sent).await;
        }
        Role::Worker => {
            let port = |connection| Port::Worker(WorkerPort::Tcp(connection));
            let sent = |message| match message {
                FromWorkerRole::Worker(message) => PeerEvent::WorkerSent { link, message },
                FromWorkerRole::Child(message) => PeerEvent::ChildSent { link, message },
            };
            converse(admitted, link, &inbox, Silence::Ends, port, sent).await;
        }
        Role::Observer | Role::Admin => {
            let sent = |message| PeerEvent::AdminSent { link, message };
            converse(admitted, link, &inbox, Silence::Allowed, Port::Admin, sent).await;
        }
    }
}

/// Brings one peer's messages to the inbox until it is gone.
async fn converse<In: Message, Out: Message>(
    admitted: Admitted,
    link: ConnId,
    inbox: &Inbox,
    silence: Silence,
    port: impl FnOnce(Rc<Connection<Out>>) -> Port,
    sent: impl Fn(In) -> PeerEvent,
) {
    let (role, from) = (admitted.role, admitted.from.to_string());
    let (connection, receiver) = Connection::new(admitted.stream, admitted.frames, role.name(), silence);
    inbox.push(PeerEvent::Admitted { link, role, port: port(Rc::clone(&connection)), from });
    let end = connection::run(&connection, receiver, |message: In| inbox.push(sent(message))).await;
    let (is_dead, why) = match end {
        ConnectionEnd::Lost(why) => (false, why),
        ConnectionEnd::Refused(why) => (false, format!("it refuses this manager: {why}")),
        ConnectionEnd::Silent => (true, format!("it was silent for {} s", limit::SILENCE.as_secs())),
        ConnectionEnd::Closed => (false, "this side closed the connection".to_owned()),
    };
    inbox.push(PeerEvent::Gone { link, is_dead, why });
}
