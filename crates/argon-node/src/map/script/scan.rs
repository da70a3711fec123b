//! Reads a script as a POSIX shell does, as far as it takes to know how each placeholder is quoted where it stands.
//!
//! This file reads commands: words, operators, groups, `case`, comments. What it cannot follow for certain it refuses: a
//! mistake here would give a command another value than the input, though never run the input.

use super::judge::{self, EXPANSION, PLACE};
use super::{Check, Form, ScriptPart, Spot};
use crate::map::placeholder::Placeholder;
use crate::map::reading::Reading;
use crate::map::template_error::TemplateError;

/// Most constructs within constructs: no script of a person has more.
const DEPTH_MAX: u32 = 100;

/// Result of reading a script.
pub(super) struct Scanned {
    pub(super) pieces: Vec<ScriptPart>,
    /// True if a word that follows would be an argument of the last command.
    pub(super) takes_word: bool,
}

/// A script, and how far it was read.
pub(super) struct Scanner<'a> {
    pub(super) line: &'a str,
    pub(super) at: usize,
    pub(super) reading: Reading<'a>,
    pub(super) pieces: Vec<ScriptPart>,
    text: String,
    /// Here-documents whose text begins after the present line.
    pub(super) here: Vec<HereDocument>,
    depth: u32,
}

/// A here-document whose text has not begun.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HereDocument {
    pub(super) end: String,
    /// The word has quotes: nothing in the text is expanded.
    pub(super) is_quoted: bool,
    /// `<<-`: tabs at the beginning of lines go.
    pub(super) is_indented: bool,
}

/// A word of a command, as far as it is known before the shell runs.
#[derive(Default)]
pub(super) struct Word {
    pub(super) text: String,
    /// The pieces that are placeholders in it, but for those in commands that it is made of.
    places: Vec<usize>,
    /// The number of pieces before it.
    begin: usize,
    is_quoted: bool,
}

/// A list of commands that is being read: the script, or what stands within parentheses.
#[derive(Default)]
struct List {
    words: Vec<Word>,
    word: Option<Word>,
    /// For each `case` that is open, whether a pattern comes next.
    cases: Vec<bool>,
    /// The next word names a file, and is not an argument.
    is_target: bool,
    /// Within `[[ ]]`, where operators are words.
    is_test: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(line: &'a str, reading: Reading<'a>) -> Self {
        Self { line, at: 0, reading, pieces: Vec::new(), text: String::new(), here: Vec::new(), depth: 0 }
    }

    pub(super) fn scan(mut self) -> Result<Scanned, TemplateError> {
        let takes_word = self.list(false)?;
        if self.here.is_empty() {
            self.flush();
            return Ok(Scanned { pieces: self.pieces, takes_word });
        }
        Err(self.open("a here-document"))
    }

