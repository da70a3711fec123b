//! Tasks that print without end while connections break: some output may be lost with them, but nothing waits for it for ever.

use std::time::Duration;

use argon_tests::{Cluster, Proxy, wait_for};

use crate::support::{NOTE, lines, start_worker_at, through};

/// A program whose task prints 96 MiB in small pieces and notes each MiB.
fn flood() -> String {
    format!(
        "use Cwd; my $f = getcwd() . '/progress'; open STDOUT, '>', '/dev/null' or die; \
         print STDERR $client->queue(sub {{ {NOTE} my $kib = 16; for my $n (1..96) {{ $note->($_[0], $n); \
         print 'x' x ($kib << 10) for 1..64 }} 'all printed' }}, [$f])"
    )
}

fn wait_for_mib(cluster: &Cluster, mib: usize) {
    wait_for("more output", Duration::from_secs(20), || {
        (lines(cluster, "progress").len() >= mib).then_some(())
    });
}

#[test]
fn a_client_that_loses_its_connection_again_and_again_does_not_stall_what_prints() {
    let mut cluster = Cluster::with_workers(&[1]);
    let proxy = Proxy::to(cluster.address());
    let printing = cluster.start_perl(&(through(&proxy, &cluster) + &flood()));
    for cut in 1..=12 {
        wait_for_mib(&cluster, cut * 6);
        proxy.reset();
    }
    assert_eq!(printing.finish(Duration::from_secs(30)).errors(), "all printed");
    assert!(proxy.connections() > 2);
}

#[test]
fn a_worker_that_loses_its_connection_again_and_again_goes_on_printing() {
    let mut cluster = Cluster::start();
    let proxy = Proxy::to(cluster.address());
    let _worker = start_worker_at(&mut cluster, proxy.address(), &["--workers", "1"]);
    let printing = cluster.start_perl(&flood());
    for cut in 1..=12 {
        wait_for_mib(&cluster, cut * 6);
        proxy.reset();
    }
    assert_eq!(printing.finish(Duration::from_secs(30)).errors(), "all printed");
    assert_eq!(lines(&cluster, "progress").len(), 96, "it ran again");
}

#[test]
fn what_prints_goes_on_across_managers() {
    let mut cluster = Cluster::with_workers(&[1]);
    let printing = cluster.start_perl(&flood());
    for kill in 1..=3 {
        wait_for_mib(&cluster, kill * 20);
        cluster.kill_manager();
        cluster.start_manager();
    }
    assert_eq!(printing.finish(Duration::from_secs(30)).errors(), "all printed");
    assert_eq!(lines(&cluster, "progress").len(), 96, "it ran again");
}

#[test]
fn a_task_whose_client_is_away_prints_on_and_is_bounded_again_when_it_is_back() {
    let mut cluster = Cluster::with_workers(&[1]);
    let proxy = Proxy::to(cluster.address());
    let printing = cluster.start_perl(&(through(&proxy, &cluster) + &flood()));
    wait_for_mib(&cluster, 4);
    // Frozen, and cut off: it is away until it is thawed.
    printing.signal(libc::SIGSTOP);
    proxy.reset();
    wait_for_mib(&cluster, 96);
    printing.signal(libc::SIGCONT);
    assert_eq!(printing.finish(Duration::from_secs(30)).errors(), "all printed");
}
