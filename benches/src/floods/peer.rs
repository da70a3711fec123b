//! Connections of the two sides: an honest client with its worker, and one that floods.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use argon_net::{Connected, Stream, Trust, dial};
use argon_proto::conversation::Incoming;
use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::conversation::worker::{FromWorker, Register, ToWorker};
use argon_proto::frame::{Decoder, Outbox};
use argon_proto::key::{Key, Role};
use argon_proto::{
    BlobHash, Codec, Line, Message, Outcome, OutcomeHead, Payload, Runtime, Secret, SessionId, Status, Task,
    TaskHead, TaskId, WorkerId,
};
use bytes::Bytes;

/// A connection that takes nothing for this time is full, and is tried again.
const FULL_AFTER: Duration = Duration::from_millis(50);
/// A round trip takes longer only if something is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that waits for each message.
struct Peer<M> {
    stream: TcpStream,
    decoder: Decoder<Incoming<M>>,
}

impl<M: Message> Peer<M> {
    fn connect(address: &str, key: &Key, role: Role) -> io::Result<Self> {
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

    fn say(&mut self, messages: impl IntoIterator<Item = impl Message>) -> io::Result<()> {
        self.stream.write_all(&bytes_of(messages))
    }

    fn hear(&mut self) -> io::Result<M> {
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

/// A client that does one task after the other, and the worker that does them.
pub(super) struct Honest {
    client: Peer<ToClient>,
    worker: Peer<ToWorker>,
    session: SessionId,
}

impl Honest {
    pub(super) fn connect(address: &str, key: &Key) -> io::Result<Self> {
        let mut client = Peer::connect(address, key, Role::Client)?;
        let mut worker = Peer::connect(address, key, Role::Worker)?;
        let secret = Secret::new([7; 32]);
        worker.say([FromWorker::Register(Box::new(Register {
            host: Line::default(),
            name: "floods".into(),
            pid: std::process::id(),
            previous: None,
            release: Line::default(),
            runtimes: [("perl".into(), "v5.36.0".into())].into(),
            slots: 4,
            worker: WorkerId::of(&secret),
            secret,
        }))])?;
        let open = Open::of(Secret::new([77; 32]));
        let session = open.session;
        client.say([ToManager::Open(open), ToManager::Offered])?;
        Ok(Self { client, worker, session })
    }

    /// One task from its submission until its outcome is here. Tasks of others end as they come.
    pub(super) fn round_trip(&mut self, sequence: u64) -> io::Result<()> {
        self.client.say([ToManager::Submit(task(self.session, sequence, [], 16))])?;
        let id = TaskId { session: self.session, sequence };
        loop {
            if let ToWorker::Run(run) = self.worker.hear()? {
                self.worker.say([outcome_of(&run.task)])?;
                if run.task.head.id == id {
                    break;
                }
            }
        }
        while !matches!(self.client.hear()?, ToClient::Outcome(outcome) if outcome.head.id == id) {}
        self.client.say([ToManager::Ack(vec![id])])
    }
}

fn outcome_of(task: &Task) -> FromWorker {
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

/// A connection that sends what it likes and reads nothing.
pub(super) struct Flooder {
    stream: TcpStream,
    pub(super) session: SessionId,
}

impl Flooder {
    pub(super) fn connect(address: &str, key: &Key, number: u8) -> io::Result<Self> {
        let mut peer = Peer::<ToClient>::connect(address, key, Role::Client)?;
        let open = Open::of(Secret::new([number; 32]));
        let session = open.session;
        peer.say([ToManager::Open(open), ToManager::Offered])?;
        peer.stream.set_write_timeout(Some(FULL_AFTER))?;
        Ok(Self { stream: peer.stream, session })
    }

    /// Writes pieces without end.
    pub(super) fn pour(&mut self, stop: &AtomicBool, piece: impl FnMut(u64) -> Vec<u8>) {
        self.pour_some(stop, u64::MAX, piece);
    }

    /// Writes `pieces` pieces, until it is told to stop or the connection ends.
    pub(super) fn pour_some(
        &mut self,
        stop: &AtomicBool,
        pieces: u64,
        mut piece: impl FnMut(u64) -> Vec<u8>,
    ) {
        for number in 0..pieces {
            let bytes = piece(number);
            let mut left = &bytes[..];
            while !left.is_empty() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                match self.stream.write(left) {
                    Ok(count) => left = &left[count..],
                    Err(error)
                        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                    Err(_) => return,
                }
            }
        }
    }

    /// Stays connected until it is told to stop, or the manager ends the connection.
    pub(super) fn stay(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) && self.stream.write(&[]).is_ok() && !self.is_closed() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn is_closed(&self) -> bool {
        matches!(self.stream.take_error(), Ok(Some(_)) | Err(_))
    }
}

pub(super) fn bytes_of(messages: impl IntoIterator<Item = impl Message>) -> Vec<u8> {
    let mut out = Outbox::default();
    messages.into_iter().for_each(|message| out.push(&message));
    out.into_bytes()
}

pub(super) fn task(
    session: SessionId,
    sequence: u64,
    blobs: impl IntoIterator<Item = BlobHash>,
    payload: usize,
) -> Task {
    let head = TaskHead::new(TaskId { session, sequence }, Runtime::Perl);
    Task::new(head, blobs, Bytes::from_static(br#"{"call":"A::b"}"#), Payload::from(vec![7; payload]))
}
