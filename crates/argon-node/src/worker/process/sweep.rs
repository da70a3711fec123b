//! Finds and ends what runners left behind.
//!
//! The worker is a subreaper: a process whose parent died becomes its child, so that [`leftovers_below`] finds all of
//! them by looking at the worker's own children. When the worker itself is gone, the guardian looks at the whole machine.

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::kernel;
use super::mark::Mark;

/// Room for a list of children that is quick to look through.
const LIST_BYTES: usize = 4096;

/// The processes that are not left over.
pub(crate) trait Alive {
    /// True for a process that the worker has started and not collected.
    fn owns(&self, pid: Pid) -> bool;
    /// True for the mark of such a process.
    fn is_marked(&self, mark: Mark) -> bool;
    /// True for the mark of a process that is being started. Its pid is not known yet.
    fn is_starting(&self, mark: Mark) -> bool;
}

/// Kills the children of this process that carry a mark of `worker` and are not `alive`, and collects those that have
/// ended. Returns how many had not ended yet.
pub(crate) fn leftovers_below(worker: Mark, alive: &impl Alive) -> usize {
    let mut remaining = 0;
    for child in children().into_iter().filter(|child| !alive.owns(*child)) {
        let is_known = |mark: &Mark| mark.is_same_worker(worker) && !alive.is_starting(*mark);
        let Some(mark) = Mark::of(child).filter(is_known) else {
            continue;
        };
        let is_left_over = !alive.is_marked(mark);
        if is_left_over {
            let _ = kill(child, Signal::SIGKILL);
        }
        let has_ended = !matches!(kernel::reap(child), Ok(None));
        remaining += usize::from(is_left_over && !has_ended);
    }
    remaining
}

/// The children of this process's first thread, to which the kernel gives orphans.
#[derive(Debug, Default)]
pub(crate) struct Children {
    list: Option<File>,
    text: Vec<u8>,
}

impl Children {
    /// True if there is any that is not `own`, or if that is not certain. Costs one read.
    pub(crate) fn have_others(&mut self, own: impl Fn(Pid) -> bool) -> bool {
        if self.list.is_none() {
            let pid = std::process::id();
            self.list = File::open(format!("/proc/self/task/{pid}/children")).ok();
            self.text.resize(LIST_BYTES, 0);
        }
        let Some(Ok(length)) = self.list.as_ref().map(|list| list.read_at(&mut self.text, 0)) else {
            return true;
        };
        let Ok(text) = std::str::from_utf8(&self.text[..length]) else {
            return true;
        };
        let is_cut = length == LIST_BYTES;
        is_cut || !text.split_whitespace().all(|pid| pid_of(pid).is_some_and(&own))
    }
}

/// Ends every process of the machine that carries a mark of this worker. Returns how many there were.
pub(crate) fn everywhere(worker: Mark) -> usize {
    let marked = processes().filter(|pid| Mark::of(*pid).is_some_and(|mark| mark.is_same_worker(worker)));
    marked.filter(|pid| !is_zombie(*pid) && kill(*pid, Signal::SIGKILL).is_ok()).count()
}

/// The children of this process, in whichever of its threads.
fn children() -> Vec<Pid> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let lists = threads.flatten().map(|thread| std::fs::read_to_string(thread.path().join("children")));
    match lists.collect::<Result<Vec<String>, _>>() {
        Ok(lists) => lists.iter().flat_map(|list| list.split_whitespace()).filter_map(pid_of).collect(),
        // A kernel without these lists: look at every process.
        Err(_) => processes()
            .filter(|pid| parent_and_state(*pid).is_some_and(|(ppid, _)| ppid == Pid::this()))
            .collect(),
    }
}

fn processes() -> impl Iterator<Item = Pid> {
    let folder = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    folder.filter_map(|entry| entry.file_name().to_str().and_then(pid_of))
}

fn is_zombie(pid: Pid) -> bool {
    parent_and_state(pid).is_none_or(|(_, state)| state == "Z")
}

/// From `/proc/PID/stat`. The name in it may hold anything, so the fields are those behind the last parenthesis.
fn parent_and_state(pid: Pid) -> Option<(Pid, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?.to_owned();
    Some((pid_of(fields.next()?)?, state))
}

fn pid_of(text: &str) -> Option<Pid> {
    text.parse().ok().map(Pid::from_raw)
}
