//! Waiting clients learn why: what the manager answers to the request `waiting`, over the wire.

use std::time::Duration;

use argon_proto::conversation::admin::Question;
use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::key::Role;
use argon_proto::{Flags, Runtime, Secret, SessionId, Task, TaskHead, TaskId};
use argon_tests::{Cluster, WireClient, wait_for};
use bytes::Bytes;
use serde_json::Value;

fn connect(cluster: &Cluster, role: Role) -> WireClient {
    WireClient::connect(cluster.address(), &cluster.key(), role).unwrap()
}

fn secret(session: u8) -> Secret {
    Secret::new([session; 32])
}

/// A client whose session is open.
fn client(cluster: &Cluster, session: u8) -> WireClient {
    let mut client = connect(cluster, Role::Client);
    let open = Open { client: "test".into(), ..Open::of(secret(session)) };
    client.say_all([ToManager::Open(open), ToManager::Offered]);
    client
}

/// A command that sleeps, or a Python task that asks for a version.
fn task(session: u8, sequence: u64, runtime: Runtime, flags: Flags) -> Task {
    let id = TaskId { session: SessionId::of(&secret(session)), sequence };
    let head = TaskHead { flags, ..TaskHead::new(id, runtime) };
    let meta = match runtime {
        Runtime::Exec => r#"{"argv":["sleep","300"]}"#,
        Runtime::Perl | Runtime::Python | Runtime::Native => r#"{"python":"3.99"}"#,
    };
    Task::new(head, [], Bytes::from_static(meta.as_bytes()), Bytes::new().into())
}

fn ask(client: &mut WireClient) -> Value {
    answer(client, &Question::Waiting)
}

fn answer(client: &mut WireClient, question: &Question) -> Value {
    client.say(ToManager::Request(question.numbered(7)));
    loop {
        if let Some(ToClient::Reply(reply)) = client.hear() {
            assert_eq!(reply.request, 7);
            return reply.into_json();
        }
    }
}

/// Codes, runtimes and numbers of tasks, once the first of them is `code`.
fn reasons(client: &mut WireClient, code: &str) -> Vec<(String, String, u64)> {
    wait_for(code, Duration::from_secs(20), || {
        let reply = ask(client);
        assert_eq!(reply["ok"], true, "{reply}");
        let list = reply["waiting"].as_array().unwrap();
        (list.first().is_some_and(|why| why["code"] == code)).then(|| {
            list.iter()
                .map(|why| {
                    let word = |name: &str| why[name].as_str().unwrap().to_owned();
                    assert!(!word("message").is_empty());
                    (word("code"), word("runtime"), why["tasks"].as_u64().unwrap())
                })
                .collect()
        })
    })
}

fn reason(code: &str, runtime: &str, tasks: u64) -> (String, String, u64) {
    (code.to_owned(), runtime.to_owned(), tasks)
}

#[test]
fn a_client_learns_that_no_worker_is_there_then_that_slots_and_interpreters_are_missing() {
    let mut cluster = Cluster::start();
    let mut waiting = client(&cluster, 1);
    assert_eq!(ask(&mut waiting)["waiting"], serde_json::json!([]));
    waiting.say_all((1..=2).map(|n| ToManager::Submit(task(1, n, Runtime::Exec, Flags::default()))));
    waiting.say(ToManager::Submit(task(1, 3, Runtime::Python, Flags::default())));
    assert_eq!(reasons(&mut waiting, "no_worker"), [reason("no_worker", "", 3)]);
    let mut other = client(&cluster, 2);
    assert_eq!(ask(&mut other)["waiting"], serde_json::json!([]), "it was told of another's tasks");
    cluster.add_worker(&["--workers", "1"]);
    assert_eq!(
        reasons(&mut waiting, "no_runtime"),
        [reason("no_runtime", "python3.99", 1), reason("busy", "", 1)]
    );
    assert_eq!(ask(&mut waiting)["running"], 1);
}

#[test]
fn an_admin_learns_it_of_all_tasks_an_observer_is_refused_and_so_is_a_client_without_session() {
    let cluster = Cluster::start();
    let mut submitting = client(&cluster, 1);
    submitting.say(ToManager::Submit(task(1, 1, Runtime::Exec, Flags::default())));
    assert_eq!(reasons(&mut submitting, "no_worker"), [reason("no_worker", "", 1)]);
    let mut admin = connect(&cluster, Role::Admin);
    assert_eq!(reasons(&mut admin, "no_worker"), [reason("no_worker", "", 1)]);
    let mut observer = connect(&cluster, Role::Observer);
    assert_eq!(ask(&mut observer)["ok"], false);
    let mut early = connect(&cluster, Role::Client);
    assert_eq!(ask(&mut early)["ok"], false);
}

