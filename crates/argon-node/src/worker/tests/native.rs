//! The client's own executable: written, started, served, and told in words when it cannot be.

use super::*;
use argon_proto::conversation::Blob;
use argon_proto::conversation::worker::{FromWorker, ToWorker};

/// A native runner in a few lines of Perl: it answers each task with the path of its file, and the hashes of the blobs
/// that it was sent.
const RUNNER: &str = r#"#!/usr/bin/env perl
use strict;
open my $socket, '+<&=', $ENV{ARGON_RUNNER_FD} or die;
my ($file, @blobs) = $0;
sub take { my $left = shift; my $all = ''; while ($left > 0) { my $n = sysread $socket, $all, $left, length $all; exit unless $n; $left -= $n } $all }
sub say_frame { my $frame = pack('N/a', chr($_[0]) . $_[1]); while (length $frame) { my $n = syswrite $socket, $frame; substr $frame, 0, $n, '' } }
say_frame(0x40, qq({"runtime":"native","version":"1","pid":$$}));
while (1) {
    my $body = take(unpack 'N', take(4));
    my $kind = ord substr $body, 0, 1, '';
    if ($kind == 0x20) { push @blobs, unpack 'H*', substr $body, 0, 32; next }
    next if $kind != 0x32;
    die "trouble\n" if $body =~ /die now/;
    my ($logs) = $body =~ /log (\d+)/;
    say_frame(0x47, substr($body, 0, 28) . q({"level":30,"logger":"a","message":") . $_ . 'x' x 1000 . '"}') for 1 .. $logs // 0;
    my $leaves = $body =~ /leave now/ ? 1 : 0;
    my $result = qq(["$file","@blobs"]);
    say_frame(0x33, substr($body, 0, 28) . pack('CCnQ>NNQ>', 0, 1, $leaves, 5, 0, 0, length $result) . $result);
    exit if $leaves;
}
"#;

pub(super) fn executable(bytes: impl Into<Vec<u8>>) -> (BlobHash, Payload) {
    let payload = Payload::from(bytes.into());
    (BlobHash::of(payload.parts()), payload)
}

/// The bytes of a small program of this machine, in which one text was replaced.
fn altered(from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = std::fs::read("/bin/true").expect("a program");
    let at = bytes.windows(from.len()).position(|window| window == from).expect("it is there");
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

impl Worker {
    pub(super) fn run_native(
        &mut self,
        (hash, payload): &(BlobHash, Payload),
        others: &[BlobHash],
        meta: &str,
    ) -> AttemptId {
        self.say(ToWorker::Blob(Blob { hash: *hash, payload: payload.clone() }));
        self.run_native_again(*hash, others, meta)
    }

    fn run_native_again(&mut self, hash: BlobHash, others: &[BlobHash], meta: &str) -> AttemptId {
        self.sequence += 1;
        let blobs = [hash].into_iter().chain(others.iter().copied());
        let meta = Bytes::copy_from_slice(meta.as_bytes());
        let mut task = Task::new(task(self.sequence, "").head, blobs, meta, Payload::default());
        task.head.runtime = Runtime::Native;
        self.say(run_of(task));
        attempt(self.sequence)
    }

    /// The report of a native task that dies.
    async fn native_death(&mut self, bytes: impl Into<Vec<u8>>) -> Report {
        let attempt = self.run_native(&executable(bytes), &[], "{}");
        let outcome = self.outcome(attempt).await;
        assert_eq!(outcome.head.status, Status::Died, "{outcome:?}");
        report(&outcome)
    }
}

#[test]
fn an_executable_runs_from_a_private_file_and_is_not_sent_to_itself() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let shared = executable(*b"shared");
        worker.say(ToWorker::Blob(Blob { hash: shared.0, payload: shared.1.clone() }));
        let program = executable(RUNNER);
        let attempt = worker.run_native(&program, &[shared.0], r#"{"call":"a::b"}"#);
        let first = value(&worker.outcome(attempt).await);
        assert_eq!(first[1], shared.0.to_string());
        let file = std::path::PathBuf::from(first[0].as_str().expect("a path"));
        assert!(file.ends_with(format!("{}/{}", worker.config_id, program.0)), "{}", file.display());
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), RUNNER);
        // The second runner starts from the file: the manager is not asked for its bytes.
        let dying = worker.run_native_again(program.0, &[], "die now");
        assert_eq!(report(&worker.outcome(dying).await).exit, Some(255));
        let attempt = worker.run_native_again(program.0, &[], "{}");
        assert_eq!(value(&worker.outcome(attempt).await)[0], first[0]);
        assert!(!worker.unread.iter().any(|message| matches!(message, FromWorker::NeedBlob(_))));
        worker.end(StopLevel::Drain).await;
        assert!(!file.exists(), "it goes with the worker");
    });
}

