//! The managers that this user has started on this machine: each leaves a note with its address, so that `argon approve`
//! finds a manager that does not listen on 127.0.0.1.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::state;

/// The note of a manager, which goes with it.
#[derive(Debug)]
pub struct ManagerNote {
    path: PathBuf,
}

/// Notes that the manager of this process listens at `listener`. `None` where that cannot be written: then people name the
/// address.
#[must_use]
pub fn note(listener: SocketAddr) -> Option<ManagerNote> {
    note_in(&folder()?, listener)
}

/// Addresses of the managers that run, in no order.
#[must_use]
pub fn addresses() -> Vec<String> {
    folder().map(|folder| addresses_in(&folder)).unwrap_or_default()
}

fn folder() -> Option<PathBuf> {
    state::folder().ok().map(|folder| folder.join("managers"))
}

fn note_in(folder: &Path, listener: SocketAddr) -> Option<ManagerNote> {
    fs::create_dir_all(folder).ok()?;
    let path = folder.join(format!("{}-{}", listener.port(), std::process::id()));
    fs::write(&path, format!("{}\n", reachable(listener))).ok()?;
    Some(ManagerNote { path })
}

fn addresses_in(folder: &Path) -> Vec<String> {
    let notes = fs::read_dir(folder).into_iter().flatten().flatten();
    notes.filter_map(|note| read(&note.path())).collect()
}

/// The address of a note, unless its manager has died without removing it.
fn read(path: &Path) -> Option<String> {
    let (_, process) = path.file_name()?.to_str()?.rsplit_once('-')?;
    let process = process.parse().ok().filter(|process| *process > 0)?;
    if kill(Pid::from_raw(process), None) == Err(Errno::ESRCH) {
        let _ = fs::remove_file(path);
        return None;
    }
    let address: SocketAddr = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    Some(address.to_string())
}

/// An address under which this machine reaches a listener.
#[must_use]
pub fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listener.port())
}

impl Drop for ManagerNote {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_goes_with_its_manager_and_those_of_dead_ones_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = "0.0.0.0:8000".parse().expect("an address");
        let note = note_in(folder.path(), listener).expect("written");
        // No process has a number that large.
        fs::write(folder.path().join("8001-2147483646"), "10.0.0.1:8001\n").expect("written");
        fs::write(folder.path().join("odd"), "?").expect("written");
        assert_eq!(addresses_in(folder.path()), ["127.0.0.1:8000"]);
        drop(note);
        assert_eq!(addresses_in(folder.path()), Vec::<String>::new());
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 1, "only the odd file is left");
    }
}
