//! Tasks that pass or go in parts, so that no step takes long.

use std::collections::{BTreeSet, VecDeque};

use argon_proto::BlobHash;
use rustc_hash::FxHashSet;

use super::{GateEffect, ManagerGate, ParkedSubmission};
use crate::scheduler::ConnId;

/// Tasks that are looked at in one step.
const AT_ONCE: usize = 256;

/// Work that remains, in order.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    works: VecDeque<Work>,
}

/// A part of the backlog.
#[derive(Debug)]
enum Work {
    /// A blob has come for these tasks.
    Completes(BTreeSet<u64>),
    /// A task came complete, and others of its client were before it.
    Follows(u64),
    /// The client of these tasks is gone; the first is the last.
    Leaves(Vec<u64>),
}

impl Backlog {
    pub(super) fn complete(&mut self, waiting: BTreeSet<u64>) {
        self.works.push_back(Work::Completes(waiting));
    }

    pub(super) fn follow(&mut self, number: u64) {
        self.works.push_back(Work::Follows(number));
    }

    pub(super) fn leave(&mut self, numbers: FxHashSet<u64>) {
        let mut numbers: Vec<u64> = numbers.into_iter().collect();
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        self.works.push_back(Work::Leaves(numbers));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.works.is_empty()
    }
}

impl ManagerGate {
    /// True if [`ManagerGate::go_on`] has something to do.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Lets a part of those pass or go whose turn it is. Returns true if there are more.
    pub fn go_on(&mut self, out: &mut Vec<GateEffect>) -> bool {
        for _ in 0..AT_ONCE {
            let Some(work) = self.backlog.works.front_mut() else {
                return false;
            };
            let (number, is_complete, leaves) = match work {
                Work::Completes(numbers) => (numbers.pop_first(), false, false),
                Work::Follows(number) => (Some(*number), true, false),
                Work::Leaves(numbers) => (numbers.pop(), false, true),
            };
            if number.is_none() || is_complete {
                self.backlog.works.pop_front();
            }
            match number {
                Some(number) if leaves => self.let_go(number),
                Some(number) => self.let_pass(number, is_complete, out),
                None => {}
            }
        }
        !self.backlog.is_empty()
    }

    /// Tasks of this client that wait for a blob, in order. A client that has few here does not have the many of others
    /// walked.
    pub(super) fn waiting_of(&self, link: ConnId, hash: BlobHash) -> Vec<u64> {
        let (Some(entry), Some(theirs)) = (self.blobs.get(&hash), self.parked_by_link.get(&link)) else {
            return Vec::new();
        };
        let (waiting, theirs) = (&entry.waiting, &theirs.numbers);
        let mut numbers: Vec<u64> = if theirs.len() < waiting.len() {
            theirs.iter().filter(|number| waiting.contains(number)).copied().collect()
        } else {
            waiting.iter().filter(|number| theirs.contains(number)).copied().collect()
        };
        numbers.sort_unstable();
        numbers
    }

    fn let_go(&mut self, number: u64) {
        if let Some(parked) = self.unpark(number) {
            self.release_task(&parked.task);
        }
    }

    /// A task has one blob more, or had all before; it may have been withdrawn.
    fn let_pass(&mut self, number: u64, is_complete: bool, out: &mut Vec<GateEffect>) {
        let Some(parked) = self.parked.get_mut(&number) else {
            return;
        };
        parked.missing -= usize::from(!is_complete);
        if parked.missing == 0
            && let Some(ParkedSubmission { link, task, .. }) = self.unpark(number)
        {
            out.push(GateEffect::Admit { link, task });
        }
    }
}
