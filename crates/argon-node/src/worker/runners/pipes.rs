//! The worker's ends of a runner's standard output and error, and of the files that a command returns.

use std::io::{self, ErrorKind, PipeReader, Read};
use std::task::{Context, Poll};

use argon_proto::AttemptId;
use bytes::Bytes;
use tokio::io::unix::AsyncFd;

use super::attempt_io::{AttemptIo, OUTPUT_BYTES};
use super::run_queue::RunQueue;
use crate::command::files::RETURNED_FD;
use crate::worker::process::kernel;

/// Most bytes read at once from a pipe whose writer has ended, or finished a task. A forked child may go on writing.
const LEFT_BYTES: usize = 1 << 20;

/// Bytes that were written to a descriptor.
#[derive(Debug)]
pub(crate) struct Printed {
    /// The attempt that wrote them, if that is known.
    pub(crate) writer: Option<AttemptId>,
    /// 1, 2, or that of returned files.
    pub(crate) fd: u8,
    pub(crate) bytes: Bytes,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct OutputPipes([Option<AsyncFd<PipeReader>>; 3]);

/// The descriptors for which the pipes stand.
const DESCRIPTORS: [u8; 3] = [1, 2, RETURNED_FD];

impl OutputPipes {
    /// Takes over the pipes of a process.
    ///
    /// # Errors
    /// If a pipe cannot be watched.
    pub(crate) fn new([stdout, stderr]: [PipeReader; 2]) -> io::Result<Self> {
        Ok(Self([Some(kernel::watched(stdout)?), Some(kernel::watched(stderr)?), None]))
    }

    /// Adds the pipe for returned files.
    ///
    /// # Errors
    /// If it cannot be watched.
    pub(crate) fn add(&mut self, returned: PipeReader) -> io::Result<()> {
        self.0[2] = Some(kernel::watched(returned)?);
        Ok(())
    }

    /// Reads each pipe once, if it may be read.
    pub(crate) fn poll(
        &mut self,
        queue: &RunQueue,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        mut found: impl FnMut(Printed),
    ) {
        for (fd, pipe) in DESCRIPTORS.into_iter().zip(&mut self.0) {
            if let Some((writer, bytes)) = poll_pipe(pipe, queue, cx, scratch) {
                found(Printed { writer, fd, bytes });
            }
        }
    }

    /// Reads what is there, without waiting; `writer` wrote it.
    pub(crate) fn drain(&mut self, writer: Option<AttemptId>, scratch: &mut [u8]) -> Vec<Printed> {
        let mut printed = Vec::new();
        for (fd, pipe) in DESCRIPTORS.into_iter().zip(&self.0) {
            let mut left = LEFT_BYTES;
            while left > 0
                && let Some(pipe) = pipe
                && let Ok(count @ 1..) = pipe.get_ref().read(&mut scratch[..OUTPUT_BYTES])
            {
                left = left.saturating_sub(count);
                printed.push(Printed { writer, fd, bytes: Bytes::copy_from_slice(&scratch[..count]) });
                if count < OUTPUT_BYTES {
                    break;
                }
            }
        }
        printed
    }
}

fn poll_pipe(
    pipe: &mut Option<AsyncFd<PipeReader>>,
    queue: &RunQueue,
    cx: &mut Context<'_>,
    scratch: &mut [u8],
) -> Option<(Option<AttemptId>, Bytes)> {
    while let Some(reader) = pipe
        && let Poll::Ready(Ok(mut guard)) = reader.poll_read_ready(cx)
    {
        if queue.may_be_ahead()
            && !guard.ready().is_read_closed()
            && kernel::bytes_in(guard.get_inner()).is_ok_and(|bytes| bytes == 0)
        {
            // Whose bytes come next is not known yet.
            guard.clear_ready();
            continue;
        }
        let writer = queue.writer();
        let room = writer.map_or(OUTPUT_BYTES, AttemptIo::room).min(scratch.len());
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
            Ok(_) | Err(_) => *pipe = None,
        }
    }
    None
}
