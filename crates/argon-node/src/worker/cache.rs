//! Caches of a worker for later tasks: executables as files, and answers of clients.

pub(crate) mod answers;
pub(crate) mod executables;
pub(crate) mod questions;

use std::path::PathBuf;
use std::time::Duration;

use argon_core::Time;
use argon_core::gate::WorkerGate;
use argon_proto::{BlobHash, Task};
use rustc_hash::FxHashSet;

use super::config::WorkerConfig;
use crate::memory;
use executables::{ExecutableError, Executables};
use questions::Questions;

/// Wait for a blob after which the manager is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Memory that is worth giving back to the system at once.
const BIG_BYTES: u64 = 16 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Cache {
    /// Blobs, and the tasks that wait for some.
    pub(crate) blobs: WorkerGate,
    pub(crate) questions: Questions,
    executables: Executables,
    /// The manager may have to be asked for blobs.
    may_want_blobs: bool,
    /// When it was asked last.
    asked_at: Time,
}

impl Cache {
    pub(crate) fn new(config: &WorkerConfig) -> Self {
        Self {
            blobs: WorkerGate::default(),
            questions: Questions::default(),
            executables: Executables::new(&config.id().to_string(), config.run_as.clone()),
            may_want_blobs: false,
            asked_at: Time(0),
        }
    }

    /// The manager is asked for missing blobs, once everything that it has sent is read: they may be right behind.
    pub(crate) fn want_blobs(&mut self) {
        self.may_want_blobs = true;
    }

    /// The blobs that the manager is asked for now. `wanted` by runners.
    pub(crate) fn take_wanted_blobs(
        &mut self,
        now: Time,
        wanted: impl Iterator<Item = BlobHash>,
    ) -> Vec<BlobHash> {
        if !std::mem::take(&mut self.may_want_blobs) {
            return Vec::new();
        }
        self.asked_at = now;
        self.blobs.take_questions(wanted)
    }

    /// When the manager is asked again for what it has not sent. It ends tasks whose blobs are nowhere.
    fn ask_again_at(&self) -> Option<Time> {
        self.blobs.waits_for_answers().then(|| self.asked_at + ASK_AGAIN_AFTER)
    }

    /// The file of a client's executable; `None` if it is gone. Those of `tasks` stay.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn executable<'a>(
        &mut self,
        hash: BlobHash,
        now: Time,
        tasks: impl Iterator<Item = &'a Task>,
    ) -> Result<Option<PathBuf>, ExecutableError> {
        if let Some(path) = self.executables.find(hash, now) {
            return Ok(Some(path));
        }
        let Some(payload) = self.blobs.find(hash) else {
            // It was here when the task came: somebody has removed its file.
            self.blobs.on_files_lost(&[hash]);
            return Ok(None);
        };
        let path = self.executables.add(hash, &payload, now, &executables_of(tasks))?;
        self.blobs.on_moved_to_file(hash);
        let is_big = payload.len() > BIG_BYTES;
        drop(payload);
        if is_big {
            memory::give_back();
        }
        Ok(Some(path))
    }

    /// When [`Self::on_time`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let unused = [self.questions.answers.next_deadline(), self.executables.cold_at()];
        unused.into_iter().chain([self.ask_again_at()]).flatten().min()
    }

    /// Drops what was not used for long, except what `tasks` need, and repeats questions without an answer.
    pub(crate) fn on_time<'a, I: Iterator<Item = &'a Task>>(&mut self, now: Time, tasks: impl Fn() -> I) {
        if self.ask_again_at().is_some_and(|at| at <= now) {
            self.blobs.ask_again();
            self.want_blobs();
        }
        if self.questions.answers.next_deadline().is_some_and(|at| at <= now) {
            let is_here = |session| tasks().any(|task| task.head.id.session == session);
            self.questions.answers.drop_idle(now, is_here);
        }
        if self.executables.cold_at().is_some_and(|at| at <= now) {
            let gone = self.executables.remove_cold(now, &executables_of(tasks()));
            self.blobs.on_files_lost(&gone);
        }
    }
}

/// The executables that tasks will start, or have started.
fn executables_of<'a>(tasks: impl Iterator<Item = &'a Task>) -> FxHashSet<BlobHash> {
    tasks.filter_map(Task::executable).collect()
}
