//! What a worker leaves of its machine to others: a pause while too little memory is free or the load is high, and a nice
//! value for all tasks.

use std::time::Duration;

use argon_tests::{Cluster, Process, wait_for};

const SOON: Duration = Duration::from_secs(120);

/// `argon NAME` at the manager of the cluster.
fn argon(cluster: &mut Cluster, name: &str, words: &[&str]) -> Process {
    let mut command = cluster.argon(&[name, "--manager", cluster.address()]);
    command.args(words);
    cluster.run(command, name)
}

/// More than any machine has.
const NEVER_FREE: [&str; 4] = ["--slots", "1", "--memfree", "900T"];

// kind: the reason of a wait | less memory is free than --memfree asks for | loud | its worker pauses with the reason, tasks wait or
//    go to others
#[test]
fn a_worker_below_its_limit_of_free_memory_starts_nothing_and_says_so() {
    let mut cluster = Cluster::start();
    cluster.add_worker(&NEVER_FREE);
    let status = cluster.wait_for_status("a paused worker", |status| status["workers"] == 1);
    let paused = status["worker_list"][0]["paused"].as_str().expect("it pauses").to_owned();
    assert!(paused.ends_with("less than --memfree 943718400M"), "{paused}");
    assert_eq!((&status["slots_total"], &status["slots_free"]), (&1.into(), &0.into()));
    let waiting = argon(&mut cluster, "run", &["--", "echo", "done"]);
    wait_for("the reason", SOON, || {
        waiting.stderr().contains("waiting: 1 task waits: the only worker starts nothing now: ").then_some(())
    });
    let shown = argon(&mut cluster, "status", &[]).finish(SOON);
    assert!(
        shown.stdout.contains("  paused  ") && shown.stdout.contains("starts no further task: "),
        "{}",
        shown.stdout
    );
    cluster.add_worker(&["--slots", "1"]);
    let finished = waiting.finish(SOON);
    assert_eq!(finished.stdout, "done\n", "{}", finished.stderr);
}

#[test]
fn a_worker_within_its_limits_runs_tasks() {
    let mut cluster = Cluster::start();
    cluster.add_worker(&["--slots", "1", "--memfree", "1M", "--load", "100000"]);
    assert_eq!(cluster.perl("print $client->queue(sub { 6 * 7 })"), "42");
}

#[test]
fn a_load_above_the_limit_pauses_and_wrong_limits_are_refused_in_words() {
    let mut cluster = Cluster::start();
    for (options, expected) in [
        (["--load", "much"], "a share of the CPUs, as 80%"),
        (["--load", "0"], "no task would ever start"),
        (["--memfree", "lots"], "write bytes, or a number with a unit"),
        (["--nice", "20"], "--nice"),
    ] {
        let command = cluster.argon(&["worker", options[0], options[1]]);
        let refused = cluster.run(command, "worker").finish(SOON);
        assert_eq!(refused.status.code(), Some(2));
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    }
    // A machine that runs this test has some load, or gets some; one that has none is below every limit.
    cluster.add_worker(&["--slots", "1", "--load", "1e-9"]);
    let load = std::fs::read_to_string("/proc/loadavg").expect("a load");
    if !load.starts_with("0.00") {
        let status =
            cluster.wait_for_status("a pause", |status| status["worker_list"][0]["paused"].is_string());
        let paused = status["worker_list"][0]["paused"].as_str().unwrap_or_default().to_owned();
        assert!(paused.starts_with("the load of its machine is "), "{paused}");
    }
}

#[test]
fn tasks_of_a_nice_worker_are_nice_and_commands_can_be_nicer() {
    let mut cluster = Cluster::start();
    cluster.add_worker(&["--slots", "1", "--nice", "3"]);
    let own = "my $f = sub { getpriority 0, 0 }; print $client->queue($f) - getpriority 0, 0";
    assert_eq!(cluster.perl(own), "3");
    let script = "print getpriority(0, 0) . qq(\\n)";
    let nice = |cluster: &mut Cluster, options: &[&str]| -> i32 {
        let words = [options, &["--", "perl", "-e", script]].concat();
        let finished = argon(cluster, "run", &words).finish(SOON);
        finished.stdout.trim().parse().unwrap_or_else(|_| panic!("{}", finished.stderr))
    };
    let plain = nice(&mut cluster, &[]);
    assert_eq!(nice(&mut cluster, &["--nice", "4"]) - plain, 4);
    let mut other = Cluster::start();
    other.add_worker(&["--slots", "1"]);
    assert_eq!(plain - nice(&mut other, &[]), 3);
}
