//! The one loop: drain a batch of events, let the scheduler decide, commit, release.

mod committing;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use argon_core::gate::{GateEffect, ManagerGate};
use argon_core::scheduler::{ConnId, Effect, Input, Limits, ManagerIdentity, Out, Record, Scheduler};
use argon_core::{Machine, Time};
use argon_net::ReadTurns;
use argon_net::ledger::Ledger;
use argon_proto::conversation::Goodbye;
use argon_proto::conversation::admin::{EncryptionView, Reply};
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::ToWorker;
use argon_proto::key::Pin;
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::feed::{Feeder, Outgoing};
use super::ingress::inbox::{self, Inbox, PeerEvent};
use super::key_book::KeyBook;
use super::key_files::ClusterKeys;
use super::newcomers::Newcomers;
use super::peers::AdmittedPeer;
use super::requests::rates::Rates;
use super::requests::shared::SharedStatus;
use super::shell_counts::ShellCounts;
use super::store::{Committer, Store};
use super::stranded::Stranded;
use crate::exit::{Failure, FailureKind};
use crate::signals::{StopLevel, StopSignal, stopped};

/// Slices of a batch: records are committed and effects released after it. A slice has the weight of one turn, and the
/// sockets are looked at between two of them.
const SLICES: usize = 16;
/// Part of the memory for blobs that no task needs.
const SPARE: u64 = 8;
/// Change of the memory beside tasks that the scheduler is told.
pub(super) const MEMORY_STEP: u64 = 256 << 10;
/// Refusals further apart than this are logged each, those in a row once.
pub(super) const REFUSALS_APART: Duration = Duration::from_secs(10);
/// Pause before records that a full store refused are offered again.
const REFUSED_PAUSE: Duration = Duration::from_millis(200);

/// The manager's loop and everything that it owns.
#[derive(Debug)]
pub struct ManagerLoop {
    pub(super) scheduler: Scheduler,
    pub(super) gate: ManagerGate,
    /// Effects of the gate; empty between two events.
    pub(super) passing: Vec<GateEffect>,
    pub(super) peers: FxHashMap<ConnId, AdmittedPeer>,
    pub(super) started: Instant,
    pub(super) wants_stop: bool,
    pub(super) rates: Rates,
    pub(super) shell_counts: ShellCounts,
    /// Encryption of connections of other machines, for the status.
    pub(super) encryption: Option<EncryptionView>,
    /// Keys of people, which connections that are being opened look at, too.
    pub(super) people: Rc<RefCell<KeyBook>>,
    /// Machines without a key.
    pub(super) newcomers: Rc<Newcomers>,
    pub(super) cluster_keys: ClusterKeys,
    committer: Committer,
    /// Reads payloads that are in the store, for messages that need them.
    feeder: Feeder,
    /// Facts about payloads that could not be read.
    unread: mpsc::UnboundedReceiver<Input>,
    inbox: Inbox,
    turns: ReadTurns,
    pub(super) ledger: Rc<Ledger>,
    /// Memory in addition to tasks that was last reported to the scheduler, bytes.
    pub(super) memory_told: u64,
    /// True if the gate has not done all that it was given to do.
    pub(super) is_gate_behind: bool,
    pub(super) shared_status: SharedStatus,
    pub(super) out: Out,
    dirty: Vec<ConnId>,
    refused_until: Option<Instant>,
    /// Time and reason of the last refusal of the store.
    pub(super) last_refusal: Option<(Instant, String)>,
    stranded: Stranded,
}

/// Queues that the loop and the connections share.
#[derive(Debug)]
pub struct Incoming {
    /// Events of the connections.
    pub inbox: Inbox,
    /// Turns in which the connections read.
    pub turns: ReadTurns,
    /// Memory that the connections occupy.
    pub ledger: Rc<Ledger>,
}

/// Facts about the events of a batch.
#[derive(Clone, Copy, Default)]
struct Taken {
    events: usize,
    /// True if there was one of a prompt peer, who waits for what follows from it.
    has_prompt: bool,
}

