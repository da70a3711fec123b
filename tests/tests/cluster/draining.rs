//! `argon drain` waits for what runs, however long that takes, or as long as it was told; `argon up` keeps its manager.

use std::time::Duration;

use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::key::Role;
use argon_proto::{Runtime, Secret, Status, Task, TaskHead, TaskId};
use argon_tests::{Cluster, Finished, Process, WireClient, wait_for};
use bytes::Bytes;

const SOON: Duration = Duration::from_secs(10);
const LATER: Duration = Duration::from_secs(30);

fn start(cluster: &mut Cluster, arguments: &[&str]) -> Process {
    let mut command = std::process::Command::new(argon_tests::argon());
    command.args(arguments).env("ARGON_MANAGER", cluster.address()).env("ARGON_KEY", cluster.key());
    command.current_dir(cluster.folder());
    cluster.run(command, arguments[0])
}

fn argon(cluster: &mut Cluster, arguments: &[&str]) -> Finished {
    start(cluster, arguments).finish(LATER)
}

/// A worker that gives running tasks half a second after a signal; its name.
fn impatient_worker(cluster: &mut Cluster) -> String {
    cluster.add_worker(&["--workers", "1", "--drain-limit", "0.5"]);
    let status = cluster.status();
    status["worker_list"][0]["name"].as_str().unwrap().to_owned()
}

/// A command that runs until the file `go` is there.
const UNTIL_GO: &str = "touch begun; while ! [ -e go ]; do sleep 0.02; done; echo done";

fn begin(cluster: &mut Cluster) -> Process {
    let running = start(cluster, &["run", "--never-twice", "--", "sh", "-c", UNTIL_GO]);
    // A worker that has the command may give it back until it has begun.
    let begun = cluster.folder().join("begun");
    wait_for("the command to begin", SOON, || begun.exists().then_some(()));
    running
}

// kind: drain waits | a task that must never run twice and takes longer than the limit of a signal | right | it ends as it
//       would without a drain
// kind: drain waits | a task that must never run twice on a worker that is drained | right | the worker waits for
//    it
#[test]
fn a_drain_waits_for_a_task_that_must_never_run_twice_as_long_as_it_takes() {
    let mut cluster = Cluster::start();
    let name = impatient_worker(&mut cluster);
    let mut running = begin(&mut cluster);
    let drained = argon(&mut cluster, &["drain", &name]);
    assert_eq!(drained.status.code(), Some(0), "{}", drained.stderr);
    assert!(drained.stdout.contains("leaves when the task that it holds has ended"), "{}", drained.stdout);
    let waiting = start(&mut cluster, &["drain", "--wait", &name]);
    wait_for("the second drain", SOON, || waiting.stdout().contains("draining already").then_some(()));
    // More than the limit of a signal passes.
    crate::support::let_pass(&mut cluster, "1.2");
    assert!(running.is_running(), "the drain ended the task");
    std::fs::write(cluster.folder().join("go"), "").unwrap();
    let ended = running.finish(SOON);
    assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(0), "done\n"), "{}", ended.stderr);
    let waited = waiting.finish(SOON);
    assert!(waited.status.success() && waited.stderr.contains("has left"), "{}", waited.stderr);
    assert_eq!(cluster.workers.remove(0).finish(SOON).status.code(), Some(0));
}

// kind: drain waits | `argon drain --within` | loud | what is killed is announced
#[test]
fn a_limited_drain_says_what_it_will_do_and_does_it() {
    let mut cluster = Cluster::start();
    let name = impatient_worker(&mut cluster);
    let running = begin(&mut cluster);
    let drained = argon(&mut cluster, &["drain", "--within", "0.3", &name]);
    assert!(drained.stdout.contains("in 0.3 s is killed"), "{}", drained.stdout);
    let ended = running.finish(SOON);
    assert!(ended.stderr.contains("never run twice"), "{}", ended.stderr);
    assert_eq!(cluster.workers.remove(0).finish(SOON).status.code(), Some(0));
}

