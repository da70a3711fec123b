//! Messages to one peer whose payloads are in the store.
//!
//! A payload is read when the peer has taken what was sent before, so a slow peer keeps one of them in memory, however
//! many it waits for. All later messages to the peer wait behind it: a STOP does not overtake its RUN. Reads block, so
//! they have threads of their own.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use argon_core::scheduler::{ConnId, Input};
use argon_proto::Message;
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::ToWorker;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, spawn_blocking, spawn_local};

use super::store::{PayloadName, PayloadReader, Unreadable};

/// Bytes that a connection may have waiting when the next payload is read for it.
const BACKLOG_BYTES: u64 = 256 << 10;
/// Payloads that are read at the same time.
const READS: usize = 4;

/// A message to a peer.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// To a client.
    Client(ToClient),
    /// To a worker.
    Worker(ToWorker),
}

/// Connection to which messages are fed.
pub(super) trait PacedPort: Clone + 'static {
    /// Queues a message of the peer's conversation.
    fn send(&self, message: Outgoing);
    /// Sends what is queued.
    fn flush(&self);
    /// Waits until fewer than `bytes` wait to be written.
    fn drained(&self, bytes: u64) -> impl Future<Output = ()>;
}

/// Reads payloads for all peers.
#[derive(Clone, Debug)]
pub(super) struct Feeder {
    payloads: Option<Arc<dyn PayloadReader>>,
    permits: Rc<Semaphore>,
    failures: mpsc::UnboundedSender<Input>,
}

/// Messages that wait for one peer.
#[derive(Debug, Default)]
pub(super) struct Feed {
    queue: Rc<Queue>,
    task: Option<AbortHandle>,
}

#[derive(Debug, Default)]
struct Queue {
    messages: RefCell<VecDeque<Outgoing>>,
    is_busy: Cell<bool>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Feed {
    /// True if nothing waits, so that a message without a stored payload may be sent at once.
    pub(super) fn is_idle(&self) -> bool {
        !self.queue.is_busy.get()
    }

    /// Lets a message wait for its payload, or for those before it.
    pub(super) fn push(&mut self, message: Outgoing, port: &impl PacedPort, link: ConnId, feeder: &Feeder) {
        self.queue.messages.borrow_mut().push_back(message);
        if !self.queue.is_busy.replace(true) {
            let feeding = feed(Rc::clone(&self.queue), port.clone(), link, feeder.clone());
            self.task = Some(spawn_local(feeding).abort_handle());
        }
    }
}

impl Feeder {
    /// A feeder, and the facts that it finds out.
    pub(super) fn new(payloads: Option<Box<dyn PayloadReader>>) -> (Self, mpsc::UnboundedReceiver<Input>) {
        let (failures, found) = mpsc::unbounded_channel();
        let permits = Rc::new(Semaphore::new(READS));
        (Self { payloads: payloads.map(Arc::from), permits, failures }, found)
    }

    /// Reads the payload of a message.
    async fn fill(&self, message: &mut Outgoing, name: PayloadName) -> Result<(), Unreadable> {
        let Some(payloads) = self.payloads.clone() else {
            return Err(Unreadable::Damaged("this manager keeps payloads in memory".to_owned()));
        };
        let permit = self.permits.acquire().await;
        let read = spawn_blocking(move || payloads.read(name)).await;
        drop(permit);
        let read =
            read.unwrap_or_else(|_| Err(Unreadable::Damaged("the reading thread has ended".to_owned())))?;
        if let Some(payload) = message.payload_mut() {
            *payload = read;
        }
        Ok(())
    }
}

/// Sends what waits, until nothing does.
async fn feed(queue: Rc<Queue>, port: impl PacedPort, link: ConnId, feeder: Feeder) {
    loop {
        let next = queue.messages.borrow_mut().pop_front();
        let Some(mut message) = next else {
            queue.is_busy.set(false);
            return port.flush();
        };
        if let Some(name) = message.stored() {
            port.flush();
            port.drained(BACKLOG_BYTES).await;
            if let Err(why) = feeder.fill(&mut message, name).await {
                if let Unreadable::Damaged(why) = &why {
                    tracing::warn!("a payload in the store is damaged, {name:?}: {why}");
                }
                // The loop that takes it ends with the process only.
                let _ = feeder.failures.send(message.unreadable(link, &why));
                continue;
            }
        }
        port.send(message);
    }
}

impl Outgoing {
    /// Name of the payload that must be read before the message is sent.
    pub(super) fn stored(&self) -> Option<PayloadName> {
        let payload = match self {
            Self::Client(message) => message.payload(),
            Self::Worker(message) => message.payload(),
        };
        payload.filter(|payload| payload.is_stored())?;
        match self {
            Self::Client(ToClient::Outcome(outcome)) => Some(PayloadName::Result(outcome.head.id)),
            Self::Worker(ToWorker::Run(run)) => Some(PayloadName::Arguments(run.task.head.id)),
            Self::Worker(ToWorker::Blob(blob)) => Some(PayloadName::Blob(blob.hash)),
            Self::Client(_) | Self::Worker(_) => None,
        }
    }

    fn payload_mut(&mut self) -> Option<&mut argon_proto::Payload> {
        match self {
            Self::Client(message) => message.payload_mut(),
            Self::Worker(message) => message.payload_mut(),
        }
    }

    /// Input for the scheduler if the payload cannot be read.
    fn unreadable(&self, link: ConnId, why: &Unreadable) -> Input {
        let why = why.to_string();
        match self {
            Self::Client(ToClient::Outcome(outcome)) => {
                Input::ResultUnreadable { link, id: outcome.head.id, why }
            }
            Self::Worker(ToWorker::Run(run)) => {
                Input::ArgumentsUnreadable { link, attempt: run.task.attempt_id(), why }
            }
            Self::Client(_) | Self::Worker(_) => Input::TimePassed,
        }
    }
}