    /// Reads commands to the end of the script, or to the parenthesis that closes them, which is left. Returns whether
    /// the last command would take another word.
    pub(super) fn list(&mut self, is_nested: bool) -> Result<bool, TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(TemplateError::Tangled("it nests too deep"));
        }
        let mut list = List::default();
        let mut is_comment = false;
        loop {
            let begin = self.at;
            if let Some((place, length)) = self.find()? {
                self.put(place, length, Form::Word, list.word(self.pieces.len()));
                continue;
            }
            let Some(letter) = self.peek() else { break };
            is_comment = letter == '#' && list.word.is_none();
            match letter {
                ' ' | '\t' => {
                    self.take(1);
                    list.end_word();
                }
                '\n' => {
                    self.take(1);
                    list.end(self);
                    self.here_documents()?;
                    continue;
                }
                ';' | '&' | '|' | '(' | ')' | '<' | '>' if list.is_test => {
                    self.take(1);
                    list.end_word();
                }
                '#' if is_comment => self.take(self.rest().find('\n').unwrap_or(self.rest().len())),
                ';' | '&' | '|' => self.operator(&mut list),
                '(' => {
                    self.open_parenthesis(&mut list)?;
                    continue;
                }
                ')' => {
                    if !self.ends_pattern(&mut list, is_nested)? {
                        break;
                    }
                }
                '<' | '>' => self.redirection(&mut list)?,
                _ => self.part_of_word(letter, list.word(self.pieces.len()))?,
            }
            if !self.here.is_empty() && self.line[begin..self.at].contains('\n') {
                return Err(TemplateError::Tangled("the line of a '<<' goes on behind its end"));
            }
        }
        self.depth -= 1;
        if is_nested && self.peek().is_none() {
            return Err(self.open("a parenthesis"));
        }
        list.end_word();
        let takes_word = !is_comment && !list.is_target && !list.words.is_empty();
        list.end(self);
        Ok(takes_word)
    }

    /// At a `)`: true behind the pattern of a `case`, false at the end of a nested list.
    fn ends_pattern(&mut self, list: &mut List, is_nested: bool) -> Result<bool, TemplateError> {
        // The word before it may be the `esac` that ends a `case`.
        list.end_word();
        match list.cases.last_mut() {
            Some(is_pattern @ true) => {
                *is_pattern = false;
                self.take(1);
                list.clear();
                Ok(true)
            }
            Some(false) => Err(TemplateError::Tangled("a ')' stands within a 'case'")),
            None if is_nested => Ok(false),
            None => Err(TemplateError::Tangled("a ')' closes nothing")),
        }
    }

    /// Quotes, expansions and letters: what words are made of.
    fn part_of_word(&mut self, letter: char, word: &mut Word) -> Result<(), TemplateError> {
        match letter {
            '\'' => {
                word.is_quoted = true;
                self.single(word)
            }
            '"' => {
                word.is_quoted = true;
                self.double(word)
            }
            '`' => {
                word.text.push(EXPANSION);
                self.backquotes()
            }
            '$' => {
                word.text.push(EXPANSION);
                self.dollar(false, word)
            }
            '\\' => {
                word.is_quoted = true;
                self.backslash(word)
            }
            other => {
                word.text.push(other);
                self.take(other.len_utf8());
                Ok(())
            }
        }
    }

    fn operator(&mut self, list: &mut List) {
        let rest = self.rest();
        let is_end_of_case = rest.starts_with(";;") || rest.starts_with(";&");
        let length = if rest.starts_with(";;&") { 3 } else { 1 + usize::from(is_end_of_case) };
        self.take(length);
        list.end(self);
        if let Some(is_pattern) = list.cases.last_mut().filter(|_| is_end_of_case) {
            *is_pattern = true;
        }
    }

    fn open_parenthesis(&mut self, list: &mut List) -> Result<(), TemplateError> {
        let is_first = list.word.is_none() && list.words.is_empty();
        if is_first && list.cases.last() == Some(&true) {
            self.take(1);
            return Ok(());
        }
        let is_loop = matches!(list.words.as_slice(), [word] if word.text == "for");
        if (is_first || is_loop) && self.rest().starts_with("((") {
            return self.double_parenthesis(list);
        }
        self.take(1);
        self.list(true)?;
        self.take(1);
        list.end_word();
        list.clear();
        Ok(())
    }

    /// A sum in some shells, two groups in others.
    fn double_parenthesis(&mut self, list: &mut List) -> Result<(), TemplateError> {
        let mut depth = 0;
        let length = self.rest().char_indices().find_map(|(at, letter)| {
            depth += i32::from(letter == '(') - i32::from(letter == ')');
            (depth == 0).then_some(at + 1)
        });
        let length = length.ok_or_else(|| self.open("'(('"))?;
        if self.reading.is_in(&self.rest()[..length]) {
            return Err(self.misplaced("within '(( ))'", "$(( … )) for a sum, ( ( … ) ) for groups"));
        }
        self.take(length);
        list.clear();
        Ok(())
    }

    fn redirection(&mut self, list: &mut List) -> Result<(), TemplateError> {
        if list.word.as_ref().is_some_and(|word| word.text.bytes().all(|byte| byte.is_ascii_digit())) {
            list.word = None;
        }
        list.end_word();
        let rest = self.rest();
        if rest.starts_with("<<<") {
            self.take(3);
        } else if rest.starts_with("<<") {
            return self.begin_here_document();
        } else {
            let length = rest.len() - rest.trim_start_matches(['<', '>', '&', '|']).len();
            self.take(length);
            if self.peek() == Some('(') {
                return Ok(());
            }
        }
        list.is_target = true;
        Ok(())
    }

    /// The placeholder that comes next.
    pub(super) fn find(&self) -> Result<Option<(Placeholder, usize)>, TemplateError> {
        self.reading.find(self.line, self.at)
    }

    /// Puts a placeholder where it stands.
    pub(super) fn put(&mut self, place: Placeholder, length: usize, form: Form, word: &mut Word) {
        self.flush();
        word.places.push(self.pieces.len());
        word.text.push(PLACE);
        self.pieces.push(ScriptPart::Spot(Spot { place, form, check: Check::Any }));
        self.at += length;
    }

    /// The value of a placeholder must pass a check.
    fn require(&mut self, piece: usize, check: Check) {
        if let ScriptPart::Spot(spot) = &mut self.pieces[piece]
            && spot.check < check
        {
            spot.check = check;
        }
    }

    /// The placeholders since the piece `begin` must be numbers.
    pub(super) fn count_from(&mut self, begin: usize) {
        (begin..self.pieces.len()).for_each(|piece| self.require(piece, Check::Number));
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(ScriptPart::Text(std::mem::take(&mut self.text)));
        }
    }

    /// Number of pieces, once all that was read is one.
    pub(super) fn mark(&mut self) -> usize {
        self.flush();
        self.pieces.len()
    }

    /// True if a placeholder was put since the mark.
    pub(super) fn has_place_since(&self, mark: usize) -> bool {
        self.pieces[mark..].iter().any(|piece| matches!(piece, ScriptPart::Spot(_)))
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Passes on what stands there as it is.
    pub(super) fn take(&mut self, length: usize) {
        self.text.push_str(&self.line[self.at..self.at + length]);
        self.at += length;
    }

    /// Adds to the script what is not in the line.
    pub(super) fn add(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn open(&self, what: &'static str) -> TemplateError {
        TemplateError::Open(what)
    }

    pub(super) fn misplaced(&self, place: &'static str, instead: &'static str) -> TemplateError {
        TemplateError::Misplaced { place, instead }
    }
}

impl List {
    /// The word that is being read; `begin` is the number of pieces, for a new one.
    fn word(&mut self, begin: usize) -> &mut Word {
        self.word.get_or_insert_with(|| Word { begin, ..Word::default() })
    }

    fn clear(&mut self) {
        self.words.clear();
        self.word = None;
        self.is_target = false;
        self.is_test = false;
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        if std::mem::take(&mut self.is_target) {
            return;
        }
        let is_key = !word.is_quoted;
        self.words.push(word);
        let texts: Vec<&str> = self.words.iter().map(|word| word.text.as_str()).collect();
        match texts.as_slice() {
            ["[["] => {
                self.is_test = true;
                return;
            }
            ["[[", .., "]]"] => {
                self.is_test = false;
                return;
            }
            ["case", _, "in"] => self.cases.push(true),
            ["esac"] if is_key && self.cases.pop().is_some() => {}
            ["if" | "then" | "else" | "elif" | "do" | "while" | "until" | "!" | "{" | "time"] if is_key => {}
            ["for" | "select", _, "do"] | ["function", _, "{"] => {}
            _ => return,
        }
        self.words.clear();
    }

    /// A command ends: what its placeholders must be is known now.
    fn end(&mut self, scanner: &mut Scanner<'_>) {
        self.end_word();
        let texts: Vec<&str> = self.words.iter().map(|word| word.text.as_str()).collect();
        for (at, word) in self.words.iter().enumerate() {
            let check = judge::check(&texts, at);
            word.places.iter().for_each(|place| scanner.require(*place, check));
            if judge::is_code(&texts, at) {
                let end = self.words.get(at + 1).map_or(scanner.pieces.len(), |next| next.begin);
                (word.begin..end).for_each(|piece| scanner.require(piece, Check::Plain));
            }
        }
        self.clear();
    }
}
