//! Ids open nothing: sessions and workers have secrets, attempts and detached tasks have tokens. Clients inside tasks are
//! in `family_rights.rs`.

use std::time::Duration;

use crate::manager::{Manager, attempt, id, secret, session, task, ticket, token, with_flags, worker_id};
use argon_core::scheduler::{ConnId, Effect, Input, Limits, Record};
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::{Held, Run, ToWorker};
use argon_proto::handshake::RefusalCode;
use argon_proto::holder::OwnerName;
use argon_proto::key::Key;
use argon_proto::{
    AttemptToken, Capabilities, Flags, Secret, SessionId, Status, TaskId, Ticket, TicketToken,
};

const SECOND: Duration = Duration::from_secs(1);

fn refusals(manager: &mut Manager) -> Vec<(u64, RefusalCode)> {
    let refusal = |effect| {
        let Effect::Close { link, code, .. } = effect else { return None };
        Some((link.0, code))
    };
    manager.take_effects().into_iter().filter_map(refusal).collect()
}

fn warnings(manager: &mut Manager) -> Vec<String> {
    let warning = |effect| if let Effect::Warn { what } = effect { Some(what) } else { None };
    manager.take_effects().into_iter().filter_map(warning).collect()
}

fn opens(link: u64, session: SessionId, secret: Secret) -> Input {
    Input::SessionOpened {
        link: ConnId(link),
        owner: OwnerName::admin(),
        session,
        secret,
        previous: None,
        client: "thief".into(),
    }
}

fn registers(link: u64, worker: u64, secret: Secret, held: Vec<Held>) -> Input {
    let mut profile = Manager::profile(worker, 1, &[]);
    profile.name = "renamed".into();
    Input::WorkerJoined { link: ConnId(link), profile, secret, previous: None, held }
}

/// A detached task of client 1 that has ended, and client 2 next to it.
fn with_one_ended() -> Manager {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.open(2);
    manager.join(11, 1, &[]);
    manager.submit(1, with_flags(1, 1, Flags::DETACHED));
    manager.commit();
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    manager.commit();
    manager.take_effects();
    manager
}

fn collect(manager: &mut Manager, link: u64, ticket: Ticket) -> Vec<Status> {
    manager.step(Input::CollectRequested { link: ConnId(link), tickets: vec![ticket] });
    manager.outcomes(link).into_iter().map(|outcome| outcome.1).collect()
}

fn is_known(manager: &Manager, id: TaskId) -> bool {
    manager.scheduler.task_state(id).is_some()
}

#[test]
fn a_session_is_taken_over_with_its_secret_only() {
    for wrong in [secret(2), Secret::new([0; 32]), Secret::new(session(1).0.repeat(2).try_into().unwrap())] {
        let mut manager = Manager::with_one_running();
        manager.step(opens(7, session(1), wrong));
        assert_eq!(refusals(&mut manager), [(7, RefusalCode::Session)]);
        manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
        assert_eq!((manager.outcomes(7), manager.outcomes(1).len()), (vec![], 1), "its client has it still");
    }
    let mut manager = Manager::with_one_running();
    manager.step(opens(7, session(1), secret(1)));
    assert_eq!(refusals(&mut manager), [(1, RefusalCode::Session)], "its client reconnected");
}

#[test]
fn a_session_that_only_the_store_knows_needs_its_secret_too() {
    let accepted = Record::TaskAccepted(with_flags(1, 1, Flags::DETACHED), OwnerName::admin());
    let mut manager = Manager::just_started(Limits::default(), vec![accepted]);
    manager.step(opens(7, session(1), secret(2)));
    assert_eq!(refusals(&mut manager), [(7, RefusalCode::Session)]);
    manager.step(Input::OwnTasksCancelled { link: ConnId(7), ids: vec![id(1, 1)] });
    manager.step(Input::OutcomesTaken { link: ConnId(7), ids: vec![id(1, 1)] });
    assert!(is_known(&manager, id(1, 1)));
    manager.open(1);
    assert_eq!(refusals(&mut manager), []);
}

#[test]
fn a_task_is_cancelled_by_its_own_session_only() {
    let mut manager = Manager::with_one_running();
    manager.open(2);
    manager.submit(1, with_flags(1, 2, Flags::DETACHED));
    manager.commit();
    for link in [2, 3] {
        let ids = vec![id(1, 1), id(1, 2)];
        manager.step(Input::OwnTasksCancelled { link: ConnId(link), ids });
    }
    assert_eq!(manager.outcomes(1), []);
    manager.step(Input::OwnTasksCancelled { link: ConnId(1), ids: vec![id(1, 1)] });
    assert_eq!(manager.outcomes(1)[0].1, Status::Cancelled);
}

#[test]
fn a_detached_outcome_is_acknowledged_by_those_who_have_it_only() {
    let mut manager = with_one_ended();
    manager.take(2, id(1, 1));
    manager.take(3, id(1, 1));
    assert!(is_known(&manager, id(1, 1)), "its id is no right to it");
    assert_eq!(collect(&mut manager, 2, ticket(id(1, 1))), [Status::Ok]);
    manager.take(2, id(1, 1));
    assert!(!is_known(&manager, id(1, 1)));

    let mut manager = with_one_ended();
    manager.take(1, id(1, 1));
    assert!(!is_known(&manager, id(1, 1)), "it is its own session's");
}

