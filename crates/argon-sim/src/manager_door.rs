//! The manager's doors: packets become inputs, effects become packets, and the oracle sees both.

use argon_core::Time;
use argon_core::scheduler::{Effect, Input, Link};
use argon_proto::message::AttemptId;
use argon_proto::{Flags, Message, Outcome, WorkerId};

use crate::event::{Dialler, Packet};
use crate::manager::{Arrival, Process};
use crate::world::World;

impl World {
    pub(crate) fn take_arrival(&mut self, now: Time, process: &mut Process, link: Link, arrival: Arrival) {
        if !process.peers.contains_key(&link) {
            return;
        }
        match arrival {
            Arrival::Packet(Packet::Open(session)) => {
                self.introduce(process, link);
                self.on_return(now, process, link);
                let input = Input::SessionOpened { link, session, client: "simulated".to_owned() };
                self.step_manager(now, process, input);
            }
            Arrival::Packet(Packet::Register(profile, held)) => {
                self.on_register(now, process, link, profile.id, &held);
                let input = Input::WorkerJoined { link, profile: *profile, held };
                self.step_manager(now, process, input);
            }
            Arrival::Packet(Packet::Said(message)) => self.take_message(now, process, link, *message),
            Arrival::Packet(Packet::Welcome { .. } | Packet::End) => {}
            Arrival::Gone { is_dead } => self.take_leave(now, process, link, is_dead, false),
        }
    }

    fn introduce(&mut self, process: &mut Process, link: Link) {
        if let Some(peer) = process.peers.get_mut(&link) {
            peer.is_introduced = true;
        }
    }

    /// A client that stayed away beyond the grace period finds its tasks dropped; they may run once more.
    fn on_return(&mut self, now: Time, process: &mut Process, link: Link) {
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
        process: &mut Process,
        link: Link,
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

    fn take_leave(&mut self, now: Time, process: &mut Process, link: Link, is_dead: bool, farewell: bool) {
        let Some(peer) = process.peers.remove(&link) else {
            return;
        };
        self.trace.note(self.now, [5, link.0, u64::from(is_dead)], || {
            format!("{:?} at {link:?} is gone, dead: {is_dead}", peer.dialler)
        });
        self.close_end(peer.connection, false);
        let input = match peer.dialler {
            Dialler::Worker(_) => {
                let holds: Vec<AttemptId> = peer.holds.into_iter().collect();
                self.oracle.link_lost(self.now, link, &holds);
                Input::WorkerLost { link, certain: is_dead }
            }
            Dialler::Client(client) => {
                if peer.is_introduced {
                    process.left.insert(client, now);
                }
                Input::ClientLost { link, farewell }
            }
        };
        if peer.is_introduced {
            self.step_manager(now, process, input);
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "what nobody sends in here needs no line")]
    fn take_message(&mut self, now: Time, process: &mut Process, link: Link, message: Message) {
        if !matches!(message, Message::Ping(_) | Message::Pong(_)) {
            self.trace.note(self.now, [6, link.0, kind(&message)], || {
                format!("manager reads from {link:?}: {}", brief(&message))
            });
        }
        let input = match message {
            Message::Submit(task) => Input::TaskSubmitted { link, task },
            Message::Offered => Input::OfferEnded { link },
            Message::Ack(ids) => {
                self.oracle.taken(&ids);
                Input::OutcomesTaken { link, ids }
            }
            Message::Cancel(ids) => Input::CancelRequested { link, ids, by: String::new() },
            Message::Collect(ids) => Input::CollectRequested { link, ids },
            Message::Returned(attempts) => {
                self.released(process, link, &attempts);
                Input::AttemptsReturned { link, attempts }
            }
            Message::Outcome(outcome) => {
                self.oracle.outcome_read(attempt_of(&outcome));
                self.released(process, link, &[attempt_of(&outcome)]);
                Input::OutcomeArrived { link, outcome }
            }
            Message::Draining(_) => Input::WorkerDraining { link },
            Message::Goodbye(_) => return self.take_leave(now, process, link, false, true),
            Message::Ping(token) => {
                if let Some(peer) = process.peers.get(&link) {
                    self.send(peer.connection, false, Packet::Said(Box::new(Message::Pong(token))));
                }
                return;
            }
            _ => return,
        };
        if matches!(input, Input::OfferEnded { .. })
            && let Some(peer) = process.peers.get_mut(&link)
        {
            peer.has_offered = true;
        }
        self.step_manager(now, process, input);
    }

    fn released(&mut self, process: &mut Process, link: Link, attempts: &[AttemptId]) {
        self.oracle.released(link, attempts, false);
        if let Some(peer) = process.peers.get_mut(&link) {
            attempts.iter().for_each(|attempt| {
                peer.holds.remove(attempt);
            });
        }
    }

    /// The oracle sees what was decided, in the order in which it was.
    #[allow(clippy::wildcard_enum_match_arm, reason = "the oracle looks at three messages only")]
    pub(crate) fn observe(&mut self, process: &mut Process, from: usize) {
        for effect in &process.out.effects[from..] {
            let Effect::Send { link, message } = effect else {
                continue;
            };
            match message {
                Message::Run(task) => {
                    let attempt = AttemptId { task: task.head.id, attempt: task.head.attempt };
                    self.oracle.run_sent(*link, attempt);
                    if let Some(peer) = process.peers.get_mut(link) {
                        peer.holds.insert(attempt);
                    }
                }
                Message::Stop(attempts) => {
                    self.oracle.released(*link, attempts, true);
                    if let Some(peer) = process.peers.get_mut(link) {
                        attempts.iter().for_each(|attempt| {
                            peer.holds.remove(attempt);
                        });
                    }
                    process.stopped.extend(attempts);
                }
                Message::Outcome(outcome) => self.oracle.outcome_sent(outcome.head.id),
                _ => {}
            }
        }
    }

    /// An attempt is stopped only if nobody wants it or another one goes on.
    pub(crate) fn judge_stops(&mut self, process: &mut Process) {
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
                    && self.clients[owner].wire.open() == Some(peer.connection)
            });
            let waits = self.clients[owner].waits_for(id.sequence, is_attached);
            let is_harm = self.oracle.stop_is_harm(attempt);
            if is_attached && is_here && waits && is_harm && !self.oracle.is_held(self.now, id) {
                self.oracle.fail(format!("{attempt:?} was stopped though its client waits for it"));
            }
        }
    }

    /// Effects leave the manager.
    pub(crate) fn release(&mut self, process: &mut Process) {
        let now = process.clock.read(self.now).0;
        for effect in std::mem::take(&mut process.out.effects) {
            match effect {
                Effect::Send { link, message } => {
                    let Some(peer) = process.peers.get_mut(&link) else {
                        continue;
                    };
                    peer.said = now;
                    let connection = peer.connection;
                    self.trace.note(self.now, [7, link.0, kind(&message)], || {
                        format!("manager tells {link:?}: {}", brief(&message))
                    });
                    self.send(connection, false, Packet::Said(Box::new(message)));
                }
                Effect::Close { link, code, why } => {
                    let Some(peer) = process.peers.remove(&link) else {
                        continue;
                    };
                    if code != "session" {
                        self.oracle.fail(format!("the manager refuses {link:?} with {code}: {why}"));
                    }
                    self.close_end(peer.connection, false);
                    self.oracle.link_lost(self.now, link, &peer.holds.into_iter().collect::<Vec<_>>());
                }
                Effect::ReleaseBlobs { .. } => {}
            }
        }
    }
}

