//! Messages of liars: valid conversations with invalid intent, and now and then bytes that are not a conversation.

pub(crate) mod client;
pub(crate) mod observer;
pub(crate) mod runner;
pub(crate) mod worker;

use argon_fuzz::mutate::{Chance, mutated};
use argon_proto::frame::Outbox;
use argon_proto::{Message, Secret, TaskId};

use crate::options::Liar;
use crate::pool::Pool;

/// One message of this number is damaged on its way.
const DAMAGED_ONE_IN: usize = 12;

/// The lies of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) liar: Liar,
    pub(crate) seed: u64,
    pub(crate) acts: Vec<Act>,
    /// True if it reads what it is told.
    pub(crate) reads: bool,
    /// True if it stays when it has said everything.
    pub(crate) stays: bool,
}

/// Bytes that are sent at once, and what they are, for people.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) bytes: Vec<u8>,
    pub(crate) about: String,
}

impl Round {
    pub(crate) fn random(liars: &[Liar], pool: &Pool, chance: &mut Chance) -> Self {
        let liar = liars[chance.below(liars.len())];
        let seen: Vec<TaskId> = pool.seen_ids().iter().filter_map(|id| id.parse().ok()).collect();
        let acts = match liar {
            Liar::Client => client::lies(&seen, chance),
            Liar::Worker => worker::lies(&seen, chance),
            Liar::Observer => observer::lies(&seen, chance),
            Liar::Runner => runner::submits(chance),
        };
        Self { liar, seed: chance.number(), acts, reads: chance.below(4) > 0, stays: chance.below(3) > 0 }
    }
}

/// A message as it is sent, mostly as it was meant.
pub(crate) fn act(message: &impl Message, about: String, chance: &mut Chance) -> Act {
    let mut outbox = Outbox::default();
    outbox.push(message);
    let bytes = outbox.into_bytes().to_vec();
    if chance.below(DAMAGED_ONE_IN) == 0 {
        return Act { bytes: mutated(&bytes, &[], chance), about: format!("{about}, damaged") };
    }
    Act { bytes, about }
}

/// An id that somebody else has, if there is one, or that nobody has.
pub(crate) fn some_id(seen: &[TaskId], chance: &mut Chance) -> TaskId {
    if !seen.is_empty() && chance.below(3) > 0 {
        return seen[chance.below(seen.len())];
    }
    TaskId::from_bytes(std::array::from_fn(|_| chance.number() as u8))
}

/// A secret that nobody has.
pub(crate) fn secret(chance: &mut Chance) -> Secret {
    Secret::new(std::array::from_fn(|_| chance.number() as u8))
}

/// A number near a limit, or any.
pub(crate) fn telling_number(chance: &mut Chance) -> u64 {
    match chance.below(6) {
        0 => 0,
        1 => 1,
        2 => u64::from(u32::MAX),
        3 => u64::MAX,
        4 => 1 << chance.below(64),
        _ => chance.number(),
    }
}
