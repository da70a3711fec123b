//! Delay of the diallers that come to the manager that has taken over.

/// Longest delay of a dialler after a failover.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Lateness {
    /// Time of the failover.
    since: u64,
    longest_us: u64,
}

impl Lateness {
    pub(crate) fn since(now: u64, longest_us: u64) -> Self {
        Self { since: now, longest_us }
    }

    /// Microseconds until everybody must have dialled; `None` when that time is over.
    pub(crate) fn left(self, now: u64) -> Option<u64> {
        let end = self.since + self.longest_us;
        (self.longest_us > 0 && now < end).then(|| end - now)
    }
}
