//! Template processes: each has loaded the runner of an interpreter, and forks runners (`spec/runner.md`, section 8).
//!
//! A forked runner is a child of the worker, not of its template. The worker knows its pid when the template reports it;
//! until then it carries the mark of the template.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, PipeReader, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};

use argon_core::pool::{RunnerId, RunnerKind, TemplateKey};
use argon_proto::conversation::template::{Fork, Forked, FromTemplate, ToTemplate};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::unix::AsyncFd;

use super::process::group::Group;
use super::process::kernel;
use super::process::mark::Mark;
use super::process::start::{StartedRunner, StartedTemplate, WorkerEnds, ends};
use super::process::user::RunAs;
use super::runners::output::Tail;
use super::runners::runner::Identity;
use super::runners::socket::{PrivateSocket, SocketRead};

/// True where runners can be forked: structures of system calls are those of 64-bit Linux.
pub(crate) const ARE_POSSIBLE: bool = cfg!(all(target_os = "linux", target_pointer_width = "64"));
/// Room for one read.
const READ_BYTES: usize = 4 << 10;

/// Event at a template.
#[derive(Debug)]
pub(crate) enum TemplateEvent {
    /// The template has sent a message.
    Sent(FromTemplate),
    /// Its process has ended.
    Exited,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    by_key: BTreeMap<TemplateKey, Template>,
}

#[derive(Debug)]
struct Template {
    pid: Pid,
    mark: Mark,
    group: Option<Arc<Group>>,
    socket: PrivateSocket<FromTemplate>,
    /// Its output before it is ready; it then closes the pipe.
    stderr: Option<AsyncFd<PipeReader>>,
    tail: Tail,
    exit: AsyncFd<OwnedFd>,
    /// Runners that it was asked for, in that order.
    forking: VecDeque<Forking>,
    is_ready: bool,
    complaint: Option<String>,
}

/// A runner that a template was asked for.
#[derive(Debug)]
pub(crate) struct Forking {
    pub(crate) id: RunnerId,
    pub(crate) kind: RunnerKind,
    pub(crate) identity: Identity,
    ends: WorkerEnds,
}

/// Rest of a template that has ended.
#[derive(Debug)]
pub(crate) struct EndedTemplate {
    pub(crate) why: String,
    /// The runners that it did not fork.
    pub(crate) forking: VecDeque<Forking>,
    pub(crate) group: Option<Arc<Group>>,
}

impl Templates {
    /// Takes over a template that was just started; it reads `preamble` first.
    ///
    /// # Errors
    /// If its descriptors cannot be watched.
    pub(crate) fn insert(
        &mut self,
        key: TemplateKey,
        started: StartedTemplate,
        (mark, group): (Mark, Option<Arc<Group>>),
        preamble: &[u8],
    ) -> io::Result<()> {
        let StartedTemplate { pid, descriptor, socket, stderr } = started;
        let mut socket = PrivateSocket::new(socket, preamble)?;
        socket.flush()?;
        let template = Template {
            pid,
            mark,
            group,
            socket,
            stderr: Some(kernel::watched(stderr)?),
            tail: Tail::for_report(),
            exit: kernel::watched(descriptor)?,
            forking: VecDeque::new(),
            is_ready: false,
            complaint: None,
        };
        self.by_key.insert(key, template);
        Ok(())
    }

