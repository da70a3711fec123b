//! A call: a function by name and its arguments as bytes, ready for any client.

use std::marker::PhantomData;
use std::time::Duration;

use argon_net::memory;
use argon_proto::{Codec, Payload, Priority, Runtime};
use argon_session::{Blob, ErrorKind};
use bytes::Bytes;
use serde::Serialize;

use crate::error::Error;
use crate::options::{RetryOn, TaskOptions};
use crate::request::Request;
use crate::runner::arguments::{Arguments, Failure, Returned};
use crate::{here, own, program, shared};

/// Reads arguments and writes what came of them.
pub type Again = fn(&Arguments<'_>) -> Returned;

/// A function by name and its arguments; it gives a `T`. Made by calling a function that is marked with
/// [`task`](crate::task), or by [`perl`](crate::perl), [`perl_class`](crate::perl_class) and
/// [`python`](crate::python); run by [`Client::queue`](crate::Client::queue) and its relatives.
#[must_use = "a call does nothing until a client queues it"]
pub struct Call<T> {
    runtime: Runtime,
    codec: Codec,
    meta: Bytes,
    /// Arguments that could not be turned into bytes are an error of the client.
    payload: Result<Payload, Error>,
    shared: Vec<Blob>,
    options: Option<TaskOptions>,
    value: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    /// A call of a function of this program. `again` reads the arguments and writes what came of them.
    pub(crate) fn native<A: Serialize>(meta: &'static str, arguments: &A, again: Option<Again>) -> Self {
        let (payload, shared) = shared::collecting(|| {
            let bytes = own::to_vec(arguments)?;
            if let Some(again) = again {
                let read = Arguments { codec: Codec::Own, bytes: &bytes };
                own::check_with(&bytes, || again(&read), || Ok(own::to_vec(arguments)?))?;
            }
            Ok(bytes)
        });
        memory::expect(payload.as_ref().map_or(0, |bytes| bytes.len() as u64));
        let payload = payload.map(Payload::from).map_err(|why: Failure| {
            let why = why.into_text();
            let types = std::any::type_name::<A>();
            let named: serde_json::Value = serde_json::from_str(meta).unwrap_or_default();
            let task = named["call"].as_str().unwrap_or(meta);
            let message = format!("the arguments {types} of {task} cannot travel: {why}");
            Error::new(ErrorKind::Data, message)
        });
        Self {
            runtime: Runtime::Native,
            codec: Codec::Own,
            meta: Bytes::from_static(meta.as_bytes()),
            payload,
            shared,
            options: None,
            value: PhantomData,
        }
    }

    /// A call of a function of another language.
    pub(crate) fn foreign(runtime: Runtime, meta: Bytes, payload: Result<Payload, Error>) -> Self {
        Self {
            runtime,
            codec: Codec::Json,
            meta,
            payload,
            shared: Vec::new(),
            options: None,
            value: PhantomData,
        }
    }

    /// With these options instead of the client's.
    pub fn with(self, options: TaskOptions) -> Self {
        Self { options: Some(options), ..self }
    }

    /// See [`TaskOptions::priority`].
    pub fn priority(self, priority: Priority) -> Self {
        self.change(|options| options.priority(priority))
    }

    /// See [`TaskOptions::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        self.change(|options| options.timeout(timeout))
    }

    /// See [`TaskOptions::retries`].
    pub fn retries(self, retries: u16) -> Self {
        self.change(|options| options.retries(retries))
    }

    /// See [`TaskOptions::retry_on`].
    pub fn retry_on(self, outcomes: impl IntoIterator<Item = RetryOn>) -> Self {
        self.change(|options| options.retry_on(outcomes))
    }

    /// See [`TaskOptions::never_twice`].
    pub fn never_twice(self) -> Self {
        self.change(TaskOptions::never_twice)
    }

    /// See [`TaskOptions::label`].
    pub fn label(self, label: impl Into<String>) -> Self {
        self.change(|options| options.label(label))
    }

    fn change(mut self, change: impl FnOnce(TaskOptions) -> TaskOptions) -> Self {
        self.options = Some(change(self.options.take().unwrap_or_default()));
        self
    }

    /// The bytes of its arguments.
    pub(crate) fn bytes(&self) -> u64 {
        self.payload.as_ref().map_or(0, Payload::len)
    }

    /// The bytes of it, with this program as the code of a native task.
    pub(crate) fn into_request(self, defaults: &TaskOptions) -> Result<Request, Error> {
        let blobs = match self.runtime {
            Runtime::Native => program::blobs(self.shared)?,
            Runtime::Perl | Runtime::Python | Runtime::Exec => self.shared.into_iter().collect(),
        };
        let meta = match self.runtime {
            Runtime::Native => here::add_to_text(&self.meta),
            Runtime::Perl | Runtime::Python | Runtime::Exec => here::add_to(&self.meta),
        };
        Ok(Request {
            runtime: self.runtime,
            codec: self.codec,
            blobs,
            meta,
            payload: self.payload?,
            options: self.options.unwrap_or_else(|| defaults.clone()),
        })
    }
}

impl<T> std::fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call({})", String::from_utf8_lossy(&self.meta))
    }
}
