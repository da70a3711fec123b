//! Target: what machines without a key, and those who pretend to be their manager, send; codes and join tokens as people paste
//! them.
//!
//! Promises: no bytes make a reader panic; what was read is written as the same text; an error shows no secret; only the
//! committed nonce gives a code; nothing forged gives a key.

use argon_proto::join::{JoinDialler, JoinListener, JoinSecret, JoinToken, TokenId};
use argon_proto::key::{Pin, Role};
use argon_proto::pairing::{Introduction, PairDialler, PairListener, PairingCode};

const CHANNEL: [u8; 32] = [0xc1; 32];

/// Checks one text or body.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<JoinToken>() {
        Ok(token) => {
            assert!(
                token.to_string().eq_ignore_ascii_case(text.trim()),
                "a token changes when it is written"
            );
            assert!(
                !format!("{token:?}").contains(&text.trim()[text.trim().len() - 32..]),
                "a secret stands in a log"
            );
        }
        Err(error) => assert!(text.len() < 24 || !error.to_string().contains(&*text), "{error}"),
    }
    if let Ok(code) = text.parse::<PairingCode>() {
        assert_eq!(code.to_string().parse(), Ok(code));
    }
    as_manager(bytes);
    as_machine(bytes);
}

/// The bytes as HELLO, PAIR_OPEN and PROOF of a peer.
fn as_manager(bytes: &[u8]) {
    if let Ok(Some((listener, _))) = PairListener::pair(bytes, [2; 32]) {
        assert!(listener.code(br#"{"nonce":"77"}"#, &CHANNEL).is_err(), "a short nonce gives a code");
    }
    let (_, hello) = PairDialler::hello(Introduction::new(Role::Worker, "box", "ann"), [1; 32]);
    if let Ok(Some((listener, _))) = PairListener::pair(&hello, [2; 32])
        && listener.code(bytes, &CHANNEL).is_ok()
    {
        let nonce = "01".repeat(32);
        assert!(bytes.windows(64).any(|part| part == nonce.as_bytes()), "another nonce gives a code");
    }
    let secret = JoinSecret::new([9; 16]);
    if let Ok(Some(_)) = TokenId::of_hello(bytes)
        && let Ok((listener, _)) = JoinListener::challenge(secret, bytes, [2; 32], &CHANNEL)
    {
        assert!(listener.check(bytes).is_err(), "a forged proof opens a manager");
    }
}

/// The bytes as PAIR, CHALLENGE and GRANT of somebody who plays a manager.
fn as_machine(bytes: &[u8]) {
    let (pairing, _) = PairDialler::hello(Introduction::new(Role::Worker, "box", "ann"), [1; 32]);
    let _ = pairing.open(bytes, &CHANNEL);
    assert!(pairing.granted(bytes, Some(Pin(CHANNEL))).is_err(), "a key of another certificate is taken");
    let token = JoinToken { address: "m:1".to_owned(), pin: Pin(CHANNEL), secret: JoinSecret::new([9; 16]) };
    let (mut joining, _) = JoinDialler::hello(&token, [1; 32]);
    let _ = joining.proof(bytes, &CHANNEL);
    assert!(joining.granted(bytes, None).is_err(), "a forged key is taken");
}

/// The messages and tokens of the shared vectors, good and broken, and codes.
#[must_use]
pub fn corpus() -> Vec<Vec<u8>> {
    let vectors = crate::vectors(include_str!("../../../spec/vectors/newcomers.json"));
    let mut texts: Vec<Vec<u8>> =
        ["123-456", "123456", "123 456", "12-3456"].map(|code| code.as_bytes().to_vec()).into();
    let mut add =
        |value: &serde_json::Value| texts.extend(value.as_str().map(|text| text.as_bytes().to_vec()));
    for pairing in vectors["pairings"].as_array().into_iter().flatten() {
        ["hello", "pair", "pair_open"].iter().for_each(|name| add(&pairing[name]));
    }
    ["token", "hello", "challenge"].iter().for_each(|name| add(&vectors["join"][name]));
    vectors["broken_tokens"].as_array().into_iter().flatten().for_each(add);
    texts.push(crate::bytes_of_hex(&vectors["join"]["grant"]));
    texts
}
