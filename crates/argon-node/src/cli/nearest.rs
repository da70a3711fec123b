//! The name that somebody meant who typed another: of a command, an option or a value.
//!
//! The parser's own guess measures common letters. It takes `argon mapp` for `man` and finds nothing for `rnu`.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The known names that are the fewest slips of a finger away, if it is few enough. Several if they are equally near.
pub(super) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let letters = typed.chars().count();
    let most = match letters {
        0 | 1 => return Vec::new(),
        2..=4 => 1,
        5..=7 => 2,
        _ => 3,
    };
    let mut found: Vec<(usize, &str)> = Vec::new();
    for name in known {
        if name.chars().count().abs_diff(letters) > most {
            continue;
        }
        let slips = slips(typed, name);
        if slips <= most && found.iter().all(|(fewest, _)| slips <= *fewest) {
            found.retain(|(fewest, _)| *fewest == slips);
            found.push((slips, name));
        }
    }
    found.into_iter().map(|(_, name)| name).collect()
}

/// Number of letters that were left out, added, replaced, or exchanged with their neighbour.
fn slips(typed: &str, name: &str) -> usize {
    let (typed, name): (Vec<char>, Vec<char>) = (typed.chars().collect(), name.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for (line, letter) in typed.iter().enumerate() {
        let mut next = vec![line + 1];
        for (at, other) in name.iter().enumerate() {
            let replaced = row[at] + usize::from(letter != other);
            let mut least = replaced.min(row[at + 1] + 1).min(next[at] + 1);
            let is_exchanged =
                line > 0 && at > 0 && *letter == name[at - 1] && typed[line - 1] == *other && letter != other;
            if is_exchanged {
                least = least.min(before[at - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[name.len()]
}

/// Puts the nearest option or value into an error about one that does not exist.
pub(super) fn correct(error: &mut clap::Error, words: &[OsString], command: &Command) {
    if error.kind() == ErrorKind::UnknownArgument {
        let Some(typed) = text_of(error, ContextKind::InvalidArg) else { return };
        let names = options_of(called(words, command).1);
        let typed = typed.trim_start_matches('-');
        let typed = typed.split_once('=').map_or(typed, |(name, _)| name);
        let found = nearest(typed, names.iter().map(String::as_str));
        if let Some(first) = found.first() {
            error.insert(ContextKind::SuggestedArg, ContextValue::String(format!("--{first}")));
        }
    }
    let valid = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) => valid.clone(),
        _ => return,
    };
    if let Some(typed) = text_of(error, ContextKind::InvalidValue)
        && let Some(value) = nearest(&typed, valid.iter().map(String::as_str)).first()
    {
        error.insert(ContextKind::SuggestedValue, ContextValue::String((*value).to_owned()));
    }
}

fn text_of(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    }
}

/// The command that a command line calls, as it is typed, and its description.
pub(super) fn called<'a>(words: &[OsString], command: &'a Command) -> (String, &'a Command) {
    let mut name = command.get_name().to_owned();
    let mut called = command;
    for word in words.iter().skip(1) {
        let Some(below) = word.to_str().and_then(|word| called.find_subcommand(word)) else { break };
        called = below;
        name = format!("{name} {}", below.get_name());
    }
    (name, called)
}

fn options_of(command: &Command) -> Vec<String> {
    let visible = command.get_arguments().filter(|option| !option.is_hide_set());
    visible.filter_map(|option| option.get_long()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted_as_fingers_make_them() {
        for (typed, name, expected) in [
            ("map", "map", 0),
            ("mapp", "map", 1),
            ("mpa", "map", 1),
            ("rnu", "run", 1),
            ("statsu", "status", 1),
            ("wroker", "worker", 1),
            ("colect", "collect", 1),
            ("", "map", 3),
            ("canecl", "cancel", 1),
            ("ünde", "ende", 1),
        ] {
            assert_eq!(slips(typed, name), expected, "{typed}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_and_all_of_them_if_they_are_equally_near() {
        let known = ["manager", "map", "man", "run", "tunnel", "status"];
        for (typed, expected) in [
            ("mapp", vec!["map"]),
            ("mpa", vec!["map"]),
            ("rnu", vec!["run"]),
            ("tunel", vec!["tunnel"]),
            ("mat", vec!["map", "man"]),
            ("frobnicate", vec![]),
            ("x", vec![]),
        ] {
            assert_eq!(nearest(typed, known), expected, "{typed}");
        }
    }

    /// What somebody types who leaves out a letter, doubles it, or exchanges it with the next.
    fn misspelt(name: &str) -> Vec<String> {
        let letters: Vec<char> = name.chars().collect();
        let mut all = Vec::new();
        for at in 0..letters.len() {
            let mut typed = letters.clone();
            typed.insert(at, letters[at]);
            all.push(typed.iter().collect());
            typed.drain(at..=at + 1);
            all.push(typed.iter().collect());
            if at + 1 < letters.len() {
                let mut typed = letters.clone();
                typed.swap(at, at + 1);
                all.push(typed.iter().collect());
            }
        }
        all
    }

    #[test]
    fn every_command_and_option_is_found_by_its_misspellings() {
        let command = super::super::command();
        let lists = std::iter::once(&command).chain(command.get_subcommands());
        for list in lists {
            let commands: Vec<String> =
                list.get_subcommands().map(|known| known.get_name().to_owned()).collect();
            for names in [commands, options_of(list)] {
                for name in &names {
                    for typed in
                        misspelt(name).iter().filter(|typed| typed.len() > 2 && !names.contains(typed))
                    {
                        let found = nearest(typed, names.iter().map(String::as_str));
                        assert!(found.contains(&name.as_str()), "{typed} for {name}: {found:?}");
                    }
                }
            }
        }
    }
}
