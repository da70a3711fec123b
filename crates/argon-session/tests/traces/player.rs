//! Plays the inputs of a trace to a session, and gives what it did in the words of the trace.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::task::{Poll, Waker};
use std::time::Duration;

use argon_proto::conversation::admin::Reply;
use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::conversation::{Ask, Control, Credit, Goodbye, Incoming, TaskOutput};
use argon_proto::frame::Decoder;
use argon_proto::handshake::{Refusal, RefusalCode, Welcome};
use argon_proto::limit::FIRST_MANAGER_WITHIN;
use argon_proto::{
    Attempt, AttemptId, BlobHash, Codec, Flags, Machine, Outcome, OutcomeHead, Payload, Runtime, Secret,
    SessionId, Status, Task, TaskHead, TaskId, Ticket, TicketToken, Time,
};
use argon_session::{Addition, Blob, Completion, Effect, ErrorKind, Input, Out, OutputMode, SessionState};
use bytes::Bytes;

const CREDIT_TASKS: u64 = 100;
const CREDIT_BYTES: u64 = 10_000;
const FOREIGN: SessionId = SessionId([0xee; 16]);
const FLAGS: [(Flags, &str); 3] =
    [(Flags::OFFERED_AGAIN, "again"), (Flags::DETACHED, "detached"), (Flags::NEVER_TWICE, "never_twice")];

pub(crate) struct Player {
    session: SessionState,
    out: Out,
    decoder: Decoder<Incoming<ToManager>>,
    now: Time,
    tasks: BTreeMap<String, TaskId>,
    blobs: BTreeMap<String, Blob>,
    /// Waits of the user: the number of a task or a collect, and whether it is a request.
    waits: BTreeMap<String, (u64, bool)>,
    requests: BTreeMap<String, u64>,
    done: Vec<String>,
}

/// The ticket that the manager of a trace gives for a task.
fn ticket(id: TaskId) -> Ticket {
    Ticket { id, token: TicketToken([0xcc; 16]) }
}

/// The arguments of an input.
struct Words<'a> {
    plain: Vec<&'a str>,
    blobs: Vec<&'a str>,
    numbers: BTreeMap<&'a str, u64>,
}

impl Player {
    pub(crate) fn new() -> Self {
        let mut player = Self {
            session: SessionState::new(Open::of(Secret::new([1; 32])), 1, FIRST_MANAGER_WITHIN),
            out: Out::default(),
            decoder: Decoder::default(),
            now: Time::default(),
            tasks: BTreeMap::new(),
            blobs: BTreeMap::new(),
            waits: BTreeMap::new(),
            requests: BTreeMap::new(),
            done: Vec::new(),
        };
        player.step(Input::Started);
        player
    }

    /// Plays an input; what the session did.
    pub(crate) fn play(&mut self, input: &str) -> Vec<String> {
        let mut parts = input.split_whitespace();
        let (actor, word) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let words = Words::of(parts);
        match actor {
            "network" => self.network(word, &words),
            "user" => self.user(word, &words),
            "manager" => self.manager(word, &words),
            _ => self.pass(word),
        }
        self.settle();
        std::mem::take(&mut self.done)
    }

    fn network(&mut self, word: &str, words: &Words<'_>) {
        if word == "loss" {
            return self.step(Input::ConnectionLost);
        }
        self.decoder = Decoder::default();
        let welcome = Welcome {
            credit_tasks: words.number("tasks", CREDIT_TASKS),
            credit_bytes: words.number("bytes", CREDIT_BYTES),
            ..Welcome::default()
        };
        self.step(Input::Connected { welcome, address: "manager:8000".to_owned() });
    }

    fn user(&mut self, word: &str, words: &Words<'_>) {
        match word {
            "submit" => self.submit(words),
            "collect" => {
                let id = self.id(words.plain[2]);
                let number = self.session.collect(ticket(id), &mut self.out);
                self.waits.insert(words.name(), (number, false));
            }
            "cancel" => {
                let number = self.tasks[words.plain[0]].sequence;
                self.session.cancel(number, &mut self.out);
            }
            "leave" => {
                let (number, _) = self.waits.remove(words.plain[0]).expect("a collect");
                self.session.abandon(number, &mut self.out);
            }
            "request" => {
                let number = self.session.request("status", serde_json::Map::new(), &mut self.out);
                self.requests.insert(words.name(), number);
                self.waits.insert(words.name(), (number, true));
            }
            "close" => {
                self.session.end(ErrorKind::Closed, "closed", Some(Goodbye::default()), &mut self.out);
            }
            _ => panic!("no call of the user: {word}"),
        }
    }

