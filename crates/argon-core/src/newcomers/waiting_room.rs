//! Machines that wait until a person lets them in: bounded in number, time and attempts.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use argon_proto::Time;
use argon_proto::limit::PAIR_WITHIN;
use argon_proto::pairing::{Introduction, PairingCode};
use rustc_hash::FxHashMap;

/// Machines that may wait. One more, and the one that came first is sent away.
const WAITING_MAX: usize = 64;
/// Machines of one address that may wait.
const WAITING_OF_ADDRESS: usize = 4;
/// Attempts of one address, and of all, that may come in a row; then one for each pause. A code has a million values, so
/// that somebody who searches for one finds it in fewer than one of a thousand waits.
const OF_ADDRESS: Pace = Pace { burst: 8, pause: Duration::from_secs(10) };
const OF_ALL: Pace = Pace { burst: 64, pause: Duration::from_secs(1) };
/// Addresses that are remembered; more at once use up what all may try.
const ADDRESSES_MAX: usize = 1024;

/// Number of a waiting machine. None is used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Guest(pub u64);

/// A machine that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its number.
    pub guest: Guest,
    /// The code that it shows if nobody is in between.
    pub code: PairingCode,
    /// Name and purpose that the machine gives.
    pub introduction: Introduction,
    /// Address from which it connects.
    pub from: IpAddr,
    /// When it began to wait.
    pub since: Time,
}

/// Why a machine does not wait. The text is for its user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotLetIn {
    /// Too many attempts in a short time.
    #[error(
        "too many machines ask to be let in at the moment; try again in a minute, or use 'argon join TOKEN'"
    )]
    TooOften,
    /// As many of its address wait as may.
    #[error(
        "{WAITING_OF_ADDRESS} requests of this address wait for a decision; approve or deny them with 'argon approve'"
    )]
    TooMany,
    /// Another one shows the same code.
    #[error("another machine waits with the same code; try again")]
    SameCode,
}

/// A machine may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// Its number.
    pub guest: Guest,
    /// The machine that is sent away for it.
    pub sent_away: Option<Guest>,
}

/// The machines that wait, the first to come first.
#[derive(Debug, Default)]
pub struct WaitingRoom {
    waiting: VecDeque<Waiting>,
    last: u64,
    attempts: Attempts,
    attempts_of: FxHashMap<IpAddr, Attempts>,
    /// Attempts that were begun, and those that came to wait: what is between broke off.
    begun: u64,
    arrived: u64,
}

impl WaitingRoom {
    /// A machine begins to pair. Counted before it learns anything that it could choose its next attempt by.
    ///
    /// # Errors
    /// If there were too many attempts.
    pub fn on_attempt(&mut self, now: Time, from: IpAddr) -> Result<(), NotLetIn> {
        let from = from.to_canonical();
        if self.attempts_of.len() >= ADDRESSES_MAX {
            self.attempts_of.retain(|_, attempts| attempts.rested_at > now);
        }
        if self.attempts_of.len() >= ADDRESSES_MAX && !self.attempts_of.contains_key(&from) {
            return Err(NotLetIn::TooOften);
        }
        if !self.attempts_of.entry(from).or_default().take(now, OF_ADDRESS)
            || !self.attempts.take(now, OF_ALL)
        {
            return Err(NotLetIn::TooOften);
        }
        self.begun += 1;
        Ok(())
    }

    /// A machine has shown its nonce: it may wait, or not.
    ///
    /// # Errors
    /// The reason why not.
    pub fn on_arrival(
        &mut self,
        now: Time,
        code: PairingCode,
        introduction: Introduction,
        from: IpAddr,
    ) -> Result<Arrival, NotLetIn> {
        self.arrived += 1;
        self.expire(now);
        let from = from.to_canonical();
        if self.waiting.iter().filter(|waiting| waiting.from == from).count() >= WAITING_OF_ADDRESS {
            return Err(NotLetIn::TooMany);
        }
        if self.waiting.iter().any(|waiting| waiting.code == code) {
            return Err(NotLetIn::SameCode);
        }
        let sent_away = if self.waiting.len() >= WAITING_MAX { self.waiting.pop_front() } else { None };
        self.last += 1;
        let guest = Guest(self.last);
        self.waiting.push_back(Waiting { guest, code, introduction, from, since: now });
        Ok(Arrival { guest, sent_away: sent_away.map(|waiting| waiting.guest) })
    }

    /// A machine has gone, or its time is over.
    pub fn on_left(&mut self, guest: Guest) {
        self.waiting.retain(|waiting| waiting.guest != guest);
    }

    /// A person names a code, to approve or to deny the machine that shows it, which waits no longer. `None` if none does.
    pub fn take(&mut self, now: Time, code: PairingCode) -> Option<Waiting> {
        self.expire(now);
        let place = self.waiting.iter().position(|waiting| waiting.code == code);
        place.and_then(|place| self.waiting.remove(place))
    }

    /// Waiting machines, the earliest first.
    pub fn list(&mut self, now: Time) -> impl Iterator<Item = &Waiting> {
        self.expire(now);
        self.waiting.iter()
    }

    /// Attempts that broke off before a code was shown here, since the start: what a search for a code leaves behind.
    #[must_use]
    pub fn broken_off(&self) -> u64 {
        self.begun.saturating_sub(self.arrived)
    }

