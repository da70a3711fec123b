//! Kinds of runners that never do their work hold up neither each other nor honest tasks.

use std::time::{Duration, Instant};

use argon_tests::Cluster;

const LIMIT: Duration = Duration::from_secs(60);

/// Times of commands, one after the other.
fn commands(cluster: &mut Cluster, count: usize) -> Vec<Duration> {
    let address = cluster.address().to_owned();
    (0..count)
        .map(|_| {
            let mut command = cluster.argon(&["run", "--manager", &address]);
            command.args(["--", "echo", "served"]);
            let begun = Instant::now();
            let finished = cluster.run(command, "honest").finish(LIMIT);
            assert_eq!(
                (finished.stdout.as_str(), finished.status.code()),
                ("served\n", Some(0)),
                "{finished:?}"
            );
            begun.elapsed()
        })
        .collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

// kind: a process that dies | tasks of two runtimes that exceed their memory limits, next to honest ones | loud | each bad
//    task ends with a message that names its limit, and honest tasks are served meanwhile
#[test]
fn two_kinds_whose_runners_all_die_hold_up_neither_each_other_nor_honest_tasks() {
    let mut cluster = Cluster::with_workers(&[2]);
    let alone = median(commands(&mut cluster, 5));
    let perl = cluster.start_perl(
        "for my $round (1 .. 3) { my @d = map { $client->defer(sub { length('x' x $_[0]) }, [50_000_000], { memory => 1 }) } 1 .. 20; \
         for my $d (@d) { print eval { $d->(); 1 } ? 'returned' : $@->kind . '|' . $@->message, \"\\n\" } }",
    );
    let (address, key) = (cluster.address().to_owned(), cluster.key());
    let mut command = std::process::Command::new("python3");
    command.env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/../python/src"));
    command.arg("-c").arg(format!(
        "import argon\n\
         with argon.Client('{address}', key='{}') as client:\n\
         \x20   for _ in range(3):\n\
         \x20       calls = [client.with_options(memory=2).defer(bytes, 50_000_000) for _ in range(20)]\n\
         \x20       for call in calls:\n\
         \x20           try: call.result(); print('returned')\n\
         \x20           except argon.Error as error: print(error.kind, error.message, sep='|')\n",
        key.display()
    ));
    let python = cluster.run(command, "python");
    let beside = commands(&mut cluster, 15);
    println!("commands take {alone:?} alone, beside: {beside:?}");
    let median = median(beside);
    assert!(median < Duration::from_secs(1).max(alone * 5), "{median:?} instead of {alone:?}");
    for (bad, limit) in [(perl, "1 MiB"), (python, "2 MiB")] {
        let finished = bad.finish(Duration::from_secs(120));
        let lines: Vec<&str> = finished.stdout.lines().collect();
        assert_eq!(lines.len(), 60, "{finished:?}");
        assert!(lines.iter().all(|line| line.starts_with("died|") && line.contains(limit)), "{finished:?}");
    }
    assert_eq!(commands(&mut cluster, 1).len(), 1);
}
