//! Sends tasks: within the credit, after the blobs that they name, and the backlog in order.

use argon_proto::conversation;
use argon_proto::conversation::client::ToManager;
use argon_proto::{BlobHash, Flags};

use super::effect::Out;
use super::entry::{Content, EntryState, Purpose};
use super::{BacklogItem, SessionState};
use crate::blob::Blob;

impl SessionState {
    /// Sends a task now if there is a connection with room for it.
    pub(super) fn send_if_allowed(&mut self, number: u64, out: &mut Out) -> bool {
        let id = self.task_id(number);
        let (Some(connection), Some(entry)) = (&mut self.connection, self.entries.get_mut(number)) else {
            return false;
        };
        if !connection.allows(entry.weight) {
            return false;
        }
        let Content::Submit(submit) = &mut entry.content else {
            return true;
        };
        connection.charge(entry.weight, out);
        for blob in entry.blobs.iter() {
            if connection.blobs.insert(blob.hash()) && !self.assumed_blobs.contains(&blob.hash()) {
                out.frames.push(&blob_message(blob));
            }
        }
        if entry.is_doubtful
            && let ToManager::Submit(task) = submit
        {
            task.head.flags = task.head.flags.with(Flags::OFFERED_AGAIN);
        }
        entry.state = EntryState::Sent;
        out.frames.push(submit);
        if entry.is_cancelled {
            out.frames.push(&ToManager::Cancel(vec![id]));
        }
        true
    }

    /// Sends what waits, in order, as far as the credit goes.
    pub(super) fn send_backlog(&mut self, out: &mut Out) {
        if self.connection.is_none() {
            return;
        }
        while let Some(item) = self.backlog.front().copied() {
            match item {
                BacklogItem::Offered => self.send_offered(out),
                BacklogItem::Task(number) if self.is_waiting(number) => {
                    if !self.send_if_allowed(number, out) {
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
    pub(super) fn send_blob_again(&mut self, hash: BlobHash, out: &mut Out) {
        let blob =
            self.entries.iter().find_map(|(_, entry)| entry.blobs.iter().find(|blob| blob.hash() == hash));
        if let (Some(blob), Some(connection)) = (blob, &mut self.connection) {
            connection.blobs.insert(hash);
            out.frames.push(&blob_message(blob));
        }
    }

    fn is_waiting(&self, number: u64) -> bool {
        self.entries
            .get(number)
            .is_some_and(|entry| entry.state == EntryState::Waiting && entry.purpose != Purpose::Collect)
    }
}

fn blob_message(blob: &Blob) -> ToManager {
    ToManager::Blob(conversation::Blob { hash: blob.hash(), payload: blob.payload().clone() })
}
