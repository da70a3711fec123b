//! A native runner that lies, floods, or never reads harms its own tasks only.

use std::time::Instant;

use argon_proto::conversation::worker::ToWorker;

use super::native::executable;
use super::*;

/// A native runner that does what `meta` of its first task tells it.
const RUNNER: &str = r#"#!/usr/bin/env perl
use strict;
open my $socket, '+<&=', $ENV{ARGON_RUNNER_FD} or die;
sub take { my $left = shift; my $all = ''; while ($left > 0) { my $n = sysread $socket, $all, $left, length $all; exit unless $n; $left -= $n } $all }
sub say_bytes { my $bytes = shift; while (length $bytes) { my $n = syswrite $socket, $bytes; exit unless $n; substr $bytes, 0, $n, '' } }
sub say_frame { say_bytes(pack('N/a', chr($_[0]) . $_[1])) }
# The outcome of a task: its id and attempt, status, run time, stream, length of the payload, payload.
sub outcome { my ($id, $status, $us, $stream, $length, $payload) = @_; say_frame(0x33, $id . pack('CCnQ>NNQ>', $status, 1, 0, $us, 0, $stream, $length) . $payload) }
say_frame(0x40, qq({"runtime":"native","version":"1","pid":$$}));
my $body;
do { $body = take(unpack 'N', take(4)) } while ord $body != 0x32;
my $id = substr $body, 1, 28;
my ($do, $other) = $body =~ /do (\w+) ?([0-9a-f]*)/;
my %do = (
    length    => sub { say_bytes("\xff\xff\xff\xf0\x33") },
    streams   => sub { outcome($id, 0, 5, $_, 1 << 30, 'x' x 100_000) for 1 .. 1000 },
    huge      => sub { outcome($id, 0, 5, 1, 1 << 50, '') },
    other     => sub { outcome(pack('H*', $other), 0, 5, 0, 1, '7') },
    rejected  => sub { outcome($id, 6, 5, 0, 0, '') },
    cancelled => sub { outcome($id, 4, 5, 0, 0, '') },
    ready     => sub { say_frame(0x40, qq({"runtime":"native","version":"1","pid":$$})) while 1 },
    taken     => sub { say_frame(0x41, '') while 1 },
    blobs     => sub { say_frame(0x21, join '', map { pack 'N8', (rand 1 << 32) x 8 } 1 .. 1000) while 1 },
    again     => sub { say_frame(0x21, pack('H*', $other) x 1000) while 1 },
    asks      => sub { my $ask = 0; say_frame(0x3C, $id . pack('N', $ask++) . '{"kind":"x","text":"' . 'x' x 100_000 . '"}') while 1 },
    long      => sub { outcome($id, 0, ~0, 0, 1, '7'); exit },
    short     => sub { select undef, undef, undef, 0.3; outcome($id, 0, 0, 0, 1, '7'); exit },
);
$do{$do}->();
sleep 1000;
"#;

fn is_own(message: &str) -> bool {
    message.starts_with("the runner was ended because ")
}

/// Runs a hostile task next to honest ones; returns its outcome.
async fn beside_honest_tasks(worker: &mut Worker, what: &str) -> Outcome {
    let begun = Instant::now();
    let hostile = worker.run_native(&executable(RUNNER), &[], &format!("do {what}"));
    for _ in 0..5 {
        assert_eq!(worker.value_of("7").await, 7);
    }
    let outcome = worker.outcome(hostile).await;
    println!("{what}: ended {:?} after {:?}", report(&outcome).message, begun.elapsed());
    outcome
}

#[test]
fn a_runner_that_sends_what_it_may_not_ends_its_own_task_and_no_other() {
    on_one_thread(async {
        let mut worker = Worker::start(WorkerConfig { slots: 2, ..config() }).await;
        let begins =
            ["length", "streams", "huge", "rejected", "cancelled", "ready", "taken", "blobs", "asks"];
        for what in begins {
            let outcome = beside_honest_tasks(&mut worker, what).await;
            assert_eq!(outcome.head.status, Status::Died, "{what}");
            assert!(is_own(&report(&outcome).message), "{what}: {}", report(&outcome).message);
        }
        let program = executable(RUNNER).0;
        let outcome = beside_honest_tasks(&mut worker, &format!("again {program}")).await;
        assert!(is_own(&report(&outcome).message), "{}", report(&outcome).message);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn an_outcome_for_the_task_of_another_runner_is_believed_by_nobody() {
    on_one_thread(async {
        let mut worker = Worker::start(WorkerConfig { slots: 2, ..config() }).await;
        let honest = worker.run("print 1; sleep 1 while !-e $ENV{TMPDIR} . '/never'; 8");
        worker.output_of(honest).await;
        let AttemptId { task: id, attempt: number } = honest;
        let liar = worker.run_native(&executable(RUNNER), &[], &format!("do other {id}{:08x}", number.0));
        let outcome = worker.outcome(liar).await;
        assert_eq!(outcome.head.status, Status::Died);
        assert!(report(&outcome).message.contains("an outcome that cannot be"), "{outcome:?}");
        assert!(
            !worker.unread.iter().any(|message| matches!(message, FromWorker::Outcome(_))),
            "{:?}",
            worker.unread
        );
        worker.say(ToWorker::Stop(vec![honest]));
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn run_times_are_measured_whatever_a_runner_claims() {
    on_one_thread(async {
        let mut worker = Worker::start(WorkerConfig { slots: 2, ..config() }).await;
        for (what, at_least_us) in [("long", 0), ("short", 250_000)] {
            let begun = Instant::now();
            let outcome = beside_honest_tasks(&mut worker, what).await;
            assert_eq!(outcome.head.status, Status::Ok, "{outcome:?}");
            let most = begun.elapsed().as_micros() as u64;
            assert!((at_least_us..=most).contains(&outcome.head.run_us), "{what}: {}", outcome.head.run_us);
        }
        worker.end(StopLevel::Drain).await;
    });
}
