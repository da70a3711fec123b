//! End of a command in the terms of shells: an exit status, and a sentence where the status is not enough.

use argon::{Error, ErrorKind, Outcome, Report, Status};

use crate::exit;

/// The end of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandEnd {
    /// The exit status that stands for it: the command's own, or one of [`exit`].
    pub status: u8,
    /// Status in the joblog: the command's own, or -1 if it has none.
    pub exit: i32,
    /// The signal that ended it, or 0.
    pub signal: i32,
    /// Message for people; none if the command has an exit status of its own.
    pub sentence: Option<String>,
    /// The worker that ran it, if it is known.
    pub worker: Option<String>,
    /// Run time in seconds.
    pub run_time: f64,
    /// The end of its output, if it was captured.
    pub output: Option<String>,
}

impl CommandEnd {
    /// Reads an outcome, or why there is none.
    #[must_use]
    pub fn of(end: &Result<Outcome, Error>) -> Self {
        match end {
            Ok(outcome) => Self::of_outcome(outcome),
            Err(error) => {
                let status =
                    if error.kind() == ErrorKind::Cancelled { exit::INTERRUPTED } else { exit::UNDONE };
                Self::without_command(status, error.to_string())
            }
        }
    }

    /// The end of a command that never ran.
    #[must_use]
    pub fn without_command(status: u8, sentence: String) -> Self {
        Self {
            status,
            exit: -1,
            signal: 0,
            sentence: Some(sentence),
            worker: None,
            run_time: 0.0,
            output: None,
        }
    }

    fn of_outcome(outcome: &Outcome) -> Self {
        let report = Report::from_json(&outcome.report);
        let (status, exit, signal, is_plain) = match outcome.head.status {
            Status::Ok => (0, 0, 0, true),
            Status::Died => death(&report),
            Status::Error => (1, 1, 0, false),
            Status::Timeout => (exit::TIMED_OUT, -1, 0, false),
            Status::Cancelled => (exit::INTERRUPTED, -1, 0, false),
            Status::Lost | Status::Rejected => (exit::UNDONE, -1, 0, false),
        };
        let sentence = (!is_plain).then(|| sentence(outcome.head.status, signal, &report));
        Self {
            status,
            exit,
            signal,
            sentence,
            worker: report.worker,
            run_time: outcome.head.run_us as f64 / 1e6,
            output: report.output,
        }
    }
}

/// Status, the joblog's exit value, signal, and whether no message is needed.
fn death(report: &Report) -> (u8, i32, i32, bool) {
    // Only a command that was started has a process id. Otherwise the report has a message with the reason.
    let was_started = report.pid.is_some();
    match (report.signal, report.exit) {
        (Some(signal), _) => {
            let status = u8::try_from(signal).ok().and_then(|signal| signal.checked_add(128));
            (status.unwrap_or(exit::UNDONE), 0, signal, false)
        }
        (None, Some(code)) => (u8::try_from(code).unwrap_or(exit::UNDONE), code, 0, was_started),
        (None, None) => (exit::UNDONE, -1, 0, false),
    }
}

fn sentence(status: Status, signal: i32, report: &Report) -> String {
    match (report.message.as_str(), signal) {
        ("", 0) => format!("the command ended as {}", status.name()),
        ("", signal) => format!("the command was ended by signal {signal}"),
        (message, _) => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use argon::{Payload, TaskId};
    use argon_proto::{Attempt, SessionId};

    use super::*;

    fn ended(status: Status, report: Report) -> CommandEnd {
        let id = TaskId { session: SessionId([1; 16]), sequence: 1 };
        let mut outcome = Outcome::reported(id, Attempt(1), status, 1_500_000, &report);
        outcome.payload = Payload::default();
        CommandEnd::of(&Ok(outcome))
    }

    #[test]
    fn a_status_of_its_own_speaks_for_itself() {
        let plain = ended(Status::Died, Report { exit: Some(3), pid: Some(7), ..Report::of("exited") });
        assert_eq!((plain.status, plain.exit, plain.signal, plain.sentence), (3, 3, 0, None));
        assert_eq!(ended(Status::Ok, Report::default()).status, 0);
    }

    #[test]
    fn what_was_not_started_says_why() {
        let missing =
            ended(Status::Died, Report { exit: Some(127), ..Report::of("there is no command 'x'") });
        assert_eq!((missing.status, missing.sentence.as_deref()), (127, Some("there is no command 'x'")));
    }

    #[test]
    fn a_signal_is_128_and_its_number() {
        let report =
            Report { signal: Some(9), pid: Some(7), worker: Some("w".into()), ..Report::of("killed") };
        let killed = ended(Status::Died, report);
        assert_eq!((killed.status, killed.exit, killed.signal), (137, 0, 9));
        assert_eq!(killed.sentence.as_deref(), Some("killed"));
    }

    #[test]
    fn ends_without_a_status_have_one_of_ours() {
        for (status, expected) in
            [(Status::Timeout, 124), (Status::Cancelled, 130), (Status::Lost, 255), (Status::Rejected, 255)]
        {
            let end = ended(status, Report::of("why"));
            assert_eq!((end.status, end.exit, end.sentence.as_deref()), (expected, -1, Some("why")));
        }
    }
}