#[test]
fn a_right_to_acknowledge_does_not_pass_to_the_next_connection_or_to_other_tasks() {
    let mut manager = with_one_ended();
    assert_eq!(collect(&mut manager, 2, ticket(id(1, 1))), [Status::Ok]);
    manager.submit(1, with_flags(1, 2, Flags::DETACHED));
    manager.commit();
    manager.finish(11, attempt(1, 2, 1), Status::Ok, 10);
    manager.commit();
    manager.take(2, id(1, 2));
    assert!(is_known(&manager, id(1, 2)));
    manager.step(Input::ClientLost { link: ConnId(2), closed_cleanly: true });
    manager.open(102);
    manager.take(102, id(1, 1));
    assert!(is_known(&manager, id(1, 1)));
}

#[test]
fn who_waits_to_collect_may_acknowledge_when_the_outcome_has_come_and_not_before() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.open(2);
    manager.join(11, 1, &[]);
    manager.submit(1, with_flags(1, 1, Flags::DETACHED));
    manager.commit();
    assert_eq!(collect(&mut manager, 2, ticket(id(1, 1))), []);
    manager.take(2, id(1, 1));
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    manager.take(2, id(1, 1));
    assert!(is_known(&manager, id(1, 1)), "it is not durable, and was sent to nobody");
    manager.commit();
    assert_eq!(manager.outcomes(2)[0].1, Status::Ok);
    manager.take(2, id(1, 1));
    assert!(!is_known(&manager, id(1, 1)));
}

#[test]
fn a_wrong_token_is_answered_like_an_unknown_task() {
    let mut flipped = ticket(id(1, 1));
    flipped.token.0[15] ^= 1;
    let of_another = Ticket { id: id(1, 1), token: ticket(id(1, 2)).token };
    let other_key = Capabilities::new(&Key::cluster([8; 32])).ticket(id(1, 1));
    let none = Ticket { id: id(1, 1), token: TicketToken([0; 16]) };
    let said = |ticket| {
        let mut manager = with_one_ended();
        manager.step(Input::CollectRequested { link: ConnId(2), tickets: vec![ticket] });
        let [ToClient::Outcome(outcome)] = &manager.sent_to_client(2)[..] else { panic!("no answer") };
        manager.take(2, id(1, 1));
        assert!(is_known(&manager, id(1, 1)));
        (outcome.head.status, outcome.report.clone())
    };
    let unknown = said(ticket(id(3, 7)));
    assert_eq!(unknown.0, Status::Lost);
    for wrong in [flipped, of_another, other_key, none] {
        assert_eq!(said(wrong), unknown);
    }
}

#[test]
fn a_ticket_of_an_attached_task_collects_nothing() {
    let mut manager = Manager::with_one_running();
    manager.open(2);
    assert_eq!(collect(&mut manager, 2, ticket(id(1, 1))), [Status::Lost]);
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    assert_eq!(manager.outcomes(2), []);
}

#[test]
fn every_manager_of_the_key_gives_the_same_ticket() {
    let accepted = Record::TaskAccepted(with_flags(1, 1, Flags::DETACHED), OwnerName::admin());
    let mut manager = Manager::just_started(Limits::default(), vec![accepted]);
    manager.open(1);
    manager.submit(1, with_flags(1, 1, Flags::DETACHED.with(Flags::OFFERED_AGAIN)));
    assert_eq!(manager.sent_to_client(1), [ToClient::Accepted(vec![ticket(id(1, 1))])]);
}

#[test]
fn a_worker_is_taken_over_and_renamed_with_its_secret_only() {
    let mut manager = Manager::with_one_running();
    let held = vec![Held { attempt: attempt(1, 1, 1), token: token(11, attempt(1, 1, 1)) }];
    manager.step(registers(7, 11, secret(12), held.clone()));
    assert_eq!(refusals(&mut manager), [(7, RefusalCode::Session)]);
    assert_eq!(manager.scheduler.view(manager.now).worker_list[0].name, "w11");
    manager.step(registers(7, 11, secret(11), held));
    assert_eq!(refusals(&mut manager), [(11, RefusalCode::Session)]);
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 10);
    assert_eq!(manager.outcomes(1), [], "the old connection is no more");
    manager.finish(7, attempt(1, 1, 1), Status::Ok, 10);
    assert_eq!(manager.outcomes(1).len(), 1);
}

#[test]
fn a_run_carries_the_token_of_its_attempt_at_its_worker() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, task(1, 1));
    let sent = manager.sent_to_worker(11);
    let Some(ToWorker::Run(Run { token: given, .. })) = sent.last() else { panic!("{sent:?}") };
    assert_eq!(*given, token(11, attempt(1, 1, 1)));
    assert_ne!(*given, token(12, attempt(1, 1, 1)));
    assert_ne!(*given, token(11, attempt(1, 1, 2)));
}