impl ManagerLoop {
    /// A driver with what its store holds.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn new(
        mut limits: Limits,
        identity: ManagerIdentity,
        mut store: Box<dyn Store>,
        Incoming { inbox, turns, ledger }: Incoming,
        cluster_keys: ClusterKeys,
    ) -> Result<Self, Failure> {
        let loaded = store.load().map_err(|error| {
            Failure::new(FailureKind::Store, format!("the store cannot be read: {error}"))
        })?;
        let mut gate = ManagerGate::within(limits.memory / SPARE);
        // Before the blobs: blobs without a task may be dropped to make room.
        gate.recover(loaded.records.iter().filter_map(|record| match record {
            Record::TaskAccepted(task, _) => Some(task),
            Record::AttemptStarted(_) | Record::TaskEnded(_) | Record::TaskForgotten(_) => None,
        }));
        let mut passing = Vec::new();
        for (hash, payload) in loaded.blobs {
            gate.on_blob(hash, payload, &mut passing);
        }
        if !loaded.records.is_empty() {
            tracing::info!("found {} facts about detached tasks in the store", loaded.records.len());
        }
        limits.stored_above = store.stored_above();
        let (feeder, unread) = Feeder::new(store.payloads());
        let mut scheduler = Scheduler::new(Time(0), limits, identity);
        scheduler.recover(Time(0), loaded.records);
        Ok(Self {
            scheduler,
            gate,
            passing,
            peers: FxHashMap::default(),
            started: Instant::now(),
            wants_stop: false,
            rates: Rates::default(),
            shell_counts: ShellCounts::default(),
            encryption: None,
            people: Rc::default(),
            newcomers: Newcomers::new(String::new(), Pin([0; 32])),
            cluster_keys,
            committer: Committer::new(store)?,
            feeder,
            unread,
            inbox,
            turns,
            ledger,
            memory_told: 0,
            is_gate_behind: false,
            shared_status: SharedStatus::default(),
            out: Out::default(),
            dirty: Vec::new(),
            refused_until: None,
            last_refusal: None,
            stranded: Stranded::default(),
        })
    }

    /// Runs until the process is asked to stop, then sends GOODBYE to all peers.
    ///
    /// # Errors
    /// If the store broke.
    pub async fn run(mut self, mut stop: StopSignal) -> Result<(), Failure> {
        let inbox = self.inbox.clone();
        while !self.wants_stop {
            let deadline = if self.is_gate_behind { Some(Instant::now()) } else { self.deadline() };
            let mut unread = None;
            let committed = tokio::select! {
                biased;
                // First what comes seldom: under load there is always an event.
                committed = self.committer.answer() => Some(committed),
                () = stopped(&mut stop, StopLevel::Drain) => break,
                fact = self.unread.recv() => {
                    unread = fact;
                    None
                }
                () = inbox.filled() => None,
                () = sleep_until(deadline) => None,
            };
            if let Some(committed) = committed {
                self.on_committed(self.now(), committed)?;
            }
            if let Some(fact) = unread {
                self.step(self.now(), fact);
            }
            self.work().await?;
            if !self.inbox.is_empty() {
                tokio::task::yield_now().await;
            }
        }
        self.say_goodbye().await;
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        let due = self.scheduler.next_deadline().map(|time| self.started + Duration::from_micros(time.0));
        [due, self.refused_until, self.stranded.deadline()].into_iter().flatten().min()
    }

    pub(super) fn now(&self) -> Time {
        Time(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// One batch: events in, records down, effects out.
    async fn work(&mut self) -> Result<(), Failure> {
        let now = self.now();
        self.tell_memory(now);
        if self.is_gate_behind {
            self.is_gate_behind = self.gate.go_on(&mut self.passing);
            self.let_pass(now);
        }
        let mut taken = Taken::default();
        self.take_slice(&mut taken);
        for _ in 1..SLICES {
            if taken.has_prompt || (self.inbox.is_empty() && !self.turns.are_wanted()) {
                break;
            }
            // The connections of other peers read, and their events come first.
            tokio::task::yield_now().await;
            self.take_slice(&mut taken);
        }
        let now = self.now();
        if taken.events == 0 {
            self.step(now, Input::TimePassed);
        }
        self.scheduler.finish_batch(now, &mut self.out);
        self.rates.note(now, self.scheduler.totals());
        self.commit(now)?;
        self.release();
        self.stranded.note(self.scheduler.is_stranded());
        Ok(())
    }

    /// Takes the events of prompt peers, then others with the weight of a turn.
    fn take_slice(&mut self, taken: &mut Taken) {
        let now = self.now();
        while let Some(popped) = self.inbox.pop_prompt() {
            taken.events += 1;
            taken.has_prompt = true;
            self.take(now, popped.event);
        }
        let mut weight = 0;
        while weight < inbox::TURN
            && let Some(popped) = self.inbox.pop_behind()
        {
            taken.events += 1;
            weight += popped.weight;
            self.take(now, popped.event);
        }
    }

    /// Reports the memory in use to the scheduler and the connections.
    pub(super) fn tell_memory(&mut self, now: Time) {
        let others = self.gate.memory() + self.ledger.incoming() + self.ledger.outgoing();
        if others.abs_diff(self.memory_told) > MEMORY_STEP {
            self.memory_told = others;
            self.step(now, Input::MemoryOfOthers { bytes: others });
        }
        self.ledger.set_kept(self.scheduler.memory_of_tasks() + self.gate.memory());
    }

    fn take(&mut self, now: Time, event: PeerEvent) {
        match event {
            PeerEvent::Admitted { link, proven, port, from } => self.on_admitted(link, proven, port, from),
            PeerEvent::ClientSent { link, message } => self.on_client_sent(now, link, message),
            PeerEvent::ChildSent { link, message } => self.on_child_sent(now, link, message),
            PeerEvent::WorkerSent { link, message } => self.on_worker_sent(now, link, message),
            PeerEvent::AdminSent { link, message } => self.on_admin_sent(now, link, message),
            PeerEvent::WithoutPayload { link, message, bytes } => {
                self.on_message_without_payload(now, link, *message, bytes);
            }
            PeerEvent::Gone { link, is_dead, why } => self.on_gone(now, link, is_dead, &why),
            // A collector that does not wait any more needs no answer.
            PeerEvent::MetricsAsked { answer } => _ = answer.send(self.metrics(now)),
        }
    }

    /// Lets the scheduler take one fact.
    pub(super) fn step(&mut self, now: Time, input: Input) {
        self.scheduler.step(now, input, &mut self.out);
    }

    fn release(&mut self) {
        for effect in std::mem::take(&mut self.out.effects) {
            match effect {
                Effect::SendToClient { link, message } => self.send_to_client(link, message),
                Effect::SendToWorker { link, message } => self.send_to_worker(link, message),
                Effect::Close { link, code, why } => {
                    if let Some(peer) = self.peers.get(&link) {
                        tracing::info!("{} {} is disconnected: {why}", peer.role.name(), peer.from);
                        peer.port.refuse(code, &why);
                    }
                }
                Effect::Warn { what } => tracing::warn!("{what}"),
                Effect::ReleaseBlobs { blobs } => self.gate.release(&blobs),
            }
        }
        for link in std::mem::take(&mut self.dirty) {
            if let Some(peer) = self.peers.get_mut(&link) {
                peer.is_dirty = false;
                peer.port.flush();
            }
        }
    }

    /// Queues a message for a client.
    pub(super) fn send_to_client(&mut self, link: ConnId, message: ToClient) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.send(Outgoing::Client(message), link, &self.feeder);
            peer.flush_later(link, &mut self.dirty);
        }
    }

    /// Queues a message for a worker; a RUN takes the blobs along that the worker does not have.
    pub(super) fn send_to_worker(&mut self, link: ConnId, message: ToWorker) {
        let Some(peer) = self.peers.get_mut(&link) else {
            return;
        };
        let feeder = &self.feeder;
        if let ToWorker::Run(run) = &message {
            self.gate.before_run(link, &run.task, |blob| {
                peer.send(Outgoing::Worker(ToWorker::Blob(blob)), link, feeder);
            });
        }
        peer.send(Outgoing::Worker(message), link, feeder);
        peer.flush_later(link, &mut self.dirty);
    }

    /// Queues the answer to a request.
    pub(super) fn reply(&mut self, link: ConnId, reply: Reply) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.port.reply(reply);
            peer.flush_later(link, &mut self.dirty);
        }
    }

    async fn say_goodbye(&mut self) {
        for peer in self.peers.values() {
            peer.port.say_goodbye(Goodbye::because("the manager was asked to stop"));
            peer.port.flush();
        }
        // What the sockets did not take at once gets a moment more.
        tokio::task::yield_now().await;
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
