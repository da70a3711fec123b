//! What goes to the manager and when: credit, the blobs before the first task that names them, the backlog.

use argon_proto::conversation;
use argon_proto::conversation::client::ToManager;
use argon_proto::{BlobHash, Flags};

use super::entry::{Content, EntryState, Purpose};
use super::{BacklogItem, SessionState};
use crate::blob::Blob;

impl SessionState {
    /// Sends a task now if there is a connection with room for it.
    pub(super) fn send_if_allowed(&mut self, number: u64) -> bool {
        let id = self.task_id(number);
        let (Some(connection), Some(entry)) = (&mut self.connection, self.entries.get_mut(number)) else {
            return false;
        };
        if !connection.allows(entry.weight) {
            return false;
        }
        let Content::Task(mut task) = std::mem::replace(&mut entry.content, Content::Nothing) else {
            return true;
        };
        connection.charge(entry.weight);
        for blob in entry.blobs.iter() {
            if connection.blobs.insert(blob.hash()) {
                connection.outbox.push(&blob_message(blob));
            }
        }
        if entry.is_doubtful {
            task.head.flags = task.head.flags.with(Flags::OFFERED_AGAIN);
        }
        entry.state = EntryState::Sent;
        let submit = ToManager::Submit(task);
        connection.outbox.push(&submit);
        if let ToManager::Submit(task) = submit {
            entry.content = Content::Task(task);
        }
        if entry.is_cancelled {
            connection.outbox.push(&ToManager::Cancel(vec![id]));
        }
        true
    }

    /// Sends what waits, in order, as far as the credit goes.
    pub(super) fn send_backlog(&mut self) {
        if self.connection.is_none() {
            return;
        }
        while let Some(turn) = self.backlog.front().copied() {
            match turn {
                BacklogItem::Offered => self.say_offered(),
                BacklogItem::Task(number) if self.is_waiting(number) => {
                    if !self.send_if_allowed(number) {
                        return;
                    }
                }
                // It was cancelled meanwhile.
                BacklogItem::Task(_) => {}
            }
            self.backlog.pop_front();
        }
    }

    /// The manager no longer has a blob.
    pub(super) fn send_blob_again(&mut self, hash: BlobHash) {
        let blob =
            self.entries.iter().find_map(|(_, entry)| entry.blobs.iter().find(|blob| blob.hash() == hash));
        if let (Some(blob), Some(connection)) = (blob, &mut self.connection) {
            connection.blobs.insert(hash);
            connection.outbox.push(&blob_message(blob));
        }
    }

    fn is_waiting(&self, number: u64) -> bool {
        self.entries.get(number).is_some_and(|entry| {
            entry.state == EntryState::Waiting && !matches!(entry.purpose, Purpose::Collect(_))
        })
    }
}

fn blob_message(blob: &Blob) -> ToManager {
    ToManager::Blob(conversation::Blob { hash: blob.hash(), payload: blob.payload().clone() })
}
