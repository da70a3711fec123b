//! The client: a cheap handle on one session.

use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use argon_net::Trust;
use argon_net::key_file::KeySource;
use argon_proto::key::Key;
use argon_proto::{Outcome, Ticket};
use argon_session::{Completion, ErrorKind, OutputMode, SessionState};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::address::Addresses;
use crate::call::Call;
use crate::caller::Caller;
use crate::deferred::{Awaited, Deferred};
use crate::error::Error;
use crate::hooks::Hooks;
use crate::map::Map;
use crate::request::Request;
use crate::running::{Running, outcome};
use crate::session::dial::{ManagerList, find_key};
use crate::session::{Session, Waiter};
use crate::shared::Shared;
use crate::task_identity::{self, WorkerAccess};
use crate::{options::TaskOptions, read};

/// A client of a cluster. Clones share the session and cost a reference count; when the last clone, and the last task
/// that was started with one, is gone, the session ends and what is unfinished is cancelled (detached tasks are not).
#[derive(Clone, Debug)]
pub struct Client {
    caller: Caller,
}

/// Builder of a [`Client`], for what [`Client::connect`] does not offer.
#[derive(Clone, Debug)]
pub struct Connect {
    addresses: Addresses,
    /// The worker of the task whose client this is to be.
    worker: Option<WorkerAccess>,
    key: Option<Key>,
    key_file: Option<PathBuf>,
    trust: Option<Trust>,
    insecure_plaintext: Option<bool>,
    tls_ca: Option<PathBuf>,
    patience: Option<Duration>,
    name: String,
    pub(crate) hooks: Hooks,
    defaults: TaskOptions,
}

impl Client {
    /// Connects to a manager, or to the first of several that is there: `"host"`, `"host:8000"`, `"a:8000,b:8000"`, or a
    /// list. The key is that of this user: `ARGON_KEY`, or the file in the config folder.
    ///
    /// # Errors
    /// [`ErrorKind::Unreachable`] if no manager answers within a second, or the key is not theirs.
    pub async fn connect(addresses: impl Into<Addresses>) -> Result<Self, Error> {
        Connect::to(addresses).connect().await
    }

