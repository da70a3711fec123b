//! Effects of the scheduler: commands to the shell, in the imperative.

use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::ToWorker;
use argon_proto::handshake::RefusalCode;
use bytes::Bytes;

use super::input::ConnId;
use super::record::Record;

/// A command to the shell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Send a message to the client at this connection.
    SendToClient {
        /// The connection.
        link: ConnId,
        /// The message.
        message: ToClient,
    },
    /// Send a message to the worker at this connection. RUN needs the blobs that its task names sent before it.
    SendToWorker {
        /// The connection.
        link: ConnId,
        /// The message.
        message: ToWorker,
    },
    /// End a connection, after what was sent on it before, with these words.
    Close {
        /// The connection.
        link: ConnId,
        /// The reason, for programs.
        code: RefusalCode,
        /// A sentence for people.
        why: String,
    },
    /// Tell the operator that a peer did what it may not.
    Warn {
        /// A sentence for people.
        what: String,
    },
    /// A task is forgotten: the blobs that it named are needed for it no longer.
    ReleaseBlobs {
        /// Hashes, 32 bytes each, as the task named them.
        blobs: Bytes,
    },
}

/// Output of steps: first the facts to store, then the commands that depend on them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Out {
    /// Durable facts, in order. The shell commits them before it releases the effects.
    pub records: Vec<Record>,
    /// Commands, in order.
    pub effects: Vec<Effect>,
}

impl Out {
    pub(super) fn send_to_client(&mut self, link: ConnId, message: ToClient) {
        self.effects.push(Effect::SendToClient { link, message });
    }

    pub(super) fn send_to_worker(&mut self, link: ConnId, message: ToWorker) {
        self.effects.push(Effect::SendToWorker { link, message });
    }
}
