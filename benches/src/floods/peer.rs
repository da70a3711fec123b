//! Connections of the two sides: an honest client with its worker, and one that floods.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::conversation::worker::ToWorker;
use argon_proto::key::{Key, Role};
use argon_proto::{BlobHash, Payload, Runtime, Secret, SessionId, Task, TaskHead, TaskId};
use bytes::Bytes;

use crate::waiting::{Peer, outcome_of, registration};

/// A connection that takes nothing for this time is full, and is tried again.
const FULL_AFTER: Duration = Duration::from_millis(50);

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
        worker.say([registration("floods", 4)])?;
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

/// Lets the other threads of this process, and those it starts, go before this one.
pub(super) fn yield_to_others() {
    // SAFETY: it takes an integer, and touches this thread only.
    unsafe { libc::nice(10) };
}

/// A thread that reads what comes over connections, and drops it.
pub(super) struct Sink(SocketAddr);

impl Sink {
    /// It lives as long as the process, and takes no time when nothing comes.
    pub(super) fn open() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async {
                while let Ok((mut stream, _)) = listener.accept().await {
                    tokio::task::spawn_local(async move {
                        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
                    });
                }
            });
        });
        Ok(Self(address))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0
    }
}

/// A connection that sends what it likes, and reads nothing unless it is made to.
pub(super) struct Flooder {
    stream: TcpStream,
    reads: bool,
    pub(super) session: SessionId,
}

impl Flooder {
    pub(super) fn connect(address: &str, key: &Key, number: u8) -> io::Result<Self> {
        let mut peer = Peer::<ToClient>::connect(address, key, Role::Client)?;
        let open = Open::of(Secret::new([number; 32]));
        let session = open.session;
        peer.say([ToManager::Open(open), ToManager::Offered])?;
        peer.stream.set_write_timeout(Some(FULL_AFTER))?;
        Ok(Self { stream: peer.stream, reads: false, session })
    }

    /// One whose bytes do not go to a manager.
    pub(super) fn to_sink(address: SocketAddr, number: u8) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_write_timeout(Some(FULL_AFTER))?;
        Ok(Self { stream, reads: false, session: SessionId([number; 16]) })
    }

    /// Reads what the manager answers, too.
    pub(super) fn that_reads(&mut self) -> &mut Self {
        self.reads = true;
        self
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
                self.drop_answers();
                match self.stream.write(left) {
                    Ok(count) => left = &left[count..],
                    Err(error)
                        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                    Err(_) => return,
                }
            }
        }
    }

    fn drop_answers(&mut self) {
        let mut bytes = [0; 64 << 10];
        if self.reads && self.stream.set_nonblocking(true).is_ok() {
            while matches!(self.stream.read(&mut bytes), Ok(1..)) {}
            let _ = self.stream.set_nonblocking(false);
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

pub(super) fn task(
    session: SessionId,
    sequence: u64,
    blobs: impl IntoIterator<Item = BlobHash>,
    payload: usize,
) -> Task {
    let head = TaskHead::new(TaskId { session, sequence }, Runtime::Perl);
    Task::new(head, blobs, Bytes::from_static(br#"{"call":"A::b"}"#), Payload::from(vec![7; payload]))
}
