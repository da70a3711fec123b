//! Trusted and refused peers, and what strangers learn.

use super::*;

#[test]
fn nothing_that_is_sent_can_be_read_on_the_way() {
    run(async {
        let port = Port::open(&key(1)).await;
        let relay = Relay::start(&port.address, |_| {}).await;
        let dialled = dial(&relay.address, &key(1), Role::Client, &always()).await.expect("let in").stream;
        let ((_r, writer), (mut peer, _w)) = (dialled.split(), port.admitted().await.split());
        let secret = b"a payload that nobody else must read";
        let mut outbox = Outbox::default();
        outbox.push_raw(secret);
        let ((), received) = tokio::join!(write_all(&writer, &mut outbox), read_all(&mut peer, secret.len()));
        assert_eq!(&received[..], secret);
        let seen = relay.seen.borrow();
        for text in [secret.as_slice(), b"ARGN", b"nonce", b"CN=argon", b"client"] {
            assert!(
                !seen.windows(text.len()).any(|window| window == text),
                "{}",
                String::from_utf8_lossy(text)
            );
        }
        assert_eq!(seen.first(), Some(&0x16), "it begins as TLS");
    });
}

#[test]
fn a_manager_with_another_certificate_is_refused_before_anything_is_sent() {
    run(async {
        let port = Port::open(&key(2)).await;
        let client = role_key(&key(1), Role::Client).expect("derived");
        for dialler in [key(1), client] {
            let error = port.dial(&dialler).await.expect_err("another cluster");
            let DialError::Refused { refusal, .. } = &error else { panic!("{error}") };
            assert_eq!(refusal.code, RefusalCode::Key);
            let (theirs, ours) = (Identity::of(&key(2)), Identity::of(&key(1)));
            for pin in [theirs, ours].map(|identity| identity.expect("one").pin().short()) {
                assert!(error.to_string().contains(&pin), "{error}");
            }
        }
        assert!(port.admitted.borrow().is_empty());
    });
}

#[test]
fn the_holder_of_a_role_key_cannot_play_a_manager_with_a_certificate_of_its_own() {
    run(async {
        // It knows the role's secret and proves it over its own certificate, to holders of that role's key and of the
        // cluster's.
        let thief = Key::cluster([9; 32]);
        let port = Port::open_with(&key(1), Certificates::of_key(&thief).expect("its own"), false).await;
        for dialler in [key(1), role_key(&key(1), Role::Client).expect("derived")] {
            let error = port.dial(&dialler).await.expect_err("not the manager's certificate");
            assert!(error.to_string().contains("pin"), "{error}");
        }
    });
}

#[test]
fn a_relay_that_ends_the_encryption_does_not_get_a_proof_that_the_manager_takes() {
    run(async {
        // With a CA the pin is not compared, and the proof alone must find a man in the middle out: it covers the certificate.
        let port = Port::open(&key(1)).await;
        let middle = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = middle.local_addr().expect("bound").to_string();
        let certificates = Certificates::of_key(&key(7)).expect("its own");
        let to = port.address.clone();
        tokio::task::spawn_local(async move {
            let (stream, _) = middle.accept().await.expect("accepted");
            let ours = Stream::Tls(accept(stream, &[], &certificates, async {}).await.expect("shaken"));
            let theirs = reach(&to, expected_pin(&key(1)), &always()).await.expect("reached");
            let ((mut a, mut b), (mut c, mut d)) = (ours.split(), theirs.split());
            let _ = tokio::join!(tokio::io::copy(&mut a, &mut d), tokio::io::copy(&mut c, &mut b));
        });
        // The dialler trusts the certificate of the one in the middle.
        let stream = reach(&address, expected_pin(&key(7)), &always()).await.expect("trusted");
        let error = prove(stream, &key(1)).await.expect_err("found out");
        assert!(
            matches!(&error, OpeningError::Refused(refusal) if refusal.code == RefusalCode::Key),
            "{error}"
        );
        assert!(port.admitted.borrow().is_empty());
    });
}

/// Proves the key on a connection.
async fn prove(stream: Stream, key: &Key) -> Result<Connected, OpeningError> {
    let nonce = crate::random::bytes().expect("randomness");
    let (dialler, hello) = Dialler::hello(key, Role::Client, nonce).expect("the role is open");
    open_on(stream, "here", dialler, &hello).await
}

