//! Starting a manager: key, port, doors, driver.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;

use argon_core::scheduler::{ConnId, Limits, ManagerIdentity};
use argon_net::accept::{self, Admission, Admitted, DoorCounts, InForce, OpenKeys};
use argon_net::ledger::Ledger;
use argon_net::{Certificates, Connection, ConnectionEnd, ReadTurns, Silence, connection, random};
use argon_proto::conversation::admin::EncryptionView;
use argon_proto::conversation::client::ToManager;
use argon_proto::conversation::worker::FromWorker;
use argon_proto::handshake::Welcome;
use argon_proto::key::{Key, Role};
use argon_proto::{Incarnation, Message, Payload, limit};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use super::inbox::{Inbox, PeerEvent, PeerInbox, QueueReader};
use super::pieces::pieces;
use super::process_end::ClientProcess;
use super::worker_role::FromWorkerRole;
use crate::exit::Failure;
use crate::manager::event_loop::{Incoming, ManagerLoop};
use crate::manager::key_book::KeyBook;
use crate::manager::key_files::{ClusterKeys, KeyFiles};
use crate::manager::newcomers::{ManagerEntrance, Newcomers};
use crate::manager::peers::{Port, WorkerPort};
use crate::manager::store::Store;
use crate::manager::web::ManagerPages;
use crate::signals::StopSignal;

/// Settings of a manager.
#[derive(Debug)]
pub struct ManagerConfig {
    /// The open port.
    pub listener: TcpListener,
    /// The cluster key.
    pub key: Key,
    /// Certificates for peers that encrypt.
    pub certificates: Certificates,
    /// True if other machines may connect without encryption.
    pub allows_plaintext: bool,
    /// Bounds.
    pub limits: Limits,
    /// Store of detached tasks.
    pub store: Box<dyn Store>,
    /// Keys of people.
    pub people: KeyBook,
    /// Machines without a key.
    pub newcomers: Rc<Newcomers>,
    /// Files of the cluster key.
    pub key_files: KeyFiles,
    /// File of the store, if it has one.
    pub store_file: Option<PathBuf>,
    /// Request to end this process, where the manager itself goes on for a while.
    pub stopping: Option<StopSignal>,
}

