//! The store's disk is full, its file was torn or damaged: what was accepted is there, or the manager says why it stops.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use argon_tests::{Cluster, wait_for};

use crate::support::{Folder, lines};

/// A small disk in memory. It is unmounted with this value.
struct SmallDisk(Folder);

impl SmallDisk {
    /// `None` where one may not mount.
    fn mount(name: &str, mib: u32) -> Option<Self> {
        let disk = Self(Folder::new(name));
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "argon-test"]).arg(disk.0.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            println!("this user may not mount a small disk: nothing was tested");
        }
        mounted.then_some(disk)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Fills the disk but for a MiB.
    fn fill(&self) {
        let filler = std::fs::File::create(self.file("filler")).unwrap();
        let free = free_bytes(self.0.path());
        // SAFETY: the descriptor is open; the kernel allocates space and touches no memory of ours.
        let done =
            unsafe { libc::fallocate(std::os::fd::AsRawFd::as_raw_fd(&filler), 0, 0, free - (1 << 20)) };
        assert_eq!(done, 0, "the disk cannot be filled: {}", std::io::Error::last_os_error());
    }

    fn make_room(&self) {
        std::fs::remove_file(self.file("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn free_bytes(folder: &Path) -> i64 {
    let path = std::ffi::CString::new(folder.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: all-zero is a valid value of this plain struct.
    let mut facts: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends in a zero byte, and the kernel writes one struct.
    let done = unsafe { libc::statvfs(path.as_ptr(), &raw mut facts) };
    assert_eq!(done, 0);
    i64::try_from(facts.f_bavail * facts.f_frsize).unwrap()
}

#[test]
fn a_full_disk_refuses_detached_tasks_in_words_until_there_is_room() {
    let Some(disk) = SmallDisk::mount("full", 32) else { return };
    let mut cluster = Cluster::start_with(&["--store", disk.file("store.redb").to_str().unwrap()]);
    cluster.add_worker(&["--workers", "1"]);
    let early = cluster.perl("print $client->submit(sub { select undef, undef, undef, 0.3; 'early' })");
    disk.fill();
    let refused = cluster.finish_perl("$client->submit(sub { 1 }, [], { max_tries => 2 })");
    assert!(!refused.status.success());
    assert!(
        refused.stderr.contains("try again later") && refused.stderr.contains("full"),
        "{}",
        refused.stderr
    );
    let status = cluster.status();
    assert_eq!(status["why"][0]["code"], "store_full", "{status}");
    // Attached work goes on, and so does what waits for room.
    assert_eq!(cluster.perl("print $client->queue(sub { 'attached' })"), "attached");
    let mut waiting =
        cluster.start_perl("my $id = $client->submit(sub { 'late' }); print $client->collect($id)");
    cluster.wait_for_status("the waiting client to be there", |status| status["clients"] == 1);
    assert_eq!(cluster.perl("print $client->queue(sub { 'still' })"), "still");
    assert!(waiting.is_running());
    disk.make_room();
    assert_eq!(waiting.finish(Duration::from_secs(15)).stdout, "late");
    assert_eq!(cluster.perl(&format!("print $client->collect('{early}')")), "early");
}

#[test]
fn detached_tasks_that_fill_the_disk_themselves_are_refused_and_none_that_was_accepted_is_lost() {
    let Some(disk) = SmallDisk::mount("filling", 24) else { return };
    let mut cluster = Cluster::start_with(&["--store", disk.file("store.redb").to_str().unwrap()]);
    let told = cluster.perl(
        "my @ids; while (@ids < 1000) { my $id = eval { $client->submit(sub { length $_[0] }, ['x' x 100_000], { no_wait => 1 }) } \
         or last; push @ids, $id } print ref $@ ? $@->kind : 'accepted all', \" @ids\"",
    );
    let (kind, ids) = told.split_once(' ').unwrap();
    assert_eq!(kind, "rejected");
    let count = ids.split(' ').count();
    assert!(count > 20, "only {count} were accepted");
    cluster.kill_manager();
    cluster.start_manager();
    cluster.wait_for_status("all to be there again", |status| status["tasks_queued"] == count);
    cluster.add_worker(&["--workers", "2"]);
    let sum = cluster.perl(&format!("my $sum = 0; $sum += $client->collect($_) for qw({ids}); print $sum"));
    assert_eq!(sum, (count * 100_000).to_string());
}

#[test]
fn a_manager_killed_in_the_middle_of_writing_has_all_that_it_accepted() {
    let folder = Folder::new("torn");
    let mut cluster = Cluster::start_with(&["--store", &folder.file("store.redb")]);
    let submitting = cluster.start_perl(
        "use Cwd; open my $h, '>', getcwd() . '/accepted' or die; for my $n (1..100000) { \
         my $id = $client->submit(sub { $_[0] }, [$n]); syswrite $h, \"$id\\n\"; last if -e getcwd() . '/end' }",
    );
    for kill in 1..=4 {
        wait_for("more tasks to be accepted", Duration::from_secs(20), || {
            (lines(&cluster, "accepted").len() > kill * 25).then_some(())
        });
        cluster.kill_manager();
        cluster.start_manager();
    }
    std::fs::write(cluster.folder().join("end"), "").unwrap();
    assert_eq!(submitting.finish(Duration::from_secs(20)).status.code(), Some(0));
    cluster.add_worker(&["--workers", "2"]);
    let ids = lines(&cluster, "accepted");
    let printed = cluster.perl(&format!(
        "my $n = 0; for (qw({})) {{ $n++ if $client->collect($_) == $n + 1 }} print $n",
        ids.join(" ")
    ));
    assert_eq!(printed, ids.len().to_string(), "an accepted task is missing or is another");
}

/// Starts a manager on a store: how many tasks it has if it serves, else its exit status and last words.
fn start_on(cluster: &mut Cluster, store: &Path) -> Result<u64, (Option<i32>, String)> {
    let command = cluster.argon(&["manager", "--port", "0", "--store", store.to_str().unwrap()]);
    let mut manager = cluster.run(command, "damaged");
    let is_ready = wait_for("the manager to start or end", Duration::from_secs(10), || {
        let is_ready = manager.stdout().contains("argon-ready");
        (is_ready || !manager.is_running()).then_some(is_ready)
    });
    if is_ready {
        let address = manager.ready("addr");
        let status = cluster.argon(&["status", "--json", "--manager", &address]);
        let status = cluster.run(status, "status").finish(Duration::from_secs(10));
        // A store that is found to be damaged right after the port was announced ends it too.
        if status.status.success() {
            let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
            let count = |name: &str| status[name].as_u64().unwrap();
            return Ok(count("tasks_queued") + count("waiting"));
        }
    }
    let finished = manager.finish(Duration::from_secs(5));
    Err((finished.status.code(), finished.stderr))
}

/// Damages the store of 80 tasks in many ways. Refusals must be in words, and a manager that serves must have all tasks.
/// Returns how many were refused.
fn damage(cluster: &mut Cluster, folder: &Folder, whole: &[u8]) -> usize {
    let mut refused = 0;
    let mut check = |what: String, bytes: &[u8]| {
        let damaged = folder.path().join("damaged.redb");
        std::fs::write(&damaged, bytes).unwrap();
        match start_on(cluster, &damaged) {
            Ok(80) => {}
            Ok(0) if bytes.is_empty() => {}
            Ok(count) => panic!("{what}: {count} tasks of 80 were served, in silence"),
            Err((status, words)) => {
                refused += 1;
                assert_eq!(status, Some(7), "{what}: {words}");
                assert!(words.contains("move the file aside"), "{what}: {words}");
                assert!(!words.contains("panicked"), "{what}: {words}");
            }
        }
    };
    check("as it was".to_owned(), whole);
    for part in [0, 1, 100, 511, 4096, 5000, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        check(format!("cut to {part} bytes"), &whole[..part]);
    }
    let header = [0, 9, 12, 64, 80, 130, 200, 300, 320];
    for place in header.iter().flat_map(|place| [*place, 4096 + place]).chain([16, 40, 512, 570, 4100, 8200])
    {
        let mut bytes = whole.to_vec();
        bytes[place] ^= 0xff;
        check(format!("byte {place} flipped"), &bytes);
    }
    for place in (16 << 10..whole.len()).step_by(whole.len() / 12) {
        let mut bytes = whole.to_vec();
        let end = (place + 512).min(bytes.len());
        bytes[place..end].fill(0x5a);
        check(format!("512 bytes at {place} overwritten"), &bytes);
    }
    check("another kind of file".to_owned(), b"This is a letter, not a store.\n".repeat(1000).as_slice());
    refused
}

#[test]
fn a_damaged_store_is_recovered_or_refused_in_words() {
    let folder = Folder::new("damaged");
    let store = folder.path().join("store.redb");
    let mut cluster = Cluster::start_with(&["--store", store.to_str().unwrap()]);
    cluster.perl("$client->submit(sub { $_[0] }, ['x' x 3000]) for 1..80; print 1");
    cluster.kill_manager();
    let torn = std::fs::read(&store).unwrap();
    cluster.start_manager();
    cluster.manager.as_ref().unwrap().signal(libc::SIGTERM);
    let stopped = cluster.manager.take().unwrap().finish(Duration::from_secs(10));
    assert_eq!(stopped.status.code(), Some(0), "{}", stopped.stderr);
    let closed = std::fs::read(&store).unwrap();
    for whole in [torn, closed] {
        let refused = damage(&mut cluster, &folder, &whole);
        assert!(refused > 5, "only {refused} damages were noticed");
    }
}

#[test]
fn two_managers_do_not_share_a_store() {
    let folder = Folder::new("shared");
    let store = folder.path().join("store.redb");
    let mut cluster = Cluster::start_with(&["--store", store.to_str().unwrap()]);
    let (status, words) = start_on(&mut cluster, &store).expect_err("the second one is refused");
    assert_eq!(status, Some(7), "{words}");
    assert!(words.contains("another manager uses it"), "{words}");
    assert_eq!(cluster.status()["ok"], true);
}