    /// No code is good for longer, also where its connection has not ended yet.
    fn expire(&mut self, now: Time) {
        while self.waiting.front().is_some_and(|waiting| now.since(waiting.since) >= PAIR_WITHIN) {
            self.waiting.pop_front();
        }
    }
}

/// Rate limit: some in a row, then one for each pause.
#[derive(Clone, Copy)]
struct Pace {
    burst: u32,
    pause: Duration,
}

/// The time that the attempts so far have used up.
#[derive(Clone, Copy, Debug, Default)]
struct Attempts {
    /// From this time on, as many as the burst may come again.
    rested_at: Time,
}

impl Attempts {
    fn take(&mut self, now: Time, pace: Pace) -> bool {
        let begin = self.rested_at.max(now);
        if begin.since(now) > pace.pause * (pace.burst - 1) {
            return false;
        }
        self.rested_at = begin + pace.pause;
        true
    }
}

#[cfg(test)]
mod tests {
    use argon_proto::key::Role;

    use super::*;

    fn at(seconds: u64) -> Time {
        Time(seconds * 1_000_000)
    }

    fn code(number: usize) -> PairingCode {
        format!("{number:06}").parse().expect("six digits")
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + number).into())
    }

    fn arrive(room: &mut WaitingRoom, now: Time, number: usize, from: u32) -> Result<Arrival, NotLetIn> {
        room.on_arrival(now, code(number), Introduction::new(Role::Worker, "box", "ann"), address(from))
    }

    #[test]
    fn a_code_lets_in_the_machine_that_shows_it_once() {
        let mut room = WaitingRoom::default();
        let first = arrive(&mut room, at(0), 1, 1).expect("room").guest;
        arrive(&mut room, at(0), 2, 2).expect("room");
        assert!(room.take(at(1), code(3)).is_none(), "a wrong code");
        let taken = room.take(at(1), code(1)).expect("it waits");
        assert_eq!((taken.guest, taken.from), (first, address(1)));
        assert!(room.take(at(1), code(1)).is_none(), "twice");
        assert_eq!(room.list(at(1)).count(), 1);
    }

    #[test]
    fn a_code_is_good_for_ten_minutes() {
        let mut room = WaitingRoom::default();
        arrive(&mut room, at(0), 1, 1).expect("room");
        arrive(&mut room, at(599), 2, 1).expect("room");
        assert_eq!(room.list(at(599)).count(), 2);
        assert!(room.take(at(600), code(1)).is_none());
        assert!(room.take(at(600), code(2)).is_some());
    }

    #[test]
    fn one_address_has_four_and_the_room_sixty_four_of_which_the_oldest_leaves() {
        let mut room = WaitingRoom::default();
        for number in 0..4 {
            arrive(&mut room, at(0), number, 1).expect("room");
        }
        assert_eq!(arrive(&mut room, at(0), 4, 1), Err(NotLetIn::TooMany));
        let mapped = room.on_arrival(
            at(0),
            code(4),
            Introduction::new(Role::Worker, "box", "ann"),
            "::ffff:10.0.0.1".parse().expect("an address"),
        );
        assert_eq!(mapped, Err(NotLetIn::TooMany), "the same address in another form");
        for number in 4..64 {
            assert_eq!(arrive(&mut room, at(1), number, number as u32).expect("room").sent_away, None);
        }
        let more = arrive(&mut room, at(2), 64, 100).expect("room");
        assert_eq!(more.sent_away, Some(Guest(1)));
        assert_eq!(room.list(at(2)).count(), 64);
        room.on_left(more.guest);
        assert_eq!(room.list(at(2)).count(), 63);
        // One of the first address has gone, so that it may have another.
        arrive(&mut room, at(2), 65, 1).expect("room");
    }

    #[test]
    fn two_machines_never_wait_with_one_code() {
        let mut room = WaitingRoom::default();
        arrive(&mut room, at(0), 7, 1).expect("room");
        assert_eq!(arrive(&mut room, at(0), 7, 2), Err(NotLetIn::SameCode));
    }

    #[test]
    fn who_searches_for_a_code_gets_few_attempts_in_the_time_of_one() {
        let mut room = WaitingRoom::default();
        let tries = |room: &mut WaitingRoom, addresses: u32| {
            let mut allowed = 0_u32;
            for second in 0..600 {
                for from in 0..addresses {
                    allowed += u32::from(room.on_attempt(at(second), address(from)).is_ok());
                }
            }
            allowed
        };
        let of_one = tries(&mut room, 1);
        assert!((60..=70).contains(&of_one), "{of_one}");
        let of_many = tries(&mut WaitingRoom::default(), 3000);
        assert!((600..=700).contains(&of_many), "{of_many}");
        assert_eq!(room.broken_off(), u64::from(of_one));
    }

    #[test]
    fn an_address_that_has_rested_may_try_again_and_the_others_were_not_held_up() {
        let mut room = WaitingRoom::default();
        let in_a_row = (0..100).filter(|_| room.on_attempt(at(0), address(1)).is_ok()).count();
        assert_eq!(in_a_row, 8);
        room.on_attempt(at(0), address(2)).expect("another address");
        room.on_attempt(at(9), address(1)).expect_err("too early");
        room.on_attempt(at(10), address(1)).expect("one more");
        room.on_attempt(at(10), address(1)).expect_err("and no other");
        let later = (0..100).filter(|_| room.on_attempt(at(1000), address(1)).is_ok()).count();
        assert_eq!(later, 8);
    }
}
