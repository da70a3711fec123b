//! Codes of both ends, somebody in between, and introductions that are refused.

use super::*;
use crate::handshake::PLAIN_CHANNEL;
use crate::key::Pin;

const SEEN: [u8; 32] = [0xc1; 32];

fn asking() -> Introduction {
    Introduction::new(Role::Worker, "workerhost", "ann")
}

/// Both codes, where the dialler sees one channel and the listener another.
fn codes(channels: [&[u8; 32]; 2], nonces: [[u8; 32]; 2]) -> [PairingCode; 2] {
    let (dialler, hello) = PairDialler::hello(asking(), nonces[0]);
    assert!(hello.len() < 500, "{}", hello.len());
    let (listener, pair) =
        PairListener::pair(&hello, nonces[1]).expect("readable").expect("it asks to be paired");
    let (open, shown) = dialler.open(&pair, channels[0]).expect("readable");
    let (introduction, expected) = listener.code(&open, channels[1]).expect("the nonce of the commitment");
    assert_eq!(introduction, asking());
    [shown, expected]
}

#[test]
fn both_ends_of_one_connection_show_the_same_code() {
    let [shown, expected] = codes([&SEEN; 2], [[1; 32], [2; 32]]);
    assert_eq!(shown, expected);
    assert_ne!(shown, codes([&SEEN; 2], [[1; 32], [3; 32]])[0]);
    assert_ne!(shown, codes([&PLAIN_CHANNEL; 2], [[1; 32], [2; 32]])[0]);
}

#[test]
fn a_relay_that_shows_its_own_certificate_gives_the_ends_different_codes() {
    let mut same = 0;
    for nonce in 0..100 {
        let [shown, expected] = codes([&[0xee; 32], &SEEN], [[nonce; 32], [200; 32]]);
        same += u32::from(shown == expected);
    }
    assert!(same <= 1, "{same} of 100 codes fit");
}

#[test]
fn a_nonce_other_than_the_committed_one_is_refused() {
    // What a relay would need: it sees the listener's nonce first, and then looks for a nonce that gives its code.
    let (dialler, hello) = PairDialler::hello(asking(), [1; 32]);
    let (other, _) = PairDialler::hello(asking(), [9; 32]);
    let (listener, pair) = PairListener::pair(&hello, [2; 32]).expect("readable").expect("asks");
    let (open, _) = other.open(&pair, &SEEN).expect("readable");
    assert_eq!(listener.code(&open, &SEEN).expect_err("another nonce").code, RefusalCode::Pairing);
    let (listener, _) = PairListener::pair(&hello, [2; 32]).expect("readable").expect("asks");
    assert_eq!(listener.code(b"{}", &SEEN).expect_err("no nonce").code, RefusalCode::Pairing);
    let _ = dialler;
}

#[test]
fn the_code_covers_what_the_machine_says_of_itself() {
    let code = |who: &Introduction| PairingCode::of(&[1; 32], &[2; 32], &SEEN, who);
    let all = [
        asking(),
        Introduction::new(Role::Client, "workerhost", "ann"),
        Introduction::new(Role::Worker, "workerhos", "tann"),
        Introduction::new(Role::Worker, "workerhost", "bob"),
    ];
    let codes: std::collections::BTreeSet<_> = all.iter().map(code).collect();
    assert_eq!(codes.len(), all.len());
}

