//! The session against a manager that the test plays: what it sends, when, and what callers get.

mod bench;
mod reconnects;
mod waits;
mod words;

use std::task::Poll;
use std::time::Duration;

use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::{Ask, Control, Credit, Goodbye, Incoming, TaskOutput};
use argon_proto::limit::ACK_WITHIN;
use argon_proto::{BlobHash, Flags, Payload, SessionId, Status, Task, TaskId, Ticket, TicketToken};
use bytes::Bytes;

use bench::{Bench, addition};

use super::{Addition, Completion, Effect, Input, OutputChunk, OutputMode};
use crate::blob::Blob;
use crate::error_kind::ErrorKind;

fn sequences(messages: &[ToManager]) -> Vec<(u64, bool)> {
    let submit = |message: &ToManager| {
        let ToManager::Submit(task) = message else {
            return None;
        };
        Some((task.head.id.sequence, task.head.flags.contains(Flags::OFFERED_AGAIN)))
    };
    messages.iter().filter_map(submit).collect()
}

#[test]
fn a_first_connection_opens_and_offers_nothing_again() {
    let mut bench = Bench::new();
    let early = bench.add(b"early");
    bench.connect(100, 1000);
    let sent = bench.sent();
    assert!(matches!(sent[..], [ToManager::Open(_), ToManager::Offered, ToManager::Submit(_)]), "{sent:?}");
    assert_eq!(sequences(&sent), [(early, false)]);
}

#[test]
fn an_outcome_is_handed_over_once_and_acknowledged() {
    let mut bench = Bench::connected();
    let number = bench.add(b"a");
    assert_eq!(bench.kinds(), ["Submit"]);
    assert_eq!(bench.end(number), Poll::Pending);
    bench.finish(number);
    bench.finish(number);
    assert!(matches!(bench.end(number), Poll::Ready(Completion::Outcome(_))));
    assert!(matches!(bench.end(number), Poll::Ready(Completion::Failed(ErrorKind::Closed, _))));
    assert!(bench.sent().is_empty(), "an acknowledgement can wait a little");
    bench.wait(ACK_WITHIN);
    assert_eq!(bench.sent(), [ToManager::Ack(vec![bench.session.task_id(number); 2])]);
}

#[test]
fn what_is_unfinished_is_offered_again_in_order_after_a_loss() {
    let mut bench = Bench::connected();
    let numbers: Vec<u64> = (0..4).map(|_| bench.add(b"x")).collect();
    bench.sent();
    bench.finish(numbers[1]);
    bench.lose();
    let fresh = bench.add(b"made while away");
    assert!(bench.sent().is_empty());
    bench.connect(100, 1000);
    let sent = bench.sent();
    assert_eq!(
        sequences(&sent),
        [(numbers[0], true), (numbers[2], true), (numbers[3], true), (fresh, false)]
    );
    assert_eq!(sent[4], ToManager::Offered);
    assert!(matches!(bench.end(numbers[1]), Poll::Ready(Completion::Outcome(_))));
}

#[test]
fn credit_in_tasks_and_bytes_is_never_exceeded() {
    let mut bench = Bench::new();
    bench.connect(3, 10);
    bench.sent();
    for _ in 0..3 {
        bench.add(b"1234");
    }
    assert_eq!(sequences(&bench.sent()), [(1, false), (2, false)], "three times four bytes are beyond ten");
    bench.receive(ToClient::Credit(Credit { tasks: 3, bytes: 100 }));
    bench.add(b"1");
    assert_eq!(sequences(&bench.sent()), [(3, false)], "three tasks are all");
    bench.receive(ToClient::Credit(Credit { tasks: 4, bytes: 100 }));
    assert_eq!(sequences(&bench.sent()), [(4, false)]);
}

#[test]
fn a_task_beyond_the_credit_goes_alone_and_after_all_acknowledgements() {
    let mut bench = Bench::new();
    bench.connect(10, 10);
    let small = bench.add(b"12345678");
    let big = bench.add(&[7; 100]);
    assert_eq!(sequences(&bench.sent()), [(small, false)]);
    bench.finish(small);
    let sent = bench.sent();
    assert!(matches!(sent[..], [ToManager::Ack(_), ToManager::Submit(_)]), "{sent:?}");
    assert_eq!(sequences(&sent), [(big, false)]);
}

