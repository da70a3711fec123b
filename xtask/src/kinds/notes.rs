//! Reads the comments above tests that name a kind: `kind: NAME | INPUT | right | WHY`.
//!
//! The comment stands above the test or case that it is about; lines of comment below it that are indented by
//! three spaces or more go on with it. The name of the test is read from the code, never from the comment.

use std::fmt;

use crate::tidy::Finding;
use crate::tree::{SourceFile, Tree};

/// Most lines between a comment and its test.
const REACH_LINES: usize = 40;

/// Calls of a Perl test that end with its name.
const PERL_TESTS: &[&str] = &["subtest", "is_deeply", "is", "isnt", "like", "unlike", "ok", "cmp_ok", "pass"];

/// One comment, with the test below it.
pub(super) struct Note {
    pub(super) path: String,
    /// Line of the comment, from 1.
    pub(super) line: usize,
    pub(super) kind: String,
    pub(super) input: String,
    pub(super) outcome: Outcome,
    pub(super) why: String,
    pub(super) test: String,
}

/// Result that the test shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Right,
    Loud,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Right => "right",
            Self::Loud => "loud",
        })
    }
}

/// All comments of the tree, in the order of paths and lines, and those that cannot be read.
pub(super) fn read(tree: &Tree) -> (Vec<Note>, Vec<Finding>) {
    let (mut notes, mut findings) = (Vec::new(), Vec::new());
    for file in tree.files.iter().filter(|file| may_hold_tests(file)) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(begin) = comment(line).and_then(|text| text.strip_prefix(" kind: ")) else { continue };
            match note(file, &lines, index, begin) {
                Ok(note) => notes.push(note),
                Err(problem) => findings.push(Finding {
                    path: file.path.clone(),
                    line: Some(index + 1),
                    problem,
                    remedy: "write `kind: NAME | INPUT | right | WHY` (or loud) above a test".into(),
                }),
            }
        }
    }
    (notes, findings)
}

/// Code in three languages, and the lists of Perl cases. Not this chore, whose tests hold examples.
fn may_hold_tests(file: &SourceFile) -> bool {
    let is_case_list = file.path.starts_with("perl/t/") && file.path.ends_with(".txt");
    (file.language().is_some() || is_case_list) && !file.path.starts_with("xtask/")
}

/// The text of a line that is only a comment, from the blank on.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("//").or_else(|| line.strip_prefix('#'))
}

fn note(file: &SourceFile, lines: &[&str], index: usize, begin: &str) -> Result<Note, String> {
    let mut text = begin.trim().to_owned();
    let more = lines[index + 1..].iter().map_while(|line| comment(line)?.strip_prefix("   "));
    let mut length = 1;
    for line in more {
        text.push(' ');
        text.push_str(line.trim());
        length += 1;
    }
    let fields: Vec<&str> = text.split(" | ").map(str::trim).collect();
    let [kind, input, outcome, why] = fields[..] else {
        return Err(format!("it has {} parts between bars instead of 4", fields.len()));
    };
    let outcome = match outcome {
        "right" => Outcome::Right,
        "loud" => Outcome::Loud,
        other => return Err(format!("\"{other}\" is neither \"right\" nor \"loud\"")),
    };
    let below = &lines[index + length..lines.len().min(index + length + REACH_LINES)];
    let test = test_name(&file.path, below).ok_or("no test begins below it")?;
    let (kind, input, why) = (kind.to_owned(), input.to_owned(), why.to_owned());
    Ok(Note { path: file.path.clone(), line: index + 1, kind, input, outcome, why, test })
}

fn test_name(path: &str, below: &[&str]) -> Option<String> {
    let word = |rest: &str| {
        let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
        (end > 0).then(|| rest[..end].to_owned())
    };
    match path.rsplit('.').next()? {
        "rs" => below.iter().find_map(|line| {
            let line = line.trim_start().trim_start_matches("async ");
            word(line.strip_prefix("fn ")?)
        }),
        "py" => below
            .iter()
            .find_map(|line| word(line.trim_start().trim_start_matches("async ").strip_prefix("def ")?)),
        "txt" => below.iter().find_map(|line| word(line.strip_prefix("=== ")?)),
        _ => perl_test_name(below),
    }
}

