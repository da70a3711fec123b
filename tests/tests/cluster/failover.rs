//! A manager that never comes back: its clients and workers go to the next of their list.

use std::time::Duration;

use argon_tests::{Cluster, wait_for};

#[test]
fn clients_and_workers_move_to_the_next_manager_and_lose_nothing() {
    move_to_the_next("$_[0]", "0.02", "0");
}

#[test]
fn results_that_a_client_takes_slowly_move_with_their_worker_and_no_task_runs_again() {
    move_to_the_next("join '', $_[0], (' ') x 300_000", "0.01", "0.05");
}

/// Tasks take `seconds` and return `result`; the client looks away for `pause` seconds after each.
fn move_to_the_next(result: &str, seconds: &str, pause: &str) {
    let mut cluster = Cluster::start();
    let first = cluster.address().to_owned();
    let command = cluster.argon(&["manager", "--port", "0"]);
    let mut stand_by = cluster.run(command, "stand-by");
    let second = stand_by.ready("addr");
    let both = format!("{first},{second}");
    let command = cluster.argon(&["worker", "--port", "0", "--workers", "2", "--manager", &both]);
    let mut worker = cluster.run(command, "worker");
    assert_eq!(worker.ready("manager"), first);

    let ran = cluster.folder().join("ran");
    let program = format!(
        "$client = Argon::Client->new(hosts => ['{first}', '{second}'], key => '{}'); \
         my @d = map {{ $client->defer(sub {{ open my $h, '>>', $_[1] or die $!; syswrite $h, \"$_[0]\\n\"; \
         select undef, undef, undef, {seconds}; {result} }}, [$_, '{}']) }} 1..150; \
         my $sum = 0; for my $d (@d) {{ my ($n) = $d->() =~ /(\\d+)/; $sum += $n; \
         select undef, undef, undef, {pause} }} print $sum",
        cluster.key().display(),
        ran.display()
    );
    let running = cluster.start_perl(&program);
    wait_for("some tasks to run", Duration::from_secs(10), || {
        (std::fs::read_to_string(&ran).unwrap_or_default().lines().count() > 30).then_some(())
    });
    cluster.kill_manager();
    let finished = running.finish(Duration::from_secs(60));
    assert_eq!(finished.stdout, (150 * 151 / 2).to_string(), "{}", finished.stderr);
    let text = std::fs::read_to_string(&ran).unwrap();
    let mut numbers: Vec<&str> = text.lines().collect();
    numbers.sort_unstable();
    let all = numbers.len();
    numbers.dedup();
    assert_eq!((all, numbers.len()), (150, 150), "something ran twice or not at all");
}
