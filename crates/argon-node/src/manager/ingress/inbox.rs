//! Queues of events of connections that the event loop has not handled.
//!
//! Each connection has a queue of its own, and these take turns: a peer that sends without pause delays the others by one
//! turn. A connection whose queue is full is not read until some of it was handled.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use argon_core::scheduler::ConnId;
use argon_proto::conversation::admin::FromAdmin;
use argon_proto::conversation::client::ToManager;
use argon_proto::conversation::worker::FromWorker;
use argon_proto::key::Role;
use tokio::sync::Notify;

use crate::manager::peers::Port;

/// Events of one connection that may wait.
const EVENTS_MAX: usize = 512;
/// Payload bytes of one connection that may wait.
const BYTES_MAX: u64 = 512 << 10;
/// Events of one connection that are handled before it is another one's turn.
const TURN: u32 = 64;

/// Something that happened at a connection.
#[derive(Debug)]
pub enum PeerEvent {
    /// A peer proved the key.
    Admitted {
        /// Its number.
        link: ConnId,
        /// Its role.
        role: Role,
        /// Its connection.
        port: Port,
        /// Its address, for the log.
        from: String,
    },
    /// A client sent something.
    ClientSent {
        /// Its number.
        link: ConnId,
        /// What.
        message: ToManager,
    },
    /// The client of a task sent something, through its worker.
    ChildSent {
        /// The number of the connection.
        link: ConnId,
        /// What.
        message: ToManager,
    },
    /// A worker sent something.
    WorkerSent {
        /// Its number.
        link: ConnId,
        /// What.
        message: FromWorker,
    },
    /// An admin or observer sent something.
    AdminSent {
        /// Its number.
        link: ConnId,
        /// What.
        message: FromAdmin,
    },
    /// A message arrived without its payload, for which there was no room.
    WithoutPayload {
        /// The number of the connection.
        link: ConnId,
        /// The message as an event, with an empty payload.
        message: Box<PeerEvent>,
        /// Length of the payload.
        bytes: u64,
    },
    /// Its connection ended.
    Gone {
        /// Its number.
        link: ConnId,
        /// True if it was silent for longer than a peer may be.
        is_dead: bool,
        /// Why, for the log.
        why: String,
    },
}

/// All queues.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    shared: Rc<Turns>,
}

#[derive(Debug, Default)]
struct Turns {
    /// Connections whose events wait, the next one first.
    listed: RefCell<VecDeque<Rc<EventQueue>>>,
    /// Events of the first one that were handled in its turn.
    handled: Cell<u32>,
    filled: Notify,
}

#[derive(Default)]
struct EventQueue {
    events: RefCell<VecDeque<(PeerEvent, u64)>>,
    bytes: Cell<u64>,
    is_listed: Cell<bool>,
    is_gone: Cell<bool>,
    reader: RefCell<Option<Box<dyn QueueReader>>>,
}

impl std::fmt::Debug for EventQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.events.borrow().len().fmt(f)
    }
}

/// The connection that fills a queue.
pub trait QueueReader {
    /// True if nothing is handled for the peer now, because it has not taken what it asked for before.
    fn is_clogged(&self) -> bool;

    /// Some of the queue was handled.
    fn resume(&self);
}

/// The queue of one connection.
#[derive(Clone, Debug)]
pub struct PeerInbox {
    shared: Rc<Turns>,
    queue: Rc<EventQueue>,
}

impl Inbox {
    /// A queue for another connection.
    #[must_use]
    pub fn open(&self) -> PeerInbox {
        PeerInbox { shared: Rc::clone(&self.shared), queue: Rc::default() }
    }

    /// The next event.
    #[must_use]
    pub fn pop(&self) -> Option<PeerEvent> {
        loop {
            let queue = Rc::clone(self.shared.listed.borrow().front()?);
            if queue.is_clogged() {
                // Its connection lists it again.
                self.shared.unlist(&queue);
                continue;
            }
            let popped = queue.events.borrow_mut().pop_front();
            let Some((event, bytes)) = popped else {
                self.shared.unlist(&queue);
                continue;
            };
            queue.bytes.set(queue.bytes.get() - bytes);
            let handled = self.shared.handled.get() + 1;
            self.shared.handled.set(handled);
            if queue.events.borrow().is_empty() {
                self.shared.unlist(&queue);
                queue.resume();
            } else if handled >= TURN {
                self.shared.rotate();
                queue.resume();
            }
            return Some(event);
        }
    }

    /// Number of connections whose events wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.listed.borrow().len()
    }

    /// Waits until there is an event.
    pub async fn filled(&self) {
        while self.shared.listed.borrow().is_empty() {
            self.shared.filled.notified().await;
        }
    }
}

