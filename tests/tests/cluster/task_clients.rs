//! Clients of tasks, and what status shows of the processes that execute tasks.

use std::time::Duration;

use argon_proto::conversation::admin::Question;
use argon_proto::conversation::child::ChildOpen;
use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::conversation::worker::{FromWorker, ToWorker};
use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::key::Role;
use argon_proto::{Attempt, AttemptToken, Runtime, Secret, Task, TaskHead, TaskId, WorkerId};
use argon_tests::{Cluster, Process, WireClient, WirePeer};
use bytes::Bytes;

const SOON: Duration = Duration::from_secs(60);

fn child_of(session: u8) -> ChildOpen {
    ChildOpen {
        worker: WorkerId([9; 16]),
        task: TaskId { session: open(session).session, sequence: 1 },
        attempt: Attempt(1),
        token: AttemptToken(1),
        session: open(session).session,
        secret: secret(session),
        previous: None,
        client: "test".into(),
        host: "".into(),
        pid: 0,
    }
}

fn secret(session: u8) -> Secret {
    Secret::new([session; 32])
}

fn open(session: u8) -> Open {
    Open::of(secret(session))
}

// kind: sessions of tasks | CHILD_OPEN with a client's key, or for an attempt that no worker has | loud | refused in words
#[test]
fn a_session_of_a_task_is_opened_by_the_worker_that_has_the_task() {
    let cluster = Cluster::start();
    let mut client = WireClient::connect(cluster.address(), &cluster.key(), Role::Client).unwrap();
    client.say(ToManager::ChildOpen(Box::new(child_of(1))));
    let refusal = client.refusal();
    assert_eq!(refusal.code, RefusalCode::Role);
    assert!(refusal.message.contains("CHILD_OPEN"), "{refusal:?}");
    let mut worker = WirePeer::<ToWorker>::connect(cluster.address(), &cluster.key(), Role::Worker).unwrap();
    worker.say(ToManager::ChildOpen(Box::new(child_of(1))));
    worker.refusal();
}

// kind: sessions of tasks | a client opens a new session in the family of another's | loud | refused in words
#[test]
fn a_family_of_sessions_belongs_to_the_client_that_has_it() {
    let cluster = Cluster::start();
    let connect = || WireClient::connect(cluster.address(), &cluster.key(), Role::Client).unwrap();
    let mut owner = connect();
    owner.say(ToManager::Open(open(5)));
    owner.say(ToManager::Request(Question::Status.numbered(1)));
    assert!(matches!(owner.hear(), Some(ToClient::Reply(reply)) if reply.ok));
    let mut near = open(5).session;
    near.0[15] ^= 1;
    let of_child = Open::of_child(open(5).session.family(), secret(6));
    for foreign in [Open { session: near, ..open(5) }, of_child, Open { session: open(5).session, ..open(6) }]
    {
        let mut other = connect();
        other.say(ToManager::Open(foreign));
        let refusal = other.refusal();
        assert_eq!(refusal.code, RefusalCode::Session, "{refusal:?}");
    }
    owner.say(ToManager::Request(Question::Status.numbered(2)));
    assert!(matches!(owner.hear(), Some(ToClient::Reply(reply)) if reply.ok), "it goes on");
}

// kind: sessions of tasks | tasks right behind an opening that is refused | loud | the reason is that of the opening
#[test]
fn tasks_behind_a_refused_opening_do_not_change_its_reason() {
    let cluster = Cluster::start();
    let id = TaskId { session: open(7).session, sequence: 1 };
    let submit = || {
        ToManager::Submit(Task::new(TaskHead::new(id, Runtime::Exec), [], Bytes::new(), Bytes::new().into()))
    };
    let refused = |code: RefusalCode, refusal: &Refusal| assert_eq!(refusal.code, code, "{refusal:?}");
    let mut client = WireClient::connect(cluster.address(), &cluster.key(), Role::Client).unwrap();
    client.say_all([ToManager::Open(Open { secret: secret(8), ..open(7) }), ToManager::Offered, submit()]);
    refused(RefusalCode::Session, &client.refusal());
    let mut child = WirePeer::<ToWorker>::connect(cluster.address(), &cluster.key(), Role::Worker).unwrap();
    child.say_all([ToManager::ChildOpen(Box::new(child_of(7))), ToManager::Offered, submit()]);
    refused(RefusalCode::Session, &child.refusal());
    // Without an opening there is no other reason.
    let mut client = WireClient::connect(cluster.address(), &cluster.key(), Role::Client).unwrap();
    client.say(submit());
    refused(RefusalCode::Frame, &client.refusal());
}

