//! The command with its placeholders: parsed once, filled in for each input.
//!
//! Knows the placeholders of GNU parallel. Braces around anything else stay as they are, unless they look like a
//! placeholder: then it is an error, since a command that runs with `{.x}` in a file's name does harm a thousand times.

use super::quote;

/// A command line whose placeholders have been found.
#[derive(Debug, Clone)]
pub struct Template {
    words: Vec<Vec<Piece>>,
    shell: bool,
}

/// How a command line is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// What stands for the whole input; `{}` unless the user says otherwise.
    pub whole: &'a str,
    /// Whether the words are one line for a shell, in which values are quoted.
    pub shell: bool,
    /// Whether unknown placeholders stay as they are.
    pub literal: bool,
}

/// Why a command line cannot be used, or cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Something in braces that is not known.
    #[error(
        "there is no placeholder {0}; there are {{}} {{.}} {{/}} {{//}} {{/.}} {{#}}, and with the number of a column \
         {{1}} {{1.}} {{1/}} {{1//}} {{1/.}}; to pass {0} as it is, say --literal"
    )]
    Unknown(String),
    /// A column that is not there.
    #[error("the command asks for column {wanted}, and input {sequence} has {}", columns(*.found))]
    Column {
        /// The column, from 1.
        wanted: usize,
        /// How many there are.
        found: usize,
        /// The input.
        sequence: u64,
    },
    /// A column that no input can have.
    #[error(
        "the command asks for column {wanted}, and there {}; each ':::' or file is one, and --csv splits lines",
        if *found == 1 { "is one source of inputs".to_owned() } else { format!("are {found} sources of inputs") }
    )]
    NoSource {
        /// The column, from 1.
        wanted: usize,
        /// How many sources there are.
        found: usize,
    },
    /// No command.
    #[error("no command is given: argon map [OPTIONS] -- COMMAND [ARGUMENT]... [::: INPUT]...")]
    Empty,
}

fn columns(count: usize) -> String {
    if count == 1 { "one column".to_owned() } else { format!("{count} columns") }
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Place(Place),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Sequence,
    /// A part of one column, or of all of them.
    Value(Option<usize>, Part),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Whole,
    NoExtension,
    Name,
    Folder,
    Stem,
}

impl Template {
    /// Finds the placeholders. A command without any gets the input appended.
    ///
    /// # Errors
    /// If there is no command, or a placeholder that is not known.
    pub fn parse(words: &[String], reading: Reading<'_>) -> Result<Self, TemplateError> {
        if words.is_empty() {
            return Err(TemplateError::Empty);
        }
        let mut words = words.iter().map(|word| pieces(word, reading)).collect::<Result<Vec<_>, _>>()?;
        let has_place = words.iter().flatten().any(|piece| matches!(piece, Piece::Place(_)));
        if !has_place {
            words.push(vec![Piece::Place(Place::Value(None, Part::Whole))]);
        }
        Ok(Self { words, shell: reading.shell })
    }

    /// The highest column that a placeholder names; 0 if none names one.
    #[must_use]
    pub fn highest_column(&self) -> usize {
        let columns = self.words.iter().flatten().map(|piece| match piece {
            Piece::Place(Place::Value(column, _)) => column.unwrap_or(0),
            Piece::Place(Place::Sequence) | Piece::Text(_) => 0,
        });
        columns.max().unwrap_or(0)
    }

    /// The words of the command for one input.
    ///
    /// # Errors
    /// If the input has fewer columns than the command names.
    pub fn fill(&self, row: &[String], sequence: u64) -> Result<Vec<String>, TemplateError> {
        let wanted = self.highest_column();
        if wanted > row.len() {
            return Err(TemplateError::Column { wanted, found: row.len(), sequence });
        }
        let mut filled = Vec::with_capacity(self.words.len());
        for word in &self.words {
            match word.as_slice() {
                // A placeholder for all columns that stands alone gives a word for each.
                [Piece::Place(Place::Value(None, part))] => {
                    filled.extend(row.iter().map(|value| part.of(value)))
                }
                pieces => filled.push(self.join(pieces, row, sequence)),
            }
        }
        if !self.shell {
            return Ok(filled);
        }
        let line: Vec<String> = self.words.iter().map(|pieces| self.join(pieces, row, sequence)).collect();
        Ok(vec!["sh".to_owned(), "-c".to_owned(), line.join(" ")])
    }

