//! Translates messages of peers into inputs of the scheduler. Decides which role may send which message.

pub mod inbox;
mod pieces;
mod process_end;
pub mod serve;
pub mod worker_role;

use std::collections::BTreeMap;
use std::time::Instant;

use argon_core::Time;
use argon_core::gate::GateEffect;
use argon_core::scheduler::{ClientProgram, ConnId, Effect, Input, WorkerProfile};
use argon_proto::conversation::Blob;
use argon_proto::conversation::admin::FromAdmin;
use argon_proto::conversation::child::ChildOpen;
use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::conversation::worker::{FromWorker, Held, Installing, Register, RunnersReport, ToWorker};
use argon_proto::handshake::RefusalCode;
use argon_proto::key::Role;
use argon_proto::limit;
use argon_proto::{AttemptId, BlobHash, Line, Outcome, Report, Status, Task};

use self::inbox::PeerEvent;
use super::event_loop::{MEMORY_STEP, ManagerLoop};

/// Blobs up to this size are taken although memory is full: the gate has charged their tasks for them.
const SMALL_BLOB: u64 = 16 << 10;
/// Longer ones come in parts.
const INLINE: u64 = limit::INLINE_BYTES as u64;
/// Most runtimes of a worker's report.
const RUNTIMES_MAX: usize = 64;
/// Most slots that one worker may offer.
const SLOTS_AT_MOST: u32 = 4096;

impl ManagerLoop {
    pub(super) fn on_client_sent(&mut self, now: Time, link: ConnId, message: ToManager) {
        if !self.peers.contains_key(&link) {
            return;
        }
        let input = match message {
            ToManager::Open(open) => return self.on_open(now, link, open),
            ToManager::ChildOpen(open) => return self.on_child_open(now, link, *open),
            ToManager::Submit(task) => return self.on_submit(now, link, task),
            ToManager::Blob(blob) => return self.on_blob(now, link, blob),
            ToManager::Request(request) => return self.on_request(now, link, Role::Client, &request),
            ToManager::Goodbye(_) => return self.on_goodbye(link),
            ToManager::Offered => Input::OfferEnded { link },
            ToManager::Ack(ids) => Input::OutcomesTaken { link, ids },
            ToManager::Cancel(ids) => return self.on_cancel(now, link, Role::Client, ids),
            ToManager::Collect(tickets) => Input::CollectRequested { link, tickets },
            ToManager::OutputCredit(credit) => Input::OutputTaken { link, credit },
            ToManager::Answer(answer) => Input::QuestionAnswered { link, answer },
        };
        self.step(now, input);
    }

    /// A message of a task's client, over a connection that a worker relays.
    pub(super) fn on_child_sent(&mut self, now: Time, link: ConnId, message: ToManager) {
        let Some(peer) = self.peers.get(&link) else {
            return;
        };
        let is_opening = matches!(message, ToManager::ChildOpen(_));
        if !is_opening && !peer.is_child() {
            let why = "a worker's connection carries messages of a client only after CHILD_OPEN";
            return self.refuse(link, RefusalCode::Role, why);
        }
        self.on_client_sent(now, link, message);
    }

    pub(super) fn on_worker_sent(&mut self, now: Time, link: ConnId, message: FromWorker) {
        let Some(peer) = self.peers.get(&link) else {
            return;
        };
        if peer.is_child() && !matches!(message, FromWorker::Goodbye(_)) {
            let why = "a connection that was opened with CHILD_OPEN carries messages of a client only";
            return self.refuse(link, RefusalCode::Role, why);
        }
        let input = match message {
            FromWorker::Held(held) => return self.on_held(now, link, held),
            FromWorker::Register(register) => return self.on_register(now, link, *register),
            FromWorker::NeedBlob(hashes) => {
                self.gate.on_need_blob(link, &hashes, &mut self.passing);
                return self.let_pass(now);
            }
            FromWorker::Goodbye(_) => return self.on_goodbye(link),
            FromWorker::Runners(report) => return self.on_runners(link, report),
            FromWorker::Outcome(outcome) => Input::OutcomeArrived { link, outcome },
            FromWorker::Returned(attempts) => Input::AttemptsReturned { link, attempts },
            FromWorker::Output(output) => Input::OutputArrived { link, output },
            FromWorker::Ask(ask) => Input::QuestionAsked { link, ask },
            FromWorker::Draining(_) => Input::WorkerDraining { link },
            FromWorker::Lent(lent) => Input::AttemptLent { link, lent },
        };
        self.step(now, input);
    }

