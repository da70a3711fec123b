//! Keys: the cluster key, the keys of roles, and their one-line text form.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::id::{from_hex, to_hex};

/// What a dialler wants to be, and may prove to be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Submits tasks.
    Client,
    /// Executes tasks.
    Worker,
    /// May look, not touch.
    Observer,
    /// May steer: drain, stop.
    Admin,
}

/// What a key opens: everything, or one role.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// The key of which the role keys are derived.
    Cluster,
    /// The key of one role.
    Role(Role),
}

/// A secret of 32 bytes. Its text form is `argon1-<scope>-<64 hex>`; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    scope: Scope,
    secret: [u8; 32],
}

/// Why a text is not a key. The message never repeats the text, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a key: expected one line of the form argon1-cluster-<64 hexadecimal digits>")]
pub struct ParseKeyError;

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Client, Self::Worker, Self::Observer, Self::Admin];

    /// The name on the wire and in key files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Worker => "worker",
            Self::Observer => "observer",
            Self::Admin => "admin",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl Key {
    /// A cluster key of these random bytes.
    #[must_use]
    pub fn cluster(secret: [u8; 32]) -> Self {
        Self { scope: Scope::Cluster, secret }
    }

    /// What this key opens.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The key of a role: derived from a cluster key, or this key if it is that role's; else `None`.
    #[must_use]
    pub fn for_role(&self, role: Role) -> Option<Self> {
        match self.scope {
            Scope::Cluster => Some(Self {
                scope: Scope::Role(role),
                secret: hmac(&self.secret, &[b"argon-v1 role ", role.name().as_bytes()]),
            }),
            Scope::Role(own) => (own == role).then(|| self.clone()),
        }
    }

    /// HMAC-SHA256 under this key.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac(&self.secret, parts)
    }

    /// Compares a received HMAC in constant time.
    pub(crate) fn verify(&self, parts: &[&[u8]], received: &[u8]) -> bool {
        keyed(&self.secret, parts).verify_slice(received).is_ok()
    }
}

fn hmac(secret: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    keyed(secret, parts).finalize().into_bytes().into()
}

fn keyed(secret: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    #[allow(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any key length will do");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = match self.scope {
            Scope::Cluster => "cluster",
            Scope::Role(role) => role.name(),
        };
        write!(f, "argon1-{scope}-{}", to_hex(&self.secret))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.scope)
    }
}

impl FromStr for Key {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let rest = text.trim().strip_prefix("argon1-").ok_or(ParseKeyError)?;
        let (scope, secret) = rest.split_once('-').ok_or(ParseKeyError)?;
        let scope = match scope {
            "cluster" => Scope::Cluster,
            name => Scope::Role(Role::from_name(name).ok_or(ParseKeyError)?),
        };
        let secret = from_hex(secret).ok_or(ParseKeyError)?;
        Ok(Self { scope, secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_key_opens_its_own_role_only() {
        let cluster = Key::cluster([5; 32]);
        let client = cluster.for_role(Role::Client).expect("derived");
        assert_eq!(client.to_string().parse(), Ok(client.clone()));
        assert_eq!(client.for_role(Role::Client), Some(client.clone()));
        assert_eq!(client.for_role(Role::Worker), None);
        assert_ne!(cluster.for_role(Role::Worker), Some(client));
    }

    #[test]
    fn a_bad_key_is_refused_without_repeating_it() {
        let error = "argon1-cluster-secret".parse::<Key>().expect_err("no key");
        assert!(!error.to_string().contains("secret"));
    }
}
