//! Join tokens: one pasted text that lets a machine in without a person at the other end.
//!
//! A token has the manager's address, the pin of its certificate and a secret of 16 bytes. The handshake proves the secret
//! as it proves a key; the answer is GRANT with the key of a role. Pure, like [`crate::handshake`], whose order of calls
//! it has: `JoinDialler::hello` → `JoinListener::challenge` → `JoinDialler::proof` → `JoinListener::grant` →
//! `JoinDialler::granted`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::PROTOCOL_VERSIONS;
use crate::handshake::{Challenge, DIALLER_LABEL, LISTENER_LABEL, Refusal, RefusalCode, transcript};
use crate::id::{from_hex, to_hex};
use crate::key::{Key, Pin, hmac};
use crate::pairing::{common_version, grant, names_role, read_grant};
use crate::secret::is_same;

/// The role that HELLO names.
pub(crate) const ROLE: &str = "join";
const TOKEN_LABEL: &[u8] = b"argon-v1 token";
const PREFIX: &str = "argon1-join-";
/// Longest address in a token: a name has at most 253 characters.
const ADDRESS_BYTES: usize = 253 + 6;

/// The secret of a token. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinSecret([u8; 16]);

/// Names a token without giving it away.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId([u8; 8]);

/// Argument of `argon join`: `argon1-join-<HOST:PORT>-<64 hex pin>-<32 hex secret>`. `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinToken {
    /// The manager's address, `HOST:PORT`.
    pub address: String,
    /// The pin of its certificate.
    pub pin: Pin,
    /// Secret that the machine proves.
    pub secret: JoinSecret,
}

/// Why a text is not a token. The message never repeats the text, which may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a join token: expected the whole of argon1-join-HOST:PORT-…, as 'argon manager' and 'argon key --join worker' \
     print it; copy it again, on one line"
)]
pub struct ParseJoinTokenError;

/// The machine that joins, between its messages.
#[derive(Debug)]
pub struct JoinDialler {
    secret: JoinSecret,
    hello: Vec<u8>,
    transcript: Vec<u8>,
}

/// The manager, between its messages.
#[derive(Debug)]
pub struct JoinListener {
    secret: JoinSecret,
    transcript: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
struct JoinHello {
    min: u16,
    max: u16,
    role: String,
    nonce: String,
    token: String,
}

impl JoinSecret {
    /// A secret of these random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id of the token.
    #[must_use]
    pub fn id(&self) -> TokenId {
        let mut id = [0; 8];
        id.copy_from_slice(&hmac(&self.0, &[TOKEN_LABEL])[..8]);
        TokenId(id)
    }

    fn proof(&self, label: &[u8], transcript: &[u8]) -> [u8; 32] {
        hmac(&self.0, &[label, transcript])
    }
}

impl TokenId {
    /// The token that a HELLO names; `None` if the dialler does not come with one.
    ///
    /// # Errors
    /// If it does, in a form that cannot be read.
    pub fn of_hello(hello: &[u8]) -> Result<Option<Self>, Refusal> {
        if !names_role(hello, ROLE) {
            return Ok(None);
        }
        let hello: Option<JoinHello> = serde_json::from_slice(hello).ok();
        let hello = hello.filter(|hello| from_hex::<32>(&hello.nonce).is_some());
        let id = hello.and_then(|hello| from_hex(&hello.token));
        id.map(|id| Some(Self(id))).ok_or_else(|| {
            Refusal::new(RefusalCode::Frame, "the hello has no nonce and token of hexadecimal digits")
        })
    }
}

impl JoinDialler {
    /// Begins: returns the state and the body of HELLO.
    #[must_use]
    pub fn hello(token: &JoinToken, nonce: [u8; 32]) -> (Self, Vec<u8>) {
        let hello = JoinHello {
            min: PROTOCOL_VERSIONS.0,
            max: PROTOCOL_VERSIONS.1,
            role: ROLE.to_owned(),
            nonce: to_hex(&nonce),
            token: token.secret.id().to_string(),
        };
        let hello = serde_json::to_vec(&hello).unwrap_or_default();
        let dialler = Self { secret: token.secret.clone(), hello: hello.clone(), transcript: Vec::new() };
        (dialler, hello)
    }