impl PeerInbox {
    /// Sets the connection that fills the queue.
    pub fn set_reader(&self, reader: impl QueueReader + 'static) {
        self.queue.reader.replace(Some(Box::new(reader)));
    }

    /// Adds an event that keeps `bytes` of payload in memory.
    pub fn push(&self, event: PeerEvent, bytes: u64) {
        if matches!(event, PeerEvent::Gone { .. }) {
            self.queue.is_gone.set(true);
            // The connection refers to this queue.
            self.queue.reader.replace(None);
        }
        self.queue.events.borrow_mut().push_back((event, bytes));
        self.queue.bytes.set(self.queue.bytes.get() + bytes);
        self.relist();
    }

    /// Gives the queue its turn if something waits there.
    pub fn relist(&self) {
        if !self.queue.events.borrow().is_empty() && !self.queue.is_listed.replace(true) {
            self.shared.listed.borrow_mut().push_back(Rc::clone(&self.queue));
            self.shared.filled.notify_one();
        }
    }

    /// False if enough waits.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queue.events.borrow().len() < EVENTS_MAX && self.queue.bytes.get() < BYTES_MAX
    }

    /// Payload bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.queue.bytes.get()
    }
}

impl Turns {
    fn unlist(&self, queue: &EventQueue) {
        queue.is_listed.set(false);
        self.listed.borrow_mut().pop_front();
        self.handled.set(0);
    }

    fn rotate(&self) {
        self.listed.borrow_mut().rotate_left(1);
        self.handled.set(0);
    }
}

impl EventQueue {
    fn is_clogged(&self) -> bool {
        !self.is_gone.get() && self.reader.borrow().as_ref().is_some_and(|reader| reader.is_clogged())
    }

    fn resume(&self) {
        if let Some(reader) = self.reader.borrow().as_ref() {
            reader.resume();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(link: u64) -> PeerEvent {
        PeerEvent::ClientSent { link: ConnId(link), message: ToManager::Offered }
    }

    fn links(inbox: &Inbox) -> Vec<u64> {
        let events = std::iter::from_fn(|| inbox.pop());
        let links = events.map(|event| {
            let (PeerEvent::ClientSent { link, .. } | PeerEvent::Gone { link, .. }) = event else {
                panic!("{event:?}");
            };
            link.0
        });
        links.collect()
    }

    /// A connection that is clogged or not, and counts how often it was resumed.
    #[derive(Clone, Default)]
    struct Fake(Rc<(Cell<bool>, Cell<u32>)>);

    impl QueueReader for Fake {
        fn is_clogged(&self) -> bool {
            self.0.0.get()
        }

        fn resume(&self) {
            self.0.1.set(self.0.1.get() + 1);
        }
    }

    #[test]
    fn a_flood_delays_the_others_by_one_turn() {
        let inbox = Inbox::default();
        let (flood, honest) = (inbox.open(), inbox.open());
        while flood.has_room() {
            flood.push(sent(1), 0);
        }
        honest.push(sent(2), 0);
        let links = links(&inbox);
        assert_eq!(
            (links.len(), links.iter().position(|link| *link == 2)),
            (EVENTS_MAX + 1, Some(TURN as usize))
        );
    }

    #[test]
    fn a_queue_is_full_by_number_or_bytes_and_its_connection_is_resumed() {
        let inbox = Inbox::default();
        let (queue, reader) = (inbox.open(), Fake::default());
        queue.set_reader(reader.clone());
        queue.push(sent(1), BYTES_MAX);
        assert!(!queue.has_room());
        assert_eq!((links(&inbox), reader.0.1.get(), queue.has_room()), (vec![1], 1, true));
    }

    #[test]
    fn nothing_is_handled_for_a_peer_that_takes_nothing_until_it_does_or_is_gone() {
        let inbox = Inbox::default();
        let (queue, reader) = (inbox.open(), Fake::default());
        queue.set_reader(reader.clone());
        reader.0.0.set(true);
        queue.push(sent(1), 0);
        inbox.open().push(sent(2), 0);
        assert_eq!((links(&inbox), inbox.waiting()), (vec![2], 0));
        reader.0.0.set(false);
        queue.relist();
        assert_eq!(links(&inbox), [1]);
        reader.0.0.set(true);
        queue.push(sent(1), 0);
        assert_eq!(links(&inbox), Vec::<u64>::new());
        queue.push(PeerEvent::Gone { link: ConnId(1), is_dead: false, why: String::new() }, 0);
        assert_eq!(links(&inbox), [1, 1]);
    }
}
