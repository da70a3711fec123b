//! From what peers say to what the scheduler is told. Who may say what is decided here.

use argon_core::Time;
use argon_core::scheduler::{Input, Link, WorkerProfile};
use argon_proto::key::Role;
use argon_proto::message::AttemptId;
use argon_proto::{BlobHash, Message, Payload, SessionId, Task, WorkerId};
use serde::Deserialize;

use super::driver::Driver;

/// The body of OPEN.
#[derive(Deserialize)]
struct Open {
    session: String,
    #[serde(default)]
    client: String,
}

/// The body of REGISTER.
#[derive(Deserialize)]
struct Register {
    worker: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    host: String,
    #[serde(default)]
    pid: u32,
    slots: u32,
    #[serde(default)]
    release: String,
    #[serde(default)]
    runtimes: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    held: Vec<(String, u32)>,
}

/// Most slots that one worker may offer.
const SLOTS_AT_MOST: u32 = 4096;

impl Driver {
    pub(super) fn on_said(&mut self, now: Time, link: Link, message: Message) {
        let Some(peer) = self.peers.get_mut(&link) else {
            return;
        };
        let role = peer.role;
        match (role, message) {
            (_, Message::Goodbye(_)) => peer.said_goodbye = true,
            (_, Message::Refused(json)) => {
                let refusal = argon_proto::handshake::Refusal::from_json(&json);
                tracing::warn!("{} {} refuses this manager: {refusal}", role.name(), peer.from);
            }
            (Role::Client, Message::Open(json)) => self.on_open(now, link, &json),
            (Role::Client, Message::Submit(task)) => self.on_submit(now, link, task),
            (Role::Client, Message::Offered) => self.step(now, Input::OfferEnded { link }),
            (Role::Client, Message::Ack(ids)) => self.step(now, Input::OutcomesTaken { link, ids }),
            (Role::Client | Role::Admin, Message::Cancel(ids)) => self.on_cancel(now, link, role, ids),
            (Role::Client, Message::Collect(ids)) => self.step(now, Input::CollectRequested { link, ids }),
            (Role::Client, word @ (Message::OutputCredit { to, .. } | Message::Answer { to, .. })) => {
                let attempt = to;
                self.step(now, Input::WordFromClient { link, attempt, word });
            }
            (Role::Client | Role::Admin | Role::Observer, Message::Request(json)) => {
                self.on_request(now, link, role, &json);
            }
            (Role::Client | Role::Worker, Message::Blob { hash, payload }) => {
                if let Some(peer) = self.peers.get(&link) {
                    peer.port.forget_arrival(hash);
                }
                self.on_blob(now, hash, payload)
            }
            (Role::Worker, Message::NeedBlob(hashes)) => self.on_need_blob(link, &hashes),
            (Role::Worker, Message::Register(json)) => self.on_register(now, link, &json),
            (Role::Worker, Message::Outcome(outcome)) => {
                self.step(now, Input::OutcomeArrived { link, outcome })
            }
            (Role::Worker, Message::Returned(attempts)) => {
                self.step(now, Input::AttemptsReturned { link, attempts });
            }
            (Role::Worker, word @ (Message::Output { from, .. } | Message::Ask { from, .. })) => {
                let attempt = from;
                self.step(now, Input::WordFromWorker { link, attempt, word });
            }
            (Role::Worker, Message::Draining(_)) => self.step(now, Input::WorkerDraining { link }),
            (role, _) => {
                let why = format!("a {} may not say that", role.name());
                self.refuse(link, "role", &why);
            }
        }
    }

    pub(super) fn on_gone(&mut self, now: Time, link: Link, is_dead: bool, why: &str) {
        let Some(peer) = self.peers.remove(&link) else {
            return;
        };
        match peer.role {
            Role::Client => {
                tracing::debug!("client {} is gone: {why}", peer.from);
                let farewell = peer.said_goodbye;
                self.step(now, Input::ClientLost { link, farewell });
            }
            Role::Worker => {
                tracing::info!("worker {} is gone: {why}", peer.from);
                let certain = is_dead || peer.said_goodbye;
                self.step(now, Input::WorkerLost { link, certain });
            }
            Role::Observer | Role::Admin => {}
        }
        for hash in peer.parked.iter().flat_map(Task::blob_hashes).collect::<Vec<_>>() {
            self.blobs.unpin(hash);
        }
    }

    pub(super) fn refuse(&mut self, link: Link, code: &str, why: &str) {
        if let Some(peer) = self.peers.get(&link) {
            tracing::info!("{} {} is disconnected: {why}", peer.role.name(), peer.from);
            peer.port.refuse(code, why);
        }
    }