#[test]
fn a_task_whose_code_has_not_come_waits_for_it_and_one_that_is_collected_counts_for_its_collector() {
    let cluster = Cluster::start();
    let mut submitting = client(&cluster, 1);
    let bare = task(1, 1, Runtime::Exec, Flags::default());
    let meta = Bytes::copy_from_slice(bare.meta());
    let with_blob = Task::new(bare.head, [argon_proto::BlobHash([7; 32])], meta, Bytes::new().into());
    submitting.say(ToManager::Submit(with_blob));
    assert_eq!(reasons(&mut submitting, "blob"), [reason("blob", "", 1)]);

    let detached = task(1, 2, Runtime::Exec, Flags::DETACHED);
    submitting.say(ToManager::Submit(detached));
    let tickets = loop {
        if let Some(ToClient::Accepted(tickets)) = submitting.hear() {
            break tickets;
        }
    };
    let mut collecting = client(&cluster, 2);
    wait_for("the task to be known", Duration::from_secs(10), || {
        (ask(&mut submitting)["waiting"].as_array().unwrap().len() == 2).then_some(())
    });
    collecting.say(ToManager::Collect(tickets));
    assert_eq!(reasons(&mut collecting, "no_worker"), [reason("no_worker", "", 1)]);
}

#[test]
fn a_task_that_is_not_accepted_says_why_for_programs() {
    let mut cluster = Cluster::start_with(&["--queue-size", "1"]);
    let mut submitting = client(&cluster, 1);
    submitting.say_all((1..=2).map(|n| ToManager::Submit(task(1, n, Runtime::Exec, Flags::default()))));
    let report = loop {
        if let Some(ToClient::Outcome(outcome)) = submitting.hear() {
            break serde_json::from_slice::<Value>(&outcome.report).unwrap();
        }
    };
    assert_eq!(report["code"], "queue_full", "{report}");
    // Nobody else learns of tasks that were not taken.
    let shown: Vec<_> =
        cluster.status()["why"].as_array().unwrap().iter().map(|why| why["code"].clone()).collect();
    assert_eq!(shown, ["queue_full", "no_worker"]);
}

#[test]
fn a_client_that_is_gone_without_a_goodbye_is_shown_with_what_it_holds_until_it_is_given_up() {
    let mut cluster = Cluster::start_with(&["--session-grace", "3"]);
    cluster.add_worker(&["--workers", "1"]);
    let mut leaving = client(&cluster, 1);
    leaving.say_all((1..=3).map(|n| ToManager::Submit(task(1, n, Runtime::Exec, Flags::default()))));
    cluster
        .wait_for_status("one to run", |status| status["tasks_running"] == 1 && status["tasks_queued"] == 2);
    drop(leaving);
    let status = cluster.wait_for_status("it to be away", |status| status["clients"] == 0);
    let away = &status["away"][0];
    assert_eq!((&away["tasks"], &away["running"]), (&3.into(), &1.into()), "{status}");
    assert!(away["seconds_left"].as_u64().unwrap() <= 3);
    let address = cluster.address().to_owned();
    let shown = cluster.argon(&["status", "--manager", &address]);
    let shown = cluster.run(shown, "status").finish(Duration::from_secs(10)).stdout;
    assert!(
        shown.contains("away    client test: its 3 tasks (1 with workers) are cancelled, unless"),
        "{shown}"
    );
    cluster.wait_for_status("it to be given up", |status| {
        status["away"].as_array().is_some_and(Vec::is_empty) && status["tasks_running"] == 0
    });
}

#[test]
fn the_managers_log_and_its_status_say_once_that_no_worker_is_there() {
    let mut cluster = Cluster::start();
    let mut submitting = client(&cluster, 1);
    submitting.say_all((1..=2).map(|n| ToManager::Submit(task(1, n, Runtime::Exec, Flags::default()))));
    let logged = |cluster: &Cluster| {
        let manager = cluster.manager.as_ref().unwrap();
        manager.stderr().matches("no worker is connected").count()
    };
    wait_for("the log", Duration::from_secs(10), || (logged(&cluster) == 1).then_some(()));
    submitting.say(ToManager::Submit(task(1, 3, Runtime::Exec, Flags::default())));
    let status = cluster.wait_for_status("the third", |status| status["tasks_queued"] == 3);
    assert_eq!((&status["why"][0]["code"], &status["why"][0]["tasks"]), (&"no_worker".into(), &3.into()));
    let first = task(1, 1, Runtime::Exec, Flags::default()).head.id.to_string();
    let explained = answer(&mut submitting, &Question::Explain { task: first });
    assert_eq!((&explained["state"], &explained["why"][0]["code"]), (&"queued".into(), &"no_worker".into()));
    assert_eq!(logged(&cluster), 1);
}
