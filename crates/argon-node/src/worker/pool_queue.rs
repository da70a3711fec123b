//! The pool with the facts that it has not taken yet, and its effects that are not carried out yet.

use std::collections::VecDeque;
use std::ops::Deref;

use argon_core::outcome_batch::Supply;
use argon_core::pool::{Effect, Input, Pool, PoolCounts};
use argon_core::{Machine, Time};

/// See the module.
#[derive(Debug)]
pub(crate) struct PoolQueue {
    pool: Pool,
    inputs: VecDeque<Input>,
    /// The next one is the last.
    effects: Vec<Effect>,
}

impl PoolQueue {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool, inputs: VecDeque::new(), effects: Vec::new() }
    }

    /// Adds a fact; the pool takes it when the effects of those before are carried out.
    pub(crate) fn push(&mut self, input: Input) {
        self.inputs.push_back(input);
    }

    /// The next thing to do; none when all facts are taken.
    pub(crate) fn next_effect(&mut self, now: Time) -> Option<Effect> {
        while self.effects.is_empty()
            && let Some(input) = self.inputs.pop_front()
        {
            self.pool.step(now, input, &mut self.effects);
            self.effects.reverse();
        }
        self.effects.pop()
    }

    /// Work of the slots.
    pub(crate) fn supply(&self) -> Supply {
        let PoolCounts { slots, waiting, .. } = self.pool.counts();
        Supply { slots, waiting }
    }
}

impl Deref for PoolQueue {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.pool
    }
}
