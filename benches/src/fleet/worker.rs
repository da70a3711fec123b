//! A virtual worker: joins, says of each task that it is done, gives back what it is asked for, and comes back when its
//! connection is broken.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use argon_proto::conversation::worker::{FromWorker, Register, ToWorker};
use argon_proto::key::Role;
use argon_proto::{AttemptId, Codec, Outcome, OutcomeHead, Payload, Secret, Status, Task, WorkerId};
use bytes::Bytes;
use tokio::sync::Notify;

use super::peer::Peer;
use super::world::{World, add};

/// Lives for ever.
pub(super) async fn live(world: Rc<World>, number: u64) {
    let interrupt = world.interrupt_of_worker();
    // It keeps the tickets of its own sessions, as a process of its own would.
    let trust = world.trust();
    loop {
        let (mut peer, _) = Peer::reach(&world, Role::Worker, &trust).await;
        let mut held = Vec::new();
        // Its end is the reason to come back, whatever it was.
        let _ = serve(&world, &mut peer, number, &mut held, &interrupt).await;
        world.running.set(world.running.get() - held.len() as u64);
    }
}

async fn serve(
    world: &World,
    peer: &mut Peer<ToWorker>,
    number: u64,
    held: &mut Vec<Task>,
    interrupt: &Notify,
) -> io::Result<()> {
    let mut secret = [0; 32];
    secret[..8].copy_from_slice(&number.to_be_bytes());
    let secret = Secret::new(secret);
    let register = Register {
        host: "".into(),
        name: format!("virtual-{number}").into(),
        pid: std::process::id(),
        previous: None,
        release: "".into(),
        run_as: None,
        paused: None,
        sandbox: None,
        runtimes: [("perl".into(), "v5.36.0".into())].into(),
        slots: u32::try_from(world.plan.slots).unwrap_or(u32::MAX),
        worker: WorkerId::of(&secret),
        secret,
    };
    peer.say(&FromWorker::Register(Box::new(register)));
    let mut heard = Vec::new();
    loop {
        tokio::select! {
            turn = peer.turn(&mut heard) => turn?,
            () = interrupt.notified() => return Ok(()),
            () = world.resumed.notified(), if world.is_paused.get() => {}
        }
        for message in heard.drain(..) {
            take(world, peer, held, message);
        }
        if !world.is_paused.get() {
            for task in held.drain(..) {
                world.running.set(world.running.get() - 1);
                peer.say(&outcome_of(&task, world.plan.run_us));
            }
        }
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "a virtual worker needs to know a few messages only")]
fn take(world: &World, peer: &mut Peer<ToWorker>, held: &mut Vec<Task>, message: ToWorker) {
    match message {
        ToWorker::Registered(_) => add(&world.registered, 1),
        ToWorker::Run(run) => {
            add(&world.started, 1);
            add(&world.running, 1);
            held.push(run.task);
        }
        ToWorker::Recall(count) => {
            let from = held.len().saturating_sub(count as usize);
            let returned: Vec<AttemptId> = held.drain(from..).map(|task| attempt_of(&task)).collect();
            world.running.set(world.running.get() - returned.len() as u64);
            world.started.set(world.started.get() - returned.len() as u64);
            peer.say(&FromWorker::Returned(returned));
        }
        ToWorker::Stop(attempts) => {
            let before = held.len();
            held.retain(|task| !attempts.contains(&attempt_of(task)));
            world.running.set(world.running.get() - (before - held.len()) as u64);
            peer.say(&FromWorker::Returned(attempts));
        }
        _ => {}
    }
}

fn attempt_of(task: &Task) -> AttemptId {
    AttemptId { task: task.head.id, attempt: task.head.attempt }
}

fn outcome_of(task: &Task, run_us: u64) -> FromWorker {
    FromWorker::Outcome(Outcome {
        head: OutcomeHead {
            id: task.head.id,
            attempt: task.head.attempt,
            status: Status::Ok,
            codec: Codec::Own,
            run_us,
            leaves: false,
        },
        report: Bytes::new(),
        payload: Payload::from(Bytes::from_static(b"nothing")),
    })
}

/// Breaks the connections of workers at a given rate a second, one after the other.
pub(super) async fn churn(world: Rc<World>, workers: u64, a_second: u64) {
    if a_second == 0 {
        return;
    }
    let pause = Duration::from_secs(1) / u32::try_from(a_second).unwrap_or(u32::MAX);
    for number in (0..workers).cycle() {
        tokio::time::sleep(pause).await;
        world.registered.set(world.registered.get().saturating_sub(1));
        world.interrupt(usize::try_from(number).unwrap_or(0));
    }
}
