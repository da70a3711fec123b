//! Commands: what they read, print and find, how they end, and what they leave.

use argon_proto::conversation::worker::{FromWorker, ToWorker};
use argon_proto::conversation::{Answer, Ask, OutputCredit};
use argon_proto::limit;
use serde_json::{Value, json};

use super::*;

/// A task that runs a command.
fn command(sequence: u64, meta: &Value) -> Task {
    let meta = Bytes::from(meta.to_string());
    let mut task = Task::new(task(sequence, "").head, [], meta, Payload::default());
    task.head.runtime = Runtime::Exec;
    task
}

fn shell(script: &str) -> Value {
    json!({"argv": ["sh", "-c", script]})
}

impl Worker {
    pub(super) fn run_command(&mut self, meta: &Value) -> AttemptId {
        self.run_command_as(meta, |_| {})
    }

    fn run_command_as(&mut self, meta: &Value, change: impl FnOnce(&mut Task)) -> AttemptId {
        self.sequence += 1;
        let mut task = command(self.sequence, meta);
        change(&mut task);
        self.say(run_of(task));
        attempt(self.sequence)
    }

    /// Runs a command to a good end and returns what it printed.
    async fn output(&mut self, meta: &Value) -> String {
        let attempt = self.run_command(meta);
        let outcome = self.outcome(attempt).await;
        assert_eq!(outcome.head.status, Status::Ok, "{outcome:?} {}", self.printed(attempt, 2));
        assert!(outcome.payload.is_empty() && report(&outcome).output.is_none(), "{outcome:?}");
        self.printed(attempt, 1)
    }

    /// The report of a command that dies.
    async fn death(&mut self, meta: &Value) -> Report {
        let attempt = self.run_command(meta);
        let outcome = self.outcome(attempt).await;
        assert_eq!(outcome.head.status, Status::Died, "{outcome:?}");
        report(&outcome)
    }

    /// The next question for input: the attempt's, with its number.
    async fn question(&mut self) -> (AttemptId, u32, Value) {
        let asked = self.hear("ASK", |message| match message {
            FromWorker::Ask(Ask { from, ask, question }) => Some((*from, *ask, question.clone())),
            _ => None,
        });
        let (from, ask, question) = asked.await;
        (from, ask, serde_json::from_slice(&question).expect("JSON"))
    }
}

