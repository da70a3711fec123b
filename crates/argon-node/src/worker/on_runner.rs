//! What runners say, print and die of becomes facts for the pool.

use std::time::Duration;

use argon_core::pool::{Exit, Input, RunnerId};
use argon_proto::conversation::runner::{FromRunner, Ready, ToRunner};
use argon_proto::conversation::worker::FromWorker;
use argon_proto::conversation::{Ask, Blob, Output};
use argon_proto::{AttemptId, BlobHash, DecodeError, Outcome, Report, Runtime, Status};
use bytes::Bytes;
use nix::sys::signal::Signal;

use super::driver::Driver;
use super::process::kernel::{self, Ended};
use super::runners::runner::Runner;

/// A runner that closed its socket is ending; if it is not, it is of no use.
const CLOSED_LIMIT: Duration = Duration::from_millis(500);
/// Output of a worker that has no manager is kept up to this size.
const UNSENT_OUTPUT_BYTES: usize = 16 << 20;

impl Driver {
    /// A runner's socket brought bytes.
    pub(super) fn on_runner_said(&mut self, id: RunnerId) {
        while let Some(runner) = self.runners.get_mut(&id) {
            if runner.complaint.is_some() {
                return;
            }
            match runner.decoder.next() {
                Ok(Some(message)) => self.on_runner_message(id, message),
                Ok(None) => return,
                Err(DecodeError::Misplaced(_)) => {
                    let complaint = "it sent a message that is not a runner's to send";
                    return self.complain(id, complaint.to_owned());
                }
                Err(error) => {
                    return self.complain(id, format!("it sent what is not the runner protocol: {error}"));
                }
            }
        }
    }

    fn on_runner_message(&mut self, id: RunnerId, message: FromRunner) {
        if matches!(message, FromRunner::OutputLeft | FromRunner::NeedBlob(_) | FromRunner::Ask(_)) {
            self.batch.stay_alert(self.now);
        }
        match message {
            FromRunner::Ready(ready) => self.on_ready(id, &ready),
            FromRunner::OutputLeft => self.on_output_left(id),
            FromRunner::Outcome(outcome) => self.on_outcome(id, outcome),
            FromRunner::NeedBlob(hashes) => self.on_need_blob(id, hashes),
            FromRunner::Ask(Ask { ask, question, .. }) => self.on_ask(id, ask, question),
            FromRunner::Log(log) => tracing::debug!("a log record of {:?} is not relayed yet", log.from),
        }
    }

    fn on_ready(&mut self, id: RunnerId, ready: &Ready) {
        let Some(runner) = self.runners.get_mut(&id) else {
            return;
        };
        if runner.is_ready {
            return self.complain(id, "it said READY twice".to_owned());
        }
        runner.is_ready = true;
        runner.claims = ready.claims;
        runner.deadline = None;
        if self.trouble.take().is_some() {
            tracing::info!("runners start again");
        }
        self.step(Input::RunnerReady { runner: id, takes_prefetch: ready.claims });
    }

    fn on_outcome(&mut self, id: RunnerId, mut outcome: Outcome) {
        if self.runners.get(&id).is_some_and(|runner| !runner.claims) {
            self.empty_pipes(id);
        }
        let Some(runner) = self.runners.get_mut(&id) else {
            return;
        };
        let head = &outcome.head;
        let is_due = runner.hands.current().is_some_and(|current| {
            current.attempt.task == head.id && current.attempt.attempt == head.attempt
        });
        if !is_due || !matches!(head.status, Status::Ok | Status::Error) {
            let due = runner.hands.current().map(|current| current.attempt);
            let complaint = format!(
                "it reported an outcome that cannot be: {} of {}, and {due:?} was due",
                head.status.name(),
                head.id
            );
            return self.complain(id, complaint);
        }
        let is_error = head.status == Status::Error;
        if let Some(current) = runner.hands.end()
            && (current.is_captured || is_error && !current.tail.is_empty())
        {
            let report = Report { output: Some(current.tail.text()), ..Report::from_json(&outcome.report) };
            outcome.report = report.to_json();
        }
        // The flag is between the runner and its worker.
        outcome.head.leaves = false;
        let was_asking = runner.asking.take().is_some();
        runner.wants_blobs.clear();
        if was_asking {
            self.ask_clients();
        }
        self.step(Input::RunnerFinished { runner: id, outcome });
    }

    fn on_need_blob(&mut self, id: RunnerId, hashes: Vec<BlobHash>) {
        let Some(runner) = self.runners.get_mut(&id) else {
            return;
        };
        for hash in hashes {
            if let Some(payload) = self.gate.find(hash) {
                runner.has_blobs.insert(hash);
                runner.say(ToRunner::Blob(Blob { hash, payload }));
            } else if !runner.wants_blobs.contains(&hash) {
                runner.wants_blobs.push(hash);
            }
        }
        self.ask_for_blobs();
    }

    /// A task ends and has printed something that is still on its way. The runner claims no other before that is taken.
    fn on_output_left(&mut self, id: RunnerId) {
        self.empty_pipes(id);
        if let Some(runner) = self.runners.get_mut(&id) {
            runner.say(ToRunner::OutputTaken);
        }
    }

