//! A worker is frozen for longer than its manager waits for it, and comes back: its stale attempts are dropped.

use std::time::Duration;

use argon_tests::{Cluster, wait_for};

use crate::support::{counts, let_pass, many_tasks, sum};

#[test]
fn the_tasks_of_a_worker_frozen_for_20_s_run_elsewhere_and_end_once() {
    let mut cluster = Cluster::with_workers(&[2, 2]);
    let running = cluster.start_perl(&many_tasks(400, "0.02"));
    wait_for("some tasks to run", Duration::from_secs(10), || {
        (counts(&cluster, "ran").len() > 40).then_some(())
    });
    cluster.workers[0].signal(libc::SIGSTOP);
    let_pass(&mut cluster, "12");
    assert_eq!(cluster.status()["workers"], 2, "it was given up before its time");
    cluster.wait_for_status("the frozen worker to be given up", |status| status["workers"] == 1);
    // Everything ends without it.
    assert_eq!(running.finish(Duration::from_secs(20)).stdout, sum(400));
    let_pass(&mut cluster, "4");
    let before = cluster.status()["totals"].clone();
    cluster.workers[0].signal(libc::SIGCONT);
    cluster.wait_for_status("it to be back with nothing in hand", |status| {
        status["workers"] == 2 && status["tasks_running"] == 0 && status["slots_free"] == 4
    });
    let after = cluster.status()["totals"].clone();
    assert_eq!((&after["ok"], &after["ok"]), (&before["ok"], &400.into()), "an outcome came twice");
    let runs = counts(&cluster, "ran");
    assert_eq!(runs.len(), 400);
    assert!(runs.values().all(|count| *count <= 2), "one loss, at most two runs");
    let again = runs.values().map(|count| count - 1).sum::<usize>() as u64;
    assert!(again <= after["lost_attempts"].as_u64().unwrap());
    assert_eq!(cluster.perl(&many_tasks(20, "0.01")), sum(20));
}
