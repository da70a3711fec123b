//! A stand-alone worker: a manager and a pool in one process, joined by a link in memory. Both sides use the same code
//! as over TCP.

use argon_proto::conversation::worker::FromWorker;
use argon_proto::handshake::Proven;
use argon_proto::key::Role;
use tokio::sync::{mpsc, oneshot, watch};

use crate::exit::Failure;
use crate::manager::ingress::inbox::{Inbox, PeerEvent};
use crate::manager::ingress::serve::LinkNumbers;
use crate::manager::peers::{Port, WorkerPort};
use crate::manager::{self, ManagerConfig};
use crate::signals::{StopLevel, StopSignal, stopped};
use crate::worker::{self, LinkEvent, ManagerChannel, WorkerConfig};

/// Serves clients with a pool in this process; calls `announce` when both are ready.
///
/// # Errors
/// If either side fails.
pub async fn serve(
    mut manager: ManagerConfig,
    config: WorkerConfig,
    mut stop: StopSignal,
    announce: impl FnOnce() + 'static,
) -> Result<(), Failure> {
    let inbox = Inbox::default();
    let links = LinkNumbers::default();
    let (events, incoming) = mpsc::unbounded_channel();
    let (outbox, outgoing) = mpsc::unbounded_channel();
    tokio::task::spawn_local(join(inbox.clone(), links.clone(), events, outgoing, announce));
    let pool = worker::run(config, ManagerChannel { events: incoming, outbox }, stop.clone());
    // The manager stays until the pool has finished: its last outcomes must be delivered.
    let (end_manager, manager_stop) = watch::channel(StopLevel::Run);
    manager.stopping = Some(stop.clone());
    let serving = manager::serve(manager, inbox, links, manager_stop);
    let finishing = async {
        let ended = pool.await;
        if ended.is_ok() && *stop.borrow() == StopLevel::Run {
            // An operator drained it. Other workers, and clients, have this manager still.
            tracing::info!("the worker in this process has left; the manager goes on, SIGTERM ends it");
            stopped(&mut stop, StopLevel::Drain).await;
        }
        // Gives the last messages of the pool a moment to pass, unless time is up.
        tokio::select! {
            () = tokio::task::yield_now() => {}
            () = stopped(&mut stop, StopLevel::End) => {}
        }
        let _ = end_manager.send(StopLevel::Drain);
        ended.map_err(Failure::from)
    };
    tokio::try_join!(serving, finishing)?;
    Ok(())
}

/// Plays the connection between the two: registers the pool, then carries its words.
async fn join(
    inbox: Inbox,
    links: LinkNumbers,
    events: mpsc::UnboundedSender<LinkEvent>,
    mut outgoing: mpsc::UnboundedReceiver<FromWorker>,
    announce: impl FnOnce(),
) {
    let (asked, register) = oneshot::channel();
    if events.send(LinkEvent::WantRegister(asked)).is_err() {
        return;
    }
    let Ok(introduction) = register.await else {
        return;
    };
    let (link, queue) = (links.next(), inbox.open());
    let admitted = PeerEvent::Admitted {
        link,
        proven: Proven { role: Role::Worker, holder: None, key: usize::MAX },
        port: Port::Worker(WorkerPort::Memory(events)),
        from: "of this process".to_owned(),
    };
    queue.push(admitted, 1, 0);
    for message in introduction.into_messages(None) {
        queue.push(PeerEvent::WorkerSent { link, message }, 1, 0);
    }
    announce();
    while let Some(message) = outgoing.recv().await {
        queue.push(PeerEvent::WorkerSent { link, message }, 1, 0);
    }
    queue.push(PeerEvent::Gone { link, is_dead: true, why: "its pool has ended".to_owned() }, 1, 0);
}
