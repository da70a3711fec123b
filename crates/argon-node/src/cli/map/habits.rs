//! The options of GNU parallel in the command line of `argon map`: translated into those of Argon, or answered.
//!
//! Owns the spellings: abbreviations, letters in one word, other names. Each option of the table is passed on, left out,
//! or refused with a sentence that names the alternative. The parser of the command line sees names of Argon only.

mod table;

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::{Arg, Command};

use table::{HabitAnswer, TABLE};

/// Rewrites the words after `argon map` up to its command.
///
/// # Errors
/// A sentence, if an option of GNU parallel has no counterpart.
pub(in crate::cli) fn translate(words: Vec<OsString>, known: &Command) -> Result<Vec<OsString>, String> {
    let mut translator = Translator { known, rest: words.into_iter(), written: Vec::new() };
    translator.run()?;
    Ok(translator.written)
}

struct Translator<'a> {
    known: &'a Command,
    rest: std::vec::IntoIter<OsString>,
    written: Vec<OsString>,
}

/// Treatment of an option that was typed.
enum TypedOption<'a> {
    /// An option of Argon, by that name or another.
    Option(&'a Arg),
    /// An answer of the table.
    Answer(&'static HabitAnswer),
}

impl<'a> Translator<'a> {
    fn run(&mut self) -> Result<(), String> {
        while let Some(word) = self.rest.next() {
            match word.to_str() {
                Some(text) if text.starts_with("--") && text.len() > 2 => self.long(&text[2..], &word)?,
                Some(text) if text.starts_with('-') && !text.starts_with("--") && text.len() > 1 => {
                    self.letters(&text[1..])?;
                }
                // The command begins.
                _ => {
                    self.written.push(word);
                    self.written.extend(self.rest.by_ref());
                }
            }
        }
        Ok(())
    }

    fn long(&mut self, text: &str, word: &OsString) -> Result<(), String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let Some(found) = self.find_long(name)? else {
            self.written.push(word.clone());
            return Ok(());
        };
        self.put(found, &format!("--{name}"), value)
    }

    /// Letters in one word: `-kj4`.
    fn letters(&mut self, text: &str) -> Result<(), String> {
        for (at, letter) in text.char_indices() {
            let Some(found) = self.find_letter(letter) else {
                self.written.push(format!("-{}", &text[at..]).into());
                return Ok(());
            };
            let rest = &text[at + letter.len_utf8()..];
            let takes_rest = match &found {
                TypedOption::Option(arg) => takes_value(arg),
                TypedOption::Answer(answer) => {
                    matches!(answer, HabitAnswer::Maybe(..) | HabitAnswer::Value(_))
                }
            };
            if !takes_rest {
                self.put(found, &format!("-{letter}"), None)?;
                continue;
            }
            let value = (!rest.is_empty()).then(|| rest.strip_prefix('=').unwrap_or(rest).to_owned());
            return self.put(found, &format!("-{letter}"), value);
        }
        Ok(())
    }

    fn put(&mut self, found: TypedOption<'_>, typed: &str, value: Option<String>) -> Result<(), String> {
        match found {
            TypedOption::Option(arg) => {
                let name = match (arg.get_long(), arg.get_short()) {
                    (Some(long), _) => format!("--{long}"),
                    (None, Some(short)) => format!("-{short}"),
                    (None, None) => typed.to_owned(),
                };
                self.put_option(name, takes_value(arg), value);
            }
            TypedOption::Answer(HabitAnswer::As(words)) => {
                self.written.extend(words.iter().map(OsString::from))
            }
            TypedOption::Answer(HabitAnswer::Value(name)) => self.put_option((*name).to_owned(), true, value),
            TypedOption::Answer(HabitAnswer::Maybe(name, default)) => {
                let value = value.or(default.map(str::to_owned));
                if let Some(value) = value {
                    self.written.push(format!("{name}{value}").into());
                }
            }
            TypedOption::Answer(HabitAnswer::Drop) => {}
            TypedOption::Answer(HabitAnswer::Refuse(sentence)) => return Err(format!("{typed}: {sentence}")),
            TypedOption::Answer(HabitAnswer::Same) => return Err(format!("{typed}: not known here")),
        }
        Ok(())
    }

    /// An option with its value in one word. Without a value the parser explains what is missing.
    fn put_option(&mut self, name: String, takes_value: bool, value: Option<String>) {
        let mut word = OsString::from(name.clone());
        if takes_value {
            let value = value.map(OsString::from).or_else(|| self.rest.next());
            let is_long = name.starts_with("--");
            match value {
                // A letter with an empty value is two words.
                Some(value) if value.is_empty() && !is_long => {
                    self.written.extend([word, value]);
                    return;
                }
                Some(value) => {
                    // A name that ends in '=' has the beginning of the value already.
                    if is_long && !name.ends_with('=') {
                        word.push("=");
                    }
                    word.push(value);
                }
                None => {}
            }
        } else if let Some(value) = value {
            word.push("=");
            word.push(value);
        }
        self.written.push(word);
    }

    fn find_long(&self, name: &str) -> Result<Option<TypedOption<'a>>, String> {
        if name == "help" {
            return Ok(None);
        }
        if let Some(arg) = self.option(name) {
            return Ok(Some(TypedOption::Option(arg)));
        }
        if let Some((names, answer)) = row(name).filter(|_| name.len() > 1) {
            return Ok(Some(self.resolve(names, answer)));
        }
        // The beginning of a name, if it is that of one option only.
        let ours = self.known.get_arguments().flat_map(longs_of);
        let theirs = TABLE.iter().flat_map(|(names, _)| names.split(' '));
        let fitting: BTreeSet<String> = ours
            .chain(theirs.map(str::to_owned))
            .filter(|known| known.len() > 1 && name.len() > 1 && known.starts_with(name))
            .collect();
        let Some(first) = fitting.first() else { return Ok(None) };
        let meaning = |known: &String| match (self.option(known), row(known)) {
            (Some(arg), _) => arg.get_id().to_string(),
            (None, Some((names, answer))) => match self.resolve(names, answer) {
                TypedOption::Option(arg) => arg.get_id().to_string(),
                TypedOption::Answer(_) => names.to_owned(),
            },
            (None, None) => known.clone(),
        };
        let meanings: BTreeSet<String> = fitting.iter().map(meaning).collect();
        if meanings.len() > 1 {
            let names: Vec<String> = fitting.iter().map(|known| format!("--{known}")).collect();
            return Err(format!("--{name} can be {}; write more of it", names.join(", ")));
        }
        self.find_long(first)
    }

    fn find_letter(&self, letter: char) -> Option<TypedOption<'a>> {
        if letter == 'h' {
            return None;
        }
        let own = self.known.get_arguments().find(|arg| {
            arg.get_short() == Some(letter)
                || arg.get_all_short_aliases().is_some_and(|letters| letters.contains(&letter))
        });
        if let Some(arg) = own {
            return Some(TypedOption::Option(arg));
        }
        let (names, answer) = row(letter.encode_utf8(&mut [0; 4]))?;
        Some(self.resolve(names, answer))
    }

    /// An option of Argon with one of the names, or else the answer of the table.
    fn resolve(&self, names: &str, answer: &'static HabitAnswer) -> TypedOption<'a> {
        let option = names.split(' ').find_map(|name| match name.len() {
            1 => self.known.get_arguments().find(|arg| arg.get_short() == name.chars().next()),
            _ => self.option(name),
        });
        option.map_or(TypedOption::Answer(answer), TypedOption::Option)
    }

    fn option(&self, name: &str) -> Option<&'a Arg> {
        self.known.get_arguments().find(|arg| longs_of(arg).any(|long| long == name))
    }
}

