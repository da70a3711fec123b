//! Proofs of both sides, versions, and refusals as they are read.

use super::*;

fn shake(dialler_key: &Key, listener_key: &Key, channels: [&[u8; 32]; 2]) -> Result<Role, Refusal> {
    let (mut dialler, hello) = Dialler::hello(dialler_key, Role::Client, [1; 32]).expect("the role is open");
    let (listener, challenge) =
        Listener::challenge(std::slice::from_ref(listener_key), &hello, [2; 32], channels[1])?;
    let proof = dialler.proof(&challenge, channels[0])?;
    let (proven, welcome) = listener.welcome(&proof, &Welcome::default())?;
    dialler.check(&welcome)?;
    Ok(proven.role)
}

#[test]
fn both_sides_prove_the_same_key() {
    let key = Key::cluster([7; 32]);
    assert_eq!(shake(&key, &key, [&PLAIN_CHANNEL; 2]), Ok(Role::Client));
    let role_key = key.for_role(Role::Client).expect("derived");
    assert_eq!(shake(&role_key, &key, [&PLAIN_CHANNEL; 2]), Ok(Role::Client));
}

#[test]
fn another_key_or_another_channel_is_refused() {
    let (key, other) = (Key::cluster([7; 32]), Key::cluster([8; 32]));
    let refusal = shake(&other, &key, [&PLAIN_CHANNEL; 2]).expect_err("wrong key");
    assert_eq!(refusal.code, RefusalCode::Key);
    let refusal = shake(&key, &key, [&PLAIN_CHANNEL, &[1; 32]]).expect_err("man in the middle");
    assert_eq!(refusal.code, RefusalCode::Key);
}

#[test]
fn a_listener_without_the_key_is_found_out() {
    let key = Key::cluster([7; 32]);
    let (mut dialler, hello) = Dialler::hello(&key, Role::Worker, [1; 32]).expect("role");
    let (_, challenge) =
        Listener::challenge(std::slice::from_ref(&key), &hello, [2; 32], &PLAIN_CHANNEL).expect("good hello");
    dialler.proof(&challenge, &PLAIN_CHANNEL).expect("good challenge");
    let forged = [vec![0; 32], b"{}".to_vec()].concat();
    assert_eq!(dialler.check(&forged).expect_err("forged").code, RefusalCode::Key);
    assert_eq!(dialler.check(b"short").expect_err("short").code, RefusalCode::Key);
}

#[test]
fn versions_without_overlap_are_refused_in_words() {
    let hello = br#"{"min":7,"max":9,"role":"client","nonce":"00"}"#;
    let refusal = Listener::challenge(&[Key::cluster([7; 32])], hello, [2; 32], &PLAIN_CHANNEL)
        .map(|_| ())
        .expect_err("too new");
    assert_eq!(refusal.code, RefusalCode::Version);
    assert!(refusal.message.contains("version 7 to 9"), "{}", refusal.message);
}

#[test]
fn peers_of_the_first_version_are_refused_in_words() {
    let hello =
        format!(r#"{{"min":1,"max":1,"role":"worker","nonce":"{}","capabilities":[]}}"#, "1a".repeat(32));
    let key = Key::cluster([7; 32]);
    let refusal = Listener::challenge(std::slice::from_ref(&key), hello.as_bytes(), [2; 32], &PLAIN_CHANNEL)
        .map(|_| ())
        .expect_err("too old");
    assert_eq!(refusal.code, RefusalCode::Version);
    let words = "the peer speaks version 1 of the Argon protocol and this side version 2; install the same release \
                 of Argon on both sides";
    assert_eq!(refusal.message, words);
    // It is read by a peer that takes frames of 512 bytes only.
    assert!(refusal.to_json().len() < 500);
    let (mut dialler, _) = Dialler::hello(&key, Role::Client, [1; 32]).expect("the role is open");
    let challenge = format!(r#"{{"version":1,"nonce":"{}"}}"#, "2b".repeat(32));
    let refusal = dialler.proof(challenge.as_bytes(), &PLAIN_CHANNEL).expect_err("too old");
    assert_eq!((refusal.code, refusal.message.as_str()), (RefusalCode::Version, words));
}

#[test]
fn a_refusal_is_read_whatever_its_reason_is() {
    let known = Refusal::new(RefusalCode::Credit, "too much");
    assert_eq!(known.to_json(), br#"{"code":"credit","message":"too much"}"#);
    assert_eq!(Refusal::from_json(&known.to_json()), known);
    let later = Refusal::from_json(br#"{"code":"mood","message":"not today","until":7}"#);
    assert_eq!(later, Refusal::new(RefusalCode::Unknown, "not today"));
    assert_eq!(Refusal::from_json(b"?").code, RefusalCode::Unknown);
    let rude = Refusal::from_json(br#"{"code":"busy","message":"\u001b[2Jgone\nargon: done"}"#);
    assert_eq!(rude.message, "\u{fffd}[2Jgone argon: done");
}
