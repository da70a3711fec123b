//! The Python environments of clients on this machine: finds those that the pool asks for, and how each is started.
//!
//! A look at a folder may hang with its file system, so it has a thread of its own, and a limit.

mod folder;
mod mark;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use argon_core::pool::{Environment, EnvironmentFound, EnvironmentId, Version};
use tokio::sync::mpsc;

use super::pythons::Python;
use super::{Launch, python};
use crate::worker::config::WorkerConfig;
use crate::worker::process::sandbox::SandboxConfig;
use crate::worker::process::user::RunAs;

/// A folder that does not answer within this time is not used.
const LOOK_LIMIT: Duration = Duration::from_secs(5);
/// Looks that may hang at once; others are answered as if the folder were not here.
const LOOKS_MAX: usize = 16;

/// An environment that can be used.
#[derive(Clone, Debug)]
pub(super) struct UsableFolder {
    /// Its folder.
    pub(super) prefix: PathBuf,
    /// Its interpreter.
    pub(super) program: PathBuf,
}

/// Who uses an environment, and in which sandbox.
#[derive(Clone, Debug)]
pub(super) struct Users {
    user: Option<Arc<RunAs>>,
    sandbox: Option<SandboxConfig>,
}

/// Result of a look: an environment of its own, or what is used in its place.
type LookResult = Result<UsableFolder, EnvironmentFound>;

/// See the module.
#[derive(Debug)]
pub(in crate::worker) struct Environments {
    /// False if tasks run in the worker's own interpreters only.
    is_used: bool,
    ready: BTreeMap<EnvironmentId, UsableFolder>,
    users: Users,
    /// PATH of the runners.
    path: OsString,
    looks: Arc<AtomicUsize>,
    answers: mpsc::UnboundedSender<(EnvironmentId, LookResult)>,
    answered: mpsc::UnboundedReceiver<(EnvironmentId, LookResult)>,
}

impl Environments {
    pub(super) fn new(config: &WorkerConfig) -> Self {
        let (answers, answered) = mpsc::unbounded_channel();
        Self {
            is_used: config.environments,
            ready: BTreeMap::new(),
            users: Users { user: config.run_as.clone(), sandbox: config.sandbox.clone() },
            path: std::env::var_os("PATH").unwrap_or_default(),
            looks: Arc::default(),
            answers,
            answered,
        }
    }

    /// Begins to look for an environment. `own` is the worker's interpreter of that version.
    pub(super) fn find(
        &mut self,
        id: EnvironmentId,
        environment: Environment,
        version: Version,
        own: Option<&Python>,
    ) {
        let own = own.map(|python| python.program.clone());
        match environment {
            Environment::Folder { prefix, mark } if self.is_used => {
                self.look(id, folder::Wanted { prefix, mark, version, own });
            }
            Environment::Folder { .. } => self.answer(id, Err(EnvironmentFound::AsWorker)),
            Environment::Packages { .. } => {
                let why = "this worker installs no packages".to_owned();
                self.answer(id, Err(EnvironmentFound::Failed(why)));
            }
        }
    }

    fn look(&self, id: EnvironmentId, wanted: folder::Wanted) {
        if self.looks.fetch_add(1, Ordering::Relaxed) >= LOOKS_MAX {
            self.looks.fetch_sub(1, Ordering::Relaxed);
            return self.answer(id, Err(EnvironmentFound::AsWorker));
        }
        let (looks, users, answers) = (Arc::clone(&self.looks), self.users.clone(), self.answers.clone());
        let look = move || {
            let (seen, sees) = std::sync::mpsc::channel();
            let see = move || {
                let _ = seen.send(folder::look(&wanted, &users));
                looks.fetch_sub(1, Ordering::Relaxed);
            };
            let found = match std::thread::Builder::new().name("argon look".to_owned()).spawn(see) {
                Ok(_) => sees.recv_timeout(LOOK_LIMIT).unwrap_or(None),
                Err(_) => None,
            };
            let _ = answers.send((id, found.ok_or(EnvironmentFound::AsWorker)));
        };
        if std::thread::Builder::new().name("argon environment".to_owned()).spawn(look).is_err() {
            self.looks.fetch_sub(1, Ordering::Relaxed);
            self.answer(id, Err(EnvironmentFound::AsWorker));
        }
    }

    fn answer(&self, id: EnvironmentId, found: LookResult) {
        let _ = self.answers.send((id, found));
    }

    /// Forgets an environment.
    pub(in crate::worker) fn forget(&mut self, id: EnvironmentId) {
        self.ready.remove(&id);
    }

    /// Takes an answer that has come.
    pub(in crate::worker) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Option<(EnvironmentId, EnvironmentFound)> {
        let Poll::Ready(Some((id, found))) = self.answered.poll_recv(cx) else {
            return None;
        };
        match found {
            Ok(place) => {
                tracing::info!("tasks of a client run in its environment {}", place.prefix.display());
                self.ready.insert(id, place);
                Some((id, EnvironmentFound::Own))
            }
            Err(other) => Some((id, other)),
        }
    }

    /// Launch of a runner or a template in an environment.
    pub(super) fn launch(&self, id: EnvironmentId) -> Option<Launch> {
        let UsableFolder { prefix, program } = self.ready.get(&id)?;
        let mut launch = python::launch(program);
        let bin = prefix.join("bin");
        let folders = [bin].into_iter().chain(std::env::split_paths(&self.path));
        launch.variables.extend(std::env::join_paths(folders).ok().map(|path| ("PATH".into(), path)));
        if prefix.join("pyvenv.cfg").exists() {
            launch.variables.push(("VIRTUAL_ENV".into(), prefix.clone().into()));
        }
        Some(launch)
    }
}

impl Users {
    /// True if tasks may execute what is there: their user reaches it, and in a sandbox they read it and cannot write it.
    pub(super) fn may_run(&self, path: &Path) -> bool {
        let Ok(real) = std::fs::canonicalize(path) else {
            return false;
        };
        let reach = |path: &Path| self.user.as_ref().is_none_or(|user| user.reaches(path));
        reach(path) && reach(&real) && self.sandbox.as_ref().is_none_or(|sandbox| sandbox.may_run(&real))
    }
}
