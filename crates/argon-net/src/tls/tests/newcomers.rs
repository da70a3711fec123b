//! Machines without a key, somebody between them and their manager, and tokens at the wrong place.

use argon_proto::handshake::Refusal;
use argon_proto::join::{JoinSecret, JoinToken, TokenId};
use argon_proto::key::Pin;
use argon_proto::pairing::Introduction;

use super::*;
use crate::accept::{Entrance, WaitingPeer};
use crate::newcomer::{join, pair};

/// Lets everybody wait, and knows one token.
#[derive(Debug, Default)]
struct Room {
    waiting: RefCell<Vec<WaitingPeer>>,
    uses: RefCell<u32>,
}

fn secret() -> JoinSecret {
    JoinSecret::new([7; 16])
}

fn refusal(why: &str) -> Refusal {
    Refusal::new(RefusalCode::Token, why)
}

impl Entrance for Room {
    fn on_attempt(&self, _: std::net::SocketAddr) -> Result<(), Refusal> {
        Ok(())
    }

    fn on_arrival(&self, peer: WaitingPeer) {
        self.waiting.borrow_mut().push(peer);
    }

    fn secret(&self, token: TokenId) -> Result<JoinSecret, Refusal> {
        if token == secret().id() { Ok(secret()) } else { Err(refusal("unknown")) }
    }

    fn redeem(&self, _: TokenId, _: std::net::SocketAddr) -> Result<Role, Refusal> {
        *self.uses.borrow_mut() += 1;
        if *self.uses.borrow() == 1 { Ok(Role::Worker) } else { Err(refusal("used up")) }
    }
}

async fn manager(byte: u8) -> (String, Pin, Rc<Room>) {
    let room = Rc::new(Room::default());
    let certificates = Certificates::of_key(&key(byte)).expect("a cluster key");
    let pin = certificates.pin();
    let port = Port::open_for(&key(byte), certificates, false, Rc::clone(&room) as Rc<dyn Entrance>).await;
    (port.address, pin, room)
}

async fn waiting(room: &Room) -> WaitingPeer {
    loop {
        if let Some(peer) = room.waiting.borrow_mut().pop() {
            return peer;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn asking() -> Introduction {
    Introduction::new(Role::Worker, "workerhost", "ann")
}

#[test]
fn both_ends_have_one_code_and_the_machine_gets_the_key_of_the_certificate_that_it_saw() {
    run(async {
        let (address, pin, room) = manager(7).await;
        let pairing = pair(&address, asking(), &Trust::default()).await.expect("it waits");
        let peer = waiting(&room).await;
        assert_eq!((pairing.code(), &peer.introduction), (peer.code, &asking()));
        let (granted, key) = tokio::join!(peer.connection.grant(), pairing.key());
        granted.expect("taken");
        let key = key.expect("let in");
        assert_eq!((key.pin(), key.for_role(Role::Worker).is_some()), (Some(pin), true));
        assert!(key.for_role(Role::Client).is_none());
    });
}

// kind: encryption | somebody between a machine and its manager while they pair | right | both ends have different codes
#[test]
fn a_machine_with_somebody_in_between_shows_another_code_than_its_manager() {
    run(async {
        let (address, _, room) = manager(7).await;
        let (between, _, caught) = manager(8).await;
        let victim = pair(&between, asking(), &Trust::default()).await.expect("it waits");
        let relayed = pair(&address, asking(), &Trust::default()).await.expect("it waits");
        let (seen, there) = (waiting(&caught).await, waiting(&room).await);
        assert_eq!((victim.code(), relayed.code()), (seen.code, there.code));
        // By chance they are the same in one of a million.
        assert_ne!(victim.code(), there.code);
    });
}

#[test]
fn a_machine_that_is_sent_away_learns_the_reason_and_nothing_else() {
    run(async {
        let (address, _, room) = manager(7).await;
        let pairing = pair(&address, asking(), &Trust::default()).await.expect("it waits");
        let peer = waiting(&room).await;
        let denied = Refusal::new(RefusalCode::Pairing, "not today");
        let ((), error) = tokio::join!(peer.connection.refuse(&denied), pairing.key());
        assert!(error.expect_err("denied").to_string().ends_with("not today"));
    });
}

#[test]
fn what_a_waiting_machine_may_send_is_bounded() {
    run(async {
        let (address, _, room) = manager(7).await;
        let trust = Trust::default().of_newcomer();
        let mut stream = crate::dial::connect(&address, &trust, || None).await.expect("connected");
        let (dialler, hello) = argon_proto::pairing::PairDialler::hello(asking(), [1; 32]);
        let mut out = Outbox::default();
        out.push_raw(&argon_proto::handshake::MAGIC);
        out.push_frame(argon_proto::kind::HELLO, &hello);
        stream.write_all(&mut out).await.expect("written");
        let mut opening = crate::handshake::Opening::new(stream, 512, usize::MAX, "?");
        let body = opening.frame(argon_proto::kind::PAIR).await.expect("an answer");
        let (open, _) = dialler.open(&body, &opening.stream.channel()).expect("readable");
        out.push_frame(argon_proto::kind::PAIR_OPEN, &open);
        opening.send(&mut out).await.expect("written");
        let mut peer = waiting(&room).await;
        let waits = tokio::task::spawn_local(async move { peer.connection.wait().await });
        for _ in 0..1000 {
            out.push_frame(argon_proto::kind::PING, &[0; 8]);
        }
        let _ = opening.send(&mut out).await;
        let why = waits.await.expect("no panic");
        assert!(why.contains("too much was sent"), "{why}");
    });
}

#[test]
fn plain_text_gets_no_key_also_on_one_machine() {
    run(async {
        let (address, ..) = manager(7).await;
        let mut opening = crate::handshake::Opening::new(
            TcpStream::connect(&address).await.expect("connected").into(),
            4096,
            usize::MAX,
            "?",
        );
        let (_, hello) = argon_proto::pairing::PairDialler::hello(asking(), [1; 32]);
        let mut out = Outbox::default();
        out.push_raw(&argon_proto::handshake::MAGIC);
        out.push_frame(argon_proto::kind::HELLO, &hello);
        opening.send(&mut out).await.expect("written");
        let Err(OpeningError::Refused(refusal)) = opening.frame(argon_proto::kind::PAIR).await else {
            panic!("it must be refused")
        };
        assert_eq!(refusal.code, RefusalCode::Plaintext);
    });
}

// kind: encryption | a token at another manager, one that is used up, a relay | loud | refused in words, and nothing is given away
#[test]
fn a_token_opens_the_manager_that_made_it_once() {
    run(async {
        let (address, pin, _) = manager(7).await;
        let (other, ..) = manager(8).await;
        let token = |address: &str, pin, secret| JoinToken { address: address.to_owned(), pin, secret };
        let good = token(&address, pin, secret());
        let key = join(&good, &Trust::default()).await.expect("let in");
        assert_eq!((key.pin(), key.for_role(Role::Worker).is_some()), (Some(pin), true));
        let refused =
            async |token: JoinToken| join(&token, &Trust::default()).await.expect_err("refused").to_string();
        assert!(refused(good).await.ends_with("used up"));
        assert!(refused(token(&address, pin, JoinSecret::new([8; 16]))).await.ends_with("unknown"));
        let elsewhere = refused(token(&other, pin, secret())).await;
        assert!(elsewhere.contains("nothing was sent to it"), "{elsewhere}");
    });
}
