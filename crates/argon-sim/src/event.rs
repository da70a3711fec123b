//! Everything that can happen in the simulated world.

use argon_core::pool::RunnerId;
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::worker::{FromWorker, ToWorker};

/// A process that dials the manager.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Dialler {
    /// A worker, by its place.
    Worker(usize),
    /// A client, by its place.
    Client(usize),
}

/// What travels on a connection.
#[derive(Debug)]
pub(crate) enum Packet {
    /// The end of the handshake, with the credit that it grants.
    Welcome { tasks: u64, bytes: u64 },
    /// A client's message.
    FromClient(Box<ToManager>),
    /// A worker's message.
    FromWorker(Box<FromWorker>),
    /// The manager's message to a client.
    ToClient(Box<ToClient>),
    /// The manager's message to a worker.
    ToWorker(Box<ToWorker>),
    /// A sign of life that wants an answer.
    Ping,
    /// The answer.
    Pong,
    /// Nothing more will come.
    End,
}

/// What a runner process does by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RunnerDoes {
    Ready,
    FailToStart,
    FailToSpawn,
    Finish {
        run: u64,
    },
    /// The worker reads what its runner has written.
    Heard,
    Die {
        run: u64,
    },
    End {
        signal: Option<i32>,
    },
}

/// Something that happens at a moment. `life` tells a process from the one that was at its place before.
#[derive(Debug)]
pub(crate) enum Event {
    Arrive {
        connection: usize,
        up: bool,
        packet: Packet,
    },
    /// One end of a connection learns that it was reset.
    Reset {
        connection: usize,
        up: bool,
    },
    DialArrives {
        dialler: Dialler,
        life: u32,
        dial: u32,
    },
    DialFails {
        dialler: Dialler,
        life: u32,
        dial: u32,
    },
    Dial {
        dialler: Dialler,
        life: u32,
        dial: u32,
    },
    Beat {
        dialler: Dialler,
        life: u32,
    },
    ManagerStarts,
    ManagerWorks {
        life: u32,
    },
    ManagerTimer {
        life: u32,
        at: u64,
    },
    ManagerBeat {
        life: u32,
    },
    CommitEnds {
        life: u32,
    },
    StoreMayTry {
        life: u32,
    },
    WorkerStarts {
        worker: usize,
    },
    WorkerTimer {
        worker: usize,
        life: u32,
        at: u64,
    },
    Runner {
        worker: usize,
        life: u32,
        runner: RunnerId,
        does: RunnerDoes,
    },
    ClientSubmits {
        task: usize,
    },
    ClientCancels {
        task: usize,
    },
    ClientCollects {
        task: usize,
    },
    ClientRetries {
        task: usize,
    },
    ClientAcks {
        client: usize,
    },
    FaultBegins(usize),
    FaultEnds(usize),
}
