//! What the pool wants done: commands, in the imperative.

use argon_proto::Task;
use argon_proto::conversation::worker::FromWorker;

use super::kind::Kind;
use super::slot::SlotId;

/// Two ways to ask a runner's process group to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM: it may clean up.
    Term,
    /// SIGKILL: it is over.
    Kill,
}

/// A command to the worker's shell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Start a runner.
    Spawn {
        /// Where.
        slot: SlotId,
        /// Its number in the slot, to be repeated in what is reported of it.
        generation: u64,
        /// What kind.
        kind: Kind,
    },
    /// Give a runner a task.
    Hand {
        /// Where.
        slot: SlotId,
        /// The task.
        task: Task,
    },
    /// Give a runner a task beyond the one that it executes. It claims it before it starts it.
    HandAhead {
        /// Where.
        slot: SlotId,
        /// The task.
        task: Task,
    },
    /// Take back what the slot's runner has not claimed, and report it with
    /// [`Input::Reclaimed`](super::Input::Reclaimed) before anything else of this slot.
    Reclaim {
        /// Where.
        slot: SlotId,
        /// Which runner.
        generation: u64,
    },
    /// Start a task that is a command: a process of its own, which is reported gone when it has ended.
    Execute {
        /// Where.
        slot: SlotId,
        /// Its number in the slot, as a runner has one.
        generation: u64,
        /// The task.
        task: Task,
    },
    /// Let an idle runner end by closing its socket; then report it gone.
    Retire {
        /// Where.
        slot: SlotId,
        /// Which runner.
        generation: u64,
    },
    /// Signal a runner's process group.
    Signal {
        /// Where.
        slot: SlotId,
        /// Which runner.
        generation: u64,
        /// Which signal.
        signal: Signal,
    },
    /// Say something to the manager. Only asked for while one is found.
    Tell(FromWorker),
    /// Everything is done: say goodbye and end.
    Leave,
}
