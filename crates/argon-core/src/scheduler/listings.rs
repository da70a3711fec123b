//! Lists of the attempts that workers hold, which they send before they register.
//!
//! A worker may list a million attempts: what it ran, and outcomes that it keeps. The scheduler decides about as many at one
//! moment as it looks at for other chores; a timer brings the next part. Meanwhile the rest counts as if it were decided:
//! an event about a task has what is listed of that task decided first.

use std::collections::VecDeque;

use argon_proto::conversation::worker::Held;
use argon_proto::handshake::RefusalCode;
use argon_proto::limit::HELD_ATTEMPTS;
use argon_proto::{AttemptId, AttemptKey, TaskId};
use rustc_hash::FxHashMap;

use super::effect::Out;
use super::held::Past;
use super::input::ConnId;
use super::on_submit::close;
use super::task::TaskState;
use super::{Scheduler, TaskKey, WorkerKey};
use crate::time::Time;

/// Memory of a listed attempt, bytes.
const LISTED_BYTES: u64 = 128;
/// Lists of workers that have not registered may use this part of the memory, unless there is only one.
const MEMORY_PART: u64 = 8;
/// Most attempts of one task in a list: a worker may still end some, and keep the outcomes of others.
const OF_ONE_TASK: usize = 64;

/// The lists of all workers.
#[derive(Debug, Default)]
pub(super) struct Listings {
    /// Those of connections whose workers have not registered.
    coming: FxHashMap<ConnId, Listing>,
    /// Registered workers whose lists are not decided to the end.
    deciding: Vec<WorkerKey>,
    /// Attempts in all lists.
    attempts: usize,
}

/// Attempts that one worker lists.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Tasks in the order in which they were listed.
    tasks: VecDeque<TaskId>,
    first: FxHashMap<TaskId, Held>,
    /// Further attempts of the same tasks.
    others: FxHashMap<TaskId, Vec<Held>>,
    attempts: usize,
}

/// A list whose worker has registered, without what is decided already.
#[derive(Debug)]
pub(super) struct Undecided {
    pub(super) listing: Listing,
    pub(super) past: Past,
}

impl Listing {
    /// Adds an attempt. False if there are too many of its task.
    fn add(&mut self, held: Held) -> bool {
        self.attempts += 1;
        let task = held.attempt.task;
        if self.first.contains_key(&task) {
            let others = self.others.entry(task).or_default();
            others.push(held);
            return others.len() < OF_ONE_TASK;
        }
        self.first.insert(task, held);
        self.tasks.push_back(task);
        true
    }

    /// Takes out the attempts of one task.
    fn take(&mut self, task: &TaskId) -> Vec<Held> {
        let mut taken: Vec<Held> = self.first.remove(task).into_iter().collect();
        taken.extend(self.others.remove(task).unwrap_or_default());
        self.attempts -= taken.len();
        taken
    }

    /// True if the attempt is listed with the token that its worker was given.
    pub(super) fn has(&self, attempt: AttemptId, key: &AttemptKey) -> bool {
        let is_it = |held: &Held| held.attempt == attempt && key.verifies(attempt, held.token);
        self.first.get(&attempt.task).is_some_and(is_it)
            || self.others.get(&attempt.task).is_some_and(|others| others.iter().any(is_it))
    }
}

impl Scheduler {
    /// A worker lists a part of what it holds.
    pub(super) fn on_attempts_listed(&mut self, link: ConnId, held: Vec<Held>, out: &mut Out) {
        if self.peers.contains_key(&link) {
            let why = "a worker lists the attempts that it holds before it registers, not after";
            return close(link, RefusalCode::Frame, why, out);
        }
        let listing = self.listings.coming.entry(link).or_default();
        let before = listing.attempts;
        let are_few = held.into_iter().all(|held| listing.add(held));
        self.listings.attempts += listing.attempts - before;
        if !are_few || listing.attempts > HELD_ATTEMPTS {
            let why = format!(
                "a worker holds at most {HELD_ATTEMPTS} attempts, and at most {OF_ONE_TASK} of one task"
            );
            self.forget_listing(link);
            return close(link, RefusalCode::Frame, &why, out);
        }
        self.bound_listings(out);
    }

    /// Refuses the workers with the longest lists while the lists of those that have not registered use too much memory.
    fn bound_listings(&mut self, out: &mut Out) {
        while self.memory_of_listings() > self.limits.memory / MEMORY_PART && self.listings.coming.len() > 1 {
            let longest = self.listings.coming.iter().max_by_key(|(_, listing)| listing.attempts);
            let Some(link) = longest.map(|(link, _)| *link) else { return };
            self.forget_listing(link);
            let why = "the manager has no room for the list of what this worker holds while others send theirs; \
                       another try may succeed";
            close(link, RefusalCode::Busy, why, out);
        }
    }

    /// Takes the list of a connection whose worker registers.
    pub(super) fn take_listing(&mut self, link: ConnId, held: Vec<Held>) -> Listing {
        let mut listing = self.listings.coming.remove(&link).unwrap_or_default();
        let before = listing.attempts;
        held.into_iter().for_each(|held| {
            listing.add(held);
        });
        self.listings.attempts += listing.attempts - before;
        listing
    }

