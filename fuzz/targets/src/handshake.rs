//! Target: both sides of the handshake, with a stranger at the other end.
//!
//! The input is cut at its first two line ends: a hello, a challenge, and a proof or welcome. Promises: nothing panics,
//! every refusal is a sentence, and no bytes that were made without the key pass for a proof.

use argon_proto::handshake::{Dialler, Listener, PLAIN_CHANNEL, Refusal, Welcome};
use argon_proto::key::{Key, Role};

const SECRET: [u8; 32] = [7; 32];

/// Checks one exchange with a stranger.
pub fn run(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let (hello, challenge, proof) =
        (parts.next().unwrap_or(&[]), parts.next().unwrap_or(&[]), parts.next().unwrap_or(&[]));
    let key = Key::cluster(SECRET);
    let heard = Listener::challenge(std::slice::from_ref(&key), hello, [2; 32], &PLAIN_CHANNEL);
    if let Some(listener) = answered(heard) {
        assert!(listener.0.welcome(proof, &Welcome::default()).is_err(), "a stranger proved the key");
    }
    for role in Role::ALL {
        let Some((mut dialler, _)) = Dialler::hello(&key, role, [1; 32]) else { continue };
        if answered(dialler.proof(challenge, &PLAIN_CHANNEL)).is_some() {
            assert!(dialler.check(proof).is_err(), "a stranger passes for a manager");
        }
    }
    spoken(&Refusal::from_json(bytes));
}

/// An exchange whose last part is well-formed and proves nothing.
#[must_use]
pub fn corpus() -> Vec<Vec<u8>> {
    let nonce = "1a".repeat(32);
    let proof =
        [[0x11; 32].as_slice(), br#"{"incarnation":"1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b","release":"0.1.0"}"#]
            .concat();
    let exchange = |role: &str, proof: &[u8]| {
        let hello = format!(
            "{{\"min\":2,\"max\":2,\"role\":\"{role}\",\"nonce\":\"{nonce}\",\"capabilities\":[]}}\n\
             {{\"version\":2,\"nonce\":\"{nonce}\"}}\n"
        );
        [hello.as_bytes(), proof].concat()
    };
    vec![
        exchange("client", &proof),
        exchange("worker", &proof[..32]),
        exchange("admin", b""),
        br#"{"code":"key","message":"no"}"#.to_vec(),
    ]
}

fn answered<T>(result: Result<T, Refusal>) -> Option<T> {
    result.map_err(|refusal| spoken(&refusal)).ok()
}

fn spoken(refusal: &Refusal) {
    let again = Refusal::from_json(&refusal.to_json());
    assert_eq!(&again, refusal, "a refusal arrives as it was sent");
}
