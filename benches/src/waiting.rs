//! One proven connection to the manager for a thread that waits for each message, and what a worker sends over it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use argon_net::{Connected, Stream, Trust, dial};
use argon_proto::conversation::Incoming;
use argon_proto::conversation::worker::{FromWorker, Register};
use argon_proto::frame::{Decoder, Outbox};
use argon_proto::key::{Key, Role};
use argon_proto::{Codec, Line, Message, Outcome, OutcomeHead, Payload, Secret, Status, Task, WorkerId};
use bytes::Bytes;

/// An answer takes longer only if something is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that waits for each message.
#[derive(Debug)]
pub(crate) struct Peer<M> {
    pub(crate) stream: TcpStream,
    decoder: Decoder<Incoming<M>>,
}

impl<M: Message> Peer<M> {
    pub(crate) fn connect(address: &str, key: &Key, role: Role) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connected =
            runtime.block_on(dial(address, key, role, &Trust::default())).map_err(io::Error::other)?;
        let Connected { stream: Stream::Tcp(stream), frames, .. } = connected else {
            return Err(io::Error::other("not a TCP connection"));
        };
        let stream = {
            let _inside = runtime.enter();
            stream.into_std()?
        };
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, decoder: frames.into() })
    }

    pub(crate) fn say(&mut self, messages: impl IntoIterator<Item = impl Message>) -> io::Result<()> {
        self.stream.write_all(&bytes_of(messages))
    }

    pub(crate) fn hear(&mut self) -> io::Result<M> {
        loop {
            match self.decoder.next().map_err(io::Error::other)? {
                Some(Incoming::Message(message)) => return Ok(message),
                Some(Incoming::Control(_)) => {}
                None => {
                    let mut bytes = [0; 16 << 10];
                    let count = self.stream.read(&mut bytes)?;
                    if count == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    self.decoder.buffer().extend_from_slice(&bytes[..count]);
                }
            }
        }
    }
}

/// Registration of a worker of this process.
pub(crate) fn registration(name: &str, slots: u32) -> FromWorker {
    let secret = Secret::new([7; 32]);
    FromWorker::Register(Box::new(Register {
        host: Line::default(),
        name: name.into(),
        pid: std::process::id(),
        previous: None,
        release: Line::default(),
        run_as: None,
        paused: None,
        sandbox: None,
        runtimes: [("perl".into(), "v5.36.0".into())].into(),
        slots,
        worker: WorkerId::of(&secret),
        secret,
    }))
}

/// A good end of a task.
pub(crate) fn outcome_of(task: &Task) -> FromWorker {
    FromWorker::Outcome(Outcome {
        head: OutcomeHead {
            id: task.head.id,
            attempt: task.head.attempt,
            status: Status::Ok,
            codec: Codec::Own,
            // Long enough that nothing is sent ahead.
            run_us: 1_000_000,
            leaves: false,
        },
        report: Bytes::new(),
        payload: Payload::from(Bytes::from_static(b"nothing")),
    })
}

pub(crate) fn bytes_of(messages: impl IntoIterator<Item = impl Message>) -> Vec<u8> {
    let mut out = Outbox::default();
    messages.into_iter().for_each(|message| out.push(&message));
    out.into_bytes()
}
