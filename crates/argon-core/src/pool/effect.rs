//! Effects of the pool: commands to the shell, in the imperative.

use argon_proto::conversation::worker::FromWorker;
use argon_proto::{RunnerId, Task};

use super::environment::{Environment, EnvironmentId};
use super::kind::{RunnerKind, TemplateKey, Version};

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
        /// The runner.
        runner: RunnerId,
        /// Its kind.
        kind: RunnerKind,
        /// The ready template to fork it from; none: start its program.
        template: Option<TemplateKey>,
    },
    /// Start a template process; then report [`Input::TemplateReady`](super::Input::TemplateReady) or
    /// [`Input::TemplateEnded`](super::Input::TemplateEnded).
    StartTemplate {
        /// The template.
        key: TemplateKey,
    },
    /// End a template process; then report it ended.
    EndTemplate {
        /// The template.
        key: TemplateKey,
    },
    /// Say that runners of this kind are started without a template from now on.
    ReportFallback {
        /// The template that cannot be used.
        key: TemplateKey,
        /// Why it ended last.
        why: String,
    },
    /// Give a runner a task.
    Hand {
        /// The runner.
        runner: RunnerId,
        /// The task.
        task: Task,
    },
    /// Give a runner a task beyond the one that it executes. It claims it before it starts it.
    Prefetch {
        /// The runner.
        runner: RunnerId,
        /// The task.
        task: Task,
    },
    /// Take back what the runner has not claimed, and report it with
    /// [`Input::Retracted`](super::Input::Retracted) before anything else of this runner.
    Retract {
        /// The runner.
        runner: RunnerId,
    },
    /// Start a task that is a command: a process of its own, which is reported gone when it has ended.
    Execute {
        /// The runner.
        runner: RunnerId,
        /// The task.
        task: Task,
    },
    /// Let an idle runner end by closing its socket; then report it gone.
    Retire {
        /// The runner.
        runner: RunnerId,
    },
    /// Signal a runner's process group.
    Signal {
        /// The runner.
        runner: RunnerId,
        /// Signal to send.
        signal: Signal,
    },
    /// Look for an environment, or build it; then report [`Input::EnvironmentFound`](super::Input::EnvironmentFound).
    FindEnvironment {
        /// Its number from now on.
        id: EnvironmentId,
        /// Its description.
        environment: Environment,
        /// The version of its interpreter.
        version: Version,
    },
    /// Forget an environment. Nobody waits for it: its build ends.
    ForgetEnvironment {
        /// Which one.
        id: EnvironmentId,
    },
    /// Say something to the manager. Only asked for while one is found.
    Tell(FromWorker),
    /// Send GOODBYE and end: everything is done.
    Leave,
}
