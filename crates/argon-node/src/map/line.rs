//! A command that is typed as one word: a program, or a line for a shell as users of GNU parallel write it.

use super::reading::Reading;
use super::template_error::TemplateError;

/// Letters that mean something to a shell.
const OF_SHELL: &str = " \t\n|&;<>()$`\"'\\*?#~";
/// Words that join commands or files in a line for a shell.
const OPERATORS: &[&str] = &["|", "||", "&&", "&", ">", ">>", "<", "2>", "2>&1", ">/dev/null", "2>/dev/null"];
/// Programs that take such words as arguments.
const TAKE_OPERATORS: &[&str] = &["expr", "test", "[", "find", "jq", "awk", "bc", "dc"];

/// True if the only word of a command is a line for a shell: it has blanks or other letters of a shell outside of
/// placeholders, and is not the path of a file.
///
/// # Errors
/// If something stands there that looks like a placeholder and is not one.
pub fn is_line(words: &[String], reading: Reading<'_>) -> Result<bool, TemplateError> {
    let [word] = words else { return Ok(false) };
    let mut at = 0;
    let mut is_line = false;
    while let Some(letter) = word[at..].chars().next() {
        match reading.find(word, at)? {
            Some((_, length)) => at += length,
            None => {
                is_line |= OF_SHELL.contains(letter);
                at += letter.len_utf8();
            }
        }
    }
    Ok(is_line && !std::path::Path::new(word).is_file())
}

/// A word that only a shell understands, among the words of a command that no shell reads.
#[must_use]
pub fn operator(words: &[String]) -> Option<&str> {
    let name = words.first()?.rsplit('/').next().unwrap_or_default();
    if TAKE_OPERATORS.contains(&name) {
        return None;
    }
    words.iter().skip(1).map(String::as_str).find(|word| OPERATORS.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Reading<'static> = Reading { whole: "{}", shell: None, literal: false, more: None };

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn one_word_with_letters_of_a_shell_is_a_line() {
        for (word, expected) in [
            ("echo {} | wc", true),
            ("echo {}", true),
            ("./{}", false),
            ("{}", false),
            ("gzip", false),
            ("a;b", true),
        ] {
            assert_eq!(is_line(&words(&[word]), PLAIN).expect(word), expected, "{word}");
        }
        assert!(!is_line(&words(&["echo", "a | b"]), PLAIN).expect("words"));
    }

    #[test]
    fn a_word_for_a_shell_is_found_where_no_shell_is() {
        assert_eq!(operator(&words(&["zcat", "{}", "|", "wc"])), Some("|"));
        assert_eq!(operator(&words(&["expr", "{}", "|", "3"])), None);
        assert_eq!(operator(&words(&["echo", "a|b"])), None);
    }
}
