//! One proven connection to the manager: everything that is there in, everything that is said out, in one turn each.

use std::io::{self, ErrorKind};

use argon_net::{Connected, Stream, dial};
use argon_proto::Message;
use argon_proto::conversation::{Control, Incoming};
use argon_proto::frame::{Decoder, Outbox};
use argon_proto::key::Role;
use tokio::net::TcpStream;

use super::world::World;

/// Room that is made for one read, bytes. Thousands of connections have one each.
const READ_BYTES: usize = 32 << 10;

/// A connection.
#[derive(Debug)]
pub(super) struct Peer<M> {
    stream: TcpStream,
    decoder: Decoder<Incoming<M>>,
    outbox: Outbox,
}

impl<M: Message> Peer<M> {
    /// Reaches the manager in a role, trying until it lets us in; and how many tasks it grants.
    pub(super) async fn reach(world: &World, role: Role) -> (Self, u64) {
        loop {
            if let Ok(Connected { stream: Stream::Tcp(stream), frames, welcome, .. }) =
                dial(&world.address, &world.key, role).await
            {
                let peer = Self { stream, decoder: frames.into(), outbox: Outbox::default() };
                return (peer, welcome.credit_tasks);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    pub(super) fn say(&mut self, message: &impl Message) {
        self.outbox.push(message);
    }

    /// Writes what was said, waits until something has come, and appends all that has.
    pub(super) async fn turn(&mut self, heard: &mut Vec<M>) -> io::Result<()> {
        self.write()?;
        self.take(heard)?;
        while heard.is_empty() {
            let wanted = if self.outbox.is_empty() {
                tokio::io::Interest::READABLE
            } else {
                tokio::io::Interest::READABLE | tokio::io::Interest::WRITABLE
            };
            self.stream.ready(wanted).await?;
            self.read(heard)?;
            self.write()?;
        }
        Ok(())
    }

    fn read(&mut self, heard: &mut Vec<M>) -> io::Result<()> {
        let buffer = self.decoder.buffer();
        if buffer.capacity() - buffer.len() < 4 << 10 {
            buffer.reserve(READ_BYTES);
        }
        match self.stream.try_read_buf(buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => self.take(heard),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, heard: &mut Vec<M>) -> io::Result<()> {
        while let Some(message) = self.decoder.next().map_err(io::Error::other)? {
            match message {
                Incoming::Message(message) => heard.push(message),
                Incoming::Control(Control::Ping(token)) => self.outbox.push(&Control::Pong(token)),
                Incoming::Control(Control::Pong(_) | Control::Refused(_)) => {}
            }
        }
        Ok(())
    }

    pub(super) fn write(&mut self) -> io::Result<()> {
        self.outbox.write_with(|slices| self.stream.try_write_vectored(slices))?;
        Ok(())
    }
}
