//! `argon tasks`, `task`, `clients` and `workers`: what people see of tasks while they wait and run, and afterwards.

use std::process::Command;
use std::time::Duration;

use argon_tests::{Cluster, Finished, wait_for};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);

fn argon(cluster: &mut Cluster, arguments: &[&str]) -> Finished {
    with_key(cluster, None, arguments)
}

fn with_key(cluster: &mut Cluster, key: Option<&str>, arguments: &[&str]) -> Finished {
    let own = cluster.key();
    let mut command = Command::new(argon_tests::argon());
    let key = key.unwrap_or_else(|| own.to_str().unwrap());
    command.args(arguments).env("ARGON_MANAGER", cluster.address()).env("ARGON_KEY", key);
    cluster.run(command, arguments[0]).finish(SOON)
}

/// The tasks that a filter selects.
fn tasks(cluster: &mut Cluster, filter: &[&str]) -> Vec<Value> {
    let listed = argon(cluster, &[&["tasks", "--json"], filter].concat());
    assert!(listed.status.success(), "{}", listed.stderr);
    listed.stdout.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[test]
fn what_failed_is_found_by_its_state_and_its_story_has_the_error_and_the_last_output() {
    let mut cluster = Cluster::with_workers(&[1]);
    let ticket = argon(&mut cluster, &["submit", "--", "sh", "-c", "echo first words; exit 3"])
        .stdout
        .trim()
        .to_owned();
    assert!(argon(&mut cluster, &["run", "--", "true"]).status.success());
    let failed = wait_for("the failure", SOON, || tasks(&mut cluster, &["--state", "failed"]).pop());
    assert_eq!(
        (failed["state"].as_str(), failed["name"].as_str()),
        (Some("died"), Some("sh -c echo first words; exit 3"))
    );
    assert_eq!(tasks(&mut cluster, &["--name", "true"])[0]["state"], "ok");
    let short = text(&failed["short"]);
    for name in [&short, &ticket, &text(&failed["task"])] {
        let told = argon(&mut cluster, &["task", name]);
        assert_eq!(told.status.code(), Some(0), "{}", told.stderr);
        for part in
            [&short, "argon submit", "received attempt 1", "ended as died", "last output:\nfirst words"]
        {
            assert!(told.stdout.contains(part), "{part} in {}", told.stdout);
        }
    }
    let table = argon(&mut cluster, &["tasks"]).stdout;
    assert!(
        table.lines().any(|line| line.starts_with(&short) && line.contains("exited with status 3")),
        "{table}"
    );
}

// kind: keys | `argon tasks`, `task` and `clients` with the key of another person | right | a person sees its own tasks
//    only, an observer all of them
#[test]
fn a_person_sees_its_own_tasks_and_an_observer_all_of_them() {
    let mut cluster = Cluster::with_workers(&[1]);
    let file = |cluster: &Cluster, name: &str| cluster.folder().join(name).to_str().unwrap().to_owned();
    let (ann, bob, eye) = (file(&cluster, "ann"), file(&cluster, "bob"), file(&cluster, "eye"));
    for (name, role, out) in [("ann", "client", &ann), ("bob", "client", &bob), ("eve", "observer", &eye)] {
        let made = argon(&mut cluster, &["key", "add", name, "--role", role, "--out", out]);
        assert!(made.status.success(), "{}", made.stderr);
    }
    assert!(with_key(&mut cluster, Some(&ann), &["run", "--", "true"]).status.success());
    let task = tasks(&mut cluster, &["--owner", "ann"]).pop().expect("Ann's task");
    let short = text(&task["short"]);
    for (key, sees) in [(&ann, true), (&bob, false), (&eye, true)] {
        let listed = with_key(&mut cluster, Some(key), &["tasks", "--json"]);
        assert_eq!(listed.stdout.contains(&short), sees, "{}", listed.stdout);
        let told = with_key(&mut cluster, Some(key), &["task", &short]);
        assert_eq!(told.status.success(), sees, "{}", told.stderr);
    }
    let mine = with_key(&mut cluster, Some(&ann), &["tasks", "--mine", "--json"]);
    assert_eq!(mine.stdout.lines().count(), 1, "{}", mine.stdout);
}

#[test]
fn clients_and_workers_are_listed_and_a_short_id_cancels() {
    let mut cluster = Cluster::with_workers(&[1]);
    let address = cluster.address().to_owned();
    let mut sleeping = cluster.argon(&["run", "--manager", &address]);
    sleeping.args(["sleep", "300"]);
    let sleeping = cluster.run(sleeping, "run");
    let running = wait_for("it to run", SOON, || tasks(&mut cluster, &["--state", "running"]).pop());
    let client = argon(&mut cluster, &["clients", "--json"]).stdout;
    let client: Value = serde_json::from_str(client.trim()).expect("one client");
    assert_eq!((client["running"].as_u64(), client["program"].as_str()), (Some(1), Some("argon run")));
    assert_eq!(client["pid"].as_i64(), Some(i64::from(sleeping.pid())));
    let workers = argon(&mut cluster, &["workers"]).stdout;
    assert!(workers.starts_with("worker ") && workers.contains("ready"), "{workers}");
    let cancelled = argon(&mut cluster, &["cancel", &text(&running["short"])]);
    assert_eq!(cancelled.status.code(), Some(0), "{}{}", cancelled.stdout, cancelled.stderr);
    assert_eq!(sleeping.finish(SOON).status.code(), Some(130));
    assert_eq!(tasks(&mut cluster, &[&text(&running["short"])])[0]["state"], "cancelled");
    let again = argon(&mut cluster, &["cancel", &text(&running["short"])]);
    assert!(again.stdout.contains("cancelled before"), "{}", again.stdout);
}

// kind: sentences for mistakes | `argon task` and `tasks` with an id that names nothing, or several | loud | a sentence, and status 1 or 2
#[test]
fn a_name_of_nothing_or_of_several_is_refused_in_words() {
    let mut cluster = Cluster::with_workers(&[1]);
    let unknown = argon(&mut cluster, &["task", "0.1"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(unknown.stderr.contains("knows no such task"), "{}", unknown.stderr);
    let wrong = argon(&mut cluster, &["task", "what"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(wrong.stderr.contains("ee5b8a.12"), "{}", wrong.stderr);
    assert!(argon(&mut cluster, &["map", "-k", "echo", ":::", "1", "2"]).status.success());
    let short = text(&tasks(&mut cluster, &[])[0]["short"]);
    let (session, _) = short.split_once('.').unwrap();
    let several = argon(&mut cluster, &["task", session]);
    assert_eq!(several.status.code(), Some(1));
    assert!(several.stderr.contains("names 2 tasks: give more digits"), "{}", several.stderr);
}

// kind: the reason of a wait | `argon explain` of a task that waits for a slot | right | the reason, how many tasks are
//    before it, and each worker
#[test]
fn a_task_that_waits_is_explained_and_filters_cancel_what_waits() {
    let mut cluster = Cluster::with_workers(&[1]);
    for _ in 0..3 {
        assert!(argon(&mut cluster, &["submit", "--", "sleep", "300"]).status.success());
    }
    wait_for("one to run", SOON, || tasks(&mut cluster, &["--state", "running"]).pop());
    let waiting = wait_for("two to wait", SOON, || {
        let waiting = tasks(&mut cluster, &["--state", "waiting", "--name", "sleep*"]);
        (waiting.len() == 2).then(|| text(&waiting[1]["short"]))
    });
    let told = argon(&mut cluster, &["explain", &waiting]);
    assert_eq!(told.status.code(), Some(0), "{}", told.stderr);
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert_eq!(lines[0], format!("{waiting}: queued"));
    assert!(lines[1].starts_with("  the only slot is taken, and "), "{}", told.stdout);
    assert!(
        lines[2].starts_with("  worker ") && lines[2].ends_with(": its slot is taken"),
        "{}",
        told.stdout
    );
    let cancelled = argon(&mut cluster, &["cancel", "--state", "waiting", "--name", "sleep*", "--yes"]);
    assert_eq!(
        (cancelled.status.code(), cancelled.stdout.lines().count()),
        (Some(0), 2),
        "{}",
        cancelled.stdout
    );
    assert!(tasks(&mut cluster, &["--state", "waiting"]).is_empty());
    let told = argon(&mut cluster, &["explain", &waiting]);
    assert!(told.stdout.contains("ended as cancelled"), "{}", told.stdout);
    let nothing = argon(&mut cluster, &["cancel"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(nothing.stderr.contains("--name"), "{}", nothing.stderr);
}
