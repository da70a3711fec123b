//! Thousands of workers, or few that describe themselves at length: the status is cut, and everything else works.

use std::time::Duration;

use argon_proto::conversation::Control;
use argon_proto::conversation::worker::{FromWorker, Register, ToWorker};
use argon_proto::key::Role;
use argon_proto::{Secret, WorkerId};
use argon_tests::{Cluster, WirePeer};

type WireWorker = WirePeer<ToWorker>;

fn worker(cluster: &Cluster, number: u32, text: &str) -> WireWorker {
    let mut secret = [1; 32];
    secret[..4].copy_from_slice(&number.to_be_bytes());
    let secret = Secret::new(secret);
    let mut worker = WireWorker::connect(cluster.address(), &cluster.key(), Role::Worker).unwrap();
    worker.say(FromWorker::Register(Box::new(Register {
        host: text.into(),
        name: format!("virtual-{number}").into(),
        pid: 1,
        previous: None,
        release: text.into(),
        run_as: None,
        paused: None,
        sandbox: None,
        runtimes: (0..10).map(|place| (format!("{text}{place}").into(), text.into())).collect(),
        slots: 1,
        worker: WorkerId::of(&secret),
        secret,
    })));
    worker
}

#[test]
fn a_status_that_is_too_long_is_cut_and_drain_finds_every_worker() {
    const WORKERS: u32 = 600;
    let mut cluster = Cluster::start();
    let text = "t".repeat(150);
    let mut workers: Vec<WireWorker> = Vec::new();
    for number in 0..WORKERS {
        workers.push(worker(&cluster, number, &text));
        if number % 100 == 99 {
            workers.iter_mut().for_each(|worker| worker.say(Control::Ping(0)));
        }
    }
    let status = cluster.wait_for_status("all workers to join", |status| status["workers"] == WORKERS);
    let listed = status["worker_list"].as_array().unwrap().len() as u64;
    let left_out = status["left_out"]["workers"].as_u64().unwrap();
    assert_eq!(listed + left_out, u64::from(WORKERS));
    assert!(left_out > 0 && listed > 100, "{listed} are listed");
    let address = cluster.address().to_owned();
    let last = format!("virtual-{}", WORKERS - 1);
    for arguments in [&["status"][..], &["drain", &last]] {
        let mut command = cluster.argon(arguments);
        command.args(["--manager", &address]);
        let finished = cluster.run(command, "command").finish(Duration::from_secs(20));
        assert!(finished.status.success(), "{}", finished.stderr);
    }
    let last = workers.last_mut().unwrap();
    while !matches!(last.hear(), Some(ToWorker::Drain(_))) {}
}
