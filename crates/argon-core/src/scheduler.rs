//! The manager's state machine: which task runs where, and which peer learns what.
//!
//! # Order of calls
//! The driver drains a bounded batch of inputs and calls [`Machine::step`] for each, then
//! [`Scheduler::finish_batch`] once. It commits `out.records` to its store, and releases `out.effects` in order;
//! when a commit is durable it says so with [`Input::RecordsCommitted`]. It calls with
//! [`Input::TimePassed`] when [`Machine::next_deadline`] is reached.
//!
//! # Rooms
//! `on_*` files decide; `apply.rs` is the only writer of durable state; `queue.rs` orders what waits, `placement.rs`
//! knows who is least loaded, `timers.rs` what is due, `task_index.rs` which task has which id. `invariants.rs` says what is always true.

mod acks;
mod apply;
mod aside;
mod children;
mod chores;
mod credit;
mod dispatch;
mod effect;
mod expiring;
mod explain;
mod facts;
mod held;
mod history;
mod input;
mod invariants;
mod kept;
mod key;
mod limits;
mod listings;
mod memory;
mod on_cancel;
mod on_client;
mod on_outcome;
mod on_records;
mod on_stored;
mod on_submit;
mod on_time;
mod on_worker;
mod output;
mod owners;
mod past;
mod placement;
mod questions;
mod queue;
mod record;
mod recovery;
mod resting_kinds;
mod rests;
mod retract;
mod select;
mod session;
mod short_ids;
mod task;
mod task_index;
mod timers;
mod turns;
mod undelivered;
mod view;
mod waiting;
mod waiting_outside;
mod worker;

use std::collections::VecDeque;

use argon_proto::holder::OwnerName;
use argon_proto::{AttemptId, Capabilities, Family, Incarnation, SessionId, TaskId, WorkerId};
use rustc_hash::FxHashMap;

use crate::arena::Arena;
use crate::{Machine, Time};

pub use effect::{Effect, Out};
pub use facts::Moment;
pub use input::{ClientProgram, ConnId, Input, WorkerProfile};
pub use limits::Limits;
pub use on_cancel::{Cancelled, NamedTasks};
pub use owners::NO_BOUND;
pub use record::Record;
pub use select::is_selected;
pub use view::{Distribution, Footprint, Phases, RunningTask, SchedulerView, Totals, WorkerView};
pub use waiting::WaitReason;
pub use waiting_outside::{with_blobs_missing, with_installing};

use children::ChildOpening;
use chores::Chore;
use expiring::ExpiringSet;
use history::History;
use key::{OwnerKey, SessionKey, TaskKey, WorkerKey, place_of};
use listings::Listings;
use on_client::Opening;
use on_worker::Joining;
use placement::Placement;
use queue::Queue;
use recovery::OrphanAttempt;
use session::Session;
use task::{SpareEnds, TaskEntry};
use task_index::TaskIndex;
use timers::Timers;
use worker::Worker;

/// Ids that are remembered of peers and tasks that are gone. Beyond that the oldest are forgotten, and what is known for
/// certain becomes a wait.
const IDS_KEPT: usize = 1 << 18;

/// Peer at the other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PeerKey {
    Client(SessionKey),
    Worker(WorkerKey),
}

/// Identity of this start of a manager, and the secrets that it shares with the holders of its key.
#[derive(Clone, Debug)]
pub struct ManagerIdentity {
    /// This start.
    pub incarnation: Incarnation,
    /// Makes and verifies the tokens of attempts and detached tasks.
    pub capabilities: Capabilities,
}

/// The scheduler. All state is private and changes through [`Machine::step`] only.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    identity: ManagerIdentity,
    tasks: Arena<TaskKey, TaskEntry>,
    spare_ends: SpareEnds,
    task_by_id: TaskIndex,
    sessions: Arena<SessionKey, Session>,
    session_by_id: FxHashMap<SessionId, SessionKey>,
    owner_by_name: FxHashMap<OwnerName, OwnerKey>,
    /// The session at the root of each family: of a client that is in no task.
    root_of_family: FxHashMap<Family, SessionKey>,
    /// Sessions of clients inside attempts.
    children: FxHashMap<AttemptId, Vec<SessionKey>>,
    /// Sessions whose attempt has ended in this step.
    ending_children: Vec<SessionKey>,
    workers: Arena<WorkerKey, Worker>,
    worker_by_id: FxHashMap<WorkerId, WorkerKey>,
    peers: FxHashMap<ConnId, PeerKey>,
    queue: Queue,
    placement: Placement,
    timers: Timers,
    listings: Listings,
    /// Attempts that a worker holds of tasks that nobody has claimed yet.
    orphans: FxHashMap<TaskId, OrphanAttempt>,
    /// Orphan attempts in the order in which they are dropped.
    orphan_ends: VecDeque<(Time, AttemptId)>,
    /// Unclaimed attempts of workers that are lost, and may come back with them.
    parted: ExpiringSet<AttemptId>,
    /// Workers that have registered here.
    seen_workers: ExpiringSet<WorkerId>,
    /// Tasks that ended while they waited for a worker that may hold them: it is to stop them when it comes.
    stop_on_arrival: ExpiringSet<TaskId>,
    /// Connections that want the outcome of a detached task.
    collectors: FxHashMap<TaskId, Vec<ConnId>>,
    /// Sessions to which a grant of credit is due at the end of the batch.
    credit_due: Vec<SessionKey>,
    /// Workers that may learn at the end of the batch which outcomes they need not keep.
    acks_due: Vec<WorkerKey>,
    /// Workers that learn it after a while, if not before.
    acks_later: Vec<WorkerKey>,
    /// Workers that drain: they leave when all their outcomes are settled.
    draining: Vec<WorkerKey>,
    /// When a look at tasks that were sent ahead is due.
    retract_check: Option<Time>,
    /// Tasks that wait for a worker that may hold them.
    recovering: usize,
    /// Moment of the present step.
    now: Time,
    /// Tasks that may still be looked at for chores at this moment.
    time_left: usize,
    /// Number of due timers that this step may still handle.
    timers_left: usize,
    /// Work that later steps go on with.
    chores: VecDeque<Chore>,
    touched: u64,
    /// Records that were handed out and are not yet durable, by their running number.
    persisting: VecDeque<Persisting>,
    records_written: u64,
    /// Number of the last record that the store is known to hold.
    durable_up_to: u64,
    stamp: u32,
    totals: view::Totals,
    phases: Phases,
    memory: memory::MemoryAccount,
    history: History,
}

