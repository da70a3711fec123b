//! Reads of a connection, and the end of its turn.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use argon_proto::conversation::Control;
use argon_proto::conversation::client::ToClient;
use argon_proto::frame::Outbox;

use super::*;
use crate::stream::Stream;

/// Counts messages, and ends the connection with the first.
struct Counting(u32);

impl Endpoint for Counting {
    type In = ToClient;

    fn turn(&mut self, now: Instant) -> Result<NextTurn, ConnectionEnd> {
        Ok(NextTurn { is_blocked: false, wake_at: now + Duration::from_secs(60) })
    }

    fn on_message(&mut self, _: Incoming<ToClient>) -> Result<(), ConnectionEnd> {
        self.0 += 1;
        Err(ConnectionEnd::Closed)
    }

    fn on_read(&mut self, _: Instant, _: &Decoder<Incoming<ToClient>>) -> Result<(), ConnectionEnd> {
        Ok(())
    }

    fn on_bad_bytes(&mut self, error: &DecodeError) -> ConnectionEnd {
        ConnectionEnd::Lost(error.to_string())
    }
}

/// End of a connection, and number of delivered messages, if its peer wrote one and then 15 s pass before the next
/// read.
async fn after_standing_still(silence: Silence) -> (ConnectionEnd, u32) {
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let mut outbox = Outbox::default();
    outbox.push(&Control::Ping(1));
    theirs.write_all(&outbox.into_bytes()).expect("written");
    ours.set_nonblocking(true).expect("it can be");
    let ours = Stream::from(tokio::net::UnixStream::from_std(ours).expect("a stream"));
    let (reader, writer) = ours.split();
    let mut receiver = Receiver::<ToClient>::new(reader, Frames::default(), silence);
    receiver.heard_at = Instant::now().checked_sub(limit::SILENCE).expect("the machine runs that long");
    let mut counting = Counting(0);
    let wake = Notify::new();
    let carrying = carry(&mut receiver, &writer, &wake, &mut counting);
    let end = tokio::time::timeout(Duration::from_secs(60), carrying).await.expect("it ends");
    drop(theirs);
    (end, counting.0)
}

#[tokio::test(flavor = "current_thread")]
async fn what_waits_to_be_read_after_a_silence_counts_unless_silence_voids_it() {
    assert!(matches!(after_standing_still(Silence::Allowed).await, (ConnectionEnd::Closed, 1)));
    assert!(matches!(after_standing_still(Silence::Ends).await, (ConnectionEnd::Closed, 1)));
    assert!(matches!(after_standing_still(Silence::Voids).await, (ConnectionEnd::Silent, 0)));
}

/// Deliveries of the connections of a thread: the number of each connection, in order.
#[derive(Clone, Default)]
struct Delivered(Rc<RefCell<Vec<usize>>>);

/// Notes what one connection delivers, and calls `then` with the number of all messages so far.
struct Noting<F> {
    number: usize,
    delivered: Delivered,
    then: F,
}

impl<F: FnMut(usize) -> Result<(), ConnectionEnd>> Endpoint for Noting<F> {
    type In = ToClient;

    fn turn(&mut self, now: Instant) -> Result<NextTurn, ConnectionEnd> {
        Ok(NextTurn { is_blocked: false, wake_at: now + Duration::from_secs(60) })
    }

    fn on_message(&mut self, _: Incoming<ToClient>) -> Result<(), ConnectionEnd> {
        self.delivered.0.borrow_mut().push(self.number);
        (self.then)(self.delivered.0.borrow().len())
    }

    fn on_read(&mut self, _: Instant, _: &Decoder<Incoming<ToClient>>) -> Result<(), ConnectionEnd> {
        Ok(())
    }

    fn on_bad_bytes(&mut self, error: &DecodeError) -> ConnectionEnd {
        ConnectionEnd::Lost(error.to_string())
    }
}

/// A connection's two sides; the second one is written to without waiting.
fn pair() -> (Stream, std::os::unix::net::UnixStream) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("it can be");
    (Stream::from(tokio::net::UnixStream::from_std(ours).expect("a stream")), theirs)
}

