//! Connections break anywhere in the stream, or go silent without breaking: nothing is lost, nothing runs again.

use std::time::{Duration, Instant};

use argon_tests::{Cluster, Proxy, Way, wait_for};

use crate::support::{counts, many_tasks, start_worker_at, sum, through};

/// A silence of 15 s is noticed, at the next look, by a machine under load.
const NOTICED: Duration = Duration::from_secs(25);

/// Bytes after which streams are cut: in each part of the handshake, in heads, in payloads, at their edges. Short ones and
/// long ones alternate, since after a handshake that failed one waits longer before the next.
fn cuts() -> impl Iterator<Item = u64> {
    let short = [0, 1, 3, 4, 5, 8, 9, 60, 137, 200, 257, 258, 300, 400];
    let long = [500, 520, 555, 601, 640, 777, 900, 1023, 1400, 2000, 2777, 4096, 5003, 9000];
    short.into_iter().zip(long).flat_map(|(short, long)| [long, short])
}

#[test]
fn a_client_whose_connection_is_cut_again_and_again_loses_nothing() {
    let mut cluster = Cluster::with_workers(&[2]);
    let proxy = Proxy::to(cluster.address());
    let running = cluster.start_perl(&(through(&proxy, &cluster) + &many_tasks(200, "0.02")));
    for cut in 1..=6 {
        wait_for("more tasks to run", Duration::from_secs(20), || {
            (counts(&cluster, "ran").len() > cut * 25).then_some(())
        });
        proxy.reset();
    }
    assert_eq!(running.finish(Duration::from_secs(30)).stdout, sum(200));
    assert!(proxy.connections() >= 7);
    let runs = counts(&cluster, "ran");
    assert!(runs.len() == 200 && runs.values().all(|count| *count == 1), "{runs:?}");
}

fn client_survives_cuts(way: Way) {
    let mut cluster = Cluster::with_workers(&[2]);
    let proxy = Proxy::to(cluster.address());
    // The first connection is a good one: before that a client rightly gives up soon.
    let connected = format!("{} $client->connect; ", through(&proxy, &cluster));
    let running = cluster.start_perl(&(connected + &many_tasks(800, "0.01")));
    wait_for("the first connection", Duration::from_secs(10), || (proxy.connections() == 1).then_some(()));
    wait_for("some tasks to run", Duration::from_secs(10), || {
        (counts(&cluster, "ran").len() > 10).then_some(())
    });
    cuts().for_each(|bytes| proxy.cut_next_after(way, bytes));
    proxy.reset();
    assert_eq!(running.finish(Duration::from_secs(60)).stdout, sum(800));
    assert_eq!(proxy.cuts_left(), 0, "not every cut was met");
    let runs = counts(&cluster, "ran");
    assert!(runs.len() == 800 && runs.values().all(|count| *count == 1), "{runs:?}");
}

#[test]
fn a_client_survives_cuts_after_any_number_of_bytes_it_sent() {
    client_survives_cuts(Way::There);
}

#[test]
fn a_client_survives_cuts_after_any_number_of_bytes_it_was_sent() {
    client_survives_cuts(Way::Back);
}

/// A worker's connection is cut in all those places while it works. It may stay away for longer than its tasks wait for
/// it; then each further run has a loss to show for it.
fn worker_survives_cuts(way: Way) {
    let mut cluster = Cluster::start();
    let proxy = Proxy::to(cluster.address());
    let _worker = start_worker_at(&mut cluster, proxy.address(), &["--workers", "2"]);
    let running = cluster.start_perl(&many_tasks(600, "0.02"));
    wait_for("some tasks to run", Duration::from_secs(10), || {
        (counts(&cluster, "ran").len() > 10).then_some(())
    });
    cuts().for_each(|bytes| proxy.cut_next_after(way, bytes));
    proxy.reset();
    wait_for("all cuts to be met", Duration::from_secs(60), || (proxy.cuts_left() == 0).then_some(()));
    assert_eq!(running.finish(Duration::from_secs(60)).stdout, sum(600));
    let runs = counts(&cluster, "ran");
    assert_eq!(runs.len(), 600);
    let again: usize = runs.values().map(|count| count - 1).sum();
    let totals = cluster.status()["totals"].clone();
    let lost = totals["lost_attempts"].as_u64().unwrap();
    assert!(again as u64 <= lost, "{again} tasks ran again, and {lost} attempts were lost");
    assert_eq!(totals["ok"], 600, "one outcome each");
}

#[test]
fn a_worker_survives_cuts_after_any_number_of_bytes_it_sent() {
    worker_survives_cuts(Way::There);
}

#[test]
fn a_worker_survives_cuts_after_any_number_of_bytes_it_was_sent() {
    worker_survives_cuts(Way::Back);
}

