//! Someone with a key who asks a manager about keys.

use argon_proto::conversation::admin::{Question, Reply};
use argon_proto::key::{Key, Role, Scope};
use clap::Args;

use super::super::options::{KeyOption, ManagerOption, TrustOption};
use crate::exit::{Failure, FailureKind};
use crate::key_file;
use crate::net::ask::ask;

/// Options that name the manager.
#[derive(Debug, Args)]
pub(super) struct AskOptions {
    #[command(flatten)]
    manager: ManagerOption,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    trust: TrustOption,
}

/// Someone with a key who asks a manager.
pub(super) struct Asker<'a> {
    pub(super) key: Key,
    pub(super) source: String,
    address: &'a str,
    options: &'a AskOptions,
}

impl<'a> Asker<'a> {
    pub(super) fn new(command: &str, options: &'a AskOptions) -> Result<Self, Failure> {
        let address = options.manager.address(&format!("key {command}"), &options.key)?;
        let found = key_file::find(options.key.key.as_deref())?;
        Ok(Self { key: found.key, source: found.source, address, options })
    }

    pub(super) fn must_have_cluster_key(&self) -> Result<(), Failure> {
        if self.key.scope() == Scope::Cluster {
            return Ok(());
        }
        let why = format!(
            "{} is not the cluster key, and keys of people follow from it; run this where the cluster key is",
            self.source
        );
        Err(Failure::new(FailureKind::Key, why))
    }

    pub(super) fn ask(&self, question: &Question) -> Result<Reply, Failure> {
        let trust = self.options.trust.trust()?;
        super::super::block_on(ask(self.address, &self.key, &trust, Role::Admin, question))
    }
}
