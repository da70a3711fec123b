//! Shell of a client's session: the state machine behind its one lock, the socket next to it, and the background task
//! that keeps them together.
//!
//! Owns the lock and the rule about it: it is held while the machine is stepped and while bytes are handed to the kernel
//! without waiting, never across an await, and effects are carried out after it is gone. A caller who is alone on the
//! connection writes by itself, so that a lone call wakes no other task; in a flood the background task ([`actor`]) writes
//! for all. Decisions are those of [`SessionState`].

mod actor;
pub(crate) mod dial;
mod fork;
mod print;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Instant;

use argon_net::{WriteHalf, pid_space, random};
use argon_proto::conversation::Goodbye;
use argon_proto::conversation::child::{FromChild, Waits};
use argon_proto::conversation::client::Open;
use argon_proto::{Line, Machine, Secret, TaskId, Time};
use argon_session::{Effect, ErrorKind, Input, Out, SessionState};
use tokio::sync::Notify;

use crate::error::Error;
use crate::hooks::{Hooks, OnInterrupt};
use crate::program;
use actor::Actor;
use dial::ManagerList;
use print::Printer;

/// Number of tasks under way up to which the caller writes at once, by itself.
const FEW: u64 = 4;
/// Bytes that are worth a write of their own.
const ENOUGH_BYTES: u64 = 64 << 10;

/// State that the callers and the background task share.
#[derive(Debug)]
pub(crate) struct SharedSession {
    state: Mutex<LockedSession>,
    wake: Notify,
    printer: Printer,
    hooks: Hooks,
    /// Beginning of the machine's time.
    epoch: Instant,
    /// The process that it belongs to.
    generation: u64,
}

#[derive(Debug)]
struct LockedSession {
    session: SessionState,
    out: Out,
    writer: Option<Arc<WriteHalf>>,
    /// The kernel takes no more for now; the background task waits for it.
    is_blocked: bool,
    /// In the client of a task: number of callers that wait for outcomes. The worker lends the task's slot meanwhile.
    waiters: Option<u32>,
}

/// The callers' side. When the last one is dropped the session says goodbye.
#[derive(Debug)]
pub(crate) struct Session {
    carried: Arc<SharedSession>,
    /// Stands in after a fork: a session that has ended.
    ended: OnceLock<Arc<SharedSession>>,
}

/// A caller that waits for an outcome. Only the client of a task counts them.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    is_counted: bool,
}

/// Effects that only the background task can carry out.
#[derive(Debug, Default)]
struct Orders {
    dial: Option<usize>,
    disconnect: bool,
}

/// Result of a turn, for the background task.
#[derive(Debug)]
struct Next {
    orders: Orders,
    is_blocked: bool,
    deadline: Option<Time>,
    is_over: bool,
}

impl Session {
    /// Reaches a manager. The background task is returned next to the session; it must be run, on a tokio runtime.
    pub(crate) async fn open(
        managers: ManagerList,
        client: &str,
        hooks: Hooks,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<>), Error> {
        let parent = managers.parent();
        let secret = Secret::new(random::bytes().map_err(no_randomness)?);
        let open = match parent {
            Some(task) => Open::of_child(task.session.family(), secret),
            None => Open::of(secret),
        };
        let open = introduction(open, client, hooks.on_interrupt);
        let mut machine = SessionState::new(open, managers.len(), managers.first_within());
        if parent.is_some() {
            program::known().into_iter().for_each(|program| machine.assume_blob(program));
        }
        let shared = Arc::new(SharedSession::new(machine, hooks, parent.map(|_| 0)));
        let mut actor = Actor::new(Arc::clone(&shared), managers);
        actor.seek().await;
        if let Some((kind, message)) = shared.lock().session.ended() {
            return Err(Error::new(kind, message));
        }
        Ok((Self { carried: shared, ended: OnceLock::new() }, actor.run()))
    }

