//! `argon cancel` reaches any task and says what it did: attached, detached, running, waiting, ended, unknown.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use argon_proto::conversation::Blob;
use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::key::Role;
use argon_proto::{BlobHash, Flags, Report, Runtime, Secret, SessionId, Status, Task, TaskHead, TaskId};
use argon_tests::{Cluster, Finished, WireClient, wait_for};
use bytes::Bytes;

const SOON: Duration = Duration::from_secs(10);

fn command(cluster: &Cluster, arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(argon_tests::argon());
    command.args(arguments).env("ARGON_MANAGER", cluster.address()).env("ARGON_KEY", cluster.key());
    command
}

fn argon(cluster: &mut Cluster, arguments: &[&str]) -> Finished {
    let command = command(cluster, arguments);
    cluster.run(command, arguments[0]).finish(SOON)
}

/// A file with the key of a role.
fn key_of(cluster: &mut Cluster, role: &str) -> String {
    let file = cluster.folder().join(format!("{role}.key"));
    let file = file.to_str().unwrap().to_owned();
    let made = argon(cluster, &["key", "--role", role, "--out", &file]);
    assert_eq!(made.status.code(), Some(0), "{}", made.stderr);
    file
}

fn with_key(cluster: &mut Cluster, key: &str, arguments: &[&str]) -> Finished {
    let mut command = std::process::Command::new(argon_tests::argon());
    command.args(arguments).args(["--key", key]).env("ARGON_MANAGER", cluster.address());
    cluster.run(command, "with-key").finish(SOON)
}

/// A client that speaks for itself, and submits commands that sleep.
struct Owner {
    wire: WireClient,
    session: SessionId,
}

impl Owner {
    fn connect(cluster: &Cluster, session: u8) -> Self {
        let open = Open::of(Secret::new([session; 32]));
        let session = open.session;
        let mut wire = WireClient::connect(cluster.address(), &cluster.key(), Role::Client).unwrap();
        let open = Open { client: "test".into(), ..open };
        wire.say_all([ToManager::Open(open), ToManager::Offered]);
        Self { wire, session }
    }

    fn task(&self, sequence: u64, argv: &str, flags: Flags, blobs: &[BlobHash]) -> Task {
        let id = TaskId { session: self.session, sequence };
        let head = TaskHead { flags, retries: 1, backoff_ms: 600_000, ..TaskHead::new(id, Runtime::Exec) };
        let meta = Bytes::from(format!("{{\"argv\":{argv}}}"));
        Task::new(head, blobs.iter().copied(), meta, Bytes::new().into())
    }

    /// Submits a task and returns its id as text.
    fn submit(&mut self, sequence: u64, argv: &str, flags: Flags) -> String {
        let task = self.task(sequence, argv, flags, &[]);
        let id = task.head.id.to_string();
        self.wire.say(ToManager::Submit(task));
        id
    }

    fn outcome(&mut self) -> (String, Status, String) {
        loop {
            if let Some(ToClient::Outcome(outcome)) = self.wire.hear() {
                let report = Report::from_json(&outcome.report);
                return (outcome.head.id.to_string(), outcome.head.status, report.message);
            }
        }
    }
}

const SLEEP: &str = r#"["sleep","300"]"#;

// kind: cancel frees the slot | `argon cancel` of a task that a program waits for | right | it ends, and its caller
//    learns who cancelled it
#[test]
fn a_running_and_a_waiting_attached_task_end_for_their_owner_who_learns_who_cancelled_them() {
    let mut cluster = Cluster::with_workers(&[1]);
    let mut owner = Owner::connect(&cluster, 1);
    let running = owner.submit(1, SLEEP, Flags::default());
    cluster.wait_for_status("the task to run", |status| status["tasks_running"] == 1);
    let waiting = owner.submit(2, SLEEP, Flags::default());
    cluster.wait_for_status("the other to wait", |status| status["tasks_queued"] == 1);

    let told = argon(&mut cluster, &["cancel", &running, &waiting]);
    assert_eq!(told.status.code(), Some(0), "{}", told.stderr);
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert!(lines[0].starts_with(&format!("{running}: cancelled; it was running on ")), "{}", told.stdout);
    assert!(lines[0].ends_with("its runner is being ended"), "{}", told.stdout);
    assert_eq!(lines[1], format!("{waiting}: cancelled"));
    for (id, moment) in [(&running, "while it was with worker"), (&waiting, "before it started")] {
        let (ended, status, message) = owner.outcome();
        assert_eq!((&ended, status), (id, Status::Cancelled));
        assert!(message.contains("@") && message.contains("an admin at 127.0.0.1"), "{message}");
        assert!(message.contains(moment), "{message}");
    }
    cluster.wait_for_status("the slot to be free", |status| status["slots_free"] == 1);

    let again = argon(&mut cluster, &["cancel", &running]);
    assert_eq!((again.status.code(), again.stdout.contains("was cancelled before")), (Some(0), true));
}

