//! Detached tasks: collected by other processes, once, across the death of clients and managers.

use std::time::Duration;

use argon_tests::Cluster;

use crate::support::{Folder, NOTE, counts, lines};

#[test]
fn another_process_collects_once_and_is_told_when_it_is_too_late() {
    let mut cluster = Cluster::with_workers(&[1]);
    let id = cluster.perl("print $client->submit(sub { my ($x, $y) = @_; $x * $y }, [6, 7])");
    assert_eq!(cluster.perl(&format!("print $client->collect('{id}')")), "42");
    let again = format!("eval {{ $client->collect('{id}') }}; print $@->kind, ' ', $@->message");
    // The acknowledgement of the first is on its way while its process ends.
    cluster.wait_for_status("the outcome to be taken", |status| status["untaken"] == 0);
    let told = cluster.perl(&again);
    assert!(told.starts_with("lost ") && told.contains("collected before"), "{told}");
}

#[test]
fn one_who_collects_early_waits_and_errors_are_thrown_as_they_were() {
    let mut cluster = Cluster::start();
    let id = cluster.perl("print $client->submit(sub { die \"as it was\\n\" })");
    let waiting = cluster.start_perl(&format!("eval {{ $client->collect('{id}') }}; print $@"));
    cluster.wait_for_status("the collector to be there", |status| status["clients"] == 1);
    cluster.add_worker(&["--workers", "1"]);
    assert_eq!(waiting.finish(Duration::from_secs(20)).stdout, "as it was\n");
}

#[test]
fn what_was_accepted_survives_managers_and_clients_and_runs_once() {
    let folder = Folder::new("detached");
    let mut cluster = Cluster::start_with(&["--store", &folder.file("store.redb")]);
    let ids = cluster.perl(&format!(
        "use Cwd; my $f = getcwd() . '/ran'; print join ' ', map {{ $client->submit(sub {{ my ($n, $f) = @_; {NOTE} \
         $note->($f, $n); $n * 2 }}, [$_, $f]) }} 1..60"
    ));
    cluster.kill_manager();
    cluster.start_manager();
    cluster.wait_for_status("the accepted tasks to be there again", |status| status["tasks_queued"] == 60);
    cluster.add_worker(&["--workers", "2"]);
    let collect = |ids: &[&str]| {
        let ids = ids.join(" ");
        format!("my $sum = 0; $sum += $client->collect($_) for qw({ids}); print $sum")
    };
    let ids: Vec<&str> = ids.split(' ').collect();
    assert_eq!(cluster.perl(&collect(&ids[..20])), (1..=20).map(|n| n * 2).sum::<i32>().to_string());
    cluster.wait_for_status("all to have ended", |status| status["untaken"] == 40);
    cluster.kill_manager();
    cluster.start_manager();
    assert_eq!(cluster.perl(&collect(&ids[20..])), (21..=60).map(|n| n * 2).sum::<i32>().to_string());
    let counts = counts(&cluster, "ran");
    assert_eq!(counts.len(), 60);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    cluster.wait_for_status("nothing to be left", |status| status["untaken"] == 0);
}

#[test]
fn a_detached_task_that_runs_while_its_manager_dies_goes_on_and_is_collected() {
    let folder = Folder::new("running");
    let mut cluster = Cluster::start_with(&["--store", &folder.file("store.redb")]);
    cluster.add_worker(&["--workers", "1"]);
    let id = cluster.perl(&format!(
        "use Cwd; my $dir = getcwd(); my $id = $client->submit(sub {{ my ($dir) = @_; {NOTE} $note->(\"$dir/ran\", 'ran'); \
         my $n = 0; while (!-e \"$dir/go\" && $n++ < 2000) {{ select undef, undef, undef, 0.01 }} 'went on' }}, [$dir], \
         {{ never_twice => 1 }}); my $n = 0; while (!-e \"$dir/ran\" && $n++ < 1000) {{ select undef, undef, undef, 0.01 }} print $id"
    ));
    cluster.kill_manager();
    cluster.start_manager();
    cluster.wait_for_status("the worker to be back", |status| status["workers"] == 1);
    std::fs::write(cluster.folder().join("go"), "").unwrap();
    assert_eq!(cluster.perl(&format!("print $client->collect('{id}')")), "went on");
    assert_eq!(lines(&cluster, "ran"), ["ran"]);
}

#[test]
fn an_outcome_that_nobody_collects_expires() {
    let mut cluster = Cluster::start_with(&["--result-ttl", "0.3"]);
    cluster.add_worker(&["--workers", "1"]);
    let id = cluster.perl("print $client->submit(sub { 1 })");
    cluster.wait_for_status("the outcome to expire", |status| status["totals"]["expired"] == 1);
    let told = cluster.perl(&format!("eval {{ $client->collect('{id}') }}; print $@->message"));
    assert!(told.contains("expired"), "{told}");
    assert_eq!(cluster.status()["untaken"], 0);
}
