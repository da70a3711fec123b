//! A virtual client: keeps a fixed number of tasks under way, and checks that each has one outcome.

use std::io;
use std::rc::Rc;

use argon_proto::conversation::client::{Open, ToClient, ToManager};
use argon_proto::key::Role;
use argon_proto::{Codec, Payload, Runtime, Secret, SessionId, Task, TaskHead, TaskId};
use bytes::Bytes;

use super::peer::Peer;
use super::world::{World, add};

/// Submits that are written together.
const AT_ONCE: u64 = 512;

/// Keeps `standing` tasks under way until the world is closed. Panics if an outcome comes twice.
pub(super) async fn live(world: Rc<World>, number: u64, standing: u64) {
    let (peer, granted) = Peer::reach(&world, Role::Client, &world.trust()).await;
    let payload = Payload::from(vec![b'x'; usize::try_from(world.plan.payload).unwrap_or(0)]);
    let mut secret = [0; 32];
    secret[..8].copy_from_slice(&number.to_be_bytes());
    let open = Open::of(Secret::new(secret));
    let mut client = Client {
        peer,
        session: open.session,
        open,
        payload,
        sent: 0,
        granted,
        due: 0,
        has_ended: Vec::new(),
    };
    if let Err(error) = client.work(&world, standing).await {
        eprintln!("a virtual client's connection broke: {error}");
    }
}

struct Client {
    peer: Peer<ToClient>,
    session: SessionId,
    open: Open,
    payload: Payload,
    sent: u64,
    /// Tasks that may have been submitted in all, as the manager said.
    granted: u64,
    /// Tasks that are to be submitted once there is credit.
    due: u64,
    has_ended: Vec<bool>,
}

impl Client {
    async fn work(&mut self, world: &World, standing: u64) -> io::Result<()> {
        self.peer.say(&ToManager::Open(self.open.clone()));
        self.peer.say(&ToManager::Offered);
        while self.sent < standing {
            self.submit(world, AT_ONCE.min(standing - self.sent));
            self.peer.write()?;
            tokio::task::yield_now().await;
        }
        let mut heard = Vec::new();
        loop {
            self.peer.turn(&mut heard).await?;
            let mut taken = Vec::new();
            for message in heard.drain(..) {
                if let ToClient::Credit(credit) = message {
                    self.granted = credit.tasks;
                } else if let ToClient::Outcome(outcome) = message {
                    let sequence = outcome.head.id.sequence;
                    let place = usize::try_from(sequence).unwrap_or(usize::MAX);
                    let before = std::mem::replace(&mut self.has_ended[place], true);
                    assert!(!before, "task {sequence} of {} ended twice", self.session);
                    taken.push(outcome.head.id);
                }
            }
            let count = taken.len() as u64;
            add(&world.ended, count);
            if count > 0 {
                self.peer.say(&ToManager::Ack(taken));
            }
            if !world.is_closed.get() {
                self.due += count;
                let count = self.due.min(self.granted - self.sent);
                self.due -= count;
                self.submit(world, count);
            }
        }
    }

    fn submit(&mut self, world: &World, count: u64) {
        for sequence in self.sent..self.sent + count {
            self.peer.say(&ToManager::Submit(task(self.session, sequence, &self.payload)));
            self.has_ended.push(false);
        }
        self.sent += count;
        add(&world.submitted, count);
    }
}

/// A task as the Perl client sends one that is called by name.
fn task(session: SessionId, sequence: u64, payload: &Payload) -> Task {
    let head = TaskHead { codec: Codec::Json, ..TaskHead::new(TaskId { session, sequence }, Runtime::Perl) };
    Task::new(head, [], Bytes::from_static(br#"{"call":"A::b"}"#), payload.clone())
}