#[test]
fn a_command_of_argon_run_that_somebody_else_cancels_says_so() {
    let mut cluster = Cluster::with_workers(&[1]);
    let run = command(&cluster, &["run", "--", "sleep", "300"]);
    let run = cluster.run(run, "run");
    let status = cluster.wait_for_status("it to run", |status| status["tasks_running"] == 1);
    let id = status["running"][0]["task"].as_str().unwrap().to_owned();
    assert_eq!(argon(&mut cluster, &["cancel", &id]).status.code(), Some(0));
    let ended = run.finish(SOON);
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
    assert!(ended.stderr.contains("cancelled by"), "{}", ended.stderr);
}

// kind: cancel frees the slot | `argon cancel` of a task that has ended, or of another client | loud | a sentence
//    for each and status 1
#[test]
fn what_cannot_be_cancelled_is_told_and_gives_a_status() {
    let mut cluster = Cluster::with_workers(&[1]);
    let ended = argon(&mut cluster, &["submit", "--", "true"]).stdout.trim().to_owned();
    cluster.wait_for_status("it to end", |status| status["untaken"] == 1);
    let told = argon(&mut cluster, &["cancel", &ended]);
    let id = &ended[..48];
    assert_eq!((told.status.code(), told.stdout), (Some(1), format!("{id}: already ended: ok\n")));
    let collected = argon(&mut cluster, &["collect", &ended]);
    assert_eq!(collected.status.code(), Some(0), "a cancel that came too late spoiled an outcome");
    let told = argon(&mut cluster, &["cancel", &ended, &"0".repeat(48)]);
    let known = told.stdout.matches("already ended: ok").count();
    let unknown = told.stdout.matches("unknown here").count();
    assert_eq!((told.status.code(), known, unknown), (Some(1), 1, 1), "{}", told.stdout);
    assert!(told.stderr.contains("2 tasks were not cancelled"), "{}", told.stderr);
}

