//! The byte strings of `spec/vectors/`, which every language is held to.

use argon_proto::conversation::child::FromChild;
use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::runner::{FromRunner, ToRunner};
use argon_proto::conversation::template::{FromTemplate, ToTemplate};
use argon_proto::conversation::worker::{FromWorker, Held, Run, ToWorker};
use argon_proto::conversation::{Incoming, Log, LogRecord, Message};
use argon_proto::frame::{Decoder, Outbox};
use argon_proto::handshake::{Listener, Welcome};
use argon_proto::holder::Holder;
use argon_proto::id::{from_hex, to_hex};
use argon_proto::key::{Key, Role};
use argon_proto::{
    Attempt, AttemptId, Capabilities, DecodeError, Family, Outcome, Secret, SessionId, Task, TaskId, Ticket,
    WorkerId,
};
use serde_json::{Value, json};

fn vectors(name: &str) -> Value {
    let path = format!("{}/../../spec/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).expect("vectors are JSON")
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().expect("bytes are written in hexadecimal");
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal"))
        .collect()
}

fn encoded(message: &impl Message) -> Vec<u8> {
    let mut outbox = Outbox::default();
    outbox.push(message);
    outbox.into_bytes()
}

/// A vector, and how many conversations have read it.
struct Vector<'a> {
    name: &'a str,
    fields: &'a Value,
    frame: Vec<u8>,
    readers: usize,
}

impl Vector<'_> {
    /// Reads the frame as one direction of a conversation, if that has such a message, and writes it back.
    fn read_as<M: Message>(&mut self, check: impl Fn(&str, &Value, &M)) {
        let mut decoder = Decoder::<M>::default();
        decoder.buffer().extend_from_slice(&self.frame);
        let decoded = match decoder.next() {
            // A message that its sender does not have, or a status that it may not give.
            Err(DecodeError::Misplaced(_) | DecodeError::Field("status", _)) => return,
            other => other.unwrap_or_else(|error| panic!("{}: {error}", self.name)),
        };
        self.readers += 1;
        if self.fields["stream"].as_u64().is_some_and(|stream| stream > 0) {
            return assert!(decoded.is_none(), "{}: its payload has not arrived", self.name);
        }
        let message = decoded.unwrap_or_else(|| panic!("{}: no message", self.name));
        check(self.name, self.fields, &message);
        assert_eq!(to_hex(&encoded(&message)), to_hex(&self.frame), "{}", self.name);
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "some messages have fields to compare")]
#[test]
fn every_frame_is_read_and_written_back_to_the_byte() {
    let vectors = vectors("frames");
    let mut whole = 0;
    for vector in vectors["frames"].as_array().expect("a list") {
        let name = vector["name"].as_str().expect("a name");
        let mut vector =
            Vector { name, fields: &vector["fields"], frame: bytes(&vector["frame"]), readers: 0 };
        if name == "chunk" {
            let mut decoder = Decoder::<ToClient>::default();
            decoder.buffer().extend_from_slice(&vector.frame);
            decoder.next().expect_err("a chunk of nothing is an error");
            continue;
        }
        vector.read_as::<Incoming<ToManager>>(|name, fields, message| match message {
            Incoming::Message(ToManager::Submit(task)) => check_task(name, fields, task),
            Incoming::Message(ToManager::Collect(tickets)) => check_tickets(fields, tickets),
            _ => {}
        });
        vector.read_as::<Incoming<ToClient>>(|name, fields, message| match message {
            Incoming::Message(ToClient::Outcome(outcome)) => check_outcome(name, fields, outcome),
            Incoming::Message(ToClient::Accepted(tickets)) => check_tickets(fields, tickets),
            _ => {}
        });
        vector.read_as::<FromWorker>(|_, fields, message| {
            if let FromWorker::Held(held) = message {
                let rows = held.iter().map(|Held { attempt, token }| {
                    json!([attempt.task.to_string(), attempt.attempt.0, format!("{:016x}", token.0)])
                });
                assert_eq!(fields["held"], rows.collect::<Value>());
            }
        });
        // RUN has a token on its way to a worker, and none on its way to a runner.
        if name != "run, by name" {
            vector.read_as::<ToWorker>(|name, fields, message| {
                if let ToWorker::Run(Run { token, task }) = message {
                    assert_eq!(fields["token"], format!("{:016x}", token.0), "{name}");
                    check_task(name, fields, task);
                }
            });
        }
        vector.read_as::<FromRunner>(|name, fields, message| match message {
            FromRunner::Outcome(outcome) => check_outcome(name, fields, outcome),
            FromRunner::Log(log) => check_log(fields, log),
            FromRunner::Ready(_) | FromRunner::NeedBlob(_) | FromRunner::Ask(_) | FromRunner::OutputLeft => {}
        });
        if name != "run, to a worker" {
            vector.read_as::<ToRunner>(|name, fields, message| {
                if let ToRunner::Run(task) = message {
                    check_task(name, fields, task);
                }
            });
        }
        vector.read_as::<FromChild>(check_child);
        vector.read_as::<ToTemplate>(|_, fields, message| {
            let ToTemplate::Fork(fork) = message;
            assert_eq!(fields["runner"], fork.runner.0);
            assert_eq!(fields["token"], fork.token.to_string());
        });
        vector.read_as::<FromTemplate>(|_, fields, message| {
            if let FromTemplate::Forked(forked) = message {
                assert_eq!(fields["runner"], forked.runner.0);
                assert_eq!(fields["pid"], forked.result.unwrap_or(0));
                assert_eq!(fields["errno"].as_u64(), forked.result.err().map(u64::from));
            }
        });
        assert!(vector.readers > 0, "{name}: nobody may send it");
        whole += 1;
    }
    assert!(whole >= 15, "only {whole} vectors were compared");
}

