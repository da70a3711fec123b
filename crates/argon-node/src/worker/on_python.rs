//! The Pythons of the machine become known while the worker serves; tasks that want one wait for that.

use argon_core::pool::{Input, Version};
use argon_proto::conversation::worker::FromWorker;
use argon_proto::{Runtime, Task};

use super::driver::Driver;
use super::runtime::Runtimes;

impl Driver {
    /// Begins to look for interpreters, which takes too long to be done before the worker serves.
    pub(super) fn look_for_python(&mut self) {
        if self.runtimes.may_look_for_python() {
            self.runtimes.pythons.search();
        }
    }

    /// Interpreters have answered: the pool and the manager are told, and the tasks that waited for that go on.
    pub(super) fn on_pythons(&mut self) {
        if !std::mem::take(&mut self.have_pythons_changed) {
            return;
        }
        let versions = self.runtimes.pythons.found().iter().map(|python| python.version).collect();
        self.step(Input::PythonsFound(versions));
        self.tell(FromWorker::Register(self.introduction()));
        let runtimes = &mut self.runtimes;
        for task in self.gate.take_startable(|task| !must_wait(runtimes, task)) {
            self.step(Input::TaskReceived(task));
        }
    }
}

/// Whether it is not known yet if the Python is here that a task wants.
pub(super) fn must_wait(runtimes: &mut Runtimes, task: &Task) -> bool {
    task.head.runtime == Runtime::Python
        && runtimes.may_look_for_python()
        && runtimes.pythons.must_wait(Version::wanted_by(task))
}
