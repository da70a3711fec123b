//! A caller that waits for more than two seconds learns why, once for each reason; another learns nothing.

use std::time::Duration;

use argon_proto::conversation::Credit;
use argon_proto::conversation::admin::Reply;
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::{Report, Status};
use serde_json::{Value, json};

use super::{Bench, Effect, Input, OutputMode, addition};
use crate::session::Member;

impl Bench {
    /// Lets `seconds` pass, and returns the codes that the hook receives.
    fn pass(&mut self, seconds: u64) -> Vec<String> {
        for _ in 0..seconds {
            // The manager answers nothing that is asked, but it lives.
            self.step(Input::BytesReceived);
            self.wait(Duration::from_secs(1));
        }
        self.codes()
    }

    fn codes(&mut self) -> Vec<String> {
        let code = |effect| if let Effect::ReportWaiting(why) = effect { Some(why.code) } else { None };
        self.effects().into_iter().filter_map(code).collect()
    }

    /// Answers the question that must have been asked, and returns what the hook receives.
    fn reasons(&mut self, codes: &[&str]) -> Vec<String> {
        let asked = self
            .sent()
            .into_iter()
            .find_map(|message| if let ToManager::Request(request) = message { Some(request) } else { None });
        let asked = asked.filter(|request| request.what == "waiting").map(|request| request.request);
        let waiting: Vec<Value> = codes
            .iter()
            .map(|code| json!({"code": code, "runtime": "", "tasks": 1, "message": "a sentence"}))
            .collect();
        let fields = json!({"waiting": waiting}).as_object().cloned().unwrap_or_default();
        let request = asked.expect("the manager is asked");
        self.receive(ToClient::Reply(Reply::with(request, &fields)));
        self.codes()
    }
}

#[test]
fn a_reason_is_handed_over_once_and_again_when_it_comes_back() {
    let mut bench = Bench::connected();
    bench.add(b"x");
    assert!(bench.pass(3).is_empty());
    assert_eq!(bench.reasons(&["no_worker"]), ["no_worker"]);
    assert!(bench.pass(4).is_empty());
    assert_eq!(bench.reasons(&["no_worker", "busy"]), ["busy"]);
    bench.pass(8);
    assert!(bench.reasons(&[]).is_empty());
    bench.pass(16);
    assert_eq!(bench.reasons(&["no_worker"]), ["no_worker"]);
}

#[test]
fn members_of_a_group_are_waited_for() {
    let mut bench = Bench::connected();
    let group = bench.session.open_group();
    let addition = addition(b"x", OutputMode::Inherit, false);
    bench.session.add_to_group(addition, Member { group, position: 0, bytes: 1 }, &mut bench.out);
    bench.pass(3);
    assert_eq!(bench.reasons(&["no_worker"]), ["no_worker"]);
    bench.session.close_group(group, &mut bench.out);
    assert_eq!(bench.kinds(), ["Cancel"], "leaving it cancels what is under way");
    assert!(bench.pass(60).is_empty());
    assert!(!bench.kinds().contains(&"Request".to_owned()), "nobody waits");
}

// kind: the reason of a wait | tasks whose handle was dropped | right | nobody waits, so nothing is said
#[test]
fn tasks_that_nobody_waits_for_give_no_reason() {
    let mut bench = Bench::connected();
    let number = bench.add(b"x");
    bench.session.abandon(number, &mut bench.out);
    assert!(bench.pass(60).is_empty());
    assert!(!bench.kinds().contains(&"Request".to_owned()));
    bench.add(b"y");
    bench.pass(4);
    assert_eq!(bench.reasons(&["busy"]), ["busy"], "the next one is waited for");
}

#[test]
fn a_full_store_is_named_by_its_code_without_a_question() {
    let mut bench = Bench::connected();
    let number = bench.add(b"x");
    bench.sent();
    let mut outcome = bench.outcome(number, Status::Rejected);
    let report = Report { code: Some("store_full".to_owned()), ..Report::of("the store is full") };
    outcome.report = report.to_json();
    let begun = bench.now;
    while bench.now.since(begun) < Duration::from_secs(8) {
        bench.receive(ToClient::Outcome(outcome.clone()));
        bench.until_sent();
        assert_eq!(bench.kinds(), ["Submit"], "no question");
    }
    assert_eq!(bench.codes(), ["store_full"], "once");
}

#[test]
fn a_manager_that_is_away_is_named_with_the_error() {
    let mut bench = Bench::connected();
    bench.add(b"x");
    bench.lose();
    bench.fail_dial();
    assert_eq!(bench.pass(3), ["manager_away"]);
    assert!(bench.pass(30).is_empty(), "once");
}

// kind: the reason of a wait | a task that is offered again to a full store just when the manager answers | right | the
//    reason is given once, and those of the manager, too
#[test]
fn a_full_store_is_named_once_though_the_task_may_be_on_its_way_when_the_manager_answers() {
    let mut bench = Bench::connected();
    let number = bench.add(b"x");
    bench.sent();
    bench.receive(ToClient::Credit(Credit { tasks: 1 << 20, bytes: 1 << 30 }));
    let mut full = bench.outcome(number, Status::Rejected);
    full.report = Report { code: Some("store_full".to_owned()), ..Report::of("the store is full") }.to_json();
    let reject = |bench: &mut Bench| {
        let begun = bench.now;
        while bench.now.since(begun) < Duration::from_secs(40) {
            bench.step(Input::BytesReceived);
            bench.receive(ToClient::Outcome(full.clone()));
            bench.until_sent();
            assert_eq!(bench.kinds(), ["Submit"], "no question");
        }
        bench.codes()
    };
    // The task was sent, and is neither rejected nor ended.
    let until_asked = |bench: &mut Bench| {
        while bench.out.frames.is_empty() {
            assert!(bench.pass(1).is_empty(), "all is known already");
        }
    };
    assert_eq!(reject(&mut bench), ["store_full"]);
    for reasons in [["no_worker"].as_slice(), &[]] {
        until_asked(&mut bench);
        assert_eq!(bench.reasons(&["no_worker"]), reasons);
        assert!(reject(&mut bench).is_empty(), "both are known already");
    }
    // Accepted, and then there is no room again.
    for _ in 0..2 {
        until_asked(&mut bench);
        assert!(bench.reasons(&["no_worker"]).is_empty());
    }
    assert_eq!(reject(&mut bench), ["store_full"]);
}
