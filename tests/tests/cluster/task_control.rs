//! Time limits, cancel, never_twice and tasks that kill their workers: the process is really gone, the caller is told once.

use std::time::{Duration, Instant};

use argon_tests::{Cluster, wait_for};

use crate::support::{NOTE, counts, lines, wait_for_numbers, wait_until_gone, wait_until_idle};

/// TERM, 2 s, KILL, and some air.
const GRACE: Duration = Duration::from_secs(4);

/// A task that notes its runner and a child, both deaf to TERM, and sleeps.
fn stubborn() -> String {
    format!(
        "sub {{ my ($f) = @_; {NOTE} $SIG{{TERM}} = 'IGNORE'; my $child = fork // die; \
         if (!$child) {{ exec 'sleep', '300' }} $note->($f, $child); $note->($f, $$); sleep 300 while 1 }}"
    )
}

#[test]
fn a_time_limit_ends_the_runner_and_its_children_even_if_they_resist() {
    let mut cluster = Cluster::with_workers(&[1]);
    let printed = cluster.perl(&format!(
        "use Cwd; eval {{ $client->queue({}, [getcwd() . '/pids'], {{ timeout => 0.5 }}) }}; my $e = $@; \
         print join '|', $e->kind, $e->run_ms >= 500 ? 'ran' : $e->run_ms, $e->message, $client->queue(sub {{ 'free' }})",
        stubborn()
    ));
    assert!(printed.starts_with("timeout|ran|") && printed.contains("time limit of 0.5 s"), "{printed}");
    assert!(printed.ends_with("|free"), "{printed}");
    wait_until_gone(&wait_for_numbers(&cluster, "pids", 2), Duration::from_secs(1));
}

#[test]
fn a_worker_may_have_a_time_limit_for_tasks_that_bring_none() {
    let mut cluster = Cluster::start();
    cluster.add_worker(&["--workers", "2", "--timeout", "0.4"]);
    let printed = cluster.perl(
        "my $own = $client->defer(sub { select undef, undef, undef, 1.2; 'own' }, [], { timeout => 20 }); \
         eval { $client->queue(sub { sleep 300 }) }; print $@->kind, ' ', $own->()",
    );
    assert_eq!(printed, "timeout own");
}

#[test]
fn a_timeout_is_retried_if_the_caller_wants_it() {
    let mut cluster = Cluster::with_workers(&[1]);
    let printed = cluster.perl(&format!(
        "use Cwd; my $f = getcwd() . '/ran'; eval {{ $client->queue(sub {{ {NOTE} $note->($_[0], 'ran'); sleep 300 }}, [$f], \
         {{ timeout => 2, retries => 1, retry_on => ['timeout'], backoff => 0.01 }}) }}; print join '|', $@->kind, $@->attempt, $@->story"
    ));
    assert!(printed.starts_with("timeout|2|attempt 1 on "), "{printed}");
    assert_eq!(lines(&cluster, "ran").len(), 2);
}

// kind: cancel frees the slot | a running and a waiting task that are cancelled | right | the process is killed and
//    the slot is free
#[test]
fn cancel_ends_what_waits_and_what_runs_and_frees_the_slot() {
    let mut cluster = Cluster::with_workers(&[1]);
    let running = cluster.start_perl(&format!(
        "use Cwd; my $dir = getcwd(); my $running = $client->defer({}, [\"$dir/pids\"]); \
         my $queued = $client->defer(sub {{ {NOTE} $note->($_[0], 'ran') }}, [\"$dir/ran\"]); \
         my $n = 0; while ((-s \"$dir/pids\" // 0) < 4 && $n++ < 1000) {{ select undef, undef, undef, 0.01 }} \
         $_->cancel for $queued, $running; \
         for ($queued, $running) {{ eval {{ $_->() }}; print $@->kind, ' ', $@->message, \"\\n\" }} \
         print $client->queue(sub {{ 'free' }})",
        stubborn()
    ));
    let printed = running.finish(Duration::from_secs(20)).stdout;
    let told: Vec<&str> = printed.lines().collect();
    assert!(told[0].starts_with("cancelled ") && told[1].starts_with("cancelled "), "{printed}");
    assert_eq!(told[2], "free");
    wait_until_gone(&wait_for_numbers(&cluster, "pids", 2), GRACE);
    assert!(lines(&cluster, "ran").is_empty(), "a task that was cancelled in the queue ran");
    wait_until_idle(&mut cluster);
}

#[test]
fn a_cancelled_task_ends_for_its_caller_at_once() {
    let mut cluster = Cluster::with_workers(&[1]);
    let printed = cluster.perl(&format!(
        "use Cwd; use Time::HiRes 'time'; my $f = getcwd() . '/pids'; my $d = $client->defer({}, [$f]); $client->flush; \
         my $n = 0; while ((-s $f // 0) < 4 && $n++ < 1000) {{ select undef, undef, undef, 0.01 }} \
         my $begun = time; $d->cancel; eval {{ $d->() }}; print $@->kind, time - $begun < 1 ? ' at once' : ' late'",
        stubborn()
    ));
    assert_eq!(printed, "cancelled at once");
    wait_until_gone(&wait_for_numbers(&cluster, "pids", 2), GRACE);
}

