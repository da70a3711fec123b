//! Placeholders beyond those that always exist: expressions of Perl, those that options define, names of columns.
//!
//! Keeps the expressions by their numbers; [`super::perl`] evaluates them.

use std::cell::RefCell;

use regex_lite::Regex;

use super::placeholder::{Part, Placeholder, column, place};
use super::template_error::TemplateError;

/// Placeholders in addition to the fixed ones.
#[derive(Debug, Default)]
pub struct Dictionary {
    /// Other texts for fixed placeholders.
    aliases: Vec<(String, Placeholder)>,
    /// Names for expressions: `--rpl`.
    defined: Vec<Definition>,
    /// True with `--plus`.
    plus: bool,
    /// Text before and after an expression.
    parens: (String, String),
    /// Names of columns, from `--header`.
    names: Vec<String>,
    expressions: RefCell<Vec<String>>,
}

#[derive(Debug)]
struct Definition {
    /// Matches the name at the beginning of a text, perhaps with groups.
    name: Regex,
    /// Matches the name with the number of a column behind its brace.
    numbered: Option<Regex>,
    expression: String,
}

/// Options that define placeholders.
#[derive(Debug, Default, Clone, Copy)]
pub struct Definitions<'a> {
    /// `NAME EXPRESSION`.
    pub rpl: &'a [String],
    /// `{.}=TEXT`.
    pub aliases: &'a [String],
    /// Both halves of the parentheses of expressions.
    pub parens: Option<&'a str>,
    /// More placeholders.
    pub plus: bool,
}

impl Dictionary {
    /// Reads definitions.
    ///
    /// # Errors
    /// A sentence, if one cannot be read.
    pub fn new(given: Definitions<'_>, names: Vec<String>) -> Result<Self, String> {
        let parens = given.parens.unwrap_or("{==}");
        let middle = (0..=parens.len() / 2).rev().find(|at| parens.is_char_boundary(*at)).unwrap_or(0);
        if middle == 0 {
            return Err(
                "--parens takes the text before an expression and that after it, such as ,,,,".to_owned()
            );
        }
        let (left, right) = parens.split_at(middle);
        let aliases = given.aliases.iter().map(|text| alias(text)).collect::<Result<_, _>>()?;
        let defined = given.rpl.iter().map(|text| definition(text)).collect::<Result<_, _>>()?;
        let parens = (left.to_owned(), right.to_owned());
        Ok(Self { aliases, defined, plus: given.plus, parens, names, expressions: RefCell::default() })
    }

    /// The expressions that placeholders use, by their numbers.
    #[must_use]
    pub fn expressions(&self) -> Vec<String> {
        self.expressions.borrow().clone()
    }

    /// The text that begins an expression, and the text that ends it.
    #[must_use]
    pub fn parens(&self) -> (&str, &str) {
        (&self.parens.0, &self.parens.1)
    }

    /// The placeholder at the beginning of a text, and its length.
    ///
    /// # Errors
    /// If an expression does not end.
    pub fn find(&self, text: &str) -> Result<Option<(Placeholder, usize)>, TemplateError> {
        let (left, right) = self.parens();
        if let Some(rest) = text.strip_prefix(left) {
            let end = rest.find(right).ok_or(TemplateError::Open("an expression of Perl"))?;
            let found = self.written(&rest[..end])?;
            return Ok(Some((found, left.len() + end + right.len())));
        }
        if let Some((name, found)) = self.aliases.iter().find(|(name, _)| text.starts_with(name.as_str())) {
            return Ok(Some((*found, name.len())));
        }
        if let Some(found) = self.defined.iter().find_map(|known| self.defined(known, text)) {
            return Ok(Some(found));
        }
        let Some(end) = text.find('}').filter(|_| text.starts_with('{')) else { return Ok(None) };
        let inside = &text[1..end];
        if let Some(found) = self.named(inside) {
            return Ok(Some((found, end + 1)));
        }
        if !self.plus {
            return Ok(None);
        }
        Ok(self.plus(inside)?.map(|found| (found, end + 1)))
    }

