//! Mistakes in the command line of `argon map`, and in inputs that do not fit it.

/// Reason why a command line cannot be used, or cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Unknown text in braces.
    #[error(
        "there is no placeholder {0}; there are {{}} {{.}} {{/}} {{//}} {{/.}} {{#}} {{%}}, with the number of a column \
         {{1}} {{1.}} {{1/}} {{1//}} {{1/.}}, and more with --plus; to pass {0} as it is, say --literal"
    )]
    Unknown(String),
    /// A placeholder of no letters.
    #[error("-I needs a string that is not empty: it stands for the input in the command")]
    NoWhole,
    /// A column that is not there.
    #[error("the command asks for column {wanted}, and input {sequence} has {}", columns(*.found))]
    Column {
        /// The column, from 1.
        wanted: usize,
        /// Number of columns.
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
        /// Number of sources.
        found: usize,
    },
    /// A placeholder for an input that is a block of standard input.
    #[error(
        "with --pipe a block is the standard input of the command, and no placeholder stands for it; a command that wants \
         the name of a file gets /dev/stdin, and {{#}} is the number of the block"
    )]
    OfBlock,
    /// A placeholder for the machine that will run the command.
    #[error("{0} is not known before a worker takes the command; ask there: $(hostname)")]
    OfMachine(String),
    /// An expression of Perl failed.
    #[error("the expression of Perl failed for input {sequence}: {why}")]
    Perl {
        /// The input.
        sequence: u64,
        /// Why.
        why: String,
    },
    /// An expression of Perl that wants its value to be code.
    #[error("uq() would make input {0} a part of the script, and inputs are arguments only; leave uq() out")]
    Code(u64),
    /// An expression of Perl has left the input out.
    #[error("the input is left out")]
    Skipped,
    /// No command.
    #[error(
        "no command is given: argon map [OPTIONS] -- COMMAND [ARGUMENT]... [::: INPUT]...; if each input is a command \
         itself, say so: argon map -- sh -c {{}}"
    )]
    Empty,
    /// A placeholder where a shell would not read its value as one word.
    #[error("a placeholder stands {place}, where its value cannot be quoted; write {instead}")]
    Misplaced {
        /// Its place.
        place: &'static str,
        /// Text to write instead.
        instead: &'static str,
    },
    /// An open quote, group or expansion without an end.
    #[error("the line for the shell ends within {0}")]
    Open(&'static str),
    /// A script that cannot be followed.
    #[error(
        "the line for the shell cannot be followed, so that no input can be quoted in it: {0}; put it into a file and run that"
    )]
    Tangled(&'static str),
    /// Nothing can be appended.
    #[error(
        "the line for the shell has no placeholder, and an input at its end would not be an argument; say where it belongs with {0}"
    )]
    NoRoom(String),
    /// An input that is not a number, where the shell evaluates one.
    #[error("input {sequence} stands where shells evaluate numbers, and is not a whole number: {value}")]
    NotNumber {
        /// The value.
        value: String,
        /// The input.
        sequence: u64,
    },
    /// An input in words that another shell reads as code.
    #[error(
        "input {sequence} stands in words that a shell reads again as code, and has more than letters, digits and \
         _-+./,:@%: {value}; pass it as an argument, such as sh -c 'echo \"$1\"' sh {{}}"
    )]
    NotPlain {
        /// The value.
        value: String,
        /// The input.
        sequence: u64,
    },
    /// Several values where one belongs.
    #[error("input {sequence} has several columns where one number belongs; name one, as {{1}}")]
    Several {
        /// The input.
        sequence: u64,
    },
}

fn columns(count: usize) -> String {
    if count == 1 { "one column".to_owned() } else { format!("{count} columns") }
}
