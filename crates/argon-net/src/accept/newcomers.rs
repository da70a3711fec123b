//! Peers without a key: they show a code and wait for a person, or prove a join token. Both want an encrypted connection,
//! because the answer is a key.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use argon_proto::frame::Outbox;
use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::join::{JoinListener, JoinSecret, TokenId};
use argon_proto::key::{Key, Role};
use argon_proto::kind;
use argon_proto::limit::{PAIR_WAIT_BYTES, SILENCE};
use argon_proto::pairing::{Introduction, PairListener, PairingCode, grant};
use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use crate::handshake::{Opening, OpeningError};
use crate::identity::role_key;
use crate::random;

/// Time for a peer to take its answer and close the connection.
const LAST_WORDS: Duration = Duration::from_secs(2);

const PLAIN: &str = "a machine without a key must encrypt its connection to get one";

/// Decides about peers without a key.
pub trait Entrance: Debug {
    /// A peer begins to pair. It has learnt nothing yet.
    ///
    /// # Errors
    /// If it may not.
    fn on_attempt(&self, from: SocketAddr) -> Result<(), Refusal>;

    /// A peer has a code, and waits for a person's decision.
    fn on_arrival(&self, peer: WaitingPeer);

    /// The secret of a join token.
    ///
    /// # Errors
    /// If the token opens nothing.
    fn secret(&self, token: TokenId) -> Result<JoinSecret, Refusal>;

    /// A peer has proven that secret: takes one use of the token, and returns the role whose key it is good for.
    ///
    /// # Errors
    /// If it is used up by now.
    fn redeem(&self, token: TokenId, from: SocketAddr) -> Result<Role, Refusal>;
}

/// A listener that lets in nobody without a key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Closed;

impl Entrance for Closed {
    fn on_attempt(&self, _: SocketAddr) -> Result<(), Refusal> {
        Err(Refusal::new(RefusalCode::Pairing, "this listener gives no keys"))
    }

    fn on_arrival(&self, _: WaitingPeer) {}

    fn secret(&self, _: TokenId) -> Result<JoinSecret, Refusal> {
        Err(Refusal::new(RefusalCode::Token, "this listener takes no join tokens"))
    }

    fn redeem(&self, token: TokenId, _: SocketAddr) -> Result<Role, Refusal> {
        self.secret(token).map(|_| Role::Worker)
    }
}

/// A peer that waits for a person's decision.
#[derive(Debug)]
pub struct WaitingPeer {
    /// The code that it shows, if nobody is in between.
    pub code: PairingCode,
    /// Name and purpose that the machine gives.
    pub introduction: Introduction,
    /// Its address.
    pub from: SocketAddr,
    /// Its connection, and what it gets.
    pub connection: WaitingConnection,
}

/// The connection of a peer that waits.
#[derive(Debug)]
pub struct WaitingConnection {
    opening: Opening,
    /// The key that it gets.
    key: Key,
}

/// A peer without a key that may stay for a while.
pub(super) enum Begun {
    /// The machine waits for a decision.
    Waits { code: PairingCode, introduction: Introduction, key: Key },
    /// The machine has its key.
    Joined,
}

impl Begun {
    /// Hands the peer on, or lets it go.
    pub(super) async fn end(self, opening: Opening, entrance: &dyn Entrance, from: SocketAddr) {
        match self {
            Self::Waits { code, introduction, key } => {
                let opening = opening.with_budget(PAIR_WAIT_BYTES);
                let connection = WaitingConnection { opening, key };
                entrance.on_arrival(WaitingPeer { code, introduction, from, connection });
            }
            Self::Joined => end(opening).await,
        }
    }
}

