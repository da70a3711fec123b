//! Tasks that end badly: how they died is told, what they started is gone, the runner is replaced.

use argon_proto::conversation::worker::{FromWorker, ToWorker};
use serde_json::json;
use std::time::Instant;

use super::*;

/// Time limit of tasks that must have begun before it: also on a busy machine.
const STARTED_WITHIN_MS: u32 = 2000;

#[test]
fn a_task_that_dies_in_perl_is_an_error_with_what_it_threw() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let attempt = worker.run("die qq{no luck\\n}");
        let outcome = worker.outcome(attempt).await;
        assert_eq!((outcome.head.status, value(&outcome)), (Status::Error, "no luck\n".into()));
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn exit_and_kill_are_told_with_code_signal_last_words_and_memory() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let attempt = worker.run("print qq{half way\\n}; print STDERR qq{oh no\\n}; exit 3");
        let outcome = worker.outcome(attempt).await;
        let died = report(&outcome);
        assert_eq!((outcome.head.status, died.exit, died.signal), (Status::Died, Some(3), None));
        let output = died.output.expect("its last words");
        assert!(output.contains("half way\n") && output.contains("oh no\n"), "{output}");
        assert!(died.peak_kib.expect("known") > 1000, "a perl needs more than that");
        assert_eq!((died.worker.as_deref(), died.host.as_deref()), (Some("test"), Some("here")));
        assert_eq!(worker.printed(attempt, 1), "half way\n");

        let attempt = worker.run("kill 9, $$; sleep 100");
        let died = report(&worker.outcome(attempt).await);
        assert_eq!((died.signal, died.exit), (Some(9), None));

        assert_eq!(worker.value_of("1").await, 1);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn the_peak_memory_of_a_command_is_never_that_of_its_worker() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let of_worker = std::hint::black_box(vec![1_u8; 300 << 20]);
        let attempt = worker.run_command(&json!({"argv": ["sh", "-c", "kill -9 $$"]}));
        let small = report(&worker.outcome(attempt).await);
        assert!(small.peak_kib.is_none_or(|peak| peak < 100 << 10), "{small:?}");
        let large = "my $x = 'x' x (200 << 20); $x .= 'x' x (200 << 20); kill 9, $$";
        let attempt = worker.run_command(&json!({"argv": ["perl", "-e", large]}));
        let large = report(&worker.outcome(attempt).await);
        assert!(large.peak_kib.is_some_and(|peak| peak > 400 << 10), "{large:?}");
        drop(of_worker);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_time_limit_ends_the_task_and_all_that_it_started() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        // One child in the group, and one that left its session and its parent.
        let attempt = worker.run_as(
            "my $child = fork // die; if (!$child) { exec qw(sleep 1000) }
             pipe my $r, my $w; if (!fork) { require POSIX; POSIX::setsid(); my $far = fork;
                 if ($far) { syswrite $w, qq{$far\\n}; POSIX::_exit(0) } close $w; close STDOUT; close STDERR; exec qw(sleep 1000) }
             print qq{$$ $child }, scalar <$r>; sleep 1000",
            |head| head.timeout_ms = STARTED_WITHIN_MS,
        );
        let outcome = worker.outcome(attempt).await;
        assert_eq!(outcome.head.status, Status::Timeout);
        assert!(report(&outcome).message.contains("time limit of 2 s"));
        let pids = worker.printed(attempt, 1);
        let pids: Vec<i64> = pids.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect();
        assert_eq!(pids.len(), 3, "{pids:?}");
        for pid in pids {
            gone(pid).await;
        }
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_task_that_ignores_term_is_killed_after_the_grace() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let attempt =
            worker.run_as("$SIG{TERM} = 'IGNORE'; sleep 1000", |head| head.timeout_ms = STARTED_WITHIN_MS);
        let begun = Instant::now();
        let outcome = worker.outcome(attempt).await;
        assert_eq!((outcome.head.status, report(&outcome).signal), (Status::Timeout, Some(9)));
        assert!(begun.elapsed() >= Duration::from_secs(2), "killed after {:?}", begun.elapsed());
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_forked_child_that_holds_everything_open_delays_no_report() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let attempt = worker.run(
            "require POSIX; my $child = fork // die; if (!$child) { POSIX::setsid(); sleep 1000; exit }
             print qq{$child\\n}; POSIX::_exit(7)",
        );
        // Its child would hold it up for much longer than this waits.
        let outcome = worker.outcome(attempt).await;
        assert_eq!((outcome.head.status, report(&outcome).exit), (Status::Died, Some(7)));
        gone(worker.printed(attempt, 1).trim().parse().expect("a pid")).await;
        assert_eq!(worker.value_of("2").await, 2);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn what_another_task_started_is_left_alone_when_a_runner_dies() {
    on_one_thread(async {
        let mut worker = Worker::start(WorkerConfig { slots: 2, ..config() }).await;
        let lasting = worker.run(
            "require POSIX; pipe my $r, my $w; if (!fork) { POSIX::setsid(); my $far = fork;
                 if ($far) { syswrite $w, qq{$far\\n}; POSIX::_exit(0) } close $w; exec qw(sleep 1000) }
             my $far = <$r>; print $far; sleep 1000",
        );
        let far = worker.output_of(lasting).await;
        let dying = worker.run("kill 9, $$; sleep 100");
        assert_eq!(worker.outcome(dying).await.head.status, Status::Died);
        assert_eq!(worker.value_of("3").await, 3);
        let far: i64 = far.trim().parse().expect("a pid");
        let stat = std::fs::read_to_string(format!("/proc/{far}/stat")).expect("it lives");
        assert!(stat.contains(") S "), "{stat}");
        worker.end(StopLevel::End).await;
        gone(far).await;
    });
}

#[test]
fn garbage_on_the_protocol_socket_ends_the_runner_with_a_complaint() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let attempt = worker.run(
            "for my $fd (3 .. 30) { open my $h, '>&=', $fd or next; -S $h or next; syswrite $h, qq{garbage everywhere} }
             sleep 1000",
        );
        let outcome = worker.outcome(attempt).await;
        let message = report(&outcome).message;
        assert_eq!(outcome.head.status, Status::Died);
        assert!(
            message.starts_with("the runner was ended because it sent what is not the runner protocol"),
            "{message}"
        );
        assert_eq!(worker.value_of("4").await, 4);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_stopped_attempt_is_returned_without_an_outcome() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let attempt = worker.run("print qq{$$\\n}; sleep 1000");
        let pid = worker.output_of(attempt).await;
        worker.say(ToWorker::Stop(vec![attempt]));
        let returned = worker.hear("RETURNED", |message| match message {
            FromWorker::Returned(attempts) => Some(attempts.clone()),
            _ => None,
        });
        assert_eq!(returned.await, [attempt]);
        gone(pid.trim().parse().expect("a pid")).await;
        assert_eq!(worker.value_of("5").await, 5);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_memory_limit_ends_the_task_that_exceeds_it() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let greedy =
            worker.run_as("my @all; push @all, 'x' x 1e6 for 1 .. 1000; 1", |head| head.memory_mib = 100);
        let died = report(&worker.outcome(greedy).await);
        assert_eq!(died.limit_kib, Some(100 * 1024));
        assert!(died.message.contains("100 MiB"), "{}", died.message);
        worker.end(StopLevel::Drain).await;
    });
}
