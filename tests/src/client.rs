//! A client that speaks the wire protocol by hand, to say what a well-behaved client would not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use argon_proto::Message;
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::{Control, Incoming};
use argon_proto::frame::{Decoder, Frames, Outbox};
use argon_proto::handshake::{Dialler, MAGIC, PLAIN_CHANNEL, Refusal, RefusalCode, Welcome};
use argon_proto::key::{Key, Role};
use argon_proto::kind;
use argon_proto::limit::FRAME_BYTES;
use bytes::BytesMut;

/// A client's connection, or that of an admin, to whom a manager says a part of the same.
pub type WireClient = WirePeer<ToClient>;

/// A connection whose handshake is done, over which `M` come, and anything may be sent. Reads give up after 10 s.
#[derive(Debug)]
pub struct WirePeer<M> {
    stream: TcpStream,
    decoder: Decoder<Incoming<M>>,
    refusal: Option<Refusal>,
    /// Answer of the manager at the end of the handshake.
    pub welcome: Welcome,
}

impl<M: Message + std::fmt::Debug> WirePeer<M> {
    /// Proves the key in `key_file` in this role.
    ///
    /// # Errors
    /// The refusal, if there is one.
    pub fn connect(address: &str, key_file: &Path, role: Role) -> Result<Self, Refusal> {
        let key = std::fs::read_to_string(key_file).expect("the key can be read");
        let key: Key = key.parse().expect("it is a key");
        Self::over(TcpStream::connect(address).expect("the manager listens"), &key, role)
    }

    /// Proves a key over a connection that is open.
    ///
    /// # Errors
    /// The refusal, if there is one; one of the code `lost` if the connection ends instead.
    pub fn over(mut stream: TcpStream, key: &Key, role: Role) -> Result<Self, Refusal> {
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
        let (mut dialler, hello) = Dialler::hello(key, role, [7; 32]).expect("the key opens the role");
        let mut out = Outbox::default();
        out.push_raw(&MAGIC);
        out.push_frame(kind::HELLO, &hello);
        write(&mut stream, &mut out)?;
        let mut frames = Frames::default();
        let challenge = frame(&mut stream, &mut frames, kind::CHALLENGE)?;
        let proof = dialler.proof(&challenge, &PLAIN_CHANNEL)?;
        out.push_frame(kind::PROOF, &proof);
        write(&mut stream, &mut out)?;
        let welcome = frame(&mut stream, &mut frames, kind::WELCOME)?;
        let welcome = dialler.check(&welcome)?;
        Ok(Self { stream, decoder: frames.into(), refusal: None, welcome })
    }

    /// Sends a message, of any conversation.
    pub fn say(&mut self, message: impl Message) {
        self.say_all([message]);
    }

    /// Sends messages together.
    pub fn say_all<S: Message>(&mut self, messages: impl IntoIterator<Item = S>) {
        let mut out = Outbox::default();
        messages.into_iter().for_each(|message| out.push(&message));
        write(&mut self.stream, &mut out).expect("the manager reads");
    }

    /// Sends a frame as it is.
    pub fn say_frame(&mut self, kind: u8, body: &[u8]) {
        let mut out = Outbox::default();
        out.push_frame(kind, body);
        write(&mut self.stream, &mut out).expect("the manager reads");
    }

    /// The next message of the conversation; `None` when the manager has refused or closed the connection.
    pub fn hear(&mut self) -> Option<M> {
        loop {
            match self.decoder.next().expect("the manager speaks the protocol") {
                Some(Incoming::Message(message)) => return Some(message),
                Some(Incoming::Control(Control::Ping(_) | Control::Pong(_))) => {}
                Some(Incoming::Control(Control::Refused(refusal))) => {
                    self.refusal = Some(refusal);
                    return None;
                }
                None => {
                    if !read_more(&mut self.stream, self.decoder.buffer()) {
                        return None;
                    }
                }
            }
        }
    }

    /// The refusal that ends the connection. Panics if the manager says anything else.
    pub fn refusal(&mut self) -> Refusal {
        if let Some(message) = self.hear() {
            panic!("expected a refusal, got {message:?}");
        }
        self.refusal.take().expect("the manager closed the connection without a word")
    }
}

fn frame(stream: &mut TcpStream, frames: &mut Frames, wanted: u8) -> Result<bytes::Bytes, Refusal> {
    loop {
        match frames.next_frame(FRAME_BYTES).expect("the manager speaks the protocol") {
            Some((kind, body)) if kind == wanted => return Ok(body),
            Some((kind::REFUSED, body)) => return Err(Refusal::from_json(&body)),
            Some((kind, _)) => panic!("kind 0x{kind:02x} came in the handshake"),
            None if read_more(stream, frames.buffer()) => {}
            None => {
                return Err(Refusal::new(
                    RefusalCode::Unknown,
                    "the manager closed the connection without a word",
                ));
            }
        }
    }
}

fn read_more(stream: &mut TcpStream, buffer: &mut BytesMut) -> bool {
    let mut bytes = [0; 64 << 10];
    match stream.read(&mut bytes) {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            buffer.extend_from_slice(&bytes[..count]);
            true
        }
    }
}

fn write(stream: &mut TcpStream, out: &mut Outbox) -> Result<(), Refusal> {
    match out.write_with(|slices| stream.write_vectored(slices)) {
        Ok(_) => Ok(()),
        Err(error) => Err(Refusal::new(RefusalCode::Unknown, format!("the connection broke: {error}"))),
    }
}
