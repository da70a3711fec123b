//! The manager that a command asks: the one that is named, that of the task, or that of this machine.

use std::sync::OnceLock;

use argon_net::address::{self, ParseAddressError};
use clap::Args;

use super::options::KeyOption;
use crate::exit::{Failure, FailureKind};
use crate::local_managers;

/// Port of a manager whose address names none.
const PORT: u16 = 8000;
/// Where a manager listens by default.
const DEFAULT: &str = "127.0.0.1:8000";

/// Reads the address of a manager. Without a port it is that of a manager by default.
pub(super) fn parse_address(text: &str) -> Result<String, ParseAddressError> {
    address::parse(text, Some(PORT))
}

/// The manager to ask.
#[derive(Debug, Args)]
pub(super) struct ManagerOption {
    /// The manager's address [default: that of this user on this machine, else 127.0.0.1:8000]
    #[arg(long, value_name = "HOST:PORT", env = "ARGON_MANAGER", hide_env_values = true, value_parser = parse_address)]
    pub(super) manager: Option<String>,
}

impl ManagerOption {
    /// The address, for a command that asks the manager itself.
    ///
    /// # Errors
    /// In a task, if neither an address nor a key is given: a task has no way to the manager but its worker. If this user runs
    /// several managers here, and none is named.
    pub(super) fn address(&self, command: &str, key: &KeyOption) -> Result<&str, Failure> {
        if self.is_of_task(key) {
            let message = format!(
                "argon {command} asks the manager itself, and inside a task it has no address and no key; give \
                 --manager and --key, or run it outside of the task (argon run, map, submit and collect work here)"
            );
            return Err(Failure::new(FailureKind::Usage, message));
        }
        self.or_found()
    }

    /// True if the command runs in a task and uses the pool of that task.
    pub(super) fn is_of_task(&self, key: &KeyOption) -> bool {
        let has_worker = std::env::var_os("ARGON_WORKER_SOCKET").is_some_and(|path| !path.is_empty());
        has_worker && self.manager.is_none() && key.key.is_none()
    }

    /// The address that was given, or of the manager that this user has started on this machine.
    ///
    /// # Errors
    /// If there are several.
    pub(super) fn or_found(&self) -> Result<&str, Failure> {
        static FOUND: OnceLock<Vec<String>> = OnceLock::new();
        match &self.manager {
            Some(manager) => Ok(manager),
            None => choose(FOUND.get_or_init(local_managers::addresses)),
        }
    }
}

/// The manager at the default address before others; another one if it is alone.
fn choose(found: &[String]) -> Result<&str, Failure> {
    match found {
        [] => Ok(DEFAULT),
        [only] => Ok(only),
        several if several.iter().any(|address| address == DEFAULT) => Ok(DEFAULT),
        several => Err(Failure::new(
            FailureKind::Usage,
            format!(
                "you run several managers on this machine, at {}; name one with --manager or ARGON_MANAGER",
                several.join(" and ")
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_of_this_machine_is_found_and_several_are_told_apart() {
        let found = |addresses: &[&str]| {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            choose(&addresses).map(str::to_owned).map_err(|failure| failure.to_string())
        };
        assert_eq!(found(&[]), Ok("127.0.0.1:8000".to_owned()));
        assert_eq!(found(&["10.0.0.7:9000"]), Ok("10.0.0.7:9000".to_owned()));
        assert_eq!(found(&["10.0.0.7:9000", "127.0.0.1:8000"]), Ok("127.0.0.1:8000".to_owned()));
        let several = found(&["10.0.0.7:9000", "127.0.0.1:9001"]).expect_err("two");
        assert!(
            several.contains("at 10.0.0.7:9000 and 127.0.0.1:9001; name one with --manager"),
            "{several}"
        );
    }

    #[test]
    fn an_address_without_a_port_is_that_of_a_manager_by_default() {
        assert_eq!(parse_address("mgrhost").ok().as_deref(), Some("mgrhost:8000"));
        assert_eq!(parse_address("mgrhost:9").ok().as_deref(), Some("mgrhost:9"));
    }
}
