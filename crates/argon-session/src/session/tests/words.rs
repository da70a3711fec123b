//! Output and questions of running tasks, and requests to the manager.

use std::task::{Poll, Waker};

use argon_proto::conversation::admin::Reply;
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::{Answer, Ask, OutputCredit, TaskOutput};
use bytes::Bytes;

use super::{Bench, Completion, Effect, Input, OutputChunk, OutputMode};

#[test]
fn output_is_granted_as_it_is_read() {
    let mut bench = Bench::connected();
    let number = bench.add_watched(b"x", OutputMode::Caller);
    let from = bench.attempt(number, 1);
    bench.sent();
    for _ in 0..4 {
        bench.receive(ToClient::Output(TaskOutput { from, fd: 1, bytes: vec![1; 200 << 10].into() }));
    }
    assert!(bench.sent().is_empty(), "nothing is granted that nobody has read");
    bench.finish(number);
    for _ in 0..4 {
        let piece = bench.session.poll_chunk(number, Waker::noop(), &mut bench.out);
        assert!(
            matches!(piece, Poll::Ready(Some(OutputChunk::Output { fd: 1, .. }))),
            "output comes before the end"
        );
    }
    assert!(matches!(bench.session.poll_chunk(number, Waker::noop(), &mut bench.out), Poll::Ready(None)));
    assert!(matches!(bench.end(number), Poll::Ready(Completion::Outcome(_))));
}

#[test]
fn grants_are_cumulative_per_attempt_and_connection() {
    let mut bench = Bench::connected();
    let number = bench.add_watched(b"x", OutputMode::Caller);
    let big = Bytes::from(vec![1; 300 << 10]);
    let first = bench.attempt(number, 1);
    bench.sent();
    for expected in [300 << 10, 600 << 10] {
        bench.receive(ToClient::Output(TaskOutput { from: first, fd: 2, bytes: big.clone() }));
        assert!(bench.session.poll_chunk(number, Waker::noop(), &mut bench.out).is_ready());
        assert_eq!(bench.sent(), [ToManager::OutputCredit(OutputCredit { to: first, bytes: expected })]);
    }
    bench.receive(ToClient::Output(TaskOutput { from: first, fd: 2, bytes: big.clone() }));
    let second = bench.attempt(number, 2);
    bench.receive(ToClient::Output(TaskOutput { from: second, fd: 2, bytes: big }));
    assert!(bench.session.poll_chunk(number, Waker::noop(), &mut bench.out).is_ready());
    assert!(bench.sent().is_empty(), "the first attempt is over");
    assert!(bench.session.poll_chunk(number, Waker::noop(), &mut bench.out).is_ready());
    assert_eq!(bench.sent(), [ToManager::OutputCredit(OutputCredit { to: second, bytes: 300 << 10 })]);
}

#[test]
fn an_end_waits_for_output_that_is_being_printed() {
    let mut bench = Bench::connected();
    let number = bench.add(b"x");
    let from = bench.attempt(number, 1);
    bench.receive(ToClient::Output(TaskOutput { from, fd: 1, bytes: Bytes::from_static(b"hello") }));
    bench.finish(number);
    let effects = bench.effects();
    let [Effect::Print(print)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(bench.end(number), Poll::Pending);
    bench.step(Input::OutputPrinted { number, account: print.account, bytes: 5 });
    assert!(bench.end(number).is_ready());
}

#[test]
fn questions_go_to_who_listens_and_are_answered_with_no_otherwise() {
    let mut bench = Bench::connected();
    let (deaf, listening) = (bench.add(b"x"), bench.add_watched(b"y", OutputMode::Caller));
    bench.sent();
    let ask = |from| ToClient::Ask(Ask { from, ask: 3, question: Bytes::from_static(b"{}") });
    let to = bench.attempt(deaf, 1);
    bench.receive(ask(to));
    let sent = bench.sent();
    assert!(matches!(&sent[..], [ToManager::Answer(Answer { found: false, ask: 3, .. })]), "{sent:?}");
    let to = bench.attempt(listening, 1);
    bench.receive(ask(to));
    assert!(matches!(
        bench.session.poll_chunk(listening, Waker::noop(), &mut bench.out),
        Poll::Ready(Some(OutputChunk::Ask(question))) if question.from == to
    ));
    // The caller answers while there is no connection.
    bench.lose();
    bench.session.answer(to, 3, Some(Bytes::from_static(b"yes")), &mut bench.out);
    bench.connect(10, 100);
    assert_eq!(bench.kinds().last().map(String::as_str), Some("Answer"));
}

#[test]
fn a_request_without_a_reply_is_sent_again() {
    let mut bench = Bench::connected();
    let number = bench.session.request("status", serde_json::Map::new(), &mut bench.out);
    assert_eq!(bench.kinds(), ["Request"]);
    bench.connect(10, 100);
    assert_eq!(bench.kinds(), ["Open", "Offered", "Request"]);
    bench.receive(ToClient::Reply(Reply::with(1, &())));
    let reply = bench.session.poll_reply(number, Waker::noop());
    assert!(matches!(reply, Poll::Ready(Ok(reply)) if reply["ok"] == true));
}
