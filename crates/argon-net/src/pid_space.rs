//! The space of process ids that a process lives in: the same text on both ends of a connection means the same machine, since the
//! same start of it, and the same namespace. Then one end can ask the system whether the other has ended.

use std::fs;
use std::sync::OnceLock;

/// The space of this process: the id of the machine's start and the number of the namespace. `None` where the system does not
/// show them.
#[must_use]
pub fn own() -> Option<&'static str> {
    static OWN: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let start = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
        Some(format!("{} {}", start.trim(), namespace.to_str()?))
    };
    OWN.get_or_init(read).as_deref()
}
