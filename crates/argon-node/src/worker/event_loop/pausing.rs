//! The worker pauses while its machine has less left than its limits ask for, and tells manager and pool.

use std::time::Duration;

use argon_core::pool::Input;
use argon_proto::conversation::worker::{FromWorker, Register};

use super::WorkerLoop;
use crate::worker::timers::Timer;
use crate::worker::uplink::register;

/// Time between two looks at the machine.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl WorkerLoop {
    /// Looks at the machine, where there are limits, and sets the time of the next look.
    pub(super) fn look_at_machine(&mut self) {
        if !self.config.limits.is_any() {
            return;
        }
        self.timers.set_after(Timer::Machine, LOOK_EVERY);
        let paused = self.config.limits.exceeded();
        let is_busy = paused.is_some();
        if is_busy == self.paused.is_some() {
            return;
        }
        match &paused {
            Some(why) => tracing::warn!("no further task is started: {why}"),
            None => tracing::info!("tasks are started again"),
        }
        self.paused = paused;
        // A manager that does not know yet would send again what the pool gives back.
        if is_busy {
            self.register_again();
        }
        self.tell_pool(Input::MachineBusy(is_busy));
        if !is_busy {
            self.register_again();
        }
    }

    /// Description of this worker as it is now.
    pub(super) fn described(&self) -> Register {
        let described = self.processes.runtimes.described();
        Register {
            paused: self.paused.as_deref().map(Into::into),
            ..register::register(&self.config, &described)
        }
    }

    /// Sends what has changed about this worker.
    pub(super) fn register_again(&mut self) {
        let register = self.described();
        self.send(FromWorker::Register(Box::new(register)));
    }
}
