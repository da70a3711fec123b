//! What the worker says to its manager. When it is written is decided by
//! [`argon_core::outcome_batch::OutcomeBatch`].

use argon_core::outcome_batch::Supply;
use argon_core::pool::PoolCounts;
use argon_proto::conversation::worker::FromWorker;

use super::driver::Driver;

impl Driver {
    /// Says something to the manager; nothing comes of it while there is none. Order is kept.
    pub(super) fn tell(&mut self, message: FromWorker) {
        if self.is_linked && self.batch.push(self.now, message) {
            self.tell_all();
        }
    }

    /// At the end of a round: says what has waited long enough.
    pub(super) fn tell_what_is_due(&mut self) {
        let supply = || {
            let PoolCounts { slots, waiting, .. } = self.pool.counts();
            Supply { slots, waiting }
        };
        if self.batch.is_due(self.now, supply) {
            self.tell_all();
        }
    }

    /// Stays away from short tasks that follow one another while nobody needs this worker. The whole thread stays away, for a
    /// thread that waits for descriptors is woken by them, and the runtime's timers are too coarse.
    pub(super) async fn let_outcomes_gather(&self) {
        if let Some(pause) = self.batch.pause(self.now, || self.pool.supplied_for()) {
            // What was said in this round goes out first.
            tokio::task::yield_now().await;
            std::thread::sleep(pause);
        }
    }

    fn tell_all(&mut self) {
        for message in self.batch.take() {
            let _ = self.link.outbox.send(message);
        }
    }
}