// kind: cancel frees the slot | a task that waits for its retry or its code | right | cancelled like every other
#[test]
fn a_task_that_waits_for_a_retry_or_for_its_code_is_cancelled_too() {
    let mut cluster = Cluster::with_workers(&[1]);
    let mut owner = Owner::connect(&cluster, 1);
    let retried = owner.submit(1, r#"["false"]"#, Flags::RETRY_DIED);
    let parked = owner.task(2, SLEEP, Flags::default(), &[BlobHash([9; 32])]);
    let bare = parked.head.id.to_string();
    owner.wire.say(ToManager::Submit(parked));
    cluster.wait_for_status("the pause before the retry", |status| status["waiting"] == 1);
    let told = argon(&mut cluster, &["cancel", &retried, &bare]);
    assert_eq!(told.stdout, format!("{retried}: cancelled\n{bare}: cancelled\n"));
    let mut ended = [owner.outcome(), owner.outcome()];
    ended.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(ended.iter().all(|(_, status, _)| *status == Status::Cancelled), "{ended:?}");
    assert!(ended[0].2.contains("its next attempt") && ended[1].2.contains("its code"), "{ended:?}");
    cluster.wait_for_status("nothing to be left", |status| {
        status["waiting"] == 0 && status["tasks_queued"] == 0 && status["tasks_running"] == 0
    });
}

#[test]
fn a_cancelled_task_that_names_its_code_many_times_takes_nothing_from_its_neighbour() {
    let cluster = Cluster::with_workers(&[1]);
    let (mut greedy, mut modest) = (Owner::connect(&cluster, 1), Owner::connect(&cluster, 2));
    let payload = argon_proto::Payload::from(b"code that both name".to_vec());
    let hash = BlobHash::of(payload.parts());
    let of_greedy = greedy.task(1, r#"["true"]"#, Flags::default(), &[hash; 16]);
    let cancelled = of_greedy.head.id;
    greedy.wire.say(ToManager::Submit(of_greedy));
    let of_modest = modest.task(1, r#"["true"]"#, Flags::default(), &[hash]);
    modest.wire.say(ToManager::Submit(of_modest));
    for owner in [&mut greedy, &mut modest] {
        while !matches!(owner.wire.hear(), Some(ToClient::NeedBlob(hashes)) if hashes == [hash]) {}
    }
    greedy.wire.say(ToManager::Cancel(vec![cancelled]));
    assert_eq!(greedy.outcome().1, Status::Cancelled);
    modest.wire.say(ToManager::Blob(Blob { hash, payload }));
    assert_eq!(modest.outcome().1, Status::Ok);
}

#[test]
fn a_task_that_waits_for_its_code_stays_its_clients_though_another_submits_its_id() {
    let cluster = Cluster::with_workers(&[1]);
    let (mut owner, mut liar) = (Owner::connect(&cluster, 1), Owner::connect(&cluster, 2));
    let [code, never_sent] = [b"code", b"void"].map(|text| BlobHash::of(&[text.as_slice().into()]));
    let task = owner.task(1, r#"["true"]"#, Flags::default(), &[code]);
    let own = task.head.id;
    owner.wire.say(ToManager::Submit(task));
    while !matches!(owner.wire.hear(), Some(ToClient::NeedBlob(hashes)) if hashes == [code]) {}
    let mut claimed = liar.task(1, r#"["true"]"#, Flags::default(), &[never_sent]);
    claimed.head.id = own;
    liar.wire.say(ToManager::Submit(claimed));
    let _answer_or_end = liar.wire.hear();
    owner.wire.say(ToManager::Cancel(vec![own]));
    assert_eq!(owner.outcome().1, Status::Cancelled);
}

#[test]
fn the_beginning_of_an_id_names_a_task_for_an_admin_if_no_other_begins_so() {
    let mut cluster = Cluster::start();
    let mut owner = Owner::connect(&cluster, 0xab);
    let mut other = Owner::connect(&cluster, 0xcd);
    let one = owner.submit(1, SLEEP, Flags::default());
    let two = [other.submit(1, SLEEP, Flags::default()), other.submit(2, SLEEP, Flags::default())];
    cluster.wait_for_status("all to wait", |status| status["tasks_queued"] == 3);
    let beginning = &two[0][..8];
    let told = argon(&mut cluster, &["cancel", beginning]);
    assert_eq!(told.status.code(), Some(1));
    assert!(
        told.stdout.contains(&format!("'{beginning}' names 2 tasks: give more digits")),
        "{}",
        told.stdout
    );

    let client = key_of(&mut cluster, "client");
    for id in [&one[..8], &one] {
        let told = with_key(&mut cluster, &client, &["cancel", id]);
        assert_eq!(told.status.code(), Some(1));
        assert!(told.stdout.contains("ticket"), "{}", told.stdout);
    }
    let told = with_key(&mut cluster, &client, &["cancel", "--all"]);
    assert!(told.status.code() == Some(4) && told.stderr.contains("only an admin"), "{}", told.stderr);
    assert_eq!(argon(&mut cluster, &["cancel", &two[0]]).status.code(), Some(0));
    assert_eq!(argon(&mut cluster, &["cancel", &one[..8].to_uppercase()]).status.code(), Some(0));

    let observer = key_of(&mut cluster, "observer");
    let told = with_key(&mut cluster, &observer, &["cancel", &two[1]]);
    assert_eq!(told.status.code(), Some(4), "{}", told.stderr);
    assert_eq!(cluster.status()["tasks_queued"], 1);
}

#[test]
fn ids_come_from_standard_input_and_all_means_all() {
    let mut cluster = Cluster::start();
    let mut owner = Owner::connect(&cluster, 1);
    let ids: Vec<String> = (1..=3).map(|n| owner.submit(n, SLEEP, Flags::default())).collect();
    cluster.wait_for_status("all to wait", |status| status["tasks_queued"] == 3);
    let mut reading = command(&cluster, &["cancel", "-"]);
    let mut child = reading.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    write!(child.stdin.take().unwrap(), "{}\n{}\n", ids[0], ids[1]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    let told = argon(&mut cluster, &["cancel", "--all"]);
    assert_eq!((told.status.code(), told.stdout.as_str()), (Some(0), "1 task cancelled\n"));
    wait_for("an empty queue", SOON, || (cluster.status()["tasks_queued"] == 0).then_some(()));
}

#[test]
fn a_cancel_needs_a_name_and_a_manager() {
    let mut cluster = Cluster::start();
    assert_eq!(argon(&mut cluster, &["cancel"]).status.code(), Some(2));
    assert_eq!(argon(&mut cluster, &["cancel", "nonsense!"]).status.code(), Some(2));
    cluster.kill_manager();
    let told = argon(&mut cluster, &["cancel", &"0".repeat(48)]);
    assert!(told.status.code() == Some(5) && told.stderr.contains("cannot be reached"), "{}", told.stderr);
}

// kind: cancel frees the slot | `argon cancel --all` with a client's key, `argon cancel -` without ids | loud | a status, a sentence
#[test]
fn a_key_that_may_not_cancel_all_has_its_status_and_no_ids_are_said_to_be_none() {
    let mut cluster = Cluster::start();
    let key = key_of(&mut cluster, "client");
    let refused = with_key(&mut cluster, &key, &["cancel", "--all"]);
    assert_eq!((refused.status.code(), refused.stdout.as_str()), (Some(4), ""), "{}", refused.stderr);
    let none = argon(&mut cluster, &["cancel", "-"]);
    assert_eq!(none.status.code(), Some(0));
    assert!(none.stderr.contains("names no task"), "{}", none.stderr);
}
