//! Questions that need somebody else: each is answered, or ends with its task.

use std::time::Duration;

use crate::manager::{Manager, attempt, id, with_flags};
use argon_core::scheduler::{ConnId, Input, Limits};
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::ToWorker;
use argon_proto::conversation::{Answer, Ask};
use argon_proto::{AttemptId, BlobHash, Flags, Status, Task};
use bytes::Bytes;

const SECOND: Duration = Duration::from_secs(1);

fn ask(from: AttemptId, number: u32) -> Ask {
    Ask { from, ask: number, question: Bytes::from_static(b"{}") }
}

fn answer(to: AttemptId, number: u32) -> Answer {
    Answer { to, ask: number, found: true, bytes: Bytes::from_static(b"text") }
}

/// A task of client 1 runs at worker 11.
fn with_one_running(flags: Flags) -> Manager {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, with_flags(1, 1, flags));
    manager.commit();
    assert_eq!(manager.runs(11), [attempt(1, 1, 1)]);
    manager
}

fn asked(manager: &mut Manager, client: u64) -> Vec<u32> {
    let number = |message| if let ToClient::Ask(ask) = message { Some(ask.ask) } else { None };
    manager.sent_to_client(client).into_iter().filter_map(number).collect()
}

/// Numbers of the questions that were answered, and whether with yes.
fn answered(manager: &mut Manager, worker: u64) -> Vec<(u32, bool)> {
    let number = |message| {
        if let ToWorker::Answer(Answer { ask, found, .. }) = message { Some((ask, found)) } else { None }
    };
    manager.sent_to_worker(worker).into_iter().filter_map(number).collect()
}

#[test]
fn a_client_that_comes_back_is_asked_again_what_it_has_not_answered() {
    let mut manager = with_one_running(Flags::default());
    for number in [1, 2] {
        manager.step(Input::QuestionAsked { link: ConnId(11), ask: ask(attempt(1, 1, 1), number) });
        assert_eq!(asked(&mut manager, 1), [number]);
        if number == 1 {
            manager
                .step(Input::QuestionAnswered { link: ConnId(1), answer: answer(attempt(1, 1, 1), number) });
            assert_eq!(answered(&mut manager, 11), [(1, true)]);
        }
    }
    manager.step(Input::ClientLost { link: ConnId(1), closed_cleanly: false });
    manager.open(101);
    manager.submit(101, with_flags(1, 1, Flags::OFFERED_AGAIN));
    assert_eq!(asked(&mut manager, 101), [2]);
    manager.step(Input::QuestionAnswered { link: ConnId(101), answer: answer(attempt(1, 1, 1), 2) });
    assert_eq!(answered(&mut manager, 11), [(2, true)]);
}

#[test]
fn a_question_waits_for_a_client_that_is_away_for_a_moment_and_ends_with_its_session() {
    for comes_back in [true, false] {
        let mut manager = with_one_running(Flags::default());
        manager.step(Input::ClientLost { link: ConnId(1), closed_cleanly: false });
        manager.step(Input::QuestionAsked { link: ConnId(11), ask: ask(attempt(1, 1, 1), 7) });
        assert_eq!(answered(&mut manager, 11), [], "a no would end a command that reads");
        if comes_back {
            manager.open(101);
            manager.submit(101, with_flags(1, 1, Flags::OFFERED_AGAIN));
            assert_eq!(asked(&mut manager, 101), [7]);
        } else {
            manager.pass(Limits::default().session_grace);
            assert!(manager.sent_to_worker(11).contains(&ToWorker::Stop(vec![attempt(1, 1, 1)])));
        }
    }
}

#[test]
fn a_question_that_comes_before_the_client_after_a_restart_waits_for_it() {
    let mut manager = Manager::just_started(Limits::default(), Vec::new());
    manager.join(11, 1, &[attempt(1, 1, 1)]);
    manager.step(Input::QuestionAsked { link: ConnId(11), ask: ask(attempt(1, 1, 1), 3) });
    assert_eq!(answered(&mut manager, 11), []);
    manager.open(1);
    manager.submit(1, with_flags(1, 1, Flags::OFFERED_AGAIN));
    assert_eq!(asked(&mut manager, 1), [3]);
}

