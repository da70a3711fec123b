//! Between an operator's command and the manager; a client may ask the same questions (`spec/protocol.md`, section 7).

mod cancel;
mod keys;
mod newcomers;
mod status;
mod tasks;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use cancel::{AllCancelled, Cancel, CancelledTask, TasksCancelled};
pub use keys::{ClusterKey, KeyAdded, KeyList, KeyRotated, KeysRevoked, PersonKey};
pub use newcomers::{Invite, Invited, Newcomer, NewcomerList};
pub use status::{
    AwayClient, EncryptionView, FirstNames, LeftOut, ManagerStatus, MemoryView, OwnerView, Rates,
    RunningTask, SchedulerView, Totals, WaitingReport, WhyWaiting, WorkerView,
};

pub use tasks::{
    AttemptFacts, ClientFacts, ClientList, ClientView, StoryLine, TaskFacts, TaskFilter, TaskList,
};

use bytes::{BufMut, Bytes, BytesMut};

use super::body::Body;
use super::json::{json_body, write};
use super::{Goodbye, WholePayload, messages};
use crate::error::DecodeError;
use crate::id::TaskId;

messages! {
    /// Messages of an admin. An observer may only send requests, and of these only those that look.
    pub enum FromAdmin {
        /// A question or an order.
        Request(Request) = REQUEST,
        /// These tasks shall end.
        Cancel(Vec<TaskId>) = CANCEL,
        /// The command ends.
        Goodbye(Goodbye) = GOODBYE,
    }
    without a body {}
}

messages! {
    /// Messages of a manager to an admin or observer.
    pub enum ToAdmin {
        /// The answer to a request.
        Reply(Reply) = REPLY,
        /// The manager leaves.
        Goodbye(Goodbye) = GOODBYE,
    }
    without a body {}
}

/// A question or an order. What is asked beyond `what` are further fields: see [`Question`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The asker's number for it, which the reply repeats.
    #[serde(default)]
    pub request: u64,
    /// Name of the question.
    pub what: String,
    /// Its further fields.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// The questions that a manager of this release answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Question {
    /// Asks for the status. Answered with a [`ManagerStatus`].
    Status,
    /// Why do my tasks wait? From an admin: why do all? Answered with a [`WaitingReport`].
    Waiting,
    /// Asks for the state of a task. Answered with an [`Explanation`].
    Explain {
        /// The task, in hexadecimal.
        #[serde(default)]
        task: String,
    },
    /// Which tasks are there, and which have ended? Answered with a [`TaskList`].
    Tasks(TaskFilter),
    /// Asks for all facts of a task. Answered with [`TaskFacts`].
    Task {
        /// A name of it: its id, short form or ticket.
        #[serde(default)]
        task: String,
    },
    /// Which clients are there? Answered with a [`ClientList`].
    Clients,
    /// Tasks shall end. Answered with [`TasksCancelled`], or [`AllCancelled`].
    Cancel(Cancel),
    /// A worker shall take no more tasks and leave. Answered with a [`WorkerDrains`].
    Drain {
        /// Its name or id.
        #[serde(default)]
        worker: String,
        /// Milliseconds after which it ends what still runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within_ms: Option<u64>,
    },
    /// The manager shall stop.
    Shutdown,
    /// A new key of a person shall be in force. Answered with a [`KeyAdded`].
    KeyAdd {
        /// Name of the person.
        #[serde(default)]
        name: String,
        /// Name of the role.
        #[serde(default)]
        role: String,
    },
    /// Lists the keys of people. Answered with a [`KeyList`].
    KeyList,
    /// Keys shall be in force no longer. Answered with a [`KeysRevoked`].
    KeyRevoke {
        /// Id of a key, or name of a person.
        #[serde(default)]
        key: String,
    },
    /// Lists the machines without a key that wait. Answered with a [`NewcomerList`].
    Newcomers,
    /// The machine that shows this code shall get the key that it asks for. Answered with a [`Newcomer`].
    Approve {
        /// The code.
        #[serde(default)]
        code: String,
    },
    /// Refuses a machine. Answered with a [`Newcomer`].
    Deny {
        /// The code.
        #[serde(default)]
        code: String,
    },
    /// Asks for a join token. Answered with an [`Invited`].
    Invite(Invite),
    /// A new cluster key shall be valid as well. Answered with a [`KeyRotated`].
    KeyRotate,
    /// The older of two cluster keys shall be valid no longer. Answered with a [`KeyRotated`].
    KeyRetire {
        /// Also if connections were opened with it.
        #[serde(default)]
        force: bool,
    },
}