#[test]
fn a_worker_that_is_back_at_once_runs_nothing_again() {
    let mut cluster = Cluster::start();
    let proxy = Proxy::to(cluster.address());
    let _worker = start_worker_at(&mut cluster, proxy.address(), &["--workers", "2"]);
    let running = cluster.start_perl(&many_tasks(150, "0.02"));
    for cut in 1..=5 {
        wait_for("more tasks to run", Duration::from_secs(20), || {
            (counts(&cluster, "ran").len() > cut * 20).then_some(())
        });
        proxy.reset();
    }
    assert_eq!(running.finish(Duration::from_secs(30)).stdout, sum(150));
    let runs = counts(&cluster, "ran");
    assert!(runs.len() == 150 && runs.values().all(|count| *count == 1), "{runs:?}");
    assert_eq!(cluster.status()["totals"]["lost_attempts"], 0);
}

#[test]
fn a_big_payload_that_is_cut_in_its_middle_arrives_once_and_whole() {
    let mut cluster = Cluster::start();
    let (near, far) = (Proxy::to(cluster.address()), Proxy::to(cluster.address()));
    let _worker = start_worker_at(&mut cluster, far.address(), &["--workers", "2"]);
    // The client's way there, the worker's way here, the outcome's way back, the client's last.
    near.cut_next_after(Way::There, 5 << 20);
    near.cut_next_after(Way::Back, 7 << 20);
    far.reset();
    far.cut_next_after(Way::Back, 3 << 20);
    far.cut_next_after(Way::There, 2 << 20);
    let printed = cluster.perl(&format!(
        "{} my $big = join '', map {{ pack 'N', $_ }} 1..(4 << 20); use Digest::SHA 'sha1_hex'; \
         my ($sum, $back) = $client->queue(sub {{ require Digest::SHA; (Digest::SHA::sha1_hex($_[0]), $_[0]) }}, [$big]); \
         print $sum eq sha1_hex($big) && $back eq $big ? 'whole' : 'damaged'",
        through(&near, &cluster)
    ));
    assert_eq!(printed, "whole");
    assert_eq!((near.cuts_left(), far.cuts_left()), (0, 0));
}

#[test]
fn a_worker_whose_connection_goes_silent_is_given_up_and_its_late_words_change_nothing() {
    let mut cluster = Cluster::start();
    let proxy = Proxy::to(cluster.address());
    let _worker = start_worker_at(&mut cluster, proxy.address(), &["--workers", "2"]);
    let running = cluster.start_perl(&many_tasks(120, "0.05"));
    wait_for("some tasks to run", Duration::from_secs(10), || {
        (counts(&cluster, "ran").len() > 10).then_some(())
    });
    let begun = Instant::now();
    proxy.silence();
    cluster.add_worker(&["--workers", "2"]);
    assert_eq!(running.finish(NOTICED).stdout, sum(120));
    assert!(begun.elapsed() > Duration::from_secs(10), "it was given up too soon: {:?}", begun.elapsed());
    proxy.resume();
    cluster.wait_for_status("the silent worker to be back", |status| {
        status["workers"] == 2 && status["tasks_running"] == 0
    });
    let totals = cluster.status()["totals"].clone();
    assert_eq!(totals["ok"], 120, "one outcome each");
    let runs = counts(&cluster, "ran");
    assert_eq!(runs.len(), 120);
    let again = runs.values().map(|count| count - 1).sum::<usize>() as u64;
    assert!(again <= totals["lost_attempts"].as_u64().unwrap(), "{again} ran again; {totals}");
    assert_eq!(cluster.perl("print $client->queue(sub { 'both work' })"), "both work");
}

#[test]
fn a_client_whose_connection_goes_silent_notices_and_loses_nothing() {
    let mut cluster = Cluster::with_workers(&[2]);
    let proxy = Proxy::to(cluster.address());
    let running = cluster.start_perl(&(through(&proxy, &cluster) + &many_tasks(60, "0.05")));
    wait_for("some tasks to run", Duration::from_secs(10), || {
        (counts(&cluster, "ran").len() > 10).then_some(())
    });
    proxy.silence();
    assert_eq!(running.finish(NOTICED).stdout, sum(60));
    assert_eq!(proxy.connections(), 2);
    let runs = counts(&cluster, "ran");
    assert!(runs.len() == 60 && runs.values().all(|count| *count == 1), "{runs:?}");
}

#[test]
fn a_task_that_is_too_large_for_every_connection_ends_as_lost_in_words_and_others_run_meanwhile() {
    let mut cluster = Cluster::start();
    let proxy = Proxy::to(cluster.address());
    // As on a path on which large packets vanish; only sooner.
    (0..100).for_each(|_| proxy.cut_next_after(Way::Back, 50_000));
    let _worker = start_worker_at(&mut cluster, proxy.address(), &["--workers", "1"]);
    let printed = cluster.perl(
        "my $large = $client->defer(sub { length $_[0] }, ['x' x 300_000]); \
         my @small = map { $client->defer(sub { $_[0] * 2 }, [$_]) } 1..20; \
         my $sum = 0; $sum += $_->() for @small; \
         print eval { $large->(); 1 } ? 'it came through' : \"$sum: $@\"",
    );
    assert!(printed.starts_with("420: "), "{printed}");
    let words = ["did not reach worker", "3 connections in a row", "MTU"];
    assert!(words.iter().all(|words| printed.contains(words)), "{printed}");
    assert!(proxy.connections() >= 9, "{} connections", proxy.connections());
}
