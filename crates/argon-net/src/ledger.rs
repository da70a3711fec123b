//! Memory that the connections of a manager occupy, charged where bytes enter and leave; and the room that is left.

use std::cell::Cell;
use std::rc::Rc;

/// A peer that takes nothing is not read beyond this much of heads and copies in its outbox.
const CLOGGED_OWN: u64 = 16 << 20;
/// As `CLOGGED_OWN`, while memory is short.
const CLOGGED_OWN_TIGHT: u64 = 256 << 10;
/// Limit on everything in its outbox, shared payloads included, while memory is short.
const CLOGGED_ALL_TIGHT: u64 = 8 << 20;

/// Memory of all connections, and of what their owner keeps. Its bound is that of the process, less what that needs
/// in any case.
#[derive(Debug)]
pub struct Ledger {
    bound: u64,
    kept: Cell<u64>,
    incoming: Cell<u64>,
    outgoing: Cell<u64>,
    received: Cell<u64>,
    sent: Cell<u64>,
}

/// Part of one connection.
#[derive(Debug)]
pub struct Share {
    ledger: Rc<Ledger>,
    incoming: Cell<u64>,
    outgoing: Cell<u64>,
}

impl Ledger {
    /// A ledger without connections.
    #[must_use]
    pub fn new(bound: u64) -> Rc<Self> {
        let zero = Cell::default;
        Rc::new(Self {
            bound,
            kept: zero(),
            incoming: zero(),
            outgoing: zero(),
            received: zero(),
            sent: zero(),
        })
    }

    /// The part of a new connection.
    #[must_use]
    pub fn open(self: &Rc<Self>) -> Share {
        Share { ledger: Rc::clone(self), incoming: Cell::default(), outgoing: Cell::default() }
    }

    /// Notes what the owner keeps of what has arrived, bytes.
    pub fn set_kept(&self, bytes: u64) {
        self.kept.set(bytes);
    }

    /// Bytes of messages that have not arrived whole, or that the owner has not taken. A payload that has begun counts as
    /// long as it will be.
    #[must_use]
    pub fn incoming(&self) -> u64 {
        self.incoming.get()
    }

    /// Bytes that wait to be written, besides shared payloads.
    #[must_use]
    pub fn outgoing(&self) -> u64 {
        self.outgoing.get()
    }

    /// Bytes that came over all connections so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// Bytes that went over all connections so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    fn used(&self) -> u64 {
        self.kept.get() + self.incoming.get() + self.outgoing.get()
    }

    fn is_tight(&self) -> bool {
        self.used() > self.bound / 2
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.used().saturating_add(bytes) <= self.bound
    }
}

impl Share {
    /// Notes what has arrived of unfinished messages, bytes.
    pub fn set_incoming(&self, bytes: u64) {
        replace(&self.incoming, &self.ledger.incoming, bytes);
    }

    /// Notes what waits to be written, bytes.
    pub fn set_outgoing(&self, bytes: u64) {
        replace(&self.outgoing, &self.ledger.outgoing, bytes);
    }

    /// Counts bytes that came.
    pub fn count_received(&self, bytes: u64) {
        self.ledger.received.set(self.ledger.received.get() + bytes);
    }

    /// Counts bytes that went.
    pub fn count_sent(&self, bytes: u64) {
        self.ledger.sent.set(self.ledger.sent.get() + bytes);
    }

    /// True if there is room for another payload.
    #[must_use]
    pub fn has_room(&self, bytes: u64) -> bool {
        self.ledger.has_room(bytes)
    }

    /// True if there is room for another payload of a peer that may not take all for itself: a quarter, or one payload
    /// alone.
    #[must_use]
    pub fn has_fair_room(&self, bytes: u64) -> bool {
        let before = self.incoming.get();
        let is_fair = before.saturating_add(bytes) <= self.ledger.bound / 4 || before < bytes / 4;
        is_fair && self.ledger.has_room(bytes)
    }

    /// True if so much waits to be written that the peer must take some of it before anything is done for it.
    #[must_use]
    pub fn is_clogged(&self, own: u64, all: u64) -> bool {
        if own <= CLOGGED_OWN_TIGHT && all <= CLOGGED_ALL_TIGHT {
            return false;
        }
        own > CLOGGED_OWN || self.ledger.is_tight()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set_incoming(0);
        self.set_outgoing(0);
    }
}

/// Sets a part of a sum.
fn replace(part: &Cell<u64>, sum: &Cell<u64>, bytes: u64) {
    sum.set(sum.get() - part.replace(bytes) + bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_add_up_and_leave_nothing_behind() {
        let ledger = Ledger::new(1000);
        let (one, other) = (ledger.open(), ledger.open());
        one.set_incoming(100);
        one.set_incoming(50);
        other.set_incoming(200);
        other.set_outgoing(7);
        assert_eq!((ledger.incoming(), ledger.outgoing(), ledger.used()), (250, 7, 257));
        drop(other);
        assert_eq!(ledger.used(), 50);
        ledger.set_kept(900);
        assert!(one.has_room(50) && !one.has_room(51) && !one.has_room(u64::MAX));
    }

    #[test]
    fn one_peer_takes_a_quarter_or_a_single_payload() {
        let ledger = Ledger::new(1000);
        let share = ledger.open();
        assert!(share.has_fair_room(900), "alone");
        share.set_incoming(200);
        assert!(share.has_fair_room(50) && !share.has_fair_room(51));
    }

    #[test]
    fn a_full_outbox_holds_a_peer_up_and_a_shorter_one_if_memory_is_short() {
        let ledger = Ledger::new(1 << 30);
        let share = ledger.open();
        assert!(share.is_clogged(CLOGGED_OWN + 1, 0) && !share.is_clogged(CLOGGED_OWN, 1 << 30));
        ledger.set_kept((1 << 29) + 1);
        assert!(share.is_clogged(CLOGGED_OWN_TIGHT + 1, 0) && !share.is_clogged(CLOGGED_OWN_TIGHT, 0));
        assert!(share.is_clogged(0, CLOGGED_ALL_TIGHT + 1));
    }
}
