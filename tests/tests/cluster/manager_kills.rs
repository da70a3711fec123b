//! The manager is killed under load and started again, at the scale that was promised.

use std::time::Duration;

use argon_tests::{Cluster, wait_for};

use crate::support::{counts, many_tasks, sum};

const TASKS: usize = 10_000;

#[test]
fn ten_thousand_tasks_across_three_manager_kills_end_at_ten_thousand() {
    let mut cluster = Cluster::with_workers(&[4, 4]);
    let running = cluster.start_perl(&many_tasks(TASKS, "0.002"));
    for kill in 1..=3 {
        let enough = kill * TASKS / 5;
        wait_for("more tasks to run", Duration::from_secs(60), || {
            (counts(&cluster, "ran").len() > enough).then_some(())
        });
        cluster.kill_manager();
        cluster.start_manager();
    }
    assert_eq!(running.finish(Duration::from_secs(90)).stdout, sum(TASKS));
    let ran = counts(&cluster, "ran");
    assert_eq!(ran.len(), TASKS);
    let twice: Vec<_> = ran.iter().filter(|(_, runs)| **runs > 1).collect();
    assert!(twice.is_empty(), "started again though they ran: {twice:?}");
}
