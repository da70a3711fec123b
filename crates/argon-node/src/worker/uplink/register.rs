//! REGISTER: who this worker is and what it holds.

use argon_proto::conversation::worker::Register;
use argon_proto::{AttemptId, Runtime};

use crate::worker::config::WorkerConfig;

/// `spec/protocol.md`, section 8.
pub(crate) fn introduction(
    config: &WorkerConfig,
    runtimes: &[(Runtime, String)],
    held: impl Iterator<Item = AttemptId>,
) -> Register {
    Register {
        held: held.collect(),
        host: config.host.clone(),
        name: config.name.clone(),
        pid: std::process::id(),
        release: env!("CARGO_PKG_VERSION").to_owned(),
        runtimes: runtimes
            .iter()
            .map(|(runtime, version)| (runtime.name().to_owned(), version.clone()))
            .collect(),
        slots: u32::try_from(config.slots).unwrap_or(u32::MAX),
        worker: config.id,
    }
}
