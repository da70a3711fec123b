//! One proven connection to the manager: everything that is there in, everything that is said out, in one turn each.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::task::Poll;

use argon_net::{Connected, ReadHalf, Trust, WriteHalf, dial};
use argon_proto::Message;
use argon_proto::conversation::{Control, Incoming};
use argon_proto::frame::{Decoder, Outbox};
use argon_proto::key::Role;

use super::world::World;

/// Room that is made for one read, bytes. Thousands of connections have one each.
const READ_BYTES: usize = 32 << 10;

/// A connection.
#[derive(Debug)]
pub(super) struct Peer<M> {
    reader: ReadHalf,
    writer: WriteHalf,
    decoder: Decoder<Incoming<M>>,
    outbox: Outbox,
}

impl<M: Message> Peer<M> {
    /// Reaches the manager in a role, trying until it lets us in; and how many tasks it grants.
    pub(super) async fn reach(world: &World, role: Role, trust: &Trust) -> (Self, u64) {
        loop {
            if let Ok(Connected { stream, frames, welcome, .. }) =
                dial(&world.address, &world.key, role, trust).await
            {
                let (reader, writer) = stream.split();
                let peer = Self { reader, writer, decoder: frames.into(), outbox: Outbox::default() };
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
            let Self { reader, writer, decoder, outbox } = self;
            let count = poll_fn(|context| {
                let is_writable = !outbox.is_empty() && writer.poll_ready(context).is_ready();
                let read = reader.poll_read_buf(context, room(decoder)).map_ok(Some);
                if read.is_pending() && is_writable { Poll::Ready(Ok(None)) } else { read }
            });
            match count.await? {
                Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Some(_) => self.take(heard)?,
                None => {}
            }
            self.write()?;
        }
        Ok(())
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
        self.writer.write(&mut self.outbox)?;
        Ok(())
    }
}

fn room<M: Message>(decoder: &mut Decoder<Incoming<M>>) -> &mut bytes::BytesMut {
    let buffer = decoder.buffer();
    if buffer.capacity() - buffer.len() < 4 << 10 {
        buffer.reserve(READ_BYTES);
    }
    buffer
}
