//! Finds and ends what runners left behind.
//!
//! The worker is a subreaper: a process whose parent died becomes its child, so that [`leftovers_below`] finds all of
//! them by looking at the worker's own children. When the worker itself is gone, the guardian looks at the whole machine.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::kernel;
use super::mark::Mark;

/// Room for a list of children that is quick to look through.
const LIST_BYTES: usize = 4096;

/// A process of the worker itself runs for less time than this.
const WORKERS_OWN: Duration = Duration::from_secs(15);
/// Looks within one call. A process that forks and exits all the time has another pid at each look.
const LOOKS: u32 = 50;

/// The processes that are not left over.
pub(crate) trait Alive {
    /// True for a process that the worker has started and not collected.
    fn owns(&self, pid: Pid) -> bool;
    /// Owner of the process with a mark.
    fn owner_of(&self, mark: Mark) -> Owner;
}

/// The process from which a marked one comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// Being started; its pid is not known yet.
    Starting,
    /// The worker has started it, for a moment; or a command has, before it got a mark of its own.
    Worker,
    /// Has executed its present task for this time, at least.
    Busy(Duration),
    /// Waits for a task.
    Idle,
    /// Has ended.
    Gone,
}

/// Result of a look.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Found {
    /// Marks of processes that were killed and have not ended yet.
    pub(crate) ending: Vec<Mark>,
    /// Processes without a parent of a task that still runs.
    pub(crate) spared: usize,
}

/// Kills the children of this process that carry a mark of `worker` and are left over, and collects those that have
/// ended. Looks again while there are new ones.
pub(crate) fn leftovers_below(worker: Mark, alive: &impl Alive) -> Found {
    let mut found = Found::default();
    for _ in 0..LOOKS {
        found = Found::default();
        // The latest orphan is the last one, and the most likely to fork meanwhile.
        for child in children().into_iter().rev().filter(|child| !alive.owns(*child)) {
            let Some(mark) = Mark::of(child).filter(|mark| mark.is_same_worker(worker)) else {
                continue;
            };
            let is_left_over = match alive.owner_of(mark) {
                Owner::Starting => continue,
                // The thread that has started it collects it, or this worker does when it knows the pid: a command that ends
                // just now would lose its exit status here.
                Owner::Worker if !started_before(child, WORKERS_OWN) => {
                    found.spared += 1;
                    continue;
                }
                Owner::Worker => true,
                Owner::Busy(since) => started_before(child, since),
                Owner::Idle | Owner::Gone => true,
            };
            if is_left_over {
                let _ = kill(child, Signal::SIGKILL);
            }
            let has_ended = !matches!(kernel::reap(child), Ok(None));
            match is_left_over {
                _ if has_ended => {}
                true => found.ending.push(mark),
                false => found.spared += 1,
            }
        }
        if found.ending.is_empty() {
            break;
        }
    }
    found
}

/// True if a process started before a time that is that long ago. The kernel counts in hundredths of a second.
fn started_before(pid: Pid, ago: Duration) -> bool {
    let Some((started, now)) = start_of(pid).zip(kernel::ticks_since_boot()) else {
        return false;
    };
    let ago = ago.as_micros() as u64 * now.per_second / 1_000_000;
    started + 1 < now.ticks.saturating_sub(ago)
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

/// Ends every process of the machine that carries a mark of this worker, but for the worker itself, which may be about to
/// leave. Returns how many there were.
pub(crate) fn everywhere(worker: Mark) -> usize {
    end_all(|pid, mark| mark.is_same_worker(worker) && !(mark == worker && pid == worker.worker_process()))
}

/// Ends every process of the machine that carries a mark of a worker that has ended. Returns how many there were.
pub(crate) fn of_dead_workers() -> usize {
    // Numbers of processes mean the same in one namespace only.
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = namespace("self");
    let is_near = |pid: Pid| own.is_some() && namespace(&pid.to_string()) == own;
    end_all(|pid, mark| is_near(pid) && !is_alive(mark.worker_process(), pid))
}

fn end_all(is_left_over: impl Fn(Pid, Mark) -> bool) -> usize {
    let left = processes().filter(|pid| Mark::of(*pid).is_some_and(|mark| is_left_over(*pid, mark)));
    left.filter(|pid| !is_zombie(*pid) && kill(*pid, Signal::SIGKILL).is_ok()).count()
}

/// True if the worker that has marked a process runs: one that started later has only the same number.
fn is_alive(worker: Pid, marked: Pid) -> bool {
    !is_zombie(worker)
        && match (start_of(worker), start_of(marked)) {
            (Some(worker), Some(marked)) => worker <= marked,
            // One of the two has just ended.
            (None, _) => false,
            (_, None) => true,
        }
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

fn parent_and_state(pid: Pid) -> Option<(Pid, String)> {
    let stat = Stat::of(pid)?;
    Some((pid_of(stat.field(4)?)?, stat.field(3)?.to_owned()))
}

/// When a process started, in ticks since the machine did.
fn start_of(pid: Pid) -> Option<u64> {
    Stat::of(pid)?.field(22)?.parse().ok()
}

/// The text of `/proc/PID/stat`.
struct Stat(String);

impl Stat {
    fn of(pid: Pid) -> Option<Self> {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).ok().map(Self)
    }

    /// By its number in proc(5), from 3. The name before may hold anything, so the fields are those behind the last
    /// parenthesis.
    fn field(&self, number: usize) -> Option<&str> {
        self.0[self.0.rfind(')')? + 1..].split_whitespace().nth(number - 3)
    }
}

fn pid_of(text: &str) -> Option<Pid> {
    text.parse().ok().map(Pid::from_raw)
}