#[test]
fn an_introduction_with_controls_or_without_end_or_of_an_admin_is_refused() {
    let hello = |wants: &str, host: &str| {
        let text = format!(
            r#"{{"min":2,"max":2,"role":"pair","wants":"{wants}","host":"{host}","user":"u","commitment":"{}"}}"#,
            "1a".repeat(32)
        );
        PairListener::pair(text.as_bytes(), [2; 32]).map(|asked| asked.map(|_| ()))
    };
    assert_eq!(hello("worker", "box"), Ok(Some(())));
    for (wants, host) in [
        ("admin", "box"),
        ("cluster", "box"),
        ("worker", "a\\u0000b"),
        ("worker", "\\u001b[2J"),
        ("worker", &"x".repeat(65)),
    ] {
        assert_eq!(hello(wants, host).expect_err("refused").code, RefusalCode::Frame, "{wants} {host}");
    }
    let other = br#"{"min":2,"max":2,"role":"client","nonce":"00"}"#;
    assert!(PairListener::pair(other, [2; 32]).expect("not ours").is_none());
    let old = format!(
        r#"{{"min":1,"max":1,"role":"pair","wants":"worker","host":"","user":"","commitment":"{}"}}"#,
        "1a".repeat(32)
    );
    assert_eq!(PairListener::pair(old.as_bytes(), [2; 32]).expect_err("too old").code, RefusalCode::Version);
}

#[test]
fn names_of_a_machine_are_cut_to_what_a_hello_holds() {
    let long = Introduction::new(Role::Observer, &"ü".repeat(500), &"\u{1b}x".repeat(100));
    let (_, hello) = PairDialler::hello(long, [1; 32]);
    assert!(hello.len() < 500, "{}", hello.len());
    assert!(PairListener::pair(&hello, [2; 32]).expect("acceptable").is_some());
}

#[test]
fn a_key_is_taken_only_if_it_trusts_the_certificate_that_was_seen_and_is_of_the_role() {
    let (dialler, _) = PairDialler::hello(asking(), [1; 32]);
    let role_key = |role| Key::cluster([5; 32]).with_pin(Pin(SEEN)).for_role(role).expect("derived");
    let worker = role_key(Role::Worker);
    assert_eq!(dialler.granted(&grant(&worker), Some(Pin(SEEN))), Ok(worker.clone()));
    assert_eq!(dialler.granted(&grant(&worker), None), Ok(worker.clone()));
    let refused = |body: &[u8], pin| dialler.granted(body, Some(Pin(pin))).expect_err("refused").code;
    assert_eq!(refused(&grant(&worker), [1; 32]), RefusalCode::Key);
    assert_eq!(refused(&grant(&role_key(Role::Client)), SEEN), RefusalCode::Role);
    assert_eq!(refused(b"{\"key\":\"argon1-worker-77\"}", SEEN), RefusalCode::Frame);
}

#[test]
fn codes_are_read_as_people_type_them() {
    let code: PairingCode = "012-345".parse().expect("a code");
    assert_eq!(code.to_string(), "012-345");
    for text in ["012345", "012 345", " 012-345\n"] {
        assert_eq!(text.parse(), Ok(code), "{text}");
    }
    for text in ["", "12345", "0123456", "01-2345", "012-34x", "+12-345", "012--345", "０１２-345"] {
        assert_eq!(text.parse::<PairingCode>(), Err(ParseCodeError), "{text}");
    }
}

#[test]
fn the_codes_of_the_vectors_are_made() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../../spec/vectors/newcomers.json")).expect("JSON");
    let pairings = vectors["pairings"].as_array().expect("a list");
    assert_eq!(pairings.len(), 3);
    for vector in pairings {
        let text = |name: &str| vector[name].as_str().expect("a text");
        let bytes = |name: &str| from_hex::<32>(text(name)).expect("32 bytes");
        let wants = Role::from_name(text("wants")).expect("a role");
        let who = Introduction::new(wants, text("host"), text("user"));
        let (dialler, hello) = PairDialler::hello(who, bytes("nonce_dialler"));
        assert_eq!(hello, text("hello").as_bytes());
        let (listener, pair) =
            PairListener::pair(&hello, bytes("nonce_listener")).expect("readable").expect("it asks");
        assert_eq!(pair, text("pair").as_bytes());
        let (open, code) = dialler.open(&pair, &bytes("channel")).expect("readable");
        assert_eq!(
            (open.as_slice(), code.to_string().as_str()),
            (text("pair_open").as_bytes(), text("code"))
        );
        assert_eq!(listener.code(&open, &bytes("channel")).expect("committed").1, code);
    }
}
