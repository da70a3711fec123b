//! Sizes of TCP segments. Some networks (VPNs, overlays) lose large packets without a message, so a connection opens, small
//! messages pass, and the first big one stops it for ever. A connection that ends like that is dialled again with small
//! segments.
//!
//! Owns what this process knows of each address that it dials, for `SMALL_FOR`: like the kernel's route cache, it serves
//! all connections. Who dials calls [`note_end`] when a connection is over.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon_proto::limit::PING_AFTER;

use crate::stream::{KernelView, WriteHalf};

/// Payload of a small segment, bytes: with its headers it fits into the 576 bytes that every IPv4 network carries.
pub const SMALL_BYTES: u32 = 536;
/// Time for which an address is dialled with small segments after a connection to it has stopped moving.
const SMALL_FOR: Duration = Duration::from_secs(3600);
/// Stops in a row that count although nothing at all came back from the peer, which may just have been away.
const UNCLEAR_MAX: u32 = 2;
/// Time without data of the peer after which a heartbeat of it is missing. A side whose data are not confirmed gives up
/// before the other has noticed the silence.
const SILENT_AFTER: Duration = PING_AFTER.saturating_add(Duration::from_secs(2));
/// Times that the kernel has sent the same segment again before it counts as lost on its way.
const RETRANSMITS_MIN: u8 = 3;

static KNOWN: Mutex<BTreeMap<String, Known>> = Mutex::new(BTreeMap::new());

#[derive(Debug, Default)]
struct Known {
    small_until: Option<Instant>,
    /// Ends in a row at which nothing moved for a reason that is not clear.
    unclear: u32,
}

/// Movement of the bytes of a connection at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Movement {
    /// As they should.
    Moved,
    /// They did not, and the peer's kernel answered meanwhile.
    Stuck,
    /// They did not, and nothing came from the peer.
    Unclear,
}

impl Movement {
    fn of(view: KernelView) -> Self {
        let is_silent = view.data_age >= SILENT_AFTER;
        let is_unheard = view.retransmits >= RETRANSMITS_MIN;
        match (is_silent, is_unheard) {
            (false, false) => Self::Moved,
            (true, false) if view.answer_age < 2 * PING_AFTER => Self::Stuck,
            (false, true) => Self::Stuck,
            (true, _) => Self::Unclear,
        }
    }
}

/// A connection to `address` has ended. True if the next one is the first with small segments.
#[must_use]
pub fn note_end(address: &str, writer: &WriteHalf) -> bool {
    let movement = writer.kernel_view().map_or(Movement::Moved, Movement::of);
    note(address, movement, Instant::now())
}

/// True if the address is to be dialled with small segments.
pub(crate) fn are_small(address: &str) -> bool {
    is_small(address, Instant::now())
}

fn note(address: &str, movement: Movement, now: Instant) -> bool {
    let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if movement == Movement::Moved {
        // Small segments stay for their time: they may be why it moved.
        if let Some(known) = all.get_mut(address) {
            known.unclear = 0;
        }
        return false;
    }
    let known = all.entry(address.to_owned()).or_default();
    known.unclear += 1;
    if movement == Movement::Unclear && known.unclear < UNCLEAR_MAX {
        return false;
    }
    known.unclear = 0;
    let was_small = known.small_until.replace(now + SMALL_FOR).is_some_and(|until| now < until);
    !was_small
}

fn is_small(address: &str, now: Instant) -> bool {
    let all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    all.get(address).and_then(|known| known.small_until).is_some_and(|until| now < until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(retransmits: u8, data_age: u64, answer_age: u64) -> Movement {
        let [data_age, answer_age] = [data_age, answer_age].map(Duration::from_secs);
        Movement::of(KernelView { retransmits, data_age, answer_age })
    }

    #[test]
    fn a_connection_is_stuck_when_its_data_stand_and_the_peer_still_answers() {
        assert_eq!(view(0, 0, 0), Movement::Moved);
        assert_eq!(view(2, 6, 6), Movement::Moved, "a pause is not an end");
        assert_eq!(view(0, 10, 1), Movement::Stuck, "its side has given up the connection");
        assert_eq!(
            view(0, 15, 4),
            Movement::Stuck,
            "its kernel confirms our heartbeats, and its own do not come"
        );
        assert_eq!(view(6, 3, 3), Movement::Stuck, "its heartbeats come, and our data are not confirmed");
        assert_eq!(view(0, 15, 15), Movement::Unclear, "the cable is out");
        assert_eq!(view(6, 15, 15), Movement::Unclear);
    }

    #[test]
    fn small_segments_begin_with_a_stuck_connection_or_the_second_unclear_end_and_last_for_their_time() {
        let now = Instant::now();
        assert!(!is_small("a:1", now));
        assert!(note("a:1", Movement::Stuck, now), "that is news");
        assert!(is_small("a:1", now) && !is_small("b:1", now));
        assert!(!note("a:1", Movement::Stuck, now), "that is known");
        assert!(
            !note("a:1", Movement::Moved, now) && is_small("a:1", now),
            "it moves because they are small"
        );
        assert!(!is_small("a:1", now + SMALL_FOR));
        assert!(!note("c:1", Movement::Unclear, now) && !is_small("c:1", now));
        assert!(!note("c:1", Movement::Moved, now));
        assert!(!note("c:1", Movement::Unclear, now), "not in a row");
        assert!(note("c:1", Movement::Unclear, now) && is_small("c:1", now));
    }
}
