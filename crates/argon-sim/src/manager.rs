//! The manager's shell: batches of inputs, commits, the release of effects, life signs. What it decides is the core's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use argon_core::gate::{GateEffect, ManagerGate};
use argon_core::scheduler::{ConnId, Input, Out, Record, Scheduler};
use argon_core::{Machine, Time};
use argon_proto::conversation::Blob;
use argon_proto::{AttemptId, Task, WorkerId};

use crate::clock::Clock;
use crate::event::{Dialler, Event, Packet};
use crate::store::{Store, Verdict};
use crate::wire::{QUIET, SILENCE};
use crate::world::World;

/// Pause after a refused commit, as in the real manager.
const REFUSED_PAUSE: u64 = 200_000;

/// The place of the manager: its store, and its process while there is one.
#[derive(Debug, Default)]
pub(crate) struct Manager {
    pub(crate) life: u32,
    pub(crate) process: Option<Process>,
    pub(crate) store: Store,
    /// The whole machine is away: a dialler is not even refused.
    pub(crate) is_silent: bool,
    pub(crate) frozen: u32,
    /// Whether this life stood still at some time: its time to let workers come back may have passed meanwhile.
    pub(crate) stood_still: bool,
    pub(crate) stalled: Vec<Event>,
}

/// A manager process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) scheduler: Scheduler,
    pub(crate) gate: ManagerGate,
    pub(crate) passing: Vec<GateEffect>,
    pub(crate) clock: Clock,
    pub(crate) started: Time,
    pub(crate) out: Out,
    inbox: VecDeque<(ConnId, Arrival)>,
    pub(crate) peers: BTreeMap<ConnId, Peer>,
    /// Workers that registered in this life.
    pub(crate) known: BTreeSet<usize>,
    /// When clients went whose sessions may still be kept.
    pub(crate) left: BTreeMap<usize, Time>,
    works_soon: bool,
    timer: Option<u64>,
    /// Effects wait for the commit that is under way.
    waits: bool,
    steps: u64,
    /// Attempts that were told to stop in this batch, to be judged at its end.
    pub(crate) stopped: Vec<AttemptId>,
}

/// The manager's end of a connection. Times are on its own clock.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) connection: usize,
    pub(crate) dialler: Dialler,
    pub(crate) is_introduced: bool,
    /// The worker that registered here.
    pub(crate) worker: Option<WorkerId>,
    /// A client that has offered everything again.
    pub(crate) has_offered: bool,
    heard: u64,
    pub(crate) said: u64,
    /// Attempts that the worker holds as far as the manager can know.
    pub(crate) holds: BTreeSet<AttemptId>,
}

/// What waits in the inbox.
#[derive(Debug)]
pub(crate) enum Arrival {
    Packet(Packet),
    Gone { is_dead: bool },
}

impl World {
    pub(crate) fn on_manager_starts(&mut self) {
        if self.manager.process.is_some() {
            return;
        }
        let clock = self.new_clock();
        let started = clock.read(self.now);
        let mut scheduler = Scheduler::new(started, self.plan.shape.limits.clone());
        let records = self.manager.store.load();
        let gate = self.recovered_gate(&records);
        scheduler.recover(started, records);
        scheduler.assert_invariants();
        self.manager.is_silent = false;
        self.manager.stood_still = false;
        self.manager.process = Some(Process {
            scheduler,
            gate,
            passing: Vec::new(),
            clock,
            started,
            out: Out::default(),
            inbox: VecDeque::new(),
            peers: BTreeMap::new(),
            known: BTreeSet::new(),
            left: BTreeMap::new(),
            works_soon: false,
            timer: None,
            waits: false,
            steps: 0,
            stopped: Vec::new(),
        });
        let life = self.manager.life;
        self.trace.note(self.now, [1, u64::from(life), 0], || format!("manager {life} starts"));
        self.agenda.enter(self.now + 1_000_000, Event::ManagerBeat { life });
        self.manager_works_soon();
    }

