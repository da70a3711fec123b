//! Shared parts of the commands that use the pool: connecting to it, messages about each command, and interrupts.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use argon::{Addresses, Client, Connect, Error, ErrorKind, Priority, RetryOn, TaskOptions, Ticket};
use argon_proto::capability::ParseTicketError;
use argon_proto::conversation::admin::ManagerStatus;
use argon_proto::key::Role;
use clap::{Args, ValueEnum};
use serde_json::Map;

use super::options::{KeyOption, ManagerOption, TrustOption, whole};
use super::quantity::time_limit;
use crate::command::invocation::Invocation;
use crate::command::trace;
use crate::exit::{Failure, FailureKind};
use crate::key_file;
use crate::net::ask::not_in_silence;
use crate::output::complain;

/// Options that name the manager and the key.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pool")]
pub(super) struct PoolOption {
    #[command(flatten)]
    manager: ManagerOption,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    trust: TrustOption,
}

/// Options of commands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Command")]
pub(super) struct CommandOptions {
    /// Folder on the worker in which the command starts; '...' is a scratch folder that is removed at the
    /// end [default: your present folder, or the worker's own where it does not have that]
    #[arg(long, visible_alias = "wd", alias = "workdir", value_name = "FOLDER")]
    cwd: Option<PathBuf>,
    /// Pass this variable, or exported function of bash, with its value here or the given one; may be
    /// repeated
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<OsString>,
    /// End the command after this time
    #[arg(long, value_name = "TIME", value_parser = time_limit)]
    timeout: Option<Duration>,
    /// Most further starts after a failure or a time limit
    #[arg(long, value_name = "TIMES", default_value_t = 0, value_parser = whole::<u16>(0, u16::MAX))]
    retries: u16,
    /// Priority among waiting tasks
    #[arg(long, value_name = "PRIORITY", value_enum, default_value_t = PriorityChoice::Normal)]
    priority: PriorityChoice,
    /// Add this to the nice value of the command: it yields to other processes of its machine
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true, value_parser = whole::<u8>(0, 19))]
    nice: u8,
    /// Do not start the command again if its worker is lost: it may have done its work
    #[arg(long, conflicts_with = "retries")]
    never_twice: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PriorityChoice {
    High,
    Normal,
    Low,
}

impl PoolOption {
    /// Connects to the manager. Why commands wait is printed.
    pub(super) async fn connect(&self, name: &str) -> Result<Client, Failure> {
        self.connect_with(name, complain).await
    }

    /// Connects to the manager. `tell` receives a line with the reason why commands wait.
    pub(super) async fn connect_with(
        &self,
        name: &str,
        tell: impl Fn(String) + Clone + Send + Sync + 'static,
    ) -> Result<Client, Failure> {
        let tell_of_silence = tell.clone();
        let connect = if self.manager.is_of_task(&self.key) {
            // Without an address and a key, a client inside a task goes through its worker.
            Connect::to(Addresses::default())
        } else {
            let manager = self.manager.or_found()?;
            let found = key_file::find_for(self.key.key.as_deref(), &[Role::Client], manager)?;
            let connect = Connect::to(manager).trust(self.trust.trust()?);
            // A file is read anew for each connection.
            match Path::new(&found.source).exists() {
                true => connect.key_file(&found.source),
                false => connect.key(found.key),
            }
        };
        let connect = connect.name(name).on_waiting(move |waiting| {
            if waiting.is_worth_a_line() {
                tell(format!("waiting: {}", waiting.message));
            }
        });
        let peer = match self.manager.is_of_task(&self.key) {
            true => "the pool of this task".to_owned(),
            false => format!("the manager at {}", self.manager.or_found()?),
        };
        let connecting = not_in_silence(&peer, tell_of_silence, connect.connect());
        connecting.await.map_err(|error| refused(&error))
    }
}

impl CommandOptions {
    /// Folder, environment and options that all commands share.
    ///
    /// `has_files` if files travel with them, into a scratch folder.
    pub(super) fn invocation(&self, has_files: bool) -> Result<Invocation, Failure> {
        let (variables, functions) = self.variables()?;
        let scratch = self.cwd.as_deref() == Some(Path::new("..."));
        if has_files && self.cwd.is_some() && !scratch {
            return Err(Failure::new(
                FailureKind::Usage,
                "files travel into a scratch folder, in which the command starts; leave --cwd away",
            ));
        }
        let scratch = scratch || has_files;
        let (folder, present) = match &self.cwd {
            _ if scratch => (None, None),
            Some(_) => (Some(self.folder()?), None),
            None => (None, Some(self.folder()?)),
        };
        let (umask, nice, options) = (Some(umask()), self.nice, self.options());
        Ok(Invocation {
            folder,
            present,
            variables,
            functions,
            umask,
            nice,
            scratch,
            options,
            ..Invocation::default()
        })
    }

