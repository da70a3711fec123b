//! The worker's TCP connection to its manager: dialled, proven, registered, and dialled again for ever.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use argon_net::key_file::KeySource;
use argon_net::{
    Connected, Connection, ConnectionEnd, DialError, Inbox, Receiver, Silence, Trust, connection, dial,
    random,
};
use argon_proto::backoff::REDIAL;
use argon_proto::conversation::worker::{FromWorker, ToWorker};
use argon_proto::key::Role;
use argon_proto::{Incarnation, WorkerId, limit};
use tokio::sync::{mpsc, oneshot, watch};

use super::{LinkEnd, LinkEvent};
use crate::signals::{StopLevel, StopSignal};

/// Pause after a refusal, which time alone does not change.
const REFUSED_PAUSE: Duration = Duration::from_secs(2);
/// Bound on the goodbye of a worker that ends at once.
const GOODBYE_WITHIN: Duration = Duration::from_secs(5);
/// Messages taken from the worker at once.
const BATCH: usize = 1024;

/// Keeps a worker connected to one of its managers, and tries for ever when none is there.
///
/// `addresses` are `host:port`, tried in turn. The key is read anew for each try. Returns when the worker has dropped its end and its messages
/// are written, or soon after `stop` reports [`StopLevel::End`]. `announce` is called with the manager's address when the
/// worker is registered for the first time.
pub async fn keep_link(
    addresses: Vec<String>,
    (key, trust): (impl Into<KeySource>, Trust),
    id: WorkerId,
    end: LinkEnd,
    mut stop: StopSignal,
    announce: impl FnOnce(&str) + 'static,
) {
    let announce: Announce = Some(Box::new(announce));
    let LinkEnd { events, outbox, current } = end;
    let (logged, key) = (BTreeSet::new(), key.into());
    let mut link = ReconnectLoop {
        addresses,
        key,
        trust,
        id,
        events,
        outbox,
        current,
        announce,
        logged,
        turn: 0,
        previous: None,
    };
    let must_end = async {
        // A worker that ends at once still says goodbye, which takes a moment.
        if stop.wait_for(|level| *level >= StopLevel::End).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(GOODBYE_WITHIN).await;
    };
    tokio::select! {
        () = link.run() => {}
        () = must_end => {}
    }
}

/// Called once.
type Announce = Option<Box<dyn FnOnce(&str)>>;

struct ReconnectLoop {
    addresses: Vec<String>,
    key: KeySource,
    trust: Trust,
    id: WorkerId,
    events: mpsc::UnboundedSender<LinkEvent>,
    outbox: mpsc::UnboundedReceiver<FromWorker>,
    current: watch::Sender<Option<String>>,
    announce: Announce,
    /// Topics that were logged since the worker was registered last.
    logged: BTreeSet<String>,
    /// Number of the address that is tried next.
    turn: usize,
    /// The manager that has registered the worker last.
    previous: Option<Incarnation>,
}

/// The worker has dropped its end.
struct WorkerGone;

impl ReconnectLoop {
    async fn run(&mut self) {
        let mut failures = 0;
        loop {
            let address = self.addresses[self.turn % self.addresses.len()].clone();
            let pause = match self.connect(&address).await {
                Ok(UplinkEnd::WorkerGone) | Err(ConnectFailure::WorkerGone) => return,
                Ok(UplinkEnd::Lost { was_registered, why }) => {
                    if was_registered {
                        failures = 0;
                    }
                    self.say_away(
                        "lost".to_owned(),
                        &format!("the connection to the manager at {address} ended: {why}"),
                    );
                    pause(&mut failures)
                }
                Err(ConnectFailure::Dial(error @ DialError::Role(_))) => {
                    let advice =
                        "end it, and give it the cluster key or a worker's ('argon key --role worker')";
                    self.say_away(error.to_string(), &format!("{error}: {advice}"));
                    self.turn += 1;
                    REFUSED_PAUSE
                }
                Err(ConnectFailure::Dial(error @ DialError::Refused { .. })) => {
                    self.say_away(error.to_string(), &error.to_string());
                    self.turn += 1;
                    REFUSED_PAUSE
                }
                Err(ConnectFailure::Dial(error @ DialError::Unreachable { .. })) => {
                    // In which words it is away may change from try to try, and says nothing new.
                    self.say_away(address.clone(), &error.to_string());
                    self.turn += 1;
                    // Other addresses are tried before there is a pause.
                    if self.turn.is_multiple_of(self.addresses.len()) {
                        pause(&mut failures)
                    } else {
                        Duration::ZERO
                    }
                }
            };
            if self.without_manager(tokio::time::sleep(pause)).await.is_err() {
                return;
            }
        }
    }