    /// Changes the session; what is to be written goes out soon. A caller who adds much before it waits must not keep the
    /// cluster waiting meanwhile: what is worth a write goes out at once.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut SessionState, &mut Out) -> T) -> T {
        let shared = self.shared();
        let mut state = shared.lock();
        let LockedSession { session, out, .. } = &mut *state;
        let changed = change(session, out);
        let mut needs_wake = !state.out.frames.is_empty() && !state.is_blocked;
        if needs_wake && state.out.frames.len() >= ENOUGH_BYTES {
            needs_wake = state.write().is_err() || state.is_blocked;
        }
        shared.unlock(state);
        if needs_wake {
            shared.wake.notify_one();
        }
        changed
    }

    /// Changes the session and leaves the writing to [`Session::waiting`], which must follow.
    pub(crate) fn with_quietly<T>(&self, change: impl FnOnce(&mut SessionState, &mut Out) -> T) -> T {
        let shared = self.shared();
        let mut state = shared.lock();
        let LockedSession { session, out, .. } = &mut *state;
        let changed = change(session, out);
        shared.unlock(state);
        changed
    }

    /// For a caller that finds out whether it must wait: if so, what it waits for is sent at once.
    pub(crate) fn waiting<T>(&self, look: impl FnOnce(&mut SessionState, &mut Out) -> Poll<T>) -> Poll<T> {
        self.waiting_as(&mut Waiter::default(), false, look)
    }

    /// For a caller that waits for an outcome; `waiter` is its own until it has the outcome or leaves.
    pub(crate) fn awaiting<T>(
        &self,
        waiter: &mut Waiter,
        look: impl FnOnce(&mut SessionState, &mut Out) -> Poll<T>,
    ) -> Poll<T> {
        self.waiting_as(waiter, true, look)
    }

    /// A caller waits no longer, without its outcome.
    pub(crate) fn leave(&self, waiter: &mut Waiter) {
        if waiter.is_counted {
            let _ = self.awaiting(waiter, |_, _| Poll::Ready(()));
        }
    }

    fn waiting_as<T>(
        &self,
        waiter: &mut Waiter,
        is_for_outcome: bool,
        look: impl FnOnce(&mut SessionState, &mut Out) -> Poll<T>,
    ) -> Poll<T> {
        let shared = self.shared();
        let mut state = shared.lock();
        let LockedSession { session, out, .. } = &mut *state;
        let looked = look(session, out);
        let mut needs_wake = false;
        if is_for_outcome && state.count(waiter, looked.is_pending()) && looked.is_ready() {
            // The worker knows it before the task goes on.
            needs_wake = state.write().is_err() || state.is_blocked;
        }
        if looked.is_pending() && !state.out.frames.is_empty() && !state.is_blocked {
            if state.session.in_flight() <= FEW || state.out.frames.len() >= ENOUGH_BYTES {
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

    fn shared(&self) -> &Arc<SharedSession> {
        if self.carried.generation == fork::generation() {
            return &self.carried;
        }
        self.ended.get_or_init(|| {
            let machine = SessionState::new(Open::of(Secret::new([0; 32])), 0, std::time::Duration::ZERO);
            let shared = Arc::new(SharedSession::new(machine, Hooks::default(), None));
            shared.end(ErrorKind::Closed, fork::ADVICE);
            shared
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

impl SharedSession {
    fn new(session: SessionState, hooks: Hooks, waiters: Option<u32>) -> Self {
        Self {
            state: Mutex::new(LockedSession {
                session,
                out: Out::default(),
                writer: None,
                is_blocked: false,
                waiters,
            }),
            wake: Notify::new(),
            printer: Printer::default(),
            hooks,
            epoch: Instant::now(),
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

    fn now(&self) -> Time {
        Time(u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn lock(&self) -> MutexGuard<'_, LockedSession> {
        // A panic under the lock is a mistake of ours; the session is as good as before for everybody else.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Releases the lock, then carries out the effects. Those that the background task must carry out are returned to it;
    /// only its own steps have any.
    fn unlock(self: &Arc<Self>, mut state: MutexGuard<'_, LockedSession>) -> Orders {
        let effects = std::mem::take(&mut state.out.effects);
        drop(state);
        let mut orders = Orders::default();
        let mut prints = Vec::new();
        for effect in effects {
            match effect {
                Effect::Wake(waker) => waker.wake(),
                Effect::Print(print) => prints.push(print),
                Effect::ReportWaiting(why) => (self.hooks.on_waiting)(&why),
                Effect::Dial { address } => orders.dial = Some(address),
                Effect::Disconnect => orders.disconnect = true,
            }
        }
        if !prints.is_empty() {
            self.printer.print(self, prints);
        }
        orders
    }

    fn end(self: &Arc<Self>, kind: ErrorKind, message: &str) {
        let mut state = self.lock();
        let LockedSession { session, out, .. } = &mut *state;
        session.end(kind, message, Some(Goodbye::because("the client ends")), out);
        let _ = state.write();
        self.unlock(state);
        self.wake.notify_one();
    }

    fn is_over(&self) -> bool {
        self.lock().session.is_ended()
    }

    fn next_deadline(&self) -> Option<Time> {
        self.lock().session.next_deadline()
    }

    /// Steps the machine with what the background task has seen.
    fn step(self: &Arc<Self>, inputs: impl IntoIterator<Item = Input>) -> Orders {
        let now = self.now();
        let mut state = self.lock();
        inputs.into_iter().for_each(|input| state.step(now, input));
        self.unlock(state)
    }

    /// A connection is there.
    fn connected(self: &Arc<Self>, writer: Arc<WriteHalf>, input: Input) {
        let mut state = self.lock();
        state.writer = Some(writer);
        state.is_blocked = false;
        state.step(self.now(), input);
        if state.waiters > Some(0) && state.session.is_connected() {
            state.out.frames.push(&FromChild::Waits(Waits(true)));
        }
        self.unlock(state);
    }

    /// The connection is closed, after what the kernel takes of the last frames.
    fn disconnected(&self) {
        let mut state = self.lock();
        let _ = state.write();
        state.writer = None;
        state.out.frames = argon_proto::frame::Outbox::default();
    }

    /// Lets time pass, writes what can be written, and returns what to wait for.
    fn turn(self: &Arc<Self>) -> io::Result<Next> {
        let mut state = self.lock();
        state.step(self.now(), Input::TimePassed);
        let written = state.write();
        let is_blocked = state.is_blocked;
        let (deadline, is_over) = (state.session.next_deadline(), state.session.is_ended());
        let orders = self.unlock(state);
        written.map(|()| Next { orders, is_blocked, deadline, is_over })
    }
}

impl LockedSession {
    /// Counts a caller among those who wait, or no longer. True if that changes whether the task waits.
    fn count(&mut self, waiter: &mut Waiter, waits: bool) -> bool {
        let Some(waiters) = &mut self.waiters else {
            return false;
        };
        if waiter.is_counted == waits {
            return false;
        }
        waiter.is_counted = waits;
        let was_waiting = *waiters > 0;
        *waiters = if waits { *waiters + 1 } else { *waiters - 1 };
        let is_change = was_waiting != (*waiters > 0);
        if is_change && self.session.is_connected() {
            self.out.frames.push(&FromChild::Waits(Waits(waits)));
        }
        is_change
    }

    fn step(&mut self, now: Time, input: Input) {
        self.session.step(now, input, &mut self.out);
    }

    /// Writes what is there, or as much as the kernel takes.
    fn write(&mut self) -> io::Result<()> {
        let Some(writer) = &self.writer else {
            return Ok(());
        };
        self.session.finish_batch(&mut self.out);
        self.is_blocked = !writer.write(&mut self.out.frames)?;
        Ok(())
    }
}

fn no_randomness(error: random::NoRandomness) -> Error {
    Error::new(ErrorKind::Unreachable, error.to_string())
}

fn introduction(open: Open, client: &str, on_interrupt: OnInterrupt) -> Open {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // With it, the manager of this machine sees that the process has ended.
    let pid_space = match on_interrupt {
        OnInterrupt::Cancel => pid_space::own().unwrap_or_default().into(),
        OnInterrupt::Leave => Line::default(),
    };
    Open { client: client.into(), host: host.trim().into(), pid: std::process::id(), pid_space, ..open }
}