    pub(super) fn on_admin_sent(&mut self, now: Time, link: ConnId, message: FromAdmin) {
        let Some(role) = self.peers.get(&link).map(|peer| peer.role) else {
            return;
        };
        match message {
            FromAdmin::Request(request) => self.on_request(now, link, role, &request),
            FromAdmin::Cancel(ids) if role == Role::Admin => self.on_cancel(now, link, role, ids),
            FromAdmin::Cancel(_) => self.refuse(link, RefusalCode::Role, "an observer may not cancel tasks"),
            FromAdmin::Goodbye(_) => {}
        }
    }

    fn on_runners(&mut self, link: ConnId, report: RunnersReport) {
        if let Some(peer) = self.peers.get_mut(&link) {
            let since = |what: &Installing| {
                let known = peer.installing.iter().find(|(known, _)| known.list == what.list);
                known.map_or_else(Instant::now, |(_, since)| *since)
            };
            peer.runners = shortened(report);
            peer.installing = peer.runners.installing.iter().map(|what| (*what, since(what))).collect();
        }
    }

    fn on_goodbye(&mut self, link: ConnId) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.said_goodbye = true;
        }
    }

    pub(super) fn on_gone(&mut self, now: Time, link: ConnId, is_dead: bool, why: &str) {
        let Some(peer) = self.peers.remove(&link) else {
            return;
        };
        match peer.role {
            Role::Client => {
                tracing::debug!("client {} is gone: {why}", peer.from);
                // A process that has ended does not come back. The client of a task is reached through its worker, which may.
                let closed_cleanly = peer.said_goodbye || is_dead && !peer.is_child();
                self.gate.on_client_lost(link);
                self.is_gate_behind = self.gate.is_behind();
                self.step(now, Input::ClientLost { link, closed_cleanly });
            }
            Role::Worker => {
                tracing::info!("worker {} is gone: {why}", peer.from);
                let declared_dead = is_dead || peer.said_goodbye || peer.is_expelled;
                self.gate.on_worker_lost(link);
                self.step(now, Input::WorkerLost { link, declared_dead });
            }
            Role::Observer | Role::Admin => {}
        }
    }

    /// Ends the connection of a peer, behind what the scheduler has to tell it: if that is a refusal too, the peer learns
    /// the first reason. A client sends tasks right behind its opening, and whether it may come again is said of that.
    pub(super) fn refuse(&mut self, link: ConnId, code: RefusalCode, why: &str) {
        self.out.effects.push(Effect::Close { link, code, why: why.to_owned() });
    }

    fn on_open(&mut self, now: Time, link: ConnId, open: Open) {
        let Open { session, secret, previous, client, host, pid, .. } = open;
        let client = program(client, "client", host, pid);
        let owner = self.peers.get(&link).map(|peer| peer.proven.owner()).unwrap_or_default();
        self.step(now, Input::SessionOpened { link, owner, session, secret, previous, client });
    }

    /// The client of a task opens its session, through the worker that executes the task. From here on the connection is
    /// that of a client. The scheduler checks that the worker has the attempt.
    fn on_child_open(&mut self, now: Time, link: ConnId, open: ChildOpen) {
        let Some(peer) = self.peers.get_mut(&link) else {
            return;
        };
        if !peer.become_child() {
            let why = "CHILD_OPEN is the first message of a connection that a worker opens for the client of a task";
            return self.refuse(link, RefusalCode::Role, why);
        }
        let ChildOpen { worker, task, attempt, token, session, secret, previous, client, host, pid } = open;
        let client = program(client, "client of a task", host, pid);
        let parent = AttemptId { task, attempt };
        self.step(
            now,
            Input::ChildSessionOpened { link, session, secret, previous, client, parent, token, worker },
        );
    }

    /// A task comes in when its blobs are here.
    fn on_submit(&mut self, now: Time, link: ConnId, task: Task) {
        // Before the gate, where a task that waits is found by its id alone.
        if !self.scheduler.is_own(link, task.head.id) {
            let why = "a task was submitted before its session was opened, or under the id of another one";
            return self.refuse(link, RefusalCode::Frame, why);
        }
        if let Some(peer) = self.peers.get(&link) {
            let is_arriving = |hash| peer.port.is_arriving(hash);
            let scheduler = &self.scheduler;
            let may_wait = |bytes, before| scheduler.has_memory_for(link, bytes, before);
            self.gate.on_submit(link, task, is_arriving, may_wait, &mut self.passing);
        }
        self.let_pass(now);
    }

    fn on_blob(&mut self, now: Time, link: ConnId, blob: Blob) {
        let Blob { hash, payload } = blob;
        if let Some(peer) = self.peers.get(&link) {
            peer.port.forget_arrival(hash);
        }
        // Room for a big one was made when it began; many that are not big may come at a time.
        if payload.len() > SMALL_BLOB && payload.len() <= INLINE && self.scheduler.is_memory_full() {
            self.gate.on_blob_without_room(link, hash, &mut self.passing);
        } else {
            self.gate.on_blob(hash, payload, &mut self.passing);
        }
        self.let_pass(now);
    }

    /// A message came whose payload had no room: a task or blob is offered again, an outcome is lost.
    pub(super) fn on_message_without_payload(
        &mut self,
        now: Time,
        link: ConnId,
        message: PeerEvent,
        bytes: u64,
    ) {
        match message {
            PeerEvent::ClientSent { message, .. } | PeerEvent::ChildSent { message, .. } => {
                self.on_offer_without_payload(now, link, message, bytes);
            }
            PeerEvent::WorkerSent { message: FromWorker::Outcome(outcome), .. } => {
                let outcome = without_result(&outcome, bytes, &self.scheduler.memory_message());
                tracing::warn!(
                    "the result of task {} had no room, {} bytes; see --memory",
                    outcome.head.id,
                    bytes
                );
                self.step(now, Input::OutcomeArrived { link, outcome });
            }
            PeerEvent::WorkerSent { .. }
            | PeerEvent::AdminSent { .. }
            | PeerEvent::Admitted { .. }
            | PeerEvent::WithoutPayload { .. }
            | PeerEvent::Gone { .. }
            | PeerEvent::MetricsAsked { .. } => {}
        }
    }

    fn on_offer_without_payload(&mut self, now: Time, link: ConnId, message: ToManager, bytes: u64) {
        match message {
            ToManager::Submit(task) => {
                self.gate.need(&task);
                self.step(now, Input::TaskWithoutRoom { link, task, payload_bytes: bytes });
            }
            ToManager::Blob(blob) => {
                self.gate.on_blob_without_room(link, blob.hash, &mut self.passing);
                self.let_pass(now);
            }
            ToManager::Open(_)
            | ToManager::ChildOpen(_)
            | ToManager::Request(_)
            | ToManager::Goodbye(_)
            | ToManager::Offered
            | ToManager::Ack(_)
            | ToManager::Cancel(_)
            | ToManager::Collect(_)
            | ToManager::OutputCredit(_)
            | ToManager::Answer(_) => {}
        }
    }

    /// Carries out what the gate wants.
    pub(super) fn let_pass(&mut self, now: Time) {
        self.is_gate_behind = self.gate.is_behind();
        let mut passing = std::mem::take(&mut self.passing);
        for effect in passing.drain(..) {
            match effect {
                GateEffect::Admit { link, task } => {
                    // It waits at the gate no more, and must not count twice while the scheduler takes it in.
                    if self.gate.memory() + MEMORY_STEP < self.memory_told {
                        self.tell_memory(now);
                    }
                    self.step(now, Input::TaskSubmitted { link, task });
                }
                GateEffect::Refuse { link, task } => {
                    let payload_bytes = task.payload.len();
                    self.step(now, Input::TaskWithoutRoom { link, task, payload_bytes });
                }
                GateEffect::Send { link, blob } => self.send_to_worker(link, ToWorker::Blob(blob)),
                GateEffect::Missing { link, hashes } => self.on_blobs_missing(now, link, &hashes),
                GateEffect::Ask { link, hashes } => self.send_to_client(link, ToClient::NeedBlob(hashes)),
            }
        }
        self.passing = passing;
    }

    /// A worker lists what it holds before it registers.
    fn on_held(&mut self, now: Time, link: ConnId, held: Vec<Held>) {
        let Some(peer) = self.peers.get_mut(&link) else {
            return;
        };
        if peer.worker.is_some() {
            let why = "a worker lists the attempts that it holds before it registers, not after";
            return self.refuse(link, RefusalCode::Frame, why);
        }
        peer.held += held.len();
        self.step(now, Input::AttemptsListed { link, held });
    }

    /// A worker wants blobs that are not here. Those on their way to the manager come by themselves.
    fn on_blobs_missing(&mut self, now: Time, link: ConnId, hashes: &[BlobHash]) {
        let is_coming = |hash| self.peers.values().any(|peer| peer.port.is_arriving(hash));
        let mut hashes = self.scheduler.needed_at(link, hashes);
        hashes.retain(|hash| !is_coming(*hash));
        if !hashes.is_empty() {
            self.step(now, Input::BlobsMissing { link, hashes });
        }
    }

    fn on_register(&mut self, now: Time, link: ConnId, register: Register) {
        if !(1..=SLOTS_AT_MOST).contains(&register.slots) {
            let slots = register.slots;
            let why = format!("a worker has between 1 and {SLOTS_AT_MOST} slots, not {slots}");
            return self.refuse(link, RefusalCode::Frame, &why);
        }
        let (secret, previous) = (register.secret.clone(), register.previous);
        let profile = WorkerProfile::from(register);
        let Some(peer) = self.peers.get_mut(&link) else {
            return;
        };
        peer.worker = Some(profile.id);
        let held = std::mem::take(&mut peer.held);
        let is_known = peer.from == profile.name;
        peer.from.clone_from(&profile.name);
        if !is_known {
            tracing::info!(
                "worker {} joined with {} slots, holding {} attempts",
                profile.name,
                profile.slots,
                held
            );
        }
        self.step(now, Input::WorkerJoined { link, profile, secret, previous, held: Vec::new() });
    }
}

