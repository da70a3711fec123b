//! Tickets with which a dialler resumes its TLS session, so that a reconnect needs no signature.
//!
//! Their keys follow from the cluster key and the time: a manager that is started again, or a stand-by, takes the tickets
//! of the one before. The exchange of keys is made anew with each session, so a ticket key that becomes known later
//! opens nothing that was recorded. There is no early data.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argon_proto::key::Key;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::server::ProducesTickets;

use crate::random;

/// Time for which tickets are made with one key.
const PERIOD: Duration = Duration::from_secs(6 * 3600);
/// Bytes of the period's number before the nonce and the sealed session.
const NUMBER_BYTES: usize = 8;

/// Seals tickets for sessions in which one certificate was shown.
pub(super) struct Tickets {
    key: Key,
    /// The hash of that certificate: a ticket of another one is not taken, because the proofs of the key cover it.
    channel: [u8; 32],
}

impl Tickets {
    pub(super) fn new(key: Key, channel: [u8; 32]) -> Self {
        Self { key, channel }
    }

    fn cipher(&self, period: u64) -> Option<LessSafeKey> {
        let key = self.key.ticket_key(period)?;
        UnboundKey::new(&CHACHA20_POLY1305, &key).ok().map(LessSafeKey::new)
    }

    fn seal(&self, plain: &[u8], period: u64) -> Option<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = random::bytes().ok()?;
        let mut sealed = plain.to_vec();
        let cipher = self.cipher(period)?;
        cipher
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.channel),
                &mut sealed,
            )
            .ok()?;
        Some([&period.to_be_bytes(), nonce.as_slice(), &sealed].concat())
    }

    fn open(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let (number, rest) = ticket.split_first_chunk::<NUMBER_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let period = u64::from_be_bytes(*number);
        // The clocks of two managers may differ.
        if period > now + 1 || period + 2 < now {
            return None;
        }
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.cipher(period)?.open_in_place(nonce, Aad::from(self.channel), &mut sealed).ok()?;
        Some(plain.to_vec())
    }
}

fn this_period() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / PERIOD.as_secs()
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(2 * PERIOD.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, this_period())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(ticket, this_period())
    }
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tickets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manager_of_the_key_opens_a_ticket_for_its_time_and_its_certificate() {
        let of = |key: u8, channel: u8| Tickets::new(Key::cluster([key; 32]), [channel; 32]);
        let ticket = of(1, 1).seal(b"session", 100).expect("sealed");
        for now in [99, 100, 101, 102] {
            assert_eq!(of(1, 1).open(&ticket, now).as_deref(), Some(b"session".as_slice()), "{now}");
        }
        for now in [0, 98, 103, u64::MAX - 1] {
            assert_eq!(of(1, 1).open(&ticket, now), None, "{now}");
        }
        assert_eq!(of(2, 1).open(&ticket, 100), None, "another cluster key");
        assert_eq!(of(1, 2).open(&ticket, 100), None, "another certificate");
    }

    #[test]
    fn damaged_tickets_are_not_opened() {
        let tickets = Tickets::new(Key::cluster([1; 32]), [1; 32]);
        let ticket = tickets.seal(b"session", 100).expect("sealed");
        for length in 0..ticket.len() {
            assert_eq!(tickets.open(&ticket[..length], 100), None, "{length}");
        }
        for at in 0..ticket.len() {
            let mut damaged = ticket.clone();
            damaged[at] ^= 1;
            assert_eq!(tickets.open(&damaged, 100), None, "{at}");
        }
        assert_eq!(tickets.open(&[0xff; 64], 100), None);
    }
}
