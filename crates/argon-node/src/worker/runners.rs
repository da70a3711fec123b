//! The runner processes of a worker, by their ids. Only those that something happens to are looked at.

pub(crate) mod attempt_io;
pub(crate) mod cpu_meter;
pub(crate) mod output;
pub(crate) mod pipes;
pub(crate) mod run_queue;
pub(crate) mod runner;
pub(crate) mod socket;
pub(crate) mod stdin;
mod wakers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Waker};

use argon_core::Time;
use argon_core::gate::WorkerGate;
use argon_core::pool::RunnerId;
use argon_proto::conversation::child::TaskToken;
use argon_proto::conversation::runner::ToRunner;
use argon_proto::conversation::{Blob, LOG_FD, Log, LogRecord, TaskOutput};
use argon_proto::{AttemptId, BlobHash, Payload, Task};
use nix::sys::signal::Signal;

use super::machine;
use super::process::mark::Mark;
use crate::command::files::RETURNED_FD;
use attempt_io::AttemptIo;
use pipes::Printed;
use runner::{Runner, RunnerEvent};
use wakers::{RunnerWaker, WokenRunners};

/// Room for one read of a socket or pipe.
const SCRATCH_BYTES: usize = 256 << 10;
/// Bytes of output between tasks that are logged.
const SHOWN_BYTES: usize = 1000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Runners {
    by_id: BTreeMap<RunnerId, Member>,
    woken: Arc<WokenRunners>,
    /// The wakers that [`Self::poll`] has taken.
    polled: Vec<RunnerId>,
    /// Runners for which something may be queued.
    touched: Vec<RunnerId>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Member {
    runner: Runner,
    waker: Waker,
    marker: Arc<RunnerWaker>,
    is_touched: bool,
}

impl Runners {
    pub(crate) fn new() -> Self {
        Self {
            by_id: BTreeMap::new(),
            woken: Arc::default(),
            polled: Vec::new(),
            touched: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES],
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Runner> {
        self.by_id.values().map(|member| &member.runner)
    }

    /// A runner that something is done with: it is flushed and polled in this round.
    pub(crate) fn get_mut(&mut self, id: RunnerId) -> Option<&mut Runner> {
        let member = self.by_id.get_mut(&id)?;
        member.touch(id, &mut self.touched);
        Some(&mut member.runner)
    }

    /// The runner whose tasks have this secret.
    pub(crate) fn by_token(&mut self, token: TaskToken) -> Option<&mut Runner> {
        self.by_id.values_mut().map(|member| &mut member.runner).find(|runner| runner.identity.token == token)
    }

    pub(crate) fn insert(&mut self, id: RunnerId, runner: Runner) {
        let marker = RunnerWaker::new(id, &self.woken);
        let waker = Waker::from(Arc::clone(&marker));
        let mut member = Member { runner, waker, marker, is_touched: false };
        member.touch(id, &mut self.touched);
        self.by_id.insert(id, member);
    }

    pub(crate) fn remove(&mut self, id: RunnerId) -> Option<Runner> {
        self.by_id.remove(&id).map(|member| member.runner)
    }

    /// Reads and writes what can be read and written.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, mut found: impl FnMut(RunnerId, RunnerEvent)) {
        self.woken.take(cx, &mut self.polled);
        for id in self.polled.drain(..) {
            let Some(member) = self.by_id.get_mut(&id) else {
                continue;
            };
            member.marker.clear();
            let mut has_found = false;
            member.runner.poll(&mut Context::from_waker(&member.waker), &mut self.scratch, |event| {
                has_found = true;
                found(id, event);
            });
            if has_found {
                // There may be more.
                member.marker.mark();
            }
        }
    }

    /// Writes what is queued for runners.
    pub(crate) fn flush(&mut self) {
        for id in self.touched.drain(..) {
            if let Some(member) = self.by_id.get_mut(&id) {
                member.is_touched = false;
                member.runner.flush();
            }
        }
    }

    pub(crate) fn kill_all(&self) {
        self.all().for_each(|runner| runner.signal(Signal::SIGKILL));
    }

    /// Ends idle runners of these marks, together with all that their tasks have left and that could not be ended otherwise.
    pub(crate) fn end_idle(&self, marks: &[Mark]) {
        let ending = self.all().filter(|runner| marks.contains(&runner.identity.mark) && runner.is_idle());
        for runner in ending {
            if let Some(group) = &runner.identity.group {
                group.kill();
            }
        }
    }

    /// Kills all and forgets them.
    pub(crate) fn clear(&mut self) {
        self.kill_all();
        self.by_id.clear();
    }

    /// Sends a task, after the blobs that it names and the runner lacks.
    pub(crate) fn send_task(&mut self, id: RunnerId, task: Task, blobs: &mut WorkerGate) {
        let Some(runner) = self.get_mut(id) else {
            return;
        };
        // An executable does not need itself.
        let known = usize::from(task.executable().is_some());
        for hash in task.blob_hashes().skip(known) {
            // The runner asks for a blob that the cache has lost meanwhile.
            if !runner.has_blobs.contains(&hash)
                && let Some(payload) = blobs.find(hash)
            {
                runner.has_blobs.insert(hash);
                runner.send(&ToRunner::Blob(Blob { hash, payload }));
            }
        }
        runner.send(&ToRunner::Run(task));
    }

    /// Sends the blobs that a runner has asked for, as far as they are here.
    pub(crate) fn send_blobs(&mut self, id: RunnerId, hashes: Vec<BlobHash>, blobs: &mut WorkerGate) {
        let Some(runner) = self.get_mut(id) else {
            return;
        };
        for hash in hashes {
            if let Some(payload) = blobs.find(hash) {
                runner.has_blobs.insert(hash);
                runner.answer(&ToRunner::Blob(Blob { hash, payload }));
            } else {
                runner.want(hash);
            }
            if runner.complaint.is_some() {
                return;
            }
        }
    }

    /// A blob has arrived: sends it to the runners that have asked for it.
    pub(crate) fn on_blob(&mut self, hash: BlobHash, payload: &Payload) {
        for (id, member) in &mut self.by_id {
            let runner = &mut member.runner;
            if runner.wants_blobs.remove(&hash) {
                runner.has_blobs.insert(hash);
                runner.send(&ToRunner::Blob(Blob { hash, payload: payload.clone() }));
                member.touch(*id, &mut self.touched);
            }
        }
    }

    /// Blobs that runners have asked for and the worker does not have.
    pub(crate) fn wanted_blobs(&self) -> impl Iterator<Item = BlobHash> + '_ {
        self.all().flat_map(|runner| runner.wants_blobs.iter().copied())
    }

    /// Reads the output of the current attempt that is in a runner's pipes already.
    pub(crate) fn drain_pipes(&mut self, id: RunnerId) -> Vec<Printed> {
        let member = self.by_id.get_mut(&id);
        member.map(|member| member.runner.drain_pipes(&mut self.scratch)).unwrap_or_default()
    }

    /// Reads what is in a runner's socket already.
    pub(crate) fn drain_socket(&mut self, id: RunnerId) {
        if let Some(member) = self.by_id.get_mut(&id) {
            member.runner.drain_socket(&mut self.scratch);
        }
    }

    /// Keeps the end of what was printed. Returns what goes to the client now.
    pub(crate) fn on_printed(&mut self, id: RunnerId, printed: Printed) -> Option<TaskOutput> {
        let runner = self.get_mut(id)?;
        let Printed { writer, fd, bytes } = printed;
        let Some(attempt) = writer.and_then(|writer| runner.queue.find(writer)) else {
            runner.output_between_tasks.push(&bytes);
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES)]);
            tracing::debug!("runner {} wrote while it had no task: {}", runner.pid, shown.trim_end());
            return None;
        };
        if fd != RETURNED_FD {
            attempt.tail.push(&bytes);
        }
        if attempt.is_captured {
            return None;
        }
        attempt.window.on_sent(bytes.len());
        Some(TaskOutput { from: attempt.attempt, fd, bytes })
    }

    /// A task has logged something. Returns what goes to the client now; a report shows it as a line of text. After the
    /// last record that there is room for, the runner's socket is not read until its client has taken some.
    pub(crate) fn on_log(&mut self, id: RunnerId, Log { from, record }: Log) -> Option<TaskOutput> {
        let runner = self.get_mut(id)?;
        let attempt = runner.queue.find(from)?;
        if let Some(record) = LogRecord::from_json(&record) {
            let level = record.level_name();
            attempt.tail.push(format!("{level} {}: {}\n", record.logger, record.message).as_bytes());
        }
        if attempt.is_captured {
            return None;
        }
        attempt.window.on_sent(record.len());
        runner.logged = Some(from);
        Some(TaskOutput { from, fd: LOG_FD, bytes: record })
    }

    /// Reads the processor time of those that have a control group.
    pub(crate) fn read_meters(&mut self, now: Time) {
        self.by_id.values_mut().for_each(|member| member.runner.read_meter(now));
    }

    /// Measures the memory of idle runners.
    pub(crate) fn measure_idle(&self) -> Vec<(RunnerId, u64)> {
        let idle = self.by_id.iter().filter(|(_, member)| member.runner.is_idle());
        idle.filter_map(|(id, member)| Some((*id, machine::memory_of(member.runner.pid)?))).collect()
    }

    /// The manager is gone. Output that was on the way will never be credited.
    pub(crate) fn on_manager_lost(&mut self) {
        for (id, member) in &mut self.by_id {
            member.runner.queue.all().for_each(|attempt| attempt.window.write_off());
            member.touch(*id, &mut self.touched);
        }
    }

    /// An attempt, if that runner has it.
    pub(crate) fn attempt(&mut self, id: RunnerId, attempt: AttemptId) -> Option<&mut AttemptIo> {
        self.get_mut(id)?.queue.find(attempt)
    }
}

impl Member {
    /// The runner is flushed and polled in this round.
    fn touch(&mut self, id: RunnerId, touched: &mut Vec<RunnerId>) {
        self.marker.mark();
        if !std::mem::replace(&mut self.is_touched, true) {
            touched.push(id);
        }
    }
}
