//! The opening of a connection: who speaks which version, and the mutual proof of the key.
//!
//! Pure: the caller brings nonces and bytes. [`Dialler`] and [`Listener`] are the two sides; the order of
//! calls is `Dialler::hello` → `Listener::challenge` → `Dialler::proof` → `Listener::welcome` →
//! `Dialler::check`.

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

use crate::PROTOCOL_VERSIONS;
use crate::holder::{Holder, OwnerName};
use crate::id::{Incarnation, from_hex, to_hex};
use crate::key::{Key, Role};
use crate::line;

/// The first four bytes of every connection of this protocol.
pub const MAGIC: [u8; 4] = *b"ARGN";
/// The channel binding of a plain connection.
pub const PLAIN_CHANNEL: [u8; 32] = [0; 32];

pub(crate) const DIALLER_LABEL: &[u8] = b"argon-v1 dialler proof\0";
pub(crate) const LISTENER_LABEL: &[u8] = b"argon-v1 listener proof\0";

/// Most characters of a refusal's message.
const MESSAGE_CHARS: usize = 1000;

/// First message of the dialler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hello {
    min: u16,
    max: u16,
    role: String,
    nonce: String,
    #[serde(default)]
    capabilities: Vec<String>,
    /// Name and id of a person's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// Answer of the listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Challenge {
    pub(crate) version: u16,
    pub(crate) nonce: String,
}

/// First message of the listener to a dialler that has proven the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// This start of the manager. The client of a task does not learn it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
    /// Release of the manager's program.
    pub release: String,
    /// Optional abilities of the listener.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Tasks that a client may have sent, to begin with.
    #[serde(default)]
    pub credit_tasks: u64,
    /// Payload bytes that a client may have sent, to begin with.
    #[serde(default)]
    pub credit_bytes: u64,
}

/// Reason of a refusal, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The peer has not proven the key.
    Key,
    /// No common version of the protocol.
    Version,
    /// The role is unknown or not served here, or may not send that.
    Role,
    /// Bytes that are not a message, or a message out of place.
    Frame,
    /// A payload beyond the limit.
    Payload,
    /// More was sent than was granted.
    Credit,
    /// The session, or worker, is on another connection now.
    Session,
    /// Plain text from another machine, where only encrypted connections are taken.
    Plaintext,
    /// A machine without a key is not let in.
    Pairing,
    /// A join token that does not open this manager, or not any more.
    Token,
    /// Not now: another try may succeed.
    Busy,
    /// A reason that this release does not know.
    #[serde(other)]
    Unknown,
}

impl RefusalCode {
    /// The code on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Version => "version",
            Self::Role => "role",
            Self::Frame => "frame",
            Self::Payload => "payload",
            Self::Credit => "credit",
            Self::Session => "session",
            Self::Plaintext => "plaintext",
            Self::Pairing => "pairing",
            Self::Token => "token",
            Self::Busy => "busy",
            Self::Unknown => "unknown",
        }
    }
}

/// Reason for which a connection was refused, as the peer receives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The reason, for programs.
    pub code: RefusalCode,
    /// A sentence for people.
    pub message: String,
}

/// The side that opened the connection, between its messages.
#[derive(Debug)]
pub struct Dialler {
    key: Key,
    hello: Vec<u8>,
    transcript: Vec<u8>,
}

/// The side that accepted the connection, between its messages.
#[derive(Debug)]
pub struct Listener {
    /// For each cluster key that the listener holds, the key that the dialler may prove.
    keys: Vec<Key>,
    role: Role,
    holder: Option<Holder>,
    transcript: Vec<u8>,
}

/// Role and holder that a dialler has proven.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proven {
    /// Its role.
    pub role: Role,
    /// The person that its key was made for; `None` for a key of the cluster's own. Whether the key is still in force is for
    /// the caller to decide.
    pub holder: Option<Holder>,
    /// Place, among the cluster keys of the listener, of the one that its key is derived from.
    pub key: usize,
}