fn check_task(name: &str, fields: &Value, task: &Task) {
    let head = &task.head;
    assert_eq!(fields["id"], head.id.to_string(), "{name}");
    assert_eq!(fields["attempt"], head.attempt.0, "{name}");
    assert_eq!(fields["flags"], head.flags.0, "{name}");
    assert_eq!(fields["priority"], head.priority.index(), "{name}");
    assert_eq!(fields["runtime"], head.runtime.to_byte(), "{name}");
    assert_eq!(fields["timeout_ms"], head.timeout_ms, "{name}");
    assert_eq!(fields["retries"], head.retries, "{name}");
    assert_eq!(fields["backoff_ms"], head.backoff_ms, "{name}");
    assert_eq!(fields["memory_mib"], head.memory_mib, "{name}");
    let blobs: Vec<String> = task.blob_hashes().map(|hash| hash.to_string()).collect();
    assert_eq!(fields["blobs"], serde_json::json!(blobs), "{name}");
    assert_eq!(bytes(&fields["payload"]), task.payload.to_contiguous(), "{name}");
}

fn check_tickets(fields: &Value, tickets: &[Ticket]) {
    let texts: Vec<String> = tickets.iter().map(Ticket::to_string).collect();
    assert_eq!(fields["tickets"], json!(texts));
}

fn check_outcome(name: &str, fields: &Value, outcome: &Outcome) {
    let head = &outcome.head;
    assert_eq!(fields["id"], head.id.to_string(), "{name}");
    assert_eq!(fields["attempt"], head.attempt.0, "{name}");
    assert_eq!(fields["run_us"], head.run_us, "{name}");
    assert_eq!(fields["flags"], u32::from(head.leaves), "{name}");
    assert_eq!(bytes(&fields["payload"]), outcome.payload.to_contiguous(), "{name}");
}

fn check_child(name: &str, fields: &Value, message: &FromChild) {
    match message {
        FromChild::Child(child) => {
            assert_eq!(fields["token"], child.token.to_string(), "{name}");
            assert_eq!(fields["task"], child.task.to_string(), "{name}");
            assert_eq!(fields["attempt"], child.attempt.0, "{name}");
        }
        FromChild::Open(open) => assert_eq!(fields["session"], open.session.to_string(), "{name}"),
        FromChild::Waits(waits) => assert_eq!(fields["waits"], u32::from(waits.0), "{name}"),
    }
}

fn check_log(fields: &Value, log: &Log) {
    assert_eq!(fields["id"], log.from.task.to_string());
    assert_eq!(fields["attempt"], log.from.attempt.0);
    let record = LogRecord::from_json(&log.record).expect("a record");
    assert_eq!((record.level_name(), record.message.as_str(), record.line), ("WARNING", "so", 7));
}

#[test]
fn proofs_are_those_of_the_specification() {
    let vectors = vectors("handshake");
    let line = vectors["key_line"].as_str().expect("a key");
    let key: Key = line.parse().expect("a good key");
    assert_eq!(key.to_string(), line);
    for vector in vectors["proofs"].as_array().expect("a list") {
        let name = vector["name"].as_str().expect("a name");
        let role = Role::from_name(vector["role"].as_str().expect("a role")).expect("a known role");
        let role_key = key.for_role(role).expect("a cluster key gives all");
        let expected = format!("argon1-{}-{}", role.name(), vector["role_key"].as_str().expect("a key"));
        assert_eq!(role_key.to_string(), expected, "{name}");
        let hello = vector["hello"].as_str().expect("a hello");
        let challenge: Value =
            serde_json::from_str(vector["challenge"].as_str().expect("text")).expect("JSON");
        let nonce = from_hex(challenge["nonce"].as_str().expect("a nonce")).expect("32 bytes");
        let channel = from_hex(vector["channel"].as_str().expect("a channel")).expect("32 bytes");
        let (listener, said) =
            Listener::challenge(std::slice::from_ref(&key), hello.as_bytes(), nonce, &channel)
                .expect("a good hello");
        assert_eq!(vector["challenge"], String::from_utf8_lossy(&said).as_ref(), "{name}");
        let proof = bytes(&vector["dialler_proof"]);
        let (proven, welcome) = listener.welcome(&proof, &Welcome::default()).expect("the proof is right");
        assert_eq!((proven.role, proven.holder), (role, None), "{name}");
        assert_eq!(welcome[..32], bytes(&vector["listener_proof"]), "{name}");
    }
}

