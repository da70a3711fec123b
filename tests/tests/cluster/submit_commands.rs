//! `argon submit`, `collect`, `cancel` and `status`: commands that outlive their caller.

use std::time::Duration;

use argon_tests::{Cluster, Finished, Process};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(20);

fn start(cluster: &mut Cluster, words: &[&str]) -> Process {
    let mut command = std::process::Command::new(argon_tests::argon());
    command.args(words).env("ARGON_MANAGER", cluster.address()).env("ARGON_KEY", cluster.key());
    command.current_dir(cluster.folder());
    cluster.run(command, words[0])
}

fn argon(cluster: &mut Cluster, words: &[&str]) -> Finished {
    start(cluster, words).finish(SOON)
}

fn submit(cluster: &mut Cluster, script: &str) -> String {
    let finished = argon(cluster, &["submit", "--", "sh", "-c", script]);
    assert_eq!((finished.status.code(), finished.errors().as_str()), (Some(0), ""));
    assert_eq!(finished.stdout.len(), 82, "a ticket and a newline: {}", finished.stdout);
    finished.stdout.trim().to_owned()
}

/// The id in a ticket.
fn id_of(ticket: &str) -> &str {
    &ticket[..48]
}

#[test]
fn a_submitted_command_is_collected_once_with_its_output_and_status() {
    let mut cluster = Cluster::start();
    let id = submit(&mut cluster, "echo out; echo err >&2; exit 4");
    let waiting = start(&mut cluster, &["collect", &id]);
    cluster.wait_for_status("the collector to be there", |status| status["clients"] == 1);
    cluster.add_worker(&["--workers", "1"]);
    let collected = waiting.finish(SOON);
    assert_eq!(collected.status.code(), Some(4));
    let mut lines: Vec<&str> = collected.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["err", "out"]);
    cluster.wait_for_status("the outcome to be taken", |status| status["untaken"] == 0);
    let again = argon(&mut cluster, &["collect", &id]);
    assert_eq!(again.status.code(), Some(255));
    assert!(again.stderr.contains("collected before"), "{}", again.stderr);
}

// An id is public, so it must not suffice: `argon collect` and `argon cancel` with the id that status shows, or with
// another token, get words, and the owner still gets the outcome.
#[test]
fn an_id_without_its_ticket_gives_no_outcome_and_cancels_nothing() {
    let mut cluster = Cluster::with_workers(&[1]);
    let client = cluster.folder().join("client.key");
    let client = client.to_str().unwrap();
    assert_eq!(argon(&mut cluster, &["key", "--role", "client", "--out", client]).status.code(), Some(0));
    let ticket = submit(&mut cluster, "echo mine");
    let id = id_of(&ticket);
    let forged = format!("{id}-{}", "0".repeat(32));
    cluster.wait_for_status("it to end", |status| status["untaken"] == 1);
    let bare = argon(&mut cluster, &["collect", id]);
    assert_eq!(bare.status.code(), Some(255));
    assert!(bare.stderr.contains("is the id of a task, not its ticket"), "{}", bare.stderr);
    let wrong = argon(&mut cluster, &["collect", &forged]);
    assert!(wrong.stderr.contains("no such task") && wrong.stdout.is_empty(), "{}", wrong.stderr);
    let refused = argon(&mut cluster, &["cancel", "--key", client, id]);
    assert!(
        refused.status.code() == Some(1) && refused.stdout.contains("not its ticket"),
        "{}",
        refused.stdout
    );
    let unknown = argon(&mut cluster, &["cancel", "--key", client, &forged]);
    assert!(unknown.stdout.starts_with(&format!("{id}: unknown here")), "{}", unknown.stdout);
    let ended = argon(&mut cluster, &["cancel", "--key", client, &ticket]);
    assert_eq!(ended.stdout, format!("{id}: already ended: ok\n"));
    assert_eq!(argon(&mut cluster, &["collect", &ticket]).stdout, "mine\n");
}

#[test]
fn several_are_collected_as_lines_of_json_and_counted() {
    let mut cluster = Cluster::with_workers(&[2]);
    let ids = ["exit 0", "echo two; exit 2", "no-such-command"].map(|script| submit(&mut cluster, script));
    let [one, two, three] = &ids;
    let collected = argon(&mut cluster, &["collect", "--json", one, two, three]);
    assert_eq!(collected.status.code(), Some(2), "{}", collected.stderr);
    let found: Vec<Value> =
        collected.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let statuses: Vec<u64> = found.iter().map(|line| line["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [0, 2, 127]);
    assert_eq!(found[1]["output"], "two\n");
    assert_eq!(found[1]["id"], id_of(&ids[1]));
    assert!(found[0]["worker"].as_str().is_some());
}

#[test]
fn a_cancelled_command_never_starts_or_is_killed() {
    let mut cluster = Cluster::start();
    let id = submit(&mut cluster, "echo ran");
    assert_eq!(argon(&mut cluster, &["cancel", &id]).status.code(), Some(0));
    let collected = argon(&mut cluster, &["collect", &id]);
    assert_eq!((collected.status.code(), collected.stdout.as_str()), (Some(130), ""));
    assert!(
        collected.stderr.contains("before it started") && collected.stderr.contains(" at 127.0.0.1"),
        "{}",
        collected.stderr
    );
    let unknown = "0".repeat(48);
    let told = argon(&mut cluster, &["cancel", &unknown]);
    assert_eq!(told.status.code(), Some(1));
    assert!(told.stdout.starts_with(&format!("{unknown}: unknown here")), "{}", told.stdout);
    assert!(told.stderr.contains("not cancelled"), "{}", told.stderr);
    let told = argon(&mut cluster, &["cancel", "xyz"]);
    assert_eq!(told.status.code(), Some(2));
    assert!(told.stderr.contains("48 hexadecimal digits"), "{}", told.stderr);
}

#[test]
fn the_status_tells_what_runs_where_and_how_fast() {
    let mut cluster = Cluster::with_workers(&[1]);
    let id = submit(&mut cluster, "sleep 60");
    let status = cluster.wait_for_status("it to run", |status| status["tasks_running"] == 1);
    let running = &status["running"][0];
    assert_eq!((&running["task"], &running["what"]), (&id_of(&id).into(), &"sh -c sleep 60".into()));
    assert!(!status.to_string().contains(&id[49..]), "a token is nobody else's business");
    assert_eq!(running["runtime"], "exec");
    assert!(status["rates"]["submitted"].as_f64().unwrap() > 0.0);
    let text = argon(&mut cluster, &["status"]).stdout;
    assert!(text.contains("exec sh -c sleep 60") && text.contains("tasks a second came in"), "{text}");
    assert_eq!(argon(&mut cluster, &["cancel", &id]).status.code(), Some(0));
}
