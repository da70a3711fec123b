//! Decides when to dial which manager, and when to give up.
//!
//! The first connection is dialled for a bounded time and fails in words. A lost one is dialled again for ever, unless the
//! managers keep refusing this client.

use std::time::Duration;

use argon_proto::backoff::REDIAL;
use argon_proto::limit::REFUSALS_MAX;
use argon_proto::{SessionId, Time};

use super::SessionState;
use super::effect::{Effect, Out};
use crate::error_kind::ErrorKind;

/// Tries that a refusal counts for: the manager needs time to change its mind.
const TRIES_PER_REFUSAL: u32 = 3;

/// The search for a manager.
#[derive(Debug)]
pub(super) struct Reconnect {
    pub(super) dial: DialState,
    /// Number of addresses.
    addresses: usize,
    /// Place of the address that comes next.
    next: usize,
    /// Failures in a row.
    tries: u32,
    /// Refusals in a row.
    refusals: u32,
    /// Until when the first manager may be found; `None` once there was one.
    first_until: Option<Time>,
    first_within: Duration,
    /// Differs from client to client: the clients of a restarted manager must not all come at once.
    chance: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DialState {
    /// Not started, or over.
    Idle,
    /// Between two tries.
    Pausing {
        until: Time,
    },
    /// The shell dials.
    Dialling,
    Connected,
}

impl Reconnect {
    pub(super) fn new(session: SessionId, addresses: usize, first_within: Duration) -> Self {
        Self {
            dial: DialState::Idle,
            addresses: addresses.max(1),
            next: 0,
            tries: 0,
            refusals: 0,
            first_until: None,
            first_within,
            chance: u16::from_be_bytes([session.0[14], session.0[15]]),
        }
    }

    pub(super) fn start(&mut self, now: Time, out: &mut Out) {
        self.first_until = Some(now + self.first_within);
        self.dial_now(out);
    }

    pub(super) fn dial_now(&mut self, out: &mut Out) {
        self.dial = DialState::Dialling;
        out.effects.push(Effect::Dial { address: self.next % self.addresses });
    }

    pub(super) fn succeeded(&mut self) {
        self.dial = DialState::Connected;
        self.tries = 0;
        self.first_until = None;
    }

    /// A dial failed. True if the search for the first manager is over.
    pub(super) fn failed(&mut self, now: Time, is_final: bool) -> bool {
        self.tries = self.tries.saturating_add(1);
        self.next = self.next.wrapping_add(1);
        self.pause(now);
        self.first_until.is_some_and(|until| is_final || until <= now)
    }

    /// The manager asked this client to come back later, after it had let it in.
    pub(super) fn postponed(&mut self, now: Time) {
        self.tries = self.tries.saturating_add(1);
        self.next = self.next.wrapping_add(1);
        self.pause(now);
    }

    /// The manager refused this client after it had let it in. True if that happened too often.
    pub(super) fn refused(&mut self, now: Time, has_served: bool) -> bool {
        self.refusals = if has_served { 1 } else { self.refusals + 1 };
        self.tries = self.tries.saturating_add(TRIES_PER_REFUSAL);
        self.next = self.next.wrapping_add(1);
        self.pause(now);
        self.refusals >= REFUSALS_MAX
    }

    /// A connection was lost without a word.
    pub(super) fn lost(&mut self, has_served: bool, out: &mut Out) {
        if has_served {
            self.refusals = 0;
        }
        self.dial_now(out);
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        match self.dial {
            DialState::Pausing { until } => Some(until),
            DialState::Idle | DialState::Dialling | DialState::Connected => None,
        }
    }

    fn pause(&mut self, now: Time) {
        self.chance = self.chance.wrapping_mul(25_173).wrapping_add(13_849);
        self.dial = DialState::Pausing { until: now + REDIAL.pause(self.tries, self.chance) };
    }
}

impl SessionState {
    pub(super) fn on_dial_failed(
        &mut self,
        now: Time,
        why: String,
        advice: &str,
        is_final: bool,
        out: &mut Out,
    ) {
        if self.reconnect.dial != DialState::Dialling {
            return;
        }
        if self.reconnect.failed(now, is_final) {
            return self.end(ErrorKind::Unreachable, &format!("{why}{advice}"), None, out);
        }
        self.wait_monitor.away(why);
        self.look(now, out);
    }

    /// The manager ends the connection in words. If it is busy, another try may succeed.
    pub(super) fn on_refused(&mut self, now: Time, why: &str, is_busy: bool, out: &mut Out) {
        let has_served = self.forget_connection();
        out.effects.push(Effect::Disconnect);
        if self.is_ended() {
            return;
        }
        if is_busy {
            self.reconnect.postponed(now);
        } else if self.reconnect.refused(now, has_served) {
            let message = format!("the manager refuses this client again and again: {why}");
            self.end(ErrorKind::Unreachable, &message, None, out);
        }
    }

    /// The connection has ended, or must: the manager is silent or leaves.
    pub(super) fn on_connection_lost(&mut self, out: &mut Out) {
        if self.connection.is_none() {
            return;
        }
        let has_served = self.forget_connection();
        if !self.is_ended() {
            self.reconnect.lost(has_served, out);
        }
    }
}