/// A record that was handed to the store, and what waits for it.
#[derive(Debug)]
struct Persisting {
    number: u64,
    id: TaskId,
    on_durable: OnDurable,
}

/// Consequence of a record that has become durable.
#[derive(Debug)]
enum OnDurable {
    /// The task is accepted; if its client has offered it `again`, a worker may hold it. If it `replaces` an earlier one
    /// of its id that the store still holds, that one is forgotten when the store refuses this one.
    Accept { again: bool, replaces: bool },
    /// The attempt starts, if the task still has this stamp.
    Start(u32),
    /// The outcome is sent, and settled with the worker that brought it.
    End,
    /// Nothing: but a refused one is written again.
    Forget,
}

impl Scheduler {
    /// A scheduler that knows nobody, at the moment `now`.
    ///
    /// Detached tasks of an earlier life are given to [`Scheduler::recover`] before the first step.
    #[must_use]
    pub fn new(now: Time, limits: Limits, identity: ManagerIdentity) -> Self {
        Self {
            time_left: limits.at_once,
            timers_left: limits.at_once,
            limits,
            identity,
            tasks: Arena::default(),
            spare_ends: SpareEnds::default(),
            task_by_id: TaskIndex::default(),
            sessions: Arena::default(),
            session_by_id: FxHashMap::default(),
            owner_by_name: FxHashMap::default(),
            root_of_family: FxHashMap::default(),
            children: FxHashMap::default(),
            ending_children: Vec::new(),
            workers: Arena::default(),
            worker_by_id: FxHashMap::default(),
            peers: FxHashMap::default(),
            queue: Queue::default(),
            placement: Placement::default(),
            timers: Timers::default(),
            listings: Listings::default(),
            orphans: FxHashMap::default(),
            orphan_ends: VecDeque::new(),
            parted: ExpiringSet::new(IDS_KEPT),
            seen_workers: ExpiringSet::new(IDS_KEPT),
            stop_on_arrival: ExpiringSet::new(IDS_KEPT),
            collectors: FxHashMap::default(),
            credit_due: Vec::new(),
            acks_due: Vec::new(),
            acks_later: Vec::new(),
            draining: Vec::new(),
            retract_check: None,
            recovering: 0,
            now,
            chores: VecDeque::new(),
            touched: 0,
            persisting: VecDeque::new(),
            records_written: 0,
            durable_up_to: 0,
            stamp: 0,
            totals: view::Totals::default(),
            phases: Phases::default(),
            memory: memory::MemoryAccount::default(),
            history: History::default(),
        }
    }

    /// Replaces what makes and verifies tokens, as when the cluster key is replaced. What was given before must be verified by
    /// the new ones as well.
    pub fn set_capabilities(&mut self, capabilities: Capabilities) {
        self.identity.capabilities = capabilities;
    }

    /// Appends what a batch of steps has gathered for each peer: settlements and credit.
    pub fn finish_batch(&mut self, now: Time, out: &mut Out) {
        self.begin_step(now);
        self.copy_what_stays();
        self.retract(now, out);
        self.release_drained();
        self.send_acks(now, out);
        self.flush_credit(out);
    }
}

impl Machine for Scheduler {
    type Input = Input;
    type Output = Out;

    fn step(&mut self, now: Time, input: Input, out: &mut Out) {
        self.begin_step(now);
        // Nearly all inputs are these two. Matched among the others, they cost a task 160 instructions more.
        if let Input::TaskSubmitted { link, task } = input {
            self.on_task_submitted(now, link, task, out);
        } else if let Input::OutcomeArrived { link, outcome } = input {
            self.on_outcome_arrived(now, link, outcome, out);
        } else {
            self.on_other_input(now, input, out);
        }
        self.on_time_passed(now, out);
        self.end_children(now, out);
        self.release_held_back();
        self.dispatch(now, out);
    }

