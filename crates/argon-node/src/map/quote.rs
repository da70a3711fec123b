//! Command lines as people read, paste and keep them: words in the quotes that every POSIX shell reads.

use std::hash::Hasher;

use rustc_hash::FxHasher;

/// Writes the words so that a POSIX shell reads the same words back. A word that has line ends keeps them.
#[must_use]
pub fn line(words: &[String]) -> String {
    let quoted = words.iter().enumerate().map(|(nth, text)| {
        // In front of a command it would be an assignment.
        if nth == 0 && text.contains('=') { single(text) } else { word(text) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// One word, in single quotes if it needs any: no shell finds a meaning in those.
#[must_use]
pub fn word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "_-+=./,:@%^".contains(letter);
    if !text.is_empty() && !text.starts_with('=') && text.chars().all(is_plain) {
        return text.to_owned();
    }
    single(text)
}

fn single(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The words of a line that [`line()`] wrote, or a person, with nothing in it that only a shell could do; otherwise
/// `None`.
#[must_use]
pub fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut current: Option<String> = None;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => words.extend(current.take()),
            '\'' => {
                let word = current.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '\'' => break,
                        other => word.push(other),
                    }
                }
            }
            '$' if letters.peek() == Some(&'\'') => {
                letters.next();
                escaped(&mut letters, current.get_or_insert_default())?;
            }
            '\\' => current.get_or_insert_default().push(letters.next().filter(|letter| *letter != '\n')?),
            '~' | '#' if current.is_none() => return None,
            '\n' | '"' | '$' | '`' | '&' | '|' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '[' | '{'
            | '!' => {
                return None;
            }
            other => current.get_or_insert_default().push(other),
        }
    }
    words.extend(current);
    // A shell would take a leading NAME=VALUE for a variable.
    let is_command = |first: &String| !first.contains('=');
    words.first().is_some_and(is_command).then_some(words)
}

/// The rest of a `$'…'`, as joblogs of earlier releases have it.
fn escaped(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, word: &mut String) -> Option<()> {
    loop {
        match letters.next()? {
            '\'' => return Some(()),
            '\\' => match letters.next()? {
                'n' => word.push('\n'),
                't' => word.push('\t'),
                digit @ '0'..='7' => {
                    let mut code = digit.to_digit(8)?;
                    for _ in 0..2 {
                        code = code * 8 + letters.next()?.to_digit(8)?;
                    }
                    word.push(char::from_u32(code)?);
                }
                other => word.push(other),
            },
            other => word.push(other),
        }
    }
}

/// A number that stands for a text where keeping the text would cost too much.
#[must_use]
pub fn digest(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(text.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_as_they_are_and_others_are_quoted() {
        let words = ["gzip", "-9", "a b", "", "it's", "{print $1}"].map(str::to_owned);
        assert_eq!(line(&words), r"gzip -9 'a b' '' 'it'\''s' '{print $1}'");
    }

    #[test]
    fn whatever_is_written_is_read_back_and_every_shell_reads_the_same() {
        for text in
            ["a", "", " ", "a\nb\t\\c'", "\u{7}7", "$HOME", "é~#", "{}", "'", "a\\", "\u{1b}[0m", "=ls"]
        {
            let written = line(&["printf".to_owned(), "%s".to_owned(), text.to_owned()]);
            assert_eq!(words(&written).expect("it is read back")[2], text, "{written}");
            for shell in ["dash", "bash"] {
                let output =
                    std::process::Command::new(shell).args(["-c", &written]).output().expect("it runs");
                assert_eq!(String::from_utf8_lossy(&output.stdout), text, "{shell}: {written}");
            }
        }
        assert_eq!(line(&["a=b".to_owned(), "c=d".to_owned()]), "'a=b' c=d");
        assert_eq!(words(r"echo $'a\tb\047'"), Some(vec!["echo".to_owned(), "a\tb'".to_owned()]));
    }

    #[test]
    fn what_only_a_shell_can_do_is_no_list_of_words() {
        for text in [
            "echo $HOME",
            "a | b",
            "a; b",
            "cat < x",
            "ls *",
            "echo \"a\"",
            "a\nb",
            "A=1 b",
            "",
            "echo 'open",
        ] {
            assert_eq!(words(text), None, "{text}");
        }
        assert_eq!(words(r"echo a\ b  c"), Some(vec!["echo".to_owned(), "a b".to_owned(), "c".to_owned()]));
    }
}
