//! The numbers of a manager as metrics. All follow from what is counted or kept anyway, and cost nothing while nobody asks.
//! Labels have few values: no ids of tasks, workers or sessions, and a bounded number of owners and runtimes.

use std::collections::BTreeMap;

use argon_core::Time;
use argon_core::scheduler::{Distribution, SchedulerView, Totals, WorkerView};
use argon_proto::conversation::admin::{ManagerStatus, MemoryView, OwnerView};
use argon_proto::key::Role;

use crate::manager::event_loop::ManagerLoop;
use crate::manager::web::exposition::Exposition;

/// Owners, and runtimes, that have values of their own; the others share one.
const OWN_VALUES: usize = 20;
/// Label of the others.
const OTHERS: &str = "other";

impl ManagerLoop {
    /// The page of metrics, but for the parts that the loop does not know.
    pub(in crate::manager) fn metrics(&self, now: Time) -> Exposition {
        let status = self.status(now);
        let view = &status.scheduler;
        let mut page = Exposition::default();
        page.gauge("argon_build_info", "Release of the manager; the value is 1.")
            .sample(&[("version", status.release.as_str())], 1);
        tasks(&mut page, view);
        attempts(&mut page, &view.totals);
        workers(&mut page, view);
        owners(&mut page, &view.owners);
        memory(&mut page, &status);
        self.connections(&mut page);
        self.phases(&mut page);
        page.counter("argon_store_refusals_total", "Batches of records that the store had no room for.")
            .value(self.shell_counts.store_refusals);
        page
    }

    fn connections(&self, page: &mut Exposition) {
        let mut open = page.gauge("argon_connections", "Open connections that have proven a key, by role.");
        for role in Role::ALL {
            let count = self.peers.values().filter(|peer| peer.role == role).count();
            open.sample(&[("role", role.name())], count);
        }
        let mut admitted =
            page.counter("argon_connections_admitted_total", "Connections that have proven a key, by role.");
        for (role, count) in Role::ALL.into_iter().zip(self.shell_counts.admitted) {
            admitted.sample(&[("role", role.name())], count);
        }
        page.counter("argon_received_bytes_total", "Bytes from clients, workers and commands, before TLS.")
            .value(self.ledger.received());
        page.counter("argon_sent_bytes_total", "Bytes to clients, workers and commands, before TLS.")
            .value(self.ledger.sent());
    }

    fn phases(&self, page: &mut Exposition) {
        let phases = self.scheduler.phases();
        let mut family = page.histogram(
            "argon_task_phase_seconds",
            "Time of attempts in the queue and in their process, and of tasks from submission to outcome.",
        );
        for (phase, times) in
            [("queued", &phases.queued), ("running", &phases.running), ("total", &phases.total)]
        {
            let buckets = Distribution::bounds_us().zip(times.counts()).map(|(us, count)| (us / 1e6, count));
            family.distribution(&[("phase", phase)], buckets, times.above(), times.sum_us() as f64 / 1e6);
        }
    }
}

fn tasks(page: &mut Exposition, view: &SchedulerView) {
    let totals = &view.totals;
    page.counter("argon_tasks_submitted_total", "Tasks that came in.").value(totals.submitted);
    page.counter("argon_tasks_rejected_total", "Offers of tasks that had no room; clients offer them again.")
        .value(totals.rejected);
    let mut ended = page.counter("argon_tasks_ended_total", "Tasks that ended, by outcome.");
    let Totals { ok, error, died, timeout, cancelled, lost, .. } = *totals;
    for (outcome, count) in [
        ("ok", ok),
        ("error", error),
        ("died", died),
        ("timeout", timeout),
        ("cancelled", cancelled),
        ("lost", lost),
    ] {
        ended.sample(&[("outcome", outcome)], count);
    }
    page.counter(
        "argon_outcomes_expired_total",
        "Outcomes of detached tasks that no client has collected in time.",
    )
    .value(totals.expired);
    let mut queued = page.gauge("argon_tasks_queued", "Tasks that wait in the queue, by priority.");
    for (priority, count) in ["high", "normal", "low"].into_iter().zip(view.queued) {
        queued.sample(&[("priority", priority)], count);
    }
    page.gauge("argon_tasks_running", "Attempts that workers hold, those sent ahead included.")
        .value(view.tasks_running);
    page.gauge(
        "argon_tasks_lent",
        "Attempts at workers that wait for tasks of their own and occupy no slot.",
    )
    .value(view.tasks_lent);
    page.gauge(
        "argon_tasks_delayed",
        "Tasks that wait for a retry, for the store, or for a worker to come back.",
    )
    .value(view.waiting);
    page.gauge("argon_outcomes_untaken", "Ended tasks whose outcome was not taken yet.").value(view.untaken);
}

fn attempts(page: &mut Exposition, totals: &Totals) {
    for (name, help, count) in [
        ("argon_attempts_started_total", "Attempts that were given to workers.", totals.started),
        ("argon_attempts_adopted_total", "Attempts that were found with a worker.", totals.adopted),
        ("argon_attempts_recalled_total", "Attempts that came back before they started.", totals.recalled),
        ("argon_attempts_lost_total", "Attempts that were lost with their worker.", totals.lost_attempts),
        ("argon_attempts_retried_total", "Attempts that failed and were tried again.", totals.retried),
        (
            "argon_claims_unproven_total",
            "Claims about attempts that a worker was not given.",
            totals.unproven,
        ),
    ] {
        page.counter(name, help).value(count);
    }
}