#[test]
fn a_dialler_comes_back_without_a_signature_also_to_a_manager_that_was_started_again() {
    run(async {
        let (first, trust) = (Port::open(&key(1)).await, always());
        let kind_of = |stream: &Stream| match stream {
            Stream::Tls(stream) => stream.kind(),
            Stream::Tcp(_) | Stream::Unix(_) => panic!("it is not encrypted"),
        };
        let mut kinds = Vec::new();
        // Another port with the same key: a stand-by, or the same manager later.
        let second = Port::open(&key(1)).await;
        for port in [&first, &first, &second] {
            let connected = dial(&port.address, &key(1), Role::Client, &trust).await.expect("let in");
            kinds.push(kind_of(&connected.stream));
            assert_eq!(connected.stream.channel(), port.admitted().await.channel());
        }
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed]);
        // Tickets of one cluster mean nothing to another.
        let other = Port::open(&key(2)).await;
        let error = dial(&other.address, &key(1), Role::Client, &trust).await.expect_err("another cluster");
        assert!(error.to_string().contains("pin"), "{error}");
    });
}

#[test]
fn a_port_that_does_not_speak_tls_is_named_as_such() {
    run(async {
        for answer in [b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), b"SSH-2.0-OpenSSH_9.2\r\n", b""] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("bound").to_string();
            let answering = async {
                let (mut stream, _) = listener.accept().await.expect("accepted");
                let mut hello = [0; 600];
                let _ = stream.read(&mut hello).await.expect("read");
                stream.write_all(answer).await.expect("written");
                stream.shutdown().await.expect("closed");
                let _ = stream.read(&mut hello).await;
            };
            let (key, trust) = (key(1), always());
            let (error, ()) = tokio::join!(dial(&address, &key, Role::Client, &trust), answering);
            let error = error.expect_err("refused").to_string();
            assert!(error.contains("is that a manager's port?"), "{error}");
            assert!(error.contains("--insecure-plaintext"), "{error}");
        }
    });
}

#[test]
fn a_role_key_without_a_pin_is_refused_in_words() {
    run(async {
        let port = Port::open(&key(1)).await;
        let without = key(1).for_role(Role::Client).expect("derived");
        let error = port.dial(&without).await.expect_err("which manager?");
        assert!(error.to_string().contains("make it anew"), "{error}");
        // In plain text on this machine it serves as before.
        dial(&port.address, &without, Role::Client, &Trust::default()).await.expect("let in");
    });
}

#[test]
fn a_stranger_inside_of_tls_is_answered_like_one_outside() {
    run(async {
        let port = Port::open(&key(1)).await;
        for (sent, expected) in
            [(b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"HTTP/1.1 404".as_slice()), (&[0x16; 600], b"")]
        {
            let mut stream = reach(&port.address, expected_pin(&key(1)), &always()).await.expect("reached");
            let mut outbox = Outbox::default();
            outbox.push_raw(sent);
            stream.write_all(&mut outbox).await.expect("written");
            let mut answer = BytesMut::new();
            while stream.read(&mut answer).await.is_ok_and(|count| count > 0) {}
            assert!(answer.starts_with(expected), "{}", String::from_utf8_lossy(&answer));
            assert_eq!(answer.is_empty(), expected.is_empty());
        }
    });
}

#[test]
fn a_handshake_that_does_not_end_is_bounded_in_bytes() {
    run(async {
        let port = Port::open(&key(1)).await;
        // The head of a record of a handshake message of 60,000 bytes, and then more and more records of it.
        let mut stream = TcpStream::connect(&port.address).await.expect("connected");
        let record = [[0x16, 3, 1, 0x10, 0].as_slice(), &[1, 0, 0xea, 0x60], &[3; 4092]].concat();
        let mut written = 0;
        while let Ok(()) = stream.write_all(&record).await {
            written += record.len();
            let mut answer = [0; 64];
            let reading = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut answer));
            if matches!(reading.await, Ok(Ok(0) | Err(_))) {
                break;
            }
            assert!(written < 1 << 20, "it was let go on");
        }
    });
}
