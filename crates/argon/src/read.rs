//! From an outcome to the value of a call, or the error that it is.

use argon_net::memory;
use argon_proto::{Codec, Outcome, Status, TaskId};
use argon_session::{Completion, ErrorKind};
use bytes::{Buf, Bytes};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Thrown};
use crate::{octets, running};

/// First byte of a native `error`; see `spec/runner.md`, section 6.
pub(crate) const PANIC: u8 = 0;
pub(crate) const OWN: u8 = 1;
pub(crate) const REFUSAL: u8 = 2;

/// The value of a call that ended so.
pub(crate) fn value<T: DeserializeOwned + 'static>(ending: Completion, id: TaskId) -> Result<T, Error> {
    from_outcome(&running::outcome(ending, id)?)
}

/// The value in an outcome.
pub(crate) fn from_outcome<T: DeserializeOwned + 'static>(outcome: &Outcome) -> Result<T, Error> {
    memory::expect(outcome.payload.len());
    match outcome.head.status {
        Status::Ok => decode(outcome),
        Status::Error => {
            let payload = outcome.payload.to_contiguous();
            let thrown = match outcome.head.codec {
                Codec::Own => native(payload),
                Codec::Json => foreign(payload),
            };
            let mut error = Error::from_outcome(outcome);
            error.set_thrown(thrown);
            Err(error)
        }
        Status::Died | Status::Timeout | Status::Cancelled | Status::Lost | Status::Rejected => {
            Err(Error::from_outcome(outcome))
        }
    }
}

fn decode<T: DeserializeOwned + 'static>(outcome: &Outcome) -> Result<T, Error> {
    let bytes = outcome.payload.to_contiguous();
    let read = match outcome.head.codec {
        Codec::Own => octets::read(&bytes).map_err(|error| error.to_string()),
        Codec::Json => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
    };
    read.map_err(|why| {
        let message = format!("the task returned what is no {}: {why}", std::any::type_name::<T>());
        Error::new(ErrorKind::Data, message).with_task(outcome.head.id)
    })
}

fn native(mut payload: Bytes) -> Thrown {
    match payload.try_get_u8() {
        Ok(PANIC) => panicked(&payload),
        Ok(OWN) => own(payload).unwrap_or_else(unreadable),
        Ok(REFUSAL) => Thrown::new(ErrorKind::Failed, String::from_utf8_lossy(&payload).into_owned()),
        Ok(_) | Err(_) => unreadable(),
    }
}

fn panicked(json: &[u8]) -> Thrown {
    let facts: Value = serde_json::from_slice(json).unwrap_or_default();
    let text = |name: &str| facts[name].as_str().map(str::to_owned);
    Thrown {
        place: text("place"),
        backtrace: text("backtrace"),
        ..Thrown::new(
            ErrorKind::Panicked,
            format!("the task panicked: {}", text("message").unwrap_or_default()),
        )
    }
}

fn own(mut payload: Bytes) -> Option<Thrown> {
    let length = payload.try_get_u32().ok()? as usize;
    if payload.len() < length {
        return None;
    }
    let text = String::from_utf8_lossy(&payload.split_to(length)).into_owned();
    Some(Thrown { own: Some((Codec::Own, payload)), ..Thrown::new(ErrorKind::Failed, text) })
}

/// Perl throws a string or a structure; Python's exceptions come with class, message and traceback.
fn foreign(payload: Bytes) -> Thrown {
    let thrown: Value = serde_json::from_slice(&payload).unwrap_or_default();
    let message = match (&thrown, thrown["class"].as_str(), thrown["message"].as_str()) {
        (Value::String(text), _, _) => text.trim_end().to_owned(),
        (_, Some(class), Some(message)) => format!("{class}: {message}"),
        (_, None, Some(message)) => message.trim_end().to_owned(),
        (_, _, None) => format!("the task threw {thrown}"),
    };
    let backtrace = thrown["traceback"].as_str().map(str::to_owned);
    Thrown { backtrace, own: Some((Codec::Json, payload)), ..Thrown::new(ErrorKind::Failed, message) }
}

fn unreadable() -> Thrown {
    Thrown::new(ErrorKind::Data, "the task failed, and its error cannot be read".to_owned())
}
