//! HELD and REGISTER: what this worker holds, and who it is.

use argon_proto::conversation::worker::{FromWorker, Held, Register, SandboxView};
use argon_proto::limit::IDS_PER_FRAME;
use argon_proto::{Incarnation, Runtime};

use crate::worker::config::WorkerConfig;

/// First messages of a worker on each connection.
#[derive(Debug)]
pub struct Introduction {
    /// Attempts that it holds.
    pub held: Vec<Held>,
    /// Description of the worker.
    pub register: Register,
}

impl Introduction {
    /// The messages, in their order. `previous` is the manager that has registered the worker last.
    pub fn into_messages(self, previous: Option<Incarnation>) -> impl Iterator<Item = FromWorker> {
        let Self { held, register } = self;
        let parts: Vec<FromWorker> =
            held.chunks(IDS_PER_FRAME).map(|part| FromWorker::Held(part.to_vec())).collect();
        parts.into_iter().chain([FromWorker::Register(Box::new(Register { previous, ..register }))])
    }
}

/// `spec/protocol.md`, section 8.
pub(crate) fn register(config: &WorkerConfig, runtimes: &[(Runtime, String)]) -> Register {
    Register {
        host: config.host.as_str().into(),
        name: config.name.as_str().into(),
        paused: None,
        pid: std::process::id(),
        previous: None,
        release: env!("CARGO_PKG_VERSION").into(),
        run_as: config.run_as.as_ref().map(|user| user.name().into()),
        sandbox: config.sandbox.as_ref().map(|sandbox| SandboxView { network: sandbox.network() }),
        runtimes: runtimes
            .iter()
            .map(|(runtime, version)| (runtime.name().into(), version.as_str().into()))
            .collect(),
        slots: u32::try_from(config.slots).unwrap_or(u32::MAX),
        secret: config.secret.clone(),
        worker: config.id(),
    }
}