/// Description of a client; `unnamed` is its name if it gives itself none.
fn program(name: Line, unnamed: &str, host: Line, pid: u32) -> ClientProgram {
    let name = if name.is_empty() { unnamed.to_owned() } else { name.into() };
    ClientProgram { name, host: host.into(), pid }
}

/// The report of a worker, as far as people read it.
fn shortened(report: RunnersReport) -> RunnersReport {
    let line = |text: String| Line::from(text).into();
    let counts = |counts: BTreeMap<String, u32>| {
        counts.into_iter().take(RUNTIMES_MAX).map(|(name, count)| (line(name), count)).collect()
    };
    RunnersReport {
        busy: counts(report.busy),
        idle: counts(report.idle),
        idle_bytes: report.idle_bytes,
        templates: report.templates.into_iter().take(RUNTIMES_MAX).map(line).collect(),
        installing: report.installing.into_iter().take(RUNTIMES_MAX).collect(),
    }
}

/// Outcome of a task whose result had no room.
fn without_result(outcome: &Outcome, bytes: u64, memory: &str) -> Outcome {
    let message = format!(
        "the task ended as {}, and its result of {bytes} bytes was lost: {memory}",
        outcome.head.status.name()
    );
    Outcome::reported(
        outcome.head.id,
        outcome.head.attempt,
        Status::Lost,
        outcome.head.run_us,
        &Report::of(message),
    )
}