#[test]
fn keys_of_people_are_those_of_the_specification() {
    let vectors = vectors("people");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let cluster: Key = text(&vectors["cluster_key_line"]).parse().expect("a key");
    let cluster = cluster.with_pin(text(&vectors["pin"]).parse().expect("a pin"));
    for row in vectors["keys"].as_array().expect("a list") {
        let role = Role::from_name(&text(&row["role"])).expect("a role");
        let (name, id) =
            (text(&row["name"]).parse().expect("a name"), text(&row["id"]).parse().expect("an id"));
        let holder = Holder { name, id };
        let key = cluster.of_person(role, holder.clone()).expect("of a cluster key");
        assert_eq!(key.to_string(), text(&row["line"]));
        assert_eq!(text(&row["line"]).parse::<Key>().expect("a key").holder(), Some(&holder));
    }
    let proof = &vectors["proof"];
    let (hello, challenge) = (text(&proof["hello"]), text(&proof["challenge"]));
    let nonce: Value = serde_json::from_str(&challenge).expect("JSON");
    let nonce = from_hex(&text(&nonce["nonce"])).expect("32 bytes");
    let channel = from_hex(&text(&proof["channel"])).expect("32 bytes");
    // Of two cluster keys that the listener holds, the dialler has proven one.
    let held = [Key::cluster([9; 32]), cluster];
    let (listener, said) =
        Listener::challenge(&held, hello.as_bytes(), nonce, &channel).expect("a good hello");
    assert_eq!(String::from_utf8_lossy(&said), challenge);
    let (proven, welcome) =
        listener.welcome(&bytes(&proof["dialler_proof"]), &Welcome::default()).expect("the proof is right");
    let holder = proven.holder.as_ref().expect("a person");
    assert_eq!(
        (proven.role, holder.to_string(), proven.key),
        (Role::Client, "ann (0123456789abcdef)".to_owned(), 1)
    );
    assert_eq!(welcome[..32], bytes(&proof["listener_proof"]));
}

#[test]
fn lines_that_are_no_keys_are_refused() {
    for name in ["handshake", "identity", "people"] {
        for line in vectors(name)["broken_lines"].as_array().expect("a list") {
            let line = line.as_str().expect("a line");
            assert!(line.parse::<Key>().is_err(), "{line}");
        }
    }
}

#[test]
fn ids_are_made_of_secrets() {
    for row in vectors("secrets")["sessions"].as_array().expect("a list") {
        let secret: Secret = row["secret"].as_str().expect("a secret").parse().expect("32 bytes");
        let family = u64::from_str_radix(row["family"].as_str().expect("a family"), 16).expect("8 bytes");
        assert_eq!(row["session"], SessionId::of(&secret).to_string());
        assert_eq!(row["child"], SessionId::of_child(Family(family), &secret).to_string());
        assert_eq!(row["worker"], WorkerId::of(&secret).to_string());
    }
}

#[test]
fn tokens_are_made_of_the_cluster_key() {
    let vectors = vectors("secrets");
    let rows = &vectors["capabilities"];
    let key = from_hex(rows["cluster_key"].as_str().expect("a key")).expect("32 bytes");
    let capabilities = Capabilities::new(&Key::cluster(key));
    for row in rows["attempts"].as_array().expect("a list") {
        let worker: WorkerId = row["worker"].as_str().expect("a worker").parse().expect("an id");
        let task: TaskId = row["id"].as_str().expect("a task").parse().expect("an id");
        let attempt = u32::try_from(row["attempt"].as_u64().expect("a number")).expect("of 32 bits");
        let token = capabilities.of_worker(worker).token(AttemptId { task, attempt: Attempt(attempt) });
        assert_eq!(row["token"], format!("{:016x}", token.0));
    }
    for row in rows["tickets"].as_array().expect("a list") {
        let text = row.as_str().expect("a ticket");
        let ticket: Ticket = text.parse().expect("a ticket");
        assert!(capabilities.verifies(&ticket), "{text}");
        assert_eq!(capabilities.ticket(ticket.id).to_string(), text);
    }
}

#[test]
fn tickets_have_one_text() {
    let vectors = vectors("secrets");
    for row in vectors["tickets"].as_array().expect("a list") {
        let ticket: Ticket = row["text"].as_str().expect("a text").parse().expect("a ticket");
        assert_eq!((&row["id"], &row["text"]), (&ticket.id.to_string().into(), &ticket.to_string().into()));
        assert_eq!(row["token"], to_hex(&ticket.token.0));
    }
    for text in vectors["broken_tickets"].as_array().expect("a list") {
        assert!(text.as_str().expect("a text").parse::<Ticket>().is_err(), "{text}");
    }
}