// kind: drain waits | draining the worker of `argon up` | right | its manager goes on
#[test]
fn the_worker_of_argon_up_leaves_and_its_manager_goes_on_until_it_is_told_to_end() {
    let mut cluster = Cluster::start();
    let up = cluster.argon(&["up", "--port", "0", "--workers", "1"]);
    let mut up = cluster.run(up, "up");
    let address = up.ready("addr");
    let on_up = |cluster: &mut Cluster, arguments: &[&str]| {
        argon(cluster, &[arguments, &["--manager", address.as_str()]].concat())
    };
    let drained = on_up(&mut cluster, &["drain", "--wait", &address]);
    assert_eq!(drained.status.code(), Some(0), "{}", drained.stderr);
    assert!(drained.stdout.contains("the manager in its process goes on"), "{}", drained.stdout);
    let status = on_up(&mut cluster, &["status"]);
    assert_eq!(status.status.code(), Some(0), "the manager ended with its worker: {}", status.stderr);
    assert!(status.stdout.contains("no workers"), "{}", status.stdout);
    // Another worker serves it.
    let worker = cluster.argon(&["worker", "--port", "0", "--workers", "1", "--manager", &address]);
    let mut worker = cluster.run(worker, "worker");
    worker.ready("pid");
    let ran = argon(&mut cluster, &["run", "--manager", &address, "--", "echo", "still"]);
    assert_eq!(ran.stdout, "still\n", "{}", ran.stderr);
    up.signal(libc::SIGTERM);
    assert_eq!(up.finish(SOON).status.code(), Some(0));
}

// kind: drain waits | the manager is restarted meanwhile | right | the worker leaves when its task has ended, and `--wait` with it
#[test]
fn a_drain_and_who_waits_for_it_outlive_a_restart_of_the_manager() {
    let mut cluster = Cluster::start();
    let name = impatient_worker(&mut cluster);
    let running = begin(&mut cluster);
    let waits = start(&mut cluster, &["drain", "--wait", &name]);
    wait_for("the drain", SOON, || waits.stdout().contains("takes no more tasks").then_some(()));
    cluster.kill_manager();
    wait_for("the notice", SOON, || waits.stderr().contains("argon: waiting: ").then_some(()));
    cluster.start_manager();
    wait_for("the worker to be back", SOON, || waits.stderr().contains("still holds 1").then_some(()));
    std::fs::write(cluster.folder().join("go"), "").unwrap();
    let waits = waits.finish(LATER);
    let running = running.finish(SOON);
    assert_eq!(running.status.code(), Some(0), "{}", running.stderr);
    assert_eq!(waits.status.code(), Some(0), "{}", waits.stderr);
    assert!(waits.stderr.ends_with(&format!("worker {name} has left\n")), "{}", waits.stderr);
}

// kind: drain waits | a worker that keeps outcomes of a client that takes none | right | it leaves; the manager has them
#[test]
fn a_drain_does_not_wait_for_a_client_that_takes_no_outcome() {
    let mut cluster = Cluster::with_workers(&[1]);
    let open = Open::of(Secret::new([1; 32]));
    let session = open.session;
    let mut client = WireClient::connect(cluster.address(), &cluster.key(), Role::Client).unwrap();
    client.say_all([ToManager::Open(open), ToManager::Offered]);
    for sequence in 1..=3 {
        let head = TaskHead::new(TaskId { session, sequence }, Runtime::Exec);
        let meta = Bytes::from_static(br#"{"argv":["true"]}"#);
        client.say(ToManager::Submit(Task::new(head, [], meta, Bytes::new().into())));
    }
    let status = cluster.wait_for_status("the outcomes", |status| status["untaken"] == 3);
    let name = status["worker_list"][0]["name"].as_str().unwrap().to_owned();
    let drained = argon(&mut cluster, &["drain", "--wait", &name]);
    assert!(drained.status.success() && drained.stderr.contains("has left"), "{}", drained.stderr);
    let mut ended = 0;
    while ended < 3 {
        if let Some(ToClient::Outcome(outcome)) = client.hear() {
            assert_eq!(outcome.head.status, Status::Ok);
            ended += 1;
        }
    }
}
