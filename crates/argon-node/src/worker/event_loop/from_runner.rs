//! Messages, output and exits of runners become facts for the pool.

use std::time::Duration;

use argon_core::Time;
use argon_core::pool::{Exit, Input, RunnerId};
use argon_proto::conversation::Ask;
use argon_proto::conversation::runner::{FromRunner, Ready, ToRunner};
use argon_proto::{AttemptId, DecodeError, Outcome, Report, Status};
use nix::sys::signal::Signal;

use super::WorkerLoop;
use crate::worker::process::kernel::{self, ProcessEnd};
use crate::worker::runners::pipes::Printed;
use crate::worker::runners::runner::{Runner, RunnerEvent};
use crate::worker::timers::Timer;

/// A runner that has closed its socket exits within this time, or is of no use. One that dies closes it first, and on a busy
/// machine it takes a while until the kernel has ended the process; until then its cause of death is not known.
const CLOSED_LIMIT: Duration = Duration::from_secs(5);

/// Shortest run time of attempts whose usage is read at their end, microseconds. For shorter ones reading costs too much.
const METERED_US: u64 = 20_000;
/// A runner may claim that it started a task this much later than it was sent it, microseconds.
const CLAIM_SLACK_US: u64 = 20_000;

impl WorkerLoop {
    pub(super) fn on_runner(&mut self, id: RunnerId, event: RunnerEvent) {
        match event {
            RunnerEvent::Received => self.on_received(id),
            RunnerEvent::Closed => {
                self.expect_within(id, CLOSED_LIMIT, "it closed the socket over which it gets its tasks");
            }
            RunnerEvent::Printed(printed) => self.on_printed(id, printed),
            RunnerEvent::WantsInput(ask, question) => self.on_question(id, ask, question),
            RunnerEvent::Exited => self.on_exited(id),
        }
    }

    fn on_received(&mut self, id: RunnerId) {
        while let Some(runner) = self.runners.get_mut(id) {
            match runner.next_message() {
                Ok(Some(message)) => self.on_runner_message(id, message),
                Ok(None) => return,
                Err(DecodeError::Misplaced(_)) => {
                    return runner.kill_for("it sent a message that is not a runner's to send".to_owned());
                }
                Err(error) => {
                    return runner.kill_for(format!("it sent what is not the runner protocol: {error}"));
                }
            }
        }
    }

    fn on_runner_message(&mut self, id: RunnerId, message: FromRunner) {
        match message {
            FromRunner::Ready(ready) => self.on_ready(id, &ready),
            FromRunner::Outcome(outcome) => self.on_outcome(id, outcome),
            FromRunner::OutputLeft => {
                self.uplink.stay_alert(self.timers.now());
                self.drain_pipes(id);
                if let Some(runner) = self.runners.get_mut(id) {
                    runner.answer(&ToRunner::OutputTaken);
                }
            }
            FromRunner::NeedBlob(hashes) => {
                self.uplink.stay_alert(self.timers.now());
                self.runners.send_blobs(id, hashes, &mut self.cache.blobs);
                self.cache.want_blobs();
            }
            FromRunner::Ask(Ask { ask, question, .. }) => {
                self.uplink.stay_alert(self.timers.now());
                self.on_question(id, ask, question);
            }
            FromRunner::Log(log) => {
                if let Some(output) = self.runners.on_log(id, log) {
                    self.uplink.send_output(self.timers.now(), output);
                }
            }
        }
    }

    fn on_ready(&mut self, id: RunnerId, ready: &Ready) {
        let Some(runner) = self.runners.get_mut(id) else {
            return;
        };
        if !runner.on_ready(ready) {
            return runner.kill_for("it sent READY twice".to_owned());
        }
        self.timers.stop(Timer::Runner(id));
        let (runtime, pid) = (runner.kind.runtime.name(), runner.pid);
        // Its scratch folder is emptied between two tasks.
        let is_confined = runner.identity.scratch.is_some();
        if let Some(wanted) = self.processes.on_runner_ready(id) {
            let ms = self.timers.now().since(wanted).as_secs_f64() * 1e3;
            tracing::debug!("{runtime} runner {pid} is ready {ms:.1} ms after the pool wanted it");
        }
        self.tell_pool(Input::RunnerReady { runner: id, takes_prefetch: ready.claims && !is_confined });
    }