#[test]
fn a_task_that_is_cancelled_while_no_manager_is_there_is_cancelled_when_one_is() {
    let mut cluster = Cluster::with_workers(&[1]);
    let cancelling = cluster.start_perl(&format!(
        "use Cwd; my $dir = getcwd(); my $d = $client->defer({}, [\"$dir/pids\"]); $client->flush; \
         my $n = 0; while (!-e \"$dir/killed\" && $n++ < 2000) {{ select undef, undef, undef, 0.01 }} $d->cancel; \
         open my $h, '>', \"$dir/cancelled\"; close $h; $| = 1; eval {{ $d->() }}; print $@->kind, ' '; \
         print $client->queue(sub {{ 'free' }})",
        stubborn()
    ));
    let pids = wait_for_numbers(&cluster, "pids", 2);
    cluster.kill_manager();
    // It comes back when the task is over and forgotten.
    cluster.workers[0].signal(libc::SIGSTOP);
    std::fs::write(cluster.folder().join("killed"), "").unwrap();
    let cancelled = cluster.folder().join("cancelled");
    wait_for("the cancel", Duration::from_secs(10), || cancelled.exists().then_some(()));
    cluster.start_manager();
    wait_for("the outcome", Duration::from_secs(10), || (cancelling.stdout() == "cancelled ").then_some(()));
    cluster.wait_for_status("the outcome to be taken", |status| status["untaken"] == 0);
    cluster.workers[0].signal(libc::SIGCONT);
    assert_eq!(cancelling.finish(Duration::from_secs(20)).stdout, "cancelled free");
    wait_until_gone(&pids, GRACE);
}

// kind: a worker that dies | a task that must never run twice | loud | the outcome is lost, with the story of its
//    attempts
#[test]
fn a_task_that_must_never_run_twice_is_lost_with_its_worker() {
    let mut cluster = Cluster::with_workers(&[1, 1]);
    let waiting = cluster.start_perl(&format!(
        "use Cwd; eval {{ $client->queue(sub {{ {NOTE} $note->($_[0], getppid); sleep 300 }}, [getcwd() . '/ran'], \
         {{ never_twice => 1 }}) }}; print join '|', $@->kind, $@->attempt, $@->message"
    ));
    let worker = wait_for_numbers(&cluster, "ran", 1)[0];
    let place = cluster.workers.iter().position(|process| process.pid() == worker).unwrap();
    cluster.workers.remove(place).kill();
    let printed = waiting.finish(Duration::from_secs(10)).stdout;
    assert!(printed.starts_with("lost|1|") && printed.contains("never run twice"), "{printed}");
    assert_eq!(lines(&cluster, "ran").len(), 1);
    assert_eq!(cluster.perl("print $client->queue(sub { 'others work' })"), "others work");
    assert_eq!(lines(&cluster, "ran").len(), 1, "it ran twice");
}

// kind: a worker that dies | a task that kills every worker it runs on | loud | lost after three workers
#[test]
fn a_task_that_kills_its_workers_ends_as_lost_after_three_with_the_story() {
    let mut cluster = Cluster::with_workers(&[1, 1, 1, 1]);
    let printed = cluster.perl(&format!(
        "use Cwd; my $f = getcwd() . '/ran'; \
         eval {{ $client->queue(sub {{ {NOTE} $note->($_[0], 'ran'); kill 9, getppid; sleep 300 }}, [$f]) }}; my $e = $@; \
         print $e->kind, ' ', $e->message, \"\\n\"; print \"$_\\n\" for $e->story; print $client->queue(sub {{ 'survived' }})"
    ));
    let told: Vec<&str> = printed.lines().collect();
    assert!(told[0].starts_with("lost ") && told[0].contains("3 workers in a row"), "{printed}");
    assert_eq!(told.len(), 5, "{printed}");
    for (number, line) in (1..=3).zip(&told[1..]) {
        assert!(
            line.starts_with(&format!("attempt {number} on ")) && line.contains("the worker was lost"),
            "{line}"
        );
    }
    assert_eq!(told[4], "survived");
    assert_eq!(counts(&cluster, "ran")["ran"], 3);
}

#[test]
fn a_client_that_is_away_for_longer_than_the_grace_loses_its_attached_tasks_and_no_detached_one() {
    let mut cluster = Cluster::start_with(&["--session-grace", "1"]);
    cluster.add_worker(&["--workers", "2"]);
    let client = cluster.start_perl(&format!(
        "use Cwd; my $dir = getcwd(); $client->session->{{on_interrupt}} = 'leave'; \
         my $id = $client->submit(sub {{ {NOTE} $note->($_[0], 'ran'); select undef, undef, undef, 2.5; 'kept' }}, [\"$dir/kept\"]); \
         open my $h, '>', \"$dir/id\"; print $h \"$id\\n\"; close $h; \
         my @d = ($client->defer({}, [\"$dir/pids\"]), map {{ $client->defer(sub {{ {NOTE} $note->($_[0], 'ran') }}, [\"$dir/ran\"]) }} 1..5); \
         $client->flush; $d[0]->()",
        stubborn()
    ));
    let pids = wait_for_numbers(&cluster, "pids", 2);
    cluster.wait_for_status("both slots to be busy", |status| status["slots_free"] == 0);
    let killed = Instant::now();
    client.kill();
    wait_until_gone(&pids, Duration::from_secs(5));
    assert!(killed.elapsed() >= Duration::from_secs(1), "the grace was not waited for");
    let id = lines(&cluster, "id")[0].clone();
    assert_eq!(cluster.perl(&format!("print $client->collect('{id}')")), "kept");
    assert!(lines(&cluster, "ran").is_empty(), "a task of the dead client ran");
    wait_until_idle(&mut cluster);
    let view = cluster.status();
    assert_eq!((&view["untaken"], &view["waiting"]), (&0.into(), &0.into()));
    wait_for("one run of the detached task", Duration::from_secs(1), || {
        (lines(&cluster, "kept").len() == 1).then_some(())
    });
}
