//! A client as the protocol asks it to be: the journal of its unfinished tasks, credit, reconnects, collecting.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::{BlobHash, Flags, Outcome, SessionId, Status, TaskId};

use crate::clock::Clock;
use crate::event::{Dialler, Event, Packet};
use crate::random::Random;
use crate::wire::Wire;
use crate::world::World;

/// A client process. Tasks are named by their place in the plan.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) is_alive: bool,
    pub(crate) session: SessionId,
    pub(crate) clock: Clock,
    pub(crate) wire: Wire,
    pub(crate) frozen: u32,
    pub(crate) stalled: Vec<Event>,
    /// Its unfinished tasks, by sequence number.
    journal: BTreeMap<u64, Entry>,
    backlog: VecDeque<Item>,
    /// Detached tasks that it collects.
    collects: BTreeSet<TaskId>,
    credit: Credit,
    /// Outcomes in hand that the manager was not told of; whether each used credit of this connection.
    acks: Vec<(TaskId, bool)>,
    /// Blobs that it sent on its present connection.
    sent_blobs: BTreeSet<BlobHash>,
    will_ack: bool,
}

/// A task that is not over.
#[derive(Debug)]
struct Entry {
    place: usize,
    state: Sent,
    /// Whether some manager may have it.
    was_sent: bool,
    is_cancelled: bool,
    tries: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sent {
    Waiting,
    Here,
    HeldBack,
}

/// What is to be sent in order.
#[derive(Clone, Copy, Debug)]
enum Item {
    Task(u64),
    Offered,
}

/// The account of the present connection.
#[derive(Debug, Default)]
struct Credit {
    granted: (u64, u64),
    sent: (u64, u64),
    /// Tasks sent here whose end the manager was not told of.
    outstanding: u64,
}

impl Client {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            is_alive: true,
            session: SessionId(random.id()),
            clock: Clock::new(0, random.below(1 << 40), 0),
            wire: Wire::default(),
            frozen: 0,
            stalled: Vec::new(),
            journal: BTreeMap::new(),
            backlog: VecDeque::new(),
            collects: BTreeSet::new(),
            credit: Credit::default(),
            acks: Vec::new(),
            sent_blobs: BTreeSet::new(),
            will_ack: false,
        }
    }

    pub(crate) fn waits(&self) -> bool {
        !self.journal.is_empty() || !self.collects.is_empty()
    }

    /// Whether it waits for this task, having sent it on its present connection.
    pub(crate) fn waits_for(&self, sequence: u64, is_attached: bool) -> bool {
        is_attached
            && self.is_alive
            && self
                .journal
                .get(&sequence)
                .is_some_and(|entry| entry.state == Sent::Here && !entry.is_cancelled)
    }

    pub(crate) fn unfinished(&self) -> impl Iterator<Item = usize> + '_ {
        self.journal.values().map(|entry| entry.place)
    }

    pub(crate) fn collecting(&self) -> impl Iterator<Item = TaskId> + '_ {
        self.collects.iter().copied()
    }

    /// Begins again on a new connection: first what some manager may have, then the end of that, then the rest.
    fn reopen(&mut self, tasks: u64, bytes: u64) {
        self.credit = Credit { granted: (tasks, bytes), ..Credit::default() };
        self.backlog.clear();
        self.sent_blobs.clear();
        for is_first in [true, false] {
            for (sequence, entry) in &mut self.journal {
                if entry.was_sent == is_first && entry.state != Sent::HeldBack {
                    entry.state = Sent::Waiting;
                    self.backlog.push_back(Item::Task(*sequence));
                }
            }
            if is_first {
                self.backlog.push_back(Item::Offered);
            }
        }
        self.acks.iter_mut().for_each(|ack| ack.1 = false);
    }

    fn may_send(&self, bytes: u64) -> bool {
        let credit = &self.credit;
        credit.sent.0 < credit.granted.0
            && (credit.sent.1 + bytes <= credit.granted.1 || credit.outstanding == 0)
    }
}

