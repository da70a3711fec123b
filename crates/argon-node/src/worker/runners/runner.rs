//! A runner process as the worker sees it: its socket, its pipes, its tasks and its end. A command is one without a socket.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use argon_core::Time;
use argon_core::pool::{Exit, RunnerKind};
use argon_proto::conversation::child::TaskToken;
use argon_proto::conversation::runner::{FromRunner, Ready, ToRunner};
use argon_proto::{AttemptId, BlobHash, DecodeError};
use bytes::Bytes;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustc_hash::FxHashSet;
use tokio::io::unix::AsyncFd;

use super::cpu_meter::CpuMeter;
use super::output::Tail;
use super::pipes::{OutputPipes, Printed};
use super::run_queue::RunQueue;
use super::socket::{PrivateSocket, SocketRead};
use super::stdin::{Fed, Stdin};
use crate::worker::process::group::Group;
use crate::worker::process::kernel::{self, ProcessEnd};
use crate::worker::process::lease_pipe::LeasePipe;
use crate::worker::process::mark::Mark;
use crate::worker::process::sandbox::Scratch;
use crate::worker::process::start::{Started, StartedRunner};

/// Answers that may wait until a runner reads: their number and bytes.
const ANSWERS_MAX: usize = 10_000;
const ANSWERS_BYTES: usize = 64 << 20;
/// Blobs that a runner may want at once. Its tasks name fewer.
const WANTED_MAX: usize = 10_000;

/// Event of a runner.
#[derive(Debug)]
pub(crate) enum RunnerEvent {
    /// The runner has sent messages; [`Runner::next_message`] returns them.
    Received,
    /// The runner has closed its socket.
    Closed,
    /// The runner has written output.
    Printed(Printed),
    /// A command reads more than there is: its client is asked this question, under this number.
    WantsInput(u32, Bytes),
    /// Its process has ended.
    Exited,
}

/// By what a process and all that it starts are recognized.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) mark: Mark,
    /// Secret of its tasks.
    pub(crate) token: TaskToken,
    /// Its control group, where there are any.
    pub(crate) group: Option<Arc<Group>>,
    /// Folder in which it may write, in a sandbox.
    pub(crate) scratch: Option<Arc<Scratch>>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) kind: RunnerKind,
    pub(crate) pid: Pid,
    pub(crate) identity: Identity,
    pub(crate) queue: RunQueue,
    /// True if it reads leases, and reports whether it leaves output in the pipes.
    pub(crate) reads_leases: bool,
    /// Blobs that this process was sent.
    pub(crate) has_blobs: FxHashSet<BlobHash>,
    /// Blobs that it asked for and this worker does not have.
    pub(crate) wants_blobs: FxHashSet<BlobHash>,
    /// Answers that it was sent while it read nothing, and their bytes.
    unread_answers: (usize, usize),
    /// Why it was killed, if it was for something that it did.
    pub(crate) complaint: Option<String>,
    /// Sentence about the fault if its timer expires.
    pub(crate) when_overdue: &'static str,
    pub(crate) is_ready: bool,
    /// The attempt that has logged last.
    pub(crate) logged: Option<AttemptId>,
    /// The last lines that it wrote while it had no task.
    pub(crate) output_between_tasks: Tail,
    /// Input of a command that is not in its pipe yet.
    pub(crate) stdin: Option<Stdin>,
    is_executed: bool,
    meter: CpuMeter,
    socket: Option<PrivateSocket<FromRunner>>,
    pipes: OutputPipes,
    exit: AsyncFd<OwnedFd>,
}

impl Runner {
    /// Takes over a runner process that was just started.
    ///
    /// # Errors
    /// If its descriptors cannot be watched.
    pub(crate) fn new(
        started: StartedRunner,
        kind: RunnerKind,
        identity: Identity,
        preamble: &[u8],
    ) -> io::Result<Self> {
        let StartedRunner { process, socket, leases } = started;
        let socket = PrivateSocket::new(socket, preamble)?;
        Self::of(process, kind, identity, Some((socket, leases)))
    }

