//! From what peers say to what the scheduler is told. Who may say what is decided here.

use argon_core::Time;
use argon_core::scheduler::{Input, Link, WorkerProfile};
use argon_proto::conversation::Blob;
use argon_proto::conversation::admin::FromAdmin;
use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::conversation::worker::{FromWorker, Register, ToWorker};
use argon_proto::key::Role;
use argon_proto::{BlobHash, Payload, Task};

use super::driver::Driver;

/// Most slots that one worker may offer.
const SLOTS_AT_MOST: u32 = 4096;

impl Driver {
    pub(super) fn on_client_sent(&mut self, now: Time, link: Link, message: ToManager) {
        if !self.peers.contains_key(&link) {
            return;
        }
        let input = match message {
            ToManager::Open(open) => return self.on_open(now, link, open),
            ToManager::Submit(task) => return self.on_submit(now, link, task),
            ToManager::Blob(Blob { hash, payload }) => {
                if let Some(peer) = self.peers.get(&link) {
                    peer.port.forget_arrival(hash);
                }
                return self.on_blob(now, hash, payload);
            }
            ToManager::Request(request) => return self.on_request(now, link, Role::Client, &request),
            ToManager::Goodbye(_) => return self.on_goodbye(link),
            ToManager::Offered => Input::OfferEnded { link },
            ToManager::Ack(ids) => Input::OutcomesTaken { link, ids },
            ToManager::Cancel(ids) => return self.on_cancel(now, link, Role::Client, ids),
            ToManager::Collect(ids) => Input::CollectRequested { link, ids },
            ToManager::OutputCredit(credit) => Input::OutputTaken { link, credit },
            ToManager::Answer(answer) => Input::QuestionAnswered { link, answer },
        };
        self.step(now, input);
    }

    pub(super) fn on_worker_sent(&mut self, now: Time, link: Link, message: FromWorker) {
        if !self.peers.contains_key(&link) {
            return;
        }
        let input = match message {
            FromWorker::Register(register) => return self.on_register(now, link, register),
            FromWorker::NeedBlob(hashes) => return self.on_need_blob(link, &hashes),
            FromWorker::Goodbye(_) => return self.on_goodbye(link),
            FromWorker::Outcome(outcome) => Input::OutcomeArrived { link, outcome },
            FromWorker::Returned(attempts) => Input::AttemptsReturned { link, attempts },
            FromWorker::Output(output) => Input::OutputArrived { link, output },
            FromWorker::Ask(ask) => Input::QuestionAsked { link, ask },
            FromWorker::Draining(_) => Input::WorkerDraining { link },
        };
        self.step(now, input);
    }

    pub(super) fn on_admin_sent(&mut self, now: Time, link: Link, message: FromAdmin) {
        let Some(role) = self.peers.get(&link).map(|peer| peer.role) else {
            return;
        };
        match message {
            FromAdmin::Request(request) => self.on_request(now, link, role, &request),
            FromAdmin::Cancel(ids) if role == Role::Admin => self.on_cancel(now, link, role, ids),
            FromAdmin::Cancel(_) => self.refuse(link, "role", "an observer may not cancel tasks"),
            FromAdmin::Goodbye(_) => {}
        }
    }

    fn on_goodbye(&mut self, link: Link) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.said_goodbye = true;
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

    fn on_open(&mut self, now: Time, link: Link, open: Open) {
        let Open { session, client, .. } = open;
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
            self.send_to_client(link, &ToClient::NeedBlob(unasked));
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
            self.send_to_worker(link, ToWorker::Blob(Blob { hash: *hash, payload }));
        }
    }

    fn on_register(&mut self, now: Time, link: Link, mut register: Register) {
        if !(1..=SLOTS_AT_MOST).contains(&register.slots) {
            let slots = register.slots;
            let why = format!("a worker has between 1 and {SLOTS_AT_MOST} slots, not {slots}");
            return self.refuse(link, "frame", &why);
        }
        let held = std::mem::take(&mut register.held);
        let profile = WorkerProfile::from(register);
        let Some(peer) = self.peers.get_mut(&link) else {
            return;
        };
        let is_known = peer.from == profile.name;
        peer.from.clone_from(&profile.name);
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
}