    /// Runs a call and waits for its value. Leaving the wait cancels the task: dropping the future, as `select!` and
    /// `tokio::time::timeout` do.
    ///
    /// # Errors
    /// How it ended otherwise; see [`ErrorKind`] and [`Error::own`].
    pub async fn call<T: DeserializeOwned + 'static>(&self, call: Call<T>) -> Result<T, Error> {
        let addition = call.into_request(&self.caller.defaults)?.addition(false, OutputMode::Inherit)?;
        let number = self.caller.session.with_quietly(|session, out| session.add(addition, out));
        let mut awaited = Awaited(Deferred::waiting(Arc::clone(&self.caller.session), number));
        (&mut awaited.0).await
    }

    /// Another name of [`call`](Client::call), which all languages of Argon have.
    ///
    /// # Errors
    /// See [`call`](Client::call).
    pub async fn queue<T: DeserializeOwned + 'static>(&self, call: Call<T>) -> Result<T, Error> {
        self.call(call).await
    }

    /// Runs a call in the background; its value is awaited later, or never.
    pub fn defer<T: DeserializeOwned + 'static>(&self, call: Call<T>) -> Deferred<T> {
        self.caller.defer(call)
    }

    /// Runs all calls of an iterator, a bounded number of them at once, and streams their values in order; see [`Map`] for
    /// another order and bound.
    pub fn map<T, I>(&self, calls: I) -> Map<T, I::IntoIter>
    where
        T: DeserializeOwned + 'static,
        I: IntoIterator<Item = Call<T>>,
    {
        Map::new(self.caller.clone(), calls.into_iter())
    }

    /// Submits a call that outlives this client, and returns its ticket when the manager keeps it: from then on anyone with
    /// the ticket and a key can [`collect`](Client::collect) or cancel it, whatever happens to this process. The id that
    /// `argon status` shows does not suffice.
    ///
    /// # Errors
    /// If it was not accepted. What it prints is not shown; an error's report has its last lines.
    pub async fn submit<T>(&self, call: Call<T>) -> Result<Ticket, Error> {
        self.submit_request(call.into_request(&self.caller.defaults)?).await
    }

    /// Waits for the value of a submitted call and takes it: the manager forgets it once it is in hand.
    ///
    /// # Errors
    /// How it ended otherwise.
    pub async fn collect<T: DeserializeOwned + 'static>(&self, ticket: Ticket) -> Result<T, Error> {
        read::from_outcome(&self.collect_outcome(ticket).await?)
    }

    /// Makes a value that tasks share: as an argument it travels as its hash, and its bytes go to each machine once.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] if it cannot be turned into bytes, or would be read from them as another value.
    pub fn share<T: Serialize + DeserializeOwned>(&self, value: &T) -> Result<Shared<T>, Error> {
        Shared::new(value)
    }

    /// Starts a task of any runtime and lets the caller follow it.
    ///
    /// # Errors
    /// [`ErrorKind::Option`] for what is beyond the wire's limits. [`Running`] reports how the task ends.
    pub fn start(&self, request: Request) -> Result<Running, Error> {
        let addition = request.addition(false, OutputMode::Caller)?;
        let number = self.caller.session.with(|session, out| session.add(addition, out));
        Ok(Running::new(Arc::clone(&self.caller.session), number))
    }

    /// Runs a task of any runtime to its end; what it prints goes to this process's own output. Leaving the wait cancels it.
    ///
    /// # Errors
    /// [`ErrorKind::Option`] for what is beyond the wire's limits, and every end without an outcome of the cluster.
    pub async fn run(&self, request: Request) -> Result<Outcome, Error> {
        let addition = request.addition(false, OutputMode::Inherit)?;
        let number = self.caller.session.with_quietly(|session, out| session.add(addition, out));
        let mut following = Following {
            session: Arc::clone(&self.caller.session),
            number,
            waiter: Waiter::default(),
            is_cancelling: true,
        };
        outcome(following.end().await, self.caller.session.task_id(number))
    }

    /// Submits a task of any runtime that outlives this client, and returns its ticket when the manager keeps it.
    ///
    /// # Errors
    /// [`ErrorKind::Option`] for what is beyond the wire's limits, and every end without acceptance.
    pub async fn submit_request(&self, request: Request) -> Result<Ticket, Error> {
        let addition = request.addition(true, OutputMode::Discard)?;
        let number = self.caller.session.with_quietly(|session, out| session.add(addition, out));
        let mut following = Following {
            session: Arc::clone(&self.caller.session),
            number,
            waiter: Waiter::default(),
            is_cancelling: false,
        };
        let id = self.caller.session.task_id(number);
        match following.end().await {
            Completion::Accepted(ticket) => Ok(ticket),
            Completion::Outcome(outcome) => Err(Error::from_outcome(&outcome)),
            Completion::Failed(kind, message) => Err(Error::new(kind, message).with_task(id)),
        }
    }

    /// Waits for the outcome of a detached task and takes it: the manager forgets it once it is in hand.
    ///
    /// # Errors
    /// If the client is closed before it comes.
    pub async fn collect_outcome(&self, ticket: Ticket) -> Result<Outcome, Error> {
        let number = self.caller.session.with_quietly(|session, out| session.collect(ticket, out));
        let mut following = Following {
            session: Arc::clone(&self.caller.session),
            number,
            waiter: Waiter::default(),
            is_cancelling: false,
        };
        outcome(following.end().await, ticket.id)
    }

    /// Cancels detached tasks of any session. A ticket that is not right is ignored, like that of a task that has ended.
    pub fn cancel_detached(&self, tickets: impl IntoIterator<Item = Ticket>) {
        let tickets: Vec<Ticket> = tickets.into_iter().collect();
        self.caller.session.with(|session, out| session.cancel_detached(&tickets, out));
    }

    /// Asks the manager something: `"status"`, `"explain"` with `{"task": id}`, `"drain"` with `{"worker": name}`.
    ///
    /// # Errors
    /// [`ErrorKind::Option`] with the manager's words if it cannot do that.
    pub async fn request(&self, what: &str, fields: serde_json::Map<String, Value>) -> Result<Value, Error> {
        let number = self.caller.session.with_quietly(|session, out| session.request(what, fields, out));
        let asking = Asking { session: &self.caller.session, number };
        let waiting = |session: &mut SessionState, waker: &_| session.poll_reply(number, waker);
        let reply = poll_fn(|context| asking.session.waiting(|session, _| waiting(session, context.waker())));
        let reply = reply.await.map_err(|(kind, message)| Error::new(kind, message))?;
        if reply["ok"] == true {
            return Ok(reply);
        }
        let message = reply["message"].as_str().unwrap_or("the manager could not do that");
        Err(Error::new(ErrorKind::Option, message))
    }

    /// The options of tasks that bring none of their own.
    #[must_use]
    pub fn defaults(&self) -> &TaskOptions {
        &self.caller.defaults
    }

    /// Ends the session now: everything unfinished ends as [`ErrorKind::Closed`] here and is cancelled there.
    pub fn close(&self) {
        self.caller.session.close();
    }
}

