//! Standard input of a command: its payload, or bytes that its client is asked for.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, PipeWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll};

use argon_proto::Payload;
use bytes::{Buf, Bytes};
use tokio::io::unix::AsyncFd;

use crate::worker::process::kernel;
use crate::worker::process::kernel::unblock;

/// Bytes that the client is asked for at once.
const ASKED_BYTES: u64 = 256 << 10;

/// Our end of a command's standard input.
#[derive(Debug)]
pub(crate) struct Stdin {
    pipe: AsyncFd<PipeWriter>,
    unwritten: VecDeque<Bytes>,
    /// Set while there may be more to ask for.
    client: Option<Client>,
}

/// The part of the client's input that was asked for.
#[derive(Debug, Default)]
struct Client {
    offset: u64,
    questions: u32,
    is_asked: bool,
}

/// Next step for a command's input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fed {
    /// Nothing for now.
    Enough,
    /// Ask the client this, under this number.
    Wants(u32, Bytes),
    /// All is written, or the command has closed the pipe: close it.
    All,
}

/// The command's end of a pipe, and ours unless everything is in the pipe already.
pub(crate) fn pipe(payload: &Payload, is_clients: bool) -> io::Result<(OwnedFd, Option<Stdin>)> {
    let (its, ours) = io::pipe()?;
    unblock(ours.as_fd())?;
    let mut unwritten: VecDeque<Bytes> = payload.parts().iter().cloned().collect();
    match write(&ours, &mut unwritten) {
        Ok(()) if !is_clients => return Ok((its.into(), None)),
        Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let client = is_clients.then(Client::default);
    Ok((its.into(), Some(Stdin { pipe: kernel::watched_for_room(ours)?, unwritten, client })))
}

impl Stdin {
    /// Writes what the pipe takes.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Fed {
        while !self.unwritten.is_empty() {
            let Poll::Ready(Ok(mut guard)) = self.pipe.poll_write_ready(cx) else {
                return Fed::Enough;
            };
            match write(guard.get_inner(), &mut self.unwritten) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => guard.clear_ready(),
                // The command has closed its input; the rest is dropped.
                Err(_) => return Fed::All,
                Ok(()) => {}
            }
        }
        match &mut self.client {
            None => Fed::All,
            Some(client) if client.is_asked => Fed::Enough,
            Some(client) => {
                client.is_asked = true;
                client.questions += 1;
                let question =
                    format!(r#"{{"kind":"stdin","offset":{},"bytes":{ASKED_BYTES}}}"#, client.offset);
                Fed::Wants(client.questions, question.into())
            }
        }
    }

    /// The client's answer: nothing means that there is no more.
    pub(crate) fn take(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            self.client = None;
        } else if let Some(client) = &mut self.client {
            client.offset += bytes.len() as u64;
            client.is_asked = false;
            self.unwritten.push_back(bytes);
        }
    }
}

fn write(mut pipe: &PipeWriter, unwritten: &mut VecDeque<Bytes>) -> io::Result<()> {
    while let Some(part) = unwritten.front_mut() {
        match pipe.write(part) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => part.advance(other?),
        }
        if part.is_empty() {
            unwritten.pop_front();
        }
    }
    Ok(())
}