    fn folder(&self) -> Result<String, Failure> {
        let here = || {
            std::env::current_dir().map_err(|error| {
                let advice = "name the folder that the command starts in with --cwd";
                Failure::new(
                    FailureKind::Usage,
                    format!("the folder that you are in is not known: {error}; {advice}"),
                )
            })
        };
        let folder = match &self.cwd {
            Some(folder) if folder.is_absolute() => folder.clone(),
            Some(folder) => here()?.join(folder),
            None => here()?,
        };
        folder.into_os_string().into_string().map_err(|folder| {
            let shown = folder.display();
            Failure::new(
                FailureKind::Usage,
                format!("the folder {shown} is not UTF-8 text; name another with --cwd"),
            )
        })
    }

    /// The variables that commands see, and those of them that are functions of bash.
    fn variables(&self) -> Result<(BTreeMap<OsString, OsString>, Vec<String>), Failure> {
        let wrong = |name: &str, why: &str| Failure::new(FailureKind::Usage, format!("--env {name}: {why}"));
        // What --env names wins.
        let mut variables: BTreeMap<_, _> =
            trace::variables(|name| std::env::var_os(name)).into_iter().collect();
        let mut functions = Vec::new();
        for text in &self.env {
            match text.as_bytes().iter().position(|byte| *byte == b'=') {
                Some(0) => return Err(wrong(&text.to_string_lossy(), "there is no name before the '='")),
                Some(sign) => {
                    let (name, value) = text.as_bytes().split_at(sign);
                    variables.insert(
                        OsStr::from_bytes(name).to_owned(),
                        OsStr::from_bytes(&value[1..]).to_owned(),
                    );
                    continue;
                }
                None => {}
            }
            let name = text.to_string_lossy();
            if name == "_" {
                return Err(wrong(
                    "_",
                    "Argon copies no whole environment; name each variable that the command needs",
                ));
            }
            let function = ["%%", "()"].map(|ending| OsString::from(format!("BASH_FUNC_{name}{ending}")));
            let known = variables.len();
            for own in function.iter().chain([text]) {
                if let Some(value) = std::env::var_os(own) {
                    variables.insert(own.clone(), value);
                }
            }
            if function.iter().any(|own| variables.contains_key(own)) {
                functions.push(name.into_owned());
            } else if known == variables.len() && !variables.contains_key(text) {
                let why = format!(
                    "there is no such variable here; give it a value as {name}=VALUE, or run 'export {name}' (a function: \
                     'export -f {name}') before"
                );
                return Err(wrong(&name, &why));
            }
        }
        Ok((variables, functions))
    }

    fn options(&self) -> TaskOptions {
        let mut options = TaskOptions::new()
            .priority(match self.priority {
                PriorityChoice::High => Priority::High,
                PriorityChoice::Normal => Priority::Normal,
                PriorityChoice::Low => Priority::Low,
            })
            .retries(self.retries)
            .retry_on([RetryOn::Died, RetryOn::Timeout]);
        if let Some(timeout) = self.timeout {
            options = options.timeout(timeout);
        }
        if self.never_twice { options.never_twice() } else { options }
    }
}

/// Mode bits that files which this process makes do not get.
fn umask() -> u32 {
    // The mask can only be read by setting it. No other part of this process creates a file meanwhile.
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    nix::sys::stat::umask(mask);
    mask.bits()
}

/// An error of the pool as a failure of this command.
pub(super) fn refused(error: &Error) -> Failure {
    let kind = if error.kind() == ErrorKind::Unreachable { FailureKind::Reach } else { FailureKind::Other };
    Failure::new(kind, error.to_string())
}

/// A ticket as `argon submit` prints it.
pub(super) fn parse_ticket(text: &str) -> Result<Ticket, String> {
    text.trim().parse().map_err(|error: ParseTicketError| error.to_string())
}

/// Slots of all workers; `None` if the manager does not answer, for instance because it is away.
pub(super) async fn slots(client: &Client) -> Option<u64> {
    let reply = client.request("status", Map::new()).await.ok()?;
    let status: ManagerStatus = serde_json::from_value(reply).ok()?;
    Some(status.scheduler.slots_total)
}