    /// The gate of a manager that finds these records, with the blobs that its store keeps for them.
    fn recovered_gate(&self, records: &[Record]) -> ManagerGate {
        let accepted = |record: &'_ Record| match record {
            Record::TaskAccepted(task) => Some(task.clone()),
            Record::AttemptStarted(_) | Record::TaskEnded(_) | Record::TaskForgotten(_) => None,
        };
        let tasks: Vec<Task> = records.iter().filter_map(accepted).collect();
        let mut gate = ManagerGate::new(self.plan.shape.spare_bytes);
        gate.recover(tasks.iter());
        for Blob { hash, payload } in
            tasks.iter().flat_map(Task::blob_hashes).filter_map(|hash| self.blob(hash))
        {
            gate.on_blob(hash, payload, &mut Vec::new());
        }
        gate
    }

    /// A task is stored with its blobs: they are here.
    fn judge_stored_blobs(&mut self, process: &Process) {
        for record in &process.out.records {
            if let Record::TaskAccepted(task) = record
                && task.blob_hashes().any(|hash| process.gate.payload(hash).is_none())
            {
                self.oracle.fail(format!("{:?} is stored without its blobs", task.head.id));
            }
        }
    }

    /// The manager's process is gone at once; its store keeps what was durable.
    pub(crate) fn crash_manager(&mut self, is_silent: bool) {
        let Some(process) = self.manager.process.take() else {
            return;
        };
        let life = self.manager.life;
        self.trace.note(self.now, [2, u64::from(life), 0], || format!("manager {life} is gone"));
        for peer in process.peers.values() {
            if is_silent {
                self.net.connections[peer.connection].ends[1] = false;
            } else {
                self.close_end(peer.connection, false);
            }
        }
        let is_lucky = self.random.percent(50);
        self.manager.store.crash(is_lucky);
        self.manager.life += 1;
        self.manager.is_silent = is_silent;
        self.manager.frozen = 0;
        self.manager.stalled.clear();
        self.oracle.manager_lost();
    }

    pub(crate) fn manager_admits(&mut self, connection: usize) {
        let end = &self.net.connections[connection];
        let (link, dialler) = (end.link, end.dialler);
        let limits = &self.plan.shape.limits;
        let (tasks, bytes) = (limits.window_tasks, limits.window_bytes);
        if let Some(process) = &mut self.manager.process {
            let now = process.clock.read(self.now).0;
            let peer = Peer {
                connection,
                dialler,
                is_introduced: false,
                worker: None,
                has_offered: false,
                heard: now,
                said: now,
                holds: BTreeSet::new(),
            };
            process.peers.insert(link, peer);
        }
        self.send(connection, false, Packet::Welcome { tasks, bytes });
    }

    pub(crate) fn manager_receives(&mut self, connection: usize, packet: Packet) {
        let link = self.net.connections[connection].link;
        let Some(process) = &mut self.manager.process else {
            return;
        };
        let Some(peer) = process.peers.get_mut(&link) else {
            return;
        };
        peer.heard = process.clock.read(self.now).0;
        let arrival = match packet {
            Packet::End => Arrival::Gone { is_dead: false },
            Packet::Welcome { .. }
            | Packet::FromClient(_)
            | Packet::FromWorker(_)
            | Packet::ToClient(_)
            | Packet::ToWorker(_)
            | Packet::Ping
            | Packet::Pong => Arrival::Packet(packet),
        };
        process.inbox.push_back((link, arrival));
        self.manager_works_soon();
    }

    pub(crate) fn manager_works_soon(&mut self) {
        let life = self.manager.life;
        let wait = self.random.between(1, 60);
        if let Some(process) = &mut self.manager.process
            && !std::mem::replace(&mut process.works_soon, true)
        {
            self.agenda.enter(self.now + wait, Event::ManagerWorks { life });
        }
    }

    /// The loop of the manager, taken out while the world looks on.
    pub(crate) fn with_manager(&mut self, life: u32, work: impl FnOnce(&mut Self, &mut Process)) {
        if life != self.manager.life {
            return;
        }
        if let Some(mut process) = self.manager.process.take() {
            work(self, &mut process);
            self.manager.process = Some(process);
        }
    }

    pub(crate) fn on_manager_works(&mut self, life: u32) {
        let batch = self.plan.shape.batch;
        self.with_manager(life, |world, process| {
            process.works_soon = false;
            if process.waits {
                return;
            }
            let now = process.clock.read(world.now);
            let mut count = 0;
            while count < batch
                && let Some((link, arrival)) = process.inbox.pop_front()
            {
                world.take_arrival(now, process, link, arrival);
                count += 1;
            }
            if count == 0 {
                world.step_manager(now, process, Input::TimePassed);
            }
            world.finish_batch(now, process);
        });
        self.after_batch();
    }

    /// One step, with everything that can be judged right after it.
    pub(crate) fn step_manager(&mut self, now: Time, process: &mut Process, input: Input) {
        let from = process.out.effects.len();
        process.scheduler.step(now, input, &mut process.out);
        process.steps += 1;
        if process.steps.is_multiple_of(self.plan.shape.look_every) {
            process.scheduler.assert_invariants();
            process.gate.assert_invariants();
        }
        self.observe(process, from);
    }

    fn finish_batch(&mut self, now: Time, process: &mut Process) {
        let from = process.out.effects.len();
        process.scheduler.finish_batch(now, &mut process.out);
        self.observe(process, from);
        self.judge_stops(process);
        self.judge_stored_blobs(process);
        self.manager.store.waiting.append(&mut process.out.records);
        process.waits = false;
        if self.manager.store.begin() {
            let (least, longest) = self.plan.shape.commit_us;
            let wait = self.random.spread(least, longest);
            self.agenda.enter(self.now + wait, Event::CommitEnds { life: self.manager.life });
            process.waits = self.plan.shape.waits_for_commits;
        }
        if !process.waits {
            self.release(process);
        }
    }

    /// What the driver does when a batch is through: more work, and a timer.
    fn after_batch(&mut self) {
        let life = self.manager.life;
        let Some(process) = &mut self.manager.process else {
            return;
        };
        let has_work = !process.inbox.is_empty() && !process.waits;
        let due = process.scheduler.next_deadline().map(|time| process.clock.when(time).max(self.now));
        if let Some(at) = due
            && !process.waits
            && process.timer.is_none_or(|timer| at < timer)
        {
            process.timer = Some(at);
            self.agenda.enter(at, Event::ManagerTimer { life, at });
        }
        if has_work {
            self.manager_works_soon();
        }
    }

    pub(crate) fn on_manager_timer(&mut self, life: u32, at: u64) {
        let mut is_current = false;
        self.with_manager(life, |_, process| {
            is_current = process.timer == Some(at);
            if is_current {
                process.timer = None;
            }
        });
        if is_current {
            self.manager_works_soon();
        }
    }

    pub(crate) fn on_commit_ends(&mut self, life: u32) {
        if life != self.manager.life || self.manager.process.is_none() {
            return;
        }
        let Some(verdict) = self.manager.store.end() else {
            return;
        };
        self.trace.note(self.now, [3, 0, 0], || format!("the commit ends: {verdict:?}"));
        let input = match verdict {
            Verdict::Durable { up_to } => Input::RecordsCommitted { up_to },
            Verdict::Refused { up_to } => {
                self.agenda.enter(self.now + REFUSED_PAUSE, Event::StoreMayTry { life });
                Input::RecordsRefused { up_to, why: "no room".to_owned() }
            }
            Verdict::Broken => {
                self.crash_manager(false);
                self.agenda.enter(self.now + 500_000, Event::ManagerStarts);
                return;
            }
        };
        self.with_manager(life, |world, process| {
            let now = process.clock.read(world.now);
            world.step_manager(now, process, input);
            world.finish_batch(now, process);
        });
        self.after_batch();
    }

    pub(crate) fn on_store_may_try(&mut self, life: u32) {
        if life == self.manager.life {
            self.manager.store.is_pausing = false;
            self.manager_works_soon();
        }
    }

    /// Life signs: who was silent for too long is dead, who was told nothing for long is pinged.
    pub(crate) fn on_manager_beat(&mut self, life: u32) {
        self.with_manager(life, |world, process| {
            let now = process.clock.read(world.now).0;
            let mut dead = Vec::new();
            for (link, peer) in &mut process.peers {
                // A client owes no life signs, but its kernel does: TCP gives up a peer that acknowledges nothing.
                let owes = matches!(peer.dialler, Dialler::Worker(_)) || world.is_deaf(peer.connection);
                if owes && now.saturating_sub(peer.heard) > SILENCE {
                    dead.push((*link, peer.connection));
                } else if now.saturating_sub(peer.said) >= QUIET {
                    peer.said = now;
                    world.send(peer.connection, false, Packet::Ping);
                }
            }
            for (link, connection) in dead {
                world.close_end(connection, false);
                process.inbox.push_back((link, Arrival::Gone { is_dead: true }));
            }
            world.agenda.enter(world.now + 1_000_000, Event::ManagerBeat { life });
        });
        if self.manager.process.as_ref().is_some_and(|process| !process.inbox.is_empty()) {
            self.manager_works_soon();
        }
    }
}