fn longs_of(arg: &Arg) -> impl Iterator<Item = String> {
    let aliases = arg.get_all_aliases().unwrap_or_default();
    arg.get_long().into_iter().chain(aliases).map(str::to_owned).collect::<Vec<_>>().into_iter()
}

fn row(name: &str) -> Option<(&'static str, &'static HabitAnswer)> {
    let row = TABLE.iter().find(|(names, _)| names.split(' ').any(|known| known == name))?;
    Some((row.0, &row.1))
}

fn takes_value(arg: &Arg) -> bool {
    !arg.is_positional() && arg.get_action().takes_values()
}

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::super::MapArguments;
    use super::*;

    fn translated(line: &str) -> Result<String, String> {
        let known = MapArguments::augment_args(Command::new("map"));
        let words = line.split(' ').map(OsString::from).collect();
        let words = translate(words, &known)?;
        Ok(words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn letters_names_and_beginnings_of_names_are_those_of_argon() {
        for (typed, expected) in [
            ("-kj4 echo -kj4", "--keep-order --jobs=4 echo -kj4"),
            ("-k -j -1 -- -x", "--keep-order --jobs=-1 -- -x"),
            ("-P 50% echo", "--jobs=50% echo"),
            ("--keeporder --max-procs=2 echo", "--keep-order --jobs=2 echo"),
            ("--dryrun --jobl log echo", "--dry-run --joblog=log echo"),
            ("--resume-failed --jl log x", "--resume --retry-failed --joblog=log x"),
            ("--will-cite --group x", "x"),
            ("-L2 x", "-N2 x"),
            ("--unheard-of x", "--unheard-of x"),
            ("-a list x", "--arg-file=list x"),
            ("-i -I,, x", "-I, , x"),
        ] {
            let expected = if typed.starts_with("-i ") { "-I{} -I,, x" } else { expected };
            assert_eq!(translated(typed).expect(typed), expected, "{typed}");
        }
    }

    #[test]
    fn an_option_without_a_counterpart_is_answered_by_a_sentence() {
        for typed in ["-S a,b x", "--sshlogin=a x", "--tmux x", "--citation", "-kS a x"] {
            let sentence = translated(typed).expect_err(typed);
            assert!(sentence.len() > 40, "{sentence}");
        }
        let ambiguous = translated("--re x").expect_err("several");
        assert!(ambiguous.contains("--resume") && ambiguous.contains("--retries"), "{ambiguous}");
    }

    #[test]
    fn every_row_has_an_option_or_an_answer_and_no_name_stands_twice() {
        let known = MapArguments::augment_args(Command::new("map"));
        let translator = Translator { known: &known, rest: Vec::new().into_iter(), written: Vec::new() };
        let mut names = BTreeSet::new();
        for (spellings, answer) in TABLE {
            for name in spellings.split(' ') {
                assert!(names.insert(name), "{name}");
            }
            let is_unknown =
                matches!(translator.resolve(spellings, answer), TypedOption::Answer(HabitAnswer::Same));
            assert!(!is_unknown, "{spellings}");
        }
    }
}
