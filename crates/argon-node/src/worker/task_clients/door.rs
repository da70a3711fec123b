//! Lets the clients of tasks in: reads CHILD, dials the manager, opens the session there, and relays.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use argon_net::dial;
use argon_proto::conversation::child::{Child, ChildOpen};
use argon_proto::conversation::client::Open;
use argon_proto::frame::Frames;
use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::key::Role;
use argon_proto::limit::SILENCE;
use argon_proto::{AttemptToken, WorkerId, kind};
use bytes::{BufMut, BytesMut};
use serde::de::DeserializeOwned;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::relay::{Side, Signs, frame_of, put_frame, relay};
use super::{AdmittedClient, ConnectionNumber, TaskClientEvent};
use crate::worker::config::ManagerAccess;

/// Neither of the two messages is longer.
const OPEN_BYTES: usize = 64 << 10;

/// Facts that all connections share.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) worker: WorkerId,
    pub(super) manager: ManagerAccess,
    pub(super) events: mpsc::UnboundedSender<TaskClientEvent>,
}

/// Accepts clients until the worker has ended.
pub(super) async fn accept(listener: UnixListener, door: Door) {
    let door = Rc::new(door);
    while !door.events.is_closed() {
        match listener.accept().await {
            Ok((stream, _)) => {
                let door = Rc::clone(&door);
                tokio::task::spawn_local(async move { door.serve(stream).await });
            }
            Err(error) => {
                tracing::warn!("a task's client could not connect to its worker: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

type TaskSide = Side<OwnedReadHalf, OwnedWriteHalf>;

impl Door {
    async fn serve(&self, stream: UnixStream) {
        let (reader, writer) = stream.into_split();
        let mut task = Side::new(reader, Frames::default(), writer);
        if let Err(refusal) = self.admit(&mut task).await {
            tracing::debug!("a task's client is refused: {refusal}");
            let _ = task.write(&frame_of(kind::REFUSED, &refusal)).await;
        }
    }

    async fn admit(&self, task: &mut TaskSide) -> Result<(), Refusal> {
        let child: Child = read(task, kind::CHILD).await?;
        let (reply, answer) = oneshot::channel();
        let asked = self.events.send(TaskClientEvent::Arrived { child: child.clone(), reply });
        let answer = match asked {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        let AdmittedClient { number, token, end } = answer.ok_or_else(|| busy("the worker ends"))??;
        let _closed = Closed { number, events: &self.events };
        tokio::select! {
            served = self.serve_admitted(task, child, token, number) => served,
            // The attempt has ended.
            _ = end => Ok(()),
        }
    }

    async fn serve_admitted(
        &self,
        task: &mut TaskSide,
        child: Child,
        token: AttemptToken,
        number: ConnectionNumber,
    ) -> Result<(), Refusal> {
        let address = self.manager.address.borrow().clone();
        let address = address.ok_or_else(|| busy("the worker has no manager now"))?;
        let dialled = dial(&address, &self.manager.key.read(), Role::Worker, &self.manager.trust).await;
        let reached = dialled.map_err(|error| busy(&error.to_string()))?;
        let mut credit = BytesMut::new();
        credit.put_u64(reached.welcome.credit_tasks);
        credit.put_u64(reached.welcome.credit_bytes);
        let mut frame = BytesMut::new();
        put_frame(&mut frame, kind::CREDIT, &credit);
        task.write(&frame).await.map_err(broken)?;
        let open: Open = read(task, kind::OPEN).await?;
        let (reader, writer) = reached.stream.split();
        let mut manager = Side::new(reader, reached.frames, writer);
        let opening = ChildOpen::new(self.worker, &child, token, open);
        manager.write(&frame_of(kind::CHILD_OPEN, &opening)).await.map_err(broken)?;
        let on_waits = |waits| {
            let _ = self.events.send(TaskClientEvent::Waits { number, waits });
        };
        if let Err(error) = relay(task, &mut manager, Signs::default(), on_waits).await {
            tracing::debug!("the connection of a task's client ended: {error}");
        }
        Ok(())
    }
}

/// Reports the end of a connection, however it ends.
struct Closed<'a> {
    number: ConnectionNumber,
    events: &'a mpsc::UnboundedSender<TaskClientEvent>,
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        let _ = self.events.send(TaskClientEvent::Closed { number: self.number });
    }
}

/// Reads one message of the opening.
async fn read<T: DeserializeOwned>(task: &mut TaskSide, wanted: u8) -> Result<T, Refusal> {
    let wanted_name = kind::name(wanted).unwrap_or_default();
    let out_of_place = |why: String| Refusal::new(RefusalCode::Frame, why);
    let frame = timeout(SILENCE, task.next_frame(OPEN_BYTES)).await;
    let frame =
        frame.map_err(|_| out_of_place(format!("no {wanted_name} came within {} s", SILENCE.as_secs())))?;
    let Some((kind, body)) = frame.map_err(broken)? else {
        return Err(out_of_place(format!("the connection ended before {wanted_name}")));
    };
    if kind != wanted {
        let sent = kind::name(kind).unwrap_or("an unknown message");
        return Err(out_of_place(format!("{wanted_name} was due, not {sent}")));
    }
    serde_json::from_slice(&body).map_err(|error| out_of_place(format!("{wanted_name}: {error}")))
}

fn busy(why: &str) -> Refusal {
    Refusal::new(RefusalCode::Busy, format!("the task's client does not reach the manager: {why}"))
}

fn broken(error: io::Error) -> Refusal {
    Refusal::new(RefusalCode::Frame, format!("the connection of the task's client broke: {error}"))
}
