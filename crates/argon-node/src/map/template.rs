//! The command with its placeholders: parsed once, filled in for each input.
//!
//! A word that a POSIX shell reads as code, after `sh -c` or as the line of `--shell`, is a [`Script`]: values are given to
//! it as arguments, and never become a part of its text.

use super::filling::Filling;
use super::placeholder::{Part, Placeholder};
use super::reading::Reading;
use super::script::{Check, Script, code_in, is_reread};
use super::template_error::TemplateError;

/// A command line whose placeholders have been found.
#[derive(Debug, Clone)]
pub struct CommandTemplate {
    words: Vec<TemplateWord>,
    /// A word with text around the placeholder of several inputs becomes a word for each.
    is_repeated: bool,
}

/// A word of the command.
#[derive(Debug, Clone)]
enum TemplateWord {
    /// Text and placeholders, whose values must pass a check.
    Word(Vec<TemplatePart>, Check),
    /// The script of a shell, and whether that is the command, so that what follows are its arguments and its alone.
    Code(Script, bool),
}

#[derive(Debug, Clone, PartialEq)]
enum TemplatePart {
    Text(String),
    Placeholder(Placeholder),
}

const INPUT: TemplatePart = TemplatePart::Placeholder(Placeholder::Value(None, Part::Whole));

impl CommandTemplate {
    /// Finds the placeholders. A command without any gets the input appended.
    ///
    /// # Errors
    /// If there is no command, or a placeholder that is not known or cannot stand where it does.
    pub fn parse(words: &[String], reading: Reading<'_>) -> Result<Self, TemplateError> {
        if words.is_empty() {
            return Err(TemplateError::Empty);
        }
        if reading.whole.is_empty() {
            return Err(TemplateError::NoWhole);
        }
        let Some(shell) = reading.shell else { return Self::of_words(words, reading) };
        Ok(Self::of_line(shell, Script::parse(&words.join(" "), reading, true)?))
    }

    fn of_line(shell: &str, script: Script) -> Self {
        let fixed = |text: &str| TemplateWord::Word(vec![TemplatePart::Text(text.to_owned())], Check::Any);
        Self { words: vec![fixed(shell), fixed("-c"), TemplateWord::Code(script, true)], is_repeated: false }
    }

    /// Finds the placeholders of a command whose inputs are blocks of its standard input: no word stands for them.
    ///
    /// # Errors
    /// If there is no command, or a placeholder for an input.
    pub fn parse_for_blocks(words: &[String], reading: Reading<'_>) -> Result<Self, TemplateError> {
        if words.is_empty() {
            return Err(TemplateError::Empty);
        }
        if reading.whole.is_empty() {
            return Err(TemplateError::NoWhole);
        }
        let template = match reading.shell {
            Some(shell) => Self::of_line(shell, Script::parse(&words.join(" "), reading, false)?),
            None => Self { words: Self::entries(words, reading)?, is_repeated: false },
        };
        let has_input = template.places().any(|place| matches!(place, Placeholder::Value(..)));
        if has_input { Err(TemplateError::OfBlock) } else { Ok(template) }
    }

    /// Finds the placeholders of words that are not a command.
    ///
    /// # Errors
    /// If there is a placeholder that is not known.
    pub fn parse_words(words: &[String], reading: Reading<'_>) -> Result<Self, TemplateError> {
        Ok(Self { words: Self::entries(words, reading)?, is_repeated: false })
    }

    fn of_words(words: &[String], reading: Reading<'_>) -> Result<Self, TemplateError> {
        let template = Self { words: Self::entries(words, reading)?, is_repeated: false };
        if template.places().next().is_some() {
            return Ok(template);
        }
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        let Self { words: mut entries, .. } = template;
        let check = if is_reread(&texts, texts.len()) { Check::Plain } else { Check::Any };
        entries.push(TemplateWord::Word(vec![INPUT], check));
        Ok(Self { words: entries, is_repeated: false })
    }

