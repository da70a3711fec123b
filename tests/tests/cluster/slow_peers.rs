//! A client that does not read, a link that carries little: the others notice nothing, memory stays bounded.

use std::time::{Duration, Instant};

use argon_tests::{Cluster, Proxy, wait_for};

use crate::support::{NOTE, let_pass, lines, memory_mib, start_worker_at, through, wait_until_idle};

/// MiB that one client may leave untaken, and that the rest of a manager and its allocator needs.
const MANAGER_MIB: u64 = 256 + 160;

/// Freezes a client that has asked for `tasks` whose bodies are given, and returns the most memory that the manager used
/// until nothing more is started for that client. Another client works meanwhile.
fn memory_beside_a_frozen_client(tasks: u32, body: &str) -> (u64, usize) {
    let mut cluster = Cluster::with_workers(&[2]);
    let frozen = cluster.start_perl(&format!(
        "use Cwd; my $f = getcwd() . '/ran'; open STDOUT, '>', '/dev/null'; \
         my @d = map {{ $client->defer(sub {{ my ($f, $n) = @_; {NOTE} $note->($f, $n); {body} }}, [$f, $_]) }} 1..{tasks}; \
         $client->flush; my $n = 0; while (!-s $f && $n++ < 1000) {{ select undef, undef, undef, 0.01 }} \
         kill STOP => $$; $_->() for @d; print STDERR 'all'"
    ));
    let manager = cluster.manager.as_ref().unwrap().pid();
    wait_for("the first tasks to run", Duration::from_secs(10), || {
        (!lines(&cluster, "ran").is_empty()).then_some(())
    });
    let mut most = 0;
    let mut ran = 0;
    wait_for("the frozen client's tasks to stop", Duration::from_secs(60), || {
        assert_eq!(cluster.perl("print $client->queue(sub { 'other' })"), "other");
        let_pass(&mut cluster, "0.3");
        most = most.max(memory_mib(manager));
        let now = lines(&cluster, "ran").len();
        // On a busy machine it may be given up for its silence meanwhile. Then nobody waits for output, and its tasks go on.
        if cluster.status()["away"].as_array().is_some_and(|away| !away.is_empty()) {
            return Some(());
        }
        let before = std::mem::replace(&mut ran, now);
        (ran == before && ran > 0).then_some(())
    });
    frozen.signal(libc::SIGCONT);
    assert_eq!(frozen.finish(Duration::from_secs(60)).errors(), "all");
    assert_eq!(lines(&cluster, "ran").len(), tasks as usize);
    wait_until_idle(&mut cluster);
    (most, ran)
}

#[test]
fn results_that_a_frozen_client_does_not_take_are_bounded() {
    let (most, ran) = memory_beside_a_frozen_client(300, "my $mib = 2; 'r' x ($mib << 20)");
    assert!(most < MANAGER_MIB, "the manager used {most} MiB");
    assert!(ran < 300, "all tasks ran though nobody took their results");
}

#[test]
fn output_that_a_frozen_client_does_not_take_is_bounded() {
    let (most, ran) = memory_beside_a_frozen_client(800, "my $kib = 900; print 'o' x ($kib << 10); 1");
    assert!(most < MANAGER_MIB, "the manager used {most} MiB");
    assert!(ran < 800, "all tasks ran though nobody took their output");
}

#[test]
fn a_slow_link_carries_life_signs_and_small_tasks_past_a_big_payload() {
    let mut cluster = Cluster::start();
    let proxy = Proxy::to(cluster.address());
    let _worker = start_worker_at(&mut cluster, proxy.address(), &["--workers", "2"]);
    cluster.perl("$client->queue(sub { 1 }); print 1");
    proxy.throttle(3 << 20);
    let begun = Instant::now();
    let big = cluster.start_perl(
        "my $mib = 64; print length $client->queue(sub { require POSIX; 'y' x length $_[0] }, ['x' x ($mib << 20)])",
    );
    cluster.wait_for_status("the big task to be on its way", |status| status["tasks_running"] == 1);
    // The big one needs 21 s for each way.
    for _ in 0..4 {
        assert_eq!(cluster.perl("print $client->queue(sub { 'small' })"), "small");
        assert_eq!(cluster.status()["tasks_running"], 1, "a small task waited for the big one");
        let_pass(&mut cluster, "3");
    }
    let arrived = wait_for("the link to be quick again", Duration::from_secs(60), || {
        (begun.elapsed() > Duration::from_secs(17)).then(|| proxy.connections())
    });
    assert_eq!(arrived, 1, "the worker was taken for dead");
    proxy.throttle(0);
    assert_eq!(big.finish(Duration::from_secs(60)).stdout, (64 << 20).to_string());
    assert_eq!(proxy.connections(), 1, "the worker was taken for dead");
    assert_eq!(cluster.status()["totals"]["lost_attempts"], 0);
}

#[test]
fn a_client_behind_a_slow_link_costs_the_others_nothing() {
    let mut cluster = Cluster::with_workers(&[2]);
    let proxy = Proxy::to(cluster.address());
    proxy.throttle(2 << 20);
    let mut slow = cluster.start_perl(&format!(
        "{} my $mib = 8; print length $client->queue(sub {{ $_[0] }}, ['x' x ($mib << 20)])",
        through(&proxy, &cluster)
    ));
    wait_for("the slow client to come", Duration::from_secs(10), || (proxy.connections() == 1).then_some(()));
    for _ in 0..2 {
        assert_eq!(cluster.perl("my $n = 0; $n += $client->queue(sub { 1 }) for 1..50; print $n"), "50");
        assert!(slow.is_running(), "small tasks waited for the slow client");
    }
    assert_eq!(slow.finish(Duration::from_secs(60)).stdout, (8 << 20).to_string());
    assert_eq!(proxy.connections(), 1);
}
