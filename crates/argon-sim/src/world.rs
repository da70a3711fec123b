//! The simulated world: one true time, one agenda, all processes; and the loop that lets things happen.

use std::collections::BTreeMap;

use argon_proto::conversation::Blob;
use argon_proto::{BlobHash, TaskId};

use crate::agenda::Agenda;
use crate::client::Client;
use crate::clock::Clock;
use crate::event::{Dialler, Event, Packet};
use crate::manager::Manager;
use crate::net::Net;
use crate::oracle::Oracle;
use crate::plan::{Plan, TaskPlan};
use crate::random::Random;
use crate::task::all_blobs;
use crate::trace::Trace;
use crate::worker::Worker;

/// The longest that everything may take after the last planned event, microseconds.
const PATIENCE: u64 = 300_000_000;
/// Beyond so many events for each task and process, something goes round in circles.
const EVENTS_MAX: u64 = 40_000;

/// Everything there is.
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) plan: Plan,
    pub(crate) agenda: Agenda,
    pub(crate) random: Random,
    pub(crate) net: Net,
    pub(crate) next_link: u64,
    pub(crate) manager: Manager,
    pub(crate) workers: Vec<Worker>,
    pub(crate) clients: Vec<Client>,
    /// What tasks name.
    pub(crate) blobs: Vec<Blob>,
    /// Where a task stands in the plan, by its sequence number.
    places: Vec<usize>,
    pub(crate) oracle: Oracle,
    pub(crate) trace: Trace,
    pub(crate) events: u64,
    /// Submissions, cancellations and collections that are still to come.
    pub(crate) to_come: usize,
    /// The lives in which freezing faults, by their place, found their processes.
    pub(crate) frozen_lives: BTreeMap<usize, u32>,
    /// Everything was told: processes only tidy up.
    pub(crate) is_closing: bool,
    /// When that was.
    pub(crate) told_at: u64,
}

impl World {
    pub(crate) fn new(plan: Plan, trace: Trace) -> Self {
        let mut random = Random::new(plan.seed.wrapping_mul(0x0100_0000_01b3));
        let mut places =
            vec![usize::MAX; plan.tasks.iter().map(|t| t.number as usize + 1).max().unwrap_or(0)];
        for (place, task) in plan.tasks.iter().enumerate() {
            places[task.number as usize] = place;
        }
        let oracle = Oracle::new(&plan.tasks);
        let clients = (0..plan.shape.clients).map(|_| Client::new(&mut random)).collect();
        let mut world = Self {
            now: 0,
            agenda: Agenda::default(),
            net: Net::new(plan.shape.delay_us),
            next_link: 0,
            manager: Manager::default(),
            workers: (0..plan.shape.workers).map(|_| Worker::default()).collect(),
            clients,
            blobs: all_blobs(),
            places,
            oracle,
            trace,
            events: 0,
            to_come: 0,
            frozen_lives: BTreeMap::new(),
            is_closing: false,
            told_at: 0,
            random,
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.agenda.enter(0, Event::ManagerStarts);
        for worker in 0..self.workers.len() {
            let at = self.random.below(200_000);
            self.agenda.enter(at, Event::WorkerStarts { worker });
        }
        for client in 0..self.clients.len() {
            let at = self.random.below(1_000);
            self.agenda.enter(at, Event::Dial { dialler: Dialler::Client(client), life: 0, dial: 0 });
            self.agenda.enter(at, Event::Beat { dialler: Dialler::Client(client), life: 0 });
        }
        for place in 0..self.plan.tasks.len() {
            let task = &self.plan.tasks[place];
            let (at, cancel) = (task.at, task.cancel_after);
            self.agenda.enter(at, Event::ClientSubmits { task: place });
            self.to_come += 1;
            if let Some(after) = cancel {
                self.agenda.enter(at + after, Event::ClientCancels { task: place });
                self.to_come += 1;
            }
        }
        for place in 0..self.plan.faults.len() {
            self.agenda.enter(self.plan.faults[place].at, Event::FaultBegins(place));
        }
    }

    /// Lets everything happen; the reason if something happens that must not.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        let patience = self.plan.quiet_from() + PATIENCE + self.plan.work_us();
        let size = (self.plan.tasks.len() + self.workers.len() + self.clients.len()) as u64;
        let mut until = patience;
        while let Some((at, event)) = self.agenda.next() {
            debug_assert!(at >= self.now);
            self.now = at;
            self.events += 1;
            self.happen(event);
            if let Some(complaint) = self.oracle.verdict.take() {
                return Err(complaint);
            }
            if !self.is_closing && self.is_everything_told() {
                self.is_closing = true;
                self.told_at = self.now;
                self.close();
                until = self.now + PATIENCE + self.longest_keeping();
            }
            if self.is_closing && self.is_all_forgotten() {
                return Ok(());
            }
            if self.now > until {
                return Err(self.describe_standstill());
            }
            if self.events > size * EVENTS_MAX + 1_000_000 {
                return Err(format!("{} events and no end: something goes round in circles", self.events));
            }
        }
        Err("nothing is left to happen and the work is not done".to_owned())
    }

