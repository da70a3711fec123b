//! What the connected workers can do together: the half of the reason why tasks wait that is not about tasks.

use std::time::Duration;

use argon_proto::Runtime;

use super::super::Scheduler;
use crate::pool::Version;
use crate::time::Time;

/// Time after joining for which a worker may still be looking for its Python interpreters.
pub(in crate::scheduler) const LOOKS_FOR_PYTHON: Duration = Duration::from_secs(2);

/// Abilities of the connected workers.
#[derive(Default)]
pub(super) struct FleetSummary {
    pub(super) connected: usize,
    pub(super) draining: usize,
    /// Those that do not drain, and pause.
    pub(super) paused: usize,
    /// Reason of the last of them.
    pub(super) paused_because: Option<String>,
    /// Of those that do neither, by runtime: they could not start a runner of it.
    pub(super) resting: [usize; Runtime::ALL.len()],
    pub(super) slots: u64,
    /// Attempts that wait for tasks of their own.
    pub(super) lent: usize,
    /// Runtimes that some worker has.
    pub(super) has: [bool; Runtime::ALL.len()],
    pub(super) pythons: Vec<Version>,
    /// A worker has not named its runtimes: it may have any.
    pub(super) is_vague: bool,
    /// A worker may be looking for Pythons.
    pub(super) looks_for_python: bool,
}

impl Scheduler {
    pub(super) fn workers_at(&self, now: Time) -> FleetSummary {
        let mut all = FleetSummary::default();
        for (_, worker) in self.workers.iter().filter(|(_, worker)| worker.link.is_some()) {
            all.connected += 1;
            all.draining += usize::from(worker.draining);
            let is_paused = !worker.draining && worker.profile.paused.is_some();
            all.paused += usize::from(is_paused);
            if is_paused {
                all.paused_because.clone_from(&worker.profile.paused);
            }
            for (runtime, _) in Runtime::ALL.into_iter().filter(|_| !worker.draining && !is_paused) {
                all.resting[place(runtime)] += usize::from(worker.rests.has_runtime(runtime));
            }
            all.slots += if is_paused { 0 } else { worker.slots() };
            all.lent += worker.lent.len();
            all.is_vague |= worker.profile.runtimes.is_empty();
            all.looks_for_python |= now.since(worker.joined) < LOOKS_FOR_PYTHON;
            for (name, version) in &worker.profile.runtimes {
                if let Some((runtime, _)) = Runtime::ALL.iter().find(|(_, known)| known == name) {
                    all.has[place(*runtime)] = true;
                }
                if name == Runtime::Python.name() {
                    all.pythons.extend(version.split(',').filter_map(Version::parse));
                }
            }
        }
        all
    }
}

impl FleetSummary {
    /// Why nothing starts where all workers that do not drain pause.
    pub(super) fn why_paused(&self) -> String {
        match (self.paused, &self.paused_because) {
            (1, Some(because)) => format!("the only worker starts nothing now: {because}"),
            (paused, _) => {
                format!(
                    "{paused} workers start nothing now because of their own limits; argon status shows them"
                )
            }
        }
    }
}

/// Place of a runtime in lists with one entry for each.
pub(super) fn place(runtime: Runtime) -> usize {
    usize::from(runtime.to_byte()) - 1
}