    fn join(&self, pieces: &[Piece], row: &[String], sequence: u64) -> String {
        let mut text = String::new();
        let written = |value: &String, part: Part| {
            let value = part.of(value);
            if self.shell { quote::word(&value) } else { value }
        };
        for piece in pieces {
            match piece {
                Piece::Text(fixed) => text.push_str(fixed),
                Piece::Place(Place::Sequence) => text.push_str(&sequence.to_string()),
                Piece::Place(Place::Value(Some(column), part)) => {
                    text.push_str(&written(&row[column - 1], *part))
                }
                Piece::Place(Place::Value(None, part)) => {
                    let values: Vec<String> = row.iter().map(|value| written(value, *part)).collect();
                    text.push_str(&values.join(" "));
                }
            }
        }
        text
    }
}

fn pieces(word: &str, reading: Reading<'_>) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = word;
    while let Some(letter) = rest.chars().next() {
        let found = if rest.starts_with(reading.whole) {
            Some((Place::Value(None, Part::Whole), reading.whole.len()))
        } else if letter == '{' {
            braced(rest, text.ends_with('{'), reading)?
        } else {
            None
        };
        let length = match found {
            Some((place, length)) => {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Place(place));
                length
            }
            None => {
                text.push(letter);
                letter.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    if !text.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// The placeholder at the beginning of `text`, which begins with a brace, and its length; `None` if these are braces
/// of another language: `{print $1}`, `{"a":1}`, `{{.Name}}`.
fn braced(
    text: &str,
    is_doubled: bool,
    reading: Reading<'_>,
) -> Result<Option<(Place, usize)>, TemplateError> {
    let Some(end) = text.find('}') else { return Ok(None) };
    let inside = &text[1..end];
    if inside.is_empty() {
        return Ok(None);
    }
    if let Some(place) = place(inside) {
        return Ok(Some((place, end + 1)));
    }
    let looks_like_one =
        inside.chars().all(|letter| letter.is_ascii_alphanumeric() || "._/#%+-".contains(letter));
    let is_template = is_doubled && text[end + 1..].starts_with('}');
    if looks_like_one && !is_template && !reading.literal {
        return Err(TemplateError::Unknown(text[..=end].to_owned()));
    }
    Ok(None)
}

fn place(inside: &str) -> Option<Place> {
    if inside == "#" {
        return Some(Place::Sequence);
    }
    let digits = inside.len() - inside.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let column = match &inside[..digits] {
        "" => None,
        number => Some(number.parse().ok().filter(|column| *column > 0)?),
    };
    let part = match &inside[digits..] {
        "" => Part::Whole,
        "." => Part::NoExtension,
        "/" => Part::Name,
        "//" => Part::Folder,
        "/." => Part::Stem,
        _ => return None,
    };
    Some(Place::Value(column, part))
}

impl Part {
    fn of(self, value: &str) -> String {
        let name_at = value.rfind('/').map_or(0, |slash| slash + 1);
        let (before, name) = value.split_at(name_at);
        let stem = name.rfind('.').map_or(name, |dot| &name[..dot]);
        match self {
            Self::Whole => value.to_owned(),
            Self::NoExtension => format!("{before}{stem}"),
            Self::Name => name.to_owned(),
            Self::Folder => match before.trim_end_matches('/') {
                "" if before.is_empty() => ".".to_owned(),
                "" => "/".to_owned(),
                folder => folder.to_owned(),
            },
            Self::Stem => stem.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Reading<'static> = Reading { whole: "{}", shell: false, literal: false };

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn filled(line: &str, reading: Reading<'_>, row: &[&str]) -> Vec<String> {
        let row: Vec<String> = row.iter().map(|value| (*value).to_owned()).collect();
        let template = Template::parse(&words(line), reading).expect("it can be read");
        template.fill(&row, 7).expect("it can be filled in")
    }

    #[test]
    fn each_placeholder_gives_its_part_of_the_input() {
        let row = ["/data/in/photo.tar.gz"];
        let line = "x {} {.} {/} {//} {/.} {#} a{/.}b";
        let expected =
            "x /data/in/photo.tar.gz /data/in/photo.tar photo.tar.gz /data/in photo.tar 7 aphoto.tarb";
        assert_eq!(filled(line, PLAIN, &row), words(expected));
    }

    #[test]
    fn paths_at_the_edges_are_those_of_gnu_parallel() {
        for (value, expected) in [
            ("noext", "noext noext . noext"),
            ("dir.d/file", "dir.d/file file dir.d file"),
            ("/top.x", "/top top.x / top"),
            ("a/b/.c", "a/b/ .c a/b "),
        ] {
            assert_eq!(filled("{.} {/} {//} {/.}", PLAIN, &[value]).join(" "), expected, "{value}");
        }
    }

    #[test]
    fn columns_have_numbers_and_all_of_them_are_words_of_their_own() {
        let row = ["a.x", "b/c.y", "d e"];
        assert_eq!(filled("cp {2/.} {1}", PLAIN, &row), ["cp", "c", "a.x"]);
        assert_eq!(filled("cp {}", PLAIN, &row), ["cp", "a.x", "b/c.y", "d e"]);
        assert_eq!(filled("cp <{.}>", PLAIN, &row), ["cp", "<a b/c d e>"]);
    }

    #[test]
    fn a_command_without_placeholder_gets_the_input_at_its_end() {
        assert_eq!(filled("gzip -9", PLAIN, &["a b"]), ["gzip", "-9", "a b"]);
    }

    #[test]
    fn a_shell_gets_one_line_with_quoted_values() {
        let shell = Reading { shell: true, ..PLAIN };
        assert_eq!(filled("zcat {} | wc", shell, &["it's"]), ["sh", "-c", r"zcat 'it'\''s' | wc"]);
        assert_eq!(filled("cat", shell, &["a", "b c"]), ["sh", "-c", "cat a 'b c'"]);
    }

    #[test]
    fn unknown_placeholders_are_errors_that_list_the_known() {
        for unknown in ["{x}", "{..}", "{%}", "{0}", "{1x}", "{name}"] {
            let error = Template::parse(&words(&format!("echo a{unknown}")), PLAIN).expect_err(unknown);
            let text = error.to_string();
            assert!(text.contains(unknown) && text.contains("{/.}") && text.contains("--literal"), "{text}");
        }
    }

    #[test]
    fn braces_of_other_languages_stay() {
        let row = ["v"];
        for text in ["{\"a\":1}", "{{.Name}}", "{", "}", "{a,b}", "{$x}", "${HOME"] {
            assert_eq!(filled(&format!("x {text} {{}}"), PLAIN, &row), ["x", text, "v"]);
        }
        let literal = Reading { literal: true, ..PLAIN };
        assert_eq!(filled("awk {print} {}", literal, &row), ["awk", "{print}", "v"]);
        assert_eq!(filled("x {{}}", PLAIN, &row), ["x", "{v}"]);
    }

    #[test]
    fn another_string_can_stand_for_the_input() {
        let reading = Reading { whole: ",,", ..PLAIN };
        assert_eq!(filled("find ,, -exec ls {} +", reading, &["d"]), words("find d -exec ls {} +"));
    }

    #[test]
    fn a_row_without_the_column_is_told_by_its_number() {
        let template = Template::parse(&words("cp {1} {3}"), PLAIN).expect("it can be read");
        let error = template.fill(&words("a b"), 12).expect_err("no third column");
        assert_eq!(error.to_string(), "the command asks for column 3, and input 12 has 2 columns");
    }
}