impl World {
    pub(crate) fn client_receives(&mut self, client: usize, id: usize, packet: Packet) {
        if self.clients[client].wire.any() != Some(id) || !self.clients[client].is_alive {
            return;
        }
        let now = self.clients[client].clock.read(self.now).0;
        self.clients[client].wire.heard = now;
        match packet {
            Packet::Welcome { tasks, bytes } => {
                let owner = &mut self.clients[client];
                owner.wire.opens(now);
                owner.reopen(tasks, bytes);
                let (session, collects) = (owner.session, owner.collecting().collect::<Vec<_>>());
                self.say(client, ToManager::Open(Open::of(session)));
                self.send_acks(client);
                if !collects.is_empty() {
                    self.say(client, ToManager::Collect(collects));
                }
                self.pump(client);
            }
            Packet::ToClient(message) => self.client_reads(client, *message),
            Packet::Ping => self.send(id, true, Packet::Pong),
            Packet::End => self.lose_wire(Dialler::Client(client)),
            Packet::FromClient(_) | Packet::FromWorker(_) | Packet::ToWorker(_) | Packet::Pong => {}
        }
    }

    pub(crate) fn say(&mut self, client: usize, message: ToManager) {
        if let Some(id) = self.clients[client].wire.open() {
            self.send(id, true, Packet::FromClient(Box::new(message)));
        }
    }

    /// Sends what the credit allows.
    pub(crate) fn pump(&mut self, client: usize) {
        while self.clients[client].wire.open().is_some()
            && let Some(item) = self.clients[client].backlog.front().copied()
        {
            let Item::Task(sequence) = item else {
                self.clients[client].backlog.pop_front();
                self.say(client, ToManager::Offered);
                continue;
            };
            let entry = self.clients[client].journal.get(&sequence);
            let Some(entry) = entry.filter(|entry| entry.state == Sent::Waiting) else {
                self.clients[client].backlog.pop_front();
                continue;
            };
            let task = self.build_task(entry.place, entry.was_sent);
            if !self.clients[client].may_send(task.weight()) {
                return;
            }
            self.submit(client, sequence, task);
        }
    }

    fn submit(&mut self, client: usize, sequence: u64, task: argon_proto::Task) {
        let owner = &mut self.clients[client];
        owner.backlog.pop_front();
        owner.credit.sent.0 += 1;
        owner.credit.sent.1 += task.weight();
        owner.credit.outstanding += 1;
        let id = task.head.id;
        let mut is_cancelled = false;
        if let Some(entry) = owner.journal.get_mut(&sequence) {
            entry.state = Sent::Here;
            entry.was_sent = true;
            is_cancelled = entry.is_cancelled;
        }
        self.oracle.fates[sequence as usize].is_submitted = true;
        for hash in task.blob_hashes() {
            if self.clients[client].sent_blobs.insert(hash) {
                self.say_blob(client, hash);
            }
        }
        self.say(client, ToManager::Submit(task));
        if is_cancelled {
            self.say(client, ToManager::Cancel(vec![id]));
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "simulated tasks print and ask nothing")]
    fn client_reads(&mut self, client: usize, message: ToClient) {
        match message {
            ToClient::Outcome(outcome) => self.on_outcome(client, outcome),
            ToClient::Accepted(ids) => ids.into_iter().for_each(|id| self.on_accepted(client, id)),
            ToClient::Credit(credit) => {
                self.clients[client].credit.granted = (credit.tasks, credit.bytes);
                self.pump(client);
            }
            ToClient::NeedBlob(hashes) => {
                for hash in hashes {
                    self.clients[client].sent_blobs.insert(hash);
                    self.say_blob(client, hash);
                }
            }
            _ => {}
        }
    }

    fn say_blob(&mut self, client: usize, hash: BlobHash) {
        if let Some(blob) = self.blob(hash) {
            self.say(client, ToManager::Blob(blob));
        }
    }

    fn on_accepted(&mut self, client: usize, id: TaskId) {
        let Some(entry) = self.clients[client].journal.remove(&id.sequence) else {
            return;
        };
        self.oracle.fates[id.sequence as usize].is_accepted = true;
        self.clients[client].credit.outstanding -= 1;
        let wait = self.plan.tasks[entry.place].collect.1;
        self.agenda.enter(self.now + wait, Event::ClientCollects { task: entry.place });
        self.to_come += 1;
        self.pump(client);
    }