    /// Takes the body of CHALLENGE and returns the body of PROOF.
    ///
    /// # Errors
    /// If the challenge cannot be read or names a version that we do not speak.
    pub fn proof(&mut self, challenge: &[u8], channel: &[u8; 32]) -> Result<[u8; 32], Refusal> {
        let parsed: Challenge = serde_json::from_slice(challenge)
            .map_err(|_| Refusal::new(RefusalCode::Frame, "the manager's challenge could not be read"))?;
        common_version(parsed.version, parsed.version)?;
        self.transcript = transcript(&self.hello, challenge, channel);
        Ok(self.secret.proof(DIALLER_LABEL, &self.transcript))
    }

    /// Takes the body of GRANT and returns the key, which must carry `pin` unless a CA vouches for the manager.
    ///
    /// # Errors
    /// If the manager does not know the token's secret, or the key is another manager's.
    pub fn granted(&self, body: &[u8], pin: Option<Pin>) -> Result<Key, Refusal> {
        let (proof, grant) = body.split_at_checked(32).unwrap_or_default();
        let expected = self.secret.proof(LISTENER_LABEL, &self.transcript);
        if !<[u8; 32]>::try_from(proof).is_ok_and(|proof| is_same(&proof, &expected)) {
            return Err(Refusal::new(RefusalCode::Key, "the manager did not prove that it made the token"));
        }
        read_grant(grant, pin)
    }
}

impl JoinListener {
    /// Takes the body of HELLO, which names the token of this secret; returns the state and the body of CHALLENGE.
    ///
    /// # Errors
    /// If the hello cannot be read, or no common version exists.
    pub fn challenge(
        secret: JoinSecret,
        hello: &[u8],
        nonce: [u8; 32],
        channel: &[u8; 32],
    ) -> Result<(Self, Vec<u8>), Refusal> {
        let parsed: JoinHello = serde_json::from_slice(hello)
            .map_err(|_| Refusal::new(RefusalCode::Frame, "the hello could not be read"))?;
        let version = common_version(parsed.min, parsed.max)?;
        let challenge = serde_json::to_vec(&Challenge { version, nonce: to_hex(&nonce) }).unwrap_or_default();
        let transcript = transcript(hello, &challenge, channel);
        Ok((Self { secret, transcript }, challenge))
    }

    /// Checks the body of PROOF.
    ///
    /// # Errors
    /// If the proof is wrong.
    pub fn check(&self, proof: &[u8]) -> Result<(), Refusal> {
        let expected = self.secret.proof(DIALLER_LABEL, &self.transcript);
        if <[u8; 32]>::try_from(proof).is_ok_and(|proof| is_same(&proof, &expected)) {
            return Ok(());
        }
        Err(Refusal::new(RefusalCode::Token, "the join token is damaged; copy it again, on one line"))
    }

    /// The body of GRANT for a dialler whose proof was good.
    #[must_use]
    pub fn grant(&self, key: &Key) -> Vec<u8> {
        let mut body = self.secret.proof(LISTENER_LABEL, &self.transcript).to_vec();
        body.extend(grant(key));
        body
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}-{}-{}", self.address, self.pin, to_hex(&self.secret.0))
    }
}

impl fmt::Debug for JoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinSecret(…)")
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({})", to_hex(&self.0))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl FromStr for JoinToken {
    type Err = ParseJoinTokenError;

    /// A name of a host may hold dashes, so that the parts are cut off from the right.
    fn from_str(text: &str) -> Result<Self, ParseJoinTokenError> {
        let rest = text.trim().strip_prefix(PREFIX).ok_or(ParseJoinTokenError)?;
        let (rest, secret) = rest.rsplit_once('-').ok_or(ParseJoinTokenError)?;
        let (address, pin) = rest.rsplit_once('-').ok_or(ParseJoinTokenError)?;
        let (host, port) = address.rsplit_once(':').ok_or(ParseJoinTokenError)?;
        let is_port = port.bytes().all(|digit| digit.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]%".contains(&byte);
        if host.is_empty() || address.len() > ADDRESS_BYTES || !is_port || !host.bytes().all(is_name) {
            return Err(ParseJoinTokenError);
        }
        Ok(Self {
            address: address.to_owned(),
            pin: pin.parse().map_err(|_| ParseJoinTokenError)?,
            secret: from_hex(secret).map(JoinSecret).ok_or(ParseJoinTokenError)?,
        })
    }
}

#[cfg(test)]
mod tests;
