//! Capabilities: tokens that a manager gives with the id of an attempt or of a detached task.
//!
//! An id alone opens nothing. A token is computed from the cluster key and the id, so managers that share a key verify
//! each other's tokens, and no manager stores them. Tokens are opaque to everybody else.

use std::fmt;
use std::hash::Hasher;
use std::str::FromStr;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;
use siphasher::sip::SipHasher24;

use crate::id::{AttemptId, TaskId, WorkerId, from_hex, to_hex};
use crate::key::Key;
use crate::secret::is_same;

const ATTEMPTS_LABEL: &[u8] = b"argon-v2 attempts";
const TICKETS_LABEL: &[u8] = b"argon-v2 tickets";

/// Proof that a worker was given an attempt, on the wire a u64. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct AttemptToken(pub u64);

/// Right to collect or cancel a detached task: 16 bytes. `Debug` does not show them.
#[derive(Clone, Copy)]
pub struct TicketToken(pub [u8; 16]);

/// A detached task and the right to it: `<48 hex>-<32 hex>`. `Debug` shows the id only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// The task.
    pub id: TaskId,
    /// The right.
    pub token: TicketToken,
}

/// Former keys whose tokens are verified: one that is being replaced, and one that was before.
const FORMER: usize = 2;

/// Makes the tokens of one cluster key, and verifies these and those of former ones.
#[derive(Clone)]
pub struct Capabilities {
    present: Seeds,
    former: [Option<Seeds>; FORMER],
}

#[derive(Clone)]
struct Seeds {
    attempts: Hmac<Sha256>,
    tickets: Hmac<Sha256>,
}

/// Makes and verifies the attempt tokens of one worker. `Debug` does not show the key.
#[derive(Clone, Copy)]
pub struct AttemptKey {
    present: [u8; 16],
    former: [Option<[u8; 16]>; FORMER],
}

/// Text that is not a ticket. The messages repeat at most an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseTicketError {
    /// An id without its token.
    #[error(
        "{0} is the id of a task, not its ticket; a ticket is <48 hex>-<32 hex>, as the command or call that submitted the task returned it"
    )]
    IdOnly(TaskId),
    /// Other text.
    #[error("expected a ticket of the form <48 hexadecimal digits>-<32 hexadecimal digits>")]
    Other,
}

impl Capabilities {
    /// The capabilities of managers that hold this key.
    #[must_use]
    pub fn new(key: &Key) -> Self {
        Self { present: Seeds::of(key), former: [const { None }; FORMER] }
    }

    /// Adds a former key, to verify what managers with that key have made. The last two that are added count.
    #[must_use]
    pub fn and_former(mut self, key: &Key) -> Self {
        self.former.rotate_right(1);
        self.former[0] = Some(Seeds::of(key));
        self
    }

    /// Key of the tokens of one worker's attempts: compute it once, when the worker registers.
    #[must_use]
    pub fn of_worker(&self, worker: WorkerId) -> AttemptKey {
        let of = |seeds: &Seeds| mac(&seeds.attempts, &worker.0);
        AttemptKey {
            present: of(&self.present),
            former: self.former.each_ref().map(|seeds| seeds.as_ref().map(of)),
        }
    }

    /// The ticket of a detached task.
    #[must_use]
    pub fn ticket(&self, id: TaskId) -> Ticket {
        self.present.ticket(id)
    }

    /// True if managers with this key or a former one have made the ticket. Takes the same time for every token.
    #[must_use]
    pub fn verifies(&self, ticket: &Ticket) -> bool {
        let is_of = |seeds: &Seeds| seeds.ticket(ticket.id).token == ticket.token;
        self.former.iter().flatten().fold(is_of(&self.present), |verifies, seeds| verifies | is_of(seeds))
    }
}

impl Seeds {
    fn of(key: &Key) -> Self {
        Self { attempts: keyed(&key.mac(&[ATTEMPTS_LABEL])), tickets: keyed(&key.mac(&[TICKETS_LABEL])) }
    }

    fn ticket(&self, id: TaskId) -> Ticket {
        Ticket { id, token: TicketToken(mac(&self.tickets, &id.to_bytes())) }
    }
}

impl AttemptKey {
    /// Token of an attempt that this worker is given.
    #[must_use]
    pub fn token(&self, attempt: AttemptId) -> AttemptToken {
        Self::token_of(&self.present, attempt)
    }

    fn token_of(key: &[u8; 16], attempt: AttemptId) -> AttemptToken {
        let mut hasher = SipHasher24::new_with_key(key);
        let mut bytes = [0; TaskId::BYTES + 4];
        bytes[..TaskId::BYTES].copy_from_slice(&attempt.task.to_bytes());
        bytes[TaskId::BYTES..].copy_from_slice(&attempt.attempt.0.to_be_bytes());
        hasher.write(&bytes);
        AttemptToken(hasher.finish())
    }

