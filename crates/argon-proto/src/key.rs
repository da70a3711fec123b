//! Keys: the cluster key, the keys of roles, the pin of a manager's certificate, and their one-line text form.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;

use crate::holder::Holder;
use crate::id::{from_hex, to_hex};

/// Role that a dialler claims and proves.
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

/// Scope of a key: everything, or one role.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// The key of which the role keys are derived.
    Cluster,
    /// The key of one role.
    Role(Role),
}

/// A secret of 32 bytes, and the pin of the manager that it opens if it carries one. Its text form is
/// `argon1-<scope>-<64 hex secret>`, with `-<64 hex pin>` behind it, and with `-<16 hex id>-<name>` behind that if it is a
/// person's; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    scope: Scope,
    secret: [u8; 32],
    pin: Option<Pin>,
    holder: Option<Box<Holder>>,
}

/// SHA-256 of the certificate that managers of one cluster key show. It is not secret. Its text form has 64 hexadecimal
/// digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin(pub [u8; 32]);

/// Why a text is not a key. The message never repeats the text, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a key: expected one line of the form argon1-cluster-<64 hexadecimal digits>")]
pub struct ParseKeyError;

/// A text that is not a pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a pin: expected 64 hexadecimal digits, as 'argon key --pin' prints them")]
pub struct ParsePinError;

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
        Self { scope: Scope::Cluster, secret, pin: None, holder: None }
    }

    /// Adds the pin of the manager's certificate.
    #[must_use]
    pub fn with_pin(self, pin: Pin) -> Self {
        Self { pin: Some(pin), ..self }
    }

    /// The pin that this key carries. A cluster key carries none: its identity has it.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        self.pin
    }

    /// The private key (Ed25519, seed form) of the managers that are started with this key; `None` if it is not a cluster
    /// key.
    #[must_use]
    pub fn identity_seed(&self) -> Option<[u8; 32]> {
        self.derive(&[b"argon-v1 identity"])
    }

    /// A key that only holders of the cluster key can derive, for the tickets of TLS sessions that are issued in `period`;
    /// `None` if this is not a cluster key.
    #[must_use]
    pub fn ticket_key(&self, period: u64) -> Option<[u8; 32]> {
        self.derive(&[b"argon-v1 tls tickets ", &period.to_be_bytes()])
    }

    /// The key of a person for one role; `None` if this is not a cluster key.
    #[must_use]
    pub fn of_person(&self, role: Role, holder: Holder) -> Option<Self> {
        let label = [
            b"argon-v1 key ",
            role.name().as_bytes(),
            b"\0",
            holder.name.as_str().as_bytes(),
            b"\0",
            &holder.id.0,
        ];
        let secret = self.derive(&label)?;
        Some(Self { scope: Scope::Role(role), secret, pin: self.pin, holder: Some(Box::new(holder)) })
    }

    /// The person that this key was made for; `None` if it is one of the cluster's own.
    #[must_use]
    pub fn holder(&self) -> Option<&Holder> {
        self.holder.as_deref()
    }

    fn derive(&self, label: &[&[u8]]) -> Option<[u8; 32]> {
        (self.scope == Scope::Cluster).then(|| hmac(&self.secret, label))
    }

    /// Scope of this key.
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
                pin: self.pin,
                holder: None,
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

pub(crate) fn hmac(secret: &[u8], parts: &[&[u8]]) -> [u8; 32] {
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
        write!(f, "argon1-{scope}-{}", to_hex(&self.secret))?;
        self.pin.map_or(Ok(()), |pin| write!(f, "-{pin}"))?;
        self.holder().map_or(Ok(()), |Holder { name, id }| write!(f, "-{id}-{name}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.scope)
    }
}

impl FromStr for Key {
    type Err = ParseKeyError;

    /// Reads the text of a key, or of a key file: the key on the first line, with the pin of a line `pin <64 hex>` if it is a
    /// role's that carries none. Other lines are for readers that know them, but a second key or pin is a damage.
    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let mut lines = text.trim().lines().map(str::trim);
        let mut key = Self::from_line(lines.next().unwrap_or_default())?;
        for line in lines {
            if line.starts_with("argon1-") {
                return Err(ParseKeyError);
            }
            let Some(pin) = line.strip_prefix("pin ") else { continue };
            let pin = pin.trim().parse().map_err(|_| ParseKeyError)?;
            if key.pin.is_some_and(|own| own != pin) {
                return Err(ParseKeyError);
            }
            if key.scope != Scope::Cluster {
                key = key.with_pin(pin);
            }
        }
        Ok(key)
    }
}

