//! Commands and clients' own executables on a real cluster, by a client that speaks the protocol by hand.

use std::collections::HashMap;
use std::time::Duration;

use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::conversation::{Blob, OutputCredit, TaskOutput};
use argon_proto::key::Role;
use argon_proto::{
    Attempt, AttemptId, BlobHash, Outcome, Payload, Report, Runtime, Secret, SessionId, Status, Task,
    TaskHead, TaskId,
};
use argon_tests::{Cluster, WireClient, wait_for};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::exhaustion::limit_descriptors;
use crate::support::{descriptors, is_gone, memory_mib, wait_until_gone};

/// A native runner in a few lines of Perl: it answers each task with how long its own file is.
const NATIVE: &str = r#"#!/usr/bin/env perl
open my $socket, '+<&=', $ENV{ARGON_RUNNER_FD} or die;
sub take { my $left = shift; my $all = ''; while ($left > 0) { my $n = sysread $socket, $all, $left, length $all; exit unless $n; $left -= $n } $all }
sub say_frame { syswrite $socket, pack('N/a', chr($_[0]) . $_[1]) }
say_frame(0x40, qq({"runtime":"native","version":"1","pid":$$}));
while (1) {
    my $body = take(unpack 'N', take(4));
    next if 0x32 != ord substr $body, 0, 1, '';
    my $result = -s $0;
    say_frame(0x33, substr($body, 0, 28) . pack('CCnQ>NNQ>', 0, 1, 0, 5, 0, 0, length $result) . $result);
}
__END__
"#;

/// A client with its session.
struct Session {
    client: WireClient,
    id: SessionId,
    sequence: u64,
    /// Standard output of tasks, and the number of bytes that were granted.
    printed: HashMap<u64, (Vec<u8>, u64)>,
    /// True if output is granted as it comes.
    grants: bool,
}

impl Session {
    fn open(cluster: &Cluster, number: u8) -> Self {
        let client = WireClient::connect(cluster.address(), &cluster.key(), Role::Client).unwrap();
        let open = Open::of(Secret::new([number; 32]));
        let mut session =
            Self { client, id: open.session, sequence: 0, printed: HashMap::new(), grants: true };
        session.client.say(ToManager::Open(open));
        session.client.say(ToManager::Offered);
        session
    }

    fn submit(&mut self, meta: &Value, change: impl FnOnce(&mut Task)) -> u64 {
        self.sequence += 1;
        let head = TaskHead::new(TaskId { session: self.id, sequence: self.sequence }, Runtime::Exec);
        let mut task = Task::new(head, [], Bytes::from(meta.to_string()), Payload::default());
        change(&mut task);
        self.client.say(ToManager::Submit(task));
        self.sequence
    }

    fn shell(&mut self, script: &str) -> u64 {
        self.submit(&json!({"argv": ["sh", "-c", script]}), |_| {})
    }

    fn cancel(&mut self, sequence: u64) {
        self.client.say(ToManager::Cancel(vec![TaskId { session: self.id, sequence }]));
    }

    /// Takes one message; returns an outcome if it was one.
    fn take(&mut self) -> Option<Outcome> {
        #[allow(clippy::wildcard_enum_match_arm, reason = "what else a manager says does not matter here")]
        match self.client.hear().expect("the manager stays") {
            ToClient::Output(TaskOutput { from, fd: 1, bytes }) => self.on_output(from, &bytes),
            ToClient::Outcome(outcome) => {
                self.client.say(ToManager::Ack(vec![outcome.head.id]));
                return Some(outcome);
            }
            _ => {}
        }
        None
    }

    fn on_output(&mut self, from: AttemptId, bytes: &[u8]) {
        let (printed, granted) = self.printed.entry(from.task.sequence).or_default();
        printed.extend_from_slice(bytes);
        if self.grants && printed.len() as u64 - *granted >= 512 << 10 {
            *granted = printed.len() as u64;
            self.client.say(ToManager::OutputCredit(OutputCredit { to: from, bytes: *granted }));
        }
    }

    fn outcome(&mut self, sequence: u64) -> Outcome {
        loop {
            if let Some(outcome) = self.take().filter(|outcome| outcome.head.id.sequence == sequence) {
                return outcome;
            }
        }
    }

    /// Output of a task so far.
    fn printed(&self, sequence: u64) -> String {
        let printed = self.printed.get(&sequence).map(|(printed, _)| printed.clone());
        String::from_utf8(printed.unwrap_or_default()).unwrap()
    }

    /// The numbers that a task prints, once there are `count`.
    fn pids(&mut self, sequence: u64, count: usize) -> Vec<i32> {
        loop {
            let pids: Vec<i32> =
                self.printed(sequence).split_whitespace().map(|pid| pid.parse().unwrap()).collect();
            if pids.len() == count {
                return pids;
            }
            self.take();
        }
    }
}

