//! Options of the commands that ask a manager, and the question itself.

use argon_net::Trust;
use argon_proto::conversation::admin::{Question, Reply};
use argon_proto::holder::OwnerName;
use argon_proto::key::{Key, Role};
use clap::Args;
use serde::de::DeserializeOwned;

use super::options::{KeyOption, ManagerOption, TrustOption};
use crate::exit::Failure;
use crate::key_file;
use crate::net::ask::{ask, role_for, unreadable};

/// Which manager is asked, and with which key.
#[derive(Debug, Args)]
pub(super) struct AskingOptions {
    #[command(flatten)]
    manager: ManagerOption,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    trust: TrustOption,
}

/// A manager that can be asked.
pub(super) struct Asking<'a> {
    pub(super) address: &'a str,
    key: Key,
    trust: Trust,
    role: Role,
}

impl AskingOptions {
    /// For a command that looks: every key but a worker's will do.
    pub(super) fn looking(&self, command: &str) -> Result<Asking<'_>, Failure> {
        self.with_roles(command, &[Role::Observer, Role::Client, Role::Admin], Role::Observer)
    }

    fn with_roles(&self, command: &str, roles: &[Role], wanted: Role) -> Result<Asking<'_>, Failure> {
        let address = self.manager.address(command, &self.key)?;
        let found = key_file::find_for(self.key.key.as_deref(), roles, address)?;
        let trust = self.trust.trust()?;
        let role = role_for(&found.key, wanted);
        Ok(Asking { address, key: found.key, trust, role })
    }
}

impl Asking<'_> {
    /// Owner of what is done with this key.
    pub(super) fn owner(&self) -> OwnerName {
        self.key.holder().map(|holder| holder.name.clone()).unwrap_or_default()
    }

    /// The answer to a question.
    pub(super) async fn ask(&self, question: &Question) -> Result<Reply, Failure> {
        ask(self.address, &self.key, &self.trust, self.role, question).await
    }

    /// The answer to a question as its type.
    pub(super) async fn read<T: DeserializeOwned>(&self, question: &Question) -> Result<T, Failure> {
        self.ask(question).await?.read().map_err(|error| unreadable(&error))
    }
}

/// A value as one line of JSON.
pub(super) fn json_line(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| unreadable(&error))
}
