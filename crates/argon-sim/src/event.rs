//! Events of the simulated world.

use argon_core::pool::{RunnerId, TemplateKey};
use argon_proto::Incarnation;
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::worker::{FromWorker, ToWorker};
use argon_proto::handshake::Refusal;

/// A process that dials the manager.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Dialler {
    /// A worker, by its place.
    Worker(usize),
    /// A client, by its place.
    Client(usize),
    /// A lying process, by its place.
    Rogue(usize),
}

/// Contents of a connection: what one side sends to the other.
#[derive(Debug)]
pub(crate) enum Packet {
    /// The end of the handshake, with the credit that it grants.
    Welcome { tasks: u64, bytes: u64, incarnation: Incarnation },
    /// A client's message.
    FromClient(Box<ToManager>),
    /// A worker's message.
    FromWorker(Box<FromWorker>),
    /// The manager's message to a client.
    ToClient(Box<ToClient>),
    /// The manager's message to a worker.
    ToWorker(Box<ToWorker>),
    /// A sign of incarnation that wants an answer.
    Ping,
    /// The answer.
    Pong,
    /// The manager ends the connection in words.
    Refused(Box<Refusal>),
    /// Nothing more will come.
    End,
}

/// Action that a runner process takes by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RunnerDoes {
    Ready,
    /// The template has forked it.
    Forked,
    FailToStart,
    FailToSpawn,
    Finish {
        run: u64,
    },
    /// Its task makes tasks of its own.
    BeginChildren {
        run: u64,
    },
    /// The worker reads what its runner has written.
    Read,
    Die {
        run: u64,
    },
    End {
        signal: Option<i32>,
    },
}

/// Action that a template process takes by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TemplateDoes {
    Ready,
    End,
}

/// Event at a moment. `incarnation` distinguishes a process from the one that was at its place before.
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
        incarnation: u32,
        dial: u32,
    },
    DialFails {
        dialler: Dialler,
        incarnation: u32,
        dial: u32,
    },
    /// A worker loses the manager that lives on without a seat.
    WorkerCut {
        worker: usize,
        connection: usize,
    },
    /// The supervisor of a worker that was asked to leave waits no longer.
    WorkerOverdue {
        worker: usize,
        incarnation: u32,
    },
    /// A worker dials; a client does when its machine wants it.
    Dial {
        worker: usize,
        incarnation: u32,
        dial: u32,
    },
    WorkerBeat {
        worker: usize,
        incarnation: u32,
    },
    ManagerStarts,
    ManagerWorks {
        incarnation: u32,
    },
    ManagerTimer {
        incarnation: u32,
        at: u64,
    },
    ManagerBeat {
        incarnation: u32,
    },
    CommitEnds {
        incarnation: u32,
    },
    StoreMayTry {
        incarnation: u32,
    },
    WorkerStarts {
        worker: usize,
    },
    WorkerTimer {
        worker: usize,
        incarnation: u32,
        at: u64,
    },
    Runner {
        worker: usize,
        incarnation: u32,
        runner: RunnerId,
        does: RunnerDoes,
    },
    Template {
        worker: usize,
        incarnation: u32,
        key: TemplateKey,
        /// Distinguishes a process from the one that was there before.
        number: u64,
        does: TemplateDoes,
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
    ClientStarts {
        client: usize,
    },
    ClientTimer {
        client: usize,
        at: u64,
    },
    RogueActs {
        rogue: usize,
    },
    FaultBegins(usize),
    FaultEnds(usize),
    /// The oracle looks whether everything goes on.
    Watch,
}
