//! Cuts a message about thousands of tasks into events about a few each, and estimates the work of an event.
//!
//! The event loop ends a turn after a certain weight. One event must therefore not take longer than a turn.

use argon_core::scheduler::ConnId;
use argon_proto::conversation::client::ToManager;
use argon_proto::conversation::worker::FromWorker;

use super::inbox::PeerEvent;

/// Tasks of one event. Each ticket is verified, which takes as long as two small events.
const IDS: usize = 16;
/// Weight of an answer that has to be composed.
const ANSWER: u32 = 32;

/// Passes the message on, in as many events as it takes, each with its weight: 1 for a small task.
pub(super) fn pieces(link: ConnId, event: PeerEvent, mut pass: impl FnMut(PeerEvent, u32)) {
    match event {
        PeerEvent::ClientSent { message, .. } => {
            of_client(message, |message, weight| pass(PeerEvent::ClientSent { link, message }, weight));
        }
        PeerEvent::ChildSent { message, .. } => {
            of_client(message, |message, weight| pass(PeerEvent::ChildSent { link, message }, weight));
        }
        PeerEvent::WorkerSent { ref message, .. } => {
            let weight = weight_of_worker(message);
            pass(event, weight);
        }
        PeerEvent::AdminSent { .. } | PeerEvent::MetricsAsked { .. } => pass(event, ANSWER),
        PeerEvent::Admitted { .. } | PeerEvent::WithoutPayload { .. } | PeerEvent::Gone { .. } => {
            pass(event, 1)
        }
    }
}

fn of_client(message: ToManager, mut pass: impl FnMut(ToManager, u32)) {
    match message {
        ToManager::Ack(ids) => in_parts(ids, |ids, count| pass(ToManager::Ack(ids), 1 + count / 4)),
        ToManager::Cancel(ids) => in_parts(ids, |ids, count| pass(ToManager::Cancel(ids), 1 + count / 2)),
        ToManager::Collect(tickets) => {
            in_parts(tickets, |tickets, count| pass(ToManager::Collect(tickets), 1 + 2 * count));
        }
        ToManager::Submit(task) => {
            let weight = 1 + as_u32(task.blob_hashes().count());
            pass(ToManager::Submit(task), weight);
        }
        message @ (ToManager::Request(_) | ToManager::Open(_) | ToManager::ChildOpen(_)) => {
            pass(message, ANSWER)
        }
        message @ (ToManager::Blob(_)
        | ToManager::Offered
        | ToManager::OutputCredit(_)
        | ToManager::Answer(_)
        | ToManager::Goodbye(_)) => pass(message, 1),
    }
}

fn weight_of_worker(message: &FromWorker) -> u32 {
    match message {
        FromWorker::Register(_) => ANSWER,
        FromWorker::Held(held) => 1 + as_u32(held.len() / 8),
        FromWorker::NeedBlob(hashes) => 1 + as_u32(hashes.len()),
        FromWorker::Returned(attempts) => 1 + as_u32(attempts.len()),
        FromWorker::Outcome(_)
        | FromWorker::Output(_)
        | FromWorker::Ask(_)
        | FromWorker::Draining(_)
        | FromWorker::Lent(_)
        | FromWorker::Runners(_)
        | FromWorker::Goodbye(_) => 1,
    }
}

/// Passes `list` on in parts of at most [`IDS`], each with its length and memory of its own. An empty list is passed on,
/// too.
fn in_parts<T>(list: Vec<T>, mut pass: impl FnMut(Vec<T>, u32)) {
    if list.len() <= IDS {
        let count = as_u32(list.len());
        return pass(list, count);
    }
    let mut rest = list.into_iter();
    while rest.len() > 0 {
        let mut part = Vec::with_capacity(IDS.min(rest.len()));
        part.extend(rest.by_ref().take(IDS));
        let count = as_u32(part.len());
        pass(part, count);
    }
}

fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use argon_proto::{SessionId, TaskId, Ticket, TicketToken};

    use super::*;
    use crate::manager::ingress::inbox::TURN;

    fn pieces_of(message: ToManager) -> Vec<(PeerEvent, u32)> {
        let mut all = Vec::new();
        pieces(ConnId(1), PeerEvent::ClientSent { link: ConnId(1), message }, |event, weight| {
            all.push((event, weight));
        });
        all
    }

    fn ids(count: u64) -> Vec<TaskId> {
        (0..count).map(|sequence| TaskId { session: SessionId([1; 16]), sequence }).collect()
    }

    #[test]
    fn no_message_about_tasks_is_heavier_than_a_turn_and_nothing_gets_lost() {
        let ticket = |id| Ticket { id, token: TicketToken([2; 16]) };
        for count in [0, 1, IDS as u64, IDS as u64 + 1, 10_000] {
            for message in [
                ToManager::Ack(ids(count)),
                ToManager::Cancel(ids(count)),
                ToManager::Collect(ids(count).into_iter().map(ticket).collect()),
            ] {
                let mut found = Vec::new();
                for (event, weight) in pieces_of(message) {
                    assert!((1..=TURN).contains(&weight), "{weight}");
                    let PeerEvent::ClientSent { message, .. } = event else { panic!("{event:?}") };
                    if let ToManager::Ack(part) | ToManager::Cancel(part) = message {
                        found.extend(part);
                    } else if let ToManager::Collect(part) = message {
                        found.extend(part.into_iter().map(|ticket| ticket.id));
                    }
                }
                assert_eq!(found, ids(count));
            }
        }
    }
}