    /// Takes over a command that was just started.
    ///
    /// # Errors
    /// If its descriptors cannot be watched.
    pub(crate) fn of_command(
        started: Started,
        identity: Identity,
        stdin: Option<Stdin>,
        returned: Option<PipeReader>,
    ) -> io::Result<Self> {
        let mut runner = Self::of(started, RunnerKind::COMMAND, identity, None)?;
        returned.map_or(Ok(()), |pipe| runner.pipes.add(pipe))?;
        Ok(Self { stdin, is_ready: true, ..runner })
    }

    fn of(
        started: Started,
        kind: RunnerKind,
        identity: Identity,
        private: Option<(PrivateSocket<FromRunner>, LeasePipe)>,
    ) -> io::Result<Self> {
        let (socket, leases) = private.unzip();
        Ok(Self {
            kind,
            pid: started.pid,
            identity,
            queue: RunQueue::new(leases),
            reads_leases: false,
            has_blobs: FxHashSet::default(),
            wants_blobs: FxHashSet::default(),
            unread_answers: (0, 0),
            complaint: None,
            when_overdue: "",
            is_ready: false,
            logged: None,
            output_between_tasks: Tail::for_report(),
            stdin: None,
            is_executed: started.is_executed,
            meter: CpuMeter::default(),
            socket,
            pipes: OutputPipes::new([started.stdout, started.stderr])?,
            exit: kernel::watched(started.descriptor)?,
        })
    }

