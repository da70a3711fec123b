//! A client's shell: moves packets between its machine and the network, and plays its user.

use std::io::IoSlice;
use std::task::{Poll, Waker};

use argon_proto::conversation::client::ToManager;
use argon_proto::conversation::{Control, Incoming};
use argon_proto::frame::Decoder;
use argon_proto::handshake::Welcome;
use argon_proto::{Flags, Machine, Outcome, Report, Status};
use argon_session::{Completion, Effect, Input, Member};

use crate::event::{Dialler, Event, Packet};
use crate::oracle::had_no_room;
use crate::world::World;

impl World {
    pub(crate) fn on_client_starts(&mut self, client: usize) {
        self.step_client(client, [Input::Started]);
    }

    pub(crate) fn client_receives(&mut self, client: usize, id: usize, packet: Packet) {
        let owner = &mut self.clients[client];
        if owner.dial.any() != Some(id) || !owner.is_alive {
            return;
        }
        let received = match packet {
            Packet::Welcome { tasks, bytes, incarnation } => {
                owner.dial.opens(0);
                owner.written = Decoder::default();
                // A worker does not tell the client of a task which manager it is.
                let incarnation = owner.parent.is_none().then_some(incarnation);
                let welcome =
                    Welcome { credit_tasks: tasks, credit_bytes: bytes, incarnation, ..Welcome::default() };
                let address = "manager:8000".to_owned();
                return self.step_client(client, [Input::Connected { welcome, address }]);
            }
            Packet::End => return self.lose_connection(Dialler::Client(client)),
            Packet::ToClient(message) => Incoming::Message(*message),
            Packet::Refused(refusal) => Incoming::Control(Control::Refused(*refusal)),
            Packet::Ping => Incoming::Control(Control::Ping(0)),
            Packet::FromClient(_) | Packet::FromWorker(_) | Packet::ToWorker(_) | Packet::Pong => return,
        };
        self.step_client(client, [Input::BytesReceived, Input::MessageReceived(received)]);
    }

    pub(crate) fn on_client_timer(&mut self, client: usize, at: u64) {
        if self.clients[client].timer == Some(at) {
            self.clients[client].timer = None;
            self.step_client(client, [Input::TimePassed]);
        }
    }

    /// Steps the machine, and carries out what it wants.
    pub(crate) fn step_client<const N: usize>(&mut self, client: usize, inputs: [Input; N]) {
        let owner = &mut self.clients[client];
        if !owner.is_alive {
            return;
        }
        let now = owner.clock.read(self.now);
        for input in inputs {
            owner.machine.step(now, input, &mut owner.out);
        }
        self.settle_client(client);
    }

    /// Carries out what steps and calls have asked for, and takes what the user waits for.
    pub(crate) fn settle_client(&mut self, client: usize) {
        let look_every = self.plan.shape.look_every;
        let owner = &mut self.clients[client];
        owner.steps += 1;
        if owner.steps.is_multiple_of(look_every) {
            owner.machine.assert_invariants();
        }
        self.write_client(client);
        for effect in std::mem::take(&mut self.clients[client].out.effects) {
            match effect {
                Effect::Disconnect => {
                    if let Some(id) = self.clients[client].dial.any() {
                        self.close_end(id, true);
                    }
                    self.clients[client].dial.rest();
                }
                Effect::Dial { .. } => {
                    let dial = self.clients[client].dial.begin_dial();
                    self.dial(Dialler::Client(client), 0, dial);
                }
                Effect::ReportWaiting(why) => {
                    self.trace.note(self.now, [8, client as u64, why.tasks], || {
                        format!("client {client} learns why it waits: {}", why.message)
                    });
                }
                Effect::Print(print) => self.oracle.fail(format!("client {client} prints {print:?}")),
                Effect::Wake(_) => {}
            }
        }
        self.take_ends(client);
        self.arm_client(client);
    }

    fn arm_client(&mut self, client: usize) {
        let owner = &mut self.clients[client];
        let due = owner.machine.next_deadline().map(|time| owner.clock.when(time).max(self.now));
        if let Some(at) = due
            && owner.timer.is_none_or(|timer| at < timer)
        {
            owner.timer = Some(at);
            self.queue.push(at, Event::ClientTimer { client, at });
        }
    }