fn workers(page: &mut Exposition, view: &SchedulerView) {
    let mut states = [("ready", 0), ("draining", 0), ("away", 0)];
    for worker in &view.worker_list {
        let state = match worker {
            WorkerView { connected: false, .. } => 2,
            WorkerView { draining: true, .. } => 1,
            _ => 0,
        };
        states[state].1 += 1;
    }
    let mut family = page.gauge(
        "argon_workers",
        "Workers: ready, draining (they take no more tasks), and away (they may come back).",
    );
    for (state, count) in states {
        family.sample(&[("state", state)], count);
    }
    let busy = |worker: &WorkerView| worker.held.saturating_sub(worker.lent).min(worker.slots.into());
    let connected = || view.worker_list.iter().filter(|worker| worker.connected);
    page.gauge("argon_slots", "Slots of all connected workers.").value(view.slots_total);
    page.gauge("argon_slots_busy", "Slots that an attempt occupies.")
        .value(connected().map(busy).sum::<u64>());
    let mut runners: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for worker in connected() {
        let reported = [("busy", &worker.runners.busy), ("idle", &worker.runners.idle)];
        for (state, counts) in reported {
            for (runtime, count) in counts {
                *runners.entry((runtime, state)).or_default() += u64::from(*count);
            }
        }
    }
    let mut family = page.gauge("argon_runners", "Runner processes, as their workers reported them last.");
    let mut others = [("busy", 0), ("idle", 0)];
    for (place, ((runtime, state), count)) in runners.into_iter().enumerate() {
        if place < 2 * OWN_VALUES {
            family.sample(&[("runtime", runtime), ("state", state)], count);
        } else if let Some((_, sum)) = others.iter_mut().find(|(other, _)| *other == state) {
            *sum += count;
        }
    }
    for (state, count) in others.into_iter().filter(|(_, count)| *count > 0) {
        family.sample(&[("runtime", OTHERS), ("state", state)], count);
    }
    page.gauge("argon_clients", "Connected clients.").value(view.clients);
}

/// Tasks of the owners that have most.
fn owners(page: &mut Exposition, owners: &[OwnerView]) {
    let mut sorted: Vec<&OwnerView> = owners.iter().collect();
    sorted.sort_by_key(|owner| std::cmp::Reverse(u64::from(owner.waiting) + u64::from(owner.running)));
    let (own, others) = sorted.split_at(sorted.len().min(OWN_VALUES));
    let mut family = page.gauge("argon_owner_tasks", "Tasks of an owner that wait, and that workers hold.");
    let mut sample = |owner: &str, waiting: u64, running: u64| {
        family.sample(&[("owner", owner), ("state", "waiting")], waiting);
        family.sample(&[("owner", owner), ("state", "running")], running);
    };
    for owner in own {
        sample(&owner.owner, owner.waiting.into(), owner.running.into());
    }
    if !others.is_empty() {
        let waiting = others.iter().map(|owner| u64::from(owner.waiting)).sum();
        let running = others.iter().map(|owner| u64::from(owner.running)).sum();
        sample(OTHERS, waiting, running);
    }
}

fn memory(page: &mut Exposition, status: &ManagerStatus) {
    let MemoryView { limit, used, tasks, outcomes, blobs, incoming, outgoing } = status.memory;
    page.gauge("argon_memory_limit_bytes", "Memory that the manager may use.").value(limit);
    page.gauge("argon_memory_used_bytes", "Memory that tasks, outcomes, blobs and messages use.").value(used);
    let mut family = page.gauge("argon_memory_bytes", "Memory in use, by what uses it.");
    for (what, bytes) in [
        ("tasks", tasks),
        ("outcomes", outcomes),
        ("blobs", blobs),
        ("incoming", incoming),
        ("outgoing", outgoing),
    ] {
        family.sample(&[("use", what)], bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(page: Exposition) -> String {
        String::from_utf8(page.into_body().to_vec()).expect("text")
    }

    #[test]
    fn owners_beyond_a_number_share_one_value() {
        let owner = |number: u32| OwnerView {
            owner: format!("p{number}"),
            waiting: number,
            running: 1,
            ..OwnerView::default()
        };
        let all: Vec<OwnerView> = (0..30).map(owner).collect();
        let mut page = Exposition::default();
        owners(&mut page, &all);
        let text = text(page);
        assert_eq!(text.lines().filter(|line| line.contains("state=\"waiting\"")).count(), OWN_VALUES + 1);
        assert!(text.contains("argon_owner_tasks{owner=\"p29\",state=\"waiting\"} 29"), "{text}");
        assert!(text.contains("argon_owner_tasks{owner=\"other\",state=\"waiting\"} 45"), "{text}");
        assert!(text.contains("argon_owner_tasks{owner=\"other\",state=\"running\"} 10"), "{text}");
    }

    #[test]
    fn a_slot_is_busy_with_what_its_worker_holds_and_has_not_lent() {
        let worker =
            |held, lent| WorkerView { slots: 4, held, lent, connected: true, ..WorkerView::default() };
        let worker_list = vec![worker(9, 0), worker(3, 1), WorkerView { held: 2, ..WorkerView::default() }];
        let mut page = Exposition::default();
        workers(&mut page, &SchedulerView { worker_list, slots_total: 8, ..SchedulerView::default() });
        let text = text(page);
        for line in ["argon_slots 8", "argon_slots_busy 6", "argon_workers{state=\"away\"} 1"] {
            assert!(text.lines().any(|other| other == line), "{line} in {text}");
        }
    }
}
