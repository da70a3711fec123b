//! Templates fork runners; a template that fails holds nobody up.

use std::time::Duration;

use argon_core::pool::{Effect, Exit, Input, RunnerId, Settings, TemplateKey, TemplateState, Version};
use argon_core::{Machine, Time};
use argon_proto::Runtime;

use crate::hand::{Hand, handed, received, task};

const PERL: TemplateKey = TemplateKey { runtime: Runtime::Perl, version: None, environment: None };

/// A pool that has just started, with what it wanted then.
fn started(change: impl FnOnce(&mut Settings)) -> (Hand, Vec<Effect>) {
    let mut hand = Hand::unready(|settings| {
        settings.has_templates = true;
        change(settings);
    });
    let effects = hand.step(Input::Started);
    hand.step(Input::ManagerFound);
    (hand, effects)
}

fn spawned(effects: &[Effect]) -> Vec<(u64, Option<TemplateKey>)> {
    let spawn = |effect: &Effect| {
        let Effect::Spawn { runner, template, .. } = effect else { return None };
        Some((runner.0, *template))
    };
    effects.iter().filter_map(spawn).collect()
}

fn ended(why: &str) -> Input {
    Input::TemplateEnded { key: PERL, why: why.to_owned() }
}

fn started_templates(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::StartTemplate { .. })).count()
}

#[test]
fn spares_are_forked_when_the_template_is_ready_and_again_when_sessions_take_them() {
    let (mut hand, effects) = started(|settings| settings.slots = 2);
    assert_eq!(effects, [Effect::StartTemplate { key: PERL }]);
    assert!(spawned(&hand.receive(1)).is_empty(), "it is worth waiting for");
    let effects = hand.step(Input::TemplateReady { key: PERL });
    assert_eq!(
        spawned(&effects),
        [(1, Some(PERL)), (2, Some(PERL)), (3, Some(PERL))],
        "one for the task, two spare"
    );
    hand.ready(2);
    assert_eq!(handed(&hand.ready(1)), [] as [u64; 0]);
}

#[test]
fn a_template_that_dies_is_started_again_and_runners_start_without_it_meanwhile() {
    let (mut hand, _) = started(|settings| settings.runners_max = 0);
    hand.receive(1);
    hand.step(Input::TemplateReady { key: PERL });
    hand.ready(1);
    let effects = hand.step(ended("killed by signal 9"));
    assert_eq!(started_templates(&effects), 0, "not at once");
    let exit = Exit { signal: Some(9), ..Exit::default() };
    hand.step(Input::RunnerGone { runner: RunnerId(1), exit });
    let effects = hand.receive(2);
    assert_eq!(spawned(&effects), [(2, None)]);
    assert_eq!(hand.pool.next_deadline(), Some(Time(50_000)));
    assert_eq!(started_templates(&hand.after(Duration::from_millis(50))), 1);
    hand.step(Input::TemplateReady { key: PERL });
    assert_eq!(hand.pool.templates().next(), Some((PERL, TemplateState::Ready)));
}

#[test]
fn a_template_that_fails_three_times_is_given_up_and_its_runners_start_from_their_program() {
    let (mut hand, _) = started(|_| ());
    hand.receive(1);
    let mut told = Vec::new();
    for _ in 0..3 {
        let effects = hand.step(ended("no such file"));
        told.extend(effects.into_iter().filter(|effect| matches!(effect, Effect::ReportFallback { .. })));
        hand.after(Duration::from_secs(1));
    }
    assert_eq!(told, [Effect::ReportFallback { key: PERL, why: "no such file".to_owned() }]);
    assert_eq!(hand.pool.templates().next(), Some((PERL, TemplateState::GivenUp)));
    hand.ready(1);
    assert!(hand.pool.runner_of(task(1).attempt_id()).is_some(), "the task runs");
}

#[test]
fn forked_runners_that_do_not_come_up_are_the_templates_failure() {
    let (mut hand, _) = started(|_| ());
    hand.step(Input::TemplateReady { key: PERL });
    let mut effects = Vec::new();
    for runner in 1..=3 {
        let exit = Exit { signal: Some(11), ..Exit::default() };
        effects.extend(hand.step(Input::RunnerGone { runner: RunnerId(runner), exit }));
        effects.extend(hand.after(Duration::from_secs(5)));
    }
    assert!(effects.contains(&Effect::EndTemplate { key: PERL }), "{effects:?}");
    assert!(matches!(spawned(&effects).last(), Some((_, None))), "{effects:?}");
}

#[test]
fn each_python_has_a_template_that_starts_when_it_is_wanted() {
    let (mut hand, _) = started(|settings| {
        settings.runtimes.push(Runtime::Python);
        settings.pythons = vec![Version { major: 3, minor: 11 }];
    });
    let mut python = task(1);
    python.head.runtime = Runtime::Python;
    let effects = hand.step(received(python));
    let key = TemplateKey {
        runtime: Runtime::Python,
        version: Some(Version { major: 3, minor: 11 }),
        environment: None,
    };
    assert!(effects.contains(&Effect::StartTemplate { key }), "{effects:?}");
    let effects = hand.step(Input::TemplateReady { key });
    assert_eq!(spawned(&effects), [(1, Some(key))]);
}

#[test]
fn templates_end_with_their_worker() {
    let (mut hand, _) = started(|_| ());
    hand.step(Input::TemplateReady { key: PERL });
    let effects = hand.step(Input::DrainRequested("test".to_owned()));
    assert!(effects.contains(&Effect::EndTemplate { key: PERL }), "{effects:?}");
    assert_eq!(hand.step(ended("it was told to end")), []);
}