    fn on_outcome(&mut self, client: usize, outcome: Outcome) {
        let id = outcome.head.id;
        if self.clients[client].collects.remove(&id) {
            if outcome.head.attempt.0 == 0 && outcome.head.status == Status::Lost {
                self.oracle.fail(format!("{id:?} was accepted, and the manager knows nothing of it"));
            }
            self.oracle.told(&outcome);
            return self.will_ack(client, id, false);
        }
        let is_attached = !self.task_plan(id).flags.contains(Flags::DETACHED);
        let Some(entry) = self.clients[client].journal.get_mut(&id.sequence) else {
            return self.will_ack(client, id, false);
        };
        if outcome.head.status == Status::Rejected {
            entry.state = Sent::HeldBack;
            entry.was_sent = false;
            entry.tries += 1;
            let (place, pause) = (entry.place, (50_000 << entry.tries.min(6)).min(2_000_000));
            self.clients[client].credit.outstanding -= 1;
            let wait = self.random.between(pause / 2, pause);
            self.agenda.enter(self.now + wait, Event::ClientRetries { task: place });
            return self.pump(client);
        }
        // One that was cancelled before it came in was never accepted.
        let is_withdrawn = outcome.head.status == Status::Cancelled && outcome.head.attempt.0 == 0;
        if !is_attached && !is_withdrawn {
            return self.oracle.fail(format!("{id:?} is detached and its outcome came uncollected"));
        }
        let was_here = entry.state == Sent::Here;
        self.clients[client].journal.remove(&id.sequence);
        self.oracle.told(&outcome);
        self.will_ack(client, id, was_here);
    }

    fn will_ack(&mut self, client: usize, id: TaskId, used_credit: bool) {
        let longest = self.plan.shape.ack_us;
        let wait = self.random.between(0, longest);
        let owner = &mut self.clients[client];
        owner.acks.push((id, used_credit));
        if longest == 0 {
            self.send_acks(client);
        } else if !std::mem::replace(&mut owner.will_ack, true) {
            self.agenda.enter(self.now + wait, Event::ClientAcks { client });
        }
    }

    pub(crate) fn on_client_acks(&mut self, client: usize) {
        self.clients[client].will_ack = false;
        if self.clients[client].is_alive {
            self.send_acks(client);
        }
    }

    fn send_acks(&mut self, client: usize) {
        let owner = &mut self.clients[client];
        if owner.wire.open().is_none() || owner.acks.is_empty() {
            return;
        }
        let acks = std::mem::take(&mut owner.acks);
        owner.credit.outstanding -= acks.iter().filter(|(_, used)| *used).count() as u64;
        self.say(client, ToManager::Ack(acks.into_iter().map(|(id, _)| id).collect()));
        self.pump(client);
    }

    pub(crate) fn on_client_submits(&mut self, place: usize) {
        self.to_come -= 1;
        let task = &self.plan.tasks[place];
        let (client, number) = (task.client, task.number);
        let owner = &mut self.clients[client];
        if !owner.is_alive {
            return;
        }
        let entry = Entry { place, state: Sent::Waiting, was_sent: false, is_cancelled: false, tries: 0 };
        owner.journal.insert(number, entry);
        owner.backlog.push_back(Item::Task(number));
        self.pump(client);
    }

    pub(crate) fn on_client_retries(&mut self, place: usize) {
        let task = &self.plan.tasks[place];
        let (client, number) = (task.client, task.number);
        let owner = &mut self.clients[client];
        let Some(entry) = owner.journal.get_mut(&number).filter(|entry| entry.state == Sent::HeldBack) else {
            return;
        };
        entry.state = Sent::Waiting;
        owner.backlog.push_back(Item::Task(number));
        if owner.is_alive {
            self.pump(client);
        }
    }

    pub(crate) fn on_client_cancels(&mut self, place: usize) {
        self.to_come -= 1;
        let task = &self.plan.tasks[place];
        let (client, number) = (task.client, task.number);
        let id = self.id_of(place);
        let owner = &mut self.clients[client];
        if !owner.is_alive {
            return;
        }
        let fate = &mut self.oracle.fates[number as usize];
        let Some(entry) = owner.journal.get_mut(&number) else {
            if fate.is_accepted && fate.told == 0 {
                fate.is_cancelled = true;
                self.say(client, ToManager::Cancel(vec![id]));
            }
            return;
        };
        fate.is_cancelled = true;
        if !entry.was_sent {
            // Nobody else knows of it: it is over here and now.
            owner.journal.remove(&number);
            return;
        }
        entry.is_cancelled = true;
        if entry.state == Sent::Here {
            self.say(client, ToManager::Cancel(vec![id]));
        }
    }

    pub(crate) fn on_client_collects(&mut self, place: usize) {
        self.to_come -= 1;
        let id = self.id_of(place);
        let client = self.collector_of(place);
        if self.clients[client].is_alive {
            self.clients[client].collects.insert(id);
            self.say(client, ToManager::Collect(vec![id]));
        }
    }
}
