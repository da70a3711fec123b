//! Inputs of the scheduler: facts, in the past tense.

use std::time::Duration;

use argon_proto::conversation::worker::{Held, Lent, Register, SandboxView};
use argon_proto::conversation::{Answer, Ask, OutputCredit, TaskOutput};
use argon_proto::holder::OwnerName;
use argon_proto::{
    AttemptId, AttemptToken, BlobHash, Incarnation, Outcome, Secret, SessionId, Task, TaskId, Ticket,
    WorkerId,
};

/// One connection, numbered by the shell; a number is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ConnId(pub u64);

/// Description that a worker sends when it joins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerProfile {
    /// Random id of the worker process.
    pub id: WorkerId,
    /// Name for people, usually `host:port`.
    pub name: String,
    /// Its host.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// Number of tasks that it can run at once; at least 1.
    pub slots: u32,
    /// Runtimes and their versions.
    pub runtimes: Vec<(String, String)>,
    /// Release of its program.
    pub release: String,
    /// User of its tasks, if that is not its own.
    pub run_as: Option<String>,
    /// Sandbox of its tasks, if they are in one.
    pub sandbox: Option<SandboxView>,
    /// Why it starts no tasks at present, if it does not.
    pub paused: Option<String>,
}

/// The program of a client, as it describes itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientProgram {
    /// Its name for people.
    pub name: String,
    /// Its machine; may be empty.
    pub host: String,
    /// Its process id; 0 if unknown.
    pub pid: u32,
}

