//! A runner or command as the worker sees it: its socket or its input, its two pipes and its end. Moves bytes, decides
//! nothing.

use std::io::{self, ErrorKind, IoSlice, PipeReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll};

use argon_core::Time;
use argon_core::pool::RunnerKind;
use argon_proto::conversation::runner::{FromRunner, ToRunner};
use argon_proto::frame::{Decoder, Outbox};
use argon_proto::{AttemptId, BlobHash, Flags, Task};
use bytes::{BufMut, Bytes};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustc_hash::FxHashSet;
use tokio::io::unix::AsyncFd;

use super::output::{Tail, Window};
use super::run_queue::{Claims, Hands};
use crate::worker::cache::answers::Asking;
use crate::worker::command::stdin::{Fed, Stdin};
use crate::worker::process::kernel;
use crate::worker::process::mark::Mark;
use crate::worker::process::start::Started;

/// Bytes of output in one frame at most.
const OUTPUT_BYTES: usize = 64 << 10;
/// What one read of a pipe may bring while a runner that ended, or finished a task, is emptied.
const LEFT_IN_PIPE_BYTES: usize = 1 << 20;
const LEFT_IN_SOCKET_BYTES: usize = 4 << 20;

/// What was found when a runner was looked at.
#[derive(Debug)]
pub(crate) enum Found {
    /// It sent bytes; they are in its decoder.
    Said,
    /// It closed its socket.
    Closed,
    /// This attempt, or nobody's, wrote to descriptor 1 or 2.
    Printed(Option<AttemptId>, u8, Bytes),
    /// A command reads more than there is: its client is to be asked this, under this number.
    Hungry(u32, Bytes),
    /// The process ended.
    Ended,
}

/// A runner and what is known of it.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) kind: RunnerKind,
    pub(crate) pid: Pid,
    pub(crate) mark: Mark,
    pub(crate) outbox: Outbox,
    pub(crate) decoder: Decoder<FromRunner>,
    /// The attempts that it was handed, with their output.
    pub(crate) hands: Hands,
    /// It claims what it is handed ahead, and says whether it leaves output.
    pub(crate) claims: bool,
    /// Blobs that this process was sent.
    pub(crate) has_blobs: FxHashSet<BlobHash>,
    /// Blobs that it asked for and this worker does not have.
    pub(crate) wants_blobs: Vec<BlobHash>,
    /// The question that it waits for an answer to.
    pub(crate) asking: Option<Asking>,
    /// What was wrong with what it said.
    pub(crate) complaint: Option<String>,
    /// When it will be killed, and what is said then.
    pub(crate) deadline: Option<(Time, &'static str)>,
    /// It has said READY.
    pub(crate) is_ready: bool,
    /// Its last words outside of any task.
    pub(crate) asides: Tail,
    /// The socket brings nothing more.
    pub(crate) is_deaf: bool,
    /// What a command reads, if that is not all in its pipe yet.
    pub(crate) stdin: Option<Stdin>,
    /// Where it is told its tasks; a command is none.
    socket: Option<AsyncFd<UnixStream>>,
    /// The same, watched for room while it takes no more.
    full: Option<AsyncFd<UnixStream>>,
    pipes: [Option<AsyncFd<PipeReader>>; 2],
    descriptor: AsyncFd<OwnedFd>,
}

/// The attempt in a runner.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) attempt: AttemptId,
    pub(crate) is_captured: bool,
    pub(crate) window: Window,
    pub(crate) tail: Tail,
}

impl Runner {
    /// Takes over a process that was just started.
    pub(crate) fn new(
        started: Started,
        (socket, claims): (UnixStream, Claims),
        kind: RunnerKind,
        mark: Mark,
        preamble: &[u8],
    ) -> io::Result<Self> {
        let mut runner = Self::silent(started, kind, mark)?;
        runner.socket = Some(kernel::watched(socket)?);
        runner.hands = Hands::new(Some(claims));
        runner.outbox.push_raw(preamble);
        Ok(runner)
    }

    /// Takes over a command that was just started.
    pub(crate) fn of_command(started: Started, mark: Mark, stdin: Option<Stdin>) -> io::Result<Self> {
        let mut runner = Self::silent(started, RunnerKind::COMMAND, mark)?;
        runner.stdin = stdin;
        runner.is_ready = true;
        Ok(runner)
    }