    /// Forgets the list of a connection that ends before its worker registers.
    pub(super) fn forget_listing(&mut self, link: ConnId) {
        if let Some(listing) = self.listings.coming.remove(&link) {
            self.drop_listing(&listing);
        }
    }

    pub(super) fn drop_listing(&mut self, listing: &Listing) {
        self.listings.attempts -= listing.attempts;
    }

    /// Begins to decide about the list of a worker that has registered.
    pub(super) fn begin_deciding(&mut self, key: WorkerKey, listing: Listing, past: Past) {
        if listing.attempts > 0 {
            self.workers[key].undecided = Some(Box::new(Undecided { listing, past }));
            self.listings.deciding.push(key);
        }
    }

    /// Drops the list of a worker that comes anew or is lost: it lists again what it holds. True if there was one.
    pub(super) fn drop_undecided(&mut self, key: WorkerKey) -> bool {
        let Some(undecided) = self.workers[key].undecided.take() else {
            return false;
        };
        self.workers[key].without_task.extend(undecided.past.without_task);
        self.drop_listing(&undecided.listing);
        self.listings.deciding.retain(|other| *other != key);
        true
    }

    /// Decides about a part of a worker's list. True if attempts are left for which there was no time.
    pub(super) fn decide_part(&mut self, now: Time, key: WorkerKey, stamp: u32, out: &mut Out) -> bool {
        let worker = self.workers.get_mut(key).filter(|worker| worker.stamp == stamp);
        let Some(mut undecided) = worker.and_then(|worker| worker.undecided.take()) else {
            return false;
        };
        let mut forged = Vec::new();
        while !undecided.listing.tasks.is_empty() {
            if !self.has_time() {
                self.refuse_forged(key, &forged, out);
                self.workers[key].undecided = Some(undecided);
                return true;
            }
            if let Some(task) = undecided.listing.tasks.pop_front() {
                self.decide_of(now, key, &mut undecided, &task, &mut forged, out);
            }
        }
        self.refuse_forged(key, &forged, out);
        self.listings.deciding.retain(|other| *other != key);
        false
    }

    /// Decides about what returning workers list of a task, before something else happens to it.
    #[inline]
    pub(super) fn decide_about(&mut self, now: Time, task: &TaskId, out: &mut Out) {
        if !self.listings.deciding.is_empty() {
            self.decide_about_listed(now, task, out);
        }
    }

    #[inline(never)]
    fn decide_about_listed(&mut self, now: Time, task: &TaskId, out: &mut Out) {
        for place in 0..self.listings.deciding.len() {
            let key = self.listings.deciding[place];
            if let Some(mut undecided) = self.workers[key].undecided.take() {
                let mut forged = Vec::new();
                self.decide_of(now, key, &mut undecided, task, &mut forged, out);
                self.refuse_forged(key, &forged, out);
                self.workers[key].undecided = Some(undecided);
            }
        }
    }

    fn decide_of(
        &mut self,
        now: Time,
        key: WorkerKey,
        undecided: &mut Undecided,
        task: &TaskId,
        forged: &mut Vec<AttemptId>,
        out: &mut Out,
    ) {
        let held = undecided.listing.take(task);
        self.listings.attempts -= held.len();
        let (held, others) = self.verified(key, held);
        // It is not asked to stop an attempt that it also lists with the right token.
        forged.extend(others.into_iter().filter(|attempt| !held.contains(attempt)));
        for attempt in held {
            self.on_attempt_held(now, key, attempt, &undecided.past, out);
        }
        self.placement.update(key, &self.workers[key]);
    }

    /// True if a worker that returns turns out to hold the task that is about to start.
    #[inline]
    pub(super) fn is_listed(&mut self, now: Time, key: TaskKey, out: &mut Out) -> bool {
        !self.listings.deciding.is_empty() && self.turns_out_held(now, key, out)
    }

    #[inline(never)]
    fn turns_out_held(&mut self, now: Time, key: TaskKey, out: &mut Out) -> bool {
        self.set_state(key, TaskState::Delayed);
        let id = self.tasks[key].task.head.id;
        self.decide_about(now, &id, out);
        !matches!(self.tasks[key].state, TaskState::Delayed)
    }

    /// Bytes of lists.
    pub(super) fn memory_of_listings(&self) -> u64 {
        self.listings.attempts as u64 * LISTED_BYTES
    }

    pub(super) fn assert_listings_are_counted(&self) {
        let coming: usize = self.listings.coming.values().map(|listing| listing.attempts).sum();
        let undecided = self.workers.values().filter_map(|worker| worker.undecided.as_ref());
        let undecided: usize = undecided.map(|undecided| undecided.listing.attempts).sum();
        assert_eq!(coming + undecided, self.listings.attempts, "listed attempts are miscounted");
        for (key, worker) in self.workers.iter() {
            let is_deciding = self.listings.deciding.contains(&key);
            assert_eq!(is_deciding, worker.undecided.is_some(), "a list is forgotten");
        }
    }
}
