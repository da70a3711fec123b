//! Calls from Perl through manager and worker, as the seed describes them.

use std::time::Duration;

use argon_tests::Cluster;

use crate::support::peak_memory_mib;

#[test]
fn the_examples_of_the_seed_work() {
    let mut cluster = Cluster::with_workers(&[1, 1]);
    let printed = cluster.perl(
        "my $result = $client->queue(sub { my ($x, $y) = @_; return $x + $y; }, [4, 7]); \
         my $deferred = $client->defer(sub { my ($x, $y) = @_; return $x + $y; }, [4, 8]); \
         print \"$result \", $deferred->();",
    );
    assert_eq!(printed, "11 12");
}

#[test]
fn a_stand_alone_worker_is_called_directly() {
    let mut cluster = Cluster::start();
    cluster.kill_manager();
    let port = cluster.address().rsplit(':').next().unwrap().to_owned();
    let command = cluster.argon(&["worker", "--port", &port, "--workers", "2"]);
    let mut worker = cluster.run(command, "standalone");
    worker.ready("addr");
    assert_eq!(
        cluster.perl("print join ',', map { $_->() } map { $client->defer(sub { $_[0]**2 }, [$_]) } 1..5"),
        "1,4,9,16,25"
    );
    worker.signal(libc::SIGTERM);
    assert_eq!(worker.finish(Duration::from_secs(10)).status.code(), Some(0));
}

#[test]
fn output_appears_at_the_caller_before_the_result() {
    let mut cluster = Cluster::with_workers(&[1]);
    let finished = cluster.finish_perl(
        "$| = 1; print 'got ', $client->queue(sub { print \"out\\n\"; warn \"err\\n\"; system 'echo child'; 7 }), \"\\n\"",
    );
    assert_eq!(finished.stdout, "out\nchild\ngot 7\n");
    assert_eq!(finished.errors(), "err\n");
}

#[test]
fn a_full_queue_makes_clients_wait_and_says_so_when_they_give_up() {
    let mut cluster = Cluster::start_with(&["--queue-size", "10"]);
    let finished = cluster.finish_perl(
        "my @d = map { $client->defer(sub { 1 }, [], { max_tries => 2 }) } 1..20; $_->() for reverse @d",
    );
    assert!(!finished.status.success());
    assert!(finished.stderr.contains("capacity"), "{}", finished.stderr);
    let mut waiting = cluster.start_perl(
        "my @d = map { $client->defer(sub { $_[0] }, [$_]) } 1..50; print join ',', map { $_->() } @d",
    );
    cluster.wait_for_status("the queue to be full", |status| status["tasks_queued"] == 10);
    assert!(waiting.is_running());
    cluster.add_worker(&["--workers", "2"]);
    let numbers: Vec<String> = (1..=50).map(|n| n.to_string()).collect();
    assert_eq!(waiting.finish(Duration::from_secs(60)).stdout, numbers.join(","));
}

#[test]
fn a_value_of_256_mib_travels_and_small_tasks_pass_it() {
    let mut cluster = Cluster::with_workers(&[2]);
    let printed = cluster.perl(
        "my $big = 'x' x (256 << 20); my $slow = $client->defer(sub { $_[0] . 'y' }, [$big]); \
         my $quick = $client->queue(sub { 'quick' }); my $back = $slow->(); print \"$quick \", length $back",
    );
    assert_eq!(printed, format!("quick {}", (256 << 20) + 1));
}

#[test]
fn arguments_of_64_mib_four_at_a_time_take_bounded_memory() {
    let mut cluster = Cluster::with_workers(&[2]);
    // Four of them are just more than a client may have under way, once all bytes of a task are counted.
    let printed = cluster.perl(
        "my $big = 'x' x ((64 << 20) - 40); my ($length, @waiting) = 0; \
         for (1 .. 14) { push @waiting, $client->defer(sub { $_[0] }, [$big]); \
         $length += length shift(@waiting)->() if @waiting == 4 } \
         $length += length $_->() for @waiting; print $length",
    );
    assert_eq!(printed, (14 * ((64 << 20) - 40)).to_string());
    // The arguments of those under way and the results of the last ones, of 1792 MiB that went through.
    let peaks =
        [cluster.manager.as_ref().unwrap(), &cluster.workers[0]].map(|one| peak_memory_mib(one.pid()));
    assert!(peaks.iter().all(|mib| *mib < 600), "manager and worker had {peaks:?} MiB in use");
}

#[test]
fn a_manager_without_workers_queues() {
    let mut cluster = Cluster::start();
    let waiting = cluster.start_perl("print $client->queue(sub { 'at last' })");
    cluster.wait_for_status("the task to be queued", |status| status["tasks_queued"] == 1);
    cluster.add_worker(&[]);
    assert_eq!(waiting.finish(Duration::from_secs(20)).stdout, "at last");
}

#[test]
fn high_priority_overtakes_what_waits() {
    let mut cluster = Cluster::start();
    let waiting = cluster.start_perl(
        "my @order; my @d = map { my $p = $_; my $d = $client->defer(sub { $_[0] }, [$p], { priority => $p }); \
         $d->on_ready(sub { push @order, $p }); $d } qw(low normal high); $_->() for @d; print \"@order\"",
    );
    cluster.wait_for_status("three queued tasks", |status| status["tasks_queued"] == 3);
    cluster.add_worker(&["--workers", "1"]);
    assert_eq!(waiting.finish(Duration::from_secs(20)).stdout, "high normal low");
}

#[test]
fn runners_see_a_scrubbed_environment_and_what_is_passed() {
    let mut cluster = Cluster::start();
    let address = cluster.address().to_owned();
    let mut command = cluster.argon(&["worker", "--port", "0", "--manager", &address, "--pass-env", "GIVEN"]);
    command.env("GIVEN", "yes").env("SECRET", "no").env("ARGON_KEY", cluster.key());
    let mut worker = cluster.run(command, "worker");
    worker.ready("pid");
    let printed = cluster.perl(
        "print join ',', map { $_ // 'undef' } $client->queue(sub { @ENV{qw(GIVEN SECRET ARGON_KEY)} })",
    );
    assert_eq!(printed, "yes,undef,undef");
}
