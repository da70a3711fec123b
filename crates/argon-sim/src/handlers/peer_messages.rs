//! The manager's doors: packets become inputs, effects become packets, and the oracle sees both.

use argon_core::Time;
use argon_core::gate::GateEffect;
use argon_core::scheduler::{ConnId, Input, WorkerProfile};
use argon_proto::conversation::admin::{Question, Reply};
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::worker::{FromWorker, ToWorker};
use argon_proto::holder::OwnerName;
use argon_proto::{AttemptId, Flags, Incarnation, SessionId, Task, Ticket, WorkerId};

use crate::described::attempt_of;
use crate::event::{Dialler, Packet};
use crate::handlers::watch::REST;
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
        process.arrived.entry(client).or_insert(now);
        let left = process.left.remove(&client);
        if left.is_some_and(|left| now.since(left) >= self.plan.shape.limits.session_grace) {
            // Its session is a new one here.
            process.from_elsewhere.insert(client);
            let tasks = self.plan.tasks.iter().filter(|task| task.client == client);
            self.oracle.session_lost(tasks.map(|task| task.number));
        }
    }

    /// A client comes from another manager: what it offers again may have run there. One that does not say where it was may
    /// come from there, too, if it offers anything again.
    fn note_previous(&self, process: &mut ManagerProcess, link: ConnId, previous: Option<Incarnation>) {
        if let Some(peer) = process.peers.get_mut(&link)
            && let Dialler::Client(client) = peer.dialler
        {
            peer.comes_from_nowhere = previous.is_none();
            if previous.is_some_and(|previous| previous != self.incarnation()) {
                process.from_elsewhere.insert(client);
            }
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
        if let Some(rogue) = process.rogue_at(link) {
            return self.on_rogue_registers(process, link, rogue, (id, held));
        }
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
        process.absent.remove(&id);
        let is_new = process.known.insert(worker);
        if is_new {
            process.brought.extend(held.iter().map(|attempt| (*attempt, now)));
        }
        self.trace.note(self.now, [4, link.0, held.len() as u64], || {
            format!("worker {worker} registers at {link:?}, holds {held:?}")
        });
        for attempt in held {
            let came = self.came_at(process, attempt.task);
            let recovers = came.is_none_or(|at| now.since(at) < self.plan.shape.limits.recovery);
            self.oracle.held(link, &[*attempt], is_new && recovers);
        }
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
        let has_sent = peer.is_introduced || !peer.listed.is_empty();
        process.gate.on_client_lost(link);
        process.gate.on_worker_lost(link);
        let input = match peer.dialler {
            Dialler::Worker(worker) => {
                let holds: Vec<AttemptId> = peer.holds.into_iter().collect();
                self.oracle.link_lost(self.now, link, &holds);
                if let Some(id) = peer.worker.filter(|_| !is_dead) {
                    self.note_absent(now, process, worker, (id, holds));
                }
                Input::WorkerLost { link, declared_dead: is_dead }
            }
            Dialler::Rogue(_) => {
                let holds: Vec<AttemptId> = peer.holds.into_iter().collect();
                self.oracle.link_lost(self.now, link, &holds);
                match peer.worker {
                    Some(_) => Input::WorkerLost { link, declared_dead: is_dead },
                    None => Input::ClientLost { link, closed_cleanly: farewell },
                }
            }
            Dialler::Client(client) => {
                if peer.is_introduced {
                    process.left.insert(client, now);
                }
                Input::ClientLost { link, closed_cleanly: farewell }
            }
        };
        if has_sent {
            self.step_manager(now, process, input);
        }
    }

    fn client_sent(&mut self, now: Time, process: &mut ManagerProcess, link: ConnId, message: ToManager) {
        self.trace.note_message(self.now, (6, "reads from"), link, &message);
        let input = match message {
            ToManager::Open(open) => {
                self.introduce(process, link);
                self.on_return(now, process, link);
                self.note_previous(process, link, open.previous);
                Input::SessionOpened {
                    link,
                    owner: owner_of(open.session),
                    session: open.session,
                    secret: open.secret,
                    previous: open.previous,
                    client: "simulated".into(),
                }
            }
            ToManager::ChildOpen(open) => {
                self.introduce(process, link);
                self.on_return(now, process, link);
                self.note_previous(process, link, open.previous);
                Input::ChildSessionOpened {
                    link,
                    session: open.session,
                    secret: open.secret,
                    previous: open.previous,
                    client: "simulated".into(),
                    token: open.token,
                    parent: AttemptId { task: open.task, attempt: open.attempt },
                    worker: open.worker,
                }
            }
            ToManager::Submit(task) => return self.submitted(now, process, link, task),
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
                if process.rogue_at(link).is_none() {
                    self.oracle.taken(&ids);
                }
                Input::OutcomesTaken { link, ids }
            }
            ToManager::Cancel(ids) => {
                for id in &ids {
                    let is_own = process.gate.owner_of(*id) == Some(link);
                    if let Some((link, task)) = is_own.then(|| process.gate.withdraw(*id)).flatten() {
                        let by = String::new();
                        self.step_manager(now, process, Input::TaskWithdrawn { link, task, by });
                    }
                }
                Input::OwnTasksCancelled { link, ids }
            }
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
            ToManager::OutputCredit(credit) => Input::OutputTaken { link, credit },
            ToManager::Answer(answer) => Input::QuestionAnswered { link, answer },
        };
        self.step_manager(now, process, input);
    }

    fn worker_sent(&mut self, now: Time, process: &mut ManagerProcess, link: ConnId, message: FromWorker) {
        self.trace.note_message(self.now, (6, "reads from"), link, &message);
        let input = match message {
            FromWorker::Held(held) => {
                if let Some(peer) = process.peers.get_mut(&link) {
                    peer.listed.extend(&held);
                }
                Input::AttemptsListed { link, held }
            }
            FromWorker::Register(register) => {
                let peer = process.peers.get_mut(&link);
                let held = peer.map(|peer| std::mem::take(&mut peer.listed)).unwrap_or_default();
                let attempts: Vec<AttemptId> = held.iter().map(|held| held.attempt).collect();
                self.on_register(now, process, link, register.worker, &attempts);
                let (secret, previous) = (register.secret.clone(), register.previous);
                let profile = WorkerProfile::from(*register);
                self.step_manager(
                    now,
                    process,
                    Input::WorkerJoined { link, profile, secret, previous, held: Vec::new() },
                );
                if let Some(rogue) = process.rogue_at(link) {
                    self.judge_claims(process, rogue, &attempts);
                }
                return;
            }
            FromWorker::Returned(attempts) => {
                self.on_returned(process, link, &attempts);
                Input::AttemptsReturned { link, attempts }
            }
            FromWorker::Outcome(outcome) => {
                let attempt = attempt_of(&outcome);
                if process.rogue_at(link).is_none() || process.holds(link, attempt) {
                    self.oracle.outcome_read(self.now, attempt, outcome.head.status);
                    self.released(process, link, &[attempt]);
                    let pause = self.task_plan(attempt.task).longest_pause_us();
                    self.oracle.may_be_retried(self.now + pause, attempt, outcome.head.status);
                }
                Input::OutcomeArrived { link, outcome }
            }
            FromWorker::NeedBlob(hashes) => {
                process.gate.on_need_blob(link, &hashes, &mut process.passing);
                return self.let_pass(now, process);
            }
            FromWorker::Lent(lent) => Input::AttemptLent { link, lent },
            FromWorker::Draining(_) => {
                if let Some(peer) = process.peers.get_mut(&link) {
                    peer.is_draining = true;
                }
                Input::WorkerDraining { link }
            }
            FromWorker::Goodbye(_) => return self.take_leave(now, process, link, false, true),
            FromWorker::Output(output) => Input::OutputArrived { link, output },
            FromWorker::Ask(ask) => Input::QuestionAsked { link, ask },
            FromWorker::Runners(_) => return,
        };
        self.step_manager(now, process, input);
    }

    /// Carries out what the gate wants.
    pub(crate) fn let_pass(&mut self, now: Time, process: &mut ManagerProcess) {
        while process.gate.go_on(&mut process.passing) {}
        for effect in std::mem::take(&mut process.passing) {
            match effect {
                GateEffect::Admit { link, task } => {
                    self.note_admitted(process, link, &task);
                    // It is here, and waits at the gate no more.
                    self.tell_memory(now, process);
                    self.step_manager(now, process, Input::TaskSubmitted { link, task });
                }
                GateEffect::Refuse { link, task } => {
                    let payload_bytes = task.payload.len();
                    self.step_manager(now, process, Input::TaskWithoutRoom { link, task, payload_bytes });
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

    /// From now on the task can run; one that was offered again may have to wait for its worker.
    fn note_admitted(&mut self, process: &mut ManagerProcess, link: ConnId, task: &Task) {
        let flags = task.head.flags;
        if let Some(peer) = process.peers.get(&link)
            && let Dialler::Client(client) = peer.dialler
        {
            let is_again = flags.contains(Flags::OFFERED_AGAIN);
            if is_again && peer.comes_from_nowhere {
                process.from_elsewhere.insert(client);
            }
            self.oracle.offered(task.head.id, is_again && process.from_elsewhere.contains(&client));
        }
        if process.rogue_at(link).is_none() && !flags.contains(Flags::DETACHED) {
            let recovery = if flags.contains(Flags::OFFERED_AGAIN) { self.longest_recovery() } else { 0 };
            self.oracle.admitted(self.now + recovery, task.head.id);
        }
    }

    /// Time for which a task waits for a worker that may hold it, by the slowest clock.
    pub(crate) fn longest_recovery(&self) -> u64 {
        self.plan.shape.limits.recovery.as_micros() as u64 * 101 / 100
    }

    fn on_returned(&mut self, process: &mut ManagerProcess, link: ConnId, attempts: &[AttemptId]) {
        // It gives back the attempts that it was asked to stop, too.
        let held: Vec<AttemptId> =
            attempts.iter().copied().filter(|attempt| process.holds(link, *attempt)).collect();
        self.released(process, link, &held);
        for attempt in held {
            let memory_mib = self.task_plan(attempt.task).memory_mib;
            self.oracle.rests(self.now, memory_mib);
            self.oracle.may_run_from(self.now + REST, attempt.task);
        }
    }

    pub(crate) fn released(&mut self, process: &mut ManagerProcess, link: ConnId, attempts: &[AttemptId]) {
        self.oracle.released(link, attempts, false);
        if let Some(peer) = process.peers.get_mut(&link) {
            attempts.iter().for_each(|attempt| {
                peer.holds.remove(attempt);
            });
        }
    }
}

/// Few owners for many sessions. A session has the same owner at every manager.
fn owner_of(session: SessionId) -> OwnerName {
    let name = ["admin", "ann", "bob"][usize::from(session.0[0]) % 3];
    OwnerName::read(name).unwrap_or_default()
}
