//! The token that opens a manager's metrics: made of an observer's key, and worth less. Who reads it on the way, or in the
//! file of a collector, can read the metrics and nothing else.

use std::fmt;
use std::str::FromStr;

use crate::holder::Holder;
use crate::id::{from_hex, to_hex};
use crate::key::{Key, Role};

/// Text that the proof covers.
const LABEL: &[u8] = b"argon-v1 metrics";
const PREFIX: &str = "argon1-metrics-";

/// Proof that its holder was given an observer's key, or the cluster key. Its text form is `argon1-metrics-<64 hex>`, with
/// `-<16 hex id>-<name>` behind it if the key is a person's; `Debug` does not show the proof.
#[derive(Clone, PartialEq, Eq)]
pub struct MetricsToken {
    proof: [u8; 32],
    holder: Option<Box<Holder>>,
}

/// Why a text is not such a token. The message never repeats the text, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a metrics token: expected the line that 'argon key --metrics-token' prints")]
pub struct ParseMetricsTokenError;

impl MetricsToken {
    /// The token of an observer's key, or of the cluster's own observer if this is the cluster key; `None` for other roles.
    #[must_use]
    pub fn of(key: &Key) -> Option<Self> {
        let observer = key.for_role(Role::Observer)?;
        Some(Self { proof: observer.mac(&[LABEL]), holder: observer.holder().cloned().map(Box::new) })
    }

    /// True if the token follows from this cluster key. Compares in constant time.
    #[must_use]
    pub fn is_of(&self, cluster: &Key) -> bool {
        let observer = match &self.holder {
            None => cluster.for_role(Role::Observer),
            Some(holder) => cluster.of_person(Role::Observer, Holder::clone(holder)),
        };
        observer.is_some_and(|observer| observer.verify(&[LABEL], &self.proof))
    }

    /// The person whose key it was made of; `None` if that is one of the cluster's own.
    #[must_use]
    pub fn holder(&self) -> Option<&Holder> {
        self.holder.as_deref()
    }
}

impl fmt::Display for MetricsToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", to_hex(&self.proof))?;
        self.holder().map_or(Ok(()), |Holder { name, id }| write!(f, "-{id}-{name}"))
    }
}

impl fmt::Debug for MetricsToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MetricsToken({:?})", self.holder)
    }
}

impl FromStr for MetricsToken {
    type Err = ParseMetricsTokenError;

    fn from_str(text: &str) -> Result<Self, ParseMetricsTokenError> {
        let rest = text.trim().strip_prefix(PREFIX).ok_or(ParseMetricsTokenError)?;
        let mut parts = rest.splitn(3, '-');
        let proof = parts.next().and_then(from_hex).ok_or(ParseMetricsTokenError)?;
        let holder = match (parts.next(), parts.next()) {
            (None, _) => None,
            (Some(id), Some(name)) => {
                let id = id.parse().map_err(|_| ParseMetricsTokenError)?;
                let name = name.parse().map_err(|_| ParseMetricsTokenError)?;
                Some(Box::new(Holder { name, id }))
            }
            (Some(_), None) => return Err(ParseMetricsTokenError),
        };
        Ok(Self { proof, holder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holder::KeyId;

    #[test]
    fn the_token_of_an_observer_is_known_to_its_cluster_and_to_no_other() {
        let cluster = Key::cluster([5; 32]);
        let observer = cluster.for_role(Role::Observer).expect("derived");
        let token = MetricsToken::of(&observer).expect("of an observer");
        assert_eq!(Some(&token), MetricsToken::of(&cluster).as_ref());
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert!(token.is_of(&cluster) && !token.is_of(&Key::cluster([6; 32])));
        let client = cluster.for_role(Role::Client).expect("derived");
        assert_eq!(MetricsToken::of(&client), None);
        // It is not a key, and a key is not a token.
        assert!(token.to_string().parse::<Key>().is_err());
        assert!(observer.to_string().parse::<MetricsToken>().is_err());
        assert!(!format!("{token:?}").contains(&to_hex(&token.proof)));
    }

    #[test]
    fn the_token_of_a_person_names_the_key_that_it_was_made_of() {
        let cluster = Key::cluster([5; 32]);
        let holder = Holder { name: "wall-2".parse().expect("a name"), id: KeyId([7; 8]) };
        let key = cluster.of_person(Role::Observer, holder.clone()).expect("derived");
        let token = MetricsToken::of(&key).expect("of an observer");
        let text = token.to_string();
        assert!(text.ends_with("-0707070707070707-wall-2"), "{text}");
        let read: MetricsToken = text.parse().expect("read");
        assert_eq!(read.holder(), Some(&holder));
        assert!(read.is_of(&cluster));
        let other: MetricsToken = text.replace("wall-2", "wall-3").parse().expect("a name");
        assert!(!other.is_of(&cluster), "the name is part of the proof");
        for broken in [&text[..40], &text[..text.len() - 7], "argon1-metrics-", "", "x"] {
            assert!(broken.parse::<MetricsToken>().is_err(), "{broken}");
        }
    }
}
