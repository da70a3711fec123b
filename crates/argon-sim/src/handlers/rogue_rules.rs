//! Rules for rogues, checked on what they send and receive: they may influence only their own tasks.

use std::collections::BTreeMap;

use argon_core::scheduler::{ConnId, Effect, Record};
use argon_proto::conversation::client::ToClient;
use argon_proto::conversation::worker::ToWorker;
use argon_proto::{AttemptId, WorkerId};

use crate::event::Dialler;
use crate::manager::{ManagerProcess, PeerState};
use crate::world::World;

impl World {
    /// A rogue registers. It may come back with what it was given, and with nothing else.
    pub(crate) fn on_rogue_registers(
        &mut self,
        process: &mut ManagerProcess,
        link: ConnId,
        rogue: usize,
        (named, claimed): (WorkerId, &[AttemptId]),
    ) {
        let id = self.rogues[rogue].worker;
        let held: Vec<AttemptId> =
            claimed.iter().copied().filter(|attempt| self.oracle.is_rogues(*attempt)).collect();
        for (other, peer) in &mut process.peers {
            if *other != link && named == id && peer.worker == Some(id) {
                let holds: Vec<AttemptId> = std::mem::take(&mut peer.holds).into_iter().collect();
                self.oracle.link_lost(self.now, *other, &holds);
            }
        }
        let Some(peer) = process.peers.get_mut(&link) else {
            return;
        };
        peer.is_introduced = true;
        // A second registration on a connection only adds to what is known of the worker.
        if named == id && peer.worker.is_none() {
            peer.worker = Some(id);
            peer.holds.extend(&held);
            self.oracle.held(link, &held, false);
        }
        self.trace.note(self.now, [18, link.0, rogue as u64], || {
            format!("rogue {rogue} registers at {link:?} as {named:?} and claims {claimed:?}")
        });
    }

    /// No task of others is given to a rogue because it has asked for it.
    pub(crate) fn judge_claims(&mut self, process: &ManagerProcess, rogue: usize, claimed: &[AttemptId]) {
        for attempt in claimed {
            let state = process.scheduler.task_state(attempt.task);
            let is_with_it = state.is_some_and(|state| state == format!("with worker rogue-{rogue}"));
            if is_with_it && !self.oracle.was_with_rogue(attempt.task) {
                self.oracle.fail(format!("rogue {rogue} is believed that it holds {attempt:?}"));
            }
        }
    }

    /// A task that must never run twice is a rogue's before its RUN is sent: the store must know of the start first.
    pub(crate) fn note_starts_at_rogues(&mut self, process: &ManagerProcess, from: usize) {
        if self.rogues.is_empty() {
            return;
        }
        for record in &process.out.records[from..] {
            if let Record::AttemptStarted(attempt) = record
                && let Some(state) = process.scheduler.task_state(attempt.task)
                && state.starts_with("with worker rogue-")
            {
                self.oracle.given_to_rogue(*attempt);
            }
        }
    }

    /// Sees what is sent to a rogue; true if it was for one.
    pub(crate) fn observe_rogue(&mut self, peers: &mut BTreeMap<ConnId, PeerState>, effect: &Effect) -> bool {
        let (Effect::SendToClient { link, .. } | Effect::SendToWorker { link, .. }) = effect else {
            return false;
        };
        let Some(peer) = peers.get_mut(link).filter(|peer| matches!(peer.dialler, Dialler::Rogue(_))) else {
            return false;
        };
        match effect {
            Effect::SendToWorker { message: ToWorker::Run(run), .. } => {
                let attempt = run.task.attempt_id();
                // It may have claimed the same attempt and not been believed.
                self.oracle.released(*link, &[attempt], false);
                self.oracle.run_sent(self.now, *link, attempt, true);
                self.oracle.given_to_rogue(attempt);
                peer.holds.insert(attempt);
            }
            Effect::SendToWorker { message: ToWorker::Stop(attempts), .. } => {
                for attempt in attempts {
                    if peer.holds.remove(attempt) {
                        self.oracle.released(*link, &[*attempt], true);
                    }
                }
            }
            Effect::SendToClient { message: ToClient::Outcome(outcome), .. } => {
                let id = outcome.head.id;
                let is_answer = outcome.head.attempt.0 == 0;
                if !is_answer && self.oracle.is_honest(id) {
                    self.oracle.fail(format!("a rogue is sent the outcome of {id:?}"));
                }
            }
            Effect::SendToClient { message: ToClient::Accepted(tickets), .. } => {
                if let Some(ticket) = tickets.iter().find(|ticket| self.oracle.is_honest(ticket.id)) {
                    self.oracle.fail(format!("a rogue is sent {ticket:?}"));
                }
            }
            Effect::SendToClient { .. }
            | Effect::SendToWorker { .. }
            | Effect::Close { .. }
            | Effect::Warn { .. }
            | Effect::ReleaseBlobs { .. } => {}
        }
        true
    }
}