#[test]
fn a_rejected_task_is_offered_again_after_pauses_that_grow() {
    let mut bench = Bench::connected();
    let number = bench.add(b"x");
    bench.sent();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let rejected = bench.outcome(number, Status::Rejected);
        bench.receive(ToClient::Outcome(rejected));
        assert_eq!(bench.end(number), Poll::Pending);
        let before = bench.now;
        bench.until_sent();
        pauses.push(bench.now.since(before));
        let sent = bench.sent();
        assert_eq!(sequences(&sent), [(number, false)], "the manager never had it");
        assert_eq!(sent.len(), 1, "a rejection needs no acknowledgement");
    }
    assert!(pauses[0] <= Duration::from_millis(50) && pauses[2] > pauses[0] && pauses[5] > pauses[3]);
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(2)));
    let reported = bench.effects();
    assert!(
        matches!(&reported[..], [Effect::ReportWaiting(why)] if why.code == "queue_full" && why.tasks == 1),
        "once in all these seconds: {reported:?}"
    );
}

#[test]
fn a_task_that_was_sent_before_a_loss_stays_in_doubt_when_it_is_rejected() {
    let mut bench = Bench::connected();
    let number = bench.add(b"x");
    bench.connect(100, 1000);
    assert_eq!(sequences(&bench.sent()), [(number, true)]);
    let rejected = bench.outcome(number, Status::Rejected);
    bench.receive(ToClient::Outcome(rejected));
    bench.until_sent();
    assert_eq!(sequences(&bench.sent()), [(number, true)], "it may have run there");
}

#[test]
fn a_limit_of_offers_ends_a_rejected_task() {
    let mut bench = Bench::connected();
    let once = Addition { offers_max: 1, ..addition(b"x", OutputMode::Inherit, false) };
    let number = bench.session.add(once, &mut bench.out);
    bench.sent();
    let rejected = bench.outcome(number, Status::Rejected);
    bench.receive(ToClient::Outcome(rejected.clone()));
    assert_eq!(bench.end(number), Poll::Ready(Completion::Outcome(rejected)));
}

#[test]
fn a_cancel_ends_what_was_not_sent_and_asks_for_the_rest() {
    let mut bench = Bench::new();
    let unsent = bench.add(b"x");
    bench.session.cancel(unsent, &mut bench.out);
    assert!(matches!(
        bench.end(unsent),
        Poll::Ready(Completion::Outcome(outcome)) if outcome.head.status == Status::Cancelled
    ));
    bench.connect(10, 100);
    assert_eq!(bench.kinds(), ["Open", "Offered"]);
    let sent = bench.add(b"y");
    bench.session.cancel(sent, &mut bench.out);
    assert_eq!(bench.kinds(), ["Submit", "Cancel"]);
    assert_eq!(bench.end(sent), Poll::Pending);
    // The word may have been lost with the connection.
    bench.connect(10, 100);
    assert_eq!(bench.kinds(), ["Open", "Submit", "Cancel", "Offered"]);
}

#[test]
fn a_blob_goes_once_per_connection_and_again_when_it_is_needed() {
    let mut bench = Bench::connected();
    let blob = Blob::new(&b"code"[..]);
    let with_blob = || {
        let mut addition = addition(b"", OutputMode::Inherit, false);
        addition.blobs = [blob.clone()].into_iter().collect();
        addition.task = Task::new(addition.task.head, [blob.hash()], Bytes::new(), Payload::default());
        addition
    };
    bench.session.add(with_blob(), &mut bench.out);
    bench.session.add(with_blob(), &mut bench.out);
    assert_eq!(bench.kinds(), ["Blob", "Submit", "Submit"]);
    bench.receive(ToClient::NeedBlob(vec![blob.hash(), BlobHash([9; 32])]));
    assert_eq!(bench.kinds(), ["Blob"]);
    bench.connect(10, 1000);
    assert_eq!(bench.kinds(), ["Open", "Blob", "Submit", "Submit", "Offered"]);
}

#[test]
fn a_detached_task_is_over_when_it_is_accepted() {
    let mut bench = Bench::connected();
    let number = bench.session.add(addition(b"x", OutputMode::Discard, true), &mut bench.out);
    bench.sent();
    let id = bench.session.task_id(number);
    let ticket = Ticket { id, token: TicketToken([7; 16]) };
    bench.receive(ToClient::Accepted(vec![ticket]));
    assert_eq!(bench.end(number), Poll::Ready(Completion::Accepted(ticket)));
    bench.connect(10, 100);
    assert_eq!(bench.kinds(), ["Open", "Offered"]);
}

