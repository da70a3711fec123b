//! The managers of a cluster, as a user named them, and one try to reach one of them.

use std::time::Duration;

use argon_net::{Connected, DialError, dial};
use argon_proto::handshake::RefusalCode;
use argon_proto::key::{Key, Role};
use argon_proto::limit::FIRST_MANAGER_WITHIN;
use argon_session::Input;

/// Addresses, the key, and how long to look for the first manager.
#[derive(Debug)]
pub(crate) struct ManagerList {
    addresses: Vec<String>,
    key: Key,
    first_within: Duration,
}

impl ManagerList {
    pub(crate) fn new(addresses: Vec<String>, key: Key, first_within: Option<Duration>) -> Self {
        Self { addresses, key, first_within: first_within.unwrap_or(FIRST_MANAGER_WITHIN) }
    }

    pub(super) fn len(&self) -> usize {
        self.addresses.len()
    }

    pub(super) fn first_within(&self) -> Duration {
        self.first_within
    }

    /// One try; a failure as the session's machine receives it.
    pub(super) async fn dial(&self, address: usize) -> Result<Connected, Input> {
        let connected = dial(&self.addresses[address], &self.key, Role::Client).await;
        connected.map_err(|error| Input::DialFailed {
            why: error.to_string(),
            advice: advice(&error).to_owned(),
            is_final: is_final(&error),
        })
    }
}

/// True if another try would not help.
fn is_final(error: &DialError) -> bool {
    match error {
        DialError::Refused { refusal, .. } => refusal.code != RefusalCode::Busy,
        DialError::Role(_) => true,
        DialError::Unreachable { .. } => false,
    }
}

/// What the user can do.
fn advice(error: &DialError) -> &'static str {
    match error {
        DialError::Unreachable { .. } => "; is it running ('argon up' starts one), and is the address right?",
        DialError::Refused { .. } => "",
        DialError::Role(_) => "; use the cluster key, or a client's ('argon key --role client')",
    }
}
