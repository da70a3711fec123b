//! Strangers at the door: without the key they learn nothing and cost nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use argon_proto::conversation::client::{Open, ToManager};
use argon_proto::frame::Outbox;
use argon_proto::handshake::RefusalCode;
use argon_proto::key::Role;
use argon_proto::kind;
use argon_tests::{Cluster, PATIENCE, WireClient, wait_for};

use crate::support::memory_mib;

/// Answer of the manager to raw bytes until it closes the connection.
fn answer_to(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    // A reset is an answer too.
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn garbage_is_closed_and_work_goes_on() {
    let mut cluster = Cluster::with_workers(&[1]);
    let address = cluster.address().to_owned();
    let huge = [b"ARGN".as_slice(), &[0xff, 0xff, 0xff, 0xff, 1]].concat();
    let strangers: [&[u8]; 5] = [
        b"\x00\x01\x02garbage",
        &huge,
        b"ARGN\x00\x00\x00\x05\x01{}{}",
        b"ARGN\x00\x00\x00\x01\x99",
        &[b'A'; 5000],
    ];
    // One that says too little is closed after 5 s: these are closed sooner.
    let mut silent = TcpStream::connect(&address).unwrap();
    silent.write_all(b"ARGN\x00").unwrap();
    for bytes in strangers {
        let answer = String::from_utf8_lossy(&answer_to(&address, bytes)).into_owned();
        assert!(!answer.contains("nonce"), "a stranger was told something: {answer}");
    }
    silent.set_nonblocking(true).unwrap();
    let read = silent.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(read, Err(ErrorKind::WouldBlock), "garbage was not closed at once");
    assert_eq!(cluster.perl("print $client->queue(sub { $_[0] * 2 }, [21])"), "42");
}

// A release before the first one: its HELLO gets words, which name the remedy, and no challenge.
#[test]
fn a_peer_of_the_first_version_of_the_protocol_is_refused_in_words() {
    let cluster = Cluster::start();
    for role in ["client", "worker", "observer", "admin"] {
        let nonce = "1a".repeat(32);
        let hello = format!(r#"{{"min":1,"max":1,"role":"{role}","nonce":"{nonce}","capabilities":[]}}"#);
        let mut out = Outbox::default();
        out.push_raw(b"ARGN");
        out.push_frame(kind::HELLO, hello.as_bytes());
        let answer = answer_to(cluster.address(), &out.into_bytes());
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains(r#""code":"version""#), "{answer}");
        assert!(answer.contains("version 1 of the Argon protocol and this side version 2"), "{answer}");
        assert!(answer.contains("install the same release of Argon on both sides"), "{answer}");
        assert!(!answer.contains("nonce"), "{answer}");
    }
}

#[test]
fn a_peer_that_says_too_little_is_closed_in_time() {
    let cluster = Cluster::start();
    let begun = Instant::now();
    assert!(answer_to(cluster.address(), b"ARGN\x00").is_empty());
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(4) && took < PATIENCE, "closed after {took:?}");
}

#[test]
fn a_peer_that_drips_byte_by_byte_is_closed_in_time() {
    let cluster = Cluster::start();
    let mut stream = TcpStream::connect(cluster.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let begun = Instant::now();
    // A HELLO of 400 bytes that would take 40 s.
    let mut drops = [b"ARGN".as_slice(), &[0, 0, 1, 0x90, 1], &[b' '; 399]].concat().into_iter();
    loop {
        let drop = drops.next().expect("it is closed long before it has said all");
        let is_closed = stream.write_all(&[drop]).is_err();
        let mut answer = [0; 64];
        if is_closed
            || !matches!(stream.read(&mut answer), Err(error) if error.kind() == ErrorKind::WouldBlock)
        {
            break;
        }
    }
    assert!(begun.elapsed() > Duration::from_secs(4), "closed after {:?}", begun.elapsed());
}

#[test]
fn a_thousand_idle_strangers_cost_little_memory_and_keep_nobody_waiting() {
    let mut cluster = Cluster::with_workers(&[1]);
    assert_eq!(cluster.perl("print $client->queue(sub { 'warm' })"), "warm");
    let manager = cluster.manager.as_ref().unwrap().pid();
    let before = memory_mib(manager);
    for _ in 0..3 {
        let idle: Vec<TcpStream> =
            (0..1000).map(|_| TcpStream::connect(cluster.address()).unwrap()).collect();
        assert_eq!(cluster.perl("my $n = 0; $n += $client->queue(sub { 1 }) for 1..20; print $n"), "20");
        drop(idle);
    }
    let after = memory_mib(manager);
    assert!(after < before + 16, "from {before} to {after} MiB");
}

#[test]
fn idle_strangers_do_not_keep_a_client_out_for_long() {
    let mut cluster = Cluster::with_workers(&[1]);
    let idle: Vec<TcpStream> = (0..500).map(|_| TcpStream::connect(cluster.address()).unwrap()).collect();
    assert_eq!(cluster.perl("print $client->queue(sub { 'in' })"), "in");
    drop(idle);
}

#[test]
fn what_a_client_may_not_say_is_refused_in_words() {
    let cluster = Cluster::start();
    let connect = || WireClient::connect(cluster.address(), &cluster.key(), Role::Client).unwrap();
    let refused = |kind: u8, body: &[u8]| {
        let mut client = connect();
        client.say_frame(kind, body);
        client.refusal()
    };
    for (kind, body) in [
        (kind::REGISTER, &b"{}"[..]),
        (kind::RECALL, &[0, 0, 0, 1]),
        (kind::OUTCOME, b""),
        (kind::CREDIT, &[0; 16]),
        (kind::READY, b"{}"),
    ] {
        let refusal = refused(kind, body);
        let expected = format!("a client may not send {}", kind::name(kind).unwrap());
        assert_eq!((refusal.code, refusal.message), (RefusalCode::Role, expected));
    }
    for body in [&b"not json"[..], b"{}", br#"{"session":"7"}"#] {
        let refusal = refused(kind::OPEN, body);
        assert_eq!(refusal.code, RefusalCode::Frame);
        assert!(refusal.message.contains("OPEN cannot be read"), "{refusal}");
    }
    assert_eq!(refused(0x7f, b"").code, RefusalCode::Frame);
    assert_eq!(refused(kind::HELLO, b"{}").code, RefusalCode::Frame);
    assert_eq!(refused(kind::SUBMIT, b"short").code, RefusalCode::Frame);
}

#[test]
fn each_role_is_refused_what_belongs_to_another() {
    let cluster = Cluster::start();
    let open = serde_json::to_vec(&Open::of(argon_proto::Secret::new([7; 32]))).unwrap();
    for (role, kind, body) in [
        // A worker relays the messages of tasks' clients, but only after CHILD_OPEN.
        (Role::Worker, kind::ACK, &b""[..]),
        (Role::Worker, kind::OPEN, &open),
        (Role::Worker, kind::REQUEST, br#"{"request":1,"what":"shutdown"}"#),
        (Role::Worker, kind::RUN, b""),
        (Role::Admin, kind::REGISTER, b"{}"),
        (Role::Admin, kind::SUBMIT, b""),
        (Role::Observer, kind::CANCEL, b""),
        (Role::Observer, kind::ACK, b""),
    ] {
        let mut peer = WireClient::connect(cluster.address(), &cluster.key(), role).unwrap();
        peer.say_frame(kind, body);
        assert_eq!(peer.refusal().code, RefusalCode::Role, "{kind:#x} of a {role:?}");
    }
}

#[test]
fn a_manager_forgets_strangers() {
    let mut cluster = Cluster::start();
    for _ in 0..50 {
        answer_to(cluster.address(), b"?");
    }
    let manager = cluster.manager.as_ref().unwrap().pid();
    wait_for("the manager to close all descriptors", Duration::from_secs(5), || {
        let open = std::fs::read_dir(format!("/proc/{manager}/fd")).unwrap().count();
        (open < 20).then_some(())
    });
    assert_eq!(cluster.status()["clients"], 0);
}

#[test]
fn a_client_that_sends_more_than_its_credit_is_refused() {
    let cluster = Cluster::start();
    let mut client = WireClient::connect(cluster.address(), &cluster.key(), Role::Client).unwrap();
    let granted = client.welcome.credit_tasks;
    assert!(granted > 0);
    let open = Open::of(argon_proto::Secret::new([7; 32]));
    let session = open.session;
    client.say(ToManager::Open(open));
    client.say_all((0..=granted).map(|sequence| {
        let id = argon_proto::TaskId { session, sequence };
        let head = argon_proto::TaskHead::new(id, argon_proto::Runtime::Perl);
        ToManager::Submit(argon_proto::Task::new(
            head,
            [],
            bytes::Bytes::new(),
            argon_proto::Payload::default(),
        ))
    }));
    assert_eq!(client.refusal().code, RefusalCode::Credit);
}
