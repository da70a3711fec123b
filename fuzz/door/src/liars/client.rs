//! A client that submits what can fail, names blobs that never come, and takes, cancels and collects what others have.

use argon_fuzz::mutate::Chance;
use argon_proto::conversation::admin::Request;
use argon_proto::conversation::client::{Open, ToManager};
use argon_proto::conversation::{Answer, Blob, Goodbye, OutputCredit};
use argon_proto::{
    Attempt, AttemptId, BlobHash, Codec, Flags, Payload, Priority, Runtime, SessionId, Task, TaskHead,
    TaskId, Ticket, TicketToken,
};
use bytes::Bytes;

use super::{Act, act, some_id, telling_number};

/// No task of a liar keeps a slot for longer, ms: others may use what is there, but not for ever.
const TIMEOUT_MS: usize = 1500;
/// Memory limits, MiB: some in which no interpreter starts.
const MEMORY_MIB: [u32; 8] = [0, 0, 1, 1, 2, 2, 8, u32::MAX];

pub(crate) fn lies(seen: &[TaskId], chance: &mut Chance) -> Vec<Act> {
    let mut own = Vec::new();
    let secret = super::secret(chance);
    let session = SessionId::of(&secret);
    let mut acts = Vec::new();
    if chance.below(20) > 0 {
        acts.push(act(&ToManager::Open(Open::of(secret.clone())), "OPEN".into(), chance));
    }
    if chance.below(10) == 0 {
        let other = Open { session: some_id(seen, chance).session, ..Open::of(secret) };
        acts.push(act(&ToManager::Open(other), "OPEN of another session".into(), chance));
    }
    for _ in 0..=chance.below(14) {
        let lie = one(session, &mut own, seen, &mut acts, chance);
        acts.push(lie);
    }
    acts
}

fn one(
    session: SessionId,
    own: &mut Vec<TaskId>,
    seen: &[TaskId],
    acts: &mut Vec<Act>,
    chance: &mut Chance,
) -> Act {
    let ids = ids(own, seen, chance);
    match chance.below(16) {
        0 => act(&ToManager::Offered, "OFFERED".into(), chance),
        1 => act(&ToManager::Ack(ids), "ACK".into(), chance),
        2 => act(&ToManager::Cancel(ids), "CANCEL".into(), chance),
        3 => collect(ids, chance),
        4 => question(seen, chance),
        5 => {
            let payload = Payload::from(vec![chance.number() as u8; chance.below(100_000)]);
            let hash = if chance.below(2) == 0 { BlobHash::of(payload.parts()) } else { hash(chance) };
            act(&ToManager::Blob(Blob { hash, payload }), "BLOB".into(), chance)
        }
        6 => {
            let (id, bytes) = (some_id(seen, chance), telling_number(chance));
            let to = AttemptId { task: id, attempt: Attempt(1) };
            let credit = OutputCredit { to, bytes };
            act(&ToManager::OutputCredit(credit), format!("OUTPUT_CREDIT {bytes}"), chance)
        }
        7 => {
            let (id, ask) = (some_id(seen, chance), chance.number() as u32);
            let to = AttemptId { task: id, attempt: Attempt(1) };
            let answer = Answer { to, ask, found: true, bytes: Bytes::from_static(b"{}") };
            act(&ToManager::Answer(answer), "ANSWER".into(), chance)
        }
        8 if chance.below(8) == 0 => act(&ToManager::Goodbye(Goodbye::default()), "GOODBYE".into(), chance),
        _ => submit(session, own, acts, chance),
    }
}

fn collect(ids: Vec<TaskId>, chance: &mut Chance) -> Act {
    let token = TicketToken(std::array::from_fn(|_| chance.number() as u8));
    let tickets = ids.into_iter().map(|id| Ticket { id, token }).collect();
    act(&ToManager::Collect(tickets), "COLLECT".into(), chance)
}

