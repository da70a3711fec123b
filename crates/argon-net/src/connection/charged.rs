//! The account of a connection that is charged to a ledger: what it occupies, and when it must go on.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use argon_proto::Message;

use super::Connection;
use crate::ledger::{Ledger, Share};

/// Time in which more of a message must arrive that has begun.
pub(super) const STALLED: Duration = Duration::from_secs(60);
/// Account of a connection that is charged to a ledger.
pub(super) struct Charged {
    pub(super) share: Share,
    /// Called when the peer has taken enough of what it asked for.
    pub(super) on_drained: Box<dyn Fn()>,
    /// True if something waits for that.
    pub(super) holds: Cell<bool>,
    /// When more of an unfinished message arrived, if there is one.
    pub(super) unfinished_since: Cell<Option<Instant>>,
    /// Since when a payload waits for room, if one does.
    pub(super) waits_since: Cell<Option<Instant>>,
}

impl std::fmt::Debug for Charged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.share.fmt(f)
    }
}

impl<Out: Message> Connection<Out> {
    /// Charges the connection to a ledger, which is done once. `on_drained` is called when the peer has taken enough after
    /// [`Connection::is_clogged`] was true.
    pub fn charge_to(&self, ledger: &Rc<Ledger>, on_drained: impl Fn() + 'static) {
        let charged = Charged {
            share: ledger.open(),
            on_drained: Box::new(on_drained),
            holds: Cell::new(false),
            unfinished_since: Cell::new(None),
            waits_since: Cell::new(None),
        };
        let _ = self.charged.set(charged);
    }

    /// True if the peer must take some of what it asked for before anything is done for it.
    #[must_use]
    pub fn is_clogged(&self) -> bool {
        let Some(charged) = self.charged.get() else {
            return false;
        };
        let outbox = self.outbox.borrow();
        let is_clogged = charged.share.is_clogged(outbox.memory(), outbox.len());
        if is_clogged {
            charged.holds.set(true);
        }
        is_clogged
    }

    /// When a message that has begun must have gone on.
    pub(super) fn stalls_at(&self, now: Instant) -> Option<Instant> {
        let charged = self.charged.get()?;
        let since = charged.unfinished_since.get()?;
        if charged.holds.get() || charged.waits_since.get().is_some() {
            // It is not read.
            charged.unfinished_since.set(Some(now));
            return None;
        }
        Some(since + STALLED)
    }
}
