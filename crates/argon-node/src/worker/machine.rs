//! The memory of the machine, and of processes.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

/// Host name of this machine.
#[must_use]
pub(crate) fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "unknown".to_owned())
}

/// Memory that this process may use, bytes: that of the machine, or of its control group if that has less.
pub(crate) fn memory_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kib_of(&text, "MemTotal:"));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(Path::new("/sys/fs/cgroup"), &groups).into_iter();
    let limits = limits.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    machine.into_iter().chain(limits).min()
}

/// Memory that this process can still get, bytes: that of the machine, or of its control group if that has less left. Files
/// in memory count as free.
pub(crate) fn free_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| kib_of(&text, "MemAvailable:"));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(Path::new("/sys/fs/cgroup"), &groups);
    machine.into_iter().chain(limits.iter().filter_map(|file| free_in_group(file))).min()
}

/// Load average of the last minute.
pub(crate) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// Memory that is left in the control group of a limit, bytes.
fn free_in_group(limit_file: &Path) -> Option<u64> {
    let number =
        |file: &str| fs::read_to_string(limit_file.with_file_name(file)).ok()?.trim().parse::<u64>().ok();
    let limit = fs::read_to_string(limit_file).ok()?.trim().parse::<u64>().ok()?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    let stat = fs::read_to_string(limit_file.with_file_name("memory.stat")).unwrap_or_default();
    let of = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    let files = of("total_inactive_file ").or_else(|| of("inactive_file ")).unwrap_or(0);
    Some(limit.saturating_sub(used.saturating_sub(files)))
}

/// Memory of a process that it does not share with files, bytes.
pub(crate) fn memory_of(pid: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut pages = text.split_whitespace().skip(1).map(|pages| pages.parse::<u64>().ok());
    let (resident, shared) = (pages.next()??, pages.next()??);
    Some(resident.saturating_sub(shared) * page_bytes())
}

fn page_bytes() -> u64 {
    // SAFETY: asks only.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

/// A line of `/proc/meminfo`, bytes.
fn kib_of(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// The files that may hold a limit for a process of these groups: those of its group and of all groups above. A limit of
/// the first version of control groups is in a tree of its own.
fn limit_files(root: &Path, groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (tree, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            memory if memory.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = tree.join(group.trim_start_matches('/'));
        let above = group.ancestors().take_while(|folder| folder.starts_with(&tree));
        files.extend(above.map(|folder| folder.join(file)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_and_a_process_have_memory() {
        assert!(memory_bytes().is_some_and(|bytes| bytes > 1 << 20));
        assert!(memory_of(Pid::this()).is_some_and(|bytes| bytes > 1 << 18));
        assert_eq!(memory_of(Pid::from_raw(i32::MAX)), None);
        assert_eq!(kib_of("MemFree: 1 kB\nMemTotal:       16 kB\n", "MemTotal:"), Some(16 << 10));
        let (free, all) = (free_bytes().expect("free memory"), memory_bytes().expect("memory"));
        assert!(free > 1 << 20 && free <= all, "{free} of {all}");
        assert!(load().is_some_and(|load| load >= 0.0));
    }

    #[test]
    fn files_in_memory_count_as_free_in_a_control_group() {
        let folder = tempfile::tempdir().expect("a folder");
        let limit = folder.path().join("memory.max");
        for (file, text) in [
            ("memory.max", "1000\n"),
            ("memory.current", "900\n"),
            ("memory.stat", "anon 600\nfile 300\ninactive_file 250\n"),
        ] {
            fs::write(folder.path().join(file), text).expect("a file");
        }
        assert_eq!(free_in_group(&limit), Some(350));
        fs::write(&limit, "max\n").expect("a file");
        assert_eq!(free_in_group(&limit), None, "no limit");
    }

    #[test]
    fn limits_are_those_of_the_group_and_of_all_above() {
        let files = |groups| {
            let files = limit_files(Path::new("/cg"), groups);
            files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(files("0::/a/b\n"), ["/cg/a/b/memory.max", "/cg/a/memory.max", "/cg/memory.max"]);
        assert_eq!(
            files("4:cpu:/x\n3:memory:/a\n"),
            ["/cg/memory/a/memory.limit_in_bytes", "/cg/memory/memory.limit_in_bytes"]
        );
        assert_eq!(files("0::/"), ["/cg/memory.max"]);
        assert_eq!(files("nonsense"), Vec::<String>::new());
    }
}
