//! The process between a worker and a command with files: the hidden command `argon carry`.
//!
//! It has the user, the sandbox and the working folder of the command, so that files are written and read with its rights
//! and no others. It unpacks the archive at the beginning of standard input, starts the command on the rest, and returns
//! files when the command has ended. It ends as the command has: with its status, or by its signal.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

use super::name::is_inside;
use super::{PATH_BYTES_MAX, SENT_HEAD_BYTES};

/// The name of the hidden command.
pub const NAME: &str = "carry";
/// Status if the files cannot be unpacked.
const NOT_UNPACKED: u8 = 126;

/// Words of a command that is started this way: `argon carry FD COUNT RETURNED... PROGRAM NAME ARGUMENTS...`
#[must_use]
pub fn words(
    descriptor: RawFd,
    returned: &[String],
    program: OsString,
    words: Vec<OsString>,
) -> Vec<OsString> {
    let mut all: Vec<OsString> = ["argon".into(), NAME.into()].into();
    all.extend([descriptor.to_string().into(), returned.len().to_string().into()]);
    all.extend(returned.iter().map(OsString::from));
    all.push(program);
    all.extend(words);
    all
}

/// The main function of that process.
#[must_use]
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut number = || arguments.next()?.to_str()?.parse::<i32>().ok();
    let (Some(descriptor @ 3..), Some(count)) = (number(), number()) else {
        complain("'argon carry' is started by workers");
        return ExitCode::from(NOT_UNPACKED);
    };
    // SAFETY: the worker has opened it for this process, and nothing else here owns it.
    let returns = File::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    // SAFETY: sets a flag of this descriptor.
    unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    let returned: Vec<OsString> = arguments.by_ref().take(usize::try_from(count).unwrap_or(0)).collect();
    let (Some(program), Some(name)) = (arguments.next(), arguments.next()) else {
        return ExitCode::from(NOT_UNPACKED);
    };
    if let Err(error) = unpack(&mut Standard) {
        complain(&format!("the files of the command cannot be unpacked: {error}"));
        return ExitCode::from(NOT_UNPACKED);
    }
    pass_signals_over();
    let mut command = Command::new(&program);
    command.arg0(&name).args(arguments);
    let ended = match command.status() {
        Ok(ended) => ended,
        Err(error) => {
            complain(&format!("the command '{}' cannot be executed: {error}", name.display()));
            return ExitCode::from(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 });
        }
    };
    // A client that is gone needs no files.
    let _ = give_back(&returned, returns);
    end_as(ended)
}

fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "argon: {message}");
}

/// Standard input without a buffer: the command reads on where the archive ends.
struct Standard;

impl Read for Standard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        nix::unistd::read(io::stdin(), buffer).map_err(io::Error::from)
    }
}

fn unpack(from: &mut impl Read) -> io::Result<()> {
    loop {
        let mut head = [0; SENT_HEAD_BYTES];
        from.read_exact(&mut head)?;
        let [length, mode] =
            [0, 4].map(|at| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
        let bytes = u64::from_be_bytes([
            head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15],
        ]);
        if length == 0 {
            return Ok(());
        }
        if length as usize > PATH_BYTES_MAX {
            return Err(io::Error::other("a path is too long"));
        }
        let mut path = vec![0; length as usize];
        from.read_exact(&mut path)?;
        let path = String::from_utf8(path).map_err(io::Error::other)?;
        is_inside(&path).map_err(io::Error::other)?;
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
        write_file(Path::new(&path), mode, &mut from.take(bytes)).map_err(named)?;
    }
}

fn write_file(path: &Path, mode: u32, from: &mut io::Take<impl Read>) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    // A file of the command replaces a base file of the same name.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut buffer = vec![0; (from.limit().min(256 << 10) as usize).max(1)];
    while from.limit() > 0 {
        match from.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => file.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    file.set_permissions(Permissions::from_mode(mode & 0o777))
}

/// Signals that end the command must not end this process before it. A handler, since one that is ignored would be ignored
/// by the command, too.
fn pass_signals_over() {
    extern "C" fn nothing(_: libc::c_int) {}
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        // SAFETY: the handler does nothing.
        let _ = unsafe { sigaction(signal, &action) };
    }
}

fn give_back(returned: &[OsString], mut to: File) -> io::Result<()> {
    for (number, path) in (0_u32..).zip(returned) {
        let opened = File::open(path).and_then(|file| {
            let facts = file.metadata()?;
            if facts.is_file() { Ok((file, facts)) } else { Err(io::Error::other("it is not a file")) }
        });
        match opened {
            Ok((file, facts)) => {
                to.write_all(&head(number, true, facts.permissions().mode(), facts.len()))?;
                let sent = io::copy(&mut file.take(facts.len()), &mut to)?;
                if sent < facts.len() {
                    // What follows would be taken for the rest of it.
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => {
                let why = error.to_string();
                to.write_all(&head(number, false, 0, why.len() as u64))?;
                to.write_all(why.as_bytes())?;
            }
        }
    }
    Ok(())
}

fn head(number: u32, is_there: bool, mode: u32, length: u64) -> Vec<u8> {
    let mut head = number.to_be_bytes().to_vec();
    head.push(u8::from(is_there));
    head.extend((mode & 0o777).to_be_bytes());
    head.extend(length.to_be_bytes());
    head
}

fn end_as(ended: ExitStatus) -> ExitCode {
    if let Some(signal) = ended.signal() {
        if let Ok(signal) = Signal::try_from(signal) {
            let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
            // SAFETY: sets the default.
            let _ = unsafe { sigaction(signal, &default) };
            let _ = raise(signal);
        }
        return ExitCode::from(u8::try_from(signal).map_or(255, |signal| signal.saturating_add(128)));
    }
    ExitCode::from(ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255))
}