impl From<&str> for ClientProgram {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// Most runtimes that a worker names.
const RUNTIMES_MAX: usize = 64;

impl From<Register> for WorkerProfile {
    fn from(register: Register) -> Self {
        let Register { worker, name, host, pid, slots, release, runtimes, run_as, sandbox, paused, .. } =
            register;
        let runtimes = runtimes.into_iter().take(RUNTIMES_MAX);
        Self {
            id: worker,
            name: name.into(),
            host: host.into(),
            pid,
            slots,
            runtimes: runtimes.map(|(name, version)| (name.into(), version.into())).collect(),
            release: release.into(),
            run_as: run_as.map(Into::into),
            sandbox,
            paused: paused.map(Into::into),
        }
    }
}

/// A fact that the scheduler must take into account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A client that has proven the key opened its session.
    SessionOpened {
        /// Its connection.
        link: ConnId,
        /// Whose key it has proven.
        owner: OwnerName,
        /// Its session.
        session: SessionId,
        /// Proof that the session is its own.
        secret: Secret,
        /// The manager that the session was connected to last.
        previous: Option<Incarnation>,
        /// The program that it is.
        client: ClientProgram,
    },
    /// The client inside a task opened its session, through the worker that executes the task.
    ChildSessionOpened {
        /// Its connection.
        link: ConnId,
        /// Its session.
        session: SessionId,
        /// Proof that the session is its own.
        secret: Secret,
        /// The manager that the session was connected to last.
        previous: Option<Incarnation>,
        /// The program that it is.
        client: ClientProgram,
        /// The attempt that it belongs to.
        parent: AttemptId,
        /// Proof that the attempt was given to the worker.
        token: AttemptToken,
        /// The worker that executes this attempt.
        worker: WorkerId,
    },
    /// All tasks that have not ended were cancelled, of one owner or of all.
    AllTasksCancelled {
        /// The connection that asked.
        link: ConnId,
        /// Whose tasks; `None` for those of all.
        owner: Option<OwnerName>,
        /// Name of the peer that asked, shown to the owners of the tasks.
        by: String,
    },
    /// The client has offered again everything that it still waits for.
    OfferEnded {
        /// Its connection.
        link: ConnId,
    },
    /// A client handed over a whole task, blobs included.
    TaskSubmitted {
        /// Its connection.
        link: ConnId,
        /// The task.
        task: Task,
    },
    /// A client has these outcomes in hand.
    OutcomesTaken {
        /// Its connection.
        link: ConnId,
        /// The tasks.
        ids: Vec<TaskId>,
    },
    /// A client cancels tasks of its own session; others are left alone.
    OwnTasksCancelled {
        /// Its connection.
        link: ConnId,
        /// The tasks.
        ids: Vec<TaskId>,
    },
    /// A peer with the right to do so cancels these tasks, of any session.
    CancelRequested {
        /// Their connection.
        link: ConnId,
        /// The tasks.
        ids: Vec<TaskId>,
        /// Name of the peer, shown to the owners of the tasks; empty if the connection identifies it.
        by: String,
    },
    /// A task whose blobs had not all arrived was cancelled.
    TaskWithdrawn {
        /// The connection of the client that submitted it.
        link: ConnId,
        /// The task.
        task: Task,
        /// Name of the peer that cancelled it; empty if its own client did.
        by: String,
    },
    /// A client wants the outcomes of these detached tasks.
    CollectRequested {
        /// Its connection.
        link: ConnId,
        /// The tasks, and the right to each.
        tickets: Vec<Ticket>,
    },
    /// A client's connection ended.
    ClientLost {
        /// The connection.
        link: ConnId,
        /// True if the client said goodbye: its session ends at once.
        closed_cleanly: bool,
    },
    /// A worker lists a part of what it holds, before it registers.
    AttemptsListed {
        /// Its connection.
        link: ConnId,
        /// Attempts that it runs, has queued, or finished without being settled.
        held: Vec<Held>,
    },
    /// A worker registered.
    WorkerJoined {
        /// Its connection.
        link: ConnId,
        /// Its description.
        profile: WorkerProfile,
        /// Proof that the id is its own.
        secret: Secret,
        /// The manager that has registered it last.
        previous: Option<Incarnation>,
        /// The last part of the list of what it holds.
        held: Vec<Held>,
    },
    /// A worker's connection ended.
    WorkerLost {
        /// The connection.
        link: ConnId,
        /// True if its silence exceeded the limit and it counts as dead; otherwise it may come back in a moment.
        declared_dead: bool,
    },
    /// A worker wants no more tasks.
    WorkerDraining {
        /// Its connection.
        link: ConnId,
    },
    /// An operator wants a worker to take no more tasks and leave.
    DrainRequested {
        /// The worker.
        worker: WorkerId,
        /// Time that its running tasks have; `None` for no limit.
        within: Option<Duration>,
    },
    /// A worker holds these attempts no more and has no outcome for them.
    AttemptsReturned {
        /// Its connection.
        link: ConnId,
        /// The attempts.
        attempts: Vec<AttemptId>,
    },
    /// An attempt waits for outcomes of its own tasks and lends its slot meanwhile, or goes on.
    AttemptLent {
        /// The worker's connection.
        link: ConnId,
        /// The attempt, and whether it waits.
        lent: Lent,
    },
    /// A worker reported how an attempt ended.
    OutcomeArrived {
        /// Its connection.
        link: ConnId,
        /// The outcome.
        outcome: Outcome,
    },
    /// An attempt wrote something.
    OutputArrived {
        /// The worker's connection.
        link: ConnId,
        /// Output of the attempt.
        output: TaskOutput,
    },
    /// A worker lacks blobs of tasks that it holds, which are not here and not on their way.
    BlobsMissing {
        /// Its connection.
        link: ConnId,
        /// The blobs.
        hashes: Vec<BlobHash>,
    },
    /// An attempt asks its client for something.
    QuestionAsked {
        /// The worker's connection.
        link: ConnId,
        /// The question.
        ask: Ask,
    },
    /// A client has taken output of an attempt.
    OutputTaken {
        /// The client's connection.
        link: ConnId,
        /// Bytes in all, and the attempt.
        credit: OutputCredit,
    },
    /// A client answers an attempt's question.
    QuestionAnswered {
        /// The client's connection.
        link: ConnId,
        /// The answer.
        answer: Answer,
    },
    /// The store holds all records up to this number durably.
    RecordsCommitted {
        /// Number of durable records of this scheduler, counted from its first.
        up_to: u64,
    },
    /// The store could not take the records up to this number, and holds none of those that were not committed before.
    RecordsRefused {
        /// Number of records that this scheduler handed out up to the refused ones.
        up_to: u64,
        /// Why, for people.
        why: String,
    },
    /// The arguments of a RUN could not be read from the store; the worker was not sent it.
    ArgumentsUnreadable {
        /// The worker's connection.
        link: ConnId,
        /// The attempt.
        attempt: AttemptId,
        /// Why, for people.
        why: String,
    },
    /// The result of a detached task could not be read from the store; the client was not sent its outcome.
    ResultUnreadable {
        /// The client's connection.
        link: ConnId,
        /// The task.
        id: TaskId,
        /// Why, for people.
        why: String,
    },
    /// The shell keeps this much in memory besides the tasks: blobs, and what connections have not taken or sent.
    MemoryOfOthers {
        /// Number of bytes.
        bytes: u64,
    },
    /// A task had no room to wait for its blobs, or its payload had none.
    TaskWithoutRoom {
        /// The connection of its client.
        link: ConnId,
        /// The task.
        task: Task,
        /// Length of the payload that was sent.
        payload_bytes: u64,
    },
    /// Nothing happened, but time went by.
    TimePassed,
}
