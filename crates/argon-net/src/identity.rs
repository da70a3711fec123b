//! Identity of a manager: a certificate that follows from the cluster key, and its pin.
//!
//! Every manager and stand-by of a key shows the same bytes, in every release, so nothing needs to be stored or renewed. That
//! is why the certificate is written out here: a library for certificates may encode the same facts differently one day.

use argon_proto::holder::Holder;
use argon_proto::key::{Key, Pin};
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha256};

/// The part of the certificate before its public key: version 3, serial number 1, Ed25519, issued by and for `CN=argon`, valid
/// from 2000 to 9999. Its length is that of the whole signed part.
const BEFORE_PUBLIC_KEY: &[u8] = b"\x30\x81\x81\xa0\x03\x02\x01\x02\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\
    \x30\x10\x31\x0e\x30\x0c\x06\x03\x55\x04\x03\x0c\x05argon\
    \x30\x20\x17\x0d000101000000Z\x18\x0f99991231235959Z\
    \x30\x10\x31\x0e\x30\x0c\x06\x03\x55\x04\x03\x0c\x05argon\
    \x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// Between the signed part and its signature.
const BEFORE_SIGNATURE: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70\x03\x41\x00";
/// The head of the certificate, with the length of everything behind it.
const HEAD: &[u8] = b"\x30\x81\xce";
/// The head of a private key in PKCS#8, before its seed.
const BEFORE_SEED: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// The identity of the managers that are started with one cluster key.
#[derive(Clone)]
pub struct Identity {
    seed: [u8; 32],
    certificate: Vec<u8>,
    pin: Pin,
}

impl Identity {
    /// The identity of a cluster key; `None` if it is the key of a role, whose holder cannot play a manager.
    #[must_use]
    pub fn of(key: &Key) -> Option<Self> {
        let seed = key.identity_seed()?;
        // Only a seed of another length is refused.
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        let signed = [BEFORE_PUBLIC_KEY, pair.public_key().as_ref()].concat();
        let signature = pair.sign(&signed);
        let certificate = [HEAD, &signed, BEFORE_SIGNATURE, signature.as_ref()].concat();
        let pin = pin_of(&certificate);
        Some(Self { seed, certificate, pin })
    }

    /// The certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The certificate's private key, PKCS#8.
    #[must_use]
    pub fn private_key(&self) -> Vec<u8> {
        [BEFORE_SEED, &self.seed].concat()
    }

    /// The pin of the certificate.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.pin
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Identity").field(&self.pin).finish()
    }
}

/// The pin of a certificate: SHA-256 of its DER.
#[must_use]
pub fn pin_of(certificate: &[u8]) -> Pin {
    Pin(Sha256::digest(certificate).into())
}

/// The pin of the managers that a key opens: of the identity if it is a cluster key, else the one that it carries.
#[must_use]
pub fn expected_pin(key: &Key) -> Option<Pin> {
    Identity::of(key).map_or_else(|| key.pin(), |identity| Some(identity.pin()))
}

/// The key of a role, carrying the pin; `None` if `key` does not give it.
#[must_use]
pub fn role_key(key: &Key, role: argon_proto::key::Role) -> Option<Key> {
    let role_key = key.for_role(role)?;
    Some(match expected_pin(key) {
        Some(pin) => role_key.with_pin(pin),
        None => role_key,
    })
}

/// The key of a person, carrying the pin; `None` if `key` is not a cluster key.
#[must_use]
pub fn person_key(key: &Key, role: argon_proto::key::Role, holder: Holder) -> Option<Key> {
    Some(key.of_person(role, holder)?.with_pin(expected_pin(key)?))
}

#[cfg(test)]
mod tests {
    use argon_proto::id::{from_hex, to_hex};
    use argon_proto::key::Role;
    use ring::signature::{ED25519, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    fn vector() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/identity.json");
        serde_json::from_slice(&std::fs::read(path).expect("the vectors are there")).expect("JSON")
    }

    #[test]
    fn the_certificate_is_the_same_to_the_byte_in_every_release() {
        let vector = vector();
        let key: Key = vector["cluster_key_line"].as_str().expect("a line").parse().expect("a key");
        let identity = Identity::of(&key).expect("a cluster key has one");
        assert_eq!(vector["seed"], to_hex(&key.identity_seed().expect("a seed")));
        assert_eq!(vector["certificate"], to_hex(identity.certificate()));
        assert_eq!(vector["pin"], identity.pin().to_string());
        for (name, line) in vector["role_key_lines"].as_object().expect("roles") {
            let role = Role::from_name(name).expect("a role");
            assert_eq!(*line, role_key(&key, role).expect("derived").to_string());
        }
    }

    #[test]
    fn the_certificate_is_signed_by_its_own_key() {
        let identity = Identity::of(&Key::cluster([7; 32])).expect("a cluster key has one");
        let certificate = identity.certificate();
        let signed = &certificate[HEAD.len()..certificate.len() - BEFORE_SIGNATURE.len() - 64];
        let public = &signed[signed.len() - 32..];
        let signature = &certificate[certificate.len() - 64..];
        UnparsedPublicKey::new(&ED25519, public).verify(signed, signature).expect("a good signature");
        // The lengths of the outer and the signed sequence.
        assert_eq!(usize::from(certificate[2]), certificate.len() - 3);
        assert_eq!(usize::from(signed[2]), signed.len() - 3);
        let private = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&identity.private_key()).expect("a key");
        assert_eq!(private.public_key().as_ref(), public);
    }

    #[test]
    fn a_role_key_has_no_identity_and_keeps_the_pin_that_it_carries() {
        let cluster = Key::cluster([7; 32]);
        let pin = Identity::of(&cluster).expect("one").pin();
        let worker = role_key(&cluster, Role::Worker).expect("derived");
        assert!(Identity::of(&worker).is_none());
        assert_eq!((expected_pin(&worker), expected_pin(&cluster)), (Some(pin), Some(pin)));
        let without: Key = format!("argon1-worker-{}", "1a".repeat(32)).parse().expect("the older form");
        assert_eq!(expected_pin(&without), None);
        assert_eq!(from_hex::<32>(&pin.to_string()), Some(pin.0));
    }
}