    /// Something wrote to a runner's standard output or error: an attempt that it has, or nobody who is known.
    pub(super) fn on_printed(&mut self, id: RunnerId, writer: Option<AttemptId>, fd: u8, bytes: Bytes) {
        let Some(runner) = self.runners.get_mut(&id) else {
            return;
        };
        let Some(current) = writer.and_then(|writer| runner.hands.find(writer)) else {
            runner.asides.push(&bytes);
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(1000)]);
            tracing::debug!("a runner wrote outside of any task: {}", shown.trim_end());
            return;
        };
        current.tail.push(&bytes);
        if current.is_captured {
            return;
        }
        current.window.on_sent(bytes.len());
        let output = Output { from: current.attempt, fd, bytes };
        if self.is_linked {
            self.tell(FromWorker::Output(output));
        } else {
            self.keep_output(output);
        }
    }

    /// Keeps output for the next manager. The window of each attempt bounds it; the oldest goes when there are very many.
    fn keep_output(&mut self, output: Output) {
        if self.leave_until.is_some() {
            return;
        }
        self.unsent_output.push(output);
        let bytes: usize = self.unsent_output.iter().map(|output| output.bytes.len()).sum();
        if bytes > UNSENT_OUTPUT_BYTES {
            tracing::warn!("output of tasks is dropped: no manager has been there to take it for too long");
            let half = self.unsent_output.len() / 2;
            self.unsent_output.drain(..=half);
        }
    }

    fn empty_pipes(&mut self, id: RunnerId) {
        let Some(runner) = self.runners.get_mut(&id) else {
            return;
        };
        // This may exceed the attempt's window, by what a pipe holds: its outcome must not overtake it.
        let printed = runner.empty_pipes(&mut self.scratch);
        let writer = runner.hands.current().map(|current| current.attempt);
        for (fd, bytes) in printed {
            self.on_printed(id, writer, fd, bytes);
        }
    }

    /// A runner's socket ended, by its own doing or with its process.
    pub(super) fn on_runner_closed(&mut self, id: RunnerId) {
        let until = self.now + CLOSED_LIMIT;
        if let Some(runner) = self.runners.get_mut(&id) {
            runner.deadline = Some((until, "it closed the socket over which it is told its tasks"));
        }
    }

    /// Ends a runner that did what it must not.
    pub(super) fn complain(&mut self, id: RunnerId, complaint: String) {
        if let Some(runner) = self.runners.get_mut(&id) {
            tracing::debug!("runner {} is ended because {complaint}", runner.pid);
            runner.complaint.get_or_insert(complaint);
            runner.is_deaf = true;
            runner.signal(Signal::SIGKILL);
        }
    }

    /// A runner's process ended.
    pub(super) fn on_runner_ended(&mut self, id: RunnerId) {
        let Some(runner) = self.runners.get_mut(&id) else {
            return;
        };
        // While the pid is ours: everything that the task started goes with it.
        runner.signal(Signal::SIGKILL);
        self.step(Input::RunnerEnded { runner: id });
        self.reclaim(id);
        if let Some(runner) = self.runners.get_mut(&id) {
            runner.empty_socket(&mut self.scratch);
        }
        self.on_runner_said(id);
        self.empty_pipes(id);
        let Some(runner) = self.runners.remove(&id) else {
            return;
        };
        let ended = match kernel::reap(runner.pid) {
            Ok(Some(ended)) => ended,
            Ok(None) => {
                // It is readable a moment before it can be collected when another of its threads still runs.
                self.runners.insert(id, runner);
                return;
            }
            Err(error) => {
                tracing::warn!("how runner {} ended cannot be told: {error}", runner.pid);
                Ended::default()
            }
        };
        self.sweep();
        // A client's own executable is no trouble of this worker.
        if !runner.is_ready && runner.kind.runtime != Runtime::Native {
            self.on_trouble(death_at_start(&runner, ended));
        }
        if runner.asking.is_some() {
            self.ask_clients();
        }
        self.step(Input::RunnerGone { runner: id, exit: exit_of(runner, ended) });
    }
}

fn exit_of(runner: Runner, ended: Ended) -> Exit {
    let last_words = runner.hands.current().map_or(&runner.asides, |current| &current.tail);
    Exit {
        pid: u32::try_from(runner.pid.as_raw()).ok(),
        signal: ended.signal,
        code: ended.code,
        peak_kib: ended.peak_kib,
        output: last_words.text(),
        complaint: runner.complaint,
    }
}

fn death_at_start(runner: &Runner, ended: Ended) -> String {
    let how = match (&runner.complaint, ended.signal, ended.code) {
        (Some(complaint), _, _) => format!("was ended because {complaint}"),
        (None, Some(signal), _) => format!("was killed by signal {signal}"),
        (None, None, Some(code)) => format!("exited with status {code}"),
        (None, None, None) => "ended".to_owned(),
    };
    let last_words = runner.asides.text();
    let last_words = last_words.trim();
    let colon = if last_words.is_empty() { "" } else { ": " };
    format!("a runner {how} before it was ready{colon}{last_words}")
}
