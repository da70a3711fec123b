//! Options for files that travel with a command, and come back.

use clap::Args;

use crate::command::files::archive::Archive;
use crate::command::files::name::CarriedName;
use crate::command::invocation::Invocation;
use crate::exit::{Failure, FailureKind};

/// Bytes of all base files together.
const BASE_BYTES_MAX: u64 = 256 << 20;

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(super) struct FileOptions {
    /// Send this file along: the command starts in a scratch folder, where the file has the same relative
    /// path, or the part of its path after /./; may be repeated
    #[arg(long = "transferfile", alias = "tf", alias = "transfer-file", value_name = "FILE")]
    pub(super) sent: Vec<String>,
    /// Bring this file of the scratch folder back when the command has ended; may be repeated
    #[arg(long = "return", value_name = "FILE")]
    pub(super) returned: Vec<String>,
}

impl FileOptions {
    /// True if a file travels.
    pub(super) fn is_used(&self) -> bool {
        !self.sent.is_empty() || !self.returned.is_empty()
    }

    /// The names of the files that are sent, and of those that are returned.
    pub(super) fn names(&self) -> Result<(Vec<CarriedName>, Vec<CarriedName>), Failure> {
        Ok((parse(&self.sent)?, parse(&self.returned)?))
    }
}

/// Makes commands start in a scratch folder, which has the base files.
pub(super) fn use_scratch(invocation: &mut Invocation, base: &[String]) -> Result<(), Failure> {
    invocation.scratch = true;
    if base.is_empty() {
        return Ok(());
    }
    let mut archive = Archive::default();
    for name in parse(base)? {
        archive.add(&name).map_err(usage)?;
    }
    if archive.length() > BASE_BYTES_MAX {
        return Err(usage(
            "the base files have more than 256 MiB together, and managers and workers keep them in memory; put them where the \
             workers can read them, or send them with --transferfile"
                .to_owned(),
        ));
    }
    let bytes = archive.whole().map_err(|error| usage(error.to_string()))?;
    invocation.base = Some(argon::Blob::new(bytes));
    Ok(())
}

/// The archive of these files.
pub(super) fn archive(names: &[CarriedName]) -> Result<Archive, String> {
    let mut archive = Archive::default();
    names.iter().try_for_each(|name| archive.add(name))?;
    Ok(archive)
}

fn parse(texts: &[String]) -> Result<Vec<CarriedName>, Failure> {
    texts.iter().map(|text| CarriedName::parse(text).map_err(usage)).collect()
}

fn usage(message: String) -> Failure {
    Failure::new(FailureKind::Usage, message)
}
