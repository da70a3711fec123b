//! The body of REGISTER: who this worker is and what it holds.

use argon_proto::Runtime;
use argon_proto::message::AttemptId;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::WorkerConfig;

/// `spec/protocol.md`, section 8.
pub(super) fn body(
    config: &WorkerConfig,
    runtimes: &[(Runtime, String)],
    held: impl Iterator<Item = AttemptId>,
) -> Bytes {
    let runtimes: Map<String, Value> = runtimes
        .iter()
        .map(|(runtime, version)| (runtime.name().to_owned(), Value::from(version.as_str())))
        .collect();
    let held: Vec<Value> = held.map(|held| json!([held.task.to_string(), held.attempt.0])).collect();
    let body = json!({
        "worker": config.id.to_string(),
        "name": config.name,
        "host": config.host,
        "pid": std::process::id(),
        "slots": config.slots,
        "release": env!("CARGO_PKG_VERSION"),
        "runtimes": runtimes,
        "held": held,
    });
    Bytes::from(body.to_string())
}
