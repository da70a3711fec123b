//! Tasks as clients send them, from their line in the plan.

use argon_proto::{Flags, Runtime, SessionId, Task, TaskHead, TaskId};
use argon_session::{Addition, OutputMode, known_blob};
use bytes::Bytes;

use crate::world::World;

/// A task whose session has not given it an id.
const NOT_YET: TaskId = TaskId { session: SessionId([0; 16]), sequence: 0 };

impl World {
    /// The id of a task, once its client has submitted it.
    pub(crate) fn id_of(&self, place: usize) -> TaskId {
        self.ids[place].unwrap_or(NOT_YET)
    }

    /// The client that collects a detached task; the first one does for those that are gone.
    pub(crate) fn collector_of(&self, place: usize) -> usize {
        let client = self.plan.tasks[place].collect.0;
        if self.clients[client].is_alive { client } else { 0 }
    }

    /// The task as its client hands it to its session, which gives it an id.
    pub(crate) fn build_addition(&self, place: usize) -> Addition {
        let plan = &self.plan.tasks[place];
        let head = TaskHead {
            flags: plan.flags,
            priority: plan.priority,
            timeout_ms: plan.timeout_ms,
            retries: plan.retries,
            backoff_ms: plan.backoff_ms,
            memory_mib: plan.memory_mib,
            ..TaskHead::new(NOT_YET, Runtime::Perl)
        };
        let blobs: Vec<_> = plan.blobs.iter().map(|number| &self.blobs[usize::from(*number)]).collect();
        let hashes = blobs.iter().map(|blob| blob.hash);
        Addition {
            task: Task::new(head, hashes, Bytes::new(), vec![7; plan.bytes].into()),
            blobs: blobs.iter().map(|blob| known_blob(blob.hash, blob.payload.clone())).collect(),
            is_detached: plan.flags.contains(Flags::DETACHED),
            output_mode: OutputMode::Discard,
            offers_max: 0,
        }
    }
}