impl Connect {
    /// To these managers; see [`Client::connect`].
    pub fn to(addresses: impl Into<Addresses>) -> Self {
        Self {
            addresses: addresses.into(),
            worker: None,
            key: None,
            key_file: None,
            trust: None,
            insecure_plaintext: None,
            tls_ca: None,
            patience: None,
            hooks: Hooks::default(),
            name: concat!("rust/", env!("CARGO_PKG_VERSION")).to_owned(),
            defaults: TaskOptions::default(),
        }
    }

    /// Through the worker of a task.
    pub(crate) fn of_task(worker: WorkerAccess) -> Self {
        Self { worker: Some(worker), ..Self::to(Addresses::default()) }
    }

    /// With this key.
    #[must_use]
    pub fn key(self, key: Key) -> Self {
        Self { key: Some(key), ..self }
    }

    /// With the key in this file.
    #[must_use]
    pub fn key_file(self, path: impl Into<PathBuf>) -> Self {
        Self { key_file: Some(path.into()), ..self }
    }

    /// Speaks without encryption to managers on other machines, or never does. Default: what `ARGON_INSECURE_PLAINTEXT` says,
    /// otherwise TLS. A manager on this machine is always spoken to in plain text, unless `ARGON_TLS` is `always`.
    #[must_use]
    pub fn insecure_plaintext(self, plain: bool) -> Self {
        Self { insecure_plaintext: Some(plain), ..self }
    }

    /// Trusts managers whose certificate the CA in this file (PEM) has signed, in place of the pin that is in the key.
    /// Default: what `ARGON_TLS_CA` says.
    #[must_use]
    pub fn tls_ca(self, path: impl Into<PathBuf>) -> Self {
        Self { tls_ca: Some(path.into()), ..self }
    }

    /// Demands this of connections, in place of [`Connect::insecure_plaintext`], [`Connect::tls_ca`] and the environment.
    #[doc(hidden)]
    #[must_use]
    pub fn trust(self, trust: Trust) -> Self {
        Self { trust: Some(trust), ..self }
    }

    /// Time to look for a first manager before giving up. Default: one second.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// Sets the name of this client in `argon status`.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The options of tasks that bring none of their own.
    #[must_use]
    pub fn defaults(self, defaults: TaskOptions) -> Self {
        Self { defaults, ..self }
    }

    /// Connects; see [`Client::connect`].
    ///
    /// # Errors
    /// See there.
    pub async fn connect(self) -> Result<Client, Error> {
        let (client, carrier) = self.connect_carried().await?;
        tokio::spawn(carrier);
        Ok(client)
    }

    /// A client, and what must be run for it to work.
    pub(crate) async fn connect_carried(self) -> Result<(Client, impl Future<Output = ()> + Send), Error> {
        let is_named = !self.addresses.is_default() || self.key.is_some() || self.key_file.is_some();
        let worker = match self.worker {
            Some(worker) => Some(worker),
            None if is_named => None,
            None => task_identity::worker_access().ok(),
        };
        let managers = if let Some(worker) = worker {
            ManagerList::through_worker(worker, self.patience)
        } else {
            let addresses = self.addresses.into_list()?;
            let key = match self.key {
                Some(key) => KeySource::from(key),
                None => find_key(self.key_file.as_deref(), &addresses)?,
            };
            let trust = match self.trust {
                Some(trust) => trust,
                None => Trust::given(self.insecure_plaintext, self.tls_ca.as_deref())?,
            };
            ManagerList::new(addresses, key, trust, self.patience)
        };
        let (session, carrier) = Session::open(managers, &self.name, self.hooks).await?;
        let caller = Caller { session: Arc::new(session), defaults: self.defaults };
        Ok((Client { caller }, carrier))
    }
}

/// A number of the session that is given up when its caller leaves.
struct Following {
    session: Arc<Session>,
    number: u64,
    waiter: Waiter,
    /// The task is cancelled then; those that are detached go on.
    is_cancelling: bool,
}

impl Following {
    async fn end(&mut self) -> Completion {
        let Self { session, number, waiter, .. } = self;
        poll_fn(|context| session.awaiting(waiter, |session, _| session.poll_end(*number, context.waker())))
            .await
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.session.leave(&mut self.waiter);
        if self.is_cancelling {
            self.session.with(|session, out| {
                session.cancel(self.number, out);
                session.abandon(self.number, out);
            });
        } else {
            self.session.with_quietly(|session, out| session.abandon(self.number, out));
        }
    }
}

struct Asking<'a> {
    session: &'a Session,
    number: u64,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.session.with_quietly(|session, _| session.forget_request(self.number));
    }
}