    fn on_open(&mut self, now: Time, link: Link, json: &[u8]) {
        let open = serde_json::from_slice::<Open>(json).ok();
        let Some((session, client)) =
            open.and_then(|open| Some((open.session.parse::<SessionId>().ok()?, open.client)))
        else {
            return self.refuse(link, "frame", "OPEN needs a session of 32 hexadecimal digits");
        };
        let client = if client.is_empty() { "client".to_owned() } else { client };
        self.step(now, Input::SessionOpened { link, session, client });
    }

    /// A task comes in when its blobs are here; until then it is parked.
    fn on_submit(&mut self, now: Time, link: Link, task: Task) {
        let missing: Vec<BlobHash> = task.blob_hashes().filter(|hash| !self.blobs.contains(*hash)).collect();
        // What is here must stay; what is not is pinned when it comes.
        task.blob_hashes().for_each(|hash| self.blobs.pin(hash));
        if missing.is_empty() {
            return self.step(now, Input::TaskSubmitted { link, task });
        }
        let Some(peer) = self.peers.get_mut(&link) else {
            return;
        };
        let unasked: Vec<BlobHash> =
            missing.into_iter().filter(|hash| !peer.port.is_arriving(*hash)).collect();
        peer.parked.push(task);
        if !unasked.is_empty() {
            self.send(link, Message::NeedBlob(unasked));
        }
    }

    fn on_blob(&mut self, now: Time, hash: BlobHash, payload: Payload) {
        if self.blobs.contains(hash) {
            return;
        }
        self.blobs.insert(hash, payload);
        let waiting: Vec<Link> = self
            .peers
            .iter()
            .filter(|(_, peer)| {
                peer.parked.iter().any(|task| task.blob_hashes().any(|needed| needed == hash))
            })
            .map(|(link, _)| *link)
            .collect();
        for link in waiting {
            self.admit_parked(now, link, hash);
        }
    }

    fn admit_parked(&mut self, now: Time, link: Link, arrived: BlobHash) {
        let Some(peer) = self.peers.get_mut(&link) else {
            return;
        };
        let parked = std::mem::take(&mut peer.parked);
        for task in parked {
            if task.blob_hashes().any(|hash| hash == arrived) {
                self.blobs.pin(arrived);
            }
            if task.blob_hashes().all(|hash| self.blobs.contains(hash)) {
                self.step(now, Input::TaskSubmitted { link, task });
            } else if let Some(peer) = self.peers.get_mut(&link) {
                peer.parked.push(task);
            }
        }
    }

    fn on_need_blob(&mut self, link: Link, hashes: &[BlobHash]) {
        for hash in hashes {
            let Some(payload) = self.blobs.payload(*hash).cloned() else {
                tracing::warn!("a worker asks for the blob {hash}, which is not here");
                continue;
            };
            self.send(link, Message::Blob { hash: *hash, payload });
        }
    }

    fn on_register(&mut self, now: Time, link: Link, json: &[u8]) {
        match parse_register(json) {
            Ok((profile, held)) => {
                let mut is_known = false;
                if let Some(peer) = self.peers.get_mut(&link) {
                    is_known = peer.from == profile.name;
                    peer.from.clone_from(&profile.name);
                }
                if !is_known {
                    tracing::info!(
                        "worker {} joined with {} slots, holding {} attempts",
                        profile.name,
                        profile.slots,
                        held.len()
                    );
                }
                self.step(now, Input::WorkerJoined { link, profile, held });
            }
            Err(why) => self.refuse(link, "frame", &why),
        }
    }
}

fn parse_register(json: &[u8]) -> Result<(WorkerProfile, Vec<AttemptId>), String> {
    let register: Register =
        serde_json::from_slice(json).map_err(|error| format!("REGISTER cannot be read: {error}"))?;
    let id: WorkerId = register.worker.parse().map_err(|error| format!("REGISTER: {error}"))?;
    if !(1..=SLOTS_AT_MOST).contains(&register.slots) {
        return Err(format!("a worker has between 1 and {SLOTS_AT_MOST} slots, not {}", register.slots));
    }
    let held = register
        .held
        .iter()
        .map(|(task, attempt)| {
            Ok(AttemptId {
                task: task.parse().map_err(|error| format!("REGISTER: {error}"))?,
                attempt: argon_proto::Attempt(*attempt),
            })
        })
        .collect::<Result<Vec<_>, String>>()?;
    let profile = WorkerProfile {
        id,
        name: register.name.chars().take(200).collect(),
        host: register.host.chars().take(200).collect(),
        pid: register.pid,
        slots: register.slots,
        runtimes: register.runtimes.into_iter().collect(),
        release: register.release,
    };
    Ok((profile, held))
}
