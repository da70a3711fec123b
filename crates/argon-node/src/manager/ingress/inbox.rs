//! Queues of events of connections that the event loop has not handled.
//!
//! Each connection has a queue of its own. Peers that have sent no more than a turn are prompt, and their events come
//! first. The queues of the others take turns behind them. A connection whose queue is full is not read until some of it
//! was handled.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use argon_core::scheduler::ConnId;
use argon_proto::conversation::admin::FromAdmin;
use argon_proto::conversation::client::ToManager;
use argon_proto::conversation::worker::FromWorker;
use argon_proto::handshake::Proven;
use tokio::sync::{Notify, oneshot};

use crate::manager::peers::Port;
use crate::manager::web::exposition::Exposition;

/// Events of one connection that may wait.
const EVENTS_MAX: usize = 512;
/// Payload bytes of one connection that may wait.
const BYTES_MAX: u64 = 512 << 10;
/// Weight of the events of one connection that are handled before it is another one's turn.
pub const TURN: u32 = 64;

/// Event at a connection.
#[derive(Debug)]
pub enum PeerEvent {
    /// A peer proved the key.
    Admitted {
        /// Its number.
        link: ConnId,
        /// Role and holder that the peer has proven.
        proven: Proven,
        /// Its connection.
        port: Port,
        /// Its address, for the log.
        from: String,
    },
    /// A client sent something.
    ClientSent {
        /// Its number.
        link: ConnId,
        /// Content of the message.
        message: ToManager,
    },
    /// The client of a task sent something, through its worker.
    ChildSent {
        /// The number of the connection.
        link: ConnId,
        /// Content of the message.
        message: ToManager,
    },
    /// A worker sent something.
    WorkerSent {
        /// Its number.
        link: ConnId,
        /// Content of the message.
        message: FromWorker,
    },
    /// An admin or observer sent something.
    AdminSent {
        /// Its number.
        link: ConnId,
        /// Content of the message.
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
        /// True if it was silent for longer than a peer may be, or is a client whose process has ended.
        is_dead: bool,
        /// Why, for the log.
        why: String,
    },
    /// Someone reads the metrics.
    MetricsAsked {
        /// Receiver of the page.
        answer: oneshot::Sender<Exposition>,
    },
}

/// An event whose turn has come.
#[derive(Debug)]
pub struct Popped {
    /// The event.
    pub event: PeerEvent,
    /// Work that it causes, in events of one small task.
    pub weight: u32,
}

/// All queues.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    shared: Rc<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    /// Prompt connections whose events wait, the next one first.
    prompt: RefCell<VecDeque<Rc<EventQueue>>>,
    /// The others whose events wait, the next one first.
    behind: RefCell<VecDeque<Rc<EventQueue>>>,
    filled: Notify,
}

#[derive(Default)]
struct EventQueue {
    events: RefCell<VecDeque<Waiting>>,
    bytes: Cell<u64>,
    /// Weight of the events that were handled in the present turn.
    handled: Cell<u32>,
    is_listed: Cell<bool>,
    /// True if the peer has sent more than a turn.
    is_behind: Cell<bool>,
    is_gone: Cell<bool>,
    reader: RefCell<Option<Box<dyn QueueReader>>>,
}

/// An event that waits.
#[derive(Debug)]
struct Waiting {
    event: PeerEvent,
    weight: u32,
    bytes: u64,
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
    shared: Rc<Lists>,
    queue: Rc<EventQueue>,
}

impl Inbox {
    /// A queue for another connection.
    #[must_use]
    pub fn open(&self) -> PeerInbox {
        PeerInbox { shared: Rc::clone(&self.shared), queue: Rc::default() }
    }

    /// The next event of a prompt peer.
    #[must_use]
    pub fn pop_prompt(&self) -> Option<Popped> {
        self.shared.pop_of(&self.shared.prompt)
    }

    /// The next event of another peer.
    #[must_use]
    pub fn pop_behind(&self) -> Option<Popped> {
        self.shared.pop_of(&self.shared.behind)
    }

    /// True if no event waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.prompt.borrow().is_empty() && self.shared.behind.borrow().is_empty()
    }

    /// Waits until there is an event.
    pub async fn filled(&self) {
        while self.is_empty() {
            self.shared.filled.notified().await;
        }
    }
}

impl PeerInbox {
    /// Sets the connection that fills the queue.
    pub fn set_reader(&self, reader: impl QueueReader + 'static) {
        self.queue.reader.replace(Some(Box::new(reader)));
    }

    /// Adds an event that causes the work of `weight` small ones, and keeps `bytes` of payload in memory.
    pub fn push(&self, event: PeerEvent, weight: u32, bytes: u64) {
        if matches!(event, PeerEvent::Gone { .. }) {
            self.queue.is_gone.set(true);
            // The connection refers to this queue.
            self.queue.reader.replace(None);
        }
        self.queue.events.borrow_mut().push_back(Waiting { event, weight, bytes });
        self.queue.bytes.set(self.queue.bytes.get() + bytes);
        self.relist();
    }

