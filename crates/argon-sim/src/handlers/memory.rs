//! The memory of a manager that has little: what it is charged stays within its limit while clients flood it.

use argon_core::Time;
use argon_core::scheduler::Input;

use crate::manager::ManagerProcess;
use crate::world::World;

/// Growth of an admitted task beyond its charge at admission, bytes: its outcome has a head and a report.
const PER_TASK: u64 = 1024;
/// Approximate charge of the gate for one incoming task, bytes: it waits for a few blobs. The scheduler learns of it
/// between two batches.
const PER_INPUT: u64 = 50 << 10;

impl World {
    /// The scheduler learns what the gate keeps.
    pub(crate) fn tell_memory(&mut self, now: Time, process: &mut ManagerProcess) {
        let bytes = process.gate.memory();
        if self.plan.shape.has_little_memory() && bytes != process.memory_told {
            process.memory_told = bytes;
            self.step_manager(now, process, Input::MemoryOfOthers { bytes });
        }
    }

    /// Looks at what is charged after a step.
    pub(crate) fn judge_memory(&mut self, process: &ManagerProcess) {
        if !self.plan.shape.has_little_memory() {
            return;
        }
        let scheduler = &process.scheduler;
        let (used, limit) = (scheduler.memory_used(), scheduler.memory_limit());
        let (tasks, batch) = (self.plan.tasks.len() as u64, self.plan.shape.batch as u64);
        if used > limit + tasks * PER_TASK + batch * PER_INPUT {
            self.oracle.fail(format!(
                "the manager uses {used} bytes, and may use {limit}: {}",
                scheduler.memory_message()
            ));
        }
    }
}
