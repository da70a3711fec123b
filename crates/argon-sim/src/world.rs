//! The simulated world: one true time, one queue, all processes; and the loop that lets things happen.

use std::collections::BTreeMap;

use argon_proto::Capabilities;
use argon_proto::conversation::Blob;
use argon_proto::key::Key;
use argon_proto::{BlobHash, TaskId};

use crate::blobs::all_blobs;
use crate::client::Client;
use crate::clock::Clock;
use crate::event::Event;
use crate::event_queue::EventQueue;
use crate::lateness::Lateness;
use crate::manager::{Manager, SECOND_PLACE};
use crate::net::Net;
use crate::oracle::Oracle;
use crate::plan::{RunPlan, TaskPlan};
use crate::random::Random;
use crate::rogue::Rogue;
use crate::trace::Trace;
use crate::worker::Worker;

/// State of the simulated world.
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) plan: RunPlan,
    pub(crate) queue: EventQueue,
    pub(crate) random: Random,
    pub(crate) net: Net,
    pub(crate) next_link: u64,
    /// The manager that everybody dials.
    pub(crate) manager: Manager,
    /// The other one, of a run that has two.
    pub(crate) stand_by: Manager,
    pub(crate) lateness: Lateness,
    pub(crate) workers: Vec<Worker>,
    /// Processes of clients; behind those of the plan the one that stands for all rogues, then those inside tasks.
    pub(crate) clients: Vec<Client>,
    pub(crate) rogues: Vec<Rogue>,
    /// Blobs that tasks name.
    pub(crate) blobs: Vec<Blob>,
    /// Ids of the tasks that were submitted, by their place in the plan.
    pub(crate) ids: Vec<Option<TaskId>>,
    /// Places of tasks in the plan, by their number.
    pub(crate) places: Vec<usize>,
    /// Capabilities of the cluster's key.
    pub(crate) capabilities: Capabilities,
    pub(crate) oracle: Oracle,
    pub(crate) trace: Trace,
    pub(crate) events: u64,
    /// Submissions, cancellations and collections that are still to come.
    pub(crate) to_come: usize,
    /// The lives in which freezing faults, by their place, found their processes.
    pub(crate) frozen_incarnations: BTreeMap<usize, u32>,
    /// True when all outcomes are received: processes only tidy up.
    pub(crate) is_closing: bool,
    /// When that was.
    pub(crate) delivered_at: u64,
}

impl World {
    pub(crate) fn new(plan: RunPlan, trace: Trace) -> Self {
        let mut random = Random::new(plan.seed.wrapping_mul(0x0100_0000_01b3));
        let mut places =
            vec![usize::MAX; plan.tasks.iter().map(|t| t.number as usize + 1).max().unwrap_or(0)];
        for (place, task) in plan.tasks.iter().enumerate() {
            places[task.number as usize] = place;
        }
        let mut oracle = Oracle::new(&plan.tasks);
        oracle.has_little_memory = plan.shape.has_little_memory();
        let mut clients: Vec<Client> = (0..plan.shape.clients).map(|_| Client::new(&mut random)).collect();
        clients.push(Client::never_alive());
        let mut world = Self {
            now: 0,
            queue: EventQueue::default(),
            net: Net::new(plan.shape.delay_us),
            next_link: 0,
            manager: Manager::default(),
            stand_by: Manager { incarnation: SECOND_PLACE, ..Manager::default() },
            lateness: Lateness::default(),
            workers: (0..plan.shape.workers).map(|_| Worker::default()).collect(),
            clients,
            rogues: plan.rogues.iter().cloned().map(Rogue::new).collect(),
            blobs: all_blobs(),
            ids: vec![None; plan.tasks.len()],
            places,
            capabilities: Capabilities::new(&Key::cluster([9; 32])),
            oracle,
            trace,
            events: 0,
            to_come: 0,
            frozen_incarnations: BTreeMap::new(),
            is_closing: false,
            delivered_at: 0,
            random,
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.queue.push(0, Event::ManagerStarts);
        if self.plan.has_two_managers() {
            self.start_stand_by();
        }
        if self.plan.is_watched() {
            self.queue.push(0, Event::Watch);
        }
        for worker in 0..self.workers.len() {
            let at = self.random.below(200_000);
            self.queue.push(at, Event::WorkerStarts { worker });
        }
        for client in 0..self.plan.shape.clients {
            let at = self.random.below(1_000);
            self.queue.push(at, Event::ClientStarts { client });
        }
        for place in 0..self.plan.tasks.len() {
            let task = &self.plan.tasks[place];
            let (at, cancel) = (task.at, task.cancel_after);
            self.queue.push(at, Event::ClientSubmits { task: place });
            self.to_come += 1;
            if let Some(after) = cancel {
                self.queue.push(at + after, Event::ClientCancels { task: place });
                self.to_come += 1;
            }
        }
        for rogue in 0..self.rogues.len() {
            self.queue.push(self.rogues[rogue].plan.at, Event::RogueActs { rogue });
        }
        for place in 0..self.plan.faults.len() {
            self.queue.push(self.plan.faults[place].at, Event::FaultBegins(place));
        }
    }

    pub(crate) fn task_plan(&self, id: TaskId) -> &TaskPlan {
        &self.plan.tasks[self.places[self.oracle.number_of(id)]]
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