    async fn connect(&mut self, address: &str) -> Result<UplinkEnd, ConnectFailure> {
        let (key, trust) = (self.key.read(), self.trust.clone());
        let dialled = self.without_manager(dial(address, &key, Role::Worker, &trust)).await;
        let Connected { stream, frames, welcome, .. } =
            dialled.map_err(|WorkerGone| ConnectFailure::WorkerGone)?.map_err(ConnectFailure::Dial)?;
        let (reply, register) = oneshot::channel();
        let asked = self.events.send(LinkEvent::WantRegister(reply));
        let (Ok(()), Ok(introduction)) = (asked, register.await) else {
            return Err(ConnectFailure::WorkerGone);
        };
        let (connection, receiver) = Connection::new(stream, frames, "manager", Silence::Voids);
        introduction.into_messages(self.previous).for_each(|message| connection.send(&message));
        connection.flush();
        let mut inbox = ManagerInbox {
            connection: &connection,
            events: &self.events,
            on_registered: || {
                tracing::info!("worker {} is registered with the manager at {address}", self.id);
                self.logged.clear();
                self.previous = welcome.incarnation;
                self.current.send_replace(Some(address.to_owned()));
                if let Some(announce) = self.announce.take() {
                    announce(address);
                }
            },
            is_registered: false,
        };
        let end = converse(&connection, receiver, &mut self.outbox, &mut inbox).await;
        let was_registered = inbox.is_registered;
        if connection.note_end(address) {
            tracing::warn!(
                "the connection to the manager at {address} stood still while the manager's machine answered: large packets \
                 seem to get lost on the way, for example in a VPN whose MTU is set wrong; this worker dials with small \
                 segments from now on"
            );
        }
        self.current.send_replace(None);
        let _ = self.events.send(LinkEvent::Lost);
        Ok(match end {
            ConnectionEnd::Closed => UplinkEnd::WorkerGone,
            ConnectionEnd::Lost(why) | ConnectionEnd::Refused(why) => UplinkEnd::Lost { was_registered, why },
            ConnectionEnd::Silent => {
                let why = format!("it was silent for {} s", limit::SILENCE.as_secs());
                UplinkEnd::Lost { was_registered, why }
            }
        })
    }

    /// Waits while there is no manager. The worker's messages are dropped meanwhile; its pool repeats what still counts.
    async fn without_manager<T>(&mut self, waiting: impl Future<Output = T>) -> Result<T, WorkerGone> {
        tokio::pin!(waiting);
        loop {
            tokio::select! {
                done = &mut waiting => return Ok(done),
                said = self.outbox.recv() => if said.is_none() {
                    return Err(WorkerGone);
                },
            }
        }
    }

    /// Logs what keeps the worker from its managers, each thing once until it is registered again.
    fn say_away(&mut self, topic: String, why: &str) {
        if self.logged.insert(topic) {
            tracing::warn!("{why}; this worker keeps trying");
        }
    }
}

/// Pause before the next try: none after the first failure, then longer and longer.
fn pause(failures: &mut u32) -> Duration {
    let pause = REDIAL.pause(*failures, random::chance());
    *failures = failures.saturating_add(1);
    pause
}

enum ConnectFailure {
    WorkerGone,
    Dial(DialError),
}

/// End of a connection.
enum UplinkEnd {
    /// The worker has dropped its end, and all its messages are written.
    WorkerGone,
    /// The manager is gone.
    Lost {
        /// The manager had registered this worker.
        was_registered: bool,
        why: String,
    },
}

/// Carries the messages of both sides until the connection ends. The worker's own come first: a question for a blob is
/// compared with what has arrived before the rest of that blob is read.
async fn converse<F: FnMut()>(
    connection: &Rc<Connection<FromWorker>>,
    receiver: Receiver<ToWorker>,
    outbox: &mut mpsc::UnboundedReceiver<FromWorker>,
    inbox: &mut ManagerInbox<'_, F>,
) -> ConnectionEnd {
    let mut batch = Vec::with_capacity(BATCH);
    let running = connection::run(connection, receiver, inbox);
    tokio::pin!(running);
    loop {
        tokio::select! {
            biased;
            count = outbox.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    connection.close();
                    // The end of the worker counts, however the rest is written.
                    running.await;
                    return ConnectionEnd::Closed;
                }
                batch.drain(..).for_each(|message| send(connection, message));
                connection.flush();
            }
            end = &mut running => return end,
        }
    }
}

