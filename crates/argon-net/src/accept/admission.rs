//! What a listener asks of peers and shows them; it may change while the listener serves.

use std::cell::RefCell;
use std::rc::Rc;

use argon_proto::handshake::{Proven, Refusal, RefusalCode, Welcome};
use argon_proto::key::Key;

use super::newcomers::Entrance;
use crate::identity::expected_pin;
use crate::tls::accept::Certificates;

/// What peers must prove and what they are shown.
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
}

/// The keys that open a listener, and what it shows for them.
#[derive(Debug)]
pub struct OpenKeys {
    /// Cluster keys, the oldest first: one, or two while one replaces the other.
    pub keys: Vec<Key>,
    /// Number of the first key: how many were replaced before it.
    pub retired: usize,
    /// What is shown to a peer that encrypts.
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
