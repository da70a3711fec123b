//! Python environments that clients name: which tasks wait for one, run in it, or do without.
//!
//! An environment is the client's own folder (a venv, a conda prefix), or a list of packages. The shell looks whether the
//! folder is here, or installs the packages; meanwhile the environment is pending, and tasks of its kind wait while others
//! go on. A folder that is not here costs nothing but the look: its tasks run in the worker's own interpreter. Packages that
//! cannot be installed end their tasks, for a while without another attempt.

use std::time::Duration;

use argon_proto::{Runtime, Task};

use super::effect::Effect;
use super::environment::{Environment, EnvironmentFound, EnvironmentId, EnvironmentMeta, PythonMeta};
use super::kind::{Program, RunnerKind, Version};
use super::{Pool, WaitingAttempt};
use crate::time::Time;

/// Environments that a worker knows at once; the longest unused makes room for a new one.
pub const ENVIRONMENTS_MAX: usize = 16;
/// Time for which an environment that is not here, or cannot be built, is not tried again.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Known {
    id: EnvironmentId,
    environment: Environment,
    version: Version,
    state: EnvironmentState,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum EnvironmentState {
    Pending,
    Ready,
    AsWorker { until: Time },
    Failed { until: Time, why: String },
}

/// The environments of a pool, the longest unused first.
#[derive(Debug, Default)]
pub(super) struct Environments {
    known: Vec<Known>,
    last: u64,
    /// Program of the Python task that came last: the next one often has the same meta, which then need not be read.
    memo: Option<Memo>,
}

#[derive(Debug)]
struct Memo {
    meta: Vec<u8>,
    program: Program,
    until: Option<Time>,
}

impl Pool {
    /// Program of a Python task. Has its environment looked for when it is new.
    ///
    /// # Errors
    /// If this worker cannot run it: the reason.
    pub(super) fn python_program(
        &mut self,
        now: Time,
        task: &Task,
        out: &mut Vec<Effect>,
    ) -> Result<Program, String> {
        let meta = task.meta();
        if let Some(memo) = &self.environments.memo
            && memo.meta == meta
            && memo.until.is_none_or(|until| now < until)
        {
            return Ok(memo.program);
        }
        let (asked, environment) =
            PythonMeta::read(meta).map_or((None, None), |read| (read.python, read.environment));
        let (program, until) = match environment {
            Some(environment) => self.program_in(now, asked, environment, out)?,
            None => (Program::Version(self.version_for(asked)?), None),
        };
        self.environments.memo = Some(Memo { meta: meta.to_owned(), program, until });
        Ok(program)
    }

    fn program_in(
        &mut self,
        now: Time,
        asked: Option<String>,
        meta: EnvironmentMeta,
        out: &mut Vec<Effect>,
    ) -> Result<(Program, Option<Time>), String> {
        let version = meta.python.as_deref().or(asked.as_deref()).and_then(Version::parse);
        let (Some(version), Some(environment)) = (version, meta.environment()) else {
            return Ok((Program::Version(self.version_for(asked)?), None));
        };
        let known = &mut self.environments.known;
        let at = known.iter().position(|one| one.version == version && one.environment == environment);
        if let Some(at) = at {
            let mut one = known.remove(at);
            let is_over = |until: &Time| *until <= now;
            match &one.state {
                EnvironmentState::AsWorker { until } | EnvironmentState::Failed { until, .. }
                    if is_over(until) =>
                {
                    one.state = EnvironmentState::Pending;
                    out.push(Effect::FindEnvironment { id: one.id, environment, version });
                }
                EnvironmentState::Pending
                | EnvironmentState::Ready
                | EnvironmentState::AsWorker { .. }
                | EnvironmentState::Failed { .. } => {}
            }
            let (id, state) = (one.id, one.state.clone());
            known.push(one);
            return match state {
                EnvironmentState::Pending | EnvironmentState::Ready => {
                    Ok((Program::Environment(id, version), None))
                }
                EnvironmentState::AsWorker { until } => {
                    Ok((Program::Version(self.version_for(asked)?), Some(until)))
                }
                EnvironmentState::Failed { why, .. } => Err(why),
            };
        }
        if !self.make_room_for_environment(out) {
            return match environment {
                Environment::Folder { .. } => Ok((Program::Version(self.version_for(asked)?), Some(now))),
                Environment::Packages { .. } => Err(format!(
                    "worker {} is busy with {ENVIRONMENTS_MAX} other environments, which is its limit; try again later",
                    self.settings.name
                )),
            };
        }
        self.environments.last += 1;
        let id = EnvironmentId(self.environments.last);
        let state = EnvironmentState::Pending;
        self.environments.known.push(Known { id, environment: environment.clone(), version, state });
        out.push(Effect::FindEnvironment { id, environment, version });
        Ok((Program::Environment(id, version), None))
    }

