//! The manager is killed under load and started again, at the scale that was promised: what has finished does not run
//! again, and what has not goes on in its worker.

use std::time::Duration;

use argon_tests::{Cluster, Process, wait_for};

use crate::support::{NOTE, counts, lines, many_tasks, sum};

const TASKS: usize = 10_000;

/// Kills in `make test`. ARGON_KILLS sets another number: `make soak` wants a hundred.
const KILLS: usize = 20;

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
    assert_each_ran_once(&cluster, TASKS);
}

#[test]
fn tasks_with_small_results_run_once_however_often_the_manager_is_killed() {
    let kills = kills();
    let load = Load { tasks: 100 * kills, seconds: "0.02", bytes: 10, pause: "0" };
    kill_again_and_again(&load, kills);
}

#[test]
fn tasks_with_results_that_a_client_takes_slowly_run_once_however_often_the_manager_is_killed() {
    let kills = kills();
    let load = Load { tasks: 8 * kills, seconds: "0.05", bytes: 300_000, pause: "0.1" };
    kill_again_and_again(&load, kills);
}

/// Clients that run while the manager is killed.
struct Load {
    tasks: usize,
    /// Time of each task.
    seconds: &'static str,
    /// Size of each result.
    bytes: usize,
    /// Time that the client looks away after each result.
    pause: &'static str,
}

fn kills() -> usize {
    std::env::var("ARGON_KILLS").map_or(KILLS, |kills| kills.parse().expect("ARGON_KILLS is a number"))
}

fn kill_again_and_again(load: &Load, kills: usize) {
    let mut cluster = Cluster::with_workers(&[2, 2]);
    let mut running = start(&mut cluster, load);
    wait_for("the first tasks to run", Duration::from_secs(20), || {
        (!lines(&cluster, "ran").is_empty()).then_some(())
    });
    for kill in 0..kills {
        cluster.kill_manager();
        cluster.start_manager();
        assert!(running.is_running(), "there were too few tasks for {kill} kills");
        let (ran, got) = (lines(&cluster, "ran").len(), lines(&cluster, "got").len());
        wait_for("the time of the next kill", Duration::from_secs(60), || {
            let is_time = match kill % 6 {
                // Before anybody is back; twice in a row.
                0 | 1 => true,
                2 => cluster.status()["workers"] == 2,
                3 => {
                    let status = cluster.status();
                    ["tasks_queued", "waiting", "untaken"].iter().any(|of| status[of] != 0)
                }
                4 => lines(&cluster, "got").len() > got + 2,
                // In the middle of tasks that were given out again.
                _ => lines(&cluster, "ran").len() > (ran + 10).min(load.tasks - 1),
            };
            is_time.then_some(())
        });
    }
    let finished = running.finish(Duration::from_secs(90));
    assert_eq!(finished.stdout, load.tasks.to_string(), "{}", finished.stderr);
    assert_each_ran_once(&cluster, load.tasks);
}

/// A client that notes each result in `got`, and prints how many were right.
fn start(cluster: &mut Cluster, load: &Load) -> Process {
    let Load { tasks, seconds, bytes, pause } = load;
    let program = format!(
        "use Cwd; my $folder = getcwd(); my @d = map {{ $client->defer(sub {{ my ($n, $file) = @_; {NOTE} \
         $note->($file, $n); select undef, undef, undef, {seconds}; 'x' x {bytes} }}, [$_, \"$folder/ran\"]) }} 1..{tasks}; \
         {NOTE} my $right = 0; for my $d (@d) {{ $right += length $d->() == {bytes}; $note->(\"$folder/got\", $right); \
         select undef, undef, undef, {pause} }} print $right"
    );
    cluster.start_perl(&program)
}

fn assert_each_ran_once(cluster: &Cluster, tasks: usize) {
    let ran = counts(cluster, "ran");
    assert_eq!(ran.len(), tasks);
    let twice: Vec<_> = ran.iter().filter(|(_, runs)| **runs > 1).collect();
    assert!(twice.is_empty(), "started again though they ran: {twice:?}");
}
