//! State of one connection: its credit, the blobs sent over it, and outcomes to acknowledge.

use argon_proto::conversation::client::ToManager;
use argon_proto::handshake::Welcome;
use argon_proto::limit::{ACK_WITHIN, ACKS_BYTES, ACKS_MAX, IDS_PER_FRAME};
use argon_proto::{BlobHash, Incarnation, TaskId, Time};
use rustc_hash::FxHashSet;

use super::effect::Out;

#[derive(Debug)]
pub(super) struct ConnectionState {
    /// The manager, until it has sent a message: not until then is it known to have this session.
    pub(super) unanswered: Option<Incarnation>,
    pub(super) blobs: FxHashSet<BlobHash>,
    pub(super) credit_tasks: u64,
    pub(super) credit_bytes: u64,
    pub(super) sent_tasks: u64,
    pub(super) sent_bytes: u64,
    /// Tasks that were sent on this connection and have not ended.
    pub(super) in_flight: u64,
    pub(super) has_offered: bool,
    /// When the last bytes came.
    pub(super) received_at: Time,
    /// True once the manager has sent an outcome or a reply.
    pub(super) has_served: bool,
    acks: Vec<TaskId>,
    ack_bytes: u64,
    acks_since: Option<Time>,
}

impl ConnectionState {
    pub(super) fn new(now: Time, welcome: &Welcome) -> Self {
        Self {
            blobs: FxHashSet::default(),
            unanswered: welcome.incarnation,
            credit_tasks: welcome.credit_tasks,
            credit_bytes: welcome.credit_bytes,
            sent_tasks: 0,
            sent_bytes: 0,
            in_flight: 0,
            has_offered: false,
            received_at: now,
            has_served: false,
            acks: Vec::new(),
            ack_bytes: 0,
            acks_since: None,
        }
    }

    /// True if the manager has granted room for a task of this weight. One may exceed the bytes when it is alone.
    pub(super) fn allows(&self, weight: u64) -> bool {
        self.sent_tasks < self.credit_tasks
            && (self.sent_bytes + weight <= self.credit_bytes || self.in_flight == 0)
    }

    /// Counts a task that is sent now.
    pub(super) fn charge(&mut self, weight: u64, out: &mut Out) {
        if self.sent_bytes + weight > self.credit_bytes {
            // Alone it may exceed the bytes, but alone it is only when the manager knows what is in hand.
            self.send_acks(out);
        }
        self.sent_tasks += 1;
        self.sent_bytes += weight;
        self.in_flight += 1;
    }

    /// An outcome is in hand.
    pub(super) fn acknowledge(&mut self, now: Time, id: TaskId, bytes: u64, out: &mut Out) {
        self.acks.push(id);
        self.ack_bytes += bytes;
        self.acks_since.get_or_insert(now);
        if self.acks.len() >= ACKS_MAX || self.ack_bytes >= ACKS_BYTES {
            self.send_acks(out);
        }
    }

    pub(super) fn send_acks(&mut self, out: &mut Out) {
        self.acks_since = None;
        self.ack_bytes = 0;
        while !self.acks.is_empty() {
            let rest = self.acks.split_off(self.acks.len().min(IDS_PER_FRAME));
            out.frames.push(&ToManager::Ack(std::mem::replace(&mut self.acks, rest)));
        }
    }

    /// When the acknowledgements have waited long enough for company.
    pub(super) fn acks_due(&self) -> Option<Time> {
        self.acks_since.map(|since| since + ACK_WITHIN)
    }
}
