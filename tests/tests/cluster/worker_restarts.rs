//! Workers go, at once or politely, and others carry on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argon_tests::{Cluster, wait_for};

use crate::support::{counts, lines, many_tasks, sum, wait_until_idle};

/// Seconds after which tasks of a killed worker run elsewhere if nobody saw its connection end, but only its silence.
const SILENCE: f64 = 15.0;

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

// kind: a worker that dies | a worker killed with tasks | right | its tasks run on another worker
#[test]
fn what_a_killed_worker_ran_runs_elsewhere_before_its_silence_would_tell() {
    let mut cluster = Cluster::with_workers(&[2]);
    let folder = cluster.folder().display().to_string();
    // A task notes when it starts, and ends once it is allowed to.
    let running = cluster.start_perl(&format!(
        "my @d = map {{ $client->defer(sub {{ my ($n, $folder) = @_; require Time::HiRes; \
         open my $h, '>>', \"$folder/starts\" or die $!; syswrite $h, \"$n \" . Time::HiRes::time() . \"\\n\"; close $h; \
         select undef, undef, undef, 0.01 until -e \"$folder/go\"; $n }}, [$_, '{folder}']) }} 1..2; \
         print join ',', map {{ $_->() }} @d"
    ));
    wait_for("both tasks to start", Duration::from_secs(20), || {
        (lines(&cluster, "starts").len() == 2).then_some(())
    });
    cluster.add_worker(&["--workers", "2"]);
    let killed = now();
    cluster.workers.remove(0).kill();
    let starts = wait_for("both tasks to start again", Duration::from_secs(20), || {
        let starts = lines(&cluster, "starts");
        (starts.len() == 4).then_some(starts)
    });
    std::fs::write(cluster.folder().join("go"), "").unwrap();
    assert_eq!(running.finish(Duration::from_secs(20)).stdout, "1,2");
    for line in &starts[2..] {
        let (task, time) = line.split_once(' ').unwrap();
        let after = time.parse::<f64>().unwrap() - killed;
        println!("task {task} ran elsewhere {after:.3} s after the kill");
        assert!(after < SILENCE, "task {task} ran elsewhere only after {after:.3} s");
    }
    assert_eq!(lines(&cluster, "starts").len(), 4, "one loss, two runs");
}

#[test]
fn a_rolling_restart_of_every_worker_under_load_fails_no_task() {
    const TASKS: usize = 1000;
    let mut cluster = Cluster::with_workers(&[2, 2, 2]);
    let running = cluster.start_perl(&many_tasks(TASKS, "0.02"));
    for step in 1..=3 {
        let enough = step * TASKS / 6;
        wait_for("more tasks to run", Duration::from_secs(20), || {
            (counts(&cluster, "ran").len() > enough).then_some(())
        });
        let worker = cluster.workers.remove(0);
        worker.signal(libc::SIGTERM);
        let finished = worker.finish(Duration::from_secs(20));
        assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
        cluster.add_worker(&["--workers", "2"]);
    }
    assert_eq!(running.finish(Duration::from_secs(40)).stdout, sum(TASKS));
    let ran = counts(&cluster, "ran");
    assert_eq!(ran.len(), TASKS);
    assert!(ran.values().all(|runs| *runs == 1), "a polite farewell made a task run twice");
    wait_until_idle(&mut cluster);
}