    /// An expression as it is written: perhaps with the number or the name of a column first.
    fn written(&self, text: &str) -> Result<Placeholder, TemplateError> {
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        if let Some(at) = self.names.iter().position(|name| name == first).filter(|_| !first.is_empty()) {
            return Ok(self.evaluated(i32::try_from(at + 1).ok(), rest));
        }
        // A number is a column if it stands alone; `2 * 3` is an expression, as is `$_`.
        match column(text) {
            Some((Some(number), rest)) if rest.starts_with(' ') && !text.starts_with(' ') => {
                Ok(self.evaluated(Some(number), rest))
            }
            _ => Ok(self.evaluated(None, text)),
        }
    }

    fn evaluated(&self, column: Option<i32>, expression: &str) -> Placeholder {
        let mut known = self.expressions.borrow_mut();
        let at = known.iter().position(|other| other == expression).unwrap_or_else(|| {
            known.push(expression.to_owned());
            known.len() - 1
        });
        Placeholder::Value(column, Part::Perl(at))
    }

    fn defined(&self, known: &Definition, text: &str) -> Option<(Placeholder, usize)> {
        let (found, number) = match known.name.captures(text) {
            Some(found) => (found, None),
            None => {
                let found = known.numbered.as_ref()?.captures(text)?;
                let number = found.name("argon_column")?.as_str().parse().ok();
                (found, number)
            }
        };
        let mut expression = known.expression.clone();
        let groups = found.iter().skip(1 + usize::from(number.is_some())).flatten();
        for (group, at) in groups.zip(1..) {
            expression = expression.replace(&format!("$${at}"), group.as_str());
        }
        let length = found.get(0)?.len();
        (length > 0).then(|| (self.evaluated(number, &expression), length))
    }

    /// A column by its name: `{name}`, `{name.}`, `{name/}`.
    fn named(&self, inside: &str) -> Option<Placeholder> {
        let (at, rest) = self.names.iter().zip(1..).find_map(|(name, at)| {
            let rest = inside.strip_prefix(name.as_str()).filter(|_| !name.is_empty())?;
            matches!(rest, "" | "." | "/" | "//" | "/.").then_some((at, rest))
        })?;
        place(&format!("{at}{rest}"))
    }

    /// The placeholders of `--plus`.
    fn plus(&self, inside: &str) -> Result<Option<Placeholder>, TemplateError> {
        if matches!(inside, "host" | "sshlogin" | "hgrp" | "agrp" | "slot") {
            return Err(TemplateError::OfMachine(format!("{{{inside}}}")));
        }
        if inside == "##" {
            return Ok(Some(Placeholder::Total));
        }
        let (column, rest) = column(inside).unwrap_or((None, inside));
        let part = match rest {
            "+/" => Part::Above,
            "+." => Part::Extensions(1),
            "+.." => Part::Extensions(2),
            "+..." => Part::Extensions(3),
            ".." => Part::NoExtensions(2),
            "..." => Part::NoExtensions(3),
            "/.." => Part::StemOf(2),
            "/..." => Part::StemOf(3),
            _ => return Ok(plus_expression(inside).map(|expression| self.evaluated(None, &expression))),
        };
        Ok(Some(Placeholder::Value(column, part)))
    }
}