impl Proven {
    /// The owner of what the dialler does.
    #[must_use]
    pub fn owner(&self) -> OwnerName {
        self.holder.as_ref().map_or_else(OwnerName::admin, |holder| holder.name.clone())
    }
}

impl Refusal {
    /// A refusal with its code and sentence.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The body of REFUSED.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the body of REFUSED, whatever it is.
    #[must_use]
    pub fn from_json(json: &[u8]) -> Self {
        let read = serde_json::from_slice(json).unwrap_or_else(|_| {
            Self::new(RefusalCode::Unknown, "the peer refused the connection without a word")
        });
        // It is for people, and comes from a peer that may not have proven anything.
        Self { message: line::clean_up_to(&read.message, MESSAGE_CHARS).into_owned(), ..read }
    }
}

impl Dialler {
    /// Begins: returns the state and the body of HELLO. `None` if the key does not open the role.
    #[must_use]
    pub fn hello(key: &Key, role: Role, nonce: [u8; 32]) -> Option<(Self, Vec<u8>)> {
        let key = key.for_role(role)?;
        let hello = Hello {
            min: PROTOCOL_VERSIONS.0,
            max: PROTOCOL_VERSIONS.1,
            role: role.name().to_owned(),
            nonce: to_hex(&nonce),
            capabilities: Vec::new(),
            owner: key.holder().map(|holder| holder.name.to_string()),
            key: key.holder().map(|holder| holder.id.to_string()),
        };
        let hello = serde_json::to_vec(&hello).unwrap_or_default();
        let dialler = Self { key, hello: hello.clone(), transcript: Vec::new() };
        Some((dialler, hello))
    }

    /// Takes the body of CHALLENGE and returns the body of PROOF.
    ///
    /// # Errors
    /// If the challenge cannot be read or names a version that we do not speak.
    pub fn proof(&mut self, challenge: &[u8], channel: &[u8; 32]) -> Result<[u8; 32], Refusal> {
        let parsed: Challenge = serde_json::from_slice(challenge)
            .map_err(|_| Refusal::new(RefusalCode::Frame, "the peer's challenge could not be read"))?;
        if !(PROTOCOL_VERSIONS.0..=PROTOCOL_VERSIONS.1).contains(&parsed.version) {
            return Err(version_refusal(parsed.version, parsed.version));
        }
        self.transcript = transcript(&self.hello, challenge, channel);
        Ok(self.key.mac(&[DIALLER_LABEL, &self.transcript]))
    }

    /// Checks the listener's proof at the head of WELCOME's body and reads the rest.
    ///
    /// # Errors
    /// If the listener does not hold the key, or its welcome cannot be read.
    pub fn check(&self, welcome: &[u8]) -> Result<Welcome, Refusal> {
        let proven =
            welcome.len() >= 32 && self.key.verify(&[LISTENER_LABEL, &self.transcript], &welcome[..32]);
        if !proven {
            return Err(Refusal::new(
                RefusalCode::Key,
                "the peer did not prove that it holds the cluster key; nothing was sent to it",
            ));
        }
        serde_json::from_slice(&welcome[32..])
            .map_err(|_| Refusal::new(RefusalCode::Frame, "the peer's welcome could not be read"))
    }
}

