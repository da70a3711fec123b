//! Dialling: when, which manager, and when a session gives up.

use std::time::Duration;

use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::{Control, Goodbye, Incoming};
use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::limit::{FIRST_MANAGER_WITHIN, REFUSALS_MAX, SILENCE};
use argon_proto::{Machine, Ticket, TicketToken};

use super::{Bench, Effect, ErrorKind, Input};

impl Bench {
    /// Lets time pass until the session dials; the addresses that it wants, and how long that took.
    fn until_dial(&mut self) -> (Vec<usize>, Duration) {
        let before = self.now;
        loop {
            let dials = self.dials();
            if !dials.is_empty() || self.session.is_ended() {
                return (dials, self.now.since(before));
            }
            let deadline = self.session.next_deadline().expect("something is due");
            self.wait(deadline.since(self.now));
        }
    }

    fn dials(&mut self) -> Vec<usize> {
        let address = |effect| if let Effect::Dial { address } = effect { Some(address) } else { None };
        self.effects().into_iter().filter_map(address).collect()
    }

    fn refuse(&mut self) {
        let refusal = Refusal::new(RefusalCode::Frame, "no");
        self.step(Input::MessageReceived(Incoming::Control(Control::Refused(refusal))));
    }
}

#[test]
fn the_first_manager_is_dialled_for_a_bounded_time_at_each_address_in_turn() {
    let mut bench = Bench::new();
    let begun = bench.now;
    let mut dialled = Vec::new();
    while !bench.session.is_ended() {
        let (addresses, pause) = bench.until_dial();
        assert!(pause <= Duration::from_secs(2), "{pause:?}");
        dialled.extend(addresses);
        bench.fail_dial();
    }
    assert!(bench.now.since(begun) >= FIRST_MANAGER_WITHIN, "tried only until {:?}", bench.now);
    let turns: Vec<usize> = (0..dialled.len()).map(|place| place % 2).collect();
    assert_eq!(dialled, turns, "one address after the other");
    let message = "the manager at a:1 cannot be reached; is it running?";
    assert_eq!(bench.session.ended(), Some((ErrorKind::Unreachable, message)), "with advice");
}

#[test]
fn a_first_dial_that_cannot_succeed_ends_the_search_at_once() {
    let mut bench = Bench::new();
    bench.step(Input::DialFailed { why: "wrong key".to_owned(), advice: String::new(), is_final: true });
    assert_eq!(bench.session.ended(), Some((ErrorKind::Unreachable, "wrong key")));
}

#[test]
fn a_lost_manager_is_dialled_for_ever_even_if_it_refuses_the_key_meanwhile() {
    let mut bench = Bench::connected();
    bench.effects();
    bench.lose();
    assert_eq!(bench.dials(), [0], "at once");
    for _ in 0..50 {
        bench.step(Input::DialFailed { why: "no".to_owned(), advice: String::new(), is_final: true });
        bench.until_dial();
    }
    assert!(!bench.session.is_ended());
    bench.connect(10, 100);
    assert_eq!(bench.kinds(), ["Open", "Offered"]);
}

#[test]
fn a_silent_manager_is_given_up_and_any_byte_breaks_the_silence() {
    let mut bench = Bench::connected();
    bench.effects();
    bench.wait(SILENCE - Duration::from_millis(1));
    bench.step(Input::BytesReceived);
    bench.wait(SILENCE - Duration::from_millis(1));
    assert!(bench.effects().is_empty());
    bench.wait(Duration::from_millis(1));
    let effects = bench.effects();
    assert!(matches!(effects[..], [Effect::Disconnect, Effect::Dial { address: 0 }]), "{effects:?}");
}

#[test]
fn a_manager_that_leaves_is_dialled_again_at_once() {
    let mut bench = Bench::connected();
    bench.effects();
    bench.receive(ToClient::Goodbye(Goodbye::default()));
    let effects = bench.effects();
    assert!(matches!(effects[..], [Effect::Disconnect, Effect::Dial { address: 0 }]), "{effects:?}");
}

#[test]
fn a_manager_that_keeps_refusing_this_client_ends_the_session() {
    let mut bench = Bench::connected();
    for refusals in 1..=REFUSALS_MAX {
        assert!(!bench.session.is_ended());
        bench.effects();
        bench.refuse();
        let (dials, pause) = bench.until_dial();
        assert_eq!(dials.is_empty(), refusals == REFUSALS_MAX, "another address, but not for ever");
        assert!(dials.is_empty() || pause >= Duration::from_millis(100), "not at once: {pause:?}");
        if !bench.session.is_ended() {
            bench.connect(10, 100);
        }
    }
    let message = "the manager refuses this client again and again: no";
    assert_eq!(bench.session.ended(), Some((ErrorKind::Unreachable, message)));
}

#[test]
fn refusals_count_anew_once_a_manager_has_served() {
    let mut bench = Bench::connected();
    for _ in 0..3 * REFUSALS_MAX {
        let number = bench.add(b"x");
        bench.finish(number);
        bench.refuse();
        bench.until_dial();
        bench.connect(100, 1000);
    }
    assert!(!bench.session.is_ended());
}

#[test]
fn messages_of_a_connection_that_was_given_up_change_nothing() {
    let mut bench = Bench::connected();
    let number = bench.add(b"x");
    bench.sent();
    bench.lose();
    bench.finish(number);
    assert!(bench.end(number).is_pending(), "the next manager sends it again");
}

#[test]
fn cancels_without_a_connection_reach_the_next_manager() {
    let mut bench = Bench::connected();
    let [one, other] =
        [77, 78].map(|number| Ticket { id: bench.session.task_id(number), token: TicketToken([7; 16]) });
    bench.lose();
    let number = bench.session.collect(one, &mut bench.out);
    bench.session.cancel(number, &mut bench.out);
    bench.session.cancel_detached(&[other], &mut bench.out);
    bench.connect(10, 100);
    assert_eq!(bench.kinds(), ["Open", "Offered", "Collect", "Request", "Request"]);
}
