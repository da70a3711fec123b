//! The request `explain`: why one task waits, with what the scheduler does not know.

use argon_core::Time;
use argon_core::scheduler::ConnId;
use argon_proto::TaskId;
use argon_proto::conversation::admin::{Explanation, TaskReason};
use argon_proto::key::Role;

use super::tasks::UNKNOWN_TASK;
use crate::manager::event_loop::ManagerLoop;

impl ManagerLoop {
    pub(super) fn explain(
        &self,
        now: Time,
        link: ConnId,
        role: Role,
        name: &str,
    ) -> Result<Explanation, String> {
        let id = self.named_task(link, role, name)?;
        let facts = self.one_task(now, link, role, &id.to_string())?;
        let mut told = self.scheduler.explain(now, id).unwrap_or_else(|| {
            let is_parked = self.gate.parked().any(|parked| parked == id);
            let (state, code, message) = if is_parked {
                let why = "its code or arguments have not arrived; its client sends them, or its connection is slow";
                ("waiting for its code".to_owned(), "blob", why.to_owned())
            } else {
                let why = if facts.message.is_empty() { String::new() } else { format!(": {}", facts.message) };
                (facts.state.clone(), "ended", format!("it has ended as {}{why}", facts.state))
            };
            let reasons = vec![TaskReason { code: code.to_owned(), message }];
            Explanation { task: id.to_string(), state, reasons, ..Explanation::default() }
        });
        told.short = facts.short;
        self.add_installing(id, &mut told);
        (!told.state.is_empty()).then_some(told).ok_or_else(|| UNKNOWN_TASK.to_owned())
    }

    /// Adds the packages that the task's worker installs for it.
    fn add_installing(&self, id: TaskId, told: &mut Explanation) {
        let workers = self.peers.values().filter_map(|peer| Some((peer.worker?, peer)));
        for (worker, peer) in workers {
            for (what, since) in &peer.installing {
                if self.scheduler.is_held_with_blob(id, worker, what.list) {
                    let name = self.scheduler.name_of_worker(worker).unwrap_or_default();
                    let (packages, seconds) = (what.packages, since.elapsed().as_secs());
                    let message = format!(
                        "worker {name} installs packages for it: {packages} of them, for {seconds} s so far"
                    );
                    told.reasons.insert(0, TaskReason { code: "environment".to_owned(), message });
                }
            }
        }
    }
}
