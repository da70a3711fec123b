//! Inputs of the pool: facts, in the past tense.

use argon_proto::conversation::worker::Run;
use argon_proto::{AttemptId, Outcome, RunnerId};

use super::environment::{EnvironmentFound, EnvironmentId};
use super::kind::{TemplateKey, Version};

/// End of a runner process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exit {
    /// Its process id.
    pub pid: Option<u32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The status with which it ended.
    pub code: Option<i32>,
    /// Peak memory, KiB.
    pub peak_kib: Option<u64>,
    /// Processor time of its attempt, microseconds.
    pub cpu_us: Option<u64>,
    /// Peak memory was counted by its control group, for all of its processes.
    pub peak_by_group: bool,
    /// Processor time was counted by its control group, for all of its processes.
    pub cpu_by_group: bool,
    /// The kernel has killed processes of its control group because there was no memory left for it.
    pub out_of_memory: bool,
    /// The last lines that it wrote to its standard output and error, during its task or before it was ready.
    pub output: String,
    /// Fault in its messages, if it was ended for one; or the reason why a command was not started.
    pub complaint: Option<String>,
}

/// Whose fault it is that a process could not be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// The machine's: it may have what it takes later.
    Machine,
    /// The program's: it will never start here.
    Program,
}

/// A fact that the pool must take into account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The worker starts: make runners ready.
    Started,
    /// The worker is registered with a manager.
    ManagerFound,
    /// Bytes were read from the manager.
    ManagerHeard,
    /// The connection to the manager ended.
    ManagerLost,
    /// The manager handed over an attempt, blobs included.
    TaskReceived(Run),
    /// The manager wants these attempts killed or forgotten.
    StopReceived(Vec<AttemptId>),
    /// The manager wants up to this number of attempts back that have not started.
    RetractRequested(u32),
    /// The manager needs these outcomes kept no longer.
    OutcomesSettled(Vec<AttemptId>),
    /// Finish what runs, give the rest back, leave; for this reason.
    DrainRequested(String),
    /// The machine has less left than the limits of the worker ask for (`true`), or enough again: while it is busy, nothing
    /// starts, and what has not started goes back to the manager.
    MachineBusy(bool),
    /// A runner process can take tasks.
    RunnerReady {
        /// The runner.
        runner: RunnerId,
        /// True if tasks can be prefetched to it.
        takes_prefetch: bool,
    },
    /// Tasks that a runner had not claimed were taken back from it.
    Retracted {
        /// The runner.
        runner: RunnerId,
        /// The attempts that it will not start, in their order.
        attempts: Vec<AttemptId>,
    },
    /// A runner reported an outcome.
    RunnerFinished {
        /// The runner.
        runner: RunnerId,
        /// The outcome.
        outcome: Outcome,
    },
    /// A runner process ended. It takes nothing more; what it wrote is still to be read.
    RunnerEnded {
        /// The runner.
        runner: RunnerId,
    },
    /// A runner process or a command ended, and everything it wrote was read.
    RunnerGone {
        /// The runner.
        runner: RunnerId,
        /// Status and last output.
        exit: Exit,
    },
    /// A runner could not be started.
    SpawnFailed {
        /// The runner.
        runner: RunnerId,
        /// KillReason.
        why: String,
        /// Whose fault it is.
        blame: Blame,
    },
    /// A template process can fork.
    TemplateReady {
        /// The template.
        key: TemplateKey,
    },
    /// A template process ended, or could not be started. Runners that it was asked for and did not fork are reported
    /// behind it, with [`Input::SpawnFailed`]: before it they would count as forks that failed in a live template, and
    /// be asked for there again.
    TemplateEnded {
        /// The template.
        key: TemplateKey,
        /// Why, for people.
        why: String,
    },
    /// An attempt waits for outcomes of its own tasks, so that its slot is free meanwhile; or goes on.
    AttemptWaits {
        /// The attempt.
        attempt: AttemptId,
        /// True if it waits.
        waits: bool,
    },
    /// Memory of idle runners, bytes each.
    RunnerMemory(Vec<(RunnerId, u64)>),
    /// The worker knows its Python interpreters, by now or better than before; the first one is the default.
    PythonsFound(Vec<Version>),
    /// An environment was looked for or built.
    EnvironmentFound {
        /// Which one.
        id: EnvironmentId,
        /// With which result.
        found: EnvironmentFound,
    },
    /// Nothing happened, but time went by.
    TimePassed,
}
