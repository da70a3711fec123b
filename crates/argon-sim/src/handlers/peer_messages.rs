//! The manager's doors: packets become inputs, effects become packets, and the oracle sees both.

use argon_core::Time;
use argon_core::gate::GateEffect;
use argon_core::scheduler::{ConnId, Effect, Input, WorkerProfile};
use argon_proto::conversation::admin::{Question, Reply};
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::worker::{FromWorker, Run, ToWorker};
use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::{AttemptId, Flags, Status, Ticket, WorkerId};

use crate::described::attempt_of;
use crate::event::{Dialler, Packet};
use crate::manager::{Arrival, ManagerProcess};
use crate::world::World;

impl World {
    pub(crate) fn take_arrival(
        &mut self,
        now: Time,
        process: &mut ManagerProcess,
        link: ConnId,
        arrival: Arrival,
    ) {
        if !process.peers.contains_key(&link) {
            return;
        }
        match arrival {
            Arrival::Packet(Packet::FromClient(message)) => self.client_sent(now, process, link, *message),
            Arrival::Packet(Packet::FromWorker(message)) => self.worker_sent(now, process, link, *message),
            Arrival::Packet(Packet::Ping) => {
                if let Some(peer) = process.peers.get(&link) {
                    self.send(peer.connection, false, Packet::Pong);
                }
            }
            Arrival::Packet(
                Packet::ToClient(_)
                | Packet::ToWorker(_)
                | Packet::Refused(_)
                | Packet::Welcome { .. }
                | Packet::Pong
                | Packet::End,
            ) => {}
            Arrival::Gone { is_dead } => self.take_leave(now, process, link, is_dead, false),
        }
    }

    fn introduce(&mut self, process: &mut ManagerProcess, link: ConnId) {
        if let Some(peer) = process.peers.get_mut(&link) {
            peer.is_introduced = true;
        }
    }

    /// A client that stayed away beyond the grace period finds its tasks dropped; they may run once more.
    fn on_return(&mut self, now: Time, process: &mut ManagerProcess, link: ConnId) {
        let Some(Dialler::Client(client)) = process.peers.get(&link).map(|peer| peer.dialler) else {
            return;
        };
        let left = process.left.remove(&client);
        if left.is_some_and(|left| now.since(left) >= self.plan.shape.limits.session_grace) {
            let tasks = self.plan.tasks.iter().filter(|task| task.client == client);
            self.oracle.session_lost(tasks.map(|task| task.number));
        }
    }

    fn on_register(
        &mut self,
        now: Time,
        process: &mut ManagerProcess,
        link: ConnId,
        id: WorkerId,
        held: &[AttemptId],
    ) {
        self.introduce(process, link);
        let Some(peer) = process.peers.get_mut(&link) else {
            return;
        };
        peer.holds.extend(held);
        peer.worker = Some(id);
        let Dialler::Worker(worker) = peer.dialler else {
            return;
        };
        // The same process on a new connection: what was under way on the old one is gone.
        for (other, peer) in &mut process.peers {
            if *other != link && peer.worker == Some(id) {
                let holds: Vec<AttemptId> = std::mem::take(&mut peer.holds).into_iter().collect();
                self.oracle.link_lost(self.now, *other, &holds);
            }
        }
        let is_new = process.known.insert(worker);
        let recovers = now.since(process.started) < self.plan.shape.limits.recovery;
        self.trace.note(self.now, [4, link.0, held.len() as u64], || {
            format!("worker {worker} registers at {link:?}, holds {held:?}")
        });
        self.oracle.held(link, held, is_new && recovers);
    }