/// Claims of worker 12 to the first attempt of the first task, none by right.
fn forged() -> [AttemptToken; 4] {
    let attempt_id = attempt(1, 1, 1);
    let other_key = Capabilities::new(&Key::cluster([8; 32])).of_worker(worker_id(12)).token(attempt_id);
    [AttemptToken(0), token(11, attempt_id), token(12, attempt(1, 1, 2)), other_key]
}

#[test]
fn an_attempt_is_adopted_with_its_token_only() {
    for token in forged() {
        let mut manager = Manager::new(Limits::default());
        manager.open(1);
        manager.submit(1, task(1, 1));
        let held = vec![Held { attempt: attempt(1, 1, 1), token }];
        manager.step(registers(12, 12, secret(12), held.clone()));
        assert_eq!(warnings(&mut manager).len(), 1);
        assert_eq!((manager.scheduler.totals().adopted, manager.scheduler.totals().unproven), (0, 1));
        manager.cut(12);
        manager.step(registers(112, 12, secret(12), held));
        let sent = manager.sent_to_worker(112);
        assert!(sent.contains(&ToWorker::Stop(vec![attempt(1, 1, 1)])), "{sent:?}");
        assert_eq!(warnings(&mut manager), [] as [String; 0], "it is logged once");
    }
}

#[test]
fn an_attempt_that_nobody_knows_is_kept_with_its_token_only() {
    for token in forged() {
        let mut manager = Manager::just_started(Limits::default(), Vec::new());
        manager.step(registers(12, 12, secret(12), vec![Held { attempt: attempt(1, 1, 1), token }]));
        assert_eq!(manager.scheduler.footprint().orphans, 0);
        manager.finish(12, attempt(1, 1, 1), Status::Ok, 10);
        manager.returned(12, &[attempt(1, 1, 1)]);
        manager.open(1);
        manager.submit(1, with_flags(1, 1, Flags::OFFERED_AGAIN.with(Flags::NEVER_TWICE)));
        manager.pass(SECOND * 4);
        assert_eq!(manager.outcomes(1)[0].1, Status::Lost, "nobody knows of it");
    }
}

#[test]
fn a_forged_claim_takes_nothing_from_the_worker_that_has_the_attempt() {
    for token in forged() {
        let mut manager = Manager::with_one_running();
        manager.step(registers(12, 12, secret(12), vec![Held { attempt: attempt(1, 1, 1), token }]));
        for status in [Status::Ok, Status::Error] {
            manager.finish(12, attempt(1, 1, 1), status, 10);
        }
        assert_eq!((manager.outcomes(1), manager.sent_to_worker(11)), (vec![], vec![]));
        manager.cut(11);
        manager.join(111, 1, &[attempt(1, 1, 1)]);
        manager.finish(111, attempt(1, 1, 1), Status::Ok, 10);
        assert_eq!(manager.outcomes(1)[0].1, Status::Ok);
    }
}

#[test]
fn what_a_worker_really_has_is_taken_back_if_it_shows_a_wrong_token() {
    let mut manager = Manager::with_one_running();
    let held = vec![Held { attempt: attempt(1, 1, 1), token: AttemptToken(7) }];
    manager.cut(11);
    manager.step(registers(111, 11, secret(11), held));
    let sent = manager.sent_to_worker(111);
    let stop = ToWorker::Stop(vec![attempt(1, 1, 1)]);
    let stopped = sent.iter().position(|message| *message == stop).expect("it is stopped");
    let run = sent.iter().position(|message| matches!(message, ToWorker::Run(_))).expect("it runs again");
    assert!(stopped < run, "{sent:?}");
}

#[test]
fn an_attempt_that_is_listed_with_its_token_and_a_wrong_one_goes_on() {
    let attempt = attempt(1, 1, 1);
    let listed = [AttemptToken(7), token(11, attempt)].map(|token| Held { attempt, token });
    for held in [listed.to_vec(), listed.into_iter().rev().collect()] {
        let mut manager = Manager::with_one_running();
        manager.cut(11);
        manager.step(registers(111, 11, secret(11), held));
        let sent = manager.sent_to_worker(111);
        assert!(
            !sent.iter().any(|message| matches!(message, ToWorker::Stop(_) | ToWorker::Run(_))),
            "{sent:?}"
        );
        manager.finish(111, attempt, Status::Ok, 10);
        assert_eq!(manager.outcomes(1)[0].1, Status::Ok);
    }
}

#[test]
fn tokens_of_earlier_attempts_hold_nothing_once_the_task_went_on() {
    let mut manager = Manager::with_one_running();
    manager.join(12, 1, &[]);
    manager.lose(11);
    assert_eq!(manager.runs(12), [attempt(1, 1, 2)]);
    manager.join(111, 1, &[attempt(1, 1, 1)]);
    assert!(manager.sent_to_worker(111).contains(&ToWorker::Stop(vec![attempt(1, 1, 1)])));
}