impl Listener {
    /// Takes the body of HELLO and returns the state and the body of CHALLENGE. `keys` are the keys that this side holds: one,
    /// or two cluster keys while one replaces the other.
    ///
    /// # Errors
    /// If the hello cannot be read, or no common version exists, or the role or the owner is none.
    pub fn challenge(
        keys: &[Key],
        hello: &[u8],
        nonce: [u8; 32],
        channel: &[u8; 32],
    ) -> Result<(Self, Vec<u8>), Refusal> {
        let parsed: Hello = serde_json::from_slice(hello)
            .map_err(|_| Refusal::new(RefusalCode::Frame, "the hello could not be read"))?;
        let version = parsed.max.min(PROTOCOL_VERSIONS.1);
        if version < parsed.min.max(PROTOCOL_VERSIONS.0) {
            return Err(version_refusal(parsed.min, parsed.max));
        }
        if from_hex::<32>(&parsed.nonce).is_none() {
            return Err(Refusal::new(RefusalCode::Frame, "the hello has no nonce of 64 hexadecimal digits"));
        }
        let role = Role::from_name(&parsed.role).ok_or_else(|| {
            Refusal::new(RefusalCode::Role, "the role must be client, worker, observer or admin")
        })?;
        let holder = holder_of(parsed.owner.as_deref(), parsed.key.as_deref())?;
        let derived = |key: &Key| match &holder {
            Some(holder) => key.of_person(role, holder.clone()),
            None => key.for_role(role),
        };
        let keys: Vec<Key> = keys.iter().filter_map(derived).collect();
        if keys.is_empty() {
            return Err(Refusal::new(RefusalCode::Role, "this listener does not serve that role"));
        }
        let challenge = Challenge { version, nonce: to_hex(&nonce) };
        let challenge = serde_json::to_vec(&challenge).unwrap_or_default();
        let transcript = transcript(hello, &challenge, channel);
        let listener = Self { keys, role, holder, transcript };
        Ok((listener, challenge))
    }

    /// Takes the body of PROOF and returns what is proven and the body of WELCOME.
    ///
    /// # Errors
    /// If the proof is wrong.
    pub fn welcome(&self, proof: &[u8], welcome: &Welcome) -> Result<(Proven, Vec<u8>), Refusal> {
        let is_proven = |key: &Key| key.verify(&[DIALLER_LABEL, &self.transcript], proof);
        let Some(place) = self.keys.iter().position(is_proven) else {
            return Err(Refusal::new(
                RefusalCode::Key,
                "the key does not open this manager; run 'argon key' on its machine to see where the right one is",
            ));
        };
        let mut body = self.keys[place].mac(&[LISTENER_LABEL, &self.transcript]).to_vec();
        body.extend(serde_json::to_vec(welcome).unwrap_or_default());
        Ok((Proven { role: self.role, holder: self.holder.clone(), key: place }, body))
    }
}

/// The holder that a hello names: both the name and the id of the key, or neither.
fn holder_of(owner: Option<&str>, key: Option<&str>) -> Result<Option<Holder>, Refusal> {
    let refusal = || Refusal::new(RefusalCode::Frame, "the owner or key of the hello is not one");
    match (owner, key) {
        (None, None) => Ok(None),
        (Some(name), Some(id)) => {
            let (name, id) = (name.parse().map_err(|_| refusal())?, id.parse().map_err(|_| refusal())?);
            Ok(Some(Holder { name, id }))
        }
        _ => Err(refusal()),
    }
}

pub(crate) fn version_refusal(min: u16, max: u16) -> Refusal {
    let range = |low: u16, high: u16| if low == high { low.to_string() } else { format!("{low} to {high}") };
    let (theirs, ours) = (range(min, max), range(PROTOCOL_VERSIONS.0, PROTOCOL_VERSIONS.1));
    Refusal::new(
        RefusalCode::Version,
        format!(
            "the peer speaks version {theirs} of the Argon protocol and this side version {ours}; install the same \
             release of Argon on both sides"
        ),
    )
}

pub(crate) fn transcript(hello: &[u8], challenge: &[u8], channel: &[u8; 32]) -> Vec<u8> {
    let mut bytes = BytesMut::with_capacity(hello.len() + challenge.len() + 40);
    bytes.put_u32(hello.len() as u32);
    bytes.put_slice(hello);
    bytes.put_u32(challenge.len() as u32);
    bytes.put_slice(challenge);
    bytes.put_slice(channel);
    bytes.to_vec()
}

#[cfg(test)]
mod tests;
