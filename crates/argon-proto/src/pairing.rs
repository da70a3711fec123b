//! Pairing: how a machine without a key asks a manager for one, and the short code that a person compares.
//!
//! Pure: the caller brings nonces and bytes. The order of calls is `PairDialler::hello` → `PairListener::pair` →
//! `PairDialler::open` → `PairListener::code`; then the manager sends GRANT or REFUSED. The dialler is bound to its nonce
//! before it sees the listener's, and the code covers the certificate of the connection. Somebody between the two can
//! therefore not choose values that give both ends the same code: one guess in a million fits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::PROTOCOL_VERSIONS;
use crate::handshake::{Refusal, RefusalCode, version_refusal};
use crate::id::{from_hex, to_hex};
use crate::key::{Key, Pin, Role, hmac};
use crate::line;
use crate::secret::is_same;

/// The role that HELLO names.
pub(crate) const ROLE: &str = "pair";
const COMMITMENT_LABEL: &[u8] = b"argon-v1 pair";
const CODE_LABEL: &[u8] = b"argon-v1 code";
/// Number of codes.
const CODES: u64 = 1_000_000;
/// Longest name of a host, and of a user, in bytes: HELLO must fit into 512.
const HOST_BYTES: usize = 64;
const USER_BYTES: usize = 32;

/// Six digits that both ends show, `123-456`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairingCode(u32);

/// A text that is not a code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a code: expected the six digits that the other machine shows, such as 123-456")]
pub struct ParseCodeError;

