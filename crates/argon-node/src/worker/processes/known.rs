//! Processes of a worker that are not left over: those that it has started, and those that their present tasks have started.

use std::collections::BTreeMap;

use argon_core::Time;
use argon_core::pool::RunnerId;
use nix::unistd::Pid;

use crate::worker::command::StartingCommand;
use crate::worker::process::mark::Mark;
use crate::worker::process::sweep::{Alive, Owner};
use crate::worker::runners::Runners;
use crate::worker::templates::Templates;

/// The processes that are not left over.
pub(super) struct Known<'a> {
    pub(super) now: Time,
    pub(super) runners: &'a Runners,
    pub(super) templates: &'a Templates,
    pub(super) starting: &'a BTreeMap<RunnerId, StartingCommand>,
}

impl Alive for Known<'_> {
    fn owns(&self, pid: Pid) -> bool {
        self.templates.owns(pid) || self.runners.all().any(|runner| runner.pid == pid)
    }

    fn owner_of(&self, mark: Mark) -> Owner {
        if mark.serial() == 0 {
            return Owner::Worker;
        }
        // A runner that was just forked carries the mark of its template.
        if self.templates.is_marked(mark)
            || self.starting.values().any(|starting| starting.identity.mark == mark)
        {
            return Owner::Starting;
        }
        match self.runners.all().find(|runner| runner.identity.mark == mark) {
            None => Owner::Gone,
            Some(runner) => match runner.queue.current() {
                Some(current) => Owner::Busy(self.now.since(current.sent)),
                None if runner.is_idle() => Owner::Idle,
                // It has not taken a task yet, or it ends.
                None => Owner::Starting,
            },
        }
    }
}
