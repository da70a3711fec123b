//! Messages of a lying client.

use argon_proto::conversation::admin::{Cancel, Question, Request};
use argon_proto::conversation::client::{Open, ToManager};
use argon_proto::conversation::{Answer, Blob, Goodbye, OutputCredit};
use argon_proto::{Attempt, BlobHash, Flags, Priority, Runtime, Task, TaskHead, TaskId, Ticket, TicketToken};
use bytes::Bytes;

use crate::handlers::rogues::{pick, remember};
use crate::plan::{TaskBehaviour, TaskPlan};
use crate::world::World;

/// Tasks that one rogue submits at most: each is run.
const SUBMITS_MAX: u64 = 60;

impl World {
    pub(crate) fn client_lie(&mut self, place: usize) -> ToManager {
        match self.rogues[place].random.below(40) {
            0..8 => ToManager::Submit(self.task_lie(place)),
            8..14 => ToManager::Ack(self.id_lies(place)),
            14..20 => ToManager::Cancel(self.id_lies(place)),
            20..24 => ToManager::Collect(self.ticket_lies(place)),
            24..26 => ToManager::Request(self.cancel_request_lie(place)),
            26..29 => ToManager::Blob(self.blob_of_rogue(place)),
            29..31 => ToManager::Offered,
            31..33 => {
                let to = self.overheard_attempt(place);
                let bytes = self.rogues[place].random.one_of(&[0, 1 << 20, u64::MAX]);
                ToManager::OutputCredit(OutputCredit { to, bytes })
            }
            33..35 => {
                let to = self.overheard_attempt(place);
                ToManager::Answer(Answer { to, ask: 1, found: true, bytes: Bytes::from_static(b"lie") })
            }
            35 => ToManager::Goodbye(Goodbye::default()),
            _ => ToManager::Open(self.open_lie(place)),
        }
    }

    /// Its own session, that of another, or one of the family of another.
    pub(crate) fn open_lie(&mut self, place: usize) -> Open {
        let other = self.overheard_task(place).session;
        let rogue = &mut self.rogues[place];
        let own = Open::of(rogue.secret.clone());
        let open = match rogue.random.below(10) {
            0..2 => Open { session: other, ..own },
            2 => Open::of_child(other.family(), rogue.secret.clone()),
            3 => Open::of(rogue.random.secret()),
            _ => own,
        };
        Open { previous: self.previous_lie(place), ..open }
    }

    /// Tasks with its own tickets, or with the rights of others made up.
    fn ticket_lies(&mut self, place: usize) -> Vec<Ticket> {
        let ids = self.id_lies(place);
        let rogue = &mut self.rogues[place];
        let ticket = |id| {
            let own = pick(&mut rogue.random, &rogue.tickets).copied();
            let made_up = TicketToken([rogue.random.next() as u8; 16]);
            match own {
                Some(own) if rogue.random.percent(50) => own,
                own => Ticket { id, token: own.map_or(made_up, |own| own.token) },
            }
        };
        ids.into_iter().map(ticket).collect()
    }

    fn cancel_request_lie(&mut self, place: usize) -> Request {
        let tickets = self.ticket_lies(place).into_iter().map(|ticket| ticket.to_string());
        let tasks: Vec<String> = match self.rogues[place].random.percent(50) {
            true => tickets.collect(),
            false => self.id_lies(place).into_iter().map(|id| id.to_string()).collect(),
        };
        Question::Cancel(Cancel { tasks, ..Cancel::default() }).numbered(1)
    }

    fn id_lies(&mut self, place: usize) -> Vec<TaskId> {
        let count = self.rogues[place].random.between(1, 4);
        (0..count).map(|_| self.overheard_task(place)).collect()
    }

    fn blob_of_rogue(&mut self, place: usize) -> Blob {
        let random = &mut self.rogues[place].random;
        self.blobs[random.index(self.blobs.len())].clone()
    }

    /// A task of its own, mostly; honest workers execute it.
    fn task_lie(&mut self, place: usize) -> Task {
        let rogue = &mut self.rogues[place];
        let is_repeated = rogue.submitted >= SUBMITS_MAX || rogue.random.percent(20);
        let id = match rogue.own.last().copied().filter(|_| is_repeated) {
            Some(_) => rogue.own[rogue.random.index(rogue.own.len())],
            None => self.new_task_of_rogue(place),
        };
        let other = self.overheard_task(place);
        let is_others = self.rogues[place].random.percent(10) && self.oracle.is_known(other);
        let id = if is_others { other } else { id };
        let random = &mut self.rogues[place].random;
        let mut flags = Flags::default();
        for (flag, percent) in [
            (Flags::OFFERED_AGAIN, 30),
            (Flags::NEVER_TWICE, 10),
            (Flags::DETACHED, 10),
            (Flags::RETRY_ERROR, 10),
            (Flags::AHEAD, 5),
        ] {
            flags = if random.percent(percent) { flags.with(flag) } else { flags };
        }
        let head = TaskHead {
            attempt: Attempt(random.one_of(&[0, 0, 1, u32::MAX])),
            flags,
            priority: random.one_of(&[Priority::High, Priority::Normal]),
            retries: random.one_of(&[0, 1, u16::MAX]),
            memory_mib: random.one_of(&[0, 0, 64, u32::MAX]),
            timeout_ms: 2_000,
            ..TaskHead::new(id, Runtime::Perl)
        };
        let known = self.blobs[random.index(self.blobs.len())].hash;
        let hashes = match random.below(5) {
            0 => vec![known; 16],
            1 => vec![known, BlobHash([random.next() as u8; 32])],
            2 => vec![BlobHash([random.next() as u8; 32]); 3],
            _ => Vec::new(),
        };
        let bytes = random.spread(1, 2_000) as usize;
        Task::new(head, hashes, Bytes::from_static(b"{"), vec![9; bytes].into())
    }

    /// The oracle knows of such a task, and expects nothing of it.
    fn new_task_of_rogue(&mut self, place: usize) -> TaskId {
        let number = self.places.len() as u64;
        let rogue = &mut self.rogues[place];
        rogue.submitted += 1;
        let id = TaskId { session: rogue.session, sequence: rogue.submitted };
        remember(&mut rogue.own, id);
        let run_us = rogue.random.spread(30, 200_000);
        let plan = TaskPlan::of_rogue(number, self.plan.shape.clients, run_us);
        debug_assert_eq!(plan.behaviour, TaskBehaviour::Return);
        self.oracle.add_rogues(&plan, id);
        self.places.push(self.plan.tasks.len());
        self.ids.push(Some(id));
        self.plan.tasks.push(plan);
        id
    }
}
