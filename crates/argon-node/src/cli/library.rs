//! `argon perl-lib` and `argon python-lib`: the clients that the program carries, for machines where nothing is installed.

use std::os::unix::ffi::OsStrExt;

use clap::Args;

use crate::carried_library::{Library, PERL, PYTHON};
use crate::exit::{Failure, FailureKind};
use crate::output::print;

/// Print the folder of the Perl client that this program carries.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  perl -I$(argon perl-lib) -MArgon=pmap -E 'say for pmap { $_ ** 2 } 1..10'
  export PERL5LIB=$(argon perl-lib)      for all programs of this shell
  perldoc -F $(argon perl-lib)/Argon/Client.pod

The folder is in the user's cache ($XDG_CACHE_HOME, else ~/.cache). Each release has its own.")]
pub(super) struct PerlLibArguments {}

/// Print the folder of the Python client that this program carries.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  PYTHONPATH=$(argon python-lib) python3 -c 'import argon; print(argon.__file__)'
  export PYTHONPATH=$(argon python-lib)  for all programs of this shell

Functions of your own travel with the package cloudpickle, 3.0 or later, which is not part of it.

The folder is in the user's cache ($XDG_CACHE_HOME, else ~/.cache). Each release has its own.")]
pub(super) struct PythonLibArguments {}

pub(super) fn perl(PerlLibArguments {}: &PerlLibArguments) -> Result<(), Failure> {
    show(PERL)
}

pub(super) fn python(PythonLibArguments {}: &PythonLibArguments) -> Result<(), Failure> {
    show(PYTHON)
}

fn show(library: Library) -> Result<(), Failure> {
    let folder = library.unpack().map_err(|why| Failure::new(FailureKind::Other, why))?;
    print([folder.as_os_str().as_bytes(), b"\n"].concat())
}