/// Serves a peer whose hello names no key; `None` if it does. `shown` gives the cluster key whose certificate has that hash.
pub(super) async fn begin(
    opening: &mut Opening,
    hello: &Bytes,
    entrance: &dyn Entrance,
    from: SocketAddr,
    shown: impl FnOnce(&[u8; 32]) -> Option<Key>,
) -> Result<Option<Begun>, OpeningError> {
    let channel = opening.stream.channel();
    let key_of = |role| {
        let key = shown(&channel).and_then(|key| role_key(&key, role));
        key.ok_or_else(|| Refusal::new(RefusalCode::Role, "this listener has no key of that role"))
    };
    if let Some(token) = TokenId::of_hello(hello)? {
        must_encrypt(opening)?;
        join(opening, hello, entrance, token, from, key_of).await?;
        return Ok(Some(Begun::Joined));
    }
    if let Some((listener, pair)) = PairListener::pair(hello, random::bytes()?)? {
        must_encrypt(opening)?;
        entrance.on_attempt(from)?;
        let mut out = Outbox::default();
        out.push_frame(kind::PAIR, &pair);
        opening.send(&mut out).await?;
        let (introduction, code) = listener.code(&opening.frame(kind::PAIR_OPEN).await?, &channel)?;
        let key = key_of(introduction.wants())?;
        return Ok(Some(Begun::Waits { code, introduction, key }));
    }
    Ok(None)
}

fn must_encrypt(opening: &Opening) -> Result<(), Refusal> {
    if opening.stream.is_encrypted() {
        return Ok(());
    }
    Err(Refusal::new(RefusalCode::Plaintext, PLAIN))
}

async fn join(
    opening: &mut Opening,
    hello: &[u8],
    entrance: &dyn Entrance,
    token: TokenId,
    from: SocketAddr,
    key_of: impl FnOnce(Role) -> Result<Key, Refusal>,
) -> Result<(), OpeningError> {
    let channel = opening.stream.channel();
    let secret = entrance.secret(token)?;
    let (listener, challenge) = JoinListener::challenge(secret, hello, random::bytes()?, &channel)?;
    let mut out = Outbox::default();
    out.push_frame(kind::CHALLENGE, &challenge);
    opening.send(&mut out).await?;
    listener.check(&opening.frame(kind::PROOF).await?)?;
    let key = key_of(entrance.redeem(token, from)?)?;
    out.push_frame(kind::GRANT, &listener.grant(&key));
    opening.send(&mut out).await
}

impl WaitingConnection {
    /// Keeps the connection while nothing is decided. Returns the reason when the peer is gone, or sends what it may not.
    pub async fn wait(&mut self) -> String {
        loop {
            let mut out = Outbox::default();
            match timeout(SILENCE, self.opening.frame(kind::PING)).await {
                Ok(Ok(body)) => out.push_frame(kind::PONG, &body),
                Ok(Err(error)) => return error.to_string(),
                Err(_) => return format!("it was silent for {} s", SILENCE.as_secs()),
            }
            if let Err(error) = self.opening.send(&mut out).await {
                return error.to_string();
            }
        }
    }

    /// Gives the peer its key.
    ///
    /// # Errors
    /// If it is not there any more.
    pub async fn grant(self) -> Result<(), String> {
        let mut opening = self.opening;
        let mut out = Outbox::default();
        out.push_frame(kind::GRANT, &grant(&self.key));
        opening.send(&mut out).await.map_err(|error| error.to_string())?;
        end(opening).await;
        Ok(())
    }

    /// Sends the peer away.
    pub async fn refuse(self, refusal: &Refusal) {
        let mut opening = self.opening;
        let mut out = Outbox::default();
        out.push_frame(kind::REFUSED, &refusal.to_json());
        // It may be gone already.
        if opening.send(&mut out).await.is_ok() {
            end(opening).await;
        }
    }
}

/// Waits until the peer closes: bytes of it that nobody reads would make the kernel throw away the answer.
async fn end(mut opening: Opening) {
    let until = Instant::now() + LAST_WORDS;
    while let Ok(Ok(())) = timeout_at(until, opening.read_more()).await {
        opening.frames.buffer().clear();
    }
}