impl Key {
    fn from_line(text: &str) -> Result<Self, ParseKeyError> {
        let rest = text.strip_prefix("argon1-").ok_or(ParseKeyError)?;
        let (scope, secret) = rest.split_once('-').ok_or(ParseKeyError)?;
        let scope = match scope {
            "cluster" => Scope::Cluster,
            name => Scope::Role(Role::from_name(name).ok_or(ParseKeyError)?),
        };
        let mut parts = secret.splitn(4, '-');
        let secret = parts.next().and_then(from_hex).ok_or(ParseKeyError)?;
        let pin = parts.next().map(str::parse).transpose().map_err(|_| ParseKeyError)?;
        let holder = match (parts.next(), parts.next()) {
            (None, _) => None,
            (Some(id), Some(name)) if scope != Scope::Cluster => {
                let (id, name) =
                    (id.parse().map_err(|_| ParseKeyError)?, name.parse().map_err(|_| ParseKeyError)?);
                Some(Box::new(Holder { name, id }))
            }
            (Some(_), _) => return Err(ParseKeyError),
        };
        Ok(Self { scope, secret, pin, holder })
    }
}

impl Pin {
    /// Compares in constant time.
    #[must_use]
    pub fn is_of(&self, certificate_hash: &[u8; 32]) -> bool {
        self.0.iter().zip(certificate_hash).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
    }

    /// The first 16 digits, for people and for ALPN.
    #[must_use]
    pub fn short(&self) -> String {
        to_hex(&self.0[..8])
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for Pin {
    type Err = ParsePinError;

    fn from_str(text: &str) -> Result<Self, ParsePinError> {
        from_hex(text).map(Self).ok_or(ParsePinError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holder::KeyId;

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
    fn a_key_carries_the_pin_that_it_was_given_and_gives_it_to_its_roles() {
        let pin = Pin([0xab; 32]);
        let worker = Key::cluster([5; 32]).with_pin(pin).for_role(Role::Worker).expect("derived");
        assert_eq!(worker.pin(), Some(pin));
        assert_eq!(worker.to_string().parse(), Ok(worker.clone()));
        assert!(worker.to_string().ends_with(&format!("-{pin}")));
        assert_eq!(pin.short(), "abababababababab");
        let text = worker.to_string();
        for broken in
            [&text[..text.len() - 1], &format!("{text}0"), &format!("{text}-"), &text[..text.len() - 64]]
        {
            assert_eq!(broken.parse::<Key>(), Err(ParseKeyError), "{broken}");
        }
    }

    #[test]
    fn the_key_of_a_person_names_its_holder_and_opens_one_role() {
        let cluster = Key::cluster([5; 32]).with_pin(Pin([0xab; 32]));
        let holder = Holder { name: "ann-lee".parse().expect("a name"), id: KeyId([7; 8]) };
        let key = cluster.of_person(Role::Client, holder.clone()).expect("of a cluster key");
        assert!(key.to_string().ends_with("-0707070707070707-ann-lee"));
        assert_eq!(key.to_string().parse(), Ok(key.clone()));
        assert_eq!((key.holder(), key.for_role(Role::Client)), (Some(&holder), Some(key.clone())));
        assert_eq!((key.for_role(Role::Admin), key.of_person(Role::Client, holder.clone())), (None, None));
        let others = [
            cluster.of_person(Role::Worker, holder.clone()),
            cluster.of_person(Role::Client, Holder { id: KeyId([8; 8]), ..holder.clone() }),
            cluster.of_person(Role::Client, Holder { name: "ann".parse().expect("a name"), ..holder }),
            cluster.for_role(Role::Client),
        ];
        assert!(others.iter().flatten().all(|other| other.secret != key.secret));
        let text = key.to_string();
        for broken in [
            text.replace("-ann-lee", ""),
            text.replace("ann-lee", "admin"),
            text.replace("client", "cluster"),
            text.replace("-0707070707070707", "-07"),
            format!("{text} "),
        ] {
            let read = broken.parse::<Key>();
            assert!(read.is_err() || broken.ends_with(' ') && read == Ok(key.clone()), "{broken}");
        }
    }

    #[test]
    fn only_a_cluster_key_gives_an_identity_and_tickets() {
        let cluster = Key::cluster([5; 32]);
        let worker = cluster.for_role(Role::Worker).expect("derived");
        assert!(cluster.identity_seed().is_some() && cluster.identity_seed() != cluster.ticket_key(0));
        assert_ne!(cluster.ticket_key(0), cluster.ticket_key(1));
        assert_eq!((worker.identity_seed(), worker.ticket_key(0)), (None, None));
    }

    #[test]
    fn a_bad_key_is_refused_without_repeating_it() {
        let error = "argon1-cluster-secret".parse::<Key>().expect_err("no key");
        assert!(!error.to_string().contains("secret"));
    }
}
