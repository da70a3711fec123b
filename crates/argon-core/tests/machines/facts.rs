//! Facts of tasks: names, states, times and attempts of tasks that are here and of ended ones, and who may see them.

use std::time::Duration;

use argon_core::scheduler::{ClientProgram, ConnId, Input, Limits, Moment, NamedTasks};
use argon_proto::conversation::admin::{TaskFacts, TaskFilter};
use argon_proto::holder::OwnerName;
use argon_proto::{AttemptId, Flags, Report, Runtime, Status, Task, TaskHead};

use crate::manager::{Manager, attempt, id, outcome, secret, session, task, with_flags};

/// 1970 and ten million seconds.
const UNIX_MS: u64 = 10_000_000_000;

fn moment(manager: &Manager) -> Moment {
    Moment { now: manager.now, unix_ms: UNIX_MS + manager.now.0 / 1000 }
}

fn named(client: u64, sequence: u64, meta: &'static str) -> Task {
    let head = TaskHead { retries: 1, ..TaskHead::new(id(client, sequence), Runtime::Perl) };
    Task::new(head, [], meta.into(), vec![0; 10].into())
}

fn select(manager: &Manager, filter: &TaskFilter) -> Vec<TaskFacts> {
    manager.scheduler.select_tasks(moment(manager), filter, None, 100).tasks
}

fn states(manager: &Manager, filter: &TaskFilter) -> Vec<(u64, String)> {
    let number = |facts: &TaskFacts| facts.task[32..].parse().expect("a number below ten");
    select(manager, filter).iter().map(|facts| (number(facts), facts.state.clone())).collect()
}

fn fail(manager: &mut Manager, attempt: AttemptId, message: &str) {
    let outcome =
        argon_proto::Outcome { report: Report::of(message).to_json(), ..outcome(attempt, Status::Error, 5) };
    manager.step(Input::OutcomeArrived { link: ConnId(11), outcome });
}

/// Client 1 with a task that ended well, one that failed, one that runs and one that waits, in this order.
fn with_four() -> Manager {
    let mut manager = Manager::new(Limits::default());
    let client = ClientProgram { name: "report.py".to_owned(), host: "desk".to_owned(), pid: 77 };
    manager.step(Input::SessionOpened {
        link: ConnId(1),
        owner: "ann".parse().expect("a name"),
        session: session(1),
        secret: secret(1),
        previous: None,
        client,
    });
    manager.join(11, 1, &[]);
    let metas = [r#"{"call":"a"}"#, r#"{"call":"b","label":"night"}"#, r#"{"argv":["sleep","9"]}"#, ""];
    for (sequence, meta) in (1..).zip(metas) {
        manager.submit(1, named(1, sequence, meta));
    }
    manager.pass(Duration::from_secs(1));
    manager.finish(11, attempt(1, 1, 1), Status::Ok, 1_000_000);
    manager.take(1, id(1, 1));
    manager.pass(Duration::from_secs(1));
    fail(&mut manager, attempt(1, 2, 1), "Traceback\n  line\nValueError: no\n");
    manager.pass(Duration::from_secs(1));
    manager
}

#[test]
fn tasks_are_listed_with_their_states_the_one_that_changed_last_at_the_end() {
    let manager = with_four();
    let all = states(&manager, &TaskFilter::default());
    let expected = [(4, "waiting"), (1, "ok"), (2, "error"), (3, "running")];
    assert_eq!(all, expected.map(|(number, state)| (number, state.to_owned())));
}

#[test]
fn a_task_that_ended_keeps_its_name_client_worker_times_and_error() {
    let manager = with_four();
    let facts = manager.scheduler.task_facts(moment(&manager), id(1, 2)).expect("remembered");
    assert_eq!((facts.name.as_str(), facts.label.as_str(), facts.owner.as_str()), ("night", "night", "ann"));
    assert_eq!(
        (facts.client.program.as_str(), facts.client.host.as_str(), facts.client.pid),
        ("report.py", "desk", 77)
    );
    assert_eq!((facts.worker.as_str(), facts.attempt, facts.message.as_str()), ("w11", 1, "ValueError: no"));
    assert_eq!((facts.bytes_in, facts.bytes_out, facts.run_us), (10, 0, Some(5)));
    let times = [facts.submitted_ms, facts.started_ms, facts.ended_ms]
        .map(|time| time.expect("known") - UNIX_MS - 100_000);
    assert_eq!(times, [0, 2000, 3000]);
    assert_eq!(facts.age_ms, 1000);
    let story: Vec<&str> = facts.story.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(
        story,
        [
            "report.py (process 77 of desk) submitted it for ann",
            "worker w11 received attempt 1",
            "the task ended as error: ValueError: no"
        ]
    );
    let ok = manager.scheduler.task_facts(moment(&manager), id(1, 1)).expect("remembered");
    assert_eq!((ok.state.as_str(), ok.name.as_str(), ok.bytes_out), ("ok", "a", 100));
}

#[test]
fn filters_select_by_state_name_label_worker_owner_and_age() {
    let manager = with_four();
    let numbers =
        |filter: TaskFilter| -> Vec<u64> { states(&manager, &filter).into_iter().map(|(n, _)| n).collect() };
    let all = TaskFilter::default;
    assert_eq!(numbers(TaskFilter { states: vec!["failed".to_owned()], ..all() }), [2]);
    assert_eq!(numbers(TaskFilter { states: vec!["ended".to_owned()], ..all() }), [1, 2]);
    assert_eq!(
        numbers(TaskFilter { states: vec!["waiting".to_owned(), "running".to_owned()], ..all() }),
        [4, 3]
    );
    assert_eq!(numbers(TaskFilter { name: "sl*".to_owned(), ..all() }), [3]);
    assert_eq!(numbers(TaskFilter { name: "perl code".to_owned(), ..all() }), [4], "code without a name");
    assert_eq!(numbers(TaskFilter { label: "night".to_owned(), ..all() }), [2]);
    assert_eq!(numbers(TaskFilter { worker: "w11".to_owned(), ..all() }), [1, 2, 3]);
    assert!(numbers(TaskFilter { owner: "bob".to_owned(), ..all() }).is_empty());
    assert_eq!(numbers(TaskFilter { since_ms: Some(1000), ..all() }), [2, 3]);
    assert_eq!(numbers(TaskFilter { older_ms: Some(2000), ..all() }), [4, 1]);
    assert_eq!(numbers(TaskFilter { tasks: vec![id(1, 2).to_string()], ..all() }), [2]);
    let bob: OwnerName = "bob".parse().expect("a name");
    let seen = manager.scheduler.select_tasks(moment(&manager), &all(), Some(&bob), 100);
    assert_eq!((seen.tasks.len(), seen.more), (0, 0), "a person sees its own tasks only");
    let two = manager.scheduler.select_tasks(moment(&manager), &all(), None, 2);
    assert_eq!((two.tasks.len(), two.more), (2, 2));
}

#[test]
fn attempts_that_failed_stand_in_the_story_of_the_one_that_ended_the_task() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    let mut task = with_flags(1, 1, Flags::RETRY_ERROR);
    task.head.retries = 1;
    manager.submit(1, task);
    fail(&mut manager, attempt(1, 1, 1), "first");
    let waits = &select(&manager, &TaskFilter::default())[0];
    assert_eq!(
        (waits.state.as_str(), waits.reason.as_str(), waits.message.as_str()),
        ("waiting", "delayed", "first")
    );
    manager.pass(Duration::from_secs(1));
    manager.lose(11);
    manager.join(12, 1, &[]);
    manager.finish(12, attempt(1, 1, 3), Status::Ok, 1);
    let facts = manager.scheduler.task_facts(moment(&manager), id(1, 1)).expect("here");
    let attempts: Vec<(u32, &str, &str)> = facts
        .attempts
        .iter()
        .map(|attempt| (attempt.attempt, attempt.worker.as_str(), attempt.end.as_str()))
        .collect();
    assert_eq!(attempts, [(1, "w11", "error"), (2, "w11", "lost"), (3, "w12", "ok")]);
    let story: Vec<&str> = facts.story.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(story[2], "attempt 1 ended as error: first");
    assert_eq!(story.last(), Some(&"the task ended as ok"));
}

