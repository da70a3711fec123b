//! The network between the manager and one of its workers is cut, in both directions or in one: for longer than their
//! patience and for less. The kernel does it, so that what TCP knows and does not know is as it will be.

pub(crate) mod network;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use argon_tests::{Process, perl, wait_for};

use crate::staged::Stage;
use crate::support::{many_tasks, sum};
use network::{Cut, HERE, Network};

const CUTS: [Cut; 3] = [Cut::BothWays, Cut::FromHere, Cut::FromThere];
const SLOTS: usize = 2;

/// A manager with one worker and the client on its side of the cable, and one worker on the other.
struct Split {
    near: Option<Process>,
    _far: Process,
    _manager: Process,
    stage: Stage,
    network: Network,
}

impl Split {
    fn new(name: &str, cut: Cut) -> Self {
        let network = Network::new();
        let mut stage = Stage::new(&format!("{name}-{cut:?}"));
        let manager = stage.manager(&network.here(), &["--host", HERE, "--insecure-plaintext"]);
        let slots = SLOTS.to_string();
        let far = stage.worker(&network.there(), &["--workers", &slots]);
        Self { near: None, _far: far, _manager: manager, stage, network }
    }

    fn start(&mut self, count: usize, seconds: &str) -> Process {
        let running = self.stage.perl(&self.network.here(), &many_tasks(count, seconds));
        wait_for("some tasks to run", Duration::from_secs(15), || (self.ran().len() > 10).then_some(()));
        running
    }

    fn ran(&self) -> HashMap<String, usize> {
        self.stage.counts("ran")
    }
}

#[test]
fn a_worker_that_is_cut_off_for_long_is_given_up_and_each_task_ends_once() {
    in_parallel(cut_for_longer_than_the_patience);
}

#[test]
fn a_worker_that_is_cut_off_for_a_moment_runs_nothing_twice() {
    in_parallel(cut_for_a_moment);
}

/// Each kind of cut has a network of its own, so that they may wait at the same time.
fn in_parallel(what: fn(Cut)) {
    std::thread::scope(|scope| {
        let all = CUTS.map(|cut| scope.spawn(move || what(cut)));
        let failed = all.into_iter().map(std::thread::ScopedJoinHandle::join).filter(Result::is_err).count();
        assert_eq!(failed, 0, "of {CUTS:?}, each of which says what went wrong above");
    });
}

fn cut_for_longer_than_the_patience(cut: Cut) {
    const TASKS: usize = 150;
    let mut split = Split::new("long", cut);
    let here = split.network.here();
    let running = split.start(TASKS, "0.1");
    split.near = Some(split.stage.worker(&here, &["--workers", "2"]));
    split.network.cut(cut);
    let begun = Instant::now();
    // All of it ends while the worker still is away: what it held was taken from it after 15 s and runs on this side.
    assert_eq!(running.finish(Duration::from_secs(40)).stdout, sum(TASKS), "{cut:?}");
    let took = begun.elapsed();
    println!("{cut:?}: everything ended {took:.1?} after the cut");
    assert!(took > Duration::from_secs(13), "{cut:?}: given up after {took:?} already");

    split.network.mend(cut);
    split.stage.wait_for_workers(&here, 2);
    let ran = split.ran();
    assert_eq!(ran.len(), TASKS);
    assert!(ran.values().all(|runs| *runs <= 2), "{cut:?}: one loss, at most two runs");
    let again = ran.values().filter(|runs| **runs == 2).count();
    // What its slots had finished or begun when it was cut off, and what it had been sent ahead and went on to run.
    assert!(again <= 8 * SLOTS, "{cut:?}: {again} tasks ran twice");
    let more = split.stage.perl(&here, "print join ',', $client->map(sub { $_[0] ** 2 }, [1 .. 40])");
    let squares: Vec<String> = (1..=40).map(|n: u32| n.pow(2).to_string()).collect();
    assert_eq!(more.finish(Duration::from_secs(20)).stdout, squares.join(","), "{cut:?}: afterwards");
}

fn cut_for_a_moment(cut: Cut) {
    const TASKS: usize = 80;
    let mut split = Split::new("short", cut);
    let mut running = split.start(TASKS, "0.02");
    split.network.cut(cut);
    // A child that waits is the clock here.
    let mut clock = perl();
    clock.args(["-e", "select undef, undef, undef, 4"]);
    Process::start(clock, split.stage.folder.path(), "clock").finish(Duration::from_secs(15));
    assert!(running.is_running(), "{cut:?}: the cut held nothing up, so nothing is shown");
    split.network.mend(cut);
    assert_eq!(running.finish(Duration::from_secs(30)).stdout, sum(TASKS), "{cut:?}");
    let ran = split.ran();
    assert_eq!(ran.len(), TASKS);
    let twice: Vec<_> = ran.iter().filter(|(_, runs)| **runs > 1).collect();
    assert!(twice.is_empty(), "{cut:?}: ran twice: {twice:?}");
}

// The first big argument stops the connection for good, however often it is dialled again in the usual way.
#[test]
fn a_worker_and_a_client_to_whom_large_packets_do_not_come_are_reached_with_small_ones() {
    let network = Network::new();
    let mut stage = Stage::new("large-packets");
    let here = network.here();
    let _manager = stage.manager(&here, &["--host", HERE, "--insecure-plaintext"]);
    network.lose_large(600);
    let worker = stage.worker(&network.there(), &["--workers", "1"]);
    let program = "print length $client->queue(sub { $_[0] }, ['x' x 100_000])";
    let near = stage.perl(&here, program);
    assert_eq!(near.finish(Duration::from_secs(60)).stdout, "100000");
    let status = stage.status(&here);
    assert_eq!(status["worker_list"][0]["small_segments"], true, "{status}");
    assert!(worker.stderr().contains("large packets seem to get lost"), "{}", worker.stderr());
    // Clients on the other side: outcomes are what does not come.
    let long = ["sh", "-c", "head -c 30000 /dev/zero | tr '\\0' x"];
    let ticket = stage.rust_client(&here, "submit", &long).finish(Duration::from_secs(20)).stdout;
    let there = network.there();
    let far = [
        stage.rust_client(&there, "collect", &[ticket.trim()]),
        stage.perl(&there, "print $client->queue(sub { 'x' x 30_000 })"),
        stage.python(&there, "print(client.queue(lambda: 'x' * 30_000), end='')"),
    ];
    for client in far {
        assert_eq!(client.finish(Duration::from_secs(60)).stdout, "x".repeat(30_000));
    }
}
