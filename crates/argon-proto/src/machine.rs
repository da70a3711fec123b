//! The shape that all state machines share: scheduler, pool and session.

use crate::time::Time;

/// A state machine without clock, file, socket, thread or chance, so that a run can be repeated to the byte.
pub trait Machine {
    /// A fact that it receives.
    type Input;
    /// Collects what it wants done.
    type Output: Default;

    /// Takes one fact at the time `now` and appends what is to be done about it.
    fn step(&mut self, now: Time, input: Self::Input, out: &mut Self::Output);

    /// When the machine wants to be stepped though nothing has happened; `None` while nothing is due.
    fn next_deadline(&self) -> Option<Time>;

    /// Panics, and says why, if something that must always be true is not.
    fn assert_invariants(&self);
}