    fn submit(&mut self, words: &Words<'_>) {
        let blobs: Vec<Blob> = words.blobs.iter().map(|name| Blob::new(name.as_bytes().to_vec())).collect();
        self.blobs.extend(words.blobs.iter().map(|name| (*name).to_owned()).zip(blobs.iter().cloned()));
        let mut flags = Flags::default();
        for (flag, _) in FLAGS.iter().filter(|(_, name)| words.plain.contains(name)) {
            flags = flags.with(*flag);
        }
        // The session sets the id.
        let head =
            TaskHead { flags, ..TaskHead::new(TaskId { session: FOREIGN, sequence: 0 }, Runtime::Exec) };
        let length = usize::try_from(words.number("bytes", 1)).expect("a length");
        let payload = Payload::from(vec![b'x'; length]);
        let addition = Addition {
            task: Task::new(head, blobs.iter().map(Blob::hash), Bytes::new(), payload),
            blobs: blobs.into_iter().collect(),
            is_detached: flags.contains(Flags::DETACHED),
            output_mode: OutputMode::Discard,
            offers_max: u32::from(words.plain.contains(&"once")),
        };
        let number = self.session.add(addition, &mut self.out);
        self.tasks.insert(words.name(), self.session.task_id(number));
        self.waits.insert(words.name(), (number, false));
    }

    fn manager(&mut self, word: &str, words: &Words<'_>) {
        let message = match word {
            "PING" => return self.receive(Incoming::Control(Control::Ping(7))),
            "REFUSED" => {
                let code = if words.plain[0] == "busy" { RefusalCode::Busy } else { RefusalCode::Credit };
                return self.receive(Incoming::Control(Control::Refused(Refusal::new(code, "no"))));
            }
            "OUTCOME" => ToClient::Outcome(self.outcome(words)),
            "ACCEPTED" => ToClient::Accepted(vec![ticket(self.id(words.plain[0]))]),
            "CREDIT" => {
                ToClient::Credit(Credit { tasks: words.number("tasks", 0), bytes: words.number("bytes", 0) })
            }
            "NEED_BLOB" => ToClient::NeedBlob(vec![self.blobs[words.plain[0]].hash()]),
            "REPLY" => {
                let request = self.requests[words.plain[0]];
                ToClient::Reply(Reply::with(request, &()))
            }
            "OUTPUT" => {
                let length = usize::try_from(words.number("bytes", 0)).expect("a length");
                ToClient::Output(TaskOutput {
                    from: self.attempt(words),
                    fd: 1,
                    bytes: vec![b'x'; length].into(),
                })
            }
            "ASK" => {
                let question = Bytes::from_static(b"{\"kind\":\"riddle\"}");
                ToClient::Ask(Ask { from: self.attempt(words), ask: 1, question })
            }
            "GOODBYE" => ToClient::Goodbye(Goodbye::default()),
            _ => panic!("no frame of a manager: {word}"),
        };
        self.receive(Incoming::Message(message));
    }

    fn outcome(&mut self, words: &Words<'_>) -> Outcome {
        let AttemptId { task: id, attempt } = self.attempt(words);
        let status =
            Status::ALL.into_iter().find(|status| status.name() == words.plain[1]).expect("a status");
        let head = OutcomeHead { id, attempt, status, codec: Codec::Own, run_us: 7, leaves: false };
        Outcome { head, report: Bytes::new(), payload: Payload::default() }
    }

    fn attempt(&mut self, words: &Words<'_>) -> AttemptId {
        let attempt = u32::try_from(words.number("attempt", 1)).expect("an attempt");
        AttemptId { task: self.id(words.plain[0]), attempt: Attempt(attempt) }
    }

    fn receive(&mut self, incoming: Incoming<ToClient>) {
        self.step(Input::MessageReceived(incoming));
    }

    /// Steps the session. The network of a trace dials for it.
    fn step(&mut self, input: Input) {
        self.session.step(self.now, input, &mut self.out);
        self.session.assert_invariants();
    }

    /// From one deadline to the next.
    fn pass(&mut self, duration: &str) {
        let seconds = duration.trim_end_matches('s').parse().expect("a number of seconds");
        let end = self.now + Duration::from_secs(seconds);
        while self.now < end {
            self.now = self.session.next_deadline().map_or(end, |at| at.clamp(self.now, end));
            self.step(Input::TimePassed);
            self.settle();
        }
    }

    /// A name that nothing was submitted under is a task of another client.
    fn id(&mut self, name: &str) -> TaskId {
        let sequence = self.tasks.len() as u64;
        *self.tasks.entry(name.to_owned()).or_insert(TaskId { session: FOREIGN, sequence })
    }

    /// Takes what the session wants to write, and what its user receives.
    fn settle(&mut self) {
        self.write();
        let waits: Vec<(String, u64, bool)> = self
            .waits
            .iter()
            .map(|(name, (number, is_request))| (name.clone(), *number, *is_request))
            .collect();
        for (name, number, is_request) in waits {
            if let Some(end) = self.end(number, is_request) {
                self.done.push(format!("gives {name} {end}"));
                self.waits.remove(&name);
            }
        }
    }

