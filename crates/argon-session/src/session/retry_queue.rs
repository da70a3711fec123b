//! Tasks that the manager rejected, until they are offered again: the pauses grow, and differ from task to task.

use std::collections::BTreeSet;

use argon_proto::Time;
use argon_proto::backoff::OFFER_AGAIN;

/// Numbers of tasks by the time at which they are offered again.
#[derive(Debug, Default)]
pub(super) struct RetryQueue {
    by_time: BTreeSet<(Time, u64)>,
}

impl RetryQueue {
    /// Holds a task back that was rejected `rejections` times.
    pub(super) fn hold(&mut self, now: Time, number: u64, rejections: u32) {
        // The numbers of tasks, spread over all bits, are as good as chance.
        let chance = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as u16;
        self.by_time.insert((now + OFFER_AGAIN.pause(rejections, chance), number));
    }

    /// Takes out those whose time has come.
    pub(super) fn due(&mut self, now: Time) -> Vec<u64> {
        let later = self.by_time.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.by_time, later);
        due.into_iter().map(|(_, number)| number).collect()
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.by_time.first().map(|(at, _)| *at)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.by_time.iter().map(|(_, number)| *number)
    }
}
