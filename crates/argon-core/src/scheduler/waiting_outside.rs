//! Reasons of waits that the scheduler does not know: blobs on their way, and packages that workers install.

use std::time::Duration;

use argon_proto::conversation::admin::WaitingReport;

use super::waiting::{WaitReason, push};

/// Adds tasks that the scheduler does not know yet, because what they name has not arrived.
#[must_use]
pub fn with_blobs_missing(mut report: WaitingReport, tasks: usize) -> WaitingReport {
    let why = "their code or arguments have not arrived; the client sends them, or its connection is slow";
    push(&mut report.waiting, WaitReason::Blob, tasks as u64, why);
    report
}

/// Adds tasks at a worker that wait for packages which it installs.
#[must_use]
pub fn with_installing(
    mut report: WaitingReport,
    tasks: u64,
    worker: &str,
    packages: u32,
    since: Duration,
) -> WaitingReport {
    let what = match packages {
        1 => "a package".to_owned(),
        count => format!("{count} packages"),
    };
    let why = format!("worker {worker} is installing {what} ({} s)", since.as_secs());
    push(&mut report.waiting, WaitReason::Environment, tasks, &why);
    report.running = report.running.saturating_sub(tasks);
    report
}
