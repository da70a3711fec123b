//! The worker's way to its manager: what is sent, when, and what waits while there is none.

pub(crate) mod reconnect;
pub(crate) mod register;

use std::task::{Context, Poll};
use std::time::Duration;

use argon_core::Time;
use argon_core::outcome_batch::{OutcomeBatch, Supply};
use argon_proto::conversation::worker::{FromWorker, ToWorker};
use argon_proto::conversation::{Goodbye, TaskOutput};
use tokio::sync::{mpsc, oneshot, watch};

pub use register::Introduction;

/// Messages of the manager that are taken at once, at most.
const MESSAGES_MAX: usize = 512;
/// Output that is kept for the next manager, bytes.
const UNSENT_OUTPUT_BYTES: usize = 16 << 20;

/// Event of the connection to a manager.
#[derive(Debug)]
pub enum LinkEvent {
    /// A connection is open: answer with who the worker is and what it holds.
    WantRegister(oneshot::Sender<Introduction>),
    /// The manager sent something.
    Message(ToWorker),
    /// Bytes arrived that were not a message for the worker.
    Heard,
    /// The connection ended.
    Lost,
}

/// A worker's way to its manager: a TCP connection that is kept up, or two channels to a manager in this process.
#[derive(Debug)]
pub struct ManagerChannel {
    /// Events of the connection.
    pub events: mpsc::UnboundedReceiver<LinkEvent>,
    /// Messages to the manager. A worker that ends drops this end; messages sent before are still written.
    pub outbox: mpsc::UnboundedSender<FromWorker>,
}

/// The other end of a [`ManagerChannel`] to a manager over the network.
#[derive(Debug)]
pub struct LinkEnd {
    /// Takes what comes from the manager.
    pub events: mpsc::UnboundedSender<LinkEvent>,
    /// Has what goes to it.
    pub outbox: mpsc::UnboundedReceiver<FromWorker>,
    /// Gets the address of the manager while the worker is registered.
    pub current: watch::Sender<Option<String>>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Uplink {
    link: ManagerChannel,
    /// A manager has registered this worker, and the connection stands.
    is_registered: bool,
    /// The worker has said goodbye.
    is_closed: bool,
    batch: OutcomeBatch,
    /// Output that waits for a manager.
    unsent_output: Vec<TaskOutput>,
    received: Vec<LinkEvent>,
}

/// Result of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LinkRead {
    /// Events. `heard` is true if one of them is a sign of life.
    Events {
        /// A sign of life is among them.
        heard: bool,
    },
    /// Nothing will ever come.
    Closed,
}

impl Uplink {
    pub(crate) fn new(link: ManagerChannel) -> Self {
        Self {
            link,
            is_registered: false,
            is_closed: false,
            batch: OutcomeBatch::default(),
            unsent_output: Vec::new(),
            received: Vec::with_capacity(MESSAGES_MAX),
        }
    }

    /// Takes the events that have come; [`Self::received`] returns them.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<LinkRead> {
        if self.is_closed {
            return Poll::Pending;
        }
        self.link.events.poll_recv_many(cx, &mut self.received, MESSAGES_MAX).map(|count| match count {
            0 => LinkRead::Closed,
            _ => {
                let is_sign = |event: &LinkEvent| matches!(event, LinkEvent::Message(_) | LinkEvent::Heard);
                LinkRead::Events { heard: self.received.iter().any(is_sign) }
            }
        })
    }

    /// Takes the events of the last read.
    pub(crate) fn received(&mut self) -> impl Iterator<Item = LinkEvent> + '_ {
        self.received.drain(..)
    }

    /// True if more has come than was read.
    pub(crate) fn has_unread(&self) -> bool {
        !self.link.events.is_empty()
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.is_registered
    }

    /// A manager has registered this worker. Output goes before everything else: a client must see it before the outcome.
    pub(crate) fn on_registered(&mut self, now: Time) {
        self.is_registered = true;
        for output in std::mem::take(&mut self.unsent_output) {
            self.send(now, FromWorker::Output(output));
        }
    }

    pub(crate) fn on_lost(&mut self) {
        self.is_registered = false;
        self.batch.on_manager_lost();
    }

    /// Sends a message, or drops it while there is no manager. Order is kept; outcomes may wait for company.
    pub(crate) fn send(&mut self, now: Time, message: FromWorker) {
        if self.is_registered && self.batch.push(now, message) {
            self.write();
        }
    }

    /// Sends output, or keeps it for the next manager. The windows of the attempts bound what is kept; the oldest goes
    /// when there are very many.
    pub(crate) fn send_output(&mut self, now: Time, output: TaskOutput) {
        if self.is_registered {
            return self.send(now, FromWorker::Output(output));
        }
        if self.is_closed {
            return;
        }
        self.unsent_output.push(output);
        let bytes: usize = self.unsent_output.iter().map(|output| output.bytes.len()).sum();
        if bytes > UNSENT_OUTPUT_BYTES {
            tracing::warn!("output of tasks is dropped: there has been no manager for too long");
            let half = self.unsent_output.len() / 2;
            self.unsent_output.drain(..=half);
        }
    }

    /// Sends GOODBYE. Nothing is sent or read after it.
    pub(crate) fn close(&mut self, now: Time, reason: &str) {
        self.send(now, FromWorker::Goodbye(Goodbye::because(reason)));
        self.is_registered = false;
        self.is_closed = true;
    }

    /// Writes the outcomes that have waited long enough.
    pub(crate) fn flush(&mut self, now: Time, supply: impl FnOnce() -> Supply) {
        if self.batch.is_due(now, supply) {
            self.write();
        }
    }

    /// When [`Self::flush`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.batch.next_deadline()
    }

    /// A runner waits for an answer of this worker.
    pub(crate) fn stay_alert(&mut self, now: Time) {
        self.batch.stay_alert(now);
    }

    /// Pauses the worker's thread while its runners have enough to do: a thread that waits for descriptors is woken for
    /// every outcome, and the timers of the async runtime are too coarse.
    pub(crate) async fn let_outcomes_gather(&self, now: Time, supplied_for: impl FnOnce() -> Duration) {
        if let Some(pause) = self.batch.pause(now, supplied_for) {
            // The connection writes first.
            tokio::task::yield_now().await;
            std::thread::sleep(pause);
        }
    }

    fn write(&mut self) {
        for message in self.batch.take() {
            let _ = self.link.outbox.send(message);
        }
    }
}
