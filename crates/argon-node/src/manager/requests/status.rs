//! The status of the manager: shared by all who ask, so that it costs a small part of the manager's time, and cut to what
//! a frame holds.

use std::collections::HashMap;
use std::time::Duration;

use argon_core::Time;
use argon_core::scheduler::{ConnId, with_blobs_missing};
use argon_proto::conversation::admin::{
    LeftOut, ManagerStatus, MemoryView, Rendered, Reply, SchedulerView, WhyWaiting,
};
use argon_proto::holder::OwnerName;
use argon_proto::key::Role;
use argon_proto::limit;
use tokio::time::Instant;

use crate::manager::event_loop::{ManagerLoop, REFUSALS_APART};

/// A status is shared for this many times the time that it took to compute, so that questions take at most that part of
/// the manager's time.
const SHARED_TIMES: u32 = 20;
/// Longest time for which it is shared.
const SHARED_FOR_MAX: Duration = Duration::from_millis(500);
/// Longest status: the number of the request and the frame's head need a little.
pub(super) const STATUS_BYTES: usize = limit::FRAME_BYTES - 1024;

impl ManagerLoop {
    /// Answers with the status, as far as the asker may see it.
    pub(super) fn shared_status(&mut self, now: Time, link: ConnId, role: Role, number: u64) -> Reply {
        let owner = self.sees(link, role);
        if let Some(rendered) = self.shared_status.fresh(owner.as_ref()) {
            return Reply::rendered(number, rendered.clone());
        }
        let begun = Instant::now();
        let mut status = self.status(now);
        if let Some(owner) = &owner {
            leave_only(&mut status.scheduler, owner);
        }
        let rendered = rendered(status);
        let shared_for = (begun.elapsed() * SHARED_TIMES).min(SHARED_FOR_MAX);
        self.shared_status.share(owner, Instant::now() + shared_for, rendered.clone());
        Reply::rendered(number, rendered)
    }

    pub(super) fn status(&self, now: Time) -> ManagerStatus {
        let parked = self.parked();
        let (tasks, outcomes) = self.scheduler.memory_by_state();
        ManagerStatus {
            scheduler: self.view(now),
            rates: self.rates.at(now, self.scheduler.totals()),
            uptime_s: self.started.elapsed().as_secs(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            why: self
                .refusals()
                .chain(with_blobs_missing(self.scheduler.waiting(now), parked).waiting)
                .collect(),
            memory: MemoryView {
                limit: self.scheduler.memory_limit(),
                used: self.scheduler.memory_used(),
                tasks,
                outcomes,
                blobs: self.gate.memory(),
                incoming: self.ledger.incoming(),
                outgoing: self.ledger.outgoing(),
            },
            encryption: self.encryption,
            left_out: LeftOut::default(),
        }
    }

    /// The scheduler's view, with the runners that workers have reported.
    fn view(&self, now: Time) -> SchedulerView {
        let mut view = self.scheduler.view(now);
        // A connection that the worker has given up may still be here: its last one counts.
        let mut registered: Vec<_> = self.peers.iter().filter(|(_, peer)| peer.worker.is_some()).collect();
        registered.sort_unstable_by_key(|(link, _)| **link);
        let named = registered.into_iter().filter_map(|(_, peer)| Some((peer.worker?.to_string(), peer)));
        let peers: HashMap<String, _> = named.collect();
        for worker in &mut view.worker_list {
            if let Some(peer) = peers.get(&worker.worker) {
                worker.runners = peer.runners.clone();
                worker.small_segments = peer.port.has_small_segments();
            }
        }
        view
    }

    /// Reasons why the manager accepts no tasks now. Clients hold them, so the manager cannot count them.
    fn refusals(&self) -> impl Iterator<Item = WhyWaiting> {
        let store =
            self.last_refusal.as_ref().filter(|(at, _)| at.elapsed() < REFUSALS_APART).map(|(_, why)| {
                ("store_full", format!("detached tasks are not taken until the store can write: {why}"))
            });
        let is_full = self.scheduler.is_queue_full();
        let queue = is_full.then(|| {
            (
                "queue_full",
                "no more tasks are taken: the queue is full; add workers, or raise --queue-size".to_owned(),
            )
        });
        let is_full = self.scheduler.is_memory_full();
        let memory = is_full.then(|| ("memory_full", self.scheduler.memory_message()));
        let why = |(code, message): (&str, String)| WhyWaiting {
            code: code.to_owned(),
            message,
            ..WhyWaiting::default()
        };
        store.into_iter().chain(queue).chain(memory).map(why)
    }
}

/// Leaves out the tasks, clients and numbers of other owners. What all share stays: workers, slots and totals.
fn leave_only(view: &mut SchedulerView, owner: &OwnerName) {
    view.running.retain(|task| task.owner == owner.as_str());
    view.away.retain(|client| client.owner == owner.as_str());
    view.owners.retain(|other| other.owner == owner.as_str());
}

/// The status as JSON that fits into a frame. Lists that are too long lose their end, and the status says how much.
fn rendered(mut status: ManagerStatus) -> Rendered {
    loop {
        let rendered = Rendered::of(&status);
        if rendered.len() <= STATUS_BYTES || !cut_longest(&mut status, rendered.len()) {
            return rendered;
        }
    }
}

/// Cuts the longest list of a status that takes `bytes`; false if there is none.
fn cut_longest(status: &mut ManagerStatus, bytes: usize) -> bool {
    let view = &mut status.scheduler;
    let lengths = [view.worker_list.len(), view.running.len(), view.away.len(), status.why.len()];
    let Some(longest) = (0..lengths.len()).max_by_key(|at| lengths[*at]).filter(|at| lengths[*at] > 0) else {
        return false;
    };
    let length = lengths[longest];
    let kept = (length * STATUS_BYTES / bytes).min(length * 15 / 16);
    let cut = length - kept;
    match longest {
        0 => {
            view.worker_list.truncate(kept);
            status.left_out.workers += cut;
        }
        1 => {
            view.running.truncate(kept);
            status.left_out.running += cut;
        }
        2 => {
            view.away.truncate(kept);
            status.left_out.away += cut;
        }
        _ => status.why.truncate(kept),
    }
    true
}

#[cfg(test)]
mod tests {
    use argon_proto::conversation::admin::{RunningTask, WorkerView};

    use super::*;

    #[test]
    fn a_status_of_ten_thousand_workers_fits_into_a_frame_and_says_what_it_leaves_out() {
        let worker = WorkerView { name: "w".repeat(100), host: "h".repeat(100), ..WorkerView::default() };
        let running = RunningTask { what: "x".repeat(200), ..RunningTask::default() };
        let scheduler = SchedulerView {
            worker_list: vec![worker; 10_000],
            running: vec![running; 1000],
            ..SchedulerView::default()
        };
        let rendered = rendered(ManagerStatus { scheduler, ..ManagerStatus::default() });
        assert!(rendered.len() <= STATUS_BYTES && rendered.len() > STATUS_BYTES * 3 / 4);
        let status: ManagerStatus = Reply::rendered(1, rendered).read().expect("a status");
        let left = status.left_out;
        assert_eq!(status.scheduler.worker_list.len() + left.workers, 10_000);
        assert_eq!(status.scheduler.running.len() + left.running, 1000);
        assert!(left.workers > 1000);
    }
}