    fn on_outcome(&mut self, id: RunnerId, mut outcome: Outcome) {
        if self.runners.get_mut(id).is_some_and(|runner| !runner.reads_leases) {
            self.drain_pipes(id);
        }
        let now = self.timers.now();
        let Some(runner) = self.runners.get_mut(id) else {
            return;
        };
        let head = &outcome.head;
        let due = runner.queue.current().map(|current| current.attempt);
        let is_due = due.is_some_and(|due| due.task == head.id && due.attempt == head.attempt);
        if !is_due || !matches!(head.status, Status::Ok | Status::Error) {
            let (status, task) = (head.status.name(), head.id);
            return runner.kill_for(format!(
                "it sent an outcome that cannot be: {status} of {task}, and {due:?} was due"
            ));
        }
        let is_error = head.status == Status::Error;
        if let Some(current) = runner.queue.current() {
            let (sent, is_alone) = (current.sent, !runner.queue.may_be_ahead());
            outcome.head.run_us = measured(now, sent, is_alone, outcome.head.run_us);
        }
        if let Some(attempt) = runner.queue.finish()
            && (attempt.is_captured || is_error && !attempt.tail.is_empty())
        {
            let report = Report { output: Some(attempt.tail.text()), ..Report::from_json(&outcome.report) };
            outcome.report = report.to_json();
        }
        runner.wants_blobs.clear();
        if runner.identity.scratch.as_ref().is_some_and(|scratch| !scratch.empty()) {
            // It goes, and its folder with it. The task has ended.
            runner.signal(Signal::SIGKILL);
        }
        if outcome.head.run_us >= METERED_US {
            // So that the next attempt is not charged for this one.
            runner.read_meter(now);
        }
        self.task_clients
            .on_attempt_ended(AttemptId { task: outcome.head.id, attempt: outcome.head.attempt });
        if self.cache.questions.forget(id) {
            self.send_questions();
        }
        self.expect_leftovers();
        self.tell_pool(Input::RunnerFinished { runner: id, outcome });
    }

    /// Output goes to the client, and its end into reports.
    fn on_printed(&mut self, id: RunnerId, printed: Printed) {
        if let Some(output) = self.runners.on_printed(id, printed) {
            self.uplink.send_output(self.timers.now(), output);
        }
    }

    fn drain_pipes(&mut self, id: RunnerId) {
        for printed in self.runners.drain_pipes(id) {
            self.on_printed(id, printed);
        }
    }

    /// The process has ended, but may not be collected yet.
    fn on_exited(&mut self, id: RunnerId) {
        let Some(runner) = self.runners.get_mut(id) else {
            return;
        };
        // While the pid is ours: everything that the task has started ends with it.
        runner.signal(Signal::SIGKILL);
        self.tell_pool(Input::RunnerEnded { runner: id });
        self.retract(id);
        self.carry_out_all();
        self.runners.drain_socket(id);
        self.on_received(id);
        self.drain_pipes(id);
        let Some(mut runner) = self.runners.remove(id) else {
            return;
        };
        runner.queue.all().for_each(|attempt| self.task_clients.on_attempt_ended(attempt.attempt));
        let ended = match kernel::reap(runner.pid) {
            Ok(Some(ended)) => ended,
            Ok(None) => {
                // It is readable a moment before it can be collected while another of its threads still runs.
                return self.runners.insert(id, runner);
            }
            Err(error) => {
                tracing::warn!("the exit status of runner {} is unknown: {error}", runner.pid);
                ProcessEnd::default()
            }
        };
        self.timers.stop(Timer::Runner(id));
        self.processes.forget(id);
        let exit = exit_of(self.timers.now(), &runner, ended);
        self.processes.end_group(runner.identity.group.as_ref());
        self.look_for_leftovers();
        // A client's own executable is no trouble of this worker.
        if !runner.is_ready && !runner.kind.is_tasks_own() {
            self.processes.report_trouble(death_at_start(&runner, ended));
        }
        if self.cache.questions.forget(id) {
            self.send_questions();
        }
        self.tell_pool(Input::RunnerGone { runner: id, exit });
    }

    /// The runner is killed if it has not done something within `limit`.
    pub(super) fn expect_within(&mut self, id: RunnerId, limit: Duration, when_overdue: &'static str) {
        if let Some(runner) = self.runners.get_mut(id) {
            runner.when_overdue = when_overdue;
            self.timers.set_after(Timer::Runner(id), limit);
        }
    }
}

/// The run time of an attempt, microseconds. What the runner claims is more exact, and used as long as it can be true: the
/// attempt has not begun before it was sent, and one that nothing preceded has begun soon after that.
fn measured(now: Time, sent: Time, is_alone: bool, claimed_us: u64) -> u64 {
    let most = u64::try_from(now.since(sent).as_micros()).unwrap_or(u64::MAX);
    let least = if is_alone { (most / 2).saturating_sub(CLAIM_SLACK_US) } else { 0 };
    if (least..=most).contains(&claimed_us) { claimed_us } else { most }
}

fn exit_of(now: Time, runner: &Runner, ended: ProcessEnd) -> Exit {
    let last = runner.queue.current().map_or(&runner.output_between_tasks, |current| &current.tail);
    let exit = Exit {
        pid: u32::try_from(runner.pid.as_raw()).ok(),
        signal: ended.signal,
        code: ended.code,
        output: last.text(),
        complaint: runner.complaint.clone(),
        ..Exit::default()
    };
    let is_good = ended.code == Some(0) && exit.complaint.is_none();
    if is_good { exit } else { runner.measure(now, ended, exit) }
}

fn death_at_start(runner: &Runner, ended: ProcessEnd) -> String {
    let how = match (&runner.complaint, ended.signal, ended.code) {
        (Some(complaint), _, _) => format!("was killed because {complaint}"),
        (None, Some(signal), _) => format!("was killed by signal {signal}"),
        (None, None, Some(code)) => format!("exited with status {code}"),
        (None, None, None) => "ended".to_owned(),
    };
    let output = runner.output_between_tasks.text();
    let output = output.trim();
    let colon = if output.is_empty() { "" } else { ": " };
    format!("a runner {how} before it was ready{colon}{output}")
}