#[test]
fn a_command_travels_and_comes_back_with_what_it_printed_and_its_status() {
    let cluster = Cluster::with_workers(&[1]);
    let mut session = Session::open(&cluster, 1);
    let meta = json!({"argv": ["sh", "-c", "cat; echo $WORD; exit 3"], "env": {"WORD": "set"}, "cwd": "/"});
    let task = session.submit(&meta, |task| task.payload = Payload::from(b"fed ".to_vec()));
    let outcome = session.outcome(task);
    assert_eq!((outcome.head.status, Report::from_json(&outcome.report).exit), (Status::Died, Some(3)));
    assert_eq!(session.printed(task), "fed set\n");
    let task = session.submit(&json!({"argv": ["no-such-command"]}), |_| {});
    let died = Report::from_json(&session.outcome(task).report);
    assert_eq!(died.exit, Some(127));
    assert!(
        died.message.starts_with("there is no command 'no-such-command' in the PATH of worker"),
        "{died:?}"
    );
}

#[test]
fn sixty_four_mebibytes_of_output_pass_without_being_held_anywhere() {
    const FLOOD: usize = 64 << 20;
    let cluster = Cluster::with_workers(&[1]);
    let mut session = Session::open(&cluster, 1);
    let task = session.submit(&json!({"argv": ["head", "-c", FLOOD.to_string(), "/dev/zero"]}), |_| {});
    assert_eq!(session.outcome(task).head.status, Status::Ok);
    assert_eq!(session.printed[&task].0.len(), FLOOD);
    let (manager, worker) = (cluster.manager.as_ref().unwrap().pid(), cluster.workers[0].pid());
    let used = [manager, worker].map(memory_mib);
    assert!(used.iter().all(|mib| *mib < 48), "manager and worker use {used:?} MiB");
}

#[test]
fn a_client_that_reads_no_output_stalls_its_own_task_and_nothing_else() {
    let cluster = Cluster::with_workers(&[2]);
    let mut stalled = Session::open(&cluster, 1);
    stalled.grants = false;
    let flood = stalled.submit(&json!({"argv": ["head", "-c", "20000000", "/dev/zero"]}), |_| {});
    while stalled.printed.get(&flood).is_none_or(|(printed, _)| printed.len() < 1 << 20) {
        stalled.take();
    }
    let mut other = Session::open(&cluster, 2);
    for _ in 0..20 {
        let task = other.shell("echo fine");
        assert_eq!(other.outcome(task).head.status, Status::Ok);
        assert_eq!(other.printed(task), "fine\n");
    }
    assert_eq!(stalled.printed[&flood].0.len(), 1 << 20, "it stands still meanwhile");
    let to = AttemptId { task: TaskId { session: stalled.id, sequence: flood }, attempt: Attempt(1) };
    stalled.client.say(ToManager::OutputCredit(OutputCredit { to, bytes: u64::MAX }));
    assert_eq!(stalled.outcome(flood).head.status, Status::Ok);
    assert_eq!(stalled.printed[&flood].0.len(), 20_000_000);
}

#[test]
fn a_command_that_never_reads_is_given_ten_mebibytes_in_vain() {
    let cluster = Cluster::with_workers(&[1]);
    let mut session = Session::open(&cluster, 1);
    let meta = json!({"argv": ["sh", "-c", "exit 0"]});
    let task = session.submit(&meta, |task| task.payload = Payload::from(vec![0; 10 << 20]));
    assert_eq!(session.outcome(task).head.status, Status::Ok);
}

#[test]
fn a_cancel_and_a_time_limit_end_a_command_with_all_that_it_started() {
    let cluster = Cluster::with_workers(&[1]);
    let mut session = Session::open(&cluster, 1);
    let script = "sleep 1000 & echo $$ $!; setsid sh -c 'echo $$; exec sleep 1000' & wait";
    let task = session.shell(script);
    let pids = session.pids(task, 3);
    session.cancel(task);
    assert_eq!(session.outcome(task).head.status, Status::Cancelled);
    wait_until_gone(&pids, Duration::from_secs(60));

    let meta = json!({"argv": ["sh", "-c", script]});
    let task = session.submit(&meta, |task| task.head.timeout_ms = 2000);
    let pids = session.pids(task, 3);
    assert_eq!(session.outcome(task).head.status, Status::Timeout);
    wait_until_gone(&pids, Duration::from_secs(60));
}