/// The answer to [`Question::Explain`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Explanation {
    /// The task, as it was asked for.
    pub task: String,
    /// Its state, in a word or two for people.
    pub state: String,
    /// Why it waits, if it does.
    pub why: Vec<WhyWaiting>,
}

/// The answer to [`Question::Drain`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerDrains {
    /// The worker's id.
    pub worker: String,
    /// Its name.
    pub name: String,
    /// Number of attempts that it holds.
    pub held: u64,
    /// True if it was draining before.
    pub was_draining: bool,
    /// True if it is in the manager's process, which continues.
    pub keeps_manager: bool,
}

/// The answer to a [`Request`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The asker's number.
    #[serde(default)]
    pub request: u64,
    /// True if it was done. If not, `message` gives the reason.
    #[serde(default)]
    pub ok: bool,
    /// Further fields of the answer.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
    /// Fields as text, for many who ask the same; then `fields` is empty.
    #[serde(skip)]
    rendered: Option<Rendered>,
}

/// Fields of a reply as JSON, for many who ask the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rendered {
    json: Bytes,
}

json_body!(Request, "REQUEST");

impl Body for Reply {
    fn encode(&self, _: u32, out: &mut BytesMut) {
        let Some(Rendered { json }) = &self.rendered else {
            return write(self, out);
        };
        out.put_slice(format!("{{\"request\":{},\"ok\":{}", self.request, self.ok).as_bytes());
        // The beginning of an object without fields has nothing to be parted from.
        if json.len() > 2 {
            out.put_u8(b',');
        }
        out.put_slice(json.get(1..).unwrap_or(b"}"));
    }

    fn decode(body: Bytes, _: &mut WholePayload) -> Result<Self, DecodeError> {
        serde_json::from_slice(&body).map_err(|error| DecodeError::Json("REPLY", error.to_string()))
    }
}

impl Rendered {
    /// The fields of a value that is an object.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        let json = serde_json::to_vec(value).ok().filter(|json| json.first() == Some(&b'{'));
        Self { json: json.unwrap_or_else(|| b"{}".to_vec()).into() }
    }

    /// Length of the text, bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.json.len()
    }

    /// True if there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() <= 2
    }
}

impl Question {
    /// Names of all questions, as they stand in `what`.
    pub const NAMES: &[&str] = &[
        "status",
        "waiting",
        "explain",
        "tasks",
        "task",
        "clients",
        "cancel",
        "drain",
        "shutdown",
        "key_add",
        "key_list",
        "key_revoke",
        "newcomers",
        "approve",
        "deny",
        "invite",
        "key_rotate",
        "key_retire",
    ];

    /// The question of a request.
    ///
    /// # Errors
    /// A sentence for the asker, if there is no such question or its fields are not what it needs.
    pub fn of(request: &Request) -> Result<Self, String> {
        let what = &request.what;
        if !Self::NAMES.contains(&what.as_str()) {
            let (last, others) = Self::NAMES.split_last().unwrap_or((&"", &[]));
            let known = others.join(", ");
            return Err(format!(
                "this manager does not know the request '{what}'; it knows {known} and {last}"
            ));
        }
        let mut fields = request.fields.clone();
        fields.insert("what".to_owned(), what.as_str().into());
        serde_json::from_value(Value::Object(fields))
            .map_err(|error| format!("the request '{what}' cannot be read: {error}"))
    }

