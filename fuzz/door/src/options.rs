//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use argon_fuzz::fresh_seed;
use clap::{Parser, ValueEnum};

use argon_proto::key::Role;

/// Holds a key and lies: as client, worker, observer and runner of a real pool, next to an honest client.
#[derive(Debug, Parser)]
#[command(
    name = "argon-fuzz-door",
    version,
    after_help = "Exit status: 0 all promises held, 1 one broke, 2 the command was used wrongly."
)]
pub(crate) struct Options {
    /// Time of all rounds together, in seconds
    #[arg(long, value_name = "N", default_value = "20")]
    seconds: u64,
    /// Seed of all lies; it is printed [default: the present time]
    #[arg(long, default_value_t = fresh_seed(), hide_default_value = true)]
    pub(crate) seed: u64,
    /// Lies in this role only; may be repeated [default: all]
    #[arg(long = "role", value_enum)]
    roles: Vec<Liar>,
    /// Program under test [default: argon in the folder of this one]
    #[arg(long, value_name = "FILE", default_value_os_t = next_to_this(), hide_default_value = true)]
    pub(crate) argon: PathBuf,
}

/// Sender of lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Liar {
    Client,
    Worker,
    Observer,
    /// A client's own executable, in a worker
    Runner,
}

impl Liar {
    /// Role of the connection that the lies travel over.
    pub(crate) fn role(self) -> Role {
        match self {
            Self::Client | Self::Runner => Role::Client,
            Self::Worker => Role::Worker,
            Self::Observer => Role::Observer,
        }
    }
}

impl Options {
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    pub(crate) fn roles(&self) -> &[Liar] {
        if self.roles.is_empty() { Liar::value_variants() } else { &self.roles }
    }
}

fn next_to_this() -> PathBuf {
    std::env::current_exe().unwrap_or_default().with_file_name("argon")
}
