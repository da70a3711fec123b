//! The kinds of runners that rest at one worker. When they do is decided in `rests.rs`.

use argon_proto::Runtime;

use crate::pool::RunnerKind;
use crate::time::Time;

/// Kinds that rest at one worker at once. With one more, the whole worker rests.
const KINDS_MAX: usize = 16;

/// The kinds of runners that a worker could not start a moment ago.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Rests {
    kinds: Vec<(RunnerKind, Time)>,
    /// Until then, it is given nothing at all.
    whole_until: Option<Time>,
}

impl Rests {
    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// True if the whole worker rests.
    pub(super) fn is_whole(&self) -> bool {
        self.whole_until.is_some()
    }

    /// True if tasks of this kind wait for the worker needlessly.
    pub(super) fn has(&self, kind: RunnerKind) -> bool {
        self.kinds.iter().any(|(resting, _)| *resting == kind)
    }

    /// True if any kind of this runtime rests.
    pub(super) fn has_runtime(&self, runtime: Runtime) -> bool {
        self.is_whole() || self.kinds.iter().any(|(resting, _)| resting.runtime == runtime)
    }

    /// True if everything that rests here rests there, too.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.kinds.iter().all(|(kind, _)| other.has(*kind))
    }

    /// A kind rests from now on; the whole worker if there are too many of them.
    pub(super) fn begin(&mut self, kind: RunnerKind, until: Time) {
        if let Some((_, its_end)) = self.kinds.iter_mut().find(|(resting, _)| *resting == kind) {
            *its_end = until;
        } else if self.kinds.len() < KINDS_MAX {
            self.kinds.push((kind, until));
        } else {
            self.whole_until = Some(until);
        }
    }

    /// Ends what is over at `now`.
    pub(super) fn end(&mut self, now: Time) {
        self.kinds.retain(|(_, until)| *until > now);
        self.whole_until.take_if(|until| *until <= now);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