    /// Reads what can be read.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, mut found: impl FnMut(TemplateKey, TemplateEvent)) {
        let mut scratch = [0; READ_BYTES];
        for (key, template) in &mut self.by_key {
            template.poll(cx, &mut scratch, |event| found(*key, event));
        }
    }

    pub(crate) fn owns(&self, pid: Pid) -> bool {
        self.pids().any(|template| template == pid)
    }

    pub(crate) fn pids(&self) -> impl Iterator<Item = Pid> {
        self.by_key.values().map(|template| template.pid)
    }

    /// True for the mark of a template, which its new runners carry until they get their own.
    pub(crate) fn is_marked(&self, mark: Mark) -> bool {
        self.by_key.values().any(|template| template.mark == mark)
    }

    /// Asks a template for a runner.
    ///
    /// # Errors
    /// If there is no such template, or it cannot be asked.
    pub(crate) fn fork(
        &mut self,
        key: TemplateKey,
        id: RunnerId,
        kind: RunnerKind,
        identity: Identity,
        user: Option<&RunAs>,
        ruleset: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let template = self.by_key.get_mut(&key).filter(|template| template.is_ready);
        let template = template.ok_or_else(|| io::Error::other("its template is not ready"))?;
        let (ours, its) = ends(user)?;
        let fork = ToTemplate::Fork(Fork { runner: id, token: identity.token });
        // Another user, or a process in the sandbox, cannot start one in a group of the worker: the worker moves it.
        let may_join = user.is_none() && ruleset.is_none();
        let group = identity.group.as_ref().filter(|_| may_join).map(|group| group.descriptor());
        let last = ruleset.as_ref().map(AsRawFd::as_raw_fd).or(group);
        let descriptors: Vec<RawFd> = its.descriptors().into_iter().chain(last).collect();
        template.socket.send_with_descriptors(&fork, &descriptors)?;
        template.forking.push_back(Forking { id, kind, identity, ends: ours });
        Ok(())
    }

    /// The program that a template executes.
    ///
    /// # Errors
    /// If there is no such template, or it has ended.
    pub(crate) fn program(&self, key: TemplateKey) -> io::Result<PathBuf> {
        let template = self.by_key.get(&key).ok_or_else(|| io::Error::other("its template has ended"))?;
        std::fs::read_link(format!("/proc/{}/exe", template.pid))
    }

    /// The template can fork. `false` if it has reported that before.
    pub(crate) fn on_ready(&mut self, key: TemplateKey) -> bool {
        let template = self.by_key.get_mut(&key);
        template.is_some_and(|template| !std::mem::replace(&mut template.is_ready, true))
    }

    /// A runner was forked, or could not be. Returns none for one that was not asked for.
    pub(crate) fn on_forked(
        &mut self,
        key: TemplateKey,
        forked: Forked,
    ) -> Option<(Forking, io::Result<Pid>)> {
        let template = self.by_key.get_mut(&key)?;
        let at = template.forking.iter().position(|forking| forking.id == forked.runner)?;
        let pid = match forked.result {
            Ok(pid) => Ok(Pid::from_raw(pid.cast_signed())),
            Err(errno) => Err(io::Error::from_raw_os_error(errno.cast_signed())),
        };
        Some((template.forking.remove(at)?, pid))
    }

    /// Kills a template for something that it did.
    pub(crate) fn kill_for(&mut self, key: TemplateKey, complaint: String) {
        if let Some(template) = self.by_key.get_mut(&key) {
            template.complaint.get_or_insert(complaint);
            template.kill();
        }
    }

    pub(crate) fn kill_all(&self) {
        self.by_key.values().for_each(Template::kill);
    }

    /// Kills all and forgets them.
    pub(crate) fn clear(&mut self) {
        self.kill_all();
        self.by_key.clear();
    }

    /// Last messages of a template that has ended.
    pub(crate) fn last_messages(&mut self, key: TemplateKey) -> Vec<FromTemplate> {
        let Some(template) = self.by_key.get_mut(&key) else {
            return Vec::new();
        };
        template.socket.drain(&mut [0; READ_BYTES]);
        template.messages()
    }

    /// A template has ended. Returns none while it cannot be collected yet.
    pub(crate) fn on_exited(&mut self, key: TemplateKey) -> Option<EndedTemplate> {
        let ended = match kernel::reap(self.by_key.get(&key)?.pid) {
            Ok(ended) => ended?,
            Err(_) => kernel::ProcessEnd::default(),
        };
        let mut template = self.by_key.remove(&key)?;
        template.read_errors();
        let how = match (&template.complaint, ended.signal, ended.code) {
            (Some(complaint), _, _) => format!("it was killed because {complaint}"),
            (None, Some(signal), _) => format!("it was killed by signal {signal}"),
            (None, None, Some(code)) => format!("it exited with status {code}"),
            (None, None, None) => "it has ended".to_owned(),
        };
        let output = template.tail.text();
        let output = output.trim();
        let colon = if output.is_empty() { "" } else { ": " };
        let why = format!("{how}{colon}{output}");
        Some(EndedTemplate { why, forking: template.forking, group: template.group })
    }
}

impl Forking {
    /// The runner of this pid, a process of `user`, is there. `is_moved` if it is not in its control group yet.
    ///
    /// # Errors
    /// If its process cannot be watched, moved or limited.
    pub(crate) fn started(self, pid: Pid, user: Option<&RunAs>, is_moved: bool) -> io::Result<StartedRunner> {
        let descriptor = kernel::pidfd(pid)?;
        if let Some(group) = self.identity.group.as_ref().filter(|_| is_moved)
            && let Err(error) = group.add(pid).or_else(unless_it_has_ended)
        {
            let _ = killpg(pid, Signal::SIGKILL);
            return Err(error);
        }
        let (mark, bytes) = (self.identity.mark, u64::from(self.kind.memory_mib) << 20);
        let limit = || {
            // A process that has ended already has no limits; its end is reported all the same.
            let _ = mark.put_on(pid);
            if bytes == 0 { Ok(()) } else { kernel::limit_process(pid, libc::RLIMIT_DATA, bytes, true) }
        };
        let limited = user.map_or_else(limit, |user| user.act(limit));
        if let Err(error) = limited.or_else(unless_it_has_ended) {
            let _ = killpg(pid, Signal::SIGKILL);
            return Err(error);
        }
        Ok(self.ends.of((pid, descriptor), false))
    }
}

impl Template {
    fn poll(&mut self, cx: &mut Context<'_>, scratch: &mut [u8], mut found: impl FnMut(TemplateEvent)) {
        while let Some(stderr) = &self.stderr
            && let Poll::Ready(Ok(mut guard)) = stderr.poll_read_ready(cx)
        {
            guard.clear_ready();
            self.read_errors();
        }
        while self.socket.poll(cx, scratch, true) == Some(SocketRead::Bytes) {}
        self.messages().into_iter().for_each(|message| found(TemplateEvent::Sent(message)));
        if self.exit.poll_read_ready(cx).is_ready() {
            found(TemplateEvent::Exited);
        }
    }

    /// The messages that were read.
    fn messages(&mut self) -> Vec<FromTemplate> {
        let mut messages = Vec::new();
        loop {
            match self.socket.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => return messages,
                Err(error) => {
                    self.complaint.get_or_insert(format!("it sent what is not the protocol: {error}"));
                    self.socket.close_read();
                    self.kill();
                    return messages;
                }
            }
        }
    }

    fn read_errors(&mut self) {
        let mut scratch = [0; READ_BYTES];
        while let Some(stderr) = &self.stderr {
            match stderr.get_ref().read(&mut scratch) {
                Ok(count @ 1..) => self.tail.push(&scratch[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => self.stderr = None,
            }
        }
    }

    /// A template executes no code of a user: there is nothing to finish.
    fn kill(&self) {
        let _ = killpg(self.pid, Signal::SIGKILL);
    }
}

fn unless_it_has_ended(error: io::Error) -> io::Result<()> {
    if error.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(error) }
}
