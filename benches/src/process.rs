//! Figures of a process from the kernel: its processors, its processor time, its memory.

use std::io;
use std::time::Duration;

/// Processor time that a process of one thread has taken; none if it is gone.
pub(crate) fn processor_time(pid: u32) -> Duration {
    let line = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let nanos = line.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Lets this process, and those it starts, run on the first core only, or wherever it could before.
#[derive(Debug)]
pub(crate) struct Placement(libc::cpu_set_t);

impl Placement {
    /// Pins this thread to one of the cores that it may use, until the value is dropped.
    pub(crate) fn pin_to_one_core() -> io::Result<Self> {
        // SAFETY: a cpu_set_t is plain bits, for which all zero is a value; the pointers are to locals.
        unsafe {
            let mut before: libc::cpu_set_t = std::mem::zeroed();
            check(libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut before))?;
            let first = (0..libc::CPU_SETSIZE as usize).find(|core| libc::CPU_ISSET(*core, &before));
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(first.unwrap_or(0), &mut one);
            check(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const one))?;
            Ok(Self(before))
        }
    }
}

impl Drop for Placement {
    fn drop(&mut self) {
        // SAFETY: the set was filled by the kernel.
        unsafe {
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const self.0);
        }
    }
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
