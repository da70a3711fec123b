//! What belongs to one connection: its credit, the blobs that went over it, what waits to be written or acknowledged.

use std::time::{Duration, Instant};

use argon_proto::conversation::client::ToManager;
use argon_proto::frame::Outbox;
use argon_proto::limit::IDS_PER_FRAME;
use argon_proto::{BlobHash, TaskId};
use rustc_hash::FxHashSet;

/// Acknowledgements go out when so many have come together,
const ACKS: usize = 1024;
/// or when they are about so many bytes of outcomes that the manager keeps,
const ACK_BYTES: u64 = 1 << 20;
/// or after this time, or with anything else that is sent.
const ACK_AFTER: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct ConnectionState {
    pub(super) outbox: Outbox,
    pub(super) blobs: FxHashSet<BlobHash>,
    pub(super) credit_tasks: u64,
    pub(super) credit_bytes: u64,
    pub(super) sent_tasks: u64,
    pub(super) sent_bytes: u64,
    /// Tasks that were sent on this connection and have not ended.
    pub(super) in_flight: u64,
    pub(super) has_offered: bool,
    acks: Vec<TaskId>,
    ack_bytes: u64,
    acks_since: Option<Instant>,
}

impl ConnectionState {
    pub(super) fn new(credit_tasks: u64, credit_bytes: u64) -> Self {
        Self {
            outbox: Outbox::default(),
            blobs: FxHashSet::default(),
            credit_tasks,
            credit_bytes,
            sent_tasks: 0,
            sent_bytes: 0,
            in_flight: 0,
            has_offered: false,
            acks: Vec::new(),
            ack_bytes: 0,
            acks_since: None,
        }
    }

    /// Whether the manager has granted room for a task of this weight. One may exceed the bytes when it is alone.
    pub(super) fn allows(&self, weight: u64) -> bool {
        self.sent_tasks < self.credit_tasks
            && (self.sent_bytes + weight <= self.credit_bytes || self.in_flight == 0)
    }

    /// Counts a task that is sent now.
    pub(super) fn charge(&mut self, weight: u64) {
        if self.sent_bytes + weight > self.credit_bytes {
            // Alone it may exceed the bytes, but alone it is only when the manager knows what is in hand.
            self.send_acks();
        }
        self.sent_tasks += 1;
        self.sent_bytes += weight;
        self.in_flight += 1;
    }

    /// An outcome is in hand.
    pub(super) fn acknowledge(&mut self, now: Instant, id: TaskId, bytes: u64) {
        self.acks.push(id);
        self.ack_bytes += bytes;
        self.acks_since.get_or_insert(now);
        if self.acks.len() >= ACKS || self.ack_bytes >= ACK_BYTES {
            self.send_acks();
        }
    }

    pub(super) fn send_acks(&mut self) {
        self.acks_since = None;
        self.ack_bytes = 0;
        while !self.acks.is_empty() {
            let rest = self.acks.split_off(self.acks.len().min(IDS_PER_FRAME));
            self.outbox.push(&ToManager::Ack(std::mem::replace(&mut self.acks, rest)));
        }
    }

    /// When the acknowledgements have waited long enough for company.
    pub(super) fn acks_due(&self) -> Option<Instant> {
        self.acks_since.map(|since| since + ACK_AFTER)
    }
}
