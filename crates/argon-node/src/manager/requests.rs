//! Questions and orders of people: status, drain, shutdown.

pub(crate) mod cancel;
mod explain;
mod keys;
pub(super) mod metrics;
mod newcomers;
pub(super) mod rates;
mod rotation;
pub(super) mod shared;
mod status;
mod tasks;

use std::time::Duration;

use argon_core::Time;
use argon_core::scheduler::{ConnId, Input, with_blobs_missing, with_installing};
use argon_proto::WorkerId;
use argon_proto::conversation::admin::{Question, Reply, Request, WaitingReport, WorkerDrains};
use argon_proto::holder::OwnerName;
use argon_proto::key::Role;

use super::event_loop::ManagerLoop;
use super::peers::{Port, WorkerPort};

impl ManagerLoop {
    pub(super) fn on_request(&mut self, now: Time, link: ConnId, role: Role, request: &Request) {
        let answer = self.answer(now, link, role, request);
        self.reply(link, answer.unwrap_or_else(|message| Reply::failed(request.request, message)));
    }

    fn answer(&mut self, now: Time, link: ConnId, role: Role, request: &Request) -> Result<Reply, String> {
        let number = request.request;
        let is_a_look = matches!(request.what.as_str(), "status" | "explain" | "tasks" | "task" | "clients");
        if role == Role::Observer && !is_a_look {
            return Err("an observer may look, not touch; use the cluster key or an admin's".to_owned());
        }
        match Question::of(request)? {
            Question::Status => Ok(self.shared_status(now, link, role, number)),
            Question::Explain { task } => Ok(Reply::with(number, &self.explain(now, link, role, &task)?)),
            Question::Tasks(filter) => self.list_tasks(now, link, role, number, &filter),
            Question::Task { task } => Ok(Reply::with(number, &self.one_task(now, link, role, &task)?)),
            Question::Clients => Ok(Reply::with(number, &self.list_clients(now, link, role))),
            Question::Waiting => Ok(Reply::with(number, &self.waiting(now, link, role)?)),
            Question::Cancel(cancel) => self.cancel(now, link, role, number, &cancel),
            Question::Drain { .. } if role == Role::Client && self.person_at(link).is_some() => {
                Err("only an admin may drain workers that others use, too; use the cluster key or an admin's"
                    .to_owned())
            }
            Question::Drain { worker, within_ms } => {
                let within = within_ms.map(Duration::from_millis);
                Ok(Reply::with(number, &self.drain_worker(now, &worker, within)?))
            }
            Question::Shutdown if role == Role::Admin => {
                self.wants_stop = true;
                Ok(Reply::with(number, &()))
            }
            Question::Shutdown => Err("only an admin may stop the manager".to_owned()),
            Question::KeyAdd { .. }
            | Question::KeyList
            | Question::KeyRevoke { .. }
            | Question::KeyRotate
            | Question::KeyRetire { .. }
                if role != Role::Admin =>
            {
                Err("only an admin may see, make and revoke keys; use the cluster key or an admin's"
                    .to_owned())
            }
            Question::KeyAdd { name, role } => Ok(Reply::with(number, &self.add_key(&name, &role)?)),
            Question::KeyList => Ok(Reply::with(number, &self.list_keys())),
            Question::KeyRotate => Ok(Reply::with(number, &self.rotate_key()?)),
            Question::KeyRetire { force } => Ok(Reply::with(number, &self.retire_key(link, force)?)),
            Question::KeyRevoke { key } => Ok(Reply::with(number, &self.revoke_key(&key)?)),
            Question::Newcomers | Question::Approve { .. } | Question::Deny { .. } | Question::Invite(_)
                if role != Role::Admin =>
            {
                Err(newcomers::ADMINS_ONLY.to_owned())
            }
            Question::Newcomers => Ok(Reply::with(number, &self.newcomers.list())),
            Question::Approve { code } => Ok(Reply::with(number, &self.decide(&code, true)?)),
            Question::Deny { code } => Ok(Reply::with(number, &self.decide(&code, false)?)),
            Question::Invite(invite) => Ok(Reply::with(number, &self.invite(invite)?)),
        }
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
        let client = (role != Role::Admin).then_some(link);
        Ok(self.with_installing(with_blobs_missing(waiting, parked), client))
    }

    /// Adds tasks at workers that wait for packages: those of the client at a connection, or of all.
    fn with_installing(&self, mut report: WaitingReport, client: Option<ConnId>) -> WaitingReport {
        let workers = self.peers.values().filter_map(|peer| Some((peer.worker?, peer)));
        for (id, peer) in workers {
            for (what, since) in &peer.installing {
                let tasks = self.scheduler.held_with_blob(id, what.list, client);
                let name = self.scheduler.name_of_worker(id).unwrap_or_default();
                report = with_installing(report, tasks, name, what.packages, since.elapsed());
            }
        }
        report
    }

    /// Whose tasks a peer may see; `None` if those of all.
    fn sees(&self, link: ConnId, role: Role) -> Option<OwnerName> {
        match role {
            Role::Client => Some(self.scheduler.owner_at(link).cloned().unwrap_or_else(|| {
                let peer = self.peers.get(&link);
                peer.map(|peer| peer.proven.owner()).unwrap_or_default()
            })),
            Role::Admin | Role::Observer | Role::Worker => None,
        }
    }

    fn drain_worker(
        &mut self,
        now: Time,
        name: &str,
        within: Option<Duration>,
    ) -> Result<WorkerDrains, String> {
        let matching = self.scheduler.workers_named(now, name);
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
                let known = listed(self.scheduler.worker_names().map(str::to_owned));
                Err(format!("there is no worker '{name}' here; there are: {known}"))
            }
            several => {
                let ids = listed(several.iter().map(|worker| {
                    let (id, slots, host, pid) = (&worker.worker, worker.slots, &worker.host, worker.pid);
                    format!("{id} ({slots} slots, process {pid} of {host})")
                }));
                Err(format!("several workers are named '{name}'; say the id of one: {ids}"))
            }
        }
    }

    /// True if a pool in this process is among the workers.
    fn has_own_pool(&self) -> bool {
        self.peers.values().any(|peer| matches!(peer.port, Port::Worker(WorkerPort::Memory(_))))
    }
}

/// Names in a sentence, not more than people read.
fn listed(names: impl Iterator<Item = String>) -> String {
    const SHOWN: usize = 50;
    let mut names: Vec<String> = names.collect();
    let count = names.len();
    if count == 0 {
        return "none".to_owned();
    }
    names.truncate(SHOWN);
    let more = if count > SHOWN { format!(" and {} more", count - SHOWN) } else { String::new() };
    format!("{}{more}", names.join(", "))
}
