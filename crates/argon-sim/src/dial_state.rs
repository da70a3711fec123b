//! A dialler's view of its one connection.

/// The state of a dialler's connection. Times are on its own clock.
#[derive(Debug, Default)]
pub(crate) struct DialState {
    step: DialStep,
    /// Number of the last dial.
    pub(crate) number: u32,
    tries: u32,
    pub(crate) received_at: u64,
    pub(crate) sent_at: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum DialStep {
    #[default]
    Away,
    Dialling,
    /// Connected, and not yet let in.
    Opening(usize),
    /// Let in.
    Open(usize),
}

impl DialState {
    pub(crate) fn is_dialling(&self) -> bool {
        self.step == DialStep::Dialling
    }

    pub(crate) fn is_opening(&self, dial: u32) -> bool {
        self.number == dial && matches!(self.step, DialStep::Dialling | DialStep::Opening(_))
    }

    pub(crate) fn begin_dial(&mut self) -> u32 {
        self.number += 1;
        self.step = DialStep::Dialling;
        self.number
    }

    pub(crate) fn connects(&mut self, id: usize) {
        self.step = DialStep::Opening(id);
    }

    pub(crate) fn opens(&mut self, now: u64) {
        if let DialStep::Opening(id) = self.step {
            self.step = DialStep::Open(id);
            self.tries = 0;
            self.received_at = now;
            self.sent_at = now;
        }
    }

    /// The connection, let in or not.
    pub(crate) fn any(&self) -> Option<usize> {
        match self.step {
            DialStep::Opening(id) | DialStep::Open(id) => Some(id),
            DialStep::Away | DialStep::Dialling => None,
        }
    }

    /// The connection on which it was let in.
    pub(crate) fn open(&self) -> Option<usize> {
        match self.step {
            DialStep::Open(id) => Some(id),
            DialStep::Away | DialStep::Dialling | DialStep::Opening(_) => None,
        }
    }

    /// The connection is gone; failures in a row.
    pub(crate) fn lose(&mut self) -> u32 {
        let was_open = self.open().is_some();
        self.step = DialStep::Away;
        self.tries = if was_open { 0 } else { self.tries + 1 };
        self.tries
    }

    pub(crate) fn rest(&mut self) {
        self.step = DialStep::Away;
        self.number += 1;
    }
}
