//! The wall clock jumps by a day, forward and back, for everybody at once: leases, time limits and pauses do not care.

use std::path::PathBuf;
use std::time::Duration;

use argon_tests::{Process, wait_for};

use crate::staged::{Place, Stage};
use crate::support::{many_tasks, sum};

const TASKS: usize = 120;

/// A place whose wall clock is what a file says; clocks that only run forward are left alone.
fn with_another_clock(file: &str) -> Place {
    let library = library().display().to_string();
    let words = [
        "env".to_owned(),
        format!("LD_PRELOAD={library}"),
        format!("FAKETIME_TIMESTAMP_FILE={file}"),
        "FAKETIME_NO_CACHE=1".to_owned(),
        "DONT_FAKE_MONOTONIC=1".to_owned(),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
    ];
    words.to_vec()
}

fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
    let all = folders.chain([PathBuf::from("/usr/lib")]).map(|path| path.join("faketime/libfaketimeMT.so.1"));
    let found = all.into_iter().find(|path| path.exists());
    found
        .expect("this test lets the clock jump with libfaketime, which is not here; 'make setup' installs it")
}

struct Timed {
    stage: Stage,
    place: Place,
    clock: String,
}

impl Timed {
    fn new() -> Self {
        let stage = Stage::new("clock");
        let clock = stage.folder.file("clock");
        std::fs::write(&clock, "+0\n").unwrap();
        Self { place: with_another_clock(&clock), stage, clock }
    }

    /// Sets the clock, in one step: nobody may read half a file.
    fn jump(&self, to: &str) {
        let next = format!("{}.next", self.clock);
        std::fs::write(&next, format!("{to}\n")).unwrap();
        std::fs::rename(next, &self.clock).unwrap();
    }

    fn perl(&mut self, program: &str) -> Process {
        self.stage.perl(&self.place.clone(), program)
    }

    /// The day that a program under this clock sees.
    fn day(&mut self) -> i64 {
        let finished = self.perl("print int(time / 86400)").finish(Duration::from_secs(10));
        finished.stdout.parse().unwrap()
    }
}

#[test]
fn a_clock_that_jumps_a_day_disturbs_no_lease_and_no_time_limit() {
    let mut timed = Timed::new();
    let place = timed.place.clone();
    let store = timed.stage.folder.file("store");
    let mut manager = timed.stage.manager(&place, &["--store", &store]);
    let mut worker = timed.stage.worker(&place, &["--workers", "3"]);
    let kept = timed.perl("print $client->submit(sub { 'kept' })").finish(Duration::from_secs(20)).stdout;
    assert_eq!(kept.len(), 81);
    let today = timed.day();

    // Each has a limit that a jump would break, if it counted in days; one runs into its limit.
    let limited = timed.perl(
        "my $late = $client->defer(sub { sleep 300 }, [], { timeout => 4 }); \
         my $again = $client->defer(sub { die \"no\\n\" }, [], { retries => 3, backoff => 0.5 }); \
         my $fine = $client->defer(sub { select undef, undef, undef, 3; 'fine' }, [], { timeout => 60 }); \
         print $fine->get, ' ', $late->error->kind, ' ', $again->error",
    );
    let running = timed.perl(&many_tasks(TASKS, "0.03"));
    for (share, jump, days) in [(10, "+1d", 1), (40, "-1d", -1), (70, "+0", 0)] {
        wait_for("more tasks to run", Duration::from_secs(20), || {
            (timed.stage.counts("ran").len() > share).then_some(())
        });
        timed.jump(jump);
        assert_eq!(timed.day(), today + days, "the clock does not jump, so nothing is shown");
    }
    assert_eq!(running.finish(Duration::from_secs(30)).stdout, sum(TASKS));
    assert_eq!(limited.finish(Duration::from_secs(30)).stdout, "fine timeout no\n");
    let ran = timed.stage.counts("ran");
    assert!(ran.len() == TASKS && ran.values().all(|runs| *runs == 1), "something ran twice");

    // Half an hour is what an unclaimed outcome is kept for, and a day is longer.
    timed.jump("+1d");
    assert!(manager.is_running() && worker.is_running());
    let status = timed.stage.status(&place);
    assert_eq!(status["workers"], 1);
    let collected = timed.perl(&format!("print $client->collect('{kept}')"));
    assert_eq!(collected.finish(Duration::from_secs(10)).stdout, "kept");
    let log = manager.stderr();
    assert!(!log.contains("is gone"), "somebody was given up: {log}");
}
