//! The runtimes that this worker offers, and how a runner of each is started: one file below for each interpreter.
//!
//! A missing interpreter is not an error: the worker serves the others. An interpreter that was named by an option must work.

pub(in crate::worker) mod environments;
mod perl;
mod python;
mod pythons;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use argon_core::pool::{Environment, EnvironmentId, TemplateKey, Version};
use argon_proto::{Payload, Runtime, Task};
use bytes::Bytes;

use super::config::{WorkerConfig, WorkerError};
use super::process::kernel;
use super::process::user::RunAs;

use environments::{EnvironmentQuestion, Environments};
pub(super) use pythons::{Python, Pythons};

/// An interpreter that has not reported its version by then is broken.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(10);

/// Program, arguments and first bytes of a runner.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    /// Variables that its runners have beside those of all runners.
    pub(super) variables: Vec<(OsString, OsString)>,
    /// Bytes written to its socket first.
    pub(super) preamble: Bytes,
}

/// The runtimes of this worker.
#[derive(Debug)]
pub(super) struct Runtimes {
    /// Its version, and how it is started.
    perl: Option<(String, Launch)>,
    pub(super) pythons: Pythons,
    pub(super) environments: Environments,
}

impl Runtimes {
    /// Looks for Perl, and for the Pythons that were named; others are looked for later, since that takes a while.
    ///
    /// # Errors
    /// If an interpreter that was named is not there, or too old.
    pub(super) fn discover(config: &WorkerConfig) -> Result<Self, WorkerError> {
        let perl = match perl::discover(config) {
            Ok(version) => Some((version, perl::launch(config))),
            Err(error) if config.perl.is_some() => return Err(error),
            Err(error) => {
                tracing::info!("this worker runs no Perl tasks: {error}");
                None
            }
        };
        let pythons = Pythons::named(&config.pythons, config.run_as.clone())?;
        Ok(Self { perl, pythons, environments: Environments::new(config) })
    }

    /// The runtimes, in the order of preference.
    pub(super) fn offered(&self) -> Vec<Runtime> {
        let perl = self.perl.iter().map(|_| Runtime::Perl);
        let python = (!self.pythons.found().is_empty()).then_some(Runtime::Python);
        perl.chain(python).chain([Runtime::Native, Runtime::Exec]).collect()
    }

    /// The runtimes with their versions, for people.
    pub(super) fn described(&self) -> Vec<(Runtime, String)> {
        let describe = |runtime| match runtime {
            Runtime::Perl => self.perl.as_ref().map(|(version, _)| version.clone()).unwrap_or_default(),
            Runtime::Python => self.pythons.described(),
            Runtime::Native => format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            Runtime::Exec => std::env::consts::OS.to_owned(),
        };
        self.offered().into_iter().map(|runtime| (runtime, describe(runtime))).collect()
    }

    /// True while it is not known whether this machine has the interpreter that a task wants.
    pub(super) fn must_wait(&mut self, task: &Task) -> bool {
        match task.head.runtime {
            Runtime::Python => self.pythons.must_wait(Version::wanted_by(task)),
            Runtime::Perl | Runtime::Native | Runtime::Exec => false,
        }
    }

    /// Begins to look for an environment of a client.
    pub(super) fn find_environment(
        &mut self,
        id: EnvironmentId,
        environment: Environment,
        version: Version,
        list: Option<Payload>,
    ) {
        let own = self.pythons.found().iter().find(|python| python.version == version);
        self.environments.find(EnvironmentQuestion { id, environment, version, list, own });
    }

    /// Launch of a runner or a template; `None` if this worker does not have the interpreter.
    pub(super) fn launch(&self, key: TemplateKey) -> Option<Launch> {
        if let Some(id) = key.environment {
            return self.environments.launch(id);
        }
        match (key.runtime, key.version) {
            (Runtime::Perl, _) => self.perl.as_ref().map(|(_, launch)| launch.clone()),
            (Runtime::Python, Some(version)) => {
                let python = self.pythons.found().iter().find(|python| python.version == version)?;
                Some(python::launch(&python.program))
            }
            (Runtime::Python | Runtime::Native | Runtime::Exec, _) => None,
        }
    }
}

/// Starts a short command whose answer is wanted, as the user that will run it.
fn ask(mut command: Command, user: Option<&Arc<RunAs>>) -> Result<Child, String> {
    if let Some(user) = user.cloned() {
        command.envs(user.variables());
        // SAFETY: it is async-signal-safe.
        unsafe { command.pre_exec(move || Ok(user.become_it()?)) };
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())
}

/// The standard output of a short command, or why there is none.
fn answer_of(mut child: Child) -> Result<String, String> {
    let has_ended = kernel::wait_until_ended(&child, DISCOVERY_LIMIT).map_err(|error| error.to_string())?;
    if !has_ended {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("it did not answer for {} s", DISCOVERY_LIMIT.as_secs()));
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("it ended with {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