#[test]
fn a_question_that_nobody_can_answer_is_answered_with_no() {
    let mut manager = with_one_running(Flags::DETACHED);
    manager.step(Input::QuestionAsked { link: ConnId(11), ask: ask(attempt(1, 1, 1), 1) });
    assert_eq!(answered(&mut manager, 11), [(1, false)]);
}

fn hash(number: u8) -> BlobHash {
    BlobHash([number; 32])
}

fn naming(client: u64, sequence: u64, flags: Flags, blobs: &[BlobHash]) -> Task {
    let Task { head, payload, .. } = with_flags(client, sequence, flags);
    Task::new(head, blobs.iter().copied(), Bytes::new(), payload)
}

/// Tasks 1 and 2 of client 1, which name blobs 1 and 2, and one of client 2 are at worker 11.
fn with_blobs(flags: Flags) -> Manager {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.open(2);
    manager.join(11, 3, &[]);
    manager.submit(1, naming(1, 1, flags, &[hash(1), hash(9)]));
    manager.submit(1, naming(1, 2, flags, &[hash(2)]));
    manager.submit(2, naming(2, 1, Flags::default(), &[hash(2)]));
    manager.commit();
    assert_eq!(manager.runs(11).len(), 3);
    manager
}

fn missing(manager: &mut Manager, link: u64) {
    manager.step(Input::BlobsMissing { link: ConnId(link), hashes: vec![hash(1), hash(8)] });
}

fn wanted(manager: &mut Manager, client: u64) -> Vec<BlobHash> {
    let hashes = |message| if let ToClient::NeedBlob(hashes) = message { hashes } else { Vec::new() };
    manager.sent_to_client(client).into_iter().flat_map(hashes).collect()
}

#[test]
fn a_missing_blob_is_asked_of_the_client_that_owns_a_task_and_the_task_ends_in_words_if_it_never_comes() {
    let mut manager = with_blobs(Flags::default());
    missing(&mut manager, 11);
    assert_eq!((wanted(&mut manager, 1), wanted(&mut manager, 2)), (vec![hash(1)], vec![]));
    manager.pass(SECOND * 10);
    missing(&mut manager, 11);
    assert_eq!(wanted(&mut manager, 1), [hash(1)], "the worker has asked again");
    manager.pass(SECOND * 60);
    missing(&mut manager, 11);
    let outcomes = manager.outcomes(1);
    let [(task, Status::Died, report)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(*task, id(1, 1));
    assert!(report.message.contains("0101") && report.message.contains("is missing"), "{report:?}");
    assert!(manager.sent_to_worker(11).contains(&ToWorker::Stop(vec![attempt(1, 1, 1)])));
    assert_eq!(manager.outcomes(2), []);
}

#[test]
fn a_detached_task_whose_blob_is_gone_ends_at_once() {
    let mut manager = with_blobs(Flags::DETACHED);
    missing(&mut manager, 11);
    assert!(manager.sent_to_worker(11).contains(&ToWorker::Stop(vec![attempt(1, 1, 1)])));
    assert_eq!(wanted(&mut manager, 1), []);
    let state = manager.scheduler.task_state(id(1, 1)).unwrap();
    assert!(state.starts_with("ended as died"), "{state}");
}

#[test]
fn a_worker_that_misses_blobs_of_tasks_at_another_one_ends_nothing() {
    let mut manager = with_blobs(Flags::DETACHED);
    manager.join(12, 1, &[]);
    let needed = |link| manager.scheduler.needed_at(ConnId(link), &[hash(1), hash(8), hash(1)]);
    assert_eq!((needed(11), needed(12), needed(99)), (vec![hash(1)], vec![], vec![]));
    missing(&mut manager, 12);
    missing(&mut manager, 99);
    assert_eq!(manager.scheduler.task_state(id(1, 1)), Some("with worker w11".to_owned()));
}

#[test]
fn a_later_attempt_has_its_own_time_to_get_a_blob() {
    let mut manager = with_blobs(Flags::default());
    missing(&mut manager, 11);
    manager.lose(11);
    manager.join(12, 3, &[]);
    manager.pass(SECOND * 70);
    missing(&mut manager, 12);
    assert_eq!(
        (manager.outcomes(1), manager.scheduler.task_state(id(1, 1))),
        (vec![], Some("with worker w12".to_owned()))
    );
}