    fn entries(words: &[String], reading: Reading<'_>) -> Result<Vec<TemplateWord>, TemplateError> {
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        let code = code_in(&texts);
        let mut entries = Vec::with_capacity(words.len() + 1);
        for (at, word) in words.iter().enumerate() {
            let is_code = code.filter(|code| code.at == at);
            // A script that is all input is what was asked for: a list of scripts.
            let is_whole = word == reading.whole;
            entries.push(match is_code {
                Some(code) if code.is_posix && !is_whole => match Script::parse(word, reading, false) {
                    Ok(script) => TemplateWord::Code(script, code.shell == 0),
                    Err(error) if reading.is_in(word) || matches!(error, TemplateError::Unknown(_)) => {
                        return Err(error);
                    }
                    // Nothing is to be filled in there: what it means is the shell's affair.
                    Err(_) => TemplateWord::Word(vec![TemplatePart::Text(word.clone())], Check::Any),
                },
                Some(_) if !is_whole => TemplateWord::Word(pieces(word, reading)?, Check::Plain),
                None if is_reread(&texts, at) => TemplateWord::Word(pieces(word, reading)?, Check::Plain),
                Some(_) | None => TemplateWord::Word(pieces(word, reading)?, Check::Any),
            });
        }
        Ok(entries)
    }

    /// The same command, in which text around the placeholder of several inputs is repeated for each: `-X`.
    #[must_use]
    pub fn repeated(self) -> Self {
        Self { is_repeated: true, ..self }
    }

    fn places(&self) -> impl Iterator<Item = Placeholder> {
        self.words.iter().flat_map(|entry| match entry {
            TemplateWord::Code(script, _) => script.places().collect::<Vec<_>>(),
            TemplateWord::Word(pieces, _) => {
                let place = |piece: &TemplatePart| match piece {
                    TemplatePart::Placeholder(place) => Some(*place),
                    TemplatePart::Text(_) => None,
                };
                pieces.iter().filter_map(place).collect()
            }
        })
    }

    /// The highest column that a placeholder names; 0 if none names one.
    #[must_use]
    pub fn highest_column(&self) -> usize {
        let columns = self.places().map(|place| match place {
            Placeholder::Value(column, _) => {
                column.and_then(|column| usize::try_from(column).ok()).unwrap_or(0)
            }
            Placeholder::Sequence | Placeholder::Slot | Placeholder::Total => 0,
        });
        columns.max().unwrap_or(0)
    }

    /// How often it has the value of an input.
    #[must_use]
    pub fn times(&self) -> usize {
        self.places().filter(|place| matches!(place, Placeholder::Value(..))).count().max(1)
    }

    /// True if it has this placeholder.
    #[must_use]
    pub fn has(&self, place: Placeholder) -> bool {
        self.places().any(|found| found == place)
    }

    /// The words of the command for one input.
    ///
    /// # Errors
    /// If the input has fewer columns than the command names, or may not stand where its placeholder does.
    pub fn fill(&self, input: &Filling<'_>) -> Result<Vec<String>, TemplateError> {
        input.has(self.highest_column())?;
        let mut filled = Vec::with_capacity(self.words.len());
        let mut values: Option<(usize, Vec<String>)> = None;
        for entry in &self.words {
            match entry {
                TemplateWord::Code(script, true) => {
                    let (text, given) = script.fill(input)?.with_arguments();
                    filled.push(text);
                    values = Some((filled.len(), given)).filter(|(_, values)| !values.is_empty());
                }
                TemplateWord::Code(script, false) => filled.push(script.fill(input)?.alone()),
                TemplateWord::Word(pieces, check) => self.fill_word(&mut filled, pieces, *check, input)?,
            }
        }
        if let Some((behind, values)) = values {
            // The first argument of a script is its name, `$0`.
            if filled.len() == behind {
                filled.push("sh".to_owned());
            }
            filled.splice(behind + 1..behind + 1, values);
        }
        Ok(filled)
    }

    fn fill_word(
        &self,
        filled: &mut Vec<String>,
        pieces: &[TemplatePart],
        check: Check,
        input: &Filling<'_>,
    ) -> Result<(), TemplateError> {
        let all = pieces
            .iter()
            .position(|piece| matches!(piece, TemplatePart::Placeholder(Placeholder::Value(None, _))));
        // A placeholder for all columns that stands alone gives a word for each; so does one with text around it, if the
        // text is repeated.
        let Some(_) = all.filter(|_| pieces.len() == 1 || self.is_repeated) else {
            let every: Vec<usize> = (0..input.row.len()).collect();
            filled.push(word_of(pieces, check, input, &every)?);
            return Ok(());
        };
        for column in 0..input.row.len() {
            filled.push(word_of(pieces, check, input, &[column])?);
        }
        Ok(())
    }
}

