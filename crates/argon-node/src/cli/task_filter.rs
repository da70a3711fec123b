//! Options that select tasks, the same for every command about several tasks.

use std::time::Duration;

use argon_proto::TaskName;
use argon_proto::conversation::admin::TaskFilter;
use argon_proto::holder::{OwnerName, ParseNameError};
use clap::Args;

use super::quantity::{millis, time};

/// States that can be asked for.
const STATES: [&str; 11] = [
    "waiting",
    "running",
    "ended",
    "failed",
    "ok",
    "error",
    "died",
    "timeout",
    "cancelled",
    "lost",
    "rejected",
];

/// Which tasks are meant.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Filters")]
pub(super) struct FilterOptions {
    /// Tasks in this state: waiting, running, ended, failed, ok, error, died, timeout, cancelled or lost; several with commas
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = STATES, hide_possible_values = true)]
    state: Vec<String>,
    /// Tasks of this owner: a name of 'argon key list', or 'admin'
    #[arg(long, value_name = "NAME", value_parser = parse_owner)]
    owner: Option<OwnerName>,
    /// Your own tasks: those of the owner of your key
    #[arg(long, conflicts_with = "owner")]
    mine: bool,
    /// Tasks with this name: what they call or start, or their label; '*' stands for any text
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Tasks with this label; '*' stands for any text
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Tasks whose last or present attempt is with this worker
    #[arg(long, value_name = "WORKER")]
    worker: Option<String>,
    /// Tasks whose state has changed within this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Duration>,
    /// Tasks whose state has not changed for this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    older: Option<Duration>,
}

impl FilterOptions {
    /// True if all tasks are meant.
    pub(super) fn is_empty(&self) -> bool {
        self.owner.is_none() && !self.mine && self.is_only_owner()
    }

    /// True if tasks are filtered by their owner at most.
    pub(super) fn is_only_owner(&self) -> bool {
        let is_worded = self.name.is_some() || self.label.is_some() || self.worker.is_some();
        self.state.is_empty() && !is_worded && self.since.is_none() && self.older.is_none()
    }

    /// The filter; `own` is the owner of the key that is used.
    pub(super) fn filter(&self, own: OwnerName) -> TaskFilter {
        let owner = if self.mine { Some(own) } else { self.owner.clone() };
        TaskFilter {
            states: self.state.clone(),
            owner: owner.map(|owner| owner.to_string()).unwrap_or_default(),
            name: self.name.clone().unwrap_or_default(),
            label: self.label.clone().unwrap_or_default(),
            worker: self.worker.clone().unwrap_or_default(),
            since_ms: self.since.map(millis),
            older_ms: self.older.map(millis),
            ..TaskFilter::default()
        }
    }
}

pub(super) fn parse_owner(text: &str) -> Result<OwnerName, ParseNameError> {
    OwnerName::read(text).ok_or(ParseNameError)
}

/// A name of a task as it was written, in lower case.
pub(super) fn parse_task(text: &str) -> Result<String, argon_proto::task_name::ParseTaskNameError> {
    let text = text.trim().to_ascii_lowercase();
    text.parse::<TaskName>().map(|_| text)
}
