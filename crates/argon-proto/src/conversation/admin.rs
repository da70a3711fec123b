//! Between an operator's command and the manager; a client may ask the same questions (`spec/protocol.md`, section 7).

#[cfg(feature = "servers")]
mod cancel;
#[cfg(feature = "servers")]
mod keys;
#[cfg(feature = "servers")]
mod newcomers;
#[cfg(feature = "servers")]
mod question;
#[cfg(feature = "servers")]
mod status;
#[cfg(feature = "servers")]
mod tasks;
mod waiting;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[cfg(feature = "servers")]
pub use cancel::{AllCancelled, Cancel, CancelledTask, TasksCancelled};
#[cfg(feature = "servers")]
pub use keys::{ClusterKey, KeyAdded, KeyList, KeyRotated, KeysRevoked, PersonKey};
#[cfg(feature = "servers")]
pub use newcomers::{Invite, Invited, Newcomer, NewcomerList};
#[cfg(feature = "servers")]
pub use question::{FromAdmin, Question, ToAdmin, WorkerDrains};
#[cfg(feature = "servers")]
pub use status::{
    AwayClient, EncryptionView, FirstNames, LeftOut, ManagerStatus, MemoryView, OwnerView, Rates,
    RunningTask, SchedulerView, Totals, WorkerView,
};

#[cfg(feature = "servers")]
pub use tasks::{
    AttemptFacts, ClientFacts, ClientList, ClientView, Explanation, StoryLine, TaskFacts, TaskFilter,
    TaskList, TaskReason, WorkerVerdict,
};

pub use waiting::{WaitingReport, WhyWaiting};

use bytes::{BufMut, Bytes, BytesMut};

use super::WholePayload;
use super::body::Body;
use super::json::{json_body, write};
use crate::error::DecodeError;

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

#[cfg(all(test, feature = "servers"))]
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
