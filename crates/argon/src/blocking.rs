//! The client for programs without tokio: the same calls, and each waits.
//!
//! A thread of its own carries the session; any thread may call and wait.
//!
//! ```no_run
//! #[argon::task]
//! fn area(width: u32, height: u32) -> u32 {
//!     width * height
//! }
//!
//! #[argon::main]
//! fn main() -> Result<(), argon::Error> {
//!     let client = argon::blocking::Client::connect("127.0.0.1:8000")?;
//!     let later = client.defer(area(4, 7));
//!     println!("{} {}", client.queue(area(6, 7))?, later.wait()?);
//!     for area in client.map((1..10).map(|n| area(n, n))) {
//!         println!("{}", area?);
//!     }
//!     Ok(())
//! }
//! ```

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use argon_session::ErrorKind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::Connect;
use crate::error::Error;
use crate::{Addresses, Call, Shared, TaskId, Ticket};

/// A client whose calls wait. Clones share the session; see [`crate::Client`].
#[derive(Clone, Debug)]
pub struct Client {
    client: crate::Client,
}

/// The value of a call that was deferred; see [`crate::Deferred`].
#[derive(Debug)]
pub struct Deferred<T> {
    deferred: crate::Deferred<T>,
}

/// The values of many calls, in the order of the calls; see [`crate::Map`].
#[must_use = "a map does nothing until its values are taken"]
#[derive(Debug)]
pub struct Map<T, I> {
    map: crate::Map<T, I>,
}

/// The values of many calls as they complete; see [`crate::Completed`].
#[must_use = "a map does nothing until its values are taken"]
#[derive(Debug)]
pub struct Completed<T, I> {
    completed: crate::Completed<T, I>,
}

impl Client {
    /// See [`crate::Client::connect`].
    ///
    /// # Errors
    /// See there.
    pub fn connect(addresses: impl Into<Addresses>) -> Result<Self, Error> {
        Connect::to(addresses).connect_blocking()
    }

    /// See [`crate::Client::call`].
    ///
    /// # Errors
    /// See there.
    pub fn call<T: DeserializeOwned + 'static>(&self, call: Call<T>) -> Result<T, Error> {
        wait(self.client.call(call))
    }

    /// See [`crate::Client::queue`].
    ///
    /// # Errors
    /// See there.
    pub fn queue<T: DeserializeOwned + 'static>(&self, call: Call<T>) -> Result<T, Error> {
        wait(self.client.queue(call))
    }

    /// See [`crate::Client::defer`].
    pub fn defer<T: DeserializeOwned + 'static>(&self, call: Call<T>) -> Deferred<T> {
        Deferred { deferred: self.client.defer(call) }
    }

    /// See [`crate::Client::map`].
    pub fn map<T, I>(&self, calls: I) -> Map<T, I::IntoIter>
    where
        T: DeserializeOwned + 'static,
        I: IntoIterator<Item = Call<T>>,
    {
        Map { map: self.client.map(calls) }
    }

    /// See [`crate::Client::submit`].
    ///
    /// # Errors
    /// See there.
    pub fn submit<T>(&self, call: Call<T>) -> Result<Ticket, Error> {
        wait(self.client.submit(call))
    }

    /// See [`crate::Client::collect`].
    ///
    /// # Errors
    /// See there.
    pub fn collect<T: DeserializeOwned + 'static>(&self, ticket: Ticket) -> Result<T, Error> {
        wait(self.client.collect(ticket))
    }

    /// See [`crate::Client::share`].
    ///
    /// # Errors
    /// See there.
    pub fn share<T: Serialize + DeserializeOwned>(&self, value: &T) -> Result<Shared<T>, Error> {
        self.client.share(value)
    }

    /// See [`crate::Client::request`].
    ///
    /// # Errors
    /// See there.
    pub fn request(&self, what: &str, fields: serde_json::Map<String, Value>) -> Result<Value, Error> {
        wait(self.client.request(what, fields))
    }

    /// This client for asynchronous code. Any executor may poll its futures.
    #[must_use]
    pub fn as_async(&self) -> &crate::Client {
        &self.client
    }

    /// See [`crate::Client::close`].
    pub fn close(&self) {
        self.client.close();
    }
}

impl Connect {
    /// Connects, with a thread of its own for the session.
    ///
    /// # Errors
    /// As [`Connect::connect`].
    pub fn connect_blocking(self) -> Result<Client, Error> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let carry = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    let message = format!("no runtime for the session can be made: {error}");
                    return drop(sender.send(Err(Error::new(ErrorKind::Unreachable, message))));
                }
            };
            runtime.block_on(async {
                match self.connect_carried().await {
                    Ok((client, carrier)) => {
                        // Who asked for the client waits for it.
                        let _ = sender.send(Ok(client));
                        carrier.await;
                    }
                    Err(error) => drop(sender.send(Err(error))),
                }
            });
        };
        let no_thread =
            |why: String| Error::new(ErrorKind::Unreachable, format!("no thread for the session: {why}"));
        std::thread::Builder::new()
            .name("argon".to_owned())
            .spawn(carry)
            .map_err(|error| no_thread(error.to_string()))?;
        let client = receiver.recv().map_err(|error| no_thread(error.to_string()))??;
        Ok(Client { client })
    }
}

impl<T: DeserializeOwned + 'static> Deferred<T> {
    /// Waits for the value.
    ///
    /// # Errors
    /// How the call ended otherwise.
    pub fn wait(self) -> Result<T, Error> {
        wait(self.deferred)
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> Option<TaskId> {
        self.deferred.id()
    }

    /// See [`crate::Deferred::cancel`].
    pub fn cancel(&self) {
        self.deferred.cancel();
    }
}

impl<T: DeserializeOwned + 'static, I: Iterator<Item = Call<T>>> Map<T, I> {
    /// See [`crate::Map::ahead`].
    pub fn ahead(self, ahead: usize) -> Self {
        Self { map: self.map.ahead(ahead) }
    }

    /// See [`crate::Map::as_completed`].
    pub fn as_completed(self) -> Completed<T, I> {
        Completed { completed: self.map.as_completed() }
    }
}

impl<T: DeserializeOwned + 'static, I: Iterator<Item = Call<T>>> Iterator for Map<T, I> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        wait(self.map.next())
    }
}

impl<T: DeserializeOwned + 'static, I: Iterator<Item = Call<T>>> Iterator for Completed<T, I> {
    type Item = (usize, Result<T, Error>);

    fn next(&mut self) -> Option<Self::Item> {
        wait(self.completed.next())
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits in this thread.
fn wait<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static WAKER: Waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    }
    let mut future = pin!(future);
    WAKER.with(|waker| {
        let mut context = Context::from_waker(waker);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return value;
            }
            std::thread::park();
        }
    })
}