    fn end(&mut self, number: u64, is_request: bool) -> Option<&'static str> {
        let waker = Waker::noop();
        if is_request {
            return match self.session.poll_reply(number, waker) {
                Poll::Ready(reply) => Some(reply.map_or_else(|(kind, _)| kind.name(), |_| "reply")),
                Poll::Pending => None,
            };
        }
        match self.session.poll_end(number, waker) {
            Poll::Ready(Completion::Outcome(outcome)) => Some(outcome.head.status.name()),
            Poll::Ready(Completion::Accepted(_)) => Some("accepted"),
            Poll::Ready(Completion::Failed(kind, _)) => Some(kind.name()),
            Poll::Pending => None,
        }
    }

    fn write(&mut self) {
        self.session.finish_batch(&mut self.out);
        while !self.out.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); 8];
            let count = self.out.frames.slices(&mut slices);
            let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
            self.decoder.buffer().extend_from_slice(&bytes);
            self.out.frames.advance(bytes.len());
        }
        while let Some(incoming) = self.decoder.next().expect("good frames") {
            let effects = self.effects_of(incoming);
            self.done.extend(effects);
        }
        for effect in std::mem::take(&mut self.out.effects) {
            if matches!(effect, Effect::Disconnect) {
                self.done.push("hangs up".to_owned());
            }
        }
    }

    fn effects_of(&self, incoming: Incoming<ToManager>) -> Vec<String> {
        let message = match incoming {
            Incoming::Control(Control::Pong(_)) => return vec!["PONG".to_owned()],
            Incoming::Control(control) => panic!("no client sends it: {control:?}"),
            Incoming::Message(message) => message,
        };
        let each = |word: &str, ids: Vec<TaskId>| {
            ids.iter().map(|id| format!("{word} {}", self.name(*id))).collect()
        };
        match message {
            ToManager::Open(_) => vec!["OPEN".to_owned()],
            ToManager::Offered => vec!["OFFERED".to_owned()],
            ToManager::Goodbye(_) => vec!["GOODBYE".to_owned()],
            ToManager::Submit(task) => {
                let flags =
                    FLAGS.iter().filter(|(flag, _)| task.head.flags.contains(*flag)).map(|(_, name)| *name);
                let words: Vec<&str> = ["SUBMIT", self.name(task.head.id)].into_iter().chain(flags).collect();
                vec![words.join(" ")]
            }
            ToManager::Ack(ids) => each("ACK", ids),
            ToManager::Cancel(ids) => each("CANCEL", ids),
            ToManager::Collect(tickets) => each("COLLECT", tickets.iter().map(|ticket| ticket.id).collect()),
            ToManager::Blob(blob) => vec![format!("BLOB {}", self.blob(blob.hash))],
            ToManager::Request(request) if request.what == "waiting" => Vec::new(),
            ToManager::Request(request) => {
                let asked = self.requests.iter().find(|(_, number)| **number == request.request);
                vec![format!("REQUEST {}", asked.expect("a request of the trace").0)]
            }
            ToManager::OutputCredit(credit) => {
                let (name, attempt) = (self.name(credit.to.task), credit.to.attempt.0);
                vec![format!("OUTPUT_CREDIT {name} attempt={attempt} bytes={}", credit.bytes)]
            }
            ToManager::Answer(answer) => {
                vec![format!(
                    "ANSWER {} {}",
                    self.name(answer.to.task),
                    if answer.found { "yes" } else { "no" }
                )]
            }
            ToManager::ChildOpen(_) => panic!("only a worker sends it"),
        }
    }

    fn name(&self, id: TaskId) -> &str {
        self.tasks.iter().find(|(_, known)| **known == id).map(|(name, _)| name).expect("a task of the trace")
    }

    fn blob(&self, hash: BlobHash) -> &str {
        self.blobs
            .iter()
            .find(|(_, blob)| blob.hash() == hash)
            .map(|(name, _)| name)
            .expect("a blob of the trace")
    }
}

impl<'a> Words<'a> {
    fn of(parts: impl Iterator<Item = &'a str>) -> Self {
        let mut words = Self { plain: Vec::new(), blobs: Vec::new(), numbers: BTreeMap::new() };
        for part in parts {
            match part.split_once('=') {
                Some(("blob", name)) => words.blobs.push(name),
                Some((name, number)) => {
                    words.numbers.insert(name, number.parse().expect("a number"));
                }
                None => words.plain.push(part),
            }
        }
        words
    }

    fn name(&self) -> String {
        self.plain[0].to_owned()
    }

    fn number(&self, name: &str, default: u64) -> u64 {
        self.numbers.get(name).copied().unwrap_or(default)
    }
}
