//! The end of a run: all clients leave, and nothing may be left.

use argon_proto::conversation::Goodbye;
use argon_session::ErrorKind;

use crate::manager::{Manager, ManagerProcess};
use crate::world::World;

impl World {
    /// True if every caller that lives received every outcome.
    pub(crate) fn is_everything_delivered(&self) -> bool {
        self.to_come == 0 && self.clients.iter().all(|client| !client.is_alive || !client.waits())
    }

    /// The clients leave. Faults that hold now go on to their end; none begins.
    pub(crate) fn close(&mut self) {
        self.trace.note(self.now, [30, 0, 0], || "every caller received; the clients leave".to_owned());
        self.manager.store.is_broken = false;
        self.stand_by.store.is_broken = false;
        for rogue in 0..self.rogues.len() {
            self.end_rogue(rogue);
        }
        for client in 0..self.clients.len() {
            if !self.clients[client].is_alive {
                continue;
            }
            let owner = &mut self.clients[client];
            owner.machine.end(ErrorKind::Closed, "closed", Some(Goodbye::default()), &mut owner.out);
            self.settle_client(client);
            if let Some(id) = self.clients[client].dial.any() {
                self.close_end(id, true);
            }
            self.clients[client].dial.rest();
            self.clients[client].is_alive = false;
        }
    }

    /// Longest time for which the manager keeps things for a peer that does not come.
    pub(crate) fn longest_keeping(&self) -> u64 {
        let limits = &self.plan.shape.limits;
        let kept = limits.session_grace + limits.orphan_timeout + limits.result_ttl;
        u64::try_from(kept.as_micros()).unwrap_or(u64::MAX / 2)
    }

    pub(crate) fn is_all_forgotten(&self) -> bool {
        let is_bare =
            |process: &ManagerProcess| process.scheduler.footprint().is_bare() && process.gate.is_bare();
        let is_all_gone =
            |manager: &Manager| manager.process.as_deref().is_some_and(is_bare) && manager.store.len() == 0;
        is_all_gone(&self.manager)
            && (!self.plan.has_two_managers()
                || self.stand_by.process.is_none()
                // Detached tasks of rogues wait there for workers.
                || !self.rogues.is_empty()
                || is_all_gone(&self.stand_by))
            && (0..self.workers.len()).all(|worker| self.held_by(worker).is_empty())
    }

    /// Describes the unfinished work of a run that stands still.
    pub(crate) fn describe_standstill(&self) -> String {
        let mut lines = vec![if self.is_closing {
            "everything received, and something is kept for nobody".to_owned()
        } else {
            "the work does not come to its end".to_owned()
        }];
        let scheduler = self.manager.process.as_ref().map(|process| &process.scheduler);
        match scheduler {
            Some(scheduler) => lines.push(format!("the manager holds {:?}", scheduler.footprint())),
            None => lines.push("there is no manager".to_owned()),
        }
        for id in self.manager.store.ids() {
            let state = scheduler.and_then(|scheduler| scheduler.task_state(id));
            lines.push(format!("the store holds {id:?}, which the manager holds as {state:?}"));
        }
        for (number, client) in self.clients.iter().enumerate().filter(|(_, client)| client.is_alive) {
            for id in client.waits_for().take(10).map(|place| self.id_of(place)) {
                let state = scheduler.and_then(|scheduler| scheduler.task_state(id));
                let state = state.unwrap_or_else(|| "not known to the manager".to_owned());
                lines.push(format!("client {number} waits for {id:?}: {state}"));
            }
        }
        for worker in 0..self.workers.len() {
            let held = self.held_by(worker);
            if !held.is_empty() {
                lines.push(format!("worker {worker} holds {held:?}"));
            }
        }
        lines.join("\n  ")
    }
}
