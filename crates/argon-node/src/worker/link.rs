//! The worker's TCP connection to its manager: dialled, proven, registered, and dialled again for ever.

mod backoff;
mod pump;

use std::collections::BTreeSet;
use std::time::Duration;

use argon_proto::WorkerId;
use argon_proto::conversation::worker::FromWorker;
use argon_proto::key::{Key, Role};
use tokio::sync::{mpsc, oneshot};

use super::uplink::LinkEvent;
use crate::net::dial::{DialError, dial};
use crate::signals::{StopLevel, StopSignal};
use backoff::Backoff;
use pump::{Connection, Ended};

/// After a refusal that time alone will not mend.
const REFUSED_PAUSE: Duration = Duration::from_secs(2);

/// Keeps a worker connected to one of its managers, and tries for ever when none is there.
///
/// `addresses` are `host:port`, tried in turn. Returns when the worker has dropped its end of `outbox` and what it said
/// is written, or at once when told to end at once. `announce` is called with the manager's address when the worker is
/// registered for the first time.
pub async fn keep_link(
    addresses: Vec<String>,
    key: Key,
    id: WorkerId,
    events: mpsc::UnboundedSender<LinkEvent>,
    outbox: mpsc::UnboundedReceiver<FromWorker>,
    mut stop: StopSignal,
    announce: impl FnOnce(&str) + 'static,
) {
    let announce: Announce = Some(Box::new(announce));
    let mut link = Keeper { addresses, key, id, events, outbox, announce, told: BTreeSet::new(), turn: 0 };
    let must_end = async {
        // A worker that is told to end at once still says goodbye; that takes a moment, and no longer.
        if stop.wait_for(|level| *level >= StopLevel::End).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    };
    tokio::select! {
        () = link.keep() => {}
        () = must_end => {}
    }
}

/// Told once.
type Announce = Option<Box<dyn FnOnce(&str)>>;

struct Keeper {
    addresses: Vec<String>,
    key: Key,
    id: WorkerId,
    events: mpsc::UnboundedSender<LinkEvent>,
    outbox: mpsc::UnboundedReceiver<FromWorker>,
    announce: Announce,
    /// What was logged since the worker was registered last.
    told: BTreeSet<String>,
    /// Which address is tried next.
    turn: usize,
}

/// The worker has dropped its end.
struct WorkerGone;

impl Keeper {
    async fn keep(&mut self) {
        let mut backoff = Backoff::default();
        loop {
            let address = self.addresses[self.turn % self.addresses.len()].clone();
            let pause = match self.connect(&address).await {
                Ok(Ended::WorkerGone) | Err(Failure::WorkerGone) => return,
                Ok(Ended::Lost { was_registered, why }) => {
                    if was_registered {
                        backoff = Backoff::default();
                    }
                    self.say_away(
                        "lost".to_owned(),
                        &format!("the connection to the manager at {address} ended: {why}"),
                    );
                    backoff.next()
                }
                Err(Failure::Dial(error @ DialError::Role(_))) => {
                    let advice =
                        "end it, and give it the cluster key or a worker's ('argon key --role worker')";
                    self.say_away(error.to_string(), &format!("{error}: {advice}"));
                    self.turn += 1;
                    REFUSED_PAUSE
                }
                Err(Failure::Dial(error @ DialError::Refused { .. })) => {
                    self.say_away(error.to_string(), &error.to_string());
                    self.turn += 1;
                    REFUSED_PAUSE
                }
                Err(Failure::Dial(error @ DialError::Unreachable { .. })) => {
                    // In which words it is away may change from try to try, and says nothing new.
                    self.say_away(address.clone(), &error.to_string());
                    self.turn += 1;
                    // Other addresses are tried before there is a pause.
                    if self.turn.is_multiple_of(self.addresses.len()) {
                        backoff.next()
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

    async fn connect(&mut self, address: &str) -> Result<Ended, Failure> {
        let key = self.key.clone();
        let dialled = self.without_manager(dial(address, &key, Role::Worker)).await;
        let reached = dialled.map_err(|WorkerGone| Failure::WorkerGone)?.map_err(Failure::Dial)?;
        let mut connection = Connection::new(reached.stream, reached.frames);
        let (reply, register) = oneshot::channel();
        let asked = self.events.send(LinkEvent::WantRegister(reply));
        let (Ok(()), Ok(register)) = (asked, register.await) else {
            return Err(Failure::WorkerGone);
        };
        connection.outbox.push(&FromWorker::Register(register));
        let ended = connection.pump(&self.events, &mut self.outbox, || {
            tracing::info!("worker {} is registered with the manager at {address}", self.id);
            self.told.clear();
            if let Some(announce) = self.announce.take() {
                announce(address);
            }
        });
        let ended = ended.await;
        let _ = self.events.send(LinkEvent::Lost);
        Ok(ended)
    }

    /// Waits while there is no manager: what the worker says meanwhile is dropped, its pool says it again.
    async fn without_manager<T>(&mut self, what: impl Future<Output = T>) -> Result<T, WorkerGone> {
        tokio::pin!(what);
        loop {
            tokio::select! {
                done = &mut what => return Ok(done),
                said = self.outbox.recv() => if said.is_none() {
                    return Err(WorkerGone);
                },
            }
        }
    }

    /// Logs what keeps the worker from its managers, each thing once until it is registered again.
    fn say_away(&mut self, topic: String, why: &str) {
        if self.told.insert(topic) {
            tracing::warn!("{why}; this worker keeps trying");
        }
    }
}

enum Failure {
    WorkerGone,
    Dial(DialError),
}
