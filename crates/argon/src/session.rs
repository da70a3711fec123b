//! A session at work: the session behind its one lock, the socket beside it, and the background task that keeps them
//! together.
//!
//! Owns the lock and the rule about it: it is held while the session is changed and while bytes are handed to the kernel
//! without waiting, never across an await, and wakers are woken after it is gone. A caller who is alone on the connection
//! writes by itself, so that a lone call wakes nobody else; in a flood the background task ([`actor`]) writes for all.

mod actor;
pub(crate) mod dial;
mod fork;
mod print;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Instant;

use argon_proto::conversation::client::{Open, ToClient};
use argon_proto::conversation::{Goodbye, Incoming};
use argon_proto::handshake::Welcome;
use argon_proto::{SessionId, TaskId};
use argon_session::{Disposition, ErrorKind, Printed, SessionState};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use crate::error::Error;
use crate::waiting::OnWaiting;
use actor::Connection;
use dial::Seeker;
use print::Printer;

/// With so few tasks under way the caller writes at once, by itself.
const FEW: u64 = 4;
/// So many bytes are worth a write, whoever comes along.
const ENOUGH_BYTES: u64 = 64 << 10;

/// What the callers and the background task share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    wake: Notify,
    printer: Printer,
    on_waiting: OnWaiting,
    /// The process that it belongs to.
    generation: u64,
}

#[derive(Debug)]
struct State {
    session: SessionState,
    stream: Option<Arc<OwnedWriteHalf>>,
    /// The kernel takes no more for now; the background task waits for it.
    is_blocked: bool,
}

/// The callers' side. When the last one is dropped the session says goodbye.
#[derive(Debug)]
pub(crate) struct Session {
    carried: Arc<Shared>,
    /// Stands in after a fork: a session that has ended.
    ended: OnceLock<Arc<Shared>>,
}

/// What the background task must know after a turn.
#[derive(Debug)]
struct Next {
    is_blocked: bool,
    pass_at: Option<Instant>,
    is_over: bool,
}

impl Session {
    /// Reaches a manager. The background task is returned beside the session; it must be run, on a tokio runtime.
    pub(crate) async fn open(
        mut seeker: Seeker,
        client: &str,
        on_waiting: OnWaiting,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<>), Error> {
        let reached = seeker.first().await?;
        let session = SessionId(dial::random()?);
        let open = introduction(session, client);
        let shared = Arc::new(Shared::new(SessionState::new(open), on_waiting));
        let connection = Connection::begin(&shared, reached);
        let carrier = actor::run(Arc::clone(&shared), seeker, connection);
        Ok((Self { carried: shared, ended: OnceLock::new() }, carrier))
    }