/// An expression for a placeholder that is like an expansion of bash, or counts.
fn plus_expression(inside: &str) -> Option<String> {
    let padded = |number: &str, of: &str| format!("$_ = sprintf '%0*d', length({of}), {number}");
    // A delimiter that no pattern has.
    let swap = |from: &str, to: &str, flags: &str| format!("s\u{1}{from}\u{1}{to}\u{1}{flags}");
    let lazy = |pattern: &str| pattern.replace('*', "*?").replace('+', "+?");
    match inside {
        "choose_k" => return Some("skip() if grep { $arg[$_ - 1] ge $arg[$_] } 2 .. $#arg".to_owned()),
        "uniq" => return Some("skip() if uniq(@arg) < @arg".to_owned()),
        "0#" => return Some(padded("seq()", "total_jobs()")),
        "0%" => return Some(padded("slot()", "most_slots()")),
        _ => {}
    }
    if let Some(rest) = inside.strip_prefix(':') {
        if let Some(instead) = rest.strip_prefix('-') {
            return Some(format!("$_ ||= '{}'", instead.replace(['\\', '\''], "")));
        }
        let numbers: Vec<&str> = rest.split(':').collect();
        let are_numbers =
            numbers.iter().all(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
        return match numbers[..] {
            [from] if are_numbers => Some(format!("$_ = length > {from} ? substr($_, {from}) : ''")),
            [from, length] if are_numbers => Some(format!("$_ = substr($_, {from}, {length})")),
            _ => None,
        };
    }
    let pair = |text: &str, flags: &str, before: &str, after: &str| {
        let (from, to) = text.split_once('/').filter(|(from, _)| !from.is_empty())?;
        Some(swap(&format!("{before}{from}{after}"), to, flags))
    };
    let given = |prefix: &str| inside.strip_prefix(prefix).filter(|text| !text.is_empty());
    if let Some(text) = given("//") {
        return pair(text, "g", "", "");
    }
    if let Some(text) = given("/#") {
        return pair(text, "", "^", "");
    }
    if let Some(text) = given("/%") {
        return pair(text, "", "", "$");
    }
    if let Some(text) = given("/") {
        return pair(text, "", "", "");
    }
    if let Some(text) = given("##") {
        return Some(swap(&format!("^{text}"), "", ""));
    }
    if let Some(text) = given("#") {
        return Some(swap(&format!("^{}", lazy(text)), "", ""));
    }
    if let Some(text) = given("%%") {
        return Some(swap(&format!("{text}$"), "", ""));
    }
    if let Some(text) = given("%") {
        return Some(swap(&format!("^(.*){}$", lazy(text)), "$1", "s"));
    }
    let (letters, text, flags) = if let Some(text) = given("^^") {
        ("uc", text, "ge")
    } else if let Some(text) = given("^") {
        ("uc", text, "e")
    } else if let Some(text) = given(",,") {
        ("lc", text, "ge")
    } else if let Some(text) = given(",") {
        ("lc", text, "e")
    } else {
        return None;
    };
    let anchor = if flags == "e" { "^" } else { "" };
    Some(swap(&format!("{anchor}({text})"), &format!("{letters}($1)"), flags))
}

/// `NAME EXPRESSION`: the name may have groups in parentheses, which the expression calls `$$1`, `$$2` …
fn definition(text: &str) -> Result<Definition, String> {
    let shown = || format!("--rpl '{text}'");
    let (name, expression) =
        text.split_once([' ', '\t', '\n']).filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
            format!("{} needs a name, a blank and an expression of Perl, such as '{{up}} $_ = uc'", shown())
        })?;
    let pattern = escaped(name);
    let read = |pattern: &str| {
        Regex::new(pattern).map_err(|error| format!("{}: its name cannot be read: {error}", shown()))
    };
    let numbered = match pattern.strip_prefix(r"\{") {
        Some(rest) => Some(read(&format!(r"^\{{(?P<argon_column>-?\d+){rest}"))?),
        None => None,
    };
    Ok(Definition { name: read(&format!("^{pattern}"))?, numbered, expression: expression.trim().to_owned() })
}

/// A name as a pattern: only what stands in parentheses is one.
fn escaped(name: &str) -> String {
    let mut pattern = String::new();
    let mut depth = 0;
    for letter in name.chars() {
        depth += i32::from(letter == '(');
        if depth == 0 && !letter.is_alphanumeric() {
            pattern.push_str(&regex_lite::escape(letter.encode_utf8(&mut [0; 4])));
        } else {
            pattern.push(letter);
        }
        depth -= i32::from(letter == ')');
    }
    pattern
}

fn alias(text: &str) -> Result<(String, Placeholder), String> {
    let wrong = || {
        format!("--placeholder '{text}' needs a placeholder, '=' and another text for it, such as '{{.}}=,,'")
    };
    let (known, name) = text.split_once("}=").filter(|(_, name)| !name.is_empty()).ok_or_else(wrong)?;
    let inside = known.strip_prefix('{').ok_or_else(wrong)?;
    Ok((name.to_owned(), place(inside).ok_or_else(wrong)?))
}
