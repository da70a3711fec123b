//! The command line.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argon_proto::key::Role;

pub(crate) const USAGE: &str = "\
usage: argon-fuzz-door [--seconds N] [--seed N] [--role client|worker|observer|runner] [--argon FILE]
  --seconds   how long it tries (default 20)
  --seed      default: the present time; it is printed
  --role      tells lies in this role only; may be repeated (default: all)
  --argon     the program that is tried (default: argon in the folder of this one)";

/// Who tells lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Liar {
    /// Over a connection of this role.
    Peer(Role),
    /// A client's own executable, in a worker.
    Runner,
}

/// What was asked for.
pub(crate) struct Options {
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) roles: Vec<Liar>,
    pub(crate) argon: PathBuf,
}

impl Options {
    pub(crate) fn of_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_millis() as u64);
        let (mut seconds, mut seed, mut roles, mut argon) = (20, now, Vec::new(), beside_this());
        while let Some(option) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{option} is unknown or lacks its value"))?;
            let number =
                || value.parse::<u64>().map_err(|_| format!("{option} takes a number, not {value:?}"));
            match option.as_str() {
                "--seconds" => seconds = number()?,
                "--seed" => seed = number()?,
                "--role" => roles.push(liar(&value)?),
                "--argon" => argon = PathBuf::from(&value),
                _ => return Err(format!("{option} is unknown")),
            }
        }
        if roles.is_empty() {
            roles = [Role::Client, Role::Worker, Role::Observer].map(Liar::Peer).to_vec();
            roles.push(Liar::Runner);
        }
        Ok(Self { time: Duration::from_secs(seconds), seed, roles, argon })
    }
}

fn liar(name: &str) -> Result<Liar, String> {
    match name {
        "client" => Ok(Liar::Peer(Role::Client)),
        "worker" => Ok(Liar::Peer(Role::Worker)),
        "observer" => Ok(Liar::Peer(Role::Observer)),
        "runner" => Ok(Liar::Runner),
        _ => Err(format!("no liar is called {name:?}")),
    }
}

fn beside_this() -> PathBuf {
    let this = std::env::current_exe().unwrap_or_default();
    this.with_file_name("argon")
}
