//! Questions and orders of people: status, drain, shutdown.

pub(crate) mod cancel;
pub(super) mod rates;

use std::time::Duration;

use argon_core::Time;
use argon_core::scheduler::{ConnId, Input, with_blobs_missing};
use argon_proto::WorkerId;
use argon_proto::conversation::admin::{
    Explanation, ManagerStatus, Question, Reply, Request, SchedulerView, WaitingReport, WhyWaiting,
    WorkerDrains, WorkerView,
};
use argon_proto::key::Role;

use super::event_loop::{ManagerLoop, REFUSALS_APART};
use super::peers::{AdmittedPeer, Port, WorkerPort};

impl ManagerLoop {
    pub(super) fn on_request(&mut self, now: Time, link: ConnId, role: Role, request: &Request) {
        let answer = self.answer(now, link, role, request);
        self.reply(link, answer.unwrap_or_else(|message| Reply::failed(request.request, message)));
    }

    fn answer(&mut self, now: Time, link: ConnId, role: Role, request: &Request) -> Result<Reply, String> {
        let number = request.request;
        let is_a_look = matches!(request.what.as_str(), "status" | "explain");
        if role == Role::Observer && !is_a_look {
            return Err("an observer may look, not touch; use the cluster key or an admin's".to_owned());
        }
        match Question::of(request)? {
            Question::Status => Ok(Reply::with(number, &self.status(now))),
            Question::Explain { task } => Ok(Reply::with(number, &self.explain(now, task)?)),
            Question::Waiting => Ok(Reply::with(number, &self.waiting(now, link, role)?)),
            Question::Cancel(cancel) => self.cancel(now, link, role, number, &cancel),
            Question::Drain { worker, within_ms } => {
                let within = within_ms.map(Duration::from_millis);
                Ok(Reply::with(number, &self.drain_worker(now, &worker, within)?))
            }
            Question::Shutdown if role == Role::Admin => {
                self.wants_stop = true;
                Ok(Reply::with(number, &()))
            }
            Question::Shutdown => Err("only an admin may stop the manager".to_owned()),
        }
    }

    fn status(&self, now: Time) -> ManagerStatus {
        let parked = self.parked();
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
        }
    }

    /// The scheduler's view, with the runners that workers have reported.
    fn view(&self, now: Time) -> SchedulerView {
        let mut view = self.scheduler.view(now);
        for worker in &mut view.worker_list {
            let is_same =
                |peer: &&AdmittedPeer| peer.worker.is_some_and(|id| id.to_string() == worker.worker);
            if let Some(peer) = self.peers.values().find(is_same) {
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
        let why = |(code, message): (&str, String)| WhyWaiting {
            code: code.to_owned(),
            message,
            ..WhyWaiting::default()
        };
        store.into_iter().chain(queue).map(why)
    }

    /// Number of tasks whose blobs have not all arrived.
    fn parked(&self) -> usize {
        self.gate.parked().len()
    }

    /// Reasons why tasks of the client's session wait; for an admin, which has no session, those of all sessions.
    fn waiting(&self, now: Time, link: ConnId, role: Role) -> Result<WaitingReport, String> {
        let waiting = match role {
            Role::Admin => self.scheduler.waiting(now),
            Role::Client | Role::Worker | Role::Observer => {
                self.scheduler.waiting_of(now, link).ok_or("this connection has opened no session")?
            }
        };
        let parked = match role {
            Role::Admin => self.parked(),
            Role::Client | Role::Worker | Role::Observer => self.gate.parked_of(link),
        };
        Ok(with_blobs_missing(waiting, parked))
    }

    fn explain(&self, now: Time, task: String) -> Result<Explanation, String> {
        let id = task.parse().map_err(|error| format!("{error}"))?;
        let state = self
            .scheduler
            .task_state(id)
            .ok_or("this manager knows no such task: it was never submitted, or its outcome was taken")?;
        let why = self.scheduler.waiting_of_task(now, id).waiting;
        Ok(Explanation { task, state, why })
    }

    fn drain_worker(
        &mut self,
        now: Time,
        name: &str,
        within: Option<Duration>,
    ) -> Result<WorkerDrains, String> {
        let workers = self.scheduler.view(now).worker_list;
        let is_meant = |worker: &&WorkerView| worker.name == name || worker.worker == name;
        let matching: Vec<_> = workers.iter().filter(is_meant).collect();
        match matching.as_slice() {
            [worker] => {
                let id: WorkerId = worker.worker.parse().map_err(|error| format!("{error}"))?;
                self.step(now, Input::DrainRequested { worker: id, within });
                Ok(WorkerDrains {
                    worker: worker.worker.clone(),
                    name: worker.name.clone(),
                    held: worker.held,
                    was_draining: worker.draining,
                    keeps_manager: worker.pid == std::process::id() && self.has_own_pool(),
                })
            }
            [] => {
                let names: Vec<_> = workers.iter().map(|worker| worker.name.as_str()).collect();
                let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                Err(format!("there is no worker '{name}' here; there are: {known}"))
            }
            several => {
                let ids: Vec<_> = several
                    .iter()
                    .map(|worker| {
                        let (id, slots, host, pid) = (&worker.worker, worker.slots, &worker.host, worker.pid);
                        format!("{id} ({slots} slots, process {pid} of {host})")
                    })
                    .collect();
                Err(format!("several workers are named '{name}'; say the id of one: {}", ids.join(", ")))
            }
        }
    }

    /// True if a pool in this process is among the workers.
    fn has_own_pool(&self) -> bool {
        self.peers.values().any(|peer| matches!(peer.port, Port::Worker(WorkerPort::Memory(_))))
    }
}