fn ids(own: &[TaskId], seen: &[TaskId], chance: &mut Chance) -> Vec<TaskId> {
    (0..chance.below(5))
        .map(|_| match own.len() {
            0 => some_id(seen, chance),
            count if chance.below(2) == 0 => own[chance.below(count)],
            _ => some_id(seen, chance),
        })
        .collect()
}

pub(crate) fn question(seen: &[TaskId], chance: &mut Chance) -> Act {
    const WHAT: [&str; 8] = ["status", "explain", "waiting", "cancel", "drain", "shutdown", "", "nothing"];
    let what = WHAT[chance.below(WHAT.len())];
    let id = some_id(seen, chance).to_string();
    let json = serde_json::json!({
        "request": telling_number(chance), "what": what, "task": id, "tasks": [id, &id[..8]],
        "worker": "nobody", "by": "a\u{1b}[2Jliar\n", "within_ms": telling_number(chance),
    });
    match serde_json::from_value::<Request>(json) {
        Ok(request) => act(&ToManager::Request(request), format!("REQUEST {what}"), chance),
        Err(_) => act(&ToManager::Offered, "OFFERED".into(), chance),
    }
}

fn hash(chance: &mut Chance) -> BlobHash {
    BlobHash(std::array::from_fn(|_| chance.number() as u8))
}

fn submit(session: SessionId, own: &mut Vec<TaskId>, acts: &mut Vec<Act>, chance: &mut Chance) -> Act {
    let sequence = if chance.below(12) == 0 { telling_number(chance) } else { own.len() as u64 + 1 };
    let id = TaskId { session, sequence };
    own.push(id);
    let (runtime, name) = Runtime::ALL[chance.below(Runtime::ALL.len())];
    let mut head = TaskHead::new(id, runtime);
    head.timeout_ms = 1 + chance.below(TIMEOUT_MS) as u32;
    head.memory_mib = MEMORY_MIB[chance.below(MEMORY_MIB.len())];
    head.codec = if chance.below(2) == 0 { Codec::Own } else { Codec::Json };
    head.priority = Priority::ALL[chance.below(3)];
    head.retries = [0, 0, 1, u16::MAX][chance.below(4)];
    head.backoff_ms = telling_number(chance) as u32;
    head.flags = if chance.below(3) == 0 { Flags(chance.number() as u16) } else { Flags(0) };
    head.attempt = if chance.below(10) == 0 { Attempt(telling_number(chance) as u32) } else { Attempt(0) };
    let mut blobs = Vec::new();
    if chance.below(2) == 0 {
        let code = Payload::from(CODES[chance.below(CODES.len())].as_bytes().to_vec());
        let code_hash = BlobHash::of(code.parts());
        blobs = vec![code_hash; 1 + chance.below(16)];
        if chance.below(3) > 0 {
            acts.push(act(
                &ToManager::Blob(Blob { hash: code_hash, payload: code }),
                "BLOB of code".into(),
                chance,
            ));
        }
        if chance.below(4) == 0 {
            blobs[0] = hash(chance);
        }
    }
    let meta = METAS[chance.below(METAS.len())];
    let payload = Payload::from(vec![b'['; chance.below(64)]);
    let about = format!(
        "SUBMIT {name}, memory {} MiB, timeout {} ms, retries {}, flags {:#06x}, {} blobs, meta {meta}",
        head.memory_mib,
        head.timeout_ms,
        head.retries,
        head.flags.0,
        blobs.len(),
    );
    let task = Task::new(head, blobs, Bytes::from_static(meta.as_bytes()), payload);
    act(&ToManager::Submit(task), about, chance)
}

const CODES: [&str; 4] = ["sub { 1 }", "die", "lambda: 1", "\0\0\0\0"];

const METAS: [&str; 7] = [
    "",
    r#"{"argv":["true"]}"#,
    r#"{"argv":["sh","-c","kill -STOP $$"]}"#,
    r#"{"argv":[]}"#,
    r#"{"call":"os.getpid","python":"3"}"#,
    r#"{"label":"\u001b[31mred\nline"}"#,
    "{",
];