    fn silent(started: Started, kind: RunnerKind, mark: Mark) -> io::Result<Self> {
        Ok(Self {
            kind,
            pid: started.pid,
            mark,
            outbox: Outbox::in_order(),
            decoder: Decoder::default(),
            hands: Hands::new(None),
            claims: false,
            has_blobs: FxHashSet::default(),
            wants_blobs: Vec::new(),
            asking: None,
            complaint: None,
            deadline: None,
            is_ready: false,
            asides: Tail::for_report(),
            is_deaf: false,
            stdin: None,
            socket: None,
            full: None,
            pipes: [Some(kernel::watched(started.stdout)?), Some(kernel::watched(started.stderr)?)],
            descriptor: kernel::watched(started.descriptor)?,
        })
    }

    /// Looks at everything that may have happened, and moves what can be moved.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, scratch: &mut [u8], mut found: impl FnMut(Found)) {
        self.poll_write(cx);
        for pipe in 0..2 {
            if let Some((writer, bytes)) = self.poll_pipe(pipe, cx, scratch) {
                found(Found::Printed(writer, pipe as u8 + 1, bytes));
            }
        }
        if let Some(what) = self.poll_socket(cx, scratch) {
            found(what);
        }
        match self.stdin.as_mut().map(|stdin| stdin.poll(cx)) {
            Some(Fed::Wants(ask, question)) => found(Found::Hungry(ask, question)),
            Some(Fed::All) => self.stdin = None,
            Some(Fed::Enough) | None => {}
        }
        if self.descriptor.poll_read_ready(cx).is_ready() {
            found(Found::Ended);
        }
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Option<Found> {
        while !self.is_deaf
            && let Some(socket) = &self.socket
            && let Poll::Ready(Ok(mut guard)) = socket.poll_read_ready(cx)
        {
            let (read, room) = read(guard.get_inner(), &mut self.decoder, scratch);
            match read {
                Ok(count @ 1..) => {
                    // What came short has emptied the socket; the next bytes wake us again.
                    if count < room {
                        guard.clear_ready();
                    }
                    return Some(Found::Said);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => guard.clear_ready(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => {
                    self.is_deaf = true;
                    return Some(Found::Closed);
                }
            }
        }
        None
    }

    fn poll_pipe(
        &mut self,
        pipe: usize,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Option<(Option<AttemptId>, Bytes)> {
        let place = self.pipes.get_mut(pipe)?;
        while let Some(reader) = place
            && let Poll::Ready(Ok(mut guard)) = reader.poll_read_ready(cx)
        {
            if self.hands.may_be_ahead()
                && !guard.ready().is_read_closed()
                && kernel::bytes_in(guard.get_inner()).is_ok_and(|bytes| bytes == 0)
            {
                // Whose bytes come next is not known yet.
                guard.clear_ready();
                continue;
            }
            let writer = self.hands.writer();
            let room = writer.map_or(OUTPUT_BYTES, Current::room).min(scratch.len());
            // An attempt that used up its window waits, as it would for a slow terminal.
            if room == 0 {
                return None;
            }
            match guard.get_inner().read(&mut scratch[..room]) {
                Ok(count @ 1..) => {
                    if count < room {
                        guard.clear_ready();
                    }
                    let writer = writer.map(|writer| writer.attempt);
                    return Some((writer, Bytes::copy_from_slice(&scratch[..count])));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => guard.clear_ready(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => *place = None,
            }
        }
        None
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) {
        while let Some(socket) = &self.full
            && let Poll::Ready(Ok(mut guard)) = socket.poll_write_ready(cx)
        {
            match write_all(guard.get_inner(), &mut self.outbox) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => guard.clear_ready(),
                // A broken socket is told by the end of the process.
                Ok(()) | Err(_) => self.full = None,
            }
        }
    }

    /// Writes what the outbox holds, as far as the socket takes it.
    pub(crate) fn flush(&mut self) {
        let Some(socket) = &self.socket else {
            return;
        };
        if let Err(error) = self.hands.write_numbers() {
            tracing::warn!("runner {} is ended, its tasks cannot be numbered: {error}", self.pid);
            return self.signal(Signal::SIGKILL);
        }
        if self.full.is_some() || self.outbox.is_empty() {
            return;
        }
        match write_all(socket.get_ref(), &mut self.outbox) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                match socket.get_ref().try_clone().and_then(kernel::watched_for_room) {
                    Ok(full) => self.full = Some(full),
                    Err(error) => {
                        tracing::warn!("runner {} is ended, its socket cannot be watched: {error}", self.pid);
                        self.signal(Signal::SIGKILL);
                    }
                }
            }
            Err(_) => self.outbox = Outbox::default(),
            Ok(()) => {}
        }
    }

    /// Queues a message for the runner.
    pub(crate) fn say(&mut self, message: ToRunner) {
        self.outbox.push(&message);
    }

    /// What is in the two pipes already, without waiting. Bounded, since a forked child may go on writing.
    pub(crate) fn empty_pipes(&mut self, scratch: &mut [u8]) -> Vec<(u8, Bytes)> {
        let mut printed = Vec::new();
        for (fd, reader) in (1..).zip(&self.pipes) {
            let mut left = LEFT_IN_PIPE_BYTES;
            while left > 0
                && let Some(reader) = reader
                && let Ok(count @ 1..) = reader.get_ref().read(&mut scratch[..OUTPUT_BYTES])
            {
                left = left.saturating_sub(count);
                printed.push((fd, Bytes::copy_from_slice(&scratch[..count])));
                if count < OUTPUT_BYTES {
                    break;
                }
            }
        }
        printed
    }

    /// Takes what is in the socket already, without waiting.
    pub(crate) fn empty_socket(&mut self, scratch: &mut [u8]) {
        let mut left = LEFT_IN_SOCKET_BYTES;
        while left > 0
            && !self.is_deaf
            && let Some(socket) = &self.socket
            && let (Ok(count @ 1..), _) = read(socket.get_ref(), &mut self.decoder, scratch)
        {
            left = left.saturating_sub(count);
        }
    }

    /// Lets the runner see the end of its socket, at which it ends.
    pub(crate) fn close_socket(&mut self) {
        if let Some(socket) = &self.socket {
            let _ = socket.get_ref().shutdown(std::net::Shutdown::Write);
        }
    }

    /// Takes note of the answer to a question; `false` if it is not the one that is waited for.
    pub(crate) fn is_answered(&mut self, ask: u32) -> bool {
        self.asking.take_if(|asking| asking.is(ask)).is_some()
    }

    /// Signals the process and all that is in its group.
    pub(crate) fn signal(&self, signal: Signal) {
        // Its pid is not free before it was collected, so this is never somebody else's group.
        let _ = killpg(self.pid, signal);
    }
}

impl Current {
    /// A task that begins.
    pub(crate) fn of(task: &Task) -> Self {
        let is_captured = task.head.flags.contains(Flags::CAPTURE);
        Self {
            attempt: task.attempt_id(),
            is_captured,
            window: Window::default(),
            tail: if is_captured { Tail::for_capture() } else { Tail::for_report() },
        }
    }

    /// Bytes that may be read from its pipes now.
    fn room(&self) -> usize {
        if self.is_captured {
            return OUTPUT_BYTES;
        }
        usize::try_from(self.window.room()).unwrap_or(usize::MAX).min(OUTPUT_BYTES)
    }
}

/// Reads once, and says how much could have been read. A long frame goes to where it stays, all else through `scratch`.
fn read(
    mut socket: &UnixStream,
    decoder: &mut Decoder<FromRunner>,
    scratch: &mut [u8],
) -> (io::Result<usize>, usize) {
    if decoder.missing_of_long() > 0 {
        let mut buffer = decoder.room(0);
        let room = buffer.remaining_mut();
        return (kernel::read_into(socket, &mut buffer), room);
    }
    let read = socket.read(scratch);
    if let Ok(count) = read {
        feed(decoder, &scratch[..count]);
    }
    (read, scratch.len())
}

/// Copies into memory that several messages share, so that a small one costs no allocation of its own.
fn feed(decoder: &mut Decoder<FromRunner>, bytes: &[u8]) {
    const SHARED_BYTES: usize = 8 << 10;
    let buffer = decoder.buffer();
    if buffer.capacity() - buffer.len() < bytes.len() {
        buffer.reserve(bytes.len().max(SHARED_BYTES));
    }
    buffer.extend_from_slice(bytes);
}

fn write_all(mut socket: &UnixStream, outbox: &mut Outbox) -> io::Result<()> {
    while !outbox.is_empty() {
        let mut slices = [IoSlice::new(&[]); 16];
        let count = outbox.slices(&mut slices);
        // Most often it is one piece, for which the kernel has a shorter way.
        let written = match &slices[..count] {
            [slice] => socket.write(slice),
            slices => socket.write_vectored(slices),
        };
        let written = match written {
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            other => other?,
        };
        outbox.advance(written);
    }
    Ok(())
}
