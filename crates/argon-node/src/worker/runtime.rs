//! The runtimes that a worker can offer: one row of [`TABLE`] and one file below each.

mod perl;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use argon_proto::Runtime;
use bytes::Bytes;

use super::{WorkerConfig, WorkerError};

/// An interpreter that has not told its version by then is broken.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(10);

/// How runners of a runtime are found and started.
pub(super) struct Row {
    runtime: Runtime,
    /// The version on this machine.
    discover: fn(&WorkerConfig) -> Result<String, WorkerError>,
    launch: fn(&WorkerConfig) -> Launch,
}

/// What it takes to start a runner.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    /// What is written to its socket before anything else.
    pub(super) preamble: Bytes,
}

const TABLE: &[Row] = &[perl::ROW];

/// The runtimes of this machine with their versions, in the order of preference.
///
/// Starts each interpreter once and waits for its answer, so call it when nothing else has to go on.
///
/// # Errors
/// If there is none, says why the first one is not there.
pub fn discover_runtimes(config: &WorkerConfig) -> Result<Vec<(Runtime, String)>, WorkerError> {
    let mut found = Vec::new();
    let mut first_error = None;
    for row in TABLE {
        match (row.discover)(config) {
            Ok(version) => found.push((row.runtime, version)),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    match first_error {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// How to start a runner of this runtime; `None` if there is no row for it.
pub(super) fn launch(runtime: Runtime, config: &WorkerConfig) -> Option<Launch> {
    TABLE.iter().find(|row| row.runtime == runtime).map(|row| (row.launch)(config))
}

/// The standard output of a short command, or why there is none.
fn answer_of(mut command: Command) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let begun = Instant::now();
    while matches!(child.try_wait(), Ok(None)) {
        if begun.elapsed() > DISCOVERY_LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("it did not answer for {} s", DISCOVERY_LIMIT.as_secs()));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("it ended with {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