// kind: sessions of tasks | a worker's connection that carries both conversations | loud | refused in words
#[test]
fn a_connection_of_a_worker_carries_one_conversation() {
    let cluster = Cluster::start();
    let connect = || WirePeer::<ToWorker>::connect(cluster.address(), &cluster.key(), Role::Worker).unwrap();
    for message in [ToManager::Open(open(2)), ToManager::Offered, ToManager::Ack(Vec::new())] {
        let mut worker = connect();
        worker.say(message);
        let refusal = worker.refusal();
        assert!(refusal.message.contains("only after CHILD_OPEN"), "{refusal:?}");
    }
    let mut child = connect();
    child.say(ToManager::ChildOpen(Box::new(child_of(3))));
    child.say(FromWorker::Returned(Vec::new()));
    child.refusal();
}

/// `argon run` of a line for a shell, in which `$argon` is the program.
fn run_shell(cluster: &mut Cluster, line: &str) -> Process {
    let address = cluster.address().to_owned();
    let program = format!("argon={}", argon_tests::argon().display());
    let mut command = cluster.argon(&["run", "--manager", &address]);
    command.args(["--env", &program, "--", "sh", "-c", line]);
    cluster.run(command, "run")
}

// kind: tasks that wait for tasks | commands in commands, deeper than there are slots | right | each waits and lends its slot
#[test]
fn commands_in_commands_need_neither_key_nor_address_nor_a_slot_of_their_own() {
    let mut cluster = Cluster::with_workers(&[1]);
    let line = r#"
        nest='if [ $depth -eq 0 ]; then echo bottom; else
            depth=$((depth - 1)) "$argon" run --env argon --env nest --env depth -- sh -c "$nest"; fi'
        export argon nest; depth=6 sh -c "$nest""#;
    let finished = run_shell(&mut cluster, line).finish(SOON);
    assert_eq!((finished.status.code(), &*finished.stdout), (Some(0), "bottom\n"), "{}", finished.stderr);
    let mapped = run_shell(&mut cluster, r#""$argon" map -k -- echo item ::: 1 2 3"#).finish(SOON);
    assert_eq!(mapped.stdout, "item 1\nitem 2\nitem 3\n", "{}", mapped.stderr);
    let collected =
        run_shell(&mut cluster, r#"id=$("$argon" submit -- echo kept) && "$argon" collect $id"#).finish(SOON);
    assert_eq!(collected.stdout, "kept\n", "{}", collected.stderr);
}

// kind: sessions of tasks | the outer command of two is cancelled | right | the inner one ends with it
#[test]
fn a_task_that_waits_is_shown_and_its_tasks_end_with_it() {
    let mut cluster = Cluster::with_workers(&[1]);
    let outer = run_shell(&mut cluster, r#""$argon" run -- sleep 300"#);
    let status = cluster.wait_for_status("the inner command to run", |status| {
        status["tasks_running"] == 2 && status["tasks_lent"] == 1
    });
    assert_eq!((&status["slots_free"], &status["worker_list"][0]["lent"]), (&0.into(), &1.into()));
    outer.signal(libc::SIGTERM);
    assert_eq!(outer.finish(SOON).status.code(), Some(143));
    let status = cluster.wait_for_status("both to end", |status| {
        status["tasks_running"] == 0 && status["worker_list"][0]["held"] == 0 && status["slots_free"] == 1
    });
    assert_eq!(status["totals"]["cancelled"], 2);
}

// kind: sentences for mistakes | `argon status` inside a task | loud | the message names the options
#[test]
fn commands_that_ask_the_manager_itself_need_an_address_inside_a_task() {
    let mut cluster = Cluster::with_workers(&[1]);
    for line in ["status", "cancel 0123456789", "drain worker"] {
        let finished = run_shell(&mut cluster, &format!(r#""$argon" {line}"#)).finish(SOON);
        assert_eq!(finished.status.code(), Some(2), "{line}: {}", finished.stderr);
        assert!(finished.stderr.contains("inside a task") && finished.stderr.contains("--manager"), "{line}");
    }
}

// kind: the state of the pool | the processes that execute tasks | right | by runtime, busy and idle
#[test]
fn status_shows_the_runners_of_each_worker() {
    let mut cluster = Cluster::with_workers(&[2]);
    let count = cluster.perl("print scalar $client->process(sub { 'done' });");
    assert_eq!(count, "done");
    let status = cluster.wait_for_status("an idle runner", |status| {
        status["worker_list"][0]["runners"]["idle"]["perl"].as_u64() > Some(0)
    });
    assert_eq!(status["tasks_lent"], 0);
    let address = cluster.address().to_owned();
    let command = cluster.argon(&["status", "--manager", &address]);
    let shown = cluster.run(command, "status").finish(SOON).stdout;
    assert!(shown.contains("runners of ") && shown.contains("perl 0 busy"), "{shown}");
}
