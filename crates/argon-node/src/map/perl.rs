//! Expressions of Perl in a command: `{= s/a/b/ =}`. One process of perl evaluates all of a run.
//!
//! The input is `$_`, and what the expression leaves there is the value. It stays a value: an argument, never code. Perl
//! runs here, next to `argon map`, not on a worker.

use std::io::{self, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::template_error::TemplateError;

/// Time that one expression may take for one input. Nothing else happens meanwhile: the whole map waits.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of an answer at most; no word of a command is longer.
const ANSWER_MAX: usize = 4 << 20;
/// The program: texts with their lengths come in, and go out.
const PROGRAM: &str = include_str!("perl/evaluate.pl");

/// A process of perl with the expressions of a run.
#[derive(Debug)]
pub struct Perl {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    time_max: Duration,
}

/// What expressions know of the command.
#[derive(Debug, Clone, Copy)]
pub struct Knowledge<'a> {
    /// All columns of the input.
    pub row: &'a [String],
    /// Number of the input.
    pub sequence: u64,
    /// Number that no other unfinished command has.
    pub slot: u64,
    /// Number of all inputs, 0 if unknown.
    pub total: u64,
}

/// The value that an expression leaves.
#[derive(Debug, PartialEq, Eq)]
pub struct Evaluated {
    /// The value.
    pub value: String,
    /// True after `uq()`: it is to be read as code, and this is not done.
    pub is_code: bool,
}

impl Perl {
    /// Starts perl, which compiles the expressions.
    ///
    /// # Errors
    /// A sentence, if there is no perl, or an expression is not one.
    pub fn start(expressions: &[String]) -> Result<Self, String> {
        let process = Command::new("perl")
            .args(["-e", PROGRAM, "--"])
            .args(expressions)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = process.map_err(|error| {
            format!(
                "the command has an expression of Perl, and perl cannot be started here: {error}; install perl, or use \
                 the placeholders that need none: {{}} {{.}} {{/}} {{//}} {{/.}}"
            )
        })?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("perl was started without its pipes".to_owned());
        };
        let mut perl = Self { process, input, output: BufReader::new(output), time_max: TIME_MAX };
        match perl.answer() {
            Ok((b'=', _)) => Ok(perl),
            Ok((_, error)) => Err(format!("an expression in the command is not Perl: {}", error.trim())),
            Err(error) => Err(format!("perl ended before it read the expressions: {error}")),
        }
    }

    /// The value of an expression for a column.
    ///
    /// # Errors
    /// If the expression fails, or leaves the input out.
    pub fn evaluate(
        &mut self,
        expression: usize,
        value: &str,
        known: Knowledge<'_>,
    ) -> Result<Evaluated, TemplateError> {
        let sequence = known.sequence;
        let failed = |why: String| TemplateError::Perl { sequence, why };
        let numbers = [expression as u64, sequence, known.slot, known.total].map(|number| number.to_string());
        let texts =
            numbers.iter().map(String::as_str).chain([value]).chain(known.row.iter().map(String::as_str));
        let mut message = Vec::new();
        message.extend_from_slice(&u32::try_from(known.row.len() + 5).unwrap_or(0).to_be_bytes());
        for text in texts {
            message.extend_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_be_bytes());
            message.extend_from_slice(text.as_bytes());
        }
        self.input.write_all(&message).map_err(|error| failed(format!("perl has ended: {error}")))?;
        match self.answer() {
            Ok((b'=', value)) => Ok(Evaluated { value, is_code: false }),
            Ok((b'u', value)) => Ok(Evaluated { value, is_code: true }),
            Ok((b's', _)) => Err(TemplateError::Skipped),
            Ok((_, error)) => Err(failed(error.trim().to_owned())),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    fn answer(&mut self) -> io::Result<(u8, String)> {
        if self.output.buffer().is_empty() {
            let mut waited = [PollFd::new(self.output.get_ref().as_fd(), PollFlags::POLLIN)];
            let limit = PollTimeout::try_from(self.time_max).unwrap_or(PollTimeout::MAX);
            if nix::poll::poll(&mut waited, limit).map_err(io::Error::from)? == 0 {
                let seconds = self.time_max.as_secs_f64();
                return Err(io::Error::other(format!(
                    "it has not ended after {seconds} s, and all inputs behind it wait; what takes long belongs into the \
                     command"
                )));
            }
        }
        let mut head = [0; 5];
        self.output.read_exact(&mut head).map_err(|_| io::Error::other("perl has ended"))?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > ANSWER_MAX {
            return Err(io::Error::other("its value is longer than 4 MiB"));
        }
        let mut text = vec![0; length];
        self.output.read_exact(&mut text)?;
        String::from_utf8(text)
            .map(|text| (head[0], text))
            .map_err(|_| io::Error::other("its value is not UTF-8"))
    }
}

impl Drop for Perl {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluated(expression: &str, value: &str) -> Result<Evaluated, TemplateError> {
        let mut perl = Perl::start(&[expression.to_owned()]).expect("perl runs");
        let row = ["a.b".to_owned(), "x y".to_owned()];
        perl.evaluate(0, value, Knowledge { row: &row, sequence: 7, slot: 2, total: 9 })
    }

    #[test]
    fn an_expression_changes_the_input_and_knows_its_number() {
        for (expression, expected) in [
            ("s/a/b/", "bxa"),
            ("$_ = seq() . '-' . slot() . '-' . total_jobs()", "7-2-9"),
            ("$_ = $job->seq() . $job->slot()", "72"),
            ("$_ = \"$arg[1]|$arg[2]\"", "a.b|x y"),
            ("print 'noise'; $_ .= '!'", "axa!"),
            ("", "axa"),
        ] {
            let found = evaluated(expression, "axa").expect(expression);
            assert_eq!(found, Evaluated { value: expected.to_owned(), is_code: false }, "{expression}");
        }
        assert!(evaluated("uq()", "a").expect("a value").is_code);
        assert_eq!(evaluated("$_ eq 'x' and skip()", "x"), Err(TemplateError::Skipped));
        assert_eq!(evaluated("$_ eq 'x' and skip()", "ü").expect("a value").value, "ü");
    }

    #[test]
    fn mistakes_in_an_expression_are_sentences() {
        let error = Perl::start(&["s/a".to_owned()]).expect_err("not Perl");
        assert!(error.starts_with("an expression in the command is not Perl: "), "{error}");
        let error = evaluated("die 'no such thing'", "a").expect_err("it dies").to_string();
        assert!(error.contains("input 7") && error.contains("no such thing"), "{error}");
        let mut perl = Perl::start(&["1 while 1".to_owned()]).expect("perl runs");
        perl.time_max = Duration::from_millis(50);
        let known = Knowledge { row: &[], sequence: 3, slot: 1, total: 0 };
        let error = perl.evaluate(0, "a", known).expect_err("it never ends").to_string();
        assert!(error.contains("input 3") && error.contains("it has not ended after 0.05 s"), "{error}");
        let error = evaluated("exit", "a").expect_err("it ends").to_string();
        assert!(error.contains("perl has ended"), "{error}");
    }
}
