//! A task for any runtime, as bytes: what the typed calls are made of, and what other front ends start directly.

use argon_proto::limit::{BLOBS_PER_TASK, META_BYTES, PAYLOAD_BYTES};
use argon_proto::{Codec, Flags, Payload, Runtime, SessionId, Task, TaskHead, TaskId};
use argon_session::{Addition, Blob, Blobs, ErrorKind, OutputMode};
use bytes::Bytes;

use crate::error::Error;
use crate::options::TaskOptions;

/// A task for any runtime. `spec/runner.md` describes what each runtime expects in `meta` and `payload`.
#[derive(Clone, Debug)]
pub struct Request {
    /// Runtime that can execute it.
    pub runtime: Runtime,
    /// Encoding of the payload.
    pub codec: Codec,
    /// Its blobs, the code first.
    pub blobs: Blobs,
    /// A JSON object for the runtime, or nothing.
    pub meta: Bytes,
    /// The arguments.
    pub payload: Payload,
    /// Options of the task.
    pub options: TaskOptions,
}

impl Request {
    /// Checks the request against the limits of the wire.
    pub(crate) fn addition(self, is_detached: bool, output_mode: OutputMode) -> Result<Addition, Error> {
        let options = &self.options;
        options.check()?;
        let meta = match &options.label {
            Some(label) => labelled(&self.meta, label)?,
            None => self.meta,
        };
        refuse_beyond("payload", self.payload.len(), PAYLOAD_BYTES)?;
        refuse_beyond("meta data", meta.len() as u64, META_BYTES as u64)?;
        if self.blobs.len() > BLOBS_PER_TASK {
            let message = format!("{} blobs are more than the {BLOBS_PER_TASK} of a task", self.blobs.len());
            return Err(Error::new(ErrorKind::Option, message));
        }
        let mut flags = options.flags();
        if is_detached {
            flags = flags.with(Flags::DETACHED);
        }
        if output_mode == OutputMode::Discard {
            flags = flags.with(Flags::CAPTURE);
        }
        let head = TaskHead {
            flags,
            priority: options.priority,
            timeout_ms: options.timeout_ms(),
            retries: options.retries,
            codec: self.codec,
            backoff_ms: options.backoff_ms(),
            memory_mib: options.memory_mib,
            ..TaskHead::new(TaskId { session: SessionId([0; 16]), sequence: 0 }, self.runtime)
        };
        let task = Task::new(head, self.blobs.iter().map(Blob::hash), meta, self.payload);
        Ok(Addition { task, blobs: self.blobs, is_detached, output_mode, offers_max: options.offers_max })
    }
}

fn labelled(meta: &[u8], label: &str) -> Result<Bytes, Error> {
    let mut object: serde_json::Map<String, serde_json::Value> = if meta.is_empty() {
        serde_json::Map::new()
    } else {
        serde_json::from_slice(meta).map_err(|error| {
            Error::new(ErrorKind::Option, format!("the task's meta data is no JSON object: {error}"))
        })?
    };
    object.insert("label".to_owned(), label.into());
    Ok(serde_json::Value::Object(object).to_string().into())
}

fn refuse_beyond(what: &str, bytes: u64, limit: u64) -> Result<(), Error> {
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Option, format!("a {what} of {bytes} bytes is beyond the limit of {limit}")))
}