pub(crate) fn attempt_of(outcome: &Outcome) -> AttemptId {
    AttemptId { task: outcome.head.id, attempt: outcome.head.attempt }
}

/// A number for each kind of message, and what it names, for the hash.
#[allow(clippy::wildcard_enum_match_arm, reason = "rare kinds share a number")]
fn kind(message: &Message) -> u64 {
    match message {
        Message::Submit(task) => 1 + (task.head.id.sequence << 8),
        Message::Run(task) => 2 + (task.head.id.sequence << 8),
        Message::Outcome(outcome) => 3 + (outcome.head.id.sequence << 8),
        Message::Stop(attempts) => 4 + ((attempts.len() as u64) << 8),
        Message::Returned(attempts) => 5 + ((attempts.len() as u64) << 8),
        Message::Settled(attempts) => 6 + ((attempts.len() as u64) << 8),
        Message::Ack(ids) => 7 + ((ids.len() as u64) << 8),
        _ => 8,
    }
}

/// A message in a few words.
#[allow(clippy::wildcard_enum_match_arm, reason = "the derived form is brief enough for the rest")]
pub(crate) fn brief(message: &Message) -> String {
    match message {
        Message::Submit(task) => format!("SUBMIT {:?} flags {:#x}", task.head.id, task.head.flags.0),
        Message::Run(task) => format!("RUN {:?} attempt {}", task.head.id, task.head.attempt.0),
        Message::Outcome(outcome) => {
            format!("OUTCOME {:?} {}", attempt_of(outcome), outcome.head.status.name())
        }
        other => format!("{other:?}"),
    }
}
