//! What happens to processes and environments of a worker.

use argon_core::pool::{EnvironmentFound, EnvironmentId, TemplateKey};

use crate::worker::process::spawners::Spawned;
use crate::worker::runtime::Python;
use crate::worker::templates::TemplateEvent;

/// Event at the processes of a worker.
#[derive(Debug)]
pub(crate) enum ProcessEvent {
    /// A command was started, or could not be.
    Spawned(Spawned),
    /// A child of the worker has ended.
    ChildEnded,
    /// Event at a template.
    Template(TemplateKey, TemplateEvent),
    /// Python interpreters have reported their versions: those that tasks can run in.
    PythonsFound(Vec<Python>),
    /// An environment of a client was looked for.
    EnvironmentFound(EnvironmentId, EnvironmentFound),
}
