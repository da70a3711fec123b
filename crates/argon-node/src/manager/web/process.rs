//! Facts about this process, under the names that all programs with metrics give them.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::exposition::Exposition;

/// Adds what the system knows of this process; a fact that it does not tell is left out.
pub(super) fn add(page: &mut Exposition) {
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        page.counter("process_cpu_seconds_total", "Processor time of the manager's process.")
            .value(micros as f64 / 1e6);
    }
    if let Some(bytes) = resident_bytes() {
        page.gauge("process_resident_memory_bytes", "Memory of the manager's process that is in RAM.")
            .value(bytes);
    }
    if let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") {
        page.gauge("process_open_fds", "Open descriptors of the manager's process.")
            .value(descriptors.count());
    }
    if let Some(began) = began() {
        page.gauge("process_start_time_seconds", "Start of the manager's process, seconds since 1970.")
            .value(began);
    }
}

fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    Some(pages * u64::try_from(page).ok()?)
}

/// Start of the process: its age in ticks of the system is in its statistics. Asked once, so that the value does not move
/// with the clock.
fn began() -> Option<f64> {
    static BEGAN: OnceLock<Option<f64>> = OnceLock::new();
    *BEGAN.get_or_init(|| {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program, in brackets, may hold spaces.
        let ticks: f64 = stat.rsplit_once(')')?.1.split(' ').nth(20)?.parse().ok()?;
        let a_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
        let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
        Some(((now - uptime + ticks / a_second as f64) * 100.0).round() / 100.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_began_a_moment_ago_and_has_memory() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        let began = began().expect("the system tells");
        assert!(began <= now + 2.0 && began > now - 86_400.0, "{began} and {now}");
        assert!(resident_bytes().expect("the system tells") > 1 << 20);
    }
}
