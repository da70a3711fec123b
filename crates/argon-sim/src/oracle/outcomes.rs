//! Checks that the outcome which a caller receives is what happened.

use argon_proto::{Flags, Outcome, Status};

use super::Oracle;

impl Oracle {
    /// The manager refuses a task, and gives the reason.
    pub(crate) fn refused(&mut self, outcome: &Outcome) {
        let report = argon_proto::Report::from_json(&outcome.report);
        if report.message.is_empty() || report.code.is_none() {
            self.fail(format!("{:?} is refused without a reason: {report:?}", outcome.head.id));
        }
    }

    /// A caller receives the outcome of its task.
    pub(crate) fn delivered(&mut self, outcome: &Outcome) {
        let id = outcome.head.id;
        let number = self.number_of(id);
        let flags = self.flags[number];
        let limited = self.is_limited[number];
        let little_memory = self.has_little_memory;
        let uprooted = self.is_uprooted(id);
        let fate = self.fate(id);
        fate.delivered += 1;
        let (delivered, losses) = (fate.delivered, fate.losses);
        let may_have_run_elsewhere = fate.may_have_run_elsewhere;
        let is_nested = fate.parent.is_some();
        let happened = fate
            .ended
            .iter()
            .any(|(attempt, status, _)| (*attempt, *status) == (outcome.head.attempt, outcome.head.status));
        let is_rogues = fate.with_rogues.contains(&outcome.head.attempt);
        let (cancelled, starts, was_with_rogue) = (fate.is_cancelled, fate.starts, fate.was_with_rogue);
        if delivered > 1 {
            self.fail(format!("the caller of {id:?} received {delivered} outcomes"));
        }
        let is_true = match outcome.head.status {
            Status::Ok | Status::Error | Status::Died | Status::Timeout if is_rogues => true,
            Status::Ok => happened && payload_is_of(outcome, number),
            Status::Died if is_too_small(outcome) => limited,
            // It may come to its own end while it is ended.
            Status::Died if waited_beyond_the_bound(outcome) => starts > 0,
            Status::Error | Status::Died => happened,
            Status::Timeout => starts > 0,
            Status::Cancelled => cancelled || uprooted,
            Status::Lost if had_no_room(outcome) => is_nested && little_memory,
            // A task that no manager but the present one was sent, and that no worker lost, did not run: there is no doubt.
            Status::Lost if flags.contains(Flags::NEVER_TWICE) => {
                losses > 0 || may_have_run_elsewhere || was_with_rogue || uprooted
            }
            Status::Lost => losses >= 3,
            Status::Rejected => false,
        };
        if !is_true {
            let report = String::from_utf8_lossy(&outcome.report).into_owned();
            self.fail(format!(
                "{id:?} ended as {} of attempt {}, which is not what happened ({starts} starts, {losses} losses): {report}",
                outcome.head.status.name(),
                outcome.head.attempt.0
            ));
        }
    }
}

/// True if a pool reports that no runner comes up within the task's memory limit: it ends without a start.
fn is_too_small(outcome: &Outcome) -> bool {
    argon_proto::Report::from_json(&outcome.report).message.contains("comes up within the task's limit")
}

/// True if a manager reports that a task of a task can never have room.
pub(crate) fn had_no_room(outcome: &Outcome) -> bool {
    argon_proto::Report::from_json(&outcome.report).message.contains("all that runs waits for such tasks")
}

/// True if a pool reports that one task too many waits for tasks of its own.
fn waited_beyond_the_bound(outcome: &Outcome) -> bool {
    argon_proto::Report::from_json(&outcome.report)
        .message
        .contains("when it began to wait for tasks of its own")
}

/// The result of a task is its own number, so that a mix-up shows.
fn payload_is_of(outcome: &Outcome, number: usize) -> bool {
    let bytes = outcome.payload.to_contiguous();
    bytes.get(..8) == Some(&(number as u64).to_be_bytes()[..])
}