#[test]
fn an_executable_whose_file_was_removed_is_asked_for_again() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let program = executable(RUNNER);
        let attempt = worker.run_native(&program, &[], "{}");
        let file = value(&worker.outcome(attempt).await)[0].as_str().expect("a path").to_owned();
        std::fs::remove_file(file).expect("removed");
        let dying = worker.run_native_again(program.0, &[], "die now");
        worker.outcome(dying).await;
        let attempt = worker.run_native_again(program.0, &[], "{}");
        let asked = worker.hear("NEED_BLOB", |message| match message {
            FromWorker::NeedBlob(hashes) => Some(hashes.clone()),
            _ => None,
        });
        assert_eq!(asked.await, [program.0]);
        worker.say(ToWorker::Blob(Blob { hash: program.0, payload: program.1.clone() }));
        loop {
            // It is given back if it was tried before the blob came.
            let done = worker.hear("an end", |message| match message {
                FromWorker::Outcome(outcome) if outcome.head.id == attempt.task => Some(true),
                FromWorker::Returned(attempts) if attempts.contains(&attempt) => Some(false),
                _ => None,
            });
            if done.await {
                worker.say(ToWorker::Settled(vec![attempt]));
                break;
            }
            let head = task(attempt.task.sequence, "").head;
            let mut again = Task::new(head, [program.0], Bytes::new(), Payload::default());
            again.head.runtime = Runtime::Native;
            worker.say(run_of(again));
        }
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn what_cannot_start_is_told_at_the_first_attempt_and_others_go_on() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        // e_machine of the ELF header.
        let mut foreign = std::fs::read("/bin/true").expect("a program");
        foreign[18..20].copy_from_slice(&[0xf0, 0xf0]);
        let died = worker.native_death(foreign).await;
        assert!(died.message.contains("it is not a program for this machine"), "{died:?}");
        assert!(died.message.contains("link it statically"), "{died:?}");

        let died = worker.native_death(altered(b"/lib64/ld-", b"/lib64/xx-")).await;
        assert!(died.message.contains("the loader that it names is missing"), "{died:?}");

        let died = worker.native_death(altered(b"libc.so.6", b"libx.so.6")).await;
        assert!(died.message.contains("it exited with status 127 before it was ready"), "{died:?}");
        let output = died.output.expect("the loader's words");
        assert!(output.contains("libx.so.6: cannot open shared object file"), "{output}");

        let died = worker.native_death("#!/bin/sh\necho no such luck >&2; exit 3\n").await;
        assert_eq!((died.exit, died.output.as_deref()), (Some(3), Some("no such luck\n")));
        assert!(died.message.contains("does not start on worker test: it exited with status 3"), "{died:?}");

        let died = worker.native_death("just text").await;
        assert!(died.message.contains("it is not a program for this machine"), "{died:?}");
        assert_eq!(worker.value_of("7").await, 7);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn an_executable_that_does_not_send_ready_is_killed() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let died = worker.native_death("#!/bin/sh\necho waiting; exec sleep 1000\n").await;
        assert!(died.message.contains("it did not send READY within 10 s"), "{died:?}");
        assert_eq!(died.output.as_deref(), Some("waiting\n"));
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_big_executable_starts() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let mut bytes = RUNNER.as_bytes().to_vec();
        bytes.extend_from_slice(b"__END__\n");
        bytes.resize(100 << 20, b'x');
        let attempt = worker.run_native(&executable(bytes), &[], "{}");
        assert_eq!(worker.outcome(attempt).await.head.status, Status::Ok);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn log_records_reach_the_client_like_output_and_stop_at_the_window() {
    use argon_proto::conversation::{LOG_FD, OutputCredit, TaskOutput};
    use argon_proto::limit;
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let attempt = worker.run_native(&executable(RUNNER), &[], "log 3");
        worker.outcome(attempt).await;
        let logged = worker.printed(attempt, LOG_FD);
        assert_eq!(logged.matches(r#"{"level":30,"logger":"a","message":""#).count(), 3, "{logged}");
        assert_eq!(logged.matches("}{").count(), 2, "{logged}");

        let attempt = worker.run_native(&executable(RUNNER), &[], "log 3000");
        let mut received = 0;
        let mut records = 0;
        while received < limit::OUTPUT_WINDOW_BYTES {
            received += worker.output_of(attempt).await.len() as u64;
            records += 1;
        }
        // What was read with the last record within the window comes, too.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let is_outcome = |message: &FromWorker| matches!(message, FromWorker::Outcome(_));
        while let Ok(message) = worker.said.try_recv() {
            assert!(!is_outcome(&message), "it did not stop at the window");
            records += usize::from(matches!(message, FromWorker::Output(TaskOutput { .. })));
        }
        assert!(records < 2500, "{records}");
        worker.say(ToWorker::OutputCredit(OutputCredit { to: attempt, bytes: 10 << 20 }));
        worker.outcome(attempt).await;
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_runner_that_leaves_with_its_outcome_is_replaced_and_the_client_does_not_see_it() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let attempts =
            ["leave now", "", "leave now", ""].map(|meta| worker.run_native(&executable(RUNNER), &[], meta));
        for attempt in attempts {
            let outcome = worker.outcome(attempt).await;
            assert_eq!((outcome.head.status, outcome.head.leaves), (Status::Ok, false));
        }
        worker.end(StopLevel::Drain).await;
    });
}
