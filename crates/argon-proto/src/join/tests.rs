//! Tokens as texts, and their handshake with forged, replayed and relayed parts.

use super::*;
use crate::key::Role;

fn token() -> JoinToken {
    JoinToken {
        address: "mgr-1.example:8000".to_owned(),
        pin: Pin([0xab; 32]),
        secret: JoinSecret::new([7; 16]),
    }
}

fn shake(dialler: &JoinToken, listener: &JoinSecret, channels: [&[u8; 32]; 2]) -> Result<Key, Refusal> {
    let (mut machine, hello) = JoinDialler::hello(dialler, [1; 32]);
    assert_eq!(TokenId::of_hello(&hello), Ok(Some(dialler.secret.id())));
    let (manager, challenge) = JoinListener::challenge(listener.clone(), &hello, [2; 32], channels[1])?;
    manager.check(&machine.proof(&challenge, channels[0])?)?;
    let key = Key::cluster([5; 32]).with_pin(token().pin).for_role(Role::Worker).expect("derived");
    machine.granted(&manager.grant(&key), Some(token().pin))
}

#[test]
fn a_token_proves_its_secret_and_gets_a_key() {
    let key = shake(&token(), &token().secret, [&[3; 32]; 2]).expect("let in");
    assert_eq!((key.for_role(Role::Worker).is_some(), key.pin()), (true, Some(token().pin)));
}

#[test]
fn another_secret_or_another_channel_is_refused() {
    let other = JoinSecret::new([8; 16]);
    assert_eq!(shake(&token(), &other, [&[3; 32]; 2]).expect_err("another secret").code, RefusalCode::Token);
    let relayed = shake(&token(), &token().secret, [&[3; 32], &[4; 32]]);
    assert_eq!(relayed.expect_err("a relay").code, RefusalCode::Token);
}

#[test]
fn a_manager_that_did_not_make_the_token_is_found_out() {
    let (mut machine, hello) = JoinDialler::hello(&token(), [1; 32]);
    let other = JoinSecret::new([8; 16]);
    let (manager, challenge) = JoinListener::challenge(other, &hello, [2; 32], &[3; 32]).expect("good hello");
    machine.proof(&challenge, &[3; 32]).expect("good challenge");
    let key = Key::cluster([5; 32]).with_pin(token().pin);
    assert_eq!(
        machine.granted(&manager.grant(&key), Some(token().pin)).expect_err("forged").code,
        RefusalCode::Key
    );
    assert_eq!(machine.granted(b"short", None).expect_err("short").code, RefusalCode::Key);
}

#[test]
fn a_key_that_trusts_another_certificate_than_the_token_is_not_taken() {
    let (mut machine, hello) = JoinDialler::hello(&token(), [1; 32]);
    let (manager, challenge) =
        JoinListener::challenge(token().secret, &hello, [2; 32], &[3; 32]).expect("good hello");
    machine.proof(&challenge, &[3; 32]).expect("good challenge");
    let key = Key::cluster([5; 32]).with_pin(Pin([1; 32])).for_role(Role::Worker).expect("derived");
    assert_eq!(
        machine.granted(&manager.grant(&key), Some(token().pin)).expect_err("another pin").code,
        RefusalCode::Key
    );
}

#[test]
fn a_proof_that_was_recorded_opens_nothing_later() {
    let (mut machine, hello) = JoinDialler::hello(&token(), [1; 32]);
    let first = JoinListener::challenge(token().secret, &hello, [2; 32], &[3; 32]).expect("good hello");
    let proof = machine.proof(&first.1, &[3; 32]).expect("good challenge");
    first.0.check(&proof).expect("the first time");
    let (again, _) = JoinListener::challenge(token().secret, &hello, [9; 32], &[3; 32]).expect("good hello");
    assert_eq!(again.check(&proof).expect_err("replayed").code, RefusalCode::Token);
}

#[test]
fn tokens_are_read_as_they_are_written_and_nothing_else_is() {
    for address in ["mgr-1.example:8000", "[::1]:1", "10.0.0.1:65535", "[fe80::1%eth0]:8000"] {
        let token = JoinToken { address: address.to_owned(), ..token() };
        assert_eq!(token.to_string().parse(), Ok(token.clone()), "{address}");
        assert_eq!(format!(" {token}\n").parse(), Ok(token));
    }
    let text = token().to_string();
    let broken = [
        text[..text.len() - 1].to_owned(),
        text.replace("argon1-join-", "argon1-worker-"),
        text.replace(":8000", ""),
        text.replace(":8000", ":0"),
        text.replace(":8000", ":65536"),
        text.replace(":8000", ":+800"),
        text.replace("mgr-1.example", ""),
        text.replace("mgr-1", "mgr 1"),
        text.replace("mgr-1", "mgr\n1"),
        format!("{text}0"),
        format!("{text}-"),
        text.replace("abab", "abax"),
        text.replace("mgr-1", &"x".repeat(300)),
        String::new(),
    ];
    for broken in broken {
        let error = broken.parse::<JoinToken>().expect_err(&broken);
        assert!(!error.to_string().contains("0707"), "{error}");
    }
    assert!(!format!("{:?}", token()).contains("0707"));
}

#[test]
fn a_hello_of_another_role_has_no_token_and_one_without_a_token_is_refused() {
    assert_eq!(TokenId::of_hello(br#"{"role":"client"}"#), Ok(None));
    assert_eq!(TokenId::of_hello(b"?"), Ok(None));
    assert!(TokenId::of_hello(br#"{"role":"join","token":"77"}"#).is_err());
}

#[test]
fn the_token_of_the_vectors_is_proven_and_the_broken_ones_are_not_read() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../../spec/vectors/newcomers.json")).expect("JSON");
    let text = |name: &str| vectors["join"][name].as_str().expect("a text");
    let bytes = |name: &str| from_hex::<32>(text(name)).expect("32 bytes");
    let token: JoinToken = text("token").parse().expect("a token");
    assert_eq!((token.address.as_str(), token.pin.to_string().as_str()), (text("address"), text("pin")));
    assert_eq!(
        (token.to_string().as_str(), token.secret.id().to_string().as_str()),
        (text("token"), text("id"))
    );
    let (mut machine, hello) = JoinDialler::hello(&token, bytes("nonce_dialler"));
    assert_eq!(hello, text("hello").as_bytes());
    let (manager, challenge) =
        JoinListener::challenge(token.secret.clone(), &hello, bytes("nonce_listener"), &bytes("channel"))
            .expect("good hello");
    assert_eq!(challenge, text("challenge").as_bytes());
    let proof = machine.proof(&challenge, &bytes("channel")).expect("good challenge");
    assert_eq!(to_hex(&proof), text("dialler_proof"));
    manager.check(&proof).expect("its own token");
    let key: Key = text("key").parse().expect("a key");
    assert_eq!(to_hex(&manager.grant(&key)), text("grant"));
    assert_eq!(machine.granted(&manager.grant(&key), Some(token.pin)), Ok(key));
    for broken in vectors["broken_tokens"].as_array().expect("a list") {
        assert!(broken.as_str().expect("a text").parse::<JoinToken>().is_err(), "{broken}");
    }
}
