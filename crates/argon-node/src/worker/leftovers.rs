//! When the worker looks for what its runners left behind, and when it has done so for the last time.

use std::time::Duration;

use super::driver::Driver;
use super::process::guardian::Guardian;
use super::process::mark::Mark;
use super::process::sweep;

impl Driver {
    /// A child ended: runners tell that themselves, so this is about their orphans, and about the guardian.
    pub(super) fn on_children(&mut self) {
        if !std::mem::take(&mut self.have_children_changed) {
            return;
        }
        self.sweep();
        if let Some(guardian) = &mut self.guardian {
            guardian.look_after();
        }
    }

    /// Ends what runners left behind that are gone. What is killed here brings another signal of its end.
    pub(super) fn sweep(&mut self) {
        let mark = Mark::new(self.config.id, 0);
        let runners = &self.runners;
        let guardian = self.guardian.as_ref().and_then(Guardian::pid);
        let is_own = |pid| guardian == Some(pid) || runners.values().any(|runner| runner.pid == pid);
        if !self.own_children.have_others(is_own) {
            self.leftovers = 0;
            return;
        }
        self.leftovers = sweep::leftovers_below(
            mark,
            |pid| runners.values().any(|runner| runner.pid == pid),
            |mark| self.starting.values().any(|starting| starting.mark == mark),
            |mark| runners.values().any(|runner| runner.mark == mark),
        );
    }

    /// Waits until nothing is left of any runner, within reason; the guardian has the last word.
    pub(super) async fn end_leftovers(&mut self) {
        self.kill_runners();
        self.runners.clear();
        self.starting.clear();
        let looks = 200;
        for _ in 0..looks {
            self.sweep();
            if self.leftovers == 0 {
                return;
            }
            let _ = tokio::time::timeout(Duration::from_millis(10), self.children.recv()).await;
        }
    }
}
