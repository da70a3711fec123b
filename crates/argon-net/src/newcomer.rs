//! The side of a machine without a key: it pairs, or joins with a token, and gets the key of a role.
//!
//! These connections are encrypted also on one machine. While a machine pairs it trusts any certificate, because it knows
//! none: the code that a person compares covers the certificate, and the key that it gets must carry its pin.

use argon_proto::frame::Outbox;
use argon_proto::handshake::{MAGIC, Refusal, RefusalCode};
use argon_proto::join::{JoinDialler, JoinToken};
use argon_proto::key::{Key, Pin};
use argon_proto::kind;
use argon_proto::limit::{PAIR_WITHIN, PING_AFTER, SILENCE};
use argon_proto::pairing::{Introduction, PairDialler, PairingCode};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::dial::{DialError, NOT_ARGON, connect, failed, in_time};
use crate::handshake::{Opening, OpeningError};
use crate::random;
use crate::stream::Stream;
use crate::trust::Trust;

/// Largest frame of a manager that has proven nothing, bytes: more than the longest refusal has.
const FRAME_BYTES: usize = 4 << 10;
/// Time that the manager has beyond its own limit, to say so.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// A machine that waits to be let in.
#[derive(Debug)]
pub struct Pairing {
    address: String,
    opening: Opening,
    dialler: PairDialler,
    code: PairingCode,
    /// Pin that the key must carry; `None` if a CA vouches for the manager.
    pin: Option<Pin>,
    since: Instant,
}

/// Asks the manager at `address` for a key. `trust` matters only for its CA, if there is one.
///
/// # Errors
/// If it is not reached, or does not let machines wait now.
pub async fn pair(address: &str, introduction: Introduction, trust: &Trust) -> Result<Pairing, DialError> {
    let trust = trust.of_newcomer();
    in_time(address, async {
        let stream = connect(address, &trust, || None).await?;
        let pin = (!trust.has_authority()).then(|| Pin(stream.channel()));
        let (dialler, hello) = PairDialler::hello(introduction, random::bytes()?);
        let mut opening = begun(stream, &hello).await?;
        let pair = opening.frame(kind::PAIR).await?;
        let (open, code) = dialler.open(&pair, &opening.stream.channel())?;
        let mut out = Outbox::default();
        out.push_frame(kind::PAIR_OPEN, &open);
        opening.send(&mut out).await?;
        Ok(Pairing { address: address.to_owned(), opening, dialler, code, pin, since: Instant::now() })
    })
    .await
}

impl Pairing {
    /// The code to show.
    #[must_use]
    pub fn code(&self) -> PairingCode {
        self.code
    }

    /// Waits for a person's decision and returns the key.
    ///
    /// # Errors
    /// If it is denied, or not approved in time, or the connection breaks.
    pub async fn key(mut self) -> Result<Key, DialError> {
        let granted = self.granted().await;
        granted.map_err(|error| match error {
            OpeningError::Broken(error) => {
                let why = format!("the connection ended while this machine waited ({error}); ask again");
                let refusal = Refusal::new(RefusalCode::Pairing, why);
                DialError::Refused { address: self.address.clone(), refusal }
            }
            refused @ OpeningError::Refused(_) => failed(&self.address, refused),
        })
    }

    async fn granted(&mut self) -> Result<Key, OpeningError> {
        let mut pings = interval_at(Instant::now() + PING_AFTER, PING_AFTER);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let until = self.since + PAIR_WITHIN + GRACE;
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                frame = self.opening.next_frame() => match frame? {
                    (kind::GRANT, body) => return Ok(self.dialler.granted(&body, self.pin)?),
                    (kind::PONG, _) => heard = Instant::now(),
                    (kind, _) => return Err(Opening::out_of_place(kind).into()),
                },
                _ = pings.tick() => {
                    let mut out = Outbox::default();
                    out.push_frame(kind::PING, &[0; 8]);
                    self.opening.send(&mut out).await?;
                }
                () = sleep_until(until.min(heard + SILENCE)) => {
                    let why = match until <= Instant::now() {
                        true => "the code was not approved in time; ask again",
                        false => "the manager was silent while this machine waited; ask again",
                    };
                    return Err(Refusal::new(RefusalCode::Pairing, why).into());
                }
            }
        }
    }
}

/// Shows a manager its token and returns the key that it is good for. `trust` matters only for its CA, if there is one.
///
/// # Errors
/// If the manager is not reached, or the token does not open it.
pub async fn join(token: &JoinToken, trust: &Trust) -> Result<Key, DialError> {
    let trust = trust.always();
    let pin = (!trust.has_authority()).then_some(token.pin);
    in_time(&token.address, async {
        let stream = connect(&token.address, &trust, || Some(token.pin)).await?;
        let (mut dialler, hello) = JoinDialler::hello(token, random::bytes()?);
        let mut opening = begun(stream, &hello).await?;
        let challenge = opening.frame(kind::CHALLENGE).await?;
        let mut out = Outbox::default();
        out.push_frame(kind::PROOF, &dialler.proof(&challenge, &opening.stream.channel())?);
        opening.send(&mut out).await?;
        Ok(dialler.granted(&opening.frame(kind::GRANT).await?, pin)?)
    })
    .await
}

async fn begun(stream: Stream, hello: &[u8]) -> Result<Opening, OpeningError> {
    let mut opening = Opening::new(stream, FRAME_BYTES, usize::MAX, NOT_ARGON);
    let mut out = Outbox::default();
    out.push_raw(&MAGIC);
    out.push_frame(kind::HELLO, hello);
    opening.send(&mut out).await?;
    Ok(opening)
}