    /// Gives the queue its turn if something waits there.
    pub fn relist(&self) {
        if !self.queue.events.borrow().is_empty() && !self.queue.is_listed.replace(true) {
            let list = if self.queue.is_behind.get() { &self.shared.behind } else { &self.shared.prompt };
            list.borrow_mut().push_back(Rc::clone(&self.queue));
            self.shared.filled.notify_one();
        }
    }

    /// Notes whether the peer has sent more than a turn.
    pub fn set_behind(&self, is_behind: bool) {
        self.queue.is_behind.set(is_behind);
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

impl Lists {
    fn pop_of(&self, list: &RefCell<VecDeque<Rc<EventQueue>>>) -> Option<Popped> {
        loop {
            let queue = Rc::clone(list.borrow().front()?);
            let next = if queue.is_clogged() { None } else { queue.events.borrow_mut().pop_front() };
            let Some(Waiting { event, weight, bytes }) = next else {
                // Its connection lists it again.
                queue.is_listed.set(false);
                list.borrow_mut().pop_front();
                continue;
            };
            queue.bytes.set(queue.bytes.get() - bytes);
            queue.handled.set(queue.handled.get() + weight);
            if queue.events.borrow().is_empty() {
                queue.is_listed.set(false);
                list.borrow_mut().pop_front();
                queue.handled.set(0);
                queue.resume();
            } else if queue.handled.get() >= TURN {
                list.borrow_mut().pop_front();
                queue.handled.set(0);
                self.behind.borrow_mut().push_back(Rc::clone(&queue));
                queue.resume();
            }
            return Some(Popped { event, weight });
        }
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
        std::iter::from_fn(|| inbox.pop_prompt().or_else(|| inbox.pop_behind())).map(link_of).collect()
    }

    fn link_of(popped: Popped) -> u64 {
        let (PeerEvent::ClientSent { link, .. } | PeerEvent::Gone { link, .. }) = popped.event else {
            panic!("{popped:?}");
        };
        link.0
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
    fn a_prompt_peer_comes_before_all_that_are_behind() {
        let inbox = Inbox::default();
        let (floods, prompt) = ([inbox.open(), inbox.open()], inbox.open());
        for (link, flood) in (1..).zip(&floods) {
            flood.set_behind(true);
            while flood.has_room() {
                flood.push(sent(link), 1, 0);
            }
        }
        prompt.push(sent(3), 1, 0);
        assert_eq!(inbox.pop_prompt().map(link_of), Some(3));
        assert!(inbox.pop_prompt().is_none());
        let turns: Vec<u64> = links(&inbox).chunks(TURN as usize).map(|turn| turn.iter().sum()).collect();
        let of = |link: u64| link * u64::from(TURN);
        assert_eq!(
            (turns.len(), &turns[..4]),
            (2 * EVENTS_MAX / TURN as usize, &[of(1), of(2), of(1), of(2)][..])
        );
    }

    #[test]
    fn a_peer_is_prompt_for_one_turn_by_weight() {
        let inbox = Inbox::default();
        let (heavy, prompt) = (inbox.open(), inbox.open());
        for _ in 0..10 {
            heavy.push(sent(1), TURN / 4, 0);
        }
        prompt.push(sent(2), 1, 0);
        let prompt: Vec<u64> = std::iter::from_fn(|| inbox.pop_prompt()).map(link_of).collect();
        assert_eq!(prompt, [1, 1, 1, 1, 2]);
        assert_eq!(links(&inbox), [1; 6]);
    }

    #[test]
    fn a_queue_is_full_by_number_or_bytes_and_its_connection_is_resumed() {
        let inbox = Inbox::default();
        let (queue, reader) = (inbox.open(), Fake::default());
        queue.set_reader(reader.clone());
        queue.push(sent(1), 1, BYTES_MAX);
        assert!(!queue.has_room());
        assert_eq!((links(&inbox), reader.0.1.get(), queue.has_room()), (vec![1], 1, true));
    }

    #[test]
    fn nothing_is_handled_for_a_peer_that_takes_nothing_until_it_does_or_is_gone() {
        let inbox = Inbox::default();
        let (queue, reader) = (inbox.open(), Fake::default());
        queue.set_reader(reader.clone());
        reader.0.0.set(true);
        queue.push(sent(1), 1, 0);
        inbox.open().push(sent(2), 1, 0);
        assert_eq!((links(&inbox), inbox.is_empty()), (vec![2], true));
        reader.0.0.set(false);
        queue.relist();
        assert_eq!(links(&inbox), [1]);
        reader.0.0.set(true);
        queue.push(sent(1), 1, 0);
        assert_eq!(links(&inbox), Vec::<u64>::new());
        queue.push(PeerEvent::Gone { link: ConnId(1), is_dead: false, why: String::new() }, 1, 0);
        assert_eq!(links(&inbox), [1, 1]);
    }
}
