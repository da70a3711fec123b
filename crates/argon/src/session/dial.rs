//! The managers of a cluster, as a user named them, and one try to reach one of them.

use std::path::Path;
use std::time::Duration;

use argon_net::dial::dial_through_worker;
use argon_net::key_file::{self, KeyError, KeySource};
use argon_net::{Connected, DialError, Trust, dial};
use argon_proto::TaskId;
use argon_proto::handshake::RefusalCode;
use argon_proto::key::Role;
use argon_proto::limit::FIRST_MANAGER_WITHIN;
use argon_session::Input;

use crate::task_identity::WorkerAccess;

/// First search of a client inside a task: its worker may be without a manager for a while.
const FIRST_FROM_TASK_WITHIN: Duration = Duration::from_secs(30);

/// The ways to the pool, and how long to look for the first connection.
#[derive(Debug)]
pub(crate) struct ManagerList {
    ways: Ways,
    first_within: Duration,
}

#[derive(Debug)]
enum Ways {
    /// To managers at these addresses, with the key, which is read anew for each try.
    Addresses(Vec<String>, KeySource, Trust),
    /// Through the worker of the task that this program executes.
    Worker(WorkerAccess),
}

/// The key of a client of this user, for the managers at these addresses.
pub(crate) fn find_key(named: Option<&Path>, addresses: &[String]) -> Result<KeySource, KeyError> {
    let found = key_file::find_for(named, &[Role::Client]);
    let manager = addresses.first().map_or("HOST:PORT", String::as_str);
    Ok(KeySource::of(&found.map_err(|error| error.with_manager(manager))?))
}

impl ManagerList {
    pub(crate) fn new(
        addresses: Vec<String>,
        key: KeySource,
        trust: Trust,
        first_within: Option<Duration>,
    ) -> Self {
        let first_within = first_within.unwrap_or(FIRST_MANAGER_WITHIN);
        Self { ways: Ways::Addresses(addresses, key, trust), first_within }
    }

    pub(crate) fn through_worker(worker: WorkerAccess, first_within: Option<Duration>) -> Self {
        let first_within = first_within.unwrap_or(FIRST_FROM_TASK_WITHIN);
        Self { ways: Ways::Worker(worker), first_within }
    }

    pub(super) fn len(&self) -> usize {
        match &self.ways {
            Ways::Addresses(addresses, ..) => addresses.len(),
            Ways::Worker(_) => 1,
        }
    }

    pub(super) fn first_within(&self) -> Duration {
        self.first_within
    }

    /// The task whose client this is.
    pub(super) fn parent(&self) -> Option<TaskId> {
        match &self.ways {
            Ways::Addresses(..) => None,
            Ways::Worker(worker) => Some(worker.child.task),
        }
    }

    /// One try; a failure as the session's machine receives it.
    pub(super) async fn dial(&self, address: usize) -> Result<Connected, Input> {
        let connected = match &self.ways {
            Ways::Addresses(addresses, key, trust) => {
                dial(&addresses[address], &key.read(), Role::Client, trust).await
            }
            Ways::Worker(worker) => dial_through_worker(&worker.socket, &worker.child).await,
        };
        connected.map_err(|error| Input::DialFailed {
            why: error.to_string(),
            advice: advice(&error, self.parent().is_some()).to_owned(),
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

/// Advice for the user.
fn advice(error: &DialError, is_task: bool) -> &'static str {
    match error {
        DialError::Unreachable { .. } if is_task => "; see the log of the worker",
        DialError::Unreachable { .. } => "; is it running ('argon up' starts one), and is the address right?",
        DialError::Refused { .. } => "",
        DialError::Role(_) => "; use the cluster key, or a client's ('argon key --role client')",
    }
}