fn pings(count: u32) -> Vec<u8> {
    let mut outbox = Outbox::default();
    (0..count).for_each(|number| outbox.push(&Control::Ping(number.into())));
    outbox.into_bytes()
}

/// Carries one connection in turns with others until its peer closes it, or `then` ends it.
async fn carry_in_turns(
    stream: Stream,
    turns: ReadTurns,
    number: usize,
    delivered: Delivered,
    then: impl FnMut(usize) -> Result<(), ConnectionEnd>,
) -> ConnectionEnd {
    let (reader, writer) = stream.split();
    let mut receiver = Receiver::<ToClient>::new(reader, Frames::default(), Silence::Allowed);
    receiver.take_turns(&turns);
    let wake = Notify::new();
    carry(&mut receiver, &writer, &wake, &mut Noting { number, delivered, then }).await
}

const FLOOD: u32 = 4000;

/// Connections 1 to 4 send as fast as they can, connection 0 one message in the middle of that. Returns the connection of
/// each message, in order. Connection 1 ends when `ends_early` messages have come.
fn delivered_beside_floods(ends_early: Option<usize>) -> Vec<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    let delivered = Delivered::default();
    let all = delivered.clone();
    let floods_and_one = async move {
        let (turns, mut carried) = (ReadTurns::default(), Vec::new());
        let (quiet, mut quiet_peer) = pair();
        carried.push(tokio::task::spawn_local(carry_in_turns(
            quiet,
            turns.clone(),
            0,
            delivered.clone(),
            |_| Ok(()),
        )));
        let mut peers = Vec::new();
        for number in 1..=4 {
            let (flood, mut peer) = pair();
            peer.write_all(&pings(FLOOD)).expect("the socket takes it");
            peers.push(peer);
            let mut quiet_peer = quiet_peer.try_clone().expect("a second handle");
            let then = move |count| {
                if count == SENT_AFTER {
                    quiet_peer.write_all(&pings(1)).expect("the socket takes it");
                }
                if number == 1 && ends_early.is_some_and(|after| count >= after) {
                    return Err(ConnectionEnd::Closed);
                }
                Ok(())
            };
            let carrying = carry_in_turns(flood, turns.clone(), number, delivered.clone(), then);
            carried.push(tokio::task::spawn_local(carrying));
        }
        drop(peers);
        let quiet = carried.remove(0);
        for flood in carried {
            flood.await.expect("no panic");
        }
        quiet_peer.shutdown(std::net::Shutdown::Both).expect("it is open");
        quiet.await.expect("no panic");
        let _ = quiet_peer.flush();
    };
    let bounded =
        async { tokio::time::timeout(Duration::from_secs(60), floods_and_one).await.expect("in time") };
    local.block_on(&runtime, bounded);
    all.0.take()
}

/// Messages after which the quiet peer sends its own.
const SENT_AFTER: usize = 2000;

#[test]
fn four_floods_delay_a_quiet_peer_by_one_turn_together() {
    let delivered = delivered_beside_floods(None);
    assert_eq!(delivered.len(), 4 * FLOOD as usize + 1, "nothing gets lost");
    let came = delivered.iter().position(|number| *number == 0).expect("it came");
    let waited = came - SENT_AFTER;
    assert!(waited <= turns::SHARED.messages, "{waited} messages of others came between");
}

#[test]
fn floods_share_what_is_left_equally() {
    let delivered = delivered_beside_floods(None);
    let early = &delivered[..2 * FLOOD as usize];
    for number in 1..=4 {
        let count = early.iter().filter(|one| **one == number).count();
        let share = FLOOD as usize / 2;
        assert!(count.abs_diff(share) <= 2 * turns::SHARED.messages, "{number}: {count} of {share}");
    }
}

#[test]
fn a_connection_that_ends_in_its_turn_passes_the_turn_on() {
    let delivered = delivered_beside_floods(Some(3000));
    let of_the_others = delivered.iter().filter(|number| **number > 1).count();
    assert_eq!(of_the_others, 3 * FLOOD as usize);
}