    /// True if runners of this kind may be started, as far as their environment decides.
    pub(super) fn has_environment_of(&self, kind: RunnerKind) -> bool {
        let Program::Environment(id, _) = kind.program else {
            return true;
        };
        self.environments.known.iter().any(|one| one.id == id && one.state == EnvironmentState::Ready)
    }

    pub(super) fn on_environment_found(
        &mut self,
        now: Time,
        id: EnvironmentId,
        found: EnvironmentFound,
        out: &mut Vec<Effect>,
    ) {
        let until = now + REMEMBERED_FOR;
        let state = match &found {
            EnvironmentFound::Own => EnvironmentState::Ready,
            EnvironmentFound::AsWorker => EnvironmentState::AsWorker { until },
            EnvironmentFound::Failed(why) => EnvironmentState::Failed { until, why: why.clone() },
        };
        let Some(one) = self.environments.known.iter_mut().find(|one| one.id == id) else {
            return;
        };
        one.state = state;
        self.forget_memo();
        if found != EnvironmentFound::Own {
            self.forget_processes_of(id, out);
            self.send_elsewhere(now, id, out);
        }
    }

    /// No process comes up in an environment. Returns false if `kind` has none.
    pub(super) fn on_environment_unusable(
        &mut self,
        now: Time,
        program: Program,
        why: &str,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Program::Environment(id, _) = program else {
            return false;
        };
        let known = self.environments.known.iter().find(|one| one.id == id);
        let found = match known.map(|one| &one.environment) {
            Some(Environment::Packages { .. }) => EnvironmentFound::Failed(format!(
                "the environment with the task's packages does not start on worker {}: {why}",
                self.settings.name
            )),
            Some(Environment::Folder { .. }) | None => EnvironmentFound::AsWorker,
        };
        self.on_environment_found(now, id, found, out);
        true
    }

    /// Lets go of pending lists of packages that no attempt waits for.
    pub(super) fn cancel_unwanted_environments(&mut self, out: &mut Vec<Effect>) {
        let is_pending = |one: &&Known| {
            one.state == EnvironmentState::Pending && matches!(one.environment, Environment::Packages { .. })
        };
        let pending: Vec<EnvironmentId> =
            self.environments.known.iter().filter(is_pending).map(|one| one.id).collect();
        for id in pending {
            if !self.waiting.iter().flatten().any(|waiting| is_of(waiting.key.kind, id)) {
                self.environments.known.retain(|one| one.id != id);
                self.forget_memo();
                out.push(Effect::ForgetEnvironment { id });
            }
        }
    }

    pub(super) fn forget_memo(&mut self) {
        self.environments.memo = None;
    }

    /// Forgets the longest unused environment if there are as many as there may be. False if all are in use.
    fn make_room_for_environment(&mut self, out: &mut Vec<Effect>) -> bool {
        if self.environments.known.len() < ENVIRONMENTS_MAX {
            return true;
        }
        let is_used = |id| {
            let waits = self.waiting.iter().flatten().any(|waiting| is_of(waiting.key.kind, id));
            waits || self.runners.iter().any(|runner| is_of(runner.kind, id) && !runner.is_idle())
        };
        let unused = |one: &&Known| one.state != EnvironmentState::Pending && !is_used(one.id);
        let Some(id) = self.environments.known.iter().find(unused).map(|one| one.id) else {
            return false;
        };
        self.environments.known.retain(|one| one.id != id);
        self.forget_memo();
        self.forget_processes_of(id, out);
        out.push(Effect::ForgetEnvironment { id });
        true
    }

    /// Ends idle runners and the template of an environment.
    fn forget_processes_of(&mut self, id: EnvironmentId, out: &mut Vec<Effect>) {
        let idle: Vec<_> =
            self.runners.idle().filter(|runner| is_of(runner.kind, id)).map(|one| one.id).collect();
        idle.into_iter().for_each(|runner| self.retire(runner, out));
        self.forget_template_of(id, out);
        self.forget_health_of(|kind| is_of(kind, id));
    }

    /// What waited for an environment runs in the worker's own interpreter, or ends.
    fn send_elsewhere(&mut self, now: Time, id: EnvironmentId, out: &mut Vec<Effect>) {
        for lane in 0..self.waiting.len() {
            let all = std::mem::take(&mut self.waiting[lane]);
            let mut kept = std::collections::VecDeque::with_capacity(all.len());
            for mut waiting in all {
                if !is_of(waiting.key.kind, id) {
                    kept.push_back(waiting);
                    continue;
                }
                match self.key_of(now, &waiting.task, out) {
                    Ok(key) => {
                        waiting.key = key;
                        self.runners.note_waiting(key);
                        kept.push_back(waiting);
                    }
                    Err(why) => {
                        let WaitingAttempt { task, .. } = waiting;
                        self.refuse(&task, why, out);
                    }
                }
            }
            self.waiting[lane] = kept;
        }
    }
}

fn is_of(kind: RunnerKind, id: EnvironmentId) -> bool {
    kind.runtime == Runtime::Python && matches!(kind.program, Program::Environment(of, _) if of == id)
}
