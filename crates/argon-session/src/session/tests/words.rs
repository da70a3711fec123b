//! What running tasks say: output, questions; and requests to the manager.

use std::task::{Poll, Waker};

use argon_proto::conversation::admin::Reply;
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::{Answer, Ask, Output, OutputCredit};
use bytes::Bytes;

use super::{Bench, Completion, OutputChunk, OutputMode};

#[test]
fn output_is_granted_as_it_is_read() {
    let mut bench = Bench::connected();
    let number = bench.add_watched(b"x", OutputMode::Caller);
    let from = bench.attempt(number, 1);
    bench.said();
    for _ in 0..4 {
        bench.hear(ToClient::Output(Output { from, fd: 1, bytes: vec![1; 200 << 10].into() }));
    }
    assert!(bench.said().is_empty(), "nothing is granted that nobody has read");
    bench.finish(number);
    for _ in 0..4 {
        let piece = bench.journal.poll_piece(number, Waker::noop());
        assert!(
            matches!(piece, Poll::Ready(Some(OutputChunk::Output { fd: 1, .. }))),
            "output comes before the end"
        );
    }
    assert!(matches!(bench.journal.poll_piece(number, Waker::noop()), Poll::Ready(None)));
    assert!(matches!(bench.end(number), Poll::Ready(Completion::Outcome(_))));
}

#[test]
fn grants_are_cumulative_per_attempt_and_connection() {
    let mut bench = Bench::connected();
    let number = bench.add_watched(b"x", OutputMode::Caller);
    let big = Bytes::from(vec![1; 300 << 10]);
    let first = bench.attempt(number, 1);
    bench.said();
    for expected in [300 << 10, 600 << 10] {
        bench.hear(ToClient::Output(Output { from: first, fd: 2, bytes: big.clone() }));
        assert!(bench.journal.poll_piece(number, Waker::noop()).is_ready());
        assert_eq!(bench.said(), [ToManager::OutputCredit(OutputCredit { to: first, bytes: expected })]);
    }
    bench.hear(ToClient::Output(Output { from: first, fd: 2, bytes: big.clone() }));
    let second = bench.attempt(number, 2);
    bench.hear(ToClient::Output(Output { from: second, fd: 2, bytes: big }));
    assert!(bench.journal.poll_piece(number, Waker::noop()).is_ready());
    assert!(bench.said().is_empty(), "the first attempt is over");
    assert!(bench.journal.poll_piece(number, Waker::noop()).is_ready());
    assert_eq!(bench.said(), [ToManager::OutputCredit(OutputCredit { to: second, bytes: 300 << 10 })]);
}

#[test]
fn an_end_waits_for_output_that_is_being_printed() {
    let mut bench = Bench::connected();
    let number = bench.add(b"x");
    let from = bench.attempt(number, 1);
    bench.hear(ToClient::Output(Output { from, fd: 1, bytes: Bytes::from_static(b"hello") }));
    bench.finish(number);
    let prints = bench.journal.take_prints();
    assert_eq!(bench.end(number), Poll::Pending);
    bench.journal.printed(number, prints[0].count, 5);
    assert!(bench.end(number).is_ready());
}

#[test]
fn questions_go_to_who_listens_and_are_answered_with_no_otherwise() {
    let mut bench = Bench::connected();
    let (deaf, listening) = (bench.add(b"x"), bench.add_watched(b"y", OutputMode::Caller));
    bench.said();
    let ask = |from| ToClient::Ask(Ask { from, ask: 3, question: Bytes::from_static(b"{}") });
    let to = bench.attempt(deaf, 1);
    bench.hear(ask(to));
    let said = bench.said();
    assert!(matches!(&said[..], [ToManager::Answer(Answer { found: false, ask: 3, .. })]), "{said:?}");
    let to = bench.attempt(listening, 1);
    bench.hear(ask(to));
    assert!(matches!(
        bench.journal.poll_piece(listening, Waker::noop()),
        Poll::Ready(Some(OutputChunk::Ask(question))) if question.from == to
    ));
    // The caller answers while there is no connection.
    bench.journal.lost();
    bench.journal.answer(to, 3, Some(Bytes::from_static(b"yes")));
    bench.connect(10, 100);
    assert_eq!(bench.kinds().last().map(String::as_str), Some("Answer"));
}

#[test]
fn a_request_without_a_reply_is_sent_again() {
    let mut bench = Bench::connected();
    let number = bench.journal.request("status", serde_json::Map::new());
    assert_eq!(bench.kinds(), ["Request"]);
    bench.connect(10, 100);
    assert_eq!(bench.kinds(), ["Open", "Offered", "Request"]);
    bench.hear(ToClient::Reply(Reply::with(1, &())));
    let reply = bench.journal.poll_reply(number, Waker::noop());
    assert!(matches!(reply, Poll::Ready(Ok(reply)) if reply["ok"] == true));
}
