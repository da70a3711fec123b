//! Turns of the connections that share a thread: which one reads next when several peers have sent more than one turn.
//!
//! A connection reads and delivers until its turn is used up. One whose peer has sent more waits in a queue, and after
//! each look at the sockets the first of the queue has its next turn. A peer that sends less than one turn does not wait
//! there, so the others delay it by one turn, however many they are and however much they send.

use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Extent of a turn where others wait.
pub(crate) const SHARED: Extent = Extent { messages: 64, bytes: 32 << 10 };
/// Extent of a turn of a connection that shares its thread with nothing that must not wait: what its owner takes at once.
pub(crate) const ALONE: Extent = Extent { messages: 512, bytes: 128 << 10 };

/// Turns in which the connections of a manager read.
#[derive(Clone, Debug)]
pub struct ReadTurns {
    /// The permit to have a further turn. It is given in the order in which connections ask.
    further: Arc<Semaphore>,
}

/// The right to a further turn, until it is dropped.
pub(crate) type Further = OwnedSemaphorePermit;

/// Messages and bytes that a connection may handle in a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Extent {
    pub(crate) messages: usize,
    /// Bytes that are read or hashed.
    pub(crate) bytes: usize,
}

impl Default for ReadTurns {
    fn default() -> Self {
        Self { further: Arc::new(Semaphore::new(1)) }
    }
}

impl ReadTurns {
    /// True while a connection waits for a further turn, or has one.
    #[must_use]
    pub fn are_wanted(&self) -> bool {
        self.further.available_permits() == 0
    }

    /// Waits for a further turn: until those have had theirs that asked before, and the sockets have been looked at. The
    /// peers that have sent something little, and the owner that answers them, come first.
    pub(crate) async fn further(&self) -> Option<Further> {
        let permit = Arc::clone(&self.further).acquire_owned().await;
        tokio::task::yield_now().await;
        let_owner_go_first().await;
        // The semaphore is never closed.
        permit.ok()
    }
}

/// Lets those tasks of the thread go first that are ready, without another look at the sockets.
async fn let_owner_go_first() {
    let mut have_gone = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut have_gone, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
