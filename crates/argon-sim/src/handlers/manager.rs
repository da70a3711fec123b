//! The manager's shell: batches of inputs, commits, the release of effects, heartbeats. What it decides is the core's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use argon_core::gate::ManagerGate;
use argon_core::scheduler::{ConnId, Effect, Input, ManagerIdentity, Out, Record, Scheduler};
use argon_core::{Machine, Time};
use argon_proto::conversation::Blob;
use argon_proto::handshake::RefusalCode;
use argon_proto::limit::{PING_AFTER, SILENCE};
use argon_proto::{Incarnation, Task};

use crate::clock::Clock;
use crate::described::outcome_brief;
use crate::event::{Dialler, Event, Packet};
use crate::handlers::steps::StepSize;
use crate::manager::{Arrival, ManagerProcess, PeerState};
use crate::store::Verdict;
use crate::world::World;

/// Pause after a refused commit, as in the real manager.
const REFUSED_PAUSE: u64 = 200_000;

impl World {
    pub(crate) fn on_manager_starts(&mut self) {
        if self.manager.process.is_some() {
            return;
        }
        let clock = self.new_clock();
        let started = clock.read(self.now);
        self.start_manager(clock, started);
    }

    /// The second manager has been up for a while when the run begins.
    pub(crate) fn start_stand_by(&mut self) {
        let up_for_us = self.random.spread(1_000_000, 1 << 37);
        let clock = Clock::new(0, up_for_us + self.random.below(1 << 40), 0);
        let started = Time(clock.read(0).0 - up_for_us);
        self.elsewhere(|world| world.start_manager(clock, started));
    }

    fn start_manager(&mut self, clock: Clock, started: Time) {
        let identity =
            ManagerIdentity { incarnation: self.incarnation(), capabilities: self.capabilities.clone() };
        let mut scheduler = Scheduler::new(started, self.plan.shape.limits.clone(), identity);
        let records = self.manager.store.load(self.plan.shape.limits.stored_above);
        let gate = self.recovered_gate(&records);
        scheduler.recover(started, records);
        scheduler.assert_invariants();
        self.manager.is_silent = false;
        self.manager.stood_still = false;
        self.manager.process = Some(Box::new(ManagerProcess {
            scheduler,
            gate,
            passing: Vec::new(),
            memory_told: 0,
            clock,
            started,
            out: Out::default(),
            inbox: VecDeque::new(),
            peers: BTreeMap::new(),
            was_away: false,
            known: BTreeSet::new(),
            arrived: BTreeMap::new(),
            from_elsewhere: BTreeSet::new(),
            brought: BTreeMap::new(),
            absent: BTreeMap::new(),
            left: BTreeMap::new(),
            works_soon: false,
            timer: None,
            waits: false,
            steps: 0,
            stopped: Vec::new(),
        }));
        let incarnation = self.manager.incarnation;
        self.trace.note(self.now, [1, u64::from(incarnation), 0], || format!("manager {incarnation} starts"));
        self.queue.push(self.now + 1_000_000, Event::ManagerBeat { incarnation });
        self.manager_works_soon();
    }

    /// The manager's, as its peers know it.
    pub(crate) fn incarnation(&self) -> Incarnation {
        Incarnation(u128::from(self.manager.incarnation + 1).to_be_bytes())
    }

