//! Lying processes come, speak and go. What they say is in the files for each role.

use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::worker::{FromWorker, ToWorker};
use argon_proto::conversation::{Incoming, Message};
use argon_proto::frame::{Decoder, Outbox};
use argon_proto::{Attempt, AttemptId, TaskId};

use crate::event::{Dialler, Event, Packet};
use crate::random::Random;
use crate::rogue::{REMEMBERED, RogueRole};
use crate::world::World;

/// Number of times that a flood repeats one message.
const FLOOD: u64 = 100;

impl World {
    pub(crate) fn on_rogue_acts(&mut self, place: usize) {
        let rogue = &mut self.rogues[place];
        let until = rogue.plan.at + rogue.plan.lasts;
        if self.is_closing || self.now >= until {
            return self.end_rogue(place);
        }
        rogue.is_active = true;
        let pause = rogue.random.spread(1, rogue.plan.pause_us);
        self.queue.push((self.now + pause).min(until), Event::RogueActs { rogue: place });
        if self.rogues[place].dial.open().is_some() {
            self.tell_lies(place);
        } else if self.rogues[place].dial.any().is_none() && !self.rogues[place].dial.is_dialling() {
            let dial = self.rogues[place].dial.begin_dial();
            self.dial(Dialler::Rogue(place), 0, dial);
        }
    }

    /// Ends it without a message.
    pub(crate) fn end_rogue(&mut self, place: usize) {
        let rogue = &mut self.rogues[place];
        rogue.is_active = false;
        let connection = rogue.dial.any();
        rogue.dial.rest();
        if let Some(id) = connection {
            self.close_end(id, true);
        }
    }

    fn tell_lies(&mut self, place: usize) {
        let rogue = &mut self.rogues[place];
        let is_flood = rogue.random.percent(rogue.plan.floods);
        let times = if is_flood { FLOOD } else { rogue.random.between(1, 4) };
        match rogue.plan.role {
            RogueRole::Worker => {
                let mut lie = self.worker_lie(place);
                for _ in 0..times {
                    self.rogue_says(place, &lie, |message| Packet::FromWorker(Box::new(message)));
                    if !is_flood {
                        lie = self.worker_lie(place);
                    }
                }
            }
            RogueRole::Client => {
                for _ in 0..times {
                    let lie = self.client_lie(place);
                    self.rogue_says(place, &lie, |message| Packet::FromClient(Box::new(message)));
                }
            }
        }
    }

    /// Sends what can be read of a message. A manager ends the connection on which it cannot read.
    pub(crate) fn rogue_says<M: Message>(
        &mut self,
        place: usize,
        message: &M,
        packet: impl FnOnce(M) -> Packet,
    ) {
        let Some(id) = self.rogues[place].dial.any() else {
            return;
        };
        let mut outbox = Outbox::default();
        outbox.push(message);
        let mut decoder = Decoder::<Incoming<M>>::default();
        decoder.buffer().extend_from_slice(&outbox.into_bytes());
        match decoder.next() {
            Ok(Some(Incoming::Message(message))) => self.send(id, true, packet(message)),
            Ok(_) => {}
            Err(_) => self.lose_connection(Dialler::Rogue(place)),
        }
    }

    pub(crate) fn rogue_receives(&mut self, place: usize, id: usize, packet: Packet) {
        if self.rogues[place].dial.any() != Some(id) {
            return;
        }
        match packet {
            Packet::Welcome { .. } => {
                self.rogues[place].dial.opens(0);
                self.introduce_rogue(place);
            }
            Packet::End => self.lose_connection(Dialler::Rogue(place)),
            Packet::ToWorker(message) => {
                if let ToWorker::Run(run) = *message {
                    remember(&mut self.rogues[place].runs, run);
                }
            }
            Packet::ToClient(message) => {
                if let ToClient::Accepted(tickets) = *message {
                    tickets.into_iter().for_each(|ticket| remember(&mut self.rogues[place].tickets, ticket));
                }
            }
            Packet::FromClient(_)
            | Packet::FromWorker(_)
            | Packet::Refused(_)
            | Packet::Ping
            | Packet::Pong => {}
        }
    }

    fn introduce_rogue(&mut self, place: usize) {
        let rogue = &mut self.rogues[place];
        let is_usual = rogue.random.percent(90);
        match rogue.plan.role {
            RogueRole::Worker if !is_usual => {
                let open = ToManager::ChildOpen(Box::new(self.child_open_lie(place)));
                self.rogue_says(place, &open, |message| Packet::FromClient(Box::new(message)));
            }
            RogueRole::Worker => {
                let held = FromWorker::Held(self.held_lies(place));
                self.rogue_says(place, &held, |message| Packet::FromWorker(Box::new(message)));
                let register = FromWorker::Register(Box::new(self.register_lie(place)));
                self.rogue_says(place, &register, |message| Packet::FromWorker(Box::new(message)));
            }
            // Now and then something else comes first.
            RogueRole::Client if is_usual => {
                let open = ToManager::Open(self.open_lie(place));
                self.rogue_says(place, &open, |message| Packet::FromClient(Box::new(message)));
            }
            RogueRole::Client => {}
        }
    }

    /// A task of somebody else, or of its own: ids are no secret.
    pub(crate) fn overheard_task(&mut self, place: usize) -> TaskId {
        let random = &mut self.rogues[place].random;
        let chance = random.below(10);
        let others = random.index(self.ids.len());
        if chance < 7
            && let Some(id) = self.ids.get(others).copied().flatten()
        {
            return if chance == 0 { TaskId { sequence: random.below(70), ..id } } else { id };
        }
        let rogue = &mut self.rogues[place];
        let own = rogue.random.index(rogue.own.len());
        let made_up = TaskId { session: rogue.session, sequence: rogue.random.below(70) };
        rogue.own.get(own).copied().unwrap_or(made_up)
    }

    /// An attempt of such a task, or one that it was given.
    pub(crate) fn overheard_attempt(&mut self, place: usize) -> AttemptId {
        let rogue = &mut self.rogues[place];
        if rogue.random.percent(40)
            && let Some(mut run) = pick(&mut rogue.random, &rogue.runs).map(|run| run.task.attempt_id())
        {
            if rogue.random.percent(10) {
                run.attempt = odd_attempt(&mut rogue.random);
            }
            return run;
        }
        let task = self.overheard_task(place);
        let present = self.oracle.present_attempt(task);
        let random = &mut self.rogues[place].random;
        let attempt = present.filter(|_| random.percent(70)).unwrap_or_else(|| odd_attempt(random));
        AttemptId { task, attempt }
    }
}

pub(crate) fn remember<T>(things: &mut Vec<T>, thing: T) {
    things.push(thing);
    if things.len() > REMEMBERED {
        things.remove(0);
    }
}

fn odd_attempt(random: &mut Random) -> Attempt {
    Attempt(random.one_of(&[0, 1, 2, 3, u32::MAX - 1, u32::MAX]))
}

pub(crate) fn pick<'a, T>(random: &mut Random, things: &'a [T]) -> Option<&'a T> {
    things.get(random.index(things.len()))
}