    fn next_deadline(&self) -> Option<Time> {
        // Timers for which there was no time at this moment are due at the next one.
        let soonest = if self.timers_left == 0 { self.now + timers::STEP } else { Time(0) };
        self.timers.next().map(|at| at.max(soonest))
    }

    fn assert_invariants(&self) {
        self.assert_all_invariants();
    }
}

impl Scheduler {
    #[inline(never)]
    fn on_other_input(&mut self, now: Time, input: Input, out: &mut Out) {
        match input {
            Input::SessionOpened { link, owner, session, secret, previous, client } => {
                let opening = Opening { link, owner, session, secret, previous, client };
                self.on_session_opened(now, opening, out);
            }
            Input::OfferEnded { link } => self.on_offer_ended(now, link, out),
            Input::TaskSubmitted { link, task } => self.on_task_submitted(now, link, task, out),
            Input::OutcomesTaken { link, ids } => self.on_outcomes_taken(link, &ids, out),
            Input::OwnTasksCancelled { link, ids } => self.on_own_tasks_cancelled(now, link, ids, out),
            Input::CancelRequested { link, ids, by } => self.on_cancel_requested(now, link, ids, &by, out),
            Input::AllTasksCancelled { link, owner, by } => {
                self.on_all_tasks_cancelled(now, link, owner.as_ref(), &by, out);
            }
            Input::TaskWithdrawn { link, task, by } => self.on_task_withdrawn(link, &task, &by, out),
            Input::CollectRequested { link, tickets } => self.on_collect_requested(link, &tickets, out),
            Input::ClientLost { link, closed_cleanly } => self.on_client_lost(now, link, closed_cleanly, out),
            Input::AttemptsListed { link, held } => self.on_attempts_listed(link, held, out),
            Input::WorkerJoined { link, profile, secret, previous, held } => {
                let joining = Joining { link, profile, secret, previous, held };
                self.on_worker_joined(now, joining, out);
            }
            Input::WorkerLost { link, declared_dead } => self.on_worker_lost(now, link, declared_dead, out),
            Input::WorkerDraining { link } => self.on_worker_draining(link),
            Input::DrainRequested { worker, within } => {
                self.on_drain_requested(now, worker, within, out);
            }
            Input::AttemptsReturned { link, attempts } => {
                self.on_attempts_returned(now, link, &attempts, out);
            }
            Input::OutcomeArrived { link, outcome } => {
                self.on_outcome_arrived(now, link, outcome, out);
            }
            Input::OutputArrived { link, output } => self.on_output_arrived(now, link, output, out),
            Input::BlobsMissing { link, hashes } => self.on_blobs_missing(now, link, &hashes, out),
            Input::QuestionAsked { link, ask } => self.on_question_asked(now, link, ask, out),
            Input::OutputTaken { link, credit } => self.on_output_taken(link, credit, out),
            Input::QuestionAnswered { link, answer } => self.on_question_answered(link, answer, out),
            Input::RecordsCommitted { up_to } => self.on_records_committed(now, up_to, out),
            Input::RecordsRefused { up_to, why } => self.on_records_refused(now, up_to, &why, out),
            Input::ChildSessionOpened { link, session, secret, previous, client, parent, token, worker } => {
                let owner = OwnerName::admin();
                let opening = Opening { link, owner, session, secret, previous, client };
                self.on_child_session_opened(now, ChildOpening { opening, parent, token, worker }, out);
            }
            Input::MemoryOfOthers { bytes } => self.on_memory_of_others(bytes),
            Input::TaskWithoutRoom { link, task, payload_bytes } => {
                self.on_task_without_room(link, &task, payload_bytes, out);
            }
            Input::AttemptLent { link, lent } => self.on_attempt_lent(now, link, lent, out),
            Input::ArgumentsUnreadable { link, attempt, why } => {
                self.on_arguments_unreadable(now, link, attempt, &why, out);
            }
            Input::ResultUnreadable { link, id, why } => self.on_result_unreadable(link, id, &why, out),
            Input::TimePassed => {}
        }
    }

    fn next_stamp(&mut self) -> u32 {
        // No stamp is 0.
        self.stamp = self.stamp.wrapping_add(1).max(1);
        self.stamp
    }

    fn task_of(&self, id: &TaskId) -> Option<TaskKey> {
        self.task_by_id.find(id, |key| self.tasks[key].task.head.id)
    }

    fn client_at(&self, link: ConnId) -> Option<SessionKey> {
        match self.peers.get(&link) {
            Some(PeerKey::Client(key)) => Some(*key),
            Some(PeerKey::Worker(_)) | None => None,
        }
    }

    fn worker_at(&self, link: ConnId) -> Option<WorkerKey> {
        match self.peers.get(&link) {
            Some(PeerKey::Worker(key)) => Some(*key),
            Some(PeerKey::Client(_)) | None => None,
        }
    }
}