#[test]
fn what_a_killed_worker_ran_is_ended_there_and_starts_elsewhere() {
    let mut cluster = Cluster::with_workers(&[1]);
    let mut session = Session::open(&cluster, 1);
    let go = cluster.folder().join("go");
    let script = format!("sleep 1000 & echo $$ $!; until test -e '{}'; do sleep 0.01; done", go.display());
    let task = session.shell(&script);
    let first = session.pids(task, 2);
    cluster.add_worker(&["--workers", "1"]);
    cluster.workers.remove(0).kill();
    let both = session.pids(task, 4);
    wait_until_gone(&first, Duration::from_secs(10));
    assert!(!is_gone(both[2]), "it runs elsewhere");
    std::fs::write(go, "").unwrap();
    let outcome = session.outcome(task);
    assert_eq!((outcome.head.status, outcome.head.attempt), (Status::Ok, Attempt(2)));
}

#[test]
fn a_worker_that_can_start_no_command_gives_it_back_and_another_runs_it() {
    let cluster = Cluster::with_workers(&[1, 1]);
    let (poor, rich) = (cluster.workers[0].pid(), cluster.workers[1].pid());
    limit_descriptors(poor, descriptors(poor) as u64 - 3);
    let mut session = Session::open(&cluster, 1);
    let tasks: Vec<u64> = (0..20).map(|_| session.shell("echo $PPID")).collect();
    for _ in &tasks {
        let outcome = loop {
            if let Some(outcome) = session.take() {
                break outcome;
            }
        };
        assert_eq!(outcome.head.status, Status::Ok, "{outcome:?}");
    }
    assert!(tasks.iter().all(|task| session.printed(*task) == format!("{rich}\n")));
    assert!(cluster.workers[0].stderr().contains("no command can be started"));
}

#[test]
fn a_worker_without_perl_serves_what_it_has_and_one_that_was_named_must_be_there() {
    let mut cluster = Cluster::start();
    let address = cluster.address().to_owned();
    let bin = cluster.folder().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink("/bin/echo", bin.join("echo")).unwrap();
    let mut command = cluster.argon(&["worker", "--port", "0", "--workers", "1", "--manager", &address]);
    command.env("PATH", &bin);
    let mut worker = cluster.run(command, "worker");
    worker.ready("pid");
    let status = cluster.status();
    let runtimes = status["worker_list"][0]["runtimes"].to_string();
    assert!(
        runtimes.contains("native") && runtimes.contains("exec") && !runtimes.contains("perl"),
        "{runtimes}"
    );
    let command = cluster.argon(&["status", "--manager", &address]);
    let shown = cluster.run(command, "status").finish(Duration::from_secs(10)).stdout;
    assert!(shown.lines().any(|line| line.ends_with("ready     exec, native")), "{shown}");
    let mut session = Session::open(&cluster, 1);
    let task = session.submit(&json!({"argv": ["echo", "here"]}), |_| {});
    assert_eq!(session.outcome(task).head.status, Status::Ok);
    assert_eq!(session.printed(task), "here\n");
    let task = session.submit(&json!({"call": "My::f"}), |task| task.head.runtime = Runtime::Perl);
    let died = Report::from_json(&session.outcome(task).report);
    assert!(died.message.contains("has no perl runtime (it has: native, exec)"), "{died:?}");

    for option in ["--perl", "--python"] {
        let command = cluster.argon(&["worker", "--port", "0", "--manager", &address, option, "/nowhere/it"]);
        let finished = cluster.run(command, "worker").finish(Duration::from_secs(10));
        assert_eq!(finished.status.code(), Some(6), "{option}: {}", finished.stderr);
        assert!(
            finished.stderr.contains("/nowhere/it") && finished.stderr.contains(option),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn an_executable_of_a_hundred_mebibytes_reaches_its_worker_once() {
    const LENGTH: usize = 100 << 20;
    let cluster = Cluster::with_workers(&[2]);
    let mut session = Session::open(&cluster, 1);
    let mut bytes = NATIVE.as_bytes().to_vec();
    bytes.resize(LENGTH, b'x');
    let payload = Payload::from(bytes);
    let hash = BlobHash::of(payload.parts());
    session.client.say(ToManager::Blob(Blob { hash, payload }));
    let native = |task: &mut Task| {
        let head = TaskHead { runtime: Runtime::Native, ..task.head.clone() };
        *task = Task::new(head, [hash], Bytes::copy_from_slice(task.meta()), Payload::default());
    };
    let tasks: Vec<u64> = (0..20).map(|_| session.submit(&json!({"call": "a::b"}), native)).collect();
    let mut lengths = HashMap::new();
    while lengths.len() < tasks.len() {
        if let Some(outcome) = session.take() {
            assert_eq!(outcome.head.status, Status::Ok, "{outcome:?}");
            lengths.insert(outcome.head.id.sequence, outcome.payload.to_contiguous());
        }
    }
    assert!(lengths.values().all(|length| *length == LENGTH.to_string().as_bytes()));
    let worker = cluster.workers[0].pid();
    wait_for("the worker to hold the executable in its file only", Duration::from_secs(10), || {
        (memory_mib(worker) < 64).then_some(())
    });
}
