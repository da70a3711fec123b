//! Recorded connections that a stranger sends again: whole, cut or changed.

use super::*;

/// Beginnings that are tried.
const ROUNDS: u64 = 400;
/// Strangers that begin a handshake and go no further.
const SILENT: usize = 300;

/// Bytes of a dialler in a connection, from the first byte to a message of its own.
async fn recorded(port: &Port, trust: &Trust) -> Vec<u8> {
    let relay = Relay::start(&port.address, |_| {}).await;
    let dialled = dial(&relay.address, &key(1), Role::Client, trust).await.expect("let in").stream;
    let ((_r, writer), (mut peer, _w)) = (dialled.split(), port.admitted().await.split());
    let task = b"a task that must run once";
    let mut outbox = Outbox::default();
    outbox.push_raw(task);
    let ((), _) = tokio::join!(write_all(&writer, &mut outbox), read_all(&mut peer, task.len()));
    relay.sent.take()
}

/// Sends bytes to the port, and reads until it ends the connection; what it answered. A stranger that has said all ends
/// its side, as the port waits for more from those that have not.
async fn play(port: &Port, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(&port.address).await.expect("connected");
    let mut answer = Vec::new();
    // The port may close before it has everything.
    if stream.write_all(bytes).await.is_ok() && stream.shutdown().await.is_ok() {
        let _ = stream.read_to_end(&mut answer).await;
    }
    answer
}

#[test]
fn a_connection_that_is_sent_again_lets_nobody_in() {
    run(async {
        let port = Port::open(&key(1)).await;
        let trust = always();
        // The first makes a new session; the second resumes it, and its ticket is sent again here.
        for kind in ["new", "resumed"] {
            let sent = recorded(&port, &trust).await;
            let answer = play(&port, &sent).await;
            assert!(port.admitted.borrow().is_empty(), "{kind}");
            assert!(!answer.windows(4).any(|window| window == b"ARGN"), "{kind}");
        }
        // Neither costs the ones that come in between.
        port.dial(&key(1)).await.expect("let in");
    });
}

#[test]
fn a_connection_that_is_sent_again_in_plain_text_lets_nobody_in() {
    run(async {
        let port = Port::open(&key(1)).await;
        let sent = recorded(&port, &Trust::default()).await;
        assert_eq!(sent.get(..4), Some(b"ARGN".as_slice()));
        play(&port, &sent).await;
        assert!(port.admitted.borrow().is_empty());
    });
}

#[test]
fn changed_beginnings_let_nobody_in_and_disturb_nobody() {
    run(async {
        let port = Port::open(&key(1)).await;
        let trust = always();
        let beginnings = [
            recorded(&port, &trust).await,
            recorded(&port, &trust).await,
            recorded(&port, &Trust::default()).await,
        ];
        let seed = u64::from_le_bytes(crate::random::bytes().expect("randomness"));
        println!("seed {seed}");
        let mut chance = Chance(seed);
        for round in 0..ROUNDS {
            let beginning = &beginnings[chance.below(beginnings.len())];
            play(&port, &chance.change(beginning)).await;
            assert!(port.admitted.borrow().is_empty(), "round {round} of seed {seed}");
        }
        port.dial(&key(1)).await.expect("let in");
    });
}

#[test]
fn strangers_that_go_no_further_do_not_keep_others_out() {
    run(async {
        let port = Port::open(&key(1)).await;
        let hello = recorded(&port, &always()).await;
        let mut silent = Vec::new();
        for index in 0..SILENT {
            let mut stream = TcpStream::connect(&port.address).await.expect("connected");
            // One byte, half a head, a head, half a hello, all but its last byte.
            let cut = [1, 3, 5, 100, 200][index % 5];
            stream.write_all(&hello[..cut]).await.expect("written");
            silent.push(stream);
        }
        port.dial(&key(1)).await.expect("let in");
        drop(silent);
    });
}

/// Random numbers that a seed determines (xorshift64*).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 |= u64::from(self.0 == 0);
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }

    /// Changes, leaves out, doubles or cuts off a few of the bytes.
    fn change(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len().max(1));
            match self.below(4) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 if at < bytes.len() => drop(bytes.drain(at..(at + 7).min(bytes.len()))),
                _ => bytes.extend_from_within(at.min(bytes.len())..),
            }
        }
        bytes
    }
}
