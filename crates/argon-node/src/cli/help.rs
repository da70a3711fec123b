//! `argon help COMMAND` and `argon version`, for people who type words in place of options.

use std::ffi::{OsStr, OsString};

use clap::Args;

/// Show the help of a command, or this list.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon help          all commands
  argon help map      one command, as 'argon map --help' does
  argon help key add  a command of a command")]
pub(super) struct HelpArguments {
    /// The command
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

/// Show the version.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon version    as 'argon --version' does")]
pub(super) struct VersionArguments {}

/// The same command line with the option in place of the word.
pub(super) fn as_option(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let is_word =
        |word: Option<&OsString>| word.is_some_and(|word| !word.as_encoded_bytes().starts_with(b"-"));
    match arguments.get(1).map(OsString::as_os_str) {
        Some(word) if word == OsStr::new("help") && (arguments.len() == 2 || is_word(arguments.get(2))) => {
            arguments.remove(1);
            arguments.push("--help".into());
        }
        Some(word) if word == OsStr::new("version") && arguments.len() == 2 => {
            arguments[1] = "--version".into()
        }
        _ => {}
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_help_and_version_become_options() {
        let turned = |words: &[&str]| {
            let all = as_option(words.iter().map(OsString::from));
            all.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(turned(&["argon", "help"]), "argon --help");
        assert_eq!(turned(&["argon", "help", "key", "add"]), "argon key add --help");
        assert_eq!(turned(&["argon", "help", "--help"]), "argon help --help");
        assert_eq!(turned(&["argon", "version"]), "argon --version");
        assert_eq!(turned(&["argon", "run", "help"]), "argon run help");
        assert_eq!(turned(&["argon"]), "argon");
    }
}
