//! Tasks as clients send them, from their line in the plan.

use argon_proto::conversation::Blob;
use argon_proto::{BlobHash, Flags, Payload, Runtime, Task, TaskHead, TaskId};
use bytes::Bytes;

use crate::plan::BLOBS;
use crate::world::World;

impl World {
    pub(crate) fn id_of(&self, place: usize) -> TaskId {
        let task = &self.plan.tasks[place];
        TaskId { session: self.clients[task.client].session, sequence: task.number }
    }

    /// The client that collects a detached task; the first one does for those that are gone.
    pub(crate) fn collector_of(&self, place: usize) -> usize {
        let client = self.plan.tasks[place].collect.0;
        if self.clients[client].is_alive { client } else { 0 }
    }

    pub(crate) fn build_task(&self, place: usize, again: bool) -> Task {
        let plan = &self.plan.tasks[place];
        let flags = if again { plan.flags.with(Flags::OFFERED_AGAIN) } else { plan.flags };
        let head = TaskHead {
            flags,
            priority: plan.priority,
            timeout_ms: plan.timeout_ms,
            retries: plan.retries,
            backoff_ms: plan.backoff_ms,
            memory_mib: plan.memory_mib,
            ..TaskHead::new(self.id_of(place), Runtime::Perl)
        };
        let hashes = plan.blobs.iter().map(|number| self.blobs[usize::from(*number)].hash);
        Task::new(head, hashes, Bytes::new(), vec![7; plan.bytes].into())
    }
}

/// Everything that tasks may name.
pub(crate) fn all_blobs() -> Vec<Blob> {
    let blob = |number: u8| {
        let payload = Payload::from(vec![number; 60 + 40 * usize::from(number)]);
        Blob { hash: BlobHash::of(payload.parts()), payload }
    };
    (0..BLOBS as u8).map(blob).collect()
}
