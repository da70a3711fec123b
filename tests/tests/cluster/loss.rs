//! Processes are killed, frozen and cut off; every task ends once all the same.

use std::collections::HashMap;
use std::time::Duration;

use argon_tests::{Cluster, wait_for};

/// Tasks append their number to this file outside Argon: what ran, and how often.
fn runs(cluster: &Cluster) -> HashMap<String, usize> {
    let text = std::fs::read_to_string(cluster.folder().join("ran")).unwrap_or_default();
    let mut runs = HashMap::new();
    for line in text.lines() {
        *runs.entry(line.to_owned()).or_insert(0) += 1;
    }
    runs
}

fn many_tasks(cluster: &Cluster, count: usize, seconds: &str) -> String {
    format!(
        "my $file = '{}'; my @d = map {{ $client->defer(sub {{ my ($n, $file) = @_; \
         open my $h, '>>', $file or die $!; syswrite $h, \"$n\\n\"; close $h; \
         select undef, undef, undef, {seconds}; $n * 2 }}, [$_, $file]) }} 1..{count}; \
         my $sum = 0; $sum += $_->() for @d; print $sum",
        cluster.folder().join("ran").display()
    )
}

fn sum(count: usize) -> String {
    (count * (count + 1)).to_string()
}

#[test]
fn the_tasks_of_a_killed_worker_run_elsewhere() {
    let mut cluster = Cluster::with_workers(&[2, 2]);
    let program = many_tasks(&cluster, 200, "0.01");
    let running = cluster.start_perl(&program);
    wait_for("some tasks to run", Duration::from_secs(10), || (runs(&cluster).len() > 20).then_some(()));
    cluster.workers.remove(0).kill();
    assert_eq!(running.finish(Duration::from_secs(30)).stdout, sum(200));
    let runs = runs(&cluster);
    assert_eq!(runs.len(), 200);
    assert!(runs.values().all(|count| *count <= 2), "one loss, at most two runs");
}

#[test]
fn a_killed_manager_comes_back_and_nothing_runs_twice() {
    let mut cluster = Cluster::with_workers(&[2, 2]);
    let program = many_tasks(&cluster, 300, "0.02");
    let running = cluster.start_perl(&program);
    for kill in 1..=3 {
        let enough = kill * 40;
        wait_for("more tasks to run", Duration::from_secs(20), || {
            (runs(&cluster).len() > enough).then_some(())
        });
        cluster.kill_manager();
        cluster.start_manager();
    }
    assert_eq!(running.finish(Duration::from_secs(60)).stdout, sum(300));
    let runs = runs(&cluster);
    assert_eq!(runs.len(), 300);
    let twice: Vec<_> = runs.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "started again though they ran: {twice:?}");
}

#[test]
fn a_worker_that_was_frozen_for_a_moment_loses_nothing() {
    let mut cluster = Cluster::with_workers(&[2]);
    let program = many_tasks(&cluster, 60, "0.02");
    let running = cluster.start_perl(&program);
    wait_for("some tasks to run", Duration::from_secs(10), || (runs(&cluster).len() > 10).then_some(()));
    let worker = cluster.workers[0].pid();
    // A child that waits is the clock here: the worker stays frozen while it runs.
    cluster.workers[0].signal(libc::SIGSTOP);
    let frozen = cluster.run(
        {
            let mut command = argon_tests::perl();
            command.args(["-e", "select undef, undef, undef, 4"]);
            command
        },
        "clock",
    );
    frozen.finish(Duration::from_secs(10));
    cluster.workers[0].signal(libc::SIGCONT);
    assert_eq!(worker, cluster.workers[0].pid());
    assert_eq!(running.finish(Duration::from_secs(30)).stdout, sum(60));
    assert!(runs(&cluster).values().all(|count| *count == 1));
}

#[test]
fn a_killed_worker_leaves_no_runner_behind() {
    let mut cluster = Cluster::with_workers(&[2]);
    let pids = cluster.folder().join("pids");
    let program = format!(
        "my @d = map {{ $client->defer(sub {{ if (!fork) {{ exec 'sleep', '300' }} open my $h, '>>', $_[0]; \
         syswrite $h, \"$$\\n\"; close $h; sleep 300 }}, ['{}']) }} 1..2; $_->() for @d",
        pids.display()
    );
    let running = cluster.start_perl(&program);
    let runners = wait_for("two runners to be busy", Duration::from_secs(10), || {
        let text = std::fs::read_to_string(&pids).unwrap_or_default();
        let pids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (pids.len() == 2).then_some(pids)
    });
    cluster.workers.remove(0).kill();
    wait_for("runners and their children to be gone", Duration::from_secs(5), || {
        let groups = runners.iter().filter(|pid| group_exists(**pid)).count();
        (groups == 0).then_some(())
    });
    running.kill();
}

fn group_exists(group: i32) -> bool {
    // SAFETY: signal 0 asks only whether the group exists.
    unsafe { libc::killpg(group, 0) == 0 }
}

#[test]
fn a_runner_that_dies_ends_its_task_as_died_and_is_replaced() {
    let mut cluster = Cluster::with_workers(&[1]);
    let printed = cluster.perl(
        "for my $how (sub { kill 9, $$; sleep 9 }, sub { exit 3 }, sub { require POSIX; POSIX::_exit(4) }) { \
           eval { $client->queue($how) }; my $e = $@; \
           print join(' ', $e->kind, $e->signal // '-', $e->exit_code // '-'), \"\\n\"; } \
         print $client->queue(sub { 'alive' })",
    );
    assert_eq!(printed, "died 9 -\ndied - 3\ndied - 4\nalive");
}

// kind: drain waits | a worker that is drained under load | right | no task fails
#[test]
fn a_drained_worker_finishes_leaves_and_fails_nothing() {
    let mut cluster = Cluster::with_workers(&[2, 2]);
    let program = many_tasks(&cluster, 150, "0.02");
    let running = cluster.start_perl(&program);
    wait_for("some tasks to run", Duration::from_secs(10), || (runs(&cluster).len() > 20).then_some(()));
    let worker = cluster.workers.remove(0);
    worker.signal(libc::SIGTERM);
    let finished = worker.finish(Duration::from_secs(20));
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert_eq!(running.finish(Duration::from_secs(30)).stdout, sum(150));
    assert!(runs(&cluster).values().all(|count| *count == 1), "drained tasks ran twice");
}

#[test]
fn a_client_that_is_killed_takes_its_tasks_along_when_it_says_goodbye() {
    let mut cluster = Cluster::with_workers(&[1]);
    let printed = cluster.perl(
        "my $d = $client->defer(sub { sleep 300 }); $client->server_status; $client->shutdown; print 'bye'",
    );
    assert_eq!(printed, "bye");
    cluster.wait_for_status("the slot to be free again", |status| {
        status["slots_free"] == 1 && status["tasks_running"] == 0
    });
    assert_eq!(cluster.perl("print $client->queue(sub { 'free' })"), "free");
}
