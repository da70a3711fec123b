//! The pool with tasks that name a Python environment: they wait for it alone, and run in it or do without.

use std::time::Duration;

use argon_core::pool::{
    ENVIRONMENTS_MAX, Effect, Environment, EnvironmentFound, EnvironmentId, Input, Program, RunnerKind,
    TemplateKey, Version,
};
use argon_proto::conversation::worker::FromWorker;
use argon_proto::{BlobHash, Report, Runtime, Status, Task, TaskHead};
use bytes::Bytes;

use crate::hand::{Hand, handed, id, received, reported, task};

const VERSION: Version = Version { major: 3, minor: 11 };

fn pool(slots: usize) -> Hand {
    Hand::new(|settings| {
        settings.slots = slots;
        settings.runtimes.push(Runtime::Python);
        settings.pythons = vec![VERSION];
    })
}

fn python(sequence: u64, meta: &str) -> Task {
    let Task { head, payload, .. } = task(sequence);
    let head = TaskHead { runtime: Runtime::Python, ..head };
    Task::new(head, [], Bytes::from(meta.to_owned()), payload)
}

fn in_folder(sequence: u64, prefix: &str) -> Task {
    let environment = format!(r#"{{"prefix":"{prefix}","mark":"m","python":"3.11"}}"#);
    python(sequence, &format!(r#"{{"python":"3.11","environment":{environment}}}"#))
}

fn with_packages(sequence: u64, list: u8) -> Task {
    let list = BlobHash([list; 32]);
    python(sequence, &format!(r#"{{"python":"3.11","environment":{{"packages":"{list}"}}}}"#))
}

fn wanted(effects: &[Effect]) -> Vec<(EnvironmentId, Environment)> {
    let wanted = |effect: &Effect| {
        let Effect::FindEnvironment { id, environment, .. } = effect else { return None };
        Some((*id, environment.clone()))
    };
    effects.iter().filter_map(wanted).collect()
}

fn forgotten(effects: &[Effect]) -> Vec<EnvironmentId> {
    let forgotten = |effect: &Effect| {
        let Effect::ForgetEnvironment { id } = effect else { return None };
        Some(*id)
    };
    effects.iter().filter_map(forgotten).collect()
}

fn programs(effects: &[Effect]) -> Vec<(u64, Program)> {
    let program = |effect: &Effect| {
        let Effect::Spawn { runner, kind, .. } = effect else { return None };
        (kind.runtime == Runtime::Python).then_some((runner.0, kind.program))
    };
    effects.iter().filter_map(program).collect()
}

fn messages(effects: &[Effect]) -> Vec<String> {
    let message = |effect: &Effect| {
        let Effect::Tell(FromWorker::Outcome(outcome)) = effect else { return None };
        Some(Report::from_json(&outcome.report).message)
    };
    effects.iter().filter_map(message).collect()
}

fn found(hand: &mut Hand, id: EnvironmentId, found: EnvironmentFound) -> Vec<Effect> {
    hand.step(Input::EnvironmentFound { id, found })
}

#[test]
fn tasks_wait_for_their_environment_and_others_do_not_wait_for_them() {
    let mut hand = pool(2);
    let effects = hand.step(received(in_folder(1, "/a")));
    let [(first, Environment::Folder { prefix, mark })] = &wanted(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((prefix.as_str(), mark.as_str(), programs(&effects)), ("/a", "m", vec![]));
    assert_eq!(wanted(&hand.step(received(in_folder(2, "/a")))), [], "it was asked for");
    assert_eq!(handed(&hand.receive(3)), [3]);
    let effects = found(&mut hand, *first, EnvironmentFound::Own);
    let [(runner, program)] = programs(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(program, Program::Environment(*first, VERSION));
    assert_eq!(handed(&hand.ready(runner)), [1]);
}

#[test]
fn each_environment_has_runners_and_a_template_of_its_own() {
    let mut hand = Hand::unready(|settings| {
        settings.slots = 2;
        settings.runtimes = vec![Runtime::Python];
        settings.pythons = vec![VERSION];
        settings.has_templates = true;
    });
    hand.step(Input::Started);
    hand.step(Input::ManagerFound);
    let mut ids = Vec::new();
    for (sequence, prefix) in [(1, "/a"), (2, "/b")] {
        let (id, _) = wanted(&hand.step(received(in_folder(sequence, prefix)))).remove(0);
        let effects = found(&mut hand, id, EnvironmentFound::Own);
        let key = TemplateKey { runtime: Runtime::Python, version: Some(VERSION), environment: Some(id) };
        assert!(effects.contains(&Effect::StartTemplate { key }), "{effects:?}");
        let effects = hand.step(Input::TemplateReady { key });
        assert_eq!(programs(&effects).len(), 1, "{effects:?}");
        ids.push((programs(&effects)[0].0, sequence));
    }
    for (runner, sequence) in ids {
        assert_eq!(handed(&hand.ready(runner)), [sequence]);
    }
}

#[test]
fn tasks_of_an_environment_that_is_elsewhere_run_in_the_workers_own() {
    let mut hand = pool(1);
    let (id, _) = wanted(&hand.step(received(in_folder(1, "/a")))).remove(0);
    let effects = found(&mut hand, id, EnvironmentFound::AsWorker);
    assert_eq!(programs(&effects), [(2, Program::Version(VERSION))]);
    assert_eq!(handed(&hand.ready(2)), [1]);
    assert_eq!(wanted(&hand.step(received(in_folder(2, "/a")))), [], "not looked for again at once");
    hand.after(Duration::from_secs(61));
    hand.step(Input::ManagerHeard);
    assert_eq!(wanted(&hand.step(received(in_folder(3, "/a")))).len(), 1, "looked for again");
}

#[test]
fn a_worker_without_the_version_ends_what_it_has_no_environment_for() {
    let mut hand = pool(1);
    let meta = r#"{"python":"3.12","environment":{"prefix":"/a","mark":"m"}}"#;
    let (id, _) = wanted(&hand.step(received(python(1, meta)))).remove(0);
    let effects = found(&mut hand, id, EnvironmentFound::AsWorker);
    assert_eq!(reported(&effects), [Status::Died]);
    assert!(messages(&effects)[0].contains("has no Python 3.12"), "{effects:?}");
}

#[test]
fn an_environment_that_does_not_start_is_left_for_the_workers_own() {
    let mut hand = pool(1);
    let (id, _) = wanted(&hand.step(received(in_folder(1, "/a")))).remove(0);
    let effects = found(&mut hand, id, EnvironmentFound::Own);
    let (runner, _) = programs(&effects)[0];
    let effects = hand.gone(runner);
    assert_eq!(programs(&effects), [(runner + 1, Program::Version(VERSION))]);
}

#[test]
fn packages_that_cannot_be_installed_end_their_tasks_without_a_build_for_each() {
    let mut hand = pool(1);
    let (id, environment) = wanted(&hand.step(received(with_packages(1, 7)))).remove(0);
    assert_eq!(environment, Environment::Packages { list: BlobHash([7; 32]) });
    let effects = found(&mut hand, id, EnvironmentFound::Failed("no such package".to_owned()));
    assert_eq!(messages(&effects), ["no such package"]);
    let effects = hand.step(received(with_packages(2, 7)));
    assert_eq!((wanted(&effects), messages(&effects)), (vec![], vec!["no such package".to_owned()]));
    hand.after(Duration::from_secs(61));
    assert_eq!(wanted(&hand.step(received(with_packages(3, 7)))).len(), 1, "built again");
}

#[test]
fn a_build_that_nobody_waits_for_is_ended() {
    let mut hand = pool(1);
    let (first, _) = wanted(&hand.step(received(with_packages(1, 7)))).remove(0);
    hand.step(received(with_packages(2, 7)));
    assert_eq!(forgotten(&hand.step(Input::StopReceived(vec![id(1)]))), []);
    assert_eq!(forgotten(&hand.step(Input::StopReceived(vec![id(2)]))), [first]);
    assert_eq!(found(&mut hand, first, EnvironmentFound::Own), [], "too late");
    let (second, _) = wanted(&hand.step(received(with_packages(3, 7)))).remove(0);
    assert_ne!(first, second);
    assert_eq!(forgotten(&hand.step(Input::RetractRequested(1))), [second]);
}

#[test]
fn a_client_with_many_environments_makes_the_pool_know_a_bounded_number() {
    let mut hand = pool(1);
    for number in 0..ENVIRONMENTS_MAX as u64 {
        assert_eq!(wanted(&hand.step(received(in_folder(number, &format!("/{number}"))))).len(), 1);
    }
    // All are pending, so the next one does without.
    assert_eq!(wanted(&hand.step(received(in_folder(100, "/100")))), []);
    let effects = hand.step(received(with_packages(101, 1)));
    assert!(messages(&effects)[0].contains("16 other environments"), "{effects:?}");
    found(&mut hand, EnvironmentId(3), EnvironmentFound::AsWorker);
    let effects = hand.step(received(in_folder(102, "/102")));
    assert_eq!((forgotten(&effects), wanted(&effects).len()), (vec![EnvironmentId(3)], 1));
}

#[test]
fn descriptions_in_another_form_are_ignored() {
    let mut hand = pool(1);
    let metas = [
        r#"{"python":"3.11","environment":7}"#,
        r#"{"python":"3.11","environment":{"prefix":7,"mark":[]}}"#,
        r#"{"python":"3.11","environment":{"packages":"short"}}"#,
        r#"{"environment":{"prefix":"/a","mark":"m"}}"#,
    ];
    for (sequence, meta) in (1..).zip(metas) {
        let effects = hand.step(received(python(sequence, meta)));
        assert_eq!((wanted(&effects), reported(&effects)), (vec![], vec![]), "{meta}");
    }
    let kind = RunnerKind { runtime: Runtime::Python, program: Program::Version(VERSION), memory_mib: 0 };
    assert_eq!(kind.template().map(|key| key.environment), Some(None));
}