    fn happen(&mut self, event: Event) {
        if let Some(stalled) = self.stalled_by(&event) {
            stalled.push(event);
            return;
        }
        match event {
            Event::Arrive { connection, up, packet } => self.on_arrive(connection, up, packet),
            Event::Reset { connection, up } => self.on_reset(connection, up),
            Event::DialArrives { dialler, life, dial } => self.on_dial_arrives(dialler, life, dial),
            Event::DialFails { dialler, life, dial } => self.on_dial_fails(dialler, life, dial),
            Event::Dial { dialler, life, dial } => self.on_dial(dialler, life, dial),
            Event::Beat { dialler, life } => self.on_beat(dialler, life),
            Event::ManagerStarts => self.on_manager_starts(),
            Event::ManagerWorks { life } => self.on_manager_works(life),
            Event::ManagerTimer { life, at } => self.on_manager_timer(life, at),
            Event::ManagerBeat { life } => self.on_manager_beat(life),
            Event::CommitEnds { life } => self.on_commit_ends(life),
            Event::StoreMayTry { life } => self.on_store_may_try(life),
            Event::WorkerStarts { worker } => self.on_worker_starts(worker),
            Event::WorkerTimer { worker, life, at } => self.on_worker_timer(worker, life, at),
            Event::Runner { worker, life, runner, does } => {
                self.on_runner(worker, life, runner, does);
            }
            Event::ClientSubmits { task } => self.on_client_submits(task),
            Event::ClientCancels { task } => self.on_client_cancels(task),
            Event::ClientCollects { task } => self.on_client_collects(task),
            Event::ClientRetries { task } => self.on_client_retries(task),
            Event::ClientAcks { client } => self.on_client_acks(client),
            Event::FaultBegins(fault) => self.on_fault_begins(fault),
            Event::FaultEnds(fault) => self.on_fault_ends(fault),
        }
    }

    /// Where an event waits because its process stands still.
    fn stalled_by(&mut self, event: &Event) -> Option<&mut Vec<Event>> {
        let process = match event {
            Event::Arrive { connection, up: false, .. } | Event::Reset { connection, up: false } => {
                self.net.connections[*connection].dialler
            }
            Event::DialFails { dialler, .. } | Event::Dial { dialler, .. } | Event::Beat { dialler, .. } => {
                *dialler
            }
            Event::WorkerTimer { worker, .. } | Event::Runner { worker, .. } => Dialler::Worker(*worker),
            Event::ClientSubmits { task } | Event::ClientCancels { task } | Event::ClientRetries { task } => {
                Dialler::Client(self.plan.tasks[*task].client)
            }
            Event::ClientCollects { task } => Dialler::Client(self.collector_of(*task)),
            Event::ClientAcks { client } => Dialler::Client(*client),
            Event::Arrive { up: true, .. }
            | Event::Reset { up: true, .. }
            | Event::DialArrives { .. }
            | Event::ManagerWorks { .. }
            | Event::ManagerTimer { .. }
            | Event::ManagerBeat { .. }
            | Event::CommitEnds { .. }
            | Event::StoreMayTry { .. } => {
                return (self.manager.frozen > 0).then_some(&mut self.manager.stalled);
            }
            Event::ManagerStarts
            | Event::WorkerStarts { .. }
            | Event::FaultBegins(_)
            | Event::FaultEnds(_) => return None,
        };
        match process {
            Dialler::Worker(worker) => {
                let worker = &mut self.workers[worker];
                (worker.frozen > 0).then_some(&mut worker.stalled)
            }
            Dialler::Client(client) => {
                let client = &mut self.clients[client];
                (client.frozen > 0).then_some(&mut client.stalled)
            }
        }
    }

