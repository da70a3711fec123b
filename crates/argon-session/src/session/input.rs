//! Facts that the shell reports.

use argon_proto::conversation::Incoming;
use argon_proto::conversation::client::ToClient;
use argon_proto::handshake::Welcome;

use super::output_state::OutputAccount;

/// Event outside the session.
#[derive(Debug)]
pub enum Input {
    /// The session is to begin: it asks for a connection.
    Started,
    /// A manager has proven the key and let this client in.
    Connected {
        /// The manager's grants.
        welcome: Welcome,
        /// Address under which it was reached, for people.
        address: String,
    },
    /// The dial that was asked for has failed.
    DialFailed {
        /// The reason, a sentence without its full stop.
        why: String,
        /// Advice for the user; appended to `why` if the session ends for this reason.
        advice: String,
        /// Another try cannot help: the key is wrong, for example.
        is_final: bool,
    },
    /// Bytes were read, even if they do not complete a message.
    BytesReceived,
    /// A message was read.
    MessageReceived(Incoming<ToClient>),
    /// A frame was read that no manager sends to a client: the peer takes this client for something else.
    MisplacedFrameReceived {
        /// The decoder's error.
        why: String,
    },
    /// The connection has ended, or carries bytes that are no frames.
    ConnectionLost,
    /// Output of [`Effect::Print`](super::Effect::Print) has been written.
    OutputPrinted {
        /// The task's number.
        number: u64,
        /// From the effect.
        account: OutputAccount,
        /// Number of bytes.
        bytes: u64,
    },
    /// The deadline has passed, or nothing else has happened for a while.
    TimePassed,
}
