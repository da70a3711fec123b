//! Records of a batch: handed to the store, and its verdict to the scheduler.

use argon_core::Time;
use argon_core::scheduler::Input;
use tokio::time::Instant;

use super::{ManagerLoop, REFUSALS_APART, REFUSED_PAUSE};
use crate::exit::{Failure, FailureKind};
use crate::failpoint::must_fail;
use crate::manager::store::{Committed, StoreError};

impl ManagerLoop {
    /// Hands the batch's records to the store; a fast one answers at once.
    pub(super) fn commit(&mut self, now: Time) -> Result<(), Failure> {
        loop {
            self.committer.add(self.out.records.drain(..), &self.gate);
            if self.refused_until.is_some_and(|until| Instant::now() < until) {
                return Ok(());
            }
            self.refused_until = None;
            match self.committer.commit() {
                Some(committed) => self.on_committed(now, committed)?,
                None => return Ok(()),
            }
        }
    }

    /// Reports the fate of its records to the scheduler.
    pub(super) fn on_committed(&mut self, now: Time, committed: Committed) -> Result<(), Failure> {
        let up_to = committed.up_to;
        let verdict = match committed.verdict {
            Ok(()) => Input::RecordsCommitted { up_to },
            Err(StoreError::Full(why)) => {
                self.shell_counts.store_refusals += 1;
                let before = self.last_refusal.replace((Instant::now(), why.clone()));
                if before.is_none_or(|(before, _)| before.elapsed() > REFUSALS_APART) {
                    tracing::warn!("detached tasks are not accepted until the store can write: {why}");
                }
                self.refused_until = Some(Instant::now() + REFUSED_PAUSE);
                Input::RecordsRefused { up_to, why }
            }
            Err(StoreError::Broken(why)) => {
                let message = format!(
                    "the store failed, and nobody can tell what it holds: {why}; the manager stops, \
                     start it again when the cause is mended"
                );
                return Err(Failure::new(FailureKind::Store, message));
            }
        };
        self.step(now, verdict);
        self.scheduler.finish_batch(now, &mut self.out);
        // The records are durable, and no peer has a message about them yet.
        let _ = must_fail("commit.untold");
        Ok(())
    }
}