    /// This question as a request with the asker's number.
    #[must_use]
    pub fn numbered(&self, request: u64) -> Request {
        let mut fields = fields_of(self);
        let what = match fields.remove("what") {
            Some(Value::String(what)) => what,
            Some(_) | None => String::new(),
        };
        Request { request, what, fields }
    }
}

impl Reply {
    /// An answer with these fields; a value that is not an object adds none.
    pub fn with(request: u64, fields: &impl Serialize) -> Self {
        Self { request, ok: true, fields: fields_of(fields), rendered: None }
    }

    /// An answer with fields that were rendered before.
    #[must_use]
    pub fn rendered(request: u64, rendered: Rendered) -> Self {
        Self { request, ok: true, fields: Map::new(), rendered: Some(rendered) }
    }

    /// A refusal, with its reason.
    pub fn failed(request: u64, message: impl Into<String>) -> Self {
        let mut fields = Map::new();
        fields.insert("message".to_owned(), Value::String(message.into()));
        Self { request, ok: false, fields, rendered: None }
    }

    /// Why it was not done.
    #[must_use]
    pub fn message(&self) -> &str {
        self.fields.get("message").and_then(Value::as_str).unwrap_or("the manager could not do that")
    }

    /// The fields as the type that answers the question.
    ///
    /// # Errors
    /// If a field is missing or of another type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        match &self.rendered {
            Some(rendered) => serde_json::from_slice(&rendered.json),
            None => serde_json::from_value(Value::Object(self.fields.clone())),
        }
    }

    /// The whole reply as JSON.
    #[must_use]
    pub fn into_json(self) -> Value {
        let mut fields = self.fields;
        fields.insert("ok".to_owned(), self.ok.into());
        fields.insert("request".to_owned(), self.request.into());
        Value::Object(fields)
    }
}

fn fields_of(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_survive_the_wire_and_unknown_ones_are_named() {
        let drain = Question::Drain { worker: "box:8001".to_owned(), within_ms: Some(5) };
        for question in [Question::Status, Question::Waiting, Question::Shutdown, drain] {
            let request = question.numbered(7);
            let json = serde_json::to_vec(&request).expect("plain data");
            let read: Request = serde_json::from_slice(&json).expect("our own");
            assert_eq!((read.request, Question::of(&read)), (7, Ok(question)));
        }
        let odd = Request { request: 1, what: "dance".to_owned(), fields: Map::new() };
        assert_eq!(
            Question::of(&odd).expect_err("no such question"),
            "this manager does not know the request 'dance'; it knows status, waiting, explain, tasks, task, \
             clients, cancel, drain, shutdown, key_add, key_list, key_revoke, newcomers, approve, deny, invite, key_rotate and key_retire"
        );
    }

    #[test]
    fn a_rendered_reply_reads_as_one_that_was_not() {
        for cancelled in [AllCancelled { cancelled: 7 }, AllCancelled::default()] {
            let (mut plain, mut shared) = (BytesMut::new(), BytesMut::new());
            Reply::with(9, &cancelled).encode(0, &mut plain);
            Reply::rendered(9, Rendered::of(&cancelled)).encode(0, &mut shared);
            let decoded = |body: BytesMut| Reply::decode(body.freeze(), &mut WholePayload::default());
            let (plain, shared) = (decoded(plain), decoded(shared));
            assert_eq!(plain.expect("a reply"), shared.expect("a reply"));
        }
        let mut empty = BytesMut::new();
        Reply::rendered(9, Rendered::of(&())).encode(0, &mut empty);
        assert_eq!(&empty[..], b"{\"request\":9,\"ok\":true}");
    }

    #[test]
    fn a_status_of_another_release_is_read_with_what_it_says() {
        let json = br#"{"request":1,"ok":true,"workers":3,"new_field":[1],"totals":{"ok":5,"more":1}}"#;
        let reply: Reply = serde_json::from_slice(json).expect("a reply");
        let status: ManagerStatus = reply.read().expect("a status");
        assert_eq!((status.scheduler.workers, status.scheduler.totals.ok), (3, 5));
        assert!(status.scheduler.running.is_empty());
    }
}
