//! Finds and ends what runners left behind.
//!
//! The worker is a subreaper: a process whose parent died becomes its child, so that [`leftovers_below`] finds all of
//! them by looking at the worker's own children. When the worker itself is gone, the guardian looks at the whole machine.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::kernel;
use super::mark::Mark;

/// Ends the children of this process that carry a mark of `worker` which `is_alive` does not know, and collects those
/// that have ended. `own` are the runners themselves. Returns how many were there and not ended yet.
pub(super) fn leftovers_below(
    worker: Mark,
    own: impl Fn(Pid) -> bool,
    is_alive: impl Fn(Mark) -> bool,
) -> usize {
    let mut remaining = 0;
    for child in children().into_iter().filter(|child| !own(*child)) {
        let Some(mark) = Mark::of(child).filter(|mark| mark.is_same_worker(worker)) else {
            continue;
        };
        let is_left_over = !is_alive(mark);
        if is_left_over {
            let _ = kill(child, Signal::SIGKILL);
        }
        let has_ended = !matches!(kernel::reap(child), Ok(None));
        remaining += usize::from(is_left_over && !has_ended);
    }
    remaining
}

/// Ends every process of the machine that carries a mark of this worker. Returns how many there were.
pub(super) fn everywhere(worker: Mark) -> usize {
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

/// From `/proc/PID/stat`; the name in it may hold anything, so what counts stands behind its last parenthesis.
fn parent_and_state(pid: Pid) -> Option<(Pid, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?.to_owned();
    Some((pid_of(fields.next()?)?, state))
}

fn pid_of(text: &str) -> Option<Pid> {
    text.parse().ok().map(Pid::from_raw)
}