    /// Changes the session; what is to be written goes out soon. A caller who adds much before it waits must not keep the
    /// cluster waiting meanwhile: what is worth a write goes out at once.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut SessionState) -> T) -> T {
        let shared = self.shared();
        let mut state = shared.lock();
        let changed = change(&mut state.session);
        let mut needs_wake = !state.session.is_quiet() && !state.is_blocked;
        if needs_wake && state.session.to_write() >= ENOUGH_BYTES {
            needs_wake = state.write().is_err() || state.is_blocked;
        }
        shared.unlock(state);
        if needs_wake {
            shared.wake.notify_one();
        }
        changed
    }

    /// Changes the session and leaves the writing to [`Session::waiting`], which must follow.
    pub(crate) fn with_quietly<T>(&self, change: impl FnOnce(&mut SessionState) -> T) -> T {
        let shared = self.shared();
        let mut state = shared.lock();
        let changed = change(&mut state.session);
        shared.unlock(state);
        changed
    }

    /// The same for a caller who looks whether it must wait: if so, what it waits for is on its way.
    pub(crate) fn waiting<T>(
        &self,
        look: impl FnOnce(&mut SessionState) -> std::task::Poll<T>,
    ) -> std::task::Poll<T> {
        let shared = self.shared();
        let mut state = shared.lock();
        let looked = look(&mut state.session);
        let mut needs_wake = false;
        if looked.is_pending() && !state.session.is_quiet() && !state.is_blocked {
            if state.session.in_flight() <= FEW || state.session.to_write() >= ENOUGH_BYTES {
                needs_wake = state.write().is_err() || state.is_blocked;
            } else {
                needs_wake = true;
            }
        }
        shared.unlock(state);
        if needs_wake {
            shared.wake.notify_one();
        }
        looked
    }

    /// The id of a task of this session.
    pub(crate) fn task_id(&self, number: u64) -> TaskId {
        self.shared().lock().session.task_id(number)
    }

    /// Ends everything that is unfinished and says goodbye.
    pub(crate) fn close(&self) {
        self.shared().end(ErrorKind::Closed, "the client was closed");
    }

    fn shared(&self) -> &Shared {
        if self.carried.generation == fork::generation() {
            return &self.carried;
        }
        self.ended.get_or_init(|| {
            let shared = Shared::new(SessionState::new(Open::of(SessionId([0; 16]))), OnWaiting::default());
            shared.end(ErrorKind::Closed, fork::ADVICE);
            Arc::new(shared)
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
        if self.ended.get().is_some() {
            // The socket would be shut down for the parent, too.
            std::mem::forget(Arc::clone(&self.carried));
        }
    }
}

impl Shared {
    fn new(session: SessionState, on_waiting: OnWaiting) -> Self {
        Self {
            state: Mutex::new(State { session, stream: None, is_blocked: false }),
            wake: Notify::new(),
            printer: Printer::default(),
            on_waiting,
            generation: fork::generation(),
        }
    }

    /// The runtime that carried it is gone. In a child of a fork it goes on in the parent, and so must its socket.
    fn dropped(self: &Arc<Self>) {
        if self.generation == fork::generation() {
            self.end(ErrorKind::Closed, "the tokio runtime that carried this client was shut down");
        } else {
            std::mem::forget(Arc::clone(self));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a mistake of ours; the session is as good as before for everybody else.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of the lock, then wakes those whose wait is over and prints what is to be printed.
    fn unlock(&self, mut state: MutexGuard<'_, State>) {
        let wakers = state.session.take_wakers();
        let prints = state.session.take_prints();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        debug_assert!(prints.is_empty(), "only the background task hears of output");
    }

    fn end(&self, kind: ErrorKind, message: &str) {
        let mut state = self.lock();
        state.session.end(kind, message, Some(Goodbye::because("the client ends")));
        let _ = state.write();
        self.unlock(state);
        self.wake.notify_one();
    }

    /// A connection is there.
    fn connected(&self, stream: Arc<OwnedWriteHalf>, welcome: &Welcome, address: String) {
        let mut state = self.lock();
        state.stream = Some(stream);
        state.is_blocked = false;
        state.session.connected(welcome);
        state.session.reached_at(address);
        self.unlock(state);
    }

    /// The connection is gone. `true` if the session is over.
    fn disconnected(&self) -> bool {
        let mut state = self.lock();
        state.stream = None;
        state.session.lost();
        let is_over = state.session.is_ended();
        self.unlock(state);
        is_over
    }

    fn is_over(&self) -> bool {
        self.lock().session.is_ended()
    }

    /// Takes messages in. The first one that ends the connection is returned.
    fn hear(self: &Arc<Self>, now: Instant, messages: &mut Vec<Incoming<ToClient>>) -> Disposition {
        let mut state = self.lock();
        let mut heard = Disposition::Fine;
        for message in messages.drain(..) {
            heard = state.session.hear(now, message);
            if heard != Disposition::Fine {
                break;
            }
        }
        let prints: Vec<Printed> = state.session.take_prints();
        self.unlock(state);
        if !prints.is_empty() {
            self.printer.print(self, prints);
        }
        heard
    }

    /// A try to reach a manager failed.
    fn away(&self, now: Instant, why: String) {
        let mut state = self.lock();
        state.session.away(why);
        state.session.look(now);
        let waiting = state.session.take_waiting();
        self.unlock(state);
        waiting.iter().for_each(|waiting| (self.on_waiting.0)(waiting));
    }

    /// Lets time pass, writes what can be written, and says what to wait for.
    fn turn(&self, now: Instant) -> std::io::Result<Next> {
        let mut state = self.lock();
        if state.session.next_pass().is_some_and(|at| at <= now) {
            state.session.pass(now);
        } else {
            state.session.look(now);
        }
        let written = state.write();
        let waiting = state.session.take_waiting();
        let next = Next {
            is_blocked: state.is_blocked,
            pass_at: state.session.next_pass(),
            is_over: state.session.is_ended(),
        };
        self.unlock(state);
        waiting.iter().for_each(|waiting| (self.on_waiting.0)(waiting));
        written.map(|()| next)
    }
}

fn introduction(session: SessionId, client: &str) -> Open {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Open { client: client.to_owned(), host: host.trim().to_owned(), pid: std::process::id(), session }
}
