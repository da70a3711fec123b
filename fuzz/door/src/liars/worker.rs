//! A worker that holds what it never got, ends what others run, and answers what it runs in any way but the right one.

use argon_fuzz::mutate::Chance;
use argon_proto::conversation::worker::{Draining, FromWorker, Held, Lent, Register};
use argon_proto::conversation::{Ask, Goodbye, TaskOutput};
use argon_proto::frame::Outbox;
use argon_proto::{
    Attempt, AttemptId, AttemptToken, BlobHash, Codec, Outcome, OutcomeHead, Payload, Status, TaskId,
    WorkerId, kind,
};
use bytes::Bytes;

use super::{Act, act, some_id, telling_number};

pub(crate) fn lies(seen: &[TaskId], chance: &mut Chance) -> Vec<Act> {
    let mut acts = Vec::new();
    if chance.below(2) == 0 {
        let held = (0..chance.below(6)).map(|_| held(seen, chance)).collect();
        acts.push(act(&FromWorker::Held(held), "HELD".into(), chance));
    }
    for _ in 0..=chance.below(2) {
        acts.push(register_act(chance));
    }
    for _ in 0..chance.below(12) {
        acts.push(one(seen, chance));
    }
    acts
}

fn held(seen: &[TaskId], chance: &mut Chance) -> Held {
    Held { attempt: attempt(seen, chance), token: AttemptToken(telling_number(chance)) }
}

/// REGISTER with names that an honest worker cannot even make.
fn register_act(chance: &mut Chance) -> Act {
    let name = if chance.below(3) == 0 {
        "x\u{1b}]0;owned\u{7}\n".repeat(1 + chance.below(4000))
    } else {
        "liar".to_owned()
    };
    let mut register = serde_json::json!(register(chance));
    register["name"] = name.into();
    register["host"] = "host\r\n".into();
    register["runtimes"]["\n"] = "".into();
    let mut outbox = Outbox::default();
    outbox.push_frame(kind::REGISTER, register.to_string().as_bytes());
    Act { bytes: outbox.into_bytes().to_vec(), about: "REGISTER".into() }
}

fn register(chance: &mut Chance) -> Register {
    let secret = super::secret(chance);
    let worker = if chance.below(8) == 0 { WorkerId([7; 16]) } else { WorkerId::of(&secret) };
    Register {
        host: "".into(),
        name: "".into(),
        pid: chance.number() as u32,
        previous: None,
        release: "9.9".into(),
        run_as: None,
        paused: None,
        sandbox: None,
        runtimes: [("perl".into(), "5".into())].into(),
        slots: [0, 1, 2, u32::MAX][chance.below(4)],
        secret,
        worker,
    }
}

fn one(seen: &[TaskId], chance: &mut Chance) -> Act {
    let id = attempt(seen, chance);
    match chance.below(9) {
        0 => act(&FromWorker::Returned(vec![id; chance.below(4)]), "RETURNED".into(), chance),
        1 => act(&FromWorker::Lent(Lent { attempt: id, waits: chance.below(2) == 0 }), "LENT".into(), chance),
        2 => {
            let hashes =
                (0..chance.below(200)).map(|_| BlobHash(std::array::from_fn(|_| chance.number() as u8)));
            act(&FromWorker::NeedBlob(hashes.collect()), "NEED_BLOB".into(), chance)
        }
        3 => {
            let ask = Ask { from: id, ask: 1, question: Bytes::from_static(b"{}") };
            act(&FromWorker::Ask(ask), "ASK".into(), chance)
        }
        4 => {
            let bytes = Bytes::from(vec![27; chance.below(70_000)]);
            let output = TaskOutput { from: id, fd: chance.number() as u8, bytes };
            act(&FromWorker::Output(output), "OUTPUT".into(), chance)
        }
        5 => act(&FromWorker::Draining(Draining { reason: "\u{1b}c".into() }), "DRAINING".into(), chance),
        6 if chance.below(4) == 0 => act(&FromWorker::Goodbye(Goodbye::default()), "GOODBYE".into(), chance),
        _ => {
            let outcome = outcome(id, chance);
            let about = format!("OUTCOME {} of attempt {}", outcome.head.status.name(), id.attempt.0);
            act(&FromWorker::Outcome(outcome), about, chance)
        }
    }
}

fn attempt(seen: &[TaskId], chance: &mut Chance) -> AttemptId {
    let number = if chance.below(2) == 0 { 1 } else { telling_number(chance) as u32 };
    AttemptId { task: some_id(seen, chance), attempt: Attempt(number) }
}

fn outcome(id: AttemptId, chance: &mut Chance) -> Outcome {
    let status = Status::ALL[chance.below(Status::ALL.len())];
    let run_us = telling_number(chance);
    let head =
        OutcomeHead { id: id.task, attempt: id.attempt, status, codec: Codec::Json, run_us, leaves: false };
    let report =
        if chance.below(2) == 0 { Bytes::new() } else { Bytes::from_static(b"{\"message\":\"\\u001b[2J\"}") };
    Outcome { head, report, payload: Payload::from(vec![b'1'; chance.below(2000)]) }
}

/// Answers of a liar to each RUN among the frames that it received: none, an outcome of any status, or a return.
pub(crate) fn answers(heard: &[(u8, Bytes)], chance: &mut Chance) -> Vec<u8> {
    let mut outbox = Outbox::default();
    for (_, body) in heard.iter().filter(|(kind, _)| *kind == kind::RUN) {
        let Some(id) = attempt_of(body) else {
            continue;
        };
        match chance.below(3) {
            0 => {}
            1 => outbox.push(&FromWorker::Outcome(outcome(id, chance))),
            _ => outbox.push(&FromWorker::Returned(vec![id; 1 + chance.below(3)])),
        }
    }
    outbox.into_bytes().to_vec()
}

fn attempt_of(body: &[u8]) -> Option<AttemptId> {
    // The token comes first.
    let (id, rest) = body.get(8..)?.split_first_chunk::<{ TaskId::BYTES }>()?;
    let attempt = Attempt(u32::from_be_bytes(*rest.first_chunk()?));
    Some(AttemptId { task: TaskId::from_bytes(*id), attempt })
}
