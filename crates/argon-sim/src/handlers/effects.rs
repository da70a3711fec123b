//! Carries out effects of the manager's core: shows them to the oracle, and sends them as packets.

use argon_core::Time;
use argon_core::scheduler::{ConnId, Effect};
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::{Run, ToWorker};
use argon_proto::conversation::{Ask, TaskOutput};
use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::{Flags, Status};

use crate::event::{Dialler, Packet};
use crate::manager::{Arrival, ManagerProcess};
use crate::world::World;

impl World {
    /// The oracle sees what was decided, in the order in which it was.
    pub(crate) fn observe(&mut self, process: &mut ManagerProcess, from: usize) {
        for effect in &process.out.effects[from..] {
            if self.observe_rogue(&mut process.peers, effect) {
                continue;
            }
            match effect {
                Effect::SendToClient {
                    message: ToClient::Output(TaskOutput { from, .. }) | ToClient::Ask(Ask { from, .. }),
                    ..
                } if !self.oracle.is_rogues(*from) => {
                    self.oracle.fail(format!("a client is sent what {from:?} has never written or asked"));
                }
                Effect::SendToWorker { link, message: ToWorker::Run(run) } => {
                    let attempt = run.task.attempt_id();
                    let excuses = self.is_unknown_to_stale(process, attempt.task);
                    self.judge_rerun(process, attempt);
                    self.judge_receiver(process, *link, attempt);
                    self.oracle.run_sent(self.now, *link, attempt, excuses);
                    if let Some(peer) = process.peers.get_mut(link) {
                        peer.holds.insert(attempt);
                        self.note_given(peer.dialler, peer.holds.len());
                    }
                }
                Effect::SendToWorker { link, message: ToWorker::Drain(_) } => {
                    if let Some(peer) = process.peers.get_mut(link) {
                        peer.is_draining = true;
                    }
                }
                Effect::SendToWorker { message: ToWorker::Settled(attempts), .. }
                    if self.plan.shape.keeps_few_outcomes() =>
                {
                    // Its worker has no room for more: it may be gone with the manager.
                    attempts.iter().for_each(|attempt| self.oracle.was_given_up(attempt.task));
                }
                Effect::SendToWorker { message: ToWorker::Settled(attempts), .. } => {
                    // What nobody has claimed for long is given up.
                    let now = process.clock.read(self.now);
                    for attempt in attempts {
                        let brought_at = process.brought.get(attempt);
                        if brought_at
                            .is_some_and(|at| now.since(*at) >= self.plan.shape.limits.orphan_timeout)
                        {
                            self.oracle.was_given_up(attempt.task);
                        }
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
                Effect::SendToClient { message: ToClient::Outcome(outcome), .. } => {
                    self.oracle.refused(outcome);
                    self.oracle.was_rejected(outcome.head.id);
                }
                Effect::SendToClient { message: ToClient::Accepted(tickets), .. } => {
                    let at = self.now + self.longest_recovery();
                    tickets.iter().for_each(|ticket| self.oracle.accepted(at, ticket.id));
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
    pub(crate) fn judge_stops(&mut self, now: Time, process: &mut ManagerProcess) {
        let stopped = std::mem::take(&mut process.stopped);
        if self.manager.stood_still {
            // Nothing is promised, and these are over all the same.
            for attempt in stopped {
                self.oracle.stop_is_harm(attempt);
            }
            return;
        }
        for attempt in stopped {
            let id = attempt.task;
            let plan = self.task_plan(id);
            let owner = plan.client;
            let is_attached = !plan.flags.contains(Flags::DETACHED);
            // What the manager has refused is offered again: not if the client's messages get lost.
            let is_known = self.oracle.is_admitted(id);
            let is_here = process.peers.values().any(|peer| {
                peer.dialler == Dialler::Client(owner)
                    && peer.has_offered
                    && (is_known || !self.net.connections[peer.connection].is_dead)
                    && self.clients[owner].dial.open() == Some(peer.connection)
            });
            let waits = self.clients[owner].is_alive && self.clients[owner].machine.is_sent(id.sequence);
            let is_harm = self.oracle.stop_is_harm(attempt) && !self.oracle.is_uprooted(id);
            let is_kept = process.brought.get(&attempt).is_some_and(|at| {
                now.since(*at) < self.plan.shape.limits.orphan_timeout && self.oracle.is_latest(attempt)
            });
            let comes = self.clients[owner].is_alive && !process.arrived.contains_key(&owner);
            let is_needed = is_harm && !self.oracle.is_held(self.now, id);
            // A later attempt was given because this one was lost to a manager: it counts, also if it has failed.
            let is_followed = process.brought.keys().any(|other| {
                other.task == id && other.attempt > attempt.attempt && self.oracle.is_here_or_over(*other)
            });
            // What has ended at another worker is what counts.
            let is_superseded = is_followed || self.oracle.has_other_end(attempt);
            if is_attached && is_kept && comes && is_needed && !is_superseded {
                self.oracle.fail(format!(
                    "{attempt:?} was brought by its worker and stopped before its client came"
                ));
            }
            if is_attached && is_here && waits && is_needed {
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
                    // A rogue may have acknowledged it in the same breath.
                    if process.peers.contains_key(&link) && process.rogue_at(link).is_none() {
                        self.manager.store.fill_outcome(&mut message);
                    }
                    self.trace.note_message(self.now, (7, "sends to"), link, &message);
                    self.send_from(process, link, now, Packet::ToClient(Box::new(message)));
                }
                Effect::SendToWorker { link, mut message } => {
                    self.manager.store.fill_run(&mut message);
                    self.send_blobs_before(process, link, now, &message);
                    self.trace.note_message(self.now, (7, "sends to"), link, &message);
                    self.send_from(process, link, now, Packet::ToWorker(Box::new(message)));
                }
                Effect::Close { link, code, why } if process.rogue_at(link).is_some() => {
                    let refusal = Packet::Refused(Box::new(Refusal::new(code, why)));
                    self.send_from(process, link, now, refusal);
                    // What it sent before is still read, as in the real manager.
                    process.inbox.push_back((link, Arrival::Gone { is_dead: false }));
                }
                Effect::Close { link, code, why } => {
                    let Some(peer) = process.peers.remove(&link) else {
                        continue;
                    };
                    // A client inside a task is refused when its attempt is over.
                    let is_inside = matches!(peer.dialler, Dialler::Client(client) if self.clients[client].parent.is_some());
                    let is_present = self.dial_state_of(peer.dialler).any() == Some(peer.connection);
                    if (code != RefusalCode::Session || is_present) && !is_inside {
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

    /// Sends the blobs of a task that its worker lacks, before the RUN.
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

    pub(crate) fn send_from(&mut self, process: &mut ManagerProcess, link: ConnId, now: u64, packet: Packet) {
        if let Some(peer) = process.peers.get_mut(&link) {
            peer.sent_at = now;
            self.send(peer.connection, false, packet);
        }
    }
}