    fn take_leave(
        &mut self,
        now: Time,
        process: &mut ManagerProcess,
        link: ConnId,
        is_dead: bool,
        farewell: bool,
    ) {
        let Some(peer) = process.peers.remove(&link) else {
            return;
        };
        self.trace.note(self.now, [5, link.0, u64::from(is_dead)], || {
            format!("{:?} at {link:?} is gone, dead: {is_dead}", peer.dialler)
        });
        self.close_end(peer.connection, false);
        process.gate.on_client_lost(link);
        process.gate.on_worker_lost(link);
        let input = match peer.dialler {
            Dialler::Worker(_) => {
                let holds: Vec<AttemptId> = peer.holds.into_iter().collect();
                self.oracle.link_lost(self.now, link, &holds);
                Input::WorkerLost { link, declared_dead: is_dead }
            }
            Dialler::Client(client) => {
                if peer.is_introduced {
                    process.left.insert(client, now);
                }
                Input::ClientLost { link, closed_cleanly: farewell }
            }
        };
        if peer.is_introduced {
            self.step_manager(now, process, input);
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "a simulated client sends nothing else")]
    fn client_sent(&mut self, now: Time, process: &mut ManagerProcess, link: ConnId, message: ToManager) {
        self.trace.note_message(self.now, (6, "reads from"), link, &message);
        let input = match message {
            ToManager::Open(open) => {
                self.introduce(process, link);
                self.on_return(now, process, link);
                Input::SessionOpened {
                    link,
                    session: open.session,
                    secret: open.secret,
                    previous: open.previous,
                    client: "simulated".to_owned(),
                }
            }
            ToManager::ChildOpen(open) => {
                self.introduce(process, link);
                self.on_return(now, process, link);
                Input::ChildSessionOpened {
                    link,
                    session: open.session,
                    secret: open.secret,
                    previous: open.previous,
                    client: "simulated".to_owned(),
                    token: open.token,
                    parent: AttemptId { task: open.task, attempt: open.attempt },
                    worker: open.worker,
                }
            }
            ToManager::Submit(task) => {
                process.gate.on_submit(link, task, |_| false, &mut process.passing);
                return self.let_pass(now, process);
            }
            ToManager::Blob(blob) => {
                process.gate.on_blob(blob.hash, blob.payload, &mut process.passing);
                return self.let_pass(now, process);
            }
            ToManager::Offered => {
                if let Some(peer) = process.peers.get_mut(&link) {
                    peer.has_offered = true;
                }
                Input::OfferEnded { link }
            }
            ToManager::Ack(ids) => {
                self.oracle.taken(&ids);
                Input::OutcomesTaken { link, ids }
            }
            ToManager::Cancel(ids) if ids.iter().any(|id| process.gate.owner_of(*id).is_some()) => {
                for (link, task) in ids.iter().filter_map(|id| process.gate.withdraw(*id)).collect::<Vec<_>>()
                {
                    let by = String::new();
                    self.step_manager(now, process, Input::TaskWithdrawn { link, task, by });
                }
                Input::OwnTasksCancelled { link, ids }
            }
            ToManager::Cancel(ids) => Input::OwnTasksCancelled { link, ids },
            ToManager::Request(request) => {
                let Ok(Question::Cancel(cancel)) = Question::of(&request) else {
                    return;
                };
                let tickets = cancel.tasks.iter().filter_map(|ticket| ticket.parse::<Ticket>().ok());
                let verified = tickets.filter(|ticket| process.scheduler.verifies(ticket));
                let ids = verified.map(|ticket| ticket.id).collect();
                self.step_manager(now, process, Input::CancelRequested { link, ids, by: String::new() });
                let reply = ToClient::Reply(Reply::with(request.request, &()));
                return self.send_from(process, link, now.0, Packet::ToClient(Box::new(reply)));
            }
            ToManager::Collect(tickets) => Input::CollectRequested { link, tickets },
            ToManager::Goodbye(_) => return self.take_leave(now, process, link, false, true),
            _ => return,
        };
        self.step_manager(now, process, input);
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "a simulated worker sends nothing else")]
    fn worker_sent(&mut self, now: Time, process: &mut ManagerProcess, link: ConnId, message: FromWorker) {
        self.trace.note_message(self.now, (6, "reads from"), link, &message);
        let input = match message {
            FromWorker::Held(held) => {
                if let Some(peer) = process.peers.get_mut(&link) {
                    peer.listed.extend(held);
                }
                return;
            }
            FromWorker::Register(register) => {
                let peer = process.peers.get_mut(&link);
                let held = peer.map(|peer| std::mem::take(&mut peer.listed)).unwrap_or_default();
                let attempts: Vec<AttemptId> = held.iter().map(|held| held.attempt).collect();
                self.on_register(now, process, link, register.worker, &attempts);
                let (secret, previous) = (register.secret.clone(), register.previous);
                Input::WorkerJoined { link, profile: WorkerProfile::from(register), secret, previous, held }
            }
            FromWorker::Returned(attempts) => {
                self.released(process, link, &attempts);
                Input::AttemptsReturned { link, attempts }
            }
            FromWorker::Outcome(outcome) => {
                self.oracle.outcome_read(attempt_of(&outcome));
                self.released(process, link, &[attempt_of(&outcome)]);
                Input::OutcomeArrived { link, outcome }
            }
            FromWorker::NeedBlob(hashes) => {
                process.gate.on_need_blob(link, &hashes, &mut process.passing);
                return self.let_pass(now, process);
            }
            FromWorker::Lent(lent) => Input::AttemptLent { link, lent },
            FromWorker::Draining(_) => Input::WorkerDraining { link },
            FromWorker::Goodbye(_) => return self.take_leave(now, process, link, false, true),
            _ => return,
        };
        self.step_manager(now, process, input);
    }

    /// Carries out what the gate wants.
    fn let_pass(&mut self, now: Time, process: &mut ManagerProcess) {
        for effect in std::mem::take(&mut process.passing) {
            match effect {
                GateEffect::Admit { link, task } => {
                    self.step_manager(now, process, Input::TaskSubmitted { link, task });
                }
                GateEffect::Send { link, blob } => {
                    self.send_from(process, link, now.0, Packet::ToWorker(Box::new(ToWorker::Blob(blob))));
                }
                GateEffect::Missing { link, hashes } => {
                    self.step_manager(now, process, Input::BlobsMissing { link, hashes });
                }
                GateEffect::Ask { link, hashes } => {
                    let packet = Packet::ToClient(Box::new(ToClient::NeedBlob(hashes)));
                    self.send_from(process, link, now.0, packet);
                }
            }
        }
    }

    fn released(&mut self, process: &mut ManagerProcess, link: ConnId, attempts: &[AttemptId]) {
        self.oracle.released(link, attempts, false);
        if let Some(peer) = process.peers.get_mut(&link) {
            attempts.iter().for_each(|attempt| {
                peer.holds.remove(attempt);
            });
        }
    }

    /// The oracle sees what was decided, in the order in which it was.
    pub(crate) fn observe(&mut self, process: &mut ManagerProcess, from: usize) {
        for effect in &process.out.effects[from..] {
            match effect {
                Effect::SendToWorker { link, message: ToWorker::Run(run) } => {
                    let attempt = run.task.attempt_id();
                    self.oracle.run_sent(*link, attempt);
                    if let Some(peer) = process.peers.get_mut(link) {
                        peer.holds.insert(attempt);
                    }
                }
                Effect::SendToWorker { link, message: ToWorker::Stop(attempts) } => {
                    self.oracle.released(*link, attempts, true);
                    if let Some(peer) = process.peers.get_mut(link) {
                        attempts.iter().for_each(|attempt| {
                            peer.holds.remove(attempt);
                        });
                    }
                    process.stopped.extend(attempts);
                }
                Effect::SendToClient { message: ToClient::Outcome(outcome), .. }
                    if outcome.head.status != Status::Rejected =>
                {
                    self.oracle.outcome_sent(outcome.head.id);
                }
                Effect::SendToWorker { .. }
                | Effect::SendToClient { .. }
                | Effect::Close { .. }
                | Effect::Warn { .. }
                | Effect::ReleaseBlobs { .. } => {}
            }
        }
    }

    /// An attempt is stopped only if nobody wants it or another one goes on.
    pub(crate) fn judge_stops(&mut self, process: &mut ManagerProcess) {
        let stopped = std::mem::take(&mut process.stopped);
        if self.manager.stood_still {
            return;
        }
        for attempt in stopped {
            let id = attempt.task;
            let plan = self.task_plan(id);
            let owner = plan.client;
            let is_attached = !plan.flags.contains(Flags::DETACHED);
            let is_here = process.peers.values().any(|peer| {
                peer.dialler == Dialler::Client(owner)
                    && peer.has_offered
                    && self.clients[owner].dial.open() == Some(peer.connection)
            });
            let waits = self.clients[owner].is_alive && self.clients[owner].machine.is_sent(id.sequence);
            let is_harm = self.oracle.stop_is_harm(attempt) && !self.oracle.is_uprooted(id);
            if is_attached && is_here && waits && is_harm && !self.oracle.is_held(self.now, id) {
                self.oracle.fail(format!("{attempt:?} was stopped though its client waits for it"));
            }
        }
    }

    /// Effects leave the manager.
    pub(crate) fn release(&mut self, process: &mut ManagerProcess) {
        let now = process.clock.read(self.now).0;
        for effect in std::mem::take(&mut process.out.effects) {
            match effect {
                Effect::SendToClient { link, mut message } => {
                    self.manager.store.fill_outcome(&mut message);
                    self.trace.note_message(self.now, (7, "sends to"), link, &message);
                    self.send_from(process, link, now, Packet::ToClient(Box::new(message)));
                }
                Effect::SendToWorker { link, mut message } => {
                    self.manager.store.fill_run(&mut message);
                    self.send_blobs_before(process, link, now, &message);
                    self.trace.note_message(self.now, (7, "sends to"), link, &message);
                    self.send_from(process, link, now, Packet::ToWorker(Box::new(message)));
                }
                Effect::Close { link, code, why } => {
                    let Some(peer) = process.peers.remove(&link) else {
                        continue;
                    };
                    // A client inside a task is refused when its attempt is over.
                    let is_inside = matches!(peer.dialler, Dialler::Client(client) if self.clients[client].parent.is_some());
                    if code != RefusalCode::Session && !is_inside {
                        self.oracle.fail(format!("the manager refuses {link:?} with {code:?}: {why}"));
                    }
                    let refusal = Box::new(Refusal::new(code, why));
                    self.send(peer.connection, false, Packet::Refused(refusal));
                    self.close_end(peer.connection, false);
                    process.gate.on_client_lost(link);
                    process.gate.on_worker_lost(link);
                    self.oracle.link_lost(self.now, link, &peer.holds.into_iter().collect::<Vec<_>>());
                }
                Effect::Warn { .. } => {}
                Effect::ReleaseBlobs { blobs } => process.gate.release(&blobs),
            }
        }
    }

    /// What a worker lacks of a task's blobs goes before its RUN.
    fn send_blobs_before(
        &mut self,
        process: &mut ManagerProcess,
        link: ConnId,
        now: u64,
        message: &ToWorker,
    ) {
        let ToWorker::Run(Run { task, .. }) = message else {
            return;
        };
        if let Some(missing) = task.blob_hashes().find(|hash| process.gate.payload(*hash).is_none()) {
            let id = task.head.id;
            self.oracle.fail(format!("{id:?} is given to {link:?} without its blob {missing:?}"));
        }
        let mut blobs = Vec::new();
        process.gate.before_run(link, task, |blob| blobs.push(blob));
        for blob in blobs {
            self.send_from(process, link, now, Packet::ToWorker(Box::new(ToWorker::Blob(blob))));
        }
    }

    fn send_from(&mut self, process: &mut ManagerProcess, link: ConnId, now: u64, packet: Packet) {
        if let Some(peer) = process.peers.get_mut(&link) {
            peer.sent_at = now;
            self.send(peer.connection, false, packet);
        }
    }
}
