//! The manager dies, or its disk fails, at each step around a commit: what was accepted is there, once.

use std::time::Duration;

use argon_tests::Cluster;

use crate::support::{NOTE, counts};

const TASKS: usize = 4;

/// Submits tasks one after the other, then collects them all, whatever becomes of managers meanwhile.
fn program(cluster: &Cluster) -> String {
    format!(
        "my $file = '{}'; my @ids = map {{ $client->submit(sub {{ my ($n, $file) = @_; {NOTE} $note->($file, $n); $n * 2 }}, \
         [$_, $file]) }} 1..{TASKS}; print join ',', map {{ $client->collect($_) }} @ids",
        cluster.folder().join("ran").display()
    )
}

fn cluster() -> (Cluster, String) {
    let mut cluster = Cluster::start();
    cluster.kill_manager();
    let store = cluster.folder().join("store").display().to_string();
    cluster.set_manager_options(&["--store", &store]);
    (cluster, store)
}

fn finish(cluster: &mut Cluster, running: argon_tests::Process, what: &str) {
    let finished = running.finish(Duration::from_secs(60));
    assert_eq!(finished.stdout, "2,4,6,8", "{what}: {}", finished.stderr);
    let runs = counts(cluster, "ran");
    assert_eq!(runs.len(), TASKS, "{what}");
    assert!(runs.values().all(|count| *count == 1), "{what}: ran again: {runs:?}");
}

/// The manager dies at a step, for the `nth` time that it comes to it, and is started again.
fn dies_at(step: &str, nth: u32) {
    let (mut cluster, _) = cluster();
    let point = format!("{step}=kill@{nth}");
    cluster.start_manager_failing(Some(&point));
    cluster.add_worker(&["--workers", "1"]);
    let program = program(&cluster);
    let running = cluster.start_perl(&program);
    let dead = cluster.manager.take().unwrap().finish(Duration::from_secs(20));
    assert!(!dead.status.success(), "{point} was not come to");
    cluster.start_manager();
    finish(&mut cluster, running, &point);
}

#[test]
fn a_manager_that_dies_before_it_commits_accepts_and_loses_nothing() {
    for nth in [1, 2, 3, 5] {
        dies_at("commit.begin", nth);
    }
}

#[test]
fn a_manager_that_dies_with_a_half_written_commit_recovers_exactly() {
    for nth in [1, 2, 3, 5] {
        dies_at("store.written", nth);
    }
}

#[test]
fn a_manager_that_dies_after_a_commit_and_before_it_tells_recovers_exactly() {
    for nth in [1, 2, 3, 5] {
        dies_at("commit.end", nth);
        dies_at("commit.untold", nth);
    }
}

#[test]
fn a_manager_whose_disk_fails_stops_with_its_own_status_and_starts_clean() {
    let (mut cluster, _) = cluster();
    cluster.start_manager_failing(Some("store.written=fail@3"));
    cluster.add_worker(&["--workers", "1"]);
    let program = program(&cluster);
    let running = cluster.start_perl(&program);
    let stopped = cluster.manager.take().unwrap().finish(Duration::from_secs(20));
    assert_eq!(stopped.status.code(), Some(7), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("nobody can tell what it holds"), "{}", stopped.stderr);
    cluster.start_manager();
    finish(&mut cluster, running, "the disk failed");
}
