//! Proofs that a listener asks of peers, and certificates that it shows; both may change while it serves.

use std::cell::RefCell;
use std::rc::Rc;

use argon_proto::handshake::{Proven, Refusal, RefusalCode, Welcome};
use argon_proto::key::Key;

use super::counts::DoorCounts;
use super::http::HttpDoor;
use super::newcomers::Entrance;
use crate::identity::expected_pin;
use crate::tls::accept::Certificates;

/// Keys that peers must prove, and certificates that they are shown.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The keys, which may change while the listener serves.
    pub keys: Rc<RefCell<OpenKeys>>,
    /// The first message to a peer that has proven one.
    pub welcome: Welcome,
    /// True if peers on other machines may speak plain text.
    pub allows_plaintext: bool,
    /// Decides whether a proven key is in force.
    pub in_force: InForce,
    /// Decides about peers without a key.
    pub entrance: Rc<dyn Entrance>,
    /// Answers HTTP requests.
    pub pages: Rc<dyn HttpDoor>,
    /// Peers that were turned away.
    pub counts: Rc<DoorCounts>,
}

/// The keys that open a listener, and what it shows for them.
#[derive(Debug)]
pub struct OpenKeys {
    /// Cluster keys, the oldest first: one, or two while one replaces the other.
    pub keys: Vec<Key>,
    /// Number of the first key: how many were replaced before it.
    pub retired: usize,
    /// Certificates for peers that encrypt.
    pub certificates: Certificates,
}

type Decision = dyn Fn(&Proven) -> Result<(), Refusal>;

/// Decides whether the key that a peer has proven is in force.
#[derive(Clone)]
pub struct InForce(pub Rc<Decision>);

impl std::fmt::Debug for InForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InForce(…)")
    }
}

impl OpenKeys {
    /// The cluster key whose certificate a peer has seen: the newest where that is an organisation's.
    pub(super) fn shown(&self, channel: &[u8; 32]) -> Option<Key> {
        let is_shown = |key: &&Key| expected_pin(key).is_some_and(|pin| pin.is_of(channel));
        self.keys.iter().find(is_shown).or(self.keys.last()).cloned()
    }

    /// One cluster key, and what is shown for it.
    #[must_use]
    pub fn new(key: Key, certificates: Certificates) -> Self {
        Self { keys: vec![key], retired: 0, certificates }
    }

    /// Accepts also the key that the present one replaces.
    #[must_use]
    pub fn or_older(mut self, older: Key) -> Self {
        if self.shows_identity()
            && let Some(certificates) = Certificates::of_key(&older)
        {
            self.certificates = self.certificates.or_older(&certificates);
        }
        self.keys.insert(0, older);
        self
    }

    /// Adds a key, whose certificate is shown to peers that ask for none of the others.
    pub fn add(&mut self, key: Key) {
        if self.shows_identity()
            && let Some(certificates) = Certificates::of_key(&key)
        {
            self.certificates = certificates.or_older(&self.certificates);
        }
        self.keys.push(key);
    }

    /// Takes the oldest of several keys out of force.
    pub fn retire_oldest(&mut self) {
        if self.keys.len() < 2 {
            return;
        }
        let shows_identity = self.shows_identity();
        self.keys.remove(0);
        self.retired += 1;
        if shows_identity && let Some(certificates) = self.keys.last().and_then(Certificates::of_key) {
            self.certificates = certificates;
        }
    }

    /// True if what is shown follows from the key, and is not a certificate of an organisation.
    fn shows_identity(&self) -> bool {
        self.keys.last().and_then(expected_pin) == Some(self.certificates.pin())
    }
}

impl InForce {
    /// Every key of the cluster's own, and no person's.
    #[must_use]
    pub fn own_keys_only() -> Self {
        Self(Rc::new(|proven| match &proven.holder {
            None => Ok(()),
            Some(holder) => {
                Err(Refusal::new(RefusalCode::Key, format!("the key of {holder} is not known here")))
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Key {
        Key::cluster([number; 32])
    }

    #[test]
    fn the_newest_key_is_shown_and_the_oldest_is_retired() {
        let certificates = Certificates::of_key(&key(1)).expect("a cluster key");
        let mut held = OpenKeys::new(key(1), certificates);
        held.retire_oldest();
        assert_eq!((held.keys.len(), held.retired), (1, 0), "the last key stays");
        held.add(key(2));
        assert_eq!(Some(held.certificates.pin()), expected_pin(&key(2)));
        held.retire_oldest();
        assert_eq!((&held.keys[..], held.retired), (&[key(2)][..], 1));
        let again = held.or_older(key(1));
        assert_eq!(again.keys, [key(1), key(2)]);
        assert_eq!(Some(again.certificates.pin()), expected_pin(&key(2)));
    }
}
