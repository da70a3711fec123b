//! Words that people type for what another command does here, from habit, and what to type instead.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue};

use super::nearest;

/// Words, and the sentence that answers them.
const HABITS: &[(&[&str], &str)] = &[
    (
        &["ps", "list", "ls", "jobs", "top", "htop", "queue", "info", "show", "nodes", "stats", "squeue"],
        "'argon status' shows workers, the queue and running tasks; 'watch argon status' repeats it",
    ),
    (
        &["logs", "log", "journal", "tail"],
        "managers and workers log to standard error, and 'journalctl --user -u argon-worker' shows it of a service; what a \
         task prints goes to its client",
    ),
    (
        &["kill", "abort", "rm", "del", "delete", "remove", "scancel", "qdel"],
        "'argon cancel TASK' ends a task, and 'argon cancel --all' all of them; 'argon status' shows their ids",
    ),
    (
        &["stop", "down", "shutdown", "quit", "exit", "leave"],
        "'argon drain NAME' lets a worker finish and leave; Ctrl-C or SIGTERM ends a manager, a worker or 'argon up'",
    ),
    (
        &["start", "serve", "server", "daemon", "init", "cluster", "local"],
        "'argon up' starts a manager and a worker on this machine; 'argon manager' and 'argon worker' start one of the two",
    ),
    (
        &["master", "scheduler", "head", "controller"],
        "'argon manager' accepts tasks and gives them to workers",
    ),
    (
        &["agent", "node", "slave", "runner", "scale"],
        "'argon worker --manager HOST:PORT' adds this machine to a pool",
    ),
    (
        &["restart", "reload"],
        "end it with Ctrl-C or SIGTERM, and start it again: clients and workers reconnect by themselves",
    ),
    (
        &["exec", "execute", "do", "ssh", "srun", "call"],
        "'argon run -- COMMAND' runs a command on the pool, as if it ran here",
    ),
    (
        &["parallel", "xargs", "each", "foreach", "pmap", "array"],
        "'argon map -- COMMAND ::: INPUT...' runs a command for each input, with the options of GNU parallel",
    ),
    (
        &["sbatch", "qsub", "add", "enqueue", "push", "batch"],
        "'argon submit -- COMMAND' prints a ticket for 'argon collect'",
    ),
    (
        &["wait", "result", "results", "get", "fetch", "attach", "output"],
        "'argon collect TICKET' waits for what 'argon submit' started",
    ),
    (
        &["ping", "health", "check", "doctor", "test"],
        "'argon status' ends with status 0 if the manager answers",
    ),
    (
        &["login", "connect", "auth", "register"],
        "'argon pair HOST:PORT' asks a manager for a key for this machine",
    ),
    (
        &["invite", "accept", "allow"],
        "'argon approve CODE' lets a machine in, and 'argon key --join ROLE' makes a line that does",
    ),
    (
        &["token", "keys", "secret", "user", "users"],
        "'argon key' shows where the key is, and 'argon key list' the keys of people",
    ),
    (
        &["completion", "complete-bash", "autocomplete"],
        "'argon completions bash' prints what a shell needs to complete",
    ),
    (
        &["manual", "docs", "doc"],
        "'argon man | man -l -' shows the manual page, and 'argon help COMMAND' one command",
    ),
    (
        &["update", "upgrade", "install", "uninstall"],
        "see 'where things are' in the guide: docs/guide/where-things-are.md",
    ),
];

/// The sentence for a command that does not exist; `None` if the error is another one.
pub(super) fn of(error: &clap::Error, words: &[OsString], command: &Command) -> Option<String> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let (name, called) = nearest::called(words, command);
    let is_top = called.get_name() == command.get_name();
    if let Some(advice) = of_habit(word).filter(|_| is_top) {
        return Some(format!("there is no command '{word}' here: {advice}"));
    }
    let known = called.get_subcommands().filter(|known| !known.is_hide_set()).map(Command::get_name);
    let similar: Vec<String> =
        nearest::nearest(word, known).into_iter().map(|near| format!("'{name} {near}'")).collect();
    let help = match name.split_once(' ') {
        None => "'argon help' lists all commands".to_owned(),
        Some((_, path)) => format!("'argon help {path}' lists its commands"),
    };
    let advice = match similar.as_slice() {
        [] if is_top => format!("{help}, and 'argon run -- {word}' runs a command of this name on the pool"),
        [] => help,
        similar => format!("did you mean {}? {help}", similar.join(" or ")),
    };
    let place = if is_top { "here".to_owned() } else { format!("of '{name}'") };
    Some(format!("there is no command '{word}' {place}: {advice}"))
}

fn of_habit(word: &str) -> Option<&'static str> {
    HABITS.iter().find(|(words, _)| words.contains(&word)).map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_word_has_one_answer_and_is_not_a_command() {
        let words: Vec<&str> = HABITS.iter().flat_map(|(words, _)| words.iter().copied()).collect();
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len());
        let command = super::super::command();
        for word in words {
            assert!(command.find_subcommand(word).is_none(), "{word}");
        }
    }

    #[test]
    fn a_command_that_does_not_exist_is_answered_with_what_to_type() {
        let said = |line: &str| {
            let mut command = super::super::command();
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let words = [vec!["argon".into()], words].concat();
            let error = command.try_get_matches_from_mut(words.clone()).expect_err("no command");
            of(&error, &words, &command).expect("it is about a command")
        };
        assert!(said("ps").starts_with("there is no command 'ps' here: 'argon status' shows"));
        assert!(said("statsu").contains("did you mean 'argon status'?"), "{}", said("statsu"));
        assert!(said("mapp").contains("did you mean 'argon map'?"), "{}", said("mapp"));
        assert!(said("rnu").contains("did you mean 'argon run'?"), "{}", said("rnu"));
        assert!(said("mat").contains("did you mean 'argon map' or 'argon man'?"), "{}", said("mat"));
        assert!(said("frobnicate").contains("'argon help' lists all commands"));
        let nested = said("key lsit");
        assert!(
            nested.starts_with("there is no command 'lsit' of 'argon key': did you mean 'argon key list'?")
        );
        assert!(said("key show").contains("'argon help key' lists its commands"), "{}", said("key show"));
    }
}