/// The last quoted text of the first test call: `is $got, 1, 'its name';` or `subtest 'its name' => sub {`.
///
/// A row of a table of tests begins with its name: `['its name', 'sub { … }'],`.
fn perl_test_name(below: &[&str]) -> Option<String> {
    if let Some(row) = below.first().and_then(|line| line.trim_start().strip_prefix('[')) {
        let quoted = row.trim_start().strip_prefix(['\'', '"'])?;
        return Some(quoted[..quoted.find(['\'', '"'])?].to_owned());
    }
    let is_test = |line: &&str| {
        let line = line.trim_start();
        PERL_TESTS.iter().any(|call| line.strip_prefix(call).is_some_and(|rest| rest.starts_with([' ', '('])))
    };
    let begin = below.iter().position(is_test)?;
    for line in &below[begin..] {
        let line = line.trim_end();
        let is_subtest = line.trim_start().starts_with("subtest");
        if !line.ends_with(';') && !is_subtest {
            continue;
        }
        let line = if is_subtest { line.split("=>").next()? } else { line };
        return last_quoted(line.trim_end_matches([';', ')', ' ', ',']));
    }
    None
}

fn last_quoted(text: &str) -> Option<String> {
    let quote = text.chars().next_back().filter(|letter| ['\'', '"'].contains(letter))?;
    let inner = text.strip_suffix(quote)?;
    Some(inner[inner.rfind(quote)? + 1..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str, text: &str) -> Vec<String> {
        let (notes, findings) = read(&Tree::of(&[(path, text)]));
        assert!(findings.is_empty(), "{findings:?}");
        notes.into_iter().map(|note| note.test).collect()
    }

    #[test]
    fn tests_of_each_language_are_named_by_their_code() {
        let mark = "kind: the topic | `$_` of a loop | right | it travels";
        let rust = format!("// {mark}\n#[test]\nfn arrives() {{}}\n");
        assert_eq!(names("tests/tests/a.rs", &rust), ["arrives"]);
        let python = format!("# {mark}\n@case\nasync def arrives(remote):\n");
        assert_eq!(names("python/tests/test_a.py", &python), ["arrives"]);
        let cases = format!("# {mark}\n=== arrives_too\nmy $x;\n");
        assert_eq!(names("perl/t/code/cases.txt", &cases), ["arrives_too"]);
        let perl = format!(
            "# {mark}\nmy $x = 'no';\nis $x,\n    3, \"it's here\";\n# {mark}\nsubtest 'two' => sub {{\n"
        );
        assert_eq!(names("perl/t/a.t", &perl), ["it's here", "two"]);
        let row = format!("my @ROWS = (\n    # {mark}\n    ['a_row', 'sub {{ 1 }}'],\n);\n");
        assert_eq!(names("perl/t/b.t", &row), ["a_row"]);
    }

    #[test]
    fn a_comment_goes_on_in_indented_lines() {
        let text =
            "# kind: the topic | `$_` of a\n#    loop | loud | refused\n# An explanation.\ndef test_a():\n";
        let (notes, _) = read(&Tree::of(&[("a.py", text)]));
        assert_eq!(notes[0].input, "`$_` of a loop");
        assert_eq!((notes[0].outcome, notes[0].why.as_str()), (Outcome::Loud, "refused"));
    }

    #[test]
    fn what_cannot_be_read_is_found() {
        let problem = |text: &str| read(&Tree::of(&[("a.py", text)])).1.remove(0).problem;
        assert_eq!(problem("# kind: a | b\ndef test_a():\n"), "it has 2 parts between bars instead of 4");
        assert_eq!(
            problem("# kind: a | b | wrong | c\ndef x():\n"),
            "\"wrong\" is neither \"right\" nor \"loud\""
        );
        assert_eq!(problem("# kind: a | b | right | c\nx = 1\n"), "no test begins below it");
    }
}
