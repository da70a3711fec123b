//! Carries out what the pool wants.

use std::time::Duration;

use argon_core::Time;
use argon_core::pool::{Blame, Effect, Input, Kind, Signal, SlotId};
use argon_proto::{Flags, Message, Task};
use nix::sys::signal;

use super::blobs::attempt_of;
use super::driver::Driver;
use super::mark::Mark;
use super::output::{Tail, Window};
use super::process;
use super::runner::{Current, Runner};

/// A runner that is not ready by then is killed.
const START_LIMIT: Duration = Duration::from_secs(30);
/// A runner whose socket was closed has so long to end.
const RETIRE_LIMIT: Duration = Duration::from_secs(2);

impl Driver {
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            // Nothing begins in a worker that ends.
            Effect::Spawn { .. } | Effect::Hand { .. } | Effect::Execute { .. } | Effect::Leave
                if self.leave_until.is_some() => {}
            Effect::Spawn { slot, generation, kind } => self.spawn(slot, generation, kind),
            Effect::Hand { slot, task } => self.hand(slot, task),
            Effect::Execute { .. } => {}
            Effect::Retire { slot, generation } => {
                let until = self.now + RETIRE_LIMIT;
                if let Some(runner) = self.runner(slot, generation) {
                    runner.flush();
                    runner.close_socket();
                    runner.deadline = Some((until, "it did not end when its socket was closed"));
                }
            }
            Effect::Signal { slot, generation, signal } => {
                if let Some(runner) = self.runner(slot, generation) {
                    runner.signal(match signal {
                        Signal::Term => signal::Signal::SIGTERM,
                        Signal::Kill => signal::Signal::SIGKILL,
                    });
                }
            }
            Effect::Tell(message) => self.tell(message),
            Effect::Leave => {
                tracing::info!("the worker leaves: everything that it ran has finished");
                self.say_goodbye("the worker has finished what it ran");
            }
        }
    }

    /// The runner of a slot, if it is still that one.
    fn runner(&mut self, slot: SlotId, generation: u64) -> Option<&mut Runner> {
        self.runners.get_mut(slot.0)?.as_mut().filter(|runner| runner.generation == generation)
    }

    fn spawn(&mut self, slot: SlotId, generation: u64, kind: Kind) {
        match self.start_runner(generation, kind) {
            Ok(runner) => self.runners[slot.0] = Some(runner),
            Err(why) => {
                self.on_trouble(format!("no {} runner can be started: {why}", kind.runtime.name()));
                self.inputs.push_back(Input::SpawnFailed { slot, generation, why, blame: Blame::Machine });
            }
        }
    }

    fn start_runner(&mut self, generation: u64, kind: Kind) -> Result<Runner, String> {
        let launch = self.runtimes.launch(kind).ok_or("this worker does not have that runtime")?;
        self.serial = self.serial.wrapping_add(1);
        let mark = Mark::new(self.config.id, self.serial);
        let started = process::start(&launch, &self.environment, mark, kind.memory_mib);
        let mut runner = started
            .and_then(|started| Runner::new(started, generation, mark, &launch.preamble))
            .map_err(|error| format!("{}: {error}", launch.program.display()))?;
        runner.deadline = Some((self.now + START_LIMIT, "it was not ready after 30 s"));
        Ok(runner)
    }

    /// Says why runners do not start, once for each reason.
    pub(super) fn on_trouble(&mut self, trouble: String) {
        if self.trouble.as_ref() != Some(&trouble) {
            tracing::warn!("{trouble}; it is tried again");
            self.trouble = Some(trouble);
        }
    }

    fn hand(&mut self, slot: SlotId, task: Task) {
        let Some(runner) = self.runners.get_mut(slot.0).and_then(Option::as_mut) else {
            return;
        };
        let is_captured = task.head.flags.contains(Flags::CAPTURE);
        runner.current = Some(Current {
            attempt: attempt_of(&task),
            is_captured,
            window: Window::default(),
            tail: if is_captured { Tail::for_capture() } else { Tail::for_report() },
        });
        for hash in task.blob_hashes() {
            // A blob that the cache lost meanwhile is asked for by the runner when it needs it.
            if !runner.has_blobs.contains(&hash)
                && let Some(payload) = self.blobs.find(hash)
            {
                runner.has_blobs.insert(hash);
                runner.say(Message::Blob { hash, payload });
            }
        }
        runner.say(Message::Run(task));
    }
}

impl Runner {
    /// What is to be complained of, if the runner had until now to do what it did not do.
    pub(super) fn overdue(&mut self, now: Time) -> Option<&'static str> {
        let (_, complaint) = self.deadline.filter(|(until, _)| *until <= now)?;
        self.deadline = None;
        Some(complaint)
    }
}