impl ManagerConfig {
    /// Encryption of connections of other machines.
    #[must_use]
    pub fn encryption(&self) -> EncryptionView {
        EncryptionView { pin: self.certificates.pin(), is_required: !self.allows_plaintext }
    }
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
    let encryption = config.encryption();
    let incarnation = Incarnation(random::bytes()?);
    let welcome = Welcome {
        incarnation: Some(incarnation),
        release: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: Vec::new(),
        credit_tasks: config.limits.window_tasks,
        credit_bytes: config.limits.window_bytes,
    };
    let identity = ManagerIdentity { incarnation, capabilities: config.key_files.capabilities(&config.key) };
    let ledger = Ledger::new(config.limits.memory);
    let turns = ReadTurns::default();
    let incoming = Incoming { inbox: inbox.clone(), turns: turns.clone(), ledger: Rc::clone(&ledger) };
    let open_keys = OpenKeys::new(config.key, config.certificates);
    let open_keys = match config.key_files.older() {
        Some(older) => open_keys.or_older(older.clone()),
        None => open_keys,
    };
    let open_keys = Rc::new(RefCell::new(open_keys));
    let keys = ClusterKeys { open: Rc::clone(&open_keys), files: config.key_files };
    let mut driver = ManagerLoop::new(config.limits, identity, config.store, incoming, keys)?;
    driver.encryption = Some(encryption);
    driver.people = Rc::new(RefCell::new(config.people));
    driver.newcomers = Rc::clone(&config.newcomers);
    let people = Rc::clone(&driver.people);
    let counts = Rc::new(DoorCounts::default());
    let stopping = config.stopping.unwrap_or_else(|| stop.clone());
    let pages = ManagerPages {
        inbox: inbox.clone(),
        keys: Rc::clone(&open_keys),
        people: Rc::clone(&people),
        stopping,
        store: config.store_file,
        door: Rc::clone(&counts),
        answered: RefCell::default(),
        shared: Mutex::default(),
    };
    let admit = move |admitted: Admitted| {
        let (ledger, turns) = (Rc::clone(&ledger), turns.clone());
        let door = PeerDoor { link: links.next(), queue: inbox.open(), ledger, turns };
        tokio::task::spawn_local(attend(admitted, door));
    };
    let admission = Admission {
        keys: open_keys,
        welcome,
        allows_plaintext: config.allows_plaintext,
        in_force: InForce(Rc::new(move |proven| people.borrow_mut().check(proven))),
        entrance: Rc::new(ManagerEntrance(config.newcomers)),
        pages: Rc::new(pages),
        counts,
    };
    let doors = tokio::task::spawn_local(accept::serve(config.listener, admission, admit));
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

/// Receiver of the messages of one peer.
struct PeerDoor {
    link: ConnId,
    queue: PeerInbox,
    ledger: Rc<Ledger>,
    turns: ReadTurns,
}

/// Attends to a peer in the conversation of its role.
async fn attend(admitted: Admitted, door: PeerDoor) {
    let link = door.link;
    match admitted.proven.role {
        Role::Client => {
            let process = Cell::new(None);
            let sent = |message| {
                if let ToManager::Open(open) = &message {
                    process.set(ClientProcess::of(open));
                }
                PeerEvent::ClientSent { link, message }
            };
            converse(admitted, door, Silence::Allowed, Port::Client, sent, |_| false, &process).await;
        }
        Role::Worker => {
            let port = |connection| Port::Worker(WorkerPort::Tcp(connection));
            let sent = |message| match message {
                FromWorkerRole::Worker(message) => PeerEvent::WorkerSent { link, message },
                FromWorkerRole::Child(message) => PeerEvent::ChildSent { link, message },
            };
            // A client offers its tasks again; an outcome comes once.
            let is_outcome = |message: &_| matches!(message, FromWorkerRole::Worker(FromWorker::Outcome(_)));
            converse(admitted, door, Silence::Ends, port, sent, is_outcome, &Cell::new(None)).await;
        }
        Role::Observer | Role::Admin => {
            let sent = |message| PeerEvent::AdminSent { link, message };
            converse(admitted, door, Silence::Allowed, Port::Admin, sent, |_| false, &Cell::new(None)).await;
        }
    }
}

/// Brings one peer's messages to the inbox until it is gone.
async fn converse<In: Message, Out: Message + 'static>(
    admitted: Admitted,
    PeerDoor { link, queue, ledger, turns }: PeerDoor,
    silence: Silence,
    port: impl FnOnce(Rc<Connection<Out>>) -> Port,
    sent: impl Fn(In) -> PeerEvent,
    must_have: impl Fn(&In) -> bool,
    process: &Cell<Option<ClientProcess>>,
) {
    let (proven, from) = (admitted.proven, admitted.from.to_string());
    let name = proven.role.name();
    let (connection, mut receiver) = Connection::new(admitted.stream, admitted.frames, name, silence);
    receiver.take_turns(&turns);
    let drained = queue.clone();
    connection.charge_to(&ledger, move || drained.relist());
    queue.set_reader(ConnectionReader(Rc::clone(&connection)));
    queue.push(PeerEvent::Admitted { link, proven, port: port(Rc::clone(&connection)), from }, 1, 0);
    let taker = Taker { link, queue: &queue, sent, must_have };
    let end = connection::run(&connection, receiver, taker).await;
    let (is_dead, why) = match end {
        ConnectionEnd::Lost(why) => match process.get() {
            Some(process) if process.has_ended().await => (true, "its process has ended".to_owned()),
            _ => (false, why),
        },
        ConnectionEnd::Refused(why) => (false, format!("it refuses this manager: {why}")),
        ConnectionEnd::Silent => (true, format!("it was silent for {} s", limit::SILENCE.as_secs())),
        ConnectionEnd::Closed => (false, "this side closed the connection".to_owned()),
    };
    queue.push(PeerEvent::Gone { link, is_dead, why }, 1, 0);
}

/// Takes the messages of a connection for its queue.
struct Taker<'a, S, M> {
    link: ConnId,
    queue: &'a PeerInbox,
    sent: S,
    must_have: M,
}

impl<In: Message, S: Fn(In) -> PeerEvent, M: Fn(&In) -> bool> connection::Inbox<In> for Taker<'_, S, M> {
    fn take(&mut self, message: In) -> Result<(), ConnectionEnd> {
        let bytes = message.payload().map_or(0, Payload::len);
        pieces(self.link, (self.sent)(message), |event, weight| self.queue.push(event, weight, bytes));
        Ok(())
    }

    fn take_without_payload(&mut self, message: In, bytes: u64) -> Result<(), ConnectionEnd> {
        let message = Box::new((self.sent)(message));
        self.queue.push(PeerEvent::WithoutPayload { link: self.link, message, bytes }, 1, 0);
        Ok(())
    }

    fn must_have(&self, message: &In) -> bool {
        (self.must_have)(message)
    }

    fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    fn set_behind(&mut self, is_behind: bool) {
        self.queue.set_behind(is_behind);
    }
}

struct ConnectionReader<Out>(Rc<Connection<Out>>);

impl<Out: Message> QueueReader for ConnectionReader<Out> {
    fn is_clogged(&self) -> bool {
        self.0.is_clogged()
    }

    fn resume(&self) {
        self.0.resume();
    }
}
