//! The Python environments of clients on this machine: finds those that the pool asks for, and how each is started.
//!
//! A look at a folder may hang with its file system, so it has a thread of its own, and a limit. Packages are installed on
//! threads, too, one list after the other.

mod cache;
mod folder;
mod installer;
mod mark;
mod order;
mod packages;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use argon_core::pool::{Environment, EnvironmentFound, EnvironmentId, Version};
use argon_proto::conversation::worker::Installing;
use argon_proto::{BlobHash, Payload};
use tokio::sync::mpsc;

use super::pythons::Python;
use super::{Launch, python};
use crate::worker::config::WorkerConfig;
use crate::worker::process::sandbox::SandboxConfig;
use crate::worker::process::user::RunAs;
pub use order::PackagesConfig;
use order::{Cancelled, PackageOrder};
use packages::NoPackages;

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
    /// Keeps an environment of the cache while it is used.
    pub(super) _lock: Option<Arc<File>>,
}

/// Packages that are being installed.
#[derive(Debug)]
struct Build {
    list: BlobHash,
    packages: usize,
    cancelled: Cancelled,
}

/// Who uses an environment, and in which sandbox.
#[derive(Clone, Debug)]
pub(super) struct Users {
    user: Option<Arc<RunAs>>,
    sandbox: Option<SandboxConfig>,
}

/// Result of a look: an environment of its own, or what is used in its place.
type LookResult = Result<UsableFolder, EnvironmentFound>;

/// What is asked of [`Environments::find`].
#[derive(Debug)]
pub(in crate::worker) struct EnvironmentQuestion<'a> {
    pub(in crate::worker) id: EnvironmentId,
    pub(in crate::worker) environment: Environment,
    pub(in crate::worker) version: Version,
    /// The bytes of the list that it names, if they are here.
    pub(in crate::worker) list: Option<Payload>,
    /// The worker's interpreter of that version.
    pub(super) own: Option<&'a Python>,
}

/// See the module.
#[derive(Debug)]
pub(in crate::worker) struct Environments {
    /// False if tasks run in the worker's own interpreters only.
    is_used: bool,
    /// None if this worker installs nothing.
    packages: Option<PackagesConfig>,
    worker: String,
    builds: BTreeMap<EnvironmentId, Build>,
    /// Held by who installs.
    turn: Arc<Mutex<()>>,
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
            packages: config.packages.clone(),
            worker: config.name.clone(),
            builds: BTreeMap::new(),
            turn: Arc::default(),
            ready: BTreeMap::new(),
            users: Users { user: config.run_as.clone(), sandbox: config.sandbox.clone() },
            path: std::env::var_os("PATH").unwrap_or_default(),
            looks: Arc::default(),
            answers,
            answered,
        }
    }

    /// Begins to look for an environment, or to install it.
    pub(super) fn find(&mut self, question: EnvironmentQuestion<'_>) {
        let EnvironmentQuestion { id, environment, version, list, own } = question;
        match environment {
            Environment::Folder { prefix, mark } if self.is_used => {
                let own = own.map(|python| python.program.clone());
                self.look(id, folder::Wanted { prefix, mark, version, own });
            }
            Environment::Folder { .. } => self.answer(id, Err(EnvironmentFound::AsWorker)),
            Environment::Packages { list: hash } => match self.order(version, list, own) {
                Ok(wanted) => self.install(id, hash, wanted),
                Err(why) => self.answer(id, Err(EnvironmentFound::Failed(why))),
            },
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

    /// The order to install a list, or why this worker cannot.
    fn order(
        &self,
        version: Version,
        list: Option<Payload>,
        own: Option<&Python>,
    ) -> Result<PackageOrder, String> {
        let worker = &self.worker;
        let Some(config) = &self.packages else {
            return Err(format!(
                "worker {worker} installs no packages (--no-packages); install them there, and let the task go without"
            ));
        };
        if self.users.sandbox.is_some() {
            return Err(format!(
                "worker {worker} runs tasks in a sandbox, and installs no packages; install them there, and let the task \
                 go without"
            ));
        }
        let Some(python) = own else {
            return Err(format!(
                "worker {worker} has no Python {version} to install the task's packages for; install it there, or name it \
                 to the worker with --python, and restart the worker"
            ));
        };
        let bytes: Option<Vec<u8>> = list.map(|list| list.parts().iter().flatten().copied().collect());
        let Some(Ok(list)) = bytes.map(String::from_utf8) else {
            return Err("the list of the task's packages is not text, or is not among its blobs".to_owned());
        };
        Ok(PackageOrder {
            list,

            full_version: python.full_version.clone(),
            program: python.program.clone(),
            config: config.clone(),
            users: self.users.clone(),
            worker: worker.clone(),
            uses_uv: true,
        })
    }

    fn install(&mut self, id: EnvironmentId, list: BlobHash, wanted: PackageOrder) {
        let (turn, answers, cancelled) = (Arc::clone(&self.turn), self.answers.clone(), Cancelled::default());
        let build =
            Build { list, packages: packages::count(&wanted.list), cancelled: Arc::clone(&cancelled) };
        let install = move || match packages::provide(&wanted, &turn, &cancelled) {
            Ok(place) => drop(answers.send((id, Ok(place)))),
            Err(NoPackages::Failed(why)) => drop(answers.send((id, Err(EnvironmentFound::Failed(why))))),
            Err(NoPackages::Cancelled) => {}
        };
        match std::thread::Builder::new().name("argon packages".to_owned()).spawn(install) {
            Ok(_) => drop(self.builds.insert(id, build)),
            Err(error) => {
                let why = format!("worker {} cannot install packages: {error}", self.worker);
                self.answer(id, Err(EnvironmentFound::Failed(why)));
            }
        }
    }

    /// What is being installed.
    pub(in crate::worker) fn installing(&self) -> Vec<Installing> {
        let shown = |build: &Build| Installing {
            list: build.list,
            packages: u32::try_from(build.packages).unwrap_or(u32::MAX),
        };
        self.builds.values().map(shown).collect()
    }

    fn answer(&self, id: EnvironmentId, found: LookResult) {
        let _ = self.answers.send((id, found));
    }

    /// Forgets an environment; ends its build.
    pub(in crate::worker) fn forget(&mut self, id: EnvironmentId) {
        if let Some(build) = self.builds.remove(&id) {
            build.cancelled.store(true, Ordering::Relaxed);
        }
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
        self.builds.remove(&id);
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
        let UsableFolder { prefix, program, _lock: _ } = self.ready.get(&id)?;
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

impl Drop for Environments {
    /// Builds end with the worker.
    fn drop(&mut self) {
        self.builds.values().for_each(|build| build.cancelled.store(true, Ordering::Relaxed));
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