/// Introduction of a machine without a key. Only the role matters; the rest is for the person who decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    wants: Role,
    host: String,
    user: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct PairHello {
    min: u16,
    max: u16,
    role: String,
    wants: String,
    host: String,
    user: String,
    commitment: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Pair {
    version: u16,
    nonce: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct PairOpen {
    nonce: String,
}

/// Grant for a machine that is let in: the body of GRANT, behind the proof if there is one.
#[derive(Debug, Serialize, Deserialize)]
struct Grant {
    key: String,
}

/// The side that asks, between its messages.
#[derive(Debug)]
pub struct PairDialler {
    introduction: Introduction,
    nonce: [u8; 32],
}

/// The side that is asked, between its messages.
#[derive(Debug)]
pub struct PairListener {
    introduction: Introduction,
    commitment: [u8; 32],
    nonce: [u8; 32],
}

impl Introduction {
    /// Roles whose keys are given away. An admin's is not.
    pub const ROLES: [Role; 3] = [Role::Worker, Role::Client, Role::Observer];

    /// An introduction; names are cleaned and cut to what fits.
    #[must_use]
    pub fn new(wants: Role, host: &str, user: &str) -> Self {
        Self { wants, host: name(host, HOST_BYTES), user: name(user, USER_BYTES) }
    }

    /// The role that the machine asks for.
    #[must_use]
    pub fn wants(&self) -> Role {
        self.wants
    }

    /// Its own name for itself.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The user who asks, as the machine says.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// `None` if a name is longer than a fair one, or could change a terminal or the bytes that the code covers.
    fn checked(wants: &str, host: String, user: String) -> Option<Self> {
        let wants = Role::from_name(wants).filter(|role| Self::ROLES.contains(role))?;
        let is_fair = |text: &str, bytes| text.len() <= bytes && !text.chars().any(line::is_unsafe);
        (is_fair(&host, HOST_BYTES) && is_fair(&user, USER_BYTES)).then_some(Self { wants, host, user })
    }
}

fn name(text: &str, bytes: usize) -> String {
    let clean = line::clean_up_to(text, bytes);
    clean[..clean.floor_char_boundary(bytes)].to_owned()
}

impl PairDialler {
    /// Begins: returns the state and the body of HELLO.
    #[must_use]
    pub fn hello(introduction: Introduction, nonce: [u8; 32]) -> (Self, Vec<u8>) {
        let hello = PairHello {
            min: PROTOCOL_VERSIONS.0,
            max: PROTOCOL_VERSIONS.1,
            role: ROLE.to_owned(),
            wants: introduction.wants.name().to_owned(),
            host: introduction.host.clone(),
            user: introduction.user.clone(),
            commitment: to_hex(&commitment(&nonce)),
        };
        (Self { introduction, nonce }, serde_json::to_vec(&hello).unwrap_or_default())
    }

    /// Takes the body of PAIR; returns the body of PAIR_OPEN and the code to show.
    ///
    /// # Errors
    /// If PAIR cannot be read.
    pub fn open(&self, pair: &[u8], channel: &[u8; 32]) -> Result<(Vec<u8>, PairingCode), Refusal> {
        let unreadable = || Refusal::new(RefusalCode::Frame, "the manager's answer could not be read");
        let pair: Pair = serde_json::from_slice(pair).map_err(|_| unreadable())?;
        common_version(pair.version, pair.version)?;
        let theirs = from_hex(&pair.nonce).ok_or_else(unreadable)?;
        let open = serde_json::to_vec(&PairOpen { nonce: to_hex(&self.nonce) }).unwrap_or_default();
        Ok((open, PairingCode::of(&self.nonce, &theirs, channel, &self.introduction)))
    }

    /// Takes the body of GRANT and returns the key of the role that was asked for. `pin` is that of the certificate that
    /// the manager showed; the key must carry it, unless a CA vouches for the manager.
    ///
    /// # Errors
    /// If the key is not the one.
    pub fn granted(&self, grant: &[u8], pin: Option<Pin>) -> Result<Key, Refusal> {
        let key = read_grant(grant, pin)?;
        if key.for_role(self.introduction.wants).is_none() {
            return Err(Refusal::new(RefusalCode::Role, "the manager gave a key of another role"));
        }
        Ok(key)
    }
}

impl PairListener {
    /// Takes the body of HELLO; returns the state and the body of PAIR. `None` if the dialler does not ask to be paired.
    ///
    /// # Errors
    /// If it does, in another version or with fields that are not acceptable.
    pub fn pair(hello: &[u8], nonce: [u8; 32]) -> Result<Option<(Self, Vec<u8>)>, Refusal> {
        if !names_role(hello, ROLE) {
            return Ok(None);
        }
        let unreadable = || {
            let why = "the request for a key could not be read: the roles are worker, client and observer";
            Refusal::new(RefusalCode::Frame, why)
        };
        let hello: PairHello = serde_json::from_slice(hello).map_err(|_| unreadable())?;
        let version = common_version(hello.min, hello.max)?;
        let introduction =
            Introduction::checked(&hello.wants, hello.host, hello.user).ok_or_else(unreadable)?;
        let commitment = from_hex(&hello.commitment).ok_or_else(unreadable)?;
        let pair = serde_json::to_vec(&Pair { version, nonce: to_hex(&nonce) }).unwrap_or_default();
        Ok(Some((Self { introduction, commitment, nonce }, pair)))
    }

    /// Takes the body of PAIR_OPEN; returns who asks, and the code that the other end shows if nobody is in between.
    ///
    /// # Errors
    /// If the nonce is not the one that the dialler was bound to.
    pub fn code(self, open: &[u8], channel: &[u8; 32]) -> Result<(Introduction, PairingCode), Refusal> {
        let open: Option<PairOpen> = serde_json::from_slice(open).ok();
        let nonce = open.and_then(|open| from_hex::<32>(&open.nonce));
        let nonce = nonce.filter(|nonce| is_same(&commitment(nonce), &self.commitment)).ok_or_else(|| {
            Refusal::new(RefusalCode::Pairing, "the nonce is not the one that was committed to")
        })?;
        let code = PairingCode::of(&nonce, &self.nonce, channel, &self.introduction);
        Ok((self.introduction, code))
    }
}

/// The body of GRANT.
#[must_use]
pub fn grant(key: &Key) -> Vec<u8> {
    serde_json::to_vec(&Grant { key: key.to_string() }).unwrap_or_default()
}

/// The key of a GRANT, which must carry `pin` if that is known.
pub(crate) fn read_grant(grant: &[u8], pin: Option<Pin>) -> Result<Key, Refusal> {
    let grant: Option<Grant> = serde_json::from_slice(grant).ok();
    let key: Option<Key> = grant.and_then(|grant| grant.key.parse().ok());
    let key = key.ok_or_else(|| Refusal::new(RefusalCode::Frame, "the manager's key could not be read"))?;
    if pin.is_some_and(|pin| key.pin() != Some(pin)) {
        return Err(Refusal::new(RefusalCode::Key, OTHER_CERTIFICATE));
    }
    Ok(key)
}

const OTHER_CERTIFICATE: &str = "its key trusts another certificate than the one that it shows, and was not kept; if the \
                                 manager shows a certificate of your organisation (--tls-cert), name its CA with --tls-ca";

/// True if a HELLO names this role, whatever else it has.
pub(crate) fn names_role(hello: &[u8], role: &str) -> bool {
    #[derive(Deserialize)]
    struct RoleOnly {
        role: String,
    }
    serde_json::from_slice::<RoleOnly>(hello).is_ok_and(|hello| hello.role == role)
}

/// The highest version that both sides speak.
pub(crate) fn common_version(min: u16, max: u16) -> Result<u16, Refusal> {
    let version = max.min(PROTOCOL_VERSIONS.1);
    if version < min.max(PROTOCOL_VERSIONS.0) {
        return Err(version_refusal(min, max));
    }
    Ok(version)
}

fn commitment(nonce: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(COMMITMENT_LABEL).chain_update(nonce).finalize().into()
}

impl PairingCode {
    fn of(dialler: &[u8; 32], listener: &[u8; 32], channel: &[u8; 32], who: &Introduction) -> Self {
        let secret = [&dialler[..], &listener[..]].concat();
        let (wants, host, user) = (who.wants.name().as_bytes(), who.host.as_bytes(), who.user.as_bytes());
        let mac = hmac(&secret, &[CODE_LABEL, channel, wants, b"\0", host, b"\0", user]);
        let mut first = [0; 8];
        first.copy_from_slice(&mac[..8]);
        let code = u64::from_be_bytes(first) % CODES;
        Self(u32::try_from(code).unwrap_or_default())
    }
}

impl fmt::Display for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}-{:03}", self.0 / 1000, self.0 % 1000)
    }
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairingCode({self})")
    }
}

impl FromStr for PairingCode {
    type Err = ParseCodeError;

    /// Reads six digits, with or without a dash or a space in the middle.
    fn from_str(text: &str) -> Result<Self, ParseCodeError> {
        let text = text.trim();
        let digits = match text.len() {
            6 => text.to_owned(),
            7 => {
                let (first, last) = text.split_once(['-', ' ']).ok_or(ParseCodeError)?;
                if first.len() != 3 {
                    return Err(ParseCodeError);
                }
                [first, last].concat()
            }
            _ => return Err(ParseCodeError),
        };
        if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(ParseCodeError);
        }
        digits.parse().map(Self).map_err(|_| ParseCodeError)
    }
}

impl Serialize for PairingCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PairingCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