fn send(connection: &Connection<FromWorker>, mut message: FromWorker) {
    if let FromWorker::NeedBlob(hashes) = &mut message {
        // The rest of a blob may be on its way while the task that names it is here.
        hashes.retain(|hash| !connection.is_arriving(*hash));
        if hashes.is_empty() {
            return;
        }
    }
    connection.send(&message);
}

/// Passes a manager's messages to the worker.
struct ManagerInbox<'a, F> {
    connection: &'a Connection<FromWorker>,
    events: &'a mpsc::UnboundedSender<LinkEvent>,
    /// Called when the manager knows this worker.
    on_registered: F,
    is_registered: bool,
}

impl<F: FnMut()> Inbox<ToWorker> for &mut ManagerInbox<'_, F> {
    fn take(&mut self, message: ToWorker) -> Result<(), ConnectionEnd> {
        match &message {
            ToWorker::Goodbye(goodbye) if goodbye.reason.is_empty() => {
                return Err(ConnectionEnd::Lost("it said goodbye".to_owned()));
            }
            ToWorker::Goodbye(goodbye) => return Err(ConnectionEnd::Lost(goodbye.reason.to_string())),
            ToWorker::Registered(_) => {
                self.is_registered = true;
                (self.on_registered)();
            }
            ToWorker::Blob(blob) => self.connection.forget_arrival(blob.hash),
            ToWorker::Run(_)
            | ToWorker::Settled(_)
            | ToWorker::Stop(_)
            | ToWorker::Recall(_)
            | ToWorker::OutputCredit(_)
            | ToWorker::Answer(_)
            | ToWorker::Drain(_) => {}
        }
        let _ = self.events.send(LinkEvent::Message(message));
        Ok(())
    }

    fn end_read(&mut self) {
        let _ = self.events.send(LinkEvent::Heard);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use argon_proto::conversation::Blob;
    use argon_proto::frame::{Frames, Outbox};
    use argon_proto::{BlobHash, Payload};
    use tokio::task::LocalSet;

    use super::*;

    #[test]
    fn a_blob_whose_last_bytes_wait_to_be_read_is_not_asked_for_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, ask_for_a_blob_that_is_all_but_here());
    }

    async fn ask_for_a_blob_that_is_all_but_here() {
        let payload = Payload::from(vec![7; 300 << 10]);
        let hash = BlobHash::of(payload.parts());
        let mut outbox = Outbox::default();
        outbox.push(&ToWorker::Blob(Blob { hash, payload }));
        let bytes = outbox.into_bytes();
        let (begun, rest) = bytes.split_at(280 << 10);

        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let ours = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (mut manager, _) = listener.accept().expect("accepted");
        let watched = ours.try_clone().expect("a descriptor");
        ours.set_nonblocking(true).expect("it can be");
        let stream = tokio::net::TcpStream::from_std(ours).expect("a stream");
        let mut frames = Frames::default();
        frames.buffer().extend_from_slice(begun);
        let (connection, receiver) = Connection::new(stream.into(), frames, "manager", Silence::Voids);
        let (events_in, mut events) = mpsc::unbounded_channel();
        let (worker, mut outbox) = mpsc::unbounded_channel();
        let carried = Rc::clone(&connection);
        let conversing = tokio::task::spawn_local(async move {
            let mut inbox = ManagerInbox {
                connection: &carried,
                events: &events_in,
                on_registered: || {},
                is_registered: false,
            };
            converse(&carried, receiver, &mut outbox, &mut inbox).await
        });
        while !connection.is_arriving(hash) {
            tokio::task::yield_now().await;
        }
        // Both are ready when the loop looks next: the question, and the rest of the blob.
        manager.write_all(rest).expect("written");
        watched.set_nonblocking(false).expect("it can be");
        watched.peek(&mut [0]).expect("the rest has arrived");
        watched.set_nonblocking(true).expect("it can be");
        worker.send(FromWorker::NeedBlob(vec![hash])).expect("the loop runs");
        while !matches!(events.recv().await, Some(LinkEvent::Message(ToWorker::Blob(_)))) {}
        assert!(!connection.is_arriving(hash), "the worker has it");
        drop((worker, connection));
        assert!(matches!(conversing.await.expect("no panic"), ConnectionEnd::Closed));
        let mut received = Vec::new();
        manager.read_to_end(&mut received).expect("read");
        assert_eq!(received, b"", "the worker asked for the blob");
    }
}