    /// True if it waits for a task.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_ready && self.socket.is_some() && self.queue.current().is_none()
    }

    /// Reads what it has used so far.
    pub(crate) fn read_meter(&mut self, now: Time) {
        if let Some(cpu_us) = self.identity.group.as_ref().and_then(|group| group.usage().cpu_us) {
            self.meter.on_reading(cpu_us, self.running(now));
        }
    }

    /// Adds to `exit` the usage of the process, which has ended, and of its present attempt.
    pub(crate) fn measure(&self, now: Time, ended: ProcessEnd, exit: Exit) -> Exit {
        let usage = self.identity.group.as_ref().map(|group| group.usage()).unwrap_or_default();
        let cpu_us = usage.cpu_us.or(ended.cpu_us).zip(self.running(now));
        // Linux counts the memory in which a process was executed, the worker's, as its own.
        let is_its_own = |peak_kib: &u64| !self.is_executed || *peak_kib > kernel::own_peak_kib();
        Exit {
            peak_kib: usage.peak_kib.or(ended.peak_kib.filter(is_its_own)),
            cpu_us: cpu_us.map(|(total_us, (attempt, ran))| self.meter.used_by(total_us, attempt, ran)),
            peak_by_group: usage.peak_kib.is_some(),
            cpu_by_group: usage.cpu_us.is_some(),
            out_of_memory: usage.oom_kills > 0 && ended.signal == Some(Signal::SIGKILL as i32),
            ..exit
        }
    }

    fn running(&self, now: Time) -> Option<(AttemptId, Duration)> {
        self.queue.current().map(|current| (current.attempt, now.since(current.sent)))
    }

    /// Reads and writes what can be read and written.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        mut found: impl FnMut(RunnerEvent),
    ) {
        self.pipes.poll(&self.queue, cx, scratch, |printed| found(RunnerEvent::Printed(printed)));
        let is_read = !self.waits_for_credit();
        match self.socket.as_mut().and_then(|socket| socket.poll(cx, scratch, is_read)) {
            Some(SocketRead::Bytes) => found(RunnerEvent::Received),
            Some(SocketRead::Closed) => found(RunnerEvent::Closed),
            None => {}
        }
        match self.stdin.as_mut().map(|stdin| stdin.poll(cx)) {
            Some(Fed::Wants(ask, question)) => found(RunnerEvent::WantsInput(ask, question)),
            Some(Fed::All) => self.stdin = None,
            Some(Fed::Enough) | None => {}
        }
        if self.exit.poll_read_ready(cx).is_ready() {
            found(RunnerEvent::Exited);
        }
    }

    /// True while its log waits for the client to take some, as output in its pipes does.
    fn waits_for_credit(&mut self) -> bool {
        let attempt = self.logged.and_then(|logged| self.queue.find(logged));
        attempt.is_some_and(|attempt| attempt.room() == 0)
    }

    /// The next message that it has sent; none after it was killed for one.
    ///
    /// # Errors
    /// If it has sent something else.
    pub(crate) fn next_message(&mut self) -> Result<Option<FromRunner>, DecodeError> {
        match &mut self.socket {
            Some(socket) if self.complaint.is_none() => socket.next(),
            Some(_) | None => Ok(None),
        }
    }

    /// Queues a message.
    pub(crate) fn send(&mut self, message: &ToRunner) {
        if let Some(socket) = &mut self.socket {
            socket.push(message);
        }
    }

    /// Sends what it has asked for. One that asks without reading is killed.
    pub(crate) fn answer(&mut self, message: &ToRunner) {
        let (count, bytes) = &mut self.unread_answers;
        *count += 1;
        *bytes += match message {
            ToRunner::Answer(answer) => answer.bytes.len(),
            ToRunner::Run(_) | ToRunner::Blob(_) | ToRunner::OutputTaken => 0,
        };
        if *count > ANSWERS_MAX || *bytes > ANSWERS_BYTES {
            return self.kill_for("it does not read the answers that it asks for".to_owned());
        }
        self.send(message);
    }

    /// Notes a blob that the runner wants. A runner that wants more than its tasks can name is killed.
    pub(crate) fn want(&mut self, hash: BlobHash) {
        self.wants_blobs.insert(hash);
        if self.wants_blobs.len() > WANTED_MAX {
            self.wants_blobs.clear();
            self.kill_for(format!("it asks for more than {WANTED_MAX} blobs"));
        }
    }

    /// Writes what is queued, leases first.
    pub(crate) fn flush(&mut self) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        if let Err(error) = self.queue.write_leases().and_then(|()| socket.flush()) {
            tracing::warn!("runner {} is killed, its tasks cannot be written: {error}", self.pid);
            self.signal(Signal::SIGKILL);
        } else if socket.is_drained() {
            self.unread_answers = (0, 0);
        }
    }

    /// Notes that it can take tasks; `false` if that was reported before.
    pub(crate) fn on_ready(&mut self, ready: &Ready) -> bool {
        self.reads_leases = ready.claims;
        !std::mem::replace(&mut self.is_ready, true)
    }

    /// Reads what it has written to its pipes, without waiting. This may exceed the attempt's window, by what a pipe
    /// holds: the outcome must not overtake the output.
    pub(crate) fn drain_pipes(&mut self, scratch: &mut [u8]) -> Vec<Printed> {
        let writer = self.queue.current().map(|current| current.attempt);
        self.pipes.drain(writer, scratch)
    }

    /// Reads what it has written to its socket, without waiting.
    pub(crate) fn drain_socket(&mut self, scratch: &mut [u8]) {
        if let Some(socket) = &mut self.socket {
            socket.drain(scratch);
        }
    }

    /// Writes what is queued and lets the runner exit.
    pub(crate) fn retire(&mut self) {
        self.flush();
        if let Some(socket) = &self.socket {
            socket.close_write();
        }
    }

    /// Kills it for something that it did, and reads no more of it.
    pub(crate) fn kill_for(&mut self, complaint: String) {
        tracing::debug!("runner {} is killed because {complaint}", self.pid);
        self.complaint.get_or_insert(complaint);
        if let Some(socket) = &mut self.socket {
            socket.close_read();
        }
        self.signal(Signal::SIGKILL);
    }

    /// A command's client has answered what its input goes on with.
    pub(crate) fn on_input(&mut self, found: bool, bytes: Bytes) {
        match &mut self.stdin {
            Some(stdin) if found => stdin.take(bytes),
            Some(_) => self
                .kill_for("the command was killed because its client no longer has what it reads".to_owned()),
            None => {}
        }
    }

    /// Signals the process and all others of its group.
    pub(crate) fn signal(&self, signal: Signal) {
        // The pid is not reused before the process was collected.
        let _ = killpg(self.pid, signal);
    }
}