    /// True if this worker was given the attempt with this token.
    #[must_use]
    pub fn verifies(&self, attempt: AttemptId, token: AttemptToken) -> bool {
        self.token(attempt) == token
            || self.former.iter().flatten().any(|key| Self::token_of(key, attempt) == token)
    }
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    #[allow(clippy::expect_used, reason = "HMAC takes keys of every length")]
    Hmac::new_from_slice(key).expect("any key length will do")
}

fn mac(keyed: &Hmac<Sha256>, bytes: &[u8]) -> [u8; 16] {
    let whole: [u8; 32] = keyed.clone().chain_update(bytes).finalize().into_bytes().into();
    let mut first = [0; 16];
    first.copy_from_slice(&whole[..16]);
    first
}

/// Compares in constant time.
impl PartialEq for TicketToken {
    fn eq(&self, other: &Self) -> bool {
        is_same(&self.0, &other.0)
    }
}

impl Eq for TicketToken {}

impl Ticket {
    /// Bytes of a ticket on the wire.
    pub const BYTES: usize = TaskId::BYTES + 16;
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Capabilities(…)")
    }
}

impl fmt::Debug for AttemptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttemptKey(…)")
    }
}

impl fmt::Debug for AttemptToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttemptToken(…)")
    }
}

impl fmt::Debug for TicketToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketToken(…)")
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.id, to_hex(&self.token.0))
    }
}

impl FromStr for Ticket {
    type Err = ParseTicketError;

    /// Strict: one task has one text.
    fn from_str(text: &str) -> Result<Self, ParseTicketError> {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ParseTicketError::Other);
        }
        let (id, token) = match text.split_once('-') {
            Some((id, token)) => (id, Some(token)),
            None => (text, None),
        };
        let id: TaskId = id.parse().map_err(|_| ParseTicketError::Other)?;
        let token = token.ok_or(ParseTicketError::IdOnly(id))?;
        let token = from_hex(token).ok_or(ParseTicketError::Other)?;
        Ok(Self { id, token: TicketToken(token) })
    }
}

/// In JSON 16 hexadecimal digits.
impl Serialize for AttemptToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hex(&self.0.to_be_bytes()))
    }
}

impl<'de> Deserialize<'de> for AttemptToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = from_hex(&text)
            .ok_or_else(|| serde::de::Error::custom("an attempt's token has 16 hexadecimal digits"))?;
        Ok(Self(u64::from_be_bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Attempt, SessionId};

    fn task(sequence: u64) -> TaskId {
        TaskId { session: SessionId([7; 16]), sequence }
    }

    fn of(byte: u8) -> Capabilities {
        Capabilities::new(&Key::cluster([byte; 32]))
    }

    #[test]
    fn an_attempt_token_opens_that_attempt_of_that_worker_under_that_key_only() {
        let attempt = |sequence, attempt| AttemptId { task: task(sequence), attempt: Attempt(attempt) };
        let key = of(1).of_worker(WorkerId([1; 16]));
        let token = key.token(attempt(1, 1));
        assert!(of(1).of_worker(WorkerId([1; 16])).verifies(attempt(1, 1), token));
        assert!(!key.verifies(attempt(1, 2), token));
        assert!(!key.verifies(attempt(2, 1), token));
        assert!(!of(1).of_worker(WorkerId([2; 16])).verifies(attempt(1, 1), token));
        assert!(!of(2).of_worker(WorkerId([1; 16])).verifies(attempt(1, 1), token));
    }

    #[test]
    fn a_ticket_opens_its_task_under_its_key_only() {
        let ticket = of(1).ticket(task(1));
        assert!(of(1).verifies(&ticket));
        assert!(!of(2).verifies(&ticket));
        assert!(!of(1).verifies(&Ticket { id: task(2), ..ticket }));
    }

    #[test]
    fn a_ticket_survives_its_text_and_an_id_is_recognized_as_such() {
        let ticket = of(1).ticket(task(1));
        let text = ticket.to_string();
        assert_eq!((text.len(), text.parse()), (81, Ok(ticket)));
        assert!(!format!("{ticket:?}").contains(&text[49..]), "tokens stay out of logs");
        let id = task(1).to_string();
        let error = id.parse::<Ticket>().expect_err("no token");
        assert_eq!(error, ParseTicketError::IdOnly(task(1)));
        assert!(error.to_string().contains("is the id of a task, not its ticket"), "{error}");
        for text in ["", "-", "x-y", &text[1..], &text[..80], &format!("{text}0"), &format!("{id}-")] {
            assert_eq!(text.parse::<Ticket>(), Err(ParseTicketError::Other), "{text}");
        }
    }
}