#[test]
fn many_successes_do_not_push_out_a_failure_and_a_manager_may_remember_nothing() {
    let run = |history| {
        let mut manager = Manager::new(Limits { history, ..Limits::default() });
        manager.open(1);
        manager.join(11, 1, &[]);
        for sequence in 1..=5 {
            manager.submit(1, task(1, sequence));
            let status = if sequence == 1 { Status::Died } else { Status::Ok };
            manager.finish(11, attempt(1, sequence, 1), status, 1);
            manager.take(1, id(1, sequence));
        }
        states(&manager, &TaskFilter::default())
    };
    let remembered = [(1, "died"), (4, "ok"), (5, "ok")].map(|(number, state)| (number, state.to_owned()));
    assert_eq!(run(2), remembered);
    assert_eq!(run(0), []);
}

#[test]
fn a_task_is_named_by_its_short_form_after_its_end_and_by_its_owner_only() {
    let manager = with_four();
    let short = select(&manager, &TaskFilter { states: vec!["ok".to_owned()], ..TaskFilter::default() })[0]
        .short
        .clone();
    let of = |text: &str, owner: Option<&str>| {
        let owner: Option<OwnerName> = owner.map(|owner| owner.parse().expect("a name"));
        manager.scheduler.task_named(&text.parse().expect("a name"), owner.as_ref())
    };
    assert_eq!(of(&short, None), NamedTasks::One(id(1, 1)));
    assert_eq!(of(&short, Some("ann")), NamedTasks::One(id(1, 1)));
    assert_eq!(of(&short, Some("bob")), NamedTasks::Unknown);
    let (beginning, _) = short.split_once('.').expect("a short id");
    assert_eq!(of(beginning, None), NamedTasks::Several(4));
    assert_eq!(of(&format!("{beginning}.9"), None), NamedTasks::Unknown);
}

#[test]
fn clients_are_listed_with_their_tasks() {
    let manager = with_four();
    let views = manager.scheduler.client_views(manager.now, None);
    let [view] = views.as_slice() else { panic!("{views:?}") };
    assert_eq!(
        (view.owner.as_str(), view.connected, view.client.program.as_str()),
        ("ann", true, "report.py")
    );
    assert_eq!((view.waiting, view.running, view.untaken), (1, 1, 1));
    assert!(manager.scheduler.client_views(manager.now, Some(&"bob".parse().expect("a name"))).is_empty());
}

#[test]
fn a_detached_task_that_the_store_has_kept_is_known_after_a_restart() {
    let mut manager = Manager::new(Limits::default());
    manager.open(1);
    manager.join(11, 1, &[]);
    manager.submit(1, with_flags(1, 1, Flags::DETACHED));
    manager.commit();
    manager.finish(11, attempt(1, 1, 1), Status::Died, 1);
    manager.commit();
    let again = Manager::just_started(Limits::default(), manager.records);
    let facts = &select(&again, &TaskFilter::default())[0];
    assert_eq!((facts.state.as_str(), facts.submitted_ms, facts.detached), ("died", None, true));
}