    /// The gate of a manager that finds these records, with the blobs that its store keeps for them.
    fn recovered_gate(&self, records: &[Record]) -> ManagerGate {
        let accepted = |record: &'_ Record| match record {
            Record::TaskAccepted(task, _) => Some(task.clone()),
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
    fn judge_stored_blobs(&mut self, process: &ManagerProcess) {
        for record in &process.out.records {
            self.trace.note(self.now, [9, 0, 0], || match record {
                Record::TaskAccepted(task, _) => format!("record: {:?} is accepted", task.head.id),
                Record::AttemptStarted(attempt) => format!("record: {attempt:?} starts"),
                Record::TaskEnded(outcome) => format!("record: {}", outcome_brief(outcome)),
                Record::TaskForgotten(id) => format!("record: {id:?} is forgotten"),
            });
            if let Record::TaskAccepted(task, _) = record
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
        self.note_sessions_given_up(&process);
        let incarnation = self.manager.incarnation;
        self.trace
            .note(self.now, [2, u64::from(incarnation), 0], || format!("manager {incarnation} is gone"));
        for peer in process.peers.values() {
            if is_silent {
                self.net.connections[peer.connection].ends[1] = false;
            } else {
                self.close_end(peer.connection, false);
            }
        }
        let is_lucky = self.random.percent(50);
        self.manager.store.crash(is_lucky);
        self.manager.incarnation += 1;
        self.manager.is_silent = is_silent;
        self.manager.frozen = 0;
        self.manager.stalled.clear();
        self.oracle.manager_lost();
    }

    /// Clients that stayed away for longer than their grace have lost their tasks before the manager goes.
    pub(crate) fn note_sessions_given_up(&mut self, process: &ManagerProcess) {
        let now = process.clock.read(self.now);
        for (client, left) in &process.left {
            if now.since(*left) >= self.plan.shape.limits.session_grace {
                let tasks = self.plan.tasks.iter().filter(|task| task.client == *client);
                self.oracle.session_lost(tasks.map(|task| task.number));
            }
        }
    }

    pub(crate) fn manager_admits(&mut self, connection: usize) {
        let end = &self.net.connections[connection];
        let (link, dialler) = (end.link, end.dialler);
        let limits = &self.plan.shape.limits;
        let (tasks, bytes) = (limits.window_tasks, limits.window_bytes);
        if let Some(process) = &mut self.manager.process {
            let now = process.clock.read(self.now).0;
            let peer = PeerState {
                connection,
                dialler,
                is_introduced: false,
                worker: None,
                has_offered: false,
                comes_from_nowhere: false,
                is_draining: false,
                received_at: now,
                sent_at: now,
                holds: BTreeSet::new(),
                listed: Vec::new(),
            };
            process.peers.insert(link, peer);
        }
        let incarnation = self.incarnation();
        self.send(connection, false, Packet::Welcome { tasks, bytes, incarnation });
    }

    pub(crate) fn manager_receives(&mut self, connection: usize, packet: Packet) {
        let link = self.net.connections[connection].link;
        let Some(process) = &mut self.manager.process else {
            return;
        };
        let Some(peer) = process.peers.get_mut(&link) else {
            return;
        };
        peer.received_at = process.clock.read(self.now).0;
        let arrival = match packet {
            Packet::End => Arrival::Gone { is_dead: false },
            Packet::Welcome { .. }
            | Packet::FromClient(_)
            | Packet::FromWorker(_)
            | Packet::ToClient(_)
            | Packet::ToWorker(_)
            | Packet::Refused(_)
            | Packet::Ping
            | Packet::Pong => Arrival::Packet(packet),
        };
        process.inbox.push_back((link, arrival));
        self.manager_works_soon();
    }

    pub(crate) fn manager_works_soon(&mut self) {
        let incarnation = self.manager.incarnation;
        let wait = self.random.between(1, 60);
        if let Some(process) = &mut self.manager.process
            && !std::mem::replace(&mut process.works_soon, true)
        {
            self.queue.push(self.now + wait, Event::ManagerWorks { incarnation });
        }
    }

    /// The loop of the manager, taken out while the world looks on.
    pub(crate) fn with_manager(
        &mut self,
        incarnation: u32,
        work: impl FnOnce(&mut Self, &mut ManagerProcess),
    ) {
        if incarnation != self.manager.incarnation {
            return;
        }
        if let Some(mut process) = self.manager.process.take() {
            work(self, &mut process);
            self.manager.process = Some(process);
        }
    }

    pub(crate) fn on_manager_works(&mut self, incarnation: u32) {
        let batch = self.plan.shape.batch;
        self.with_manager(incarnation, |world, process| {
            process.works_soon = false;
            if process.waits {
                return;
            }
            let now = process.clock.read(world.now);
            world.tell_memory(now, process);
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
    pub(crate) fn step_manager(&mut self, now: Time, process: &mut ManagerProcess, input: Input) {
        let from = process.out.effects.len();
        let records_from = process.out.records.len();
        let size = StepSize::before(process, &input, &self.plan.shape.limits);
        process.scheduler.step(now, input, &mut process.out);
        process.steps += 1;
        self.judge_step(process, size);
        self.judge_memory(process);
        if process.steps.is_multiple_of(self.plan.shape.look_every) {
            process.scheduler.assert_invariants();
            process.gate.assert_invariants();
        }
        self.note_starts_at_rogues(process, records_from);
        self.observe(process, from);
    }

    fn finish_batch(&mut self, now: Time, process: &mut ManagerProcess) {
        let from = process.out.effects.len();
        process.scheduler.finish_batch(now, &mut process.out);
        self.observe(process, from);
        self.judge_stops(now, process);
        self.judge_stored_blobs(process);
        self.manager.store.waiting.append(&mut process.out.records);
        process.waits = false;
        if self.manager.store.begin() {
            let (least, longest) = self.plan.shape.commit_us;
            let wait = self.random.spread(least, longest);
            self.queue.push(self.now + wait, Event::CommitEnds { incarnation: self.manager.incarnation });
            process.waits = self.plan.shape.waits_for_commits;
        }
        if !process.waits {
            self.release(process);
        }
    }

    /// Acts as the event loop does after a batch: more work, and a timer.
    fn after_batch(&mut self) {
        let incarnation = self.manager.incarnation;
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
            self.queue.push(at, Event::ManagerTimer { incarnation, at });
        }
        if has_work {
            self.manager_works_soon();
        }
    }

    pub(crate) fn on_manager_timer(&mut self, incarnation: u32, at: u64) {
        let mut is_current = false;
        self.with_manager(incarnation, |_, process| {
            is_current = process.timer == Some(at);
            if is_current {
                process.timer = None;
            }
        });
        if is_current {
            self.manager_works_soon();
        }
    }

    pub(crate) fn on_commit_ends(&mut self, incarnation: u32) {
        if incarnation != self.manager.incarnation || self.manager.process.is_none() {
            return;
        }
        let Some(verdict) = self.manager.store.end() else {
            return;
        };
        self.trace.note(self.now, [3, 0, 0], || format!("the commit ends: {verdict:?}"));
        let input = match verdict {
            Verdict::Durable { up_to } => Input::RecordsCommitted { up_to },
            Verdict::Refused { up_to } => {
                self.queue.push(self.now + REFUSED_PAUSE, Event::StoreMayTry { incarnation });
                Input::RecordsRefused { up_to, why: "no room".to_owned() }
            }
            Verdict::Broken => {
                self.crash_manager(false);
                self.queue.push(self.now + 500_000, Event::ManagerStarts);
                return;
            }
        };
        self.with_manager(incarnation, |world, process| {
            let now = process.clock.read(world.now);
            world.step_manager(now, process, input);
            world.finish_batch(now, process);
        });
        self.after_batch();
    }

    pub(crate) fn on_store_may_try(&mut self, incarnation: u32) {
        if incarnation == self.manager.incarnation {
            self.manager.store.is_pausing = false;
            self.manager_works_soon();
        }
    }

    /// Life signs: who was silent for too long is dead, who received nothing for long is pinged.
    pub(crate) fn on_manager_beat(&mut self, incarnation: u32) {
        self.with_manager(incarnation, |world, process| {
            let now = process.clock.read(world.now);
            let mut dead = Vec::new();
            for (link, peer) in &mut process.peers {
                // A client owes no incarnation signs, but its kernel does: TCP gives up a peer that acknowledges nothing.
                let owes = matches!(peer.dialler, Dialler::Worker(_) | Dialler::Rogue(_))
                    || world.is_unreachable(peer.connection);
                if owes && now.since(Time(peer.received_at)) > SILENCE {
                    dead.push((*link, peer.connection));
                } else if now.since(Time(peer.sent_at)) >= PING_AFTER {
                    peer.sent_at = now.0;
                    world.send(peer.connection, false, Packet::Ping);
                }
            }
            for (link, connection) in dead {
                world.close_end(connection, false);
                process.inbox.push_back((link, Arrival::Gone { is_dead: true }));
            }
            world.queue.push(world.now + 1_000_000, Event::ManagerBeat { incarnation });
        });
        if self.manager.process.as_ref().is_some_and(|process| !process.inbox.is_empty()) {
            self.manager_works_soon();
        }
    }

    /// A client submitted a task, which waits for its blobs if there is memory for it.
    pub(crate) fn submitted(&mut self, now: Time, process: &mut ManagerProcess, link: ConnId, task: Task) {
        if process.scheduler.is_own(link, task.head.id) {
            let scheduler = &process.scheduler;
            let may_wait = |bytes, before| scheduler.has_memory_for(link, bytes, before);
            process.gate.on_submit(link, task, |_| false, may_wait, &mut process.passing);
            self.let_pass(now, process);
        } else {
            let why = "a task was submitted before its session was opened, or under the id of another one";
            let why = why.to_owned();
            process.out.effects.push(Effect::Close { link, code: RefusalCode::Frame, why });
        }
    }
}
