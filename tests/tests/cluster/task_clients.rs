//! Clients of tasks, and what status shows of the processes that execute tasks.

use std::time::Duration;

use argon_proto::conversation::child::ChildOpen;
use argon_proto::conversation::client::{Open, ToManager};
use argon_proto::conversation::worker::{FromWorker, ToWorker};
use argon_proto::handshake::RefusalCode;
use argon_proto::key::Role;
use argon_proto::{Attempt, SessionId, TaskId, WorkerId};
use argon_tests::{Cluster, WireClient, WirePeer};

fn child_of(session: u8) -> ChildOpen {
    ChildOpen {
        worker: WorkerId([9; 16]),
        task: TaskId { session: SessionId([session; 16]), sequence: 1 },
        attempt: Attempt(1),
        session: SessionId([session; 16]),
        client: "test".to_owned(),
        host: String::new(),
        pid: 0,
    }
}

fn open(session: u8) -> Open {
    Open { session: SessionId([session; 16]), client: String::new(), host: String::new(), pid: 0 }
}

// kind: sessions of tasks | CHILD_OPEN with a client's key, or for an attempt that no worker has | loud | refused in words
#[test]
fn a_session_of_a_task_is_opened_by_the_worker_that_has_the_task() {
    let cluster = Cluster::start();
    let mut client = WireClient::connect(cluster.address(), &cluster.key(), Role::Client).unwrap();
    client.say(ToManager::ChildOpen(child_of(1)));
    let refusal = client.refusal();
    assert_eq!(refusal.code, RefusalCode::Role);
    assert!(refusal.message.contains("CHILD_OPEN"), "{refusal:?}");
    let mut worker = WirePeer::<ToWorker>::connect(cluster.address(), &cluster.key(), Role::Worker).unwrap();
    worker.say(ToManager::ChildOpen(child_of(1)));
    worker.refusal();
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
    child.say(ToManager::ChildOpen(child_of(3)));
    child.say(FromWorker::Returned(Vec::new()));
    child.refusal();
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
    let shown = cluster.run(command, "status").finish(Duration::from_secs(20)).stdout;
    assert!(shown.contains("runners of ") && shown.contains("perl 0 busy"), "{shown}");
}
