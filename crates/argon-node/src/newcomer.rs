//! This machine without a key: it shows a code or a token, and keeps the key that it gets.

use std::path::Path;
use std::time::Duration;

use argon_net::newcomer::{Pairing, pair};
use argon_net::{DialError, Trust, random};
use argon_proto::backoff::REDIAL;
use argon_proto::key::{Key, Role};
use argon_proto::limit::PAIR_WITHIN;
use argon_proto::pairing::Introduction;
use nix::unistd::{Uid, User};

use crate::exit::Failure;
use crate::key_file;
use crate::output::complain;
use crate::worker::machine::host_name;

/// Shows the code of a machine that waits, and what to do with it.
pub fn show_code(pairing: &Pairing, manager: &str, role: Role) {
    let (code, minutes) = (pairing.code(), PAIR_WITHIN.as_secs() / 60);
    let role = role.name();
    complain(format_args!(
        "this machine has no {role}'s key for the manager at {manager}. Its code is {code}. To let it in, run on the manager's \
         machine:\n\n  argon approve {code}\n\nwaiting for {minutes} minutes at most"
    ));
}

/// Keeps a key that this machine was given, and says so.
///
/// # Errors
/// If it cannot be written.
pub fn keep(path: &Path, key: &Key, role: Role) -> Result<(), Failure> {
    key_file::write(path, key, false)?;
    let pin =
        key.pin().map_or_else(String::new, |pin| format!(", for managers with the pin {}", pin.short()));
    complain(format_args!("let in: {} holds the {}'s key, mode 0600{pin}", path.display(), role.name()));
    Ok(())
}

/// Introduction of this machine and its user.
#[must_use]
pub fn introduction(wants: Role) -> Introduction {
    let uid = Uid::effective();
    let user = User::from_uid(uid).ok().flatten().map(|user| user.name);
    Introduction::new(wants, &host_name(), &user.unwrap_or_else(|| uid.to_string()))
}

/// Asks the first manager that answers for a worker's key, and waits for it; tries again while none is reached.
///
/// # Errors
/// If a manager refuses, or nobody lets this machine in.
pub async fn pair_worker(managers: &[String], trust: &Trust) -> Result<Key, Failure> {
    let (mut failures, mut logged) = (0, false);
    loop {
        for manager in managers {
            match pair(manager, introduction(Role::Worker), trust).await {
                Ok(pairing) => {
                    show_code(&pairing, manager, Role::Worker);
                    return Ok(pairing.key().await?);
                }
                Err(error @ DialError::Unreachable { .. }) => {
                    if !std::mem::replace(&mut logged, true) {
                        tracing::warn!("{error}; this worker has no key yet, and keeps trying");
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        let pause = REDIAL.pause(failures, random::chance()).max(Duration::from_millis(100));
        failures = failures.saturating_add(1);
        tokio::time::sleep(pause).await;
    }
}