    fn on_arrive(&mut self, id: usize, up: bool, packet: Packet) {
        if !self.is_deliverable(id, up) {
            return;
        }
        self.deliver(id, up, packet);
    }

    /// As if the other end had closed, whatever the network does.
    fn on_reset(&mut self, id: usize, up: bool) {
        if self.net.connections[id].ends[usize::from(up)] {
            self.deliver(id, up, Packet::End);
        }
    }

    fn deliver(&mut self, id: usize, up: bool, packet: Packet) {
        if up {
            return self.manager_receives(id, packet);
        }
        match self.net.connections[id].dialler {
            Dialler::Worker(worker) => self.worker_receives(worker, id, packet),
            Dialler::Client(client) => self.client_receives(client, id, packet),
        }
    }

    /// Which life and which dial of a process would welcome an answer now.
    pub(crate) fn dial_of(&self, dialler: Dialler) -> Option<(u32, u32)> {
        match dialler {
            Dialler::Worker(worker) => {
                let worker = &self.workers[worker];
                (worker.process.is_some() && worker.wire.is_dialling())
                    .then_some((worker.life, worker.wire.dial))
            }
            Dialler::Client(client) => {
                let client = &self.clients[client];
                (client.is_alive && client.wire.is_dialling()).then_some((0, client.wire.dial))
            }
        }
    }

    pub(crate) fn dialler_connects(&mut self, dialler: Dialler, id: usize) {
        self.wire_of(dialler).connects(id);
    }

    fn on_dial(&mut self, dialler: Dialler, life: u32, dial: u32) {
        if !self.is_living(dialler, life) || self.wire_of(dialler).dial != dial {
            return;
        }
        let dial = self.wire_of(dialler).begin_dial();
        self.dial(dialler, life, dial);
    }

    fn on_dial_fails(&mut self, dialler: Dialler, life: u32, dial: u32) {
        if !self.is_living(dialler, life) || !self.wire_of(dialler).is_opening(dial) {
            return;
        }
        self.lose_wire(dialler);
    }

    pub(crate) fn is_living(&self, dialler: Dialler, life: u32) -> bool {
        match dialler {
            Dialler::Worker(worker) => {
                self.workers[worker].process.is_some() && self.workers[worker].life == life
            }
            Dialler::Client(client) => self.clients[client].is_alive,
        }
    }

    pub(crate) fn wire_of(&mut self, dialler: Dialler) -> &mut crate::wire::Wire {
        match dialler {
            Dialler::Worker(worker) => &mut self.workers[worker].wire,
            Dialler::Client(client) => &mut self.clients[client].wire,
        }
    }

    pub(crate) fn task_plan(&self, id: TaskId) -> &TaskPlan {
        &self.plan.tasks[self.places[id.sequence as usize]]
    }

    /// The blob of this hash.
    pub(crate) fn blob(&self, hash: BlobHash) -> Option<Blob> {
        self.blobs.iter().find(|blob| blob.hash == hash).cloned()
    }

    /// A clock for a process that starts now.
    pub(crate) fn new_clock(&mut self) -> Clock {
        let drift = self.plan.shape.drift;
        let rate = self.random.between(0, 2 * drift) as i64 - drift as i64;
        let offset = self.random.below(1 << 40);
        Clock::new(self.now, offset, rate)
    }
}