#[test]
fn collected_outcomes_are_asked_for_again_and_kept_by_the_manager_when_unwanted() {
    let mut bench = Bench::connected();
    let id = TaskId { session: SessionId([9; 16]), sequence: 5 };
    let ticket = Ticket { id, token: TicketToken([7; 16]) };
    let (first, second) =
        (bench.session.collect(ticket, &mut bench.out), bench.session.collect(ticket, &mut bench.out));
    assert_eq!(bench.sent(), [ToManager::Collect(vec![ticket])]);
    bench.connect(10, 100);
    assert_eq!(bench.kinds(), ["Open", "Offered", "Collect"]);
    let mut outcome = bench.outcome(1, Status::Ok);
    outcome.head.id = id;
    bench.receive(ToClient::Outcome(outcome.clone()));
    assert_eq!(bench.end(first), Poll::Ready(Completion::Outcome(outcome.clone())));
    assert_eq!(bench.end(second), Poll::Ready(Completion::Outcome(outcome.clone())));
    bench.wait(ACK_WITHIN);
    assert_eq!(bench.sent(), [ToManager::Ack(vec![id])]);

    let third = bench.session.collect(ticket, &mut bench.out);
    bench.session.abandon(third, &mut bench.out);
    bench.sent();
    bench.receive(ToClient::Outcome(outcome));
    bench.wait(Duration::from_secs(1));
    assert!(bench.sent().is_empty(), "who does not want it must not acknowledge it");
}

#[test]
fn closing_ends_everything_and_says_goodbye() {
    let mut bench = Bench::connected();
    let number = bench.add(b"x");
    bench.sent();
    bench.session.end(ErrorKind::Closed, "closed", Some(Goodbye::default()), &mut bench.out);
    assert!(matches!(bench.end(number), Poll::Ready(Completion::Failed(ErrorKind::Closed, _))));
    let late = bench.add(b"y");
    assert!(matches!(bench.end(late), Poll::Ready(Completion::Failed(ErrorKind::Closed, _))));
    assert_eq!(bench.kinds(), ["Goodbye"]);
}

#[test]
fn a_task_that_nobody_waits_for_goes_on_and_is_forgotten_at_its_end() {
    let mut bench = Bench::connected();
    let number = bench.add_watched(b"x", OutputMode::Caller);
    let from = bench.attempt(number, 1);
    bench.sent();
    bench.receive(ToClient::Ask(Ask { from, ask: 1, question: Bytes::new() }));
    bench.session.abandon(number, &mut bench.out);
    assert_eq!(bench.kinds(), ["Answer"]);
    bench.receive(ToClient::Output(TaskOutput { from, fd: 1, bytes: vec![0; 300 << 10].into() }));
    assert_eq!(bench.kinds(), ["OutputCredit"]);
    bench.finish(number);
    assert!(bench.session.is_idle(), "nothing is kept");
}

#[test]
fn a_ping_is_answered() {
    let mut bench = Bench::connected();
    bench.step(Input::MessageReceived(Incoming::Control(Control::Ping(7))));
    bench.write();
    assert_eq!(bench.decoder.next(), Ok(Some(Incoming::Control(Control::Pong(7)))));
}

#[test]
fn tasks_are_found_by_their_numbers_whatever_ended_between_them() {
    let mut bench = Bench::connected();
    let numbers: Vec<u64> = (0..50).map(|_| bench.add(b"x")).collect();
    bench.sent();
    let (kept, ended): (Vec<u64>, Vec<u64>) = numbers.iter().partition(|number| *number % 20 == 3);
    for number in ended {
        bench.finish(number);
        assert!(matches!(bench.end(number), Poll::Ready(Completion::Outcome(_))));
        assert!(matches!(bench.end(number), Poll::Ready(Completion::Failed(ErrorKind::Closed, _))));
    }
    assert!(kept.iter().all(|number| bench.end(*number).is_pending()));
    bench.connect(100, 1000);
    let again: Vec<(u64, bool)> = kept.iter().map(|number| (*number, true)).collect();
    assert_eq!(sequences(&bench.sent()), again);
}