    /// Sends the bytes that the machine has written, as the messages that they contain.
    fn write_client(&mut self, client: usize) {
        let owner = &mut self.clients[client];
        owner.machine.finish_batch(&mut owner.out);
        while !owner.out.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); 64];
            let count = owner.out.frames.slices(&mut slices);
            let mut written = 0;
            for slice in &slices[..count] {
                owner.written.buffer().extend_from_slice(slice);
                written += slice.len();
            }
            owner.out.frames.advance(written);
        }
        loop {
            match self.clients[client].written.next() {
                Ok(Some(Incoming::Message(message))) => self.send_from_client(client, message),
                Ok(Some(Incoming::Control(_))) => self.send_packet_from_client(client, Packet::Pong),
                Ok(None) => return,
                Err(error) => {
                    return self.oracle.fail(format!("client {client} writes what cannot be read: {error}"));
                }
            }
        }
    }

    fn send_from_client(&mut self, client: usize, message: ToManager) {
        let message = self.relayed(client, message);
        if let ToManager::Submit(task) = &message {
            self.oracle.submitted(task.head.id);
        }
        self.send_packet_from_client(client, Packet::FromClient(Box::new(message)));
    }

    fn send_packet_from_client(&mut self, client: usize, packet: Packet) {
        match self.clients[client].dial.open() {
            Some(id) => self.send(id, true, packet),
            None => self.oracle.fail(format!("client {client} writes {packet:?} without a connection")),
        }
    }

    /// Takes every end that has come.
    fn take_ends(&mut self, client: usize) {
        let owner = &mut self.clients[client];
        let mut ends = Vec::new();
        while let Poll::Ready((member, _, end)) = owner.machine.poll_group(owner.group, Waker::noop()) {
            ends.push((member.position as usize, end));
        }
        let waits: Vec<(u64, usize)> =
            owner.collects.iter().map(|(number, place)| (*number, *place)).collect();
        let mut collected = Vec::new();
        for (number, place) in waits {
            if let Poll::Ready(end) = owner.machine.poll_end(number, Waker::noop()) {
                owner.collects.remove(&number);
                collected.push((place, end));
            }
        }
        for (place, end) in ends {
            self.clients[client].numbers.remove(&place);
            self.on_end(client, place, end);
        }
        for (place, end) in collected {
            self.on_collected(client, place, end);
        }
        if self.clients[client].parent.is_some() && !self.clients[client].waits() {
            self.end_children(client);
        }
    }

    fn on_end(&mut self, client: usize, place: usize, end: Completion) {
        let plan = &self.plan.tasks[place];
        let (number, is_detached) = (plan.number, plan.flags.contains(Flags::DETACHED));
        match end {
            Completion::Outcome(outcome) if is_detached && !is_withdrawn(&outcome) => {
                self.oracle
                    .fail(format!("{:?} is detached and its outcome came uncollected", outcome.head.id));
            }
            Completion::Outcome(outcome) => self.oracle.delivered(&outcome),
            Completion::Accepted(_) => {
                let wait = plan.collect.1;
                self.oracle.fates[number as usize].is_accepted = true;
                self.queue.push(self.now + wait, Event::ClientCollects { task: place });
                self.to_come += 1;
            }
            // The manager has given the attempt up and refuses the client inside it, which may live on for a moment.
            Completion::Failed(..) if self.may_be_refused(client, place) => {}
            Completion::Failed(kind, why) => {
                self.oracle.fail(format!("client {client} gives up task {number}: {}: {why}", kind.name()));
            }
        }
    }

    fn may_be_refused(&self, client: usize, place: usize) -> bool {
        let is_inside = self.clients[client].parent.is_some();
        is_inside && (!self.plan.is_calm() || self.oracle.is_uprooted(self.id_of(place)))
    }

    fn on_collected(&mut self, client: usize, place: usize, end: Completion) {
        let id = self.id_of(place);
        match end {
            Completion::Outcome(outcome) => {
                // A task that never reached a worker is lost as well, in other words.
                let is_unknown = Report::from_json(&outcome.report).message.contains("no such task");
                if is_unknown && outcome.head.status == Status::Lost {
                    self.oracle.fail(format!("{id:?} was accepted, and the manager knows nothing of it"));
                }
                self.oracle.delivered(&outcome);
            }
            Completion::Accepted(_) | Completion::Failed(..) => {
                self.oracle.fail(format!("client {client} collects {id:?} and gets {end:?}"));
            }
        }
    }

    pub(crate) fn on_client_submits(&mut self, place: usize) {
        self.to_come -= 1;
        let client = self.plan.tasks[place].client;
        if !self.clients[client].is_alive {
            return;
        }
        let addition = self.build_addition(place);
        let owner = &mut self.clients[client];
        let member = Member { group: owner.group, position: place as u64, bytes: 0 };
        let number = owner.machine.add_to_group(addition, member, &mut owner.out);
        owner.numbers.insert(place, number);
        let id = owner.machine.task_id(number);
        self.ids[place] = Some(id);
        self.oracle.named(id, self.plan.tasks[place].number);
        self.settle_client(client);
    }

    pub(crate) fn on_client_cancels(&mut self, place: usize) {
        self.to_come -= 1;
        let task = &self.plan.tasks[place];
        let (client, number) = (task.client, task.number);
        if !self.clients[client].is_alive {
            return;
        }
        let id = self.id_of(place);
        let fate = &mut self.oracle.fates[number as usize];
        let owner = &mut self.clients[client];
        if let Some(number) = owner.numbers.get(&place) {
            fate.is_cancelled = true;
            owner.machine.cancel(*number, &mut owner.out);
        } else if fate.is_accepted && fate.delivered == 0 {
            fate.is_cancelled = true;
            owner.machine.cancel_detached(&[self.capabilities.ticket(id)], &mut owner.out);
        }
        self.settle_client(client);
    }

    pub(crate) fn on_client_collects(&mut self, place: usize) {
        self.to_come -= 1;
        let id = self.id_of(place);
        let client = self.collector_of(place);
        let owner = &mut self.clients[client];
        if owner.is_alive {
            let number = owner.machine.collect(self.capabilities.ticket(id), &mut owner.out);
            owner.collects.insert(number, place);
            self.settle_client(client);
        }
    }
}

/// True for a task that was never accepted: it was cancelled before it came in, or can never have room.
fn is_withdrawn(outcome: &Outcome) -> bool {
    let was_turned_away = outcome.head.status == Status::Cancelled || had_no_room(outcome);
    was_turned_away && outcome.head.attempt.0 == 0
}
