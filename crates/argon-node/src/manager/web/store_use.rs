//! Room that a store occupies, and room that is left for it. Asked of the file system, so it may take its time.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::exposition::Exposition;
use crate::manager::store::payload_folder;

/// Bytes of the blocks that the system counts.
const BLOCK: u64 = 512;

/// Use of a disk by a store.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoreUse {
    /// Bytes on the disk.
    used: u64,
    /// Bytes that this user may still write to that disk; `None` if the disk does not answer.
    free: Option<u64>,
}

impl StoreUse {
    /// The use of the store in this file.
    pub(super) fn of(store: &Path) -> Self {
        let on_disk = |path: &Path| std::fs::metadata(path).map_or(0, |facts| facts.blocks() * BLOCK);
        let payloads = std::fs::read_dir(payload_folder(store)).into_iter().flatten().flatten();
        let used = on_disk(store) + payloads.map(|entry| on_disk(&entry.path())).sum::<u64>();
        let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty());
        let facts = nix::sys::statvfs::statvfs(folder.unwrap_or(Path::new("."))).ok();
        Self { used, free: facts.map(|facts| facts.blocks_available() * facts.fragment_size()) }
    }

    /// Adds the two numbers.
    pub(super) fn add(&self, page: &mut Exposition) {
        page.gauge("argon_store_bytes", "Room on the disk that the store of detached tasks occupies.")
            .value(self.used);
        if let Some(free) = self.free {
            page.gauge("argon_store_free_bytes", "Room that is left on the disk of the store.").value(free);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_files_count_as_well_as_the_database() {
        let folder = tempfile::tempdir().expect("made");
        let store = folder.path().join("store");
        assert_eq!(StoreUse::of(&store).used, 0);
        std::fs::write(&store, [1; 10_000]).expect("written");
        std::fs::create_dir(payload_folder(&store)).expect("made");
        std::fs::write(payload_folder(&store).join("one"), [1; 20_000]).expect("written");
        let found = StoreUse::of(&store);
        assert!(found.used >= 30_000, "{found:?}");
        assert!(found.free.is_some(), "{found:?}");
    }
}