/// A text with placeholders that is not a part of the command, such as a tag.
#[derive(Debug, Clone)]
pub struct TextTemplate(Vec<TemplatePart>);

impl TextTemplate {
    /// Finds the placeholders.
    ///
    /// # Errors
    /// If one is not known.
    pub fn parse(text: &str, reading: Reading<'_>) -> Result<Self, TemplateError> {
        Ok(Self(pieces(text, reading)?))
    }

    /// The text for one input.
    ///
    /// # Errors
    /// If an expression fails.
    pub fn fill(&self, input: &Filling<'_>) -> Result<String, TemplateError> {
        let every: Vec<usize> = (0..input.row.len()).collect();
        word_of(&self.0, Check::Any, input, &every)
    }
}

/// A word; `every` are the columns that a placeholder for all of them stands for.
fn word_of(
    pieces: &[TemplatePart],
    check: Check,
    input: &Filling<'_>,
    every: &[usize],
) -> Result<String, TemplateError> {
    let mut text = String::new();
    for piece in pieces {
        let place = match piece {
            TemplatePart::Text(fixed) => {
                text.push_str(fixed);
                continue;
            }
            TemplatePart::Placeholder(place) => *place,
        };
        let Placeholder::Value(column, part) = place else {
            text.push_str(&input.number(place).unwrap_or_default());
            continue;
        };
        let columns = if column.is_none() { every.to_vec() } else { input.columns(column).collect() };
        for (nth, column) in columns.into_iter().enumerate() {
            let (value, _) = input.value(column, part)?;
            check.allows(&value, input.sequence)?;
            if nth > 0 {
                text.push(' ');
            }
            text.push_str(&value);
        }
    }
    Ok(text)
}

fn pieces(word: &str, reading: Reading<'_>) -> Result<Vec<TemplatePart>, TemplateError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut at = 0;
    while let Some(letter) = word[at..].chars().next() {
        if let Some((place, length)) = reading.find(word, at)? {
            if !text.is_empty() {
                pieces.push(TemplatePart::Text(std::mem::take(&mut text)));
            }
            pieces.push(TemplatePart::Placeholder(place));
            at += length;
        } else {
            text.push(letter);
            at += letter.len_utf8();
        }
    }
    if !text.is_empty() || pieces.is_empty() {
        pieces.push(TemplatePart::Text(text));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Reading<'static> = Reading { whole: "{}", shell: None, literal: false, more: None };

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn filled(line: &str, reading: Reading<'_>, row: &[&str]) -> Vec<String> {
        let row: Vec<String> = row.iter().map(|value| (*value).to_owned()).collect();
        let template = CommandTemplate::parse(&words(line), reading).expect("it can be read");
        template.fill(&Filling::new(&row, 7)).expect("it can be filled in")
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
        let shell = Reading { shell: Some("sh"), ..PLAIN };
        let script = r#"argon_1=$1; shift; zcat "${argon_1}" | wc"#;
        assert_eq!(filled("zcat {} | wc", shell, &["it's"]), ["sh", "-c", script, "sh", "it's"]);
        let script = r#"argon_1=$1; argon_2=$2; shift 2; cat "${argon_1}" "${argon_2}""#;
        assert_eq!(filled("cat", shell, &["a", "b c"]), ["sh", "-c", script, "sh", "a", "b c"]);
    }

    #[test]
    fn unknown_placeholders_are_errors_that_list_the_known() {
        for unknown in ["{x}", "{..}", "{%%}", "{0}", "{1x}", "{name}"] {
            let error =
                CommandTemplate::parse(&words(&format!("echo a{unknown}")), PLAIN).expect_err(unknown);
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
        let template = CommandTemplate::parse(&words("cp {1} {3}"), PLAIN).expect("it can be read");
        let error = template.fill(&Filling::new(&words("a b"), 12)).expect_err("no third column");
        assert_eq!(error.to_string(), "the command asks for column 3, and input 12 has 2 columns");
    }
}
