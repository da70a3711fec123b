//! Questions and orders of people: status, drain, shutdown.

use std::time::Duration;

use argon_core::Time;
use argon_core::scheduler::{Input, Link, SchedulerView};
use argon_proto::key::Role;
use argon_proto::{Message, WorkerId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cancel::CancelRequest;
use super::driver::Driver;
use super::peer::Port;

/// The body of REQUEST.
#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    request: u64,
    what: String,
    #[serde(default)]
    worker: String,
    #[serde(default)]
    within_ms: Option<u64>,
    #[serde(default)]
    task: String,
    #[serde(default)]
    tasks: Vec<String>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    by: String,
}

impl Driver {
    pub(super) fn on_request(&mut self, now: Time, link: Link, role: Role, body: &[u8]) {
        let request = match serde_json::from_slice::<Request>(body) {
            Ok(request) => request,
            Err(error) => return self.refuse(link, "frame", &format!("REQUEST cannot be read: {error}")),
        };
        let number = request.request;
        let answer = self.answer(now, link, role, &request);
        let mut reply = match answer {
            Ok(reply) => reply,
            Err(message) => json!({"ok": false, "message": message}),
        };
        reply["request"] = number.into();
        self.send(link, Message::Reply(reply.to_string().into()));
    }

    fn answer(&mut self, now: Time, link: Link, role: Role, request: &Request) -> Result<Value, String> {
        let what = request.what.as_str();
        if role == Role::Observer && !matches!(what, "status" | "explain") {
            return Err("an observer may look, not touch; use the cluster key or an admin's".to_owned());
        }
        match what {
            "status" => self.status(now),
            "explain" => self.explain(&request.task),
            "waiting" => self.waiting(now, link, role),
            "cancel" => {
                let asked = CancelRequest { tasks: &request.tasks, all: request.all, by: &request.by };
                self.cancel(now, link, role, &asked)
            }
            "drain" => self.drain(now, &request.worker, request.within_ms.map(Duration::from_millis)),
            "shutdown" if role == Role::Admin => {
                self.wants_stop = true;
                Ok(json!({"ok": true}))
            }
            "shutdown" => Err("only an admin may stop the manager".to_owned()),
            other => Err(format!(
                "this manager does not know the request '{other}'; it knows status, waiting, explain, cancel, drain and shutdown"
            )),
        }
    }

    fn status(&self, now: Time) -> Result<Value, String> {
        let view: SchedulerView = self.scheduler.view(now);
        let mut reply = serde_json::to_value(view).map_err(|error| error.to_string())?;
        reply["ok"] = true.into();
        reply["rates"] = self.rates.json(now, self.scheduler.totals());
        reply["uptime_s"] = self.started.elapsed().as_secs().into();
        reply["release"] = env!("CARGO_PKG_VERSION").into();
        reply["pid"] = std::process::id().into();
        Ok(reply)
    }

    /// Why the tasks of the client's session wait; for an admin, who has no session, those of all.
    fn waiting(&self, now: Time, link: Link, role: Role) -> Result<Value, String> {
        let waiting = match role {
            Role::Admin => self.scheduler.waiting(now),
            Role::Client | Role::Worker | Role::Observer => {
                self.scheduler.waiting_of(now, link).ok_or("this connection has opened no session")?
            }
        };
        let parked = match role {
            Role::Admin => self.peers.values().map(|peer| peer.parked.len()).sum(),
            Role::Client | Role::Worker | Role::Observer => {
                self.peers.get(&link).map_or(0, |peer| peer.parked.len())
            }
        };
        let waiting = waiting.with_blobs_missing(parked);
        let mut reply = serde_json::to_value(waiting).map_err(|error| error.to_string())?;
        reply["ok"] = true.into();
        Ok(reply)
    }

    fn explain(&self, task: &str) -> Result<Value, String> {
        let id = task.parse().map_err(|error| format!("{error}"))?;
        let state = self
            .scheduler
            .task_state(id)
            .ok_or("this manager knows no such task: it was never submitted, or its outcome was taken")?;
        Ok(json!({"ok": true, "task": task, "state": state}))
    }

    fn drain(&mut self, now: Time, name: &str, within: Option<Duration>) -> Result<Value, String> {
        let view = self.scheduler.view(now);
        let matching: Vec<_> =
            view.worker_list.iter().filter(|worker| worker.name == name || worker.worker == name).collect();
        match matching.as_slice() {
            [worker] => {
                let id: WorkerId = worker.worker.parse().map_err(|error| format!("{error}"))?;
                let reply = json!({
                    "ok": true,
                    "worker": worker.worker,
                    "name": worker.name,
                    "held": worker.held,
                    "was_draining": worker.draining,
                    "keeps_manager": worker.pid == std::process::id() && self.has_own_pool(),
                });
                self.step(now, Input::DrainRequested { worker: id, within });
                Ok(reply)
            }
            [] => {
                let names: Vec<_> = view.worker_list.iter().map(|worker| worker.name.as_str()).collect();
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

    /// Whether a pool in this process is among the workers.
    fn has_own_pool(&self) -> bool {
        self.peers.values().any(|peer| matches!(peer.port, Port::Memory(_)))
    }
}