#[test]
fn a_command_prints_and_its_status_is_the_outcome() {
    on_one_thread(async {
        let mut worker = Worker::start(WorkerConfig { slots: 2, ..config() }).await;
        assert_eq!(worker.output(&json!({"argv": ["printf", "%s|", "a b", "*", "ü"]})).await, "a b|*|ü|");
        let attempt = worker.run_command(&shell("echo out; echo err >&2; exit 7"));
        let died = report(&worker.outcome(attempt).await);
        assert_eq!(
            (died.exit, died.signal, died.message.as_str()),
            (Some(7), None, "the command exited with status 7")
        );
        assert_eq!(
            (worker.printed(attempt, 1), worker.printed(attempt, 2)),
            ("out\n".into(), "err\n".into())
        );
        assert!(died.output.is_some_and(|output| output.contains("out\n") && output.contains("err\n")));
        let died = worker.death(&shell("kill -SEGV $$")).await;
        assert_eq!((died.exit, died.signal), (None, Some(11)));
        assert!(died.message.starts_with("the command was killed by signal 11"), "{died:?}");
        // The other slot keeps its Perl.
        assert_eq!(worker.value_of("5").await, 5);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn what_cannot_be_started_is_told_in_words_with_the_status_of_shells() {
    on_one_thread(async {
        let folder = tempfile::tempdir().expect("made");
        let file = |name: &str, text: &str, mode| {
            use std::os::unix::fs::PermissionsExt;
            let file = folder.path().join(name);
            std::fs::write(&file, text).expect("written");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("allowed");
            file.display().to_string()
        };
        let mut worker = Worker::start(config()).await;
        let cases = [
            (
                json!({"argv": ["no-such-thing"]}),
                Some(127),
                "there is no command 'no-such-thing' in the PATH of worker test (",
            ),
            (
                json!({"argv": ["/no/such/thing"]}),
                Some(127),
                "there is no command '/no/such/thing' on worker test",
            ),
            (
                json!({"argv": [file("data", "x", 0o644)]}),
                Some(126),
                "cannot be executed on worker test: Permission denied",
            ),
            (json!({"argv": [file("text", "x", 0o755)]}), Some(126), "nor a script that begins with #!"),
            (
                json!({"argv": [file("orphan", "#!/no/such/shell\n", 0o755)]}),
                Some(126),
                "interpreter or loader that it names is missing",
            ),
            (
                json!({"argv": ["true"], "cwd": "/no/such/folder"}),
                Some(126),
                "cannot start in the folder /no/such/folder of worker test: No such file",
            ),
            (
                json!({"argv": ["data"], "env": {"PATH": folder.path()}}),
                Some(126),
                "is no file that may be executed",
            ),
            (json!({"argv": []}), None, "the task names no command"),
            (json!({"cwd": "/"}), None, "meta does not name a command: missing field `argv`"),
            (json!({"argv": ["a\0b"]}), Some(127), "'a\0b'"),
        ];
        for (meta, exit, words) in cases {
            let died = worker.death(&meta).await;
            assert_eq!(died.exit, exit, "{died:?}");
            assert!(died.message.contains(words), "{died:?}");
        }
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_command_finds_its_folder_its_environment_and_default_signals() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let meta = json!({"argv": ["sh", "-c", "pwd; echo $HOME $MINE $ARGON_TASK_ID $ARGON_ATTEMPT $ARGON_WORKER ${CARGO_PKG_NAME-none}"],
            "cwd": "/usr", "env": {"HOME": "/nowhere", "MINE": "a=b c"}});
        let printed = worker.output(&meta).await;
        let id = attempt(1).task;
        assert_eq!(printed, format!("/usr\n/nowhere a=b c {id} 1 test none\n"));
        let status = worker.output(&json!({"argv": ["cat", "/proc/self/status"]})).await;
        let mask = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("it is told");
            u64::from_str_radix(line.trim(), 16).expect("a mask")
        };
        // This program ignores SIGPIPE, as every Rust program does.
        assert_eq!((mask("SigBlk:"), mask("SigIgn:") & 1 << (libc::SIGPIPE - 1)), (0, 0));
        let descriptors = worker.output(&shell("ls /proc/$$/fd")).await;
        assert_eq!(descriptors.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2"]);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_command_reads_its_payload_and_then_the_end() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        assert_eq!(worker.output(&json!({"argv": ["cat"]})).await, "");
        for length in [5, 64 << 10, 3_000_000] {
            let fed = |task: &mut Task| task.payload = Payload::from(vec![b'x'; length]);
            let attempt = worker.run_command_as(&json!({"argv": ["wc", "-c"]}), fed);
            assert_eq!(worker.outcome(attempt).await.head.status, Status::Ok);
            assert_eq!(worker.printed(attempt, 1).trim(), length.to_string());
            // One that reads nothing, and one that reads a little.
            for script in ["exit 0", "head -c 3 > /dev/null"] {
                let attempt = worker.run_command_as(&shell(script), fed);
                assert_eq!(worker.outcome(attempt).await.head.status, Status::Ok, "{script}");
            }
        }
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn input_is_asked_of_the_client_as_the_command_reads() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let attempt = worker.run_command(&json!({"argv": ["wc", "-c"], "stdin": "ask"}));
        for round in 0..4_u64 {
            let (from, ask, question) = worker.question().await;
            assert_eq!(from, attempt);
            assert_eq!(question, json!({"kind": "stdin", "offset": round * 200_000, "bytes": 262_144}));
            let length = if round < 3 { 200_000 } else { 0 };
            worker.say(ToWorker::Answer(Answer {
                to: from,
                ask,
                found: true,
                bytes: vec![b'x'; length].into(),
            }));
        }
        assert_eq!(worker.outcome(attempt).await.head.status, Status::Ok);
        assert_eq!(worker.printed(attempt, 1).trim(), "600000");

        // One that does not read is not asked for more than fits.
        let attempt = worker.run_command(&{
            let mut meta = shell("read go; exit 0");
            meta["stdin"] = "ask".into();
            meta
        });
        let (from, ask, _) = worker.question().await;
        worker.say(ToWorker::Answer(Answer {
            to: from,
            ask,
            found: true,
            bytes: vec![b'x'; 200_000].into(),
        }));
        worker.say(ToWorker::Recall(1));
        worker.hear("RETURNED", |message| matches!(message, FromWorker::Returned(_)).then_some(())).await;
        assert!(!worker.unread.iter().any(|message| matches!(message, FromWorker::Ask(Ask { .. }))));
        worker.say(ToWorker::Stop(vec![attempt]));

        let attempt = worker.run_command(&json!({"argv": ["cat"], "stdin": "ask"}));
        let (from, ask, _) = worker.question().await;
        worker.say(ToWorker::Answer(Answer { to: from, ask, found: false, bytes: Bytes::new() }));
        let died = report(&worker.outcome(attempt).await);
        assert!(died.message.contains("its client no longer has what it reads"), "{died:?}");
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_question_for_input_is_asked_again_on_a_new_connection() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let attempt = worker.run_command(&json!({"argv": ["cat"], "stdin": "ask"}));
        let first = worker.question().await;
        worker.send(LinkEvent::Lost);
        worker.register().await;
        let second = worker.question().await;
        assert_eq!(first, second);
        worker.say(ToWorker::Answer(Answer { to: attempt, ask: second.1, found: true, bytes: Bytes::new() }));
        assert_eq!(worker.outcome(attempt).await.head.status, Status::Ok);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_flood_of_output_stops_at_the_window_and_another_slot_goes_on() {
    on_one_thread(async {
        let mut worker = Worker::start(WorkerConfig { slots: 2, ..config() }).await;
        let flood = 64 << 20;
        let attempt = worker.run_command(&json!({"argv": ["head", "-c", flood.to_string(), "/dev/zero"]}));
        let mut received = 0;
        while received < limit::OUTPUT_WINDOW_BYTES {
            received += worker.output_of(attempt).await.len() as u64;
        }
        assert_eq!(worker.output(&json!({"argv": ["echo", "meanwhile"]})).await, "meanwhile\n");
        assert_eq!((worker.printed(attempt, 1).len(), received), (0, limit::OUTPUT_WINDOW_BYTES));
        while received < flood {
            worker.say(ToWorker::OutputCredit(OutputCredit { to: attempt, bytes: received }));
            received += worker.output_of(attempt).await.len() as u64;
        }
        assert_eq!(worker.outcome(attempt).await.head.status, Status::Ok);
        assert_eq!((worker.printed(attempt, 1).len(), received), (0, flood));
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn captured_output_of_a_command_comes_with_its_outcome() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        for (script, status) in [("echo seen", Status::Ok), ("echo seen; exit 2", Status::Died)] {
            let attempt = worker.run_command_as(&shell(script), |task| task.head.flags = Flags::CAPTURE);
            let outcome = worker.outcome(attempt).await;
            assert_eq!((outcome.head.status, report(&outcome).output.as_deref()), (status, Some("seen\n")));
            assert_eq!(worker.printed(attempt, 1), "");
        }
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_time_limit_and_a_stop_end_a_command_and_all_that_it_started() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let script =
            "sleep 1000 & echo $$ $!; setsid sleep 1000 & echo $!; trap '' TERM; wait; wait; sleep 1000";
        for is_stopped in [false, true] {
            let limit = if is_stopped { 0 } else { 300 };
            let attempt = worker.run_command_as(&shell(script), |task| task.head.timeout_ms = limit);
            let mut pids = Vec::new();
            while pids.len() < 3 {
                let printed = worker.output_of(attempt).await;
                pids.extend(printed.split_whitespace().map(|pid| pid.parse::<i64>().expect("a pid")));
            }
            if is_stopped {
                worker.say(ToWorker::Stop(vec![attempt]));
                let returned = worker.hear("RETURNED", |message| match message {
                    FromWorker::Returned(attempts) => Some(attempts.clone()),
                    _ => None,
                });
                assert_eq!(returned.await, [attempt]);
            } else {
                assert_eq!(worker.outcome(attempt).await.head.status, Status::Timeout);
            }
            for pid in pids {
                gone(pid).await;
            }
        }
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_command_that_is_stopped_while_it_starts_is_ended_as_soon_as_it_is_there() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        for _ in 0..20 {
            let attempt = worker.run_command(&json!({"argv": ["sleep", "1000"]}));
            worker.say(ToWorker::Stop(vec![attempt]));
            let returned = worker.hear("RETURNED", |message| match message {
                FromWorker::Returned(attempts) => Some(attempts.clone()),
                _ => None,
            });
            assert_eq!(returned.await, [attempt]);
        }
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn what_a_command_left_running_is_ended_and_does_not_keep_the_task() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        // It ends when the second one has said its pid: opening a FIFO waits for the other end.
        let far = "setsid sh -c 'echo $$; : >\"$0\"; exec sleep 1000' \"$d/said\" &";
        let waits = "d=$(mktemp -d); mkfifo \"$d/said\"";
        let printed = worker
            .output(&shell(&format!("{waits}; sleep 1000 & echo $!; {far} : <\"$d/said\"; rm -r \"$d\"")))
            .await;
        let pids: Vec<i64> = printed.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect();
        assert_eq!(pids.len(), 2, "{printed}");
        for pid in pids {
            gone(pid).await;
        }
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn memory_of_a_command_is_limited() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let attempt = worker.run_command_as(
            &json!({"argv": ["perl", "-e", "my $x = 'x' x 200_000_000; print length $x"]}),
            |task| {
                task.head.memory_mib = 50;
            },
        );
        let outcome = worker.outcome(attempt).await;
        assert_eq!((outcome.head.status, report(&outcome).limit_kib), (Status::Died, Some(50 << 10)));
        assert!(worker.printed(attempt, 2).contains("Out of memory"));
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn many_commands_follow_each_other_and_leave_no_descriptor() {
    on_one_thread(async {
        // An interpreter that is kept ready would open descriptors meanwhile.
        let mut worker = Worker::start(WorkerConfig { slots: 2, runners_max: 0, ..config() }).await;
        let open = || std::fs::read_dir("/proc/self/fd").expect("readable").count();
        // A slot keeps the group of its last command.
        let mut before = usize::MAX;
        for _ in 0..2 {
            let attempts: Vec<AttemptId> = (0..200)
                .map(|number| worker.run_command(&json!({"argv": ["echo", number.to_string()]})))
                .collect();
            for (number, attempt) in attempts.into_iter().enumerate() {
                assert_eq!(worker.outcome(attempt).await.head.status, Status::Ok);
                assert_eq!(worker.printed(attempt, 1), format!("{number}\n"));
            }
            assert!(open() <= before, "{before} descriptors were open, and now {}", open());
            before = open();
        }
        worker.end(StopLevel::Drain).await;
    });
}
