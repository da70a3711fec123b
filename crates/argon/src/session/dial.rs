//! Finding a manager: which address next, when to give up, how long to pause.
//!
//! The first connection of a client fails soon and in words; one that was lost is sought for ever.

use std::time::{Duration, Instant};

use argon_proto::handshake::RefusalCode;
use argon_proto::key::{Key, Role};
use argon_session::ErrorKind;

use crate::dial::{DialError, Reached, dial};
use crate::error::Error;

/// A first connection is tried for so long.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MOST: Duration = Duration::from_secs(2);

/// The managers of a cluster, and which to try next.
#[derive(Debug)]
pub(crate) struct Seeker {
    addresses: Vec<String>,
    next: usize,
    key: Key,
    patience: Duration,
    tries: u32,
}

impl Seeker {
    pub(crate) fn new(addresses: Vec<String>, key: Key, patience: Option<Duration>) -> Self {
        Self { addresses, next: 0, key, patience: patience.unwrap_or(FIRST_WITHIN), tries: 0 }
    }

    /// The first connection: an answer for the caller soon, whatever it is.
    pub(crate) async fn first(&mut self) -> Result<Reached, Error> {
        let since = Instant::now();
        loop {
            match self.try_once().await {
                Ok(reached) => return Ok(reached),
                Err(error) if is_for_good(&error) || since.elapsed() >= self.patience => {
                    return Err(Error::new(ErrorKind::Unreachable, sentence(&error)));
                }
                Err(_) => tokio::time::sleep(self.pause()).await,
            }
        }
    }

    /// One try to come back; a pause is part of a failed one.
    /// If it failed, why.
    pub(crate) async fn again(&mut self) -> Result<Reached, String> {
        match self.try_once().await {
            Ok(reached) => Ok(reached),
            Err(error) => {
                tokio::time::sleep(self.pause()).await;
                Err(error.to_string())
            }
        }
    }

    /// The present manager ended the connection in words: not at once again.
    pub(crate) fn refused(&mut self) {
        self.tries += 3;
        self.next += 1;
    }

    fn address(&self) -> String {
        self.addresses[self.next % self.addresses.len()].clone()
    }

    async fn try_once(&mut self) -> Result<Reached, DialError> {
        let reached = dial(&self.address(), &self.key, Role::Client).await;
        match &reached {
            Ok(_) => self.tries = 0,
            Err(_) => {
                self.tries += 1;
                self.next += 1;
            }
        }
        reached
    }

    /// Doubling, and jittered over half of it, so that the clients of a restarted manager do not all come at once.
    pub(crate) fn pause(&self) -> Duration {
        let whole = (PAUSE * 2_u32.pow(self.tries.saturating_sub(1).min(6))).min(PAUSE_MOST);
        let chance = random::<1>().map_or(0.5, |byte| f64::from(byte[0]) / 255.0);
        whole.mul_f64(0.5 + chance / 2.0)
    }
}

/// Whether another try would not help.
fn is_for_good(error: &DialError) -> bool {
    match error {
        DialError::Refused { refusal, .. } => refusal.code != RefusalCode::Busy,
        DialError::Role(_) => true,
        DialError::Unreachable { .. } => false,
    }
}

/// What it was, and what to do.
fn sentence(error: &DialError) -> String {
    let advice = match error {
        DialError::Unreachable { .. } => "; is it running ('argon up' starts one), and is the address right?",
        DialError::Refused { .. } => "",
        DialError::Role(_) => "; use the cluster key, or a client's ('argon key --role client')",
    };
    format!("{error}{advice}")
}

/// `N` random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Unreachable, format!("the system gives no random bytes: {error}"))
    })?;
    Ok(bytes)
}
