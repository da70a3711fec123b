//! Helpers of several subjects: proof of runs outside Argon, the kernel's view of a process, a clock, detours.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use argon_tests::{Cluster, Process, Proxy, perl, wait_for};

/// Defines a Perl `note($file, $word)`, inside a task: appends a line to a file, whole.
pub(crate) const NOTE: &str = "my $note = sub { my ($file, $word) = @_; open my $h, '>>', $file or die $!; \
                        syswrite $h, \"$word\\n\"; close $h };";

/// The lines that tasks have appended to a file of the cluster's folder, in order.
pub(crate) fn lines(cluster: &Cluster, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(cluster.folder().join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until tasks have written `count` lines, which are numbers.
pub(crate) fn wait_for_numbers(cluster: &Cluster, file: &str, count: usize) -> Vec<i32> {
    wait_for(&format!("{count} lines in {file}"), Duration::from_secs(20), || {
        let lines = lines(cluster, file);
        (lines.len() >= count).then(|| lines.iter().map(|line| line.parse().unwrap()).collect())
    })
}

/// Number of occurrences of each line in a file.
pub(crate) fn counts(cluster: &Cluster, file: &str) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for line in lines(cluster, file) {
        *counts.entry(line).or_insert(0) += 1;
    }
    counts
}

/// A program that defers `count` numbered tasks which note that they ran in `ran`, take a given time, and return twice their
/// number; it prints the sum.
pub(crate) fn many_tasks(count: usize, seconds: &str) -> String {
    format!(
        "use Cwd; my $file = getcwd() . '/ran'; my @d = map {{ $client->defer(sub {{ my ($n, $file) = @_; {NOTE} \
         $note->($file, $n); select undef, undef, undef, {seconds}; $n * 2 }}, [$_, $file]) }} 1..{count}; \
         my $sum = 0; $sum += $_->() for @d; print $sum"
    )
}

/// Output of [`many_tasks`].
pub(crate) fn sum(count: usize) -> String {
    (count * (count + 1)).to_string()
}

/// A statement that lets a program's `$client` reach the manager through a proxy.
pub(crate) fn through(proxy: &Proxy, cluster: &Cluster) -> String {
    let port = proxy.address().rsplit(':').next().unwrap();
    let key = cluster.key();
    format!("$client = Argon::Client->new(host => '127.0.0.1', port => {port}, key => '{}');", key.display())
}

/// Starts a worker that reaches the manager at an address of the test's choice; it is ready.
pub(crate) fn start_worker_at(cluster: &mut Cluster, address: &str, options: &[&str]) -> Process {
    let mut command = cluster.argon(&["worker", "--port", "0", "--manager", address]);
    command.args(options);
    let mut worker = cluster.run(command, "worker");
    worker.ready("pid");
    worker
}

/// A child process that waits is the clock: the time in which something must not happen, or something stays frozen.
pub(crate) fn let_pass(cluster: &mut Cluster, seconds: &str) {
    let mut command = perl();
    command.args(["-e", &format!("select undef, undef, undef, {seconds}")]);
    cluster.run(command, "clock").finish(Duration::from_secs(30));
}

/// Memory that a process has in use now, MiB.
pub(crate) fn memory_mib(pid: i32) -> u64 {
    memory_while_it_runs(pid).expect("the process runs")
}

/// The same; `None` if the process has ended.
pub(crate) fn memory_while_it_runs(pid: i32) -> Option<u64> {
    mib_of(pid, "VmRSS:")
}

/// The most memory that a process ever had in use, MiB.
pub(crate) fn peak_memory_mib(pid: i32) -> u64 {
    mib_of(pid, "VmHWM:").expect("the process runs")
}

/// `None` for a process that has ended, also if its parent has not yet collected it: then it has no memory.
fn mib_of(pid: i32, what: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(what))?;
    Some(line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10)
}

/// Descriptors that a process has open now.
pub(crate) fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// True if a process has ended; one that only its parent has not yet collected has.
pub(crate) fn is_gone(pid: i32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.map_or(true, |stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

/// Waits until all of these processes have ended.
pub(crate) fn wait_until_gone(pids: &[i32], within: Duration) {
    wait_for(&format!("the end of the processes {pids:?}"), within, || {
        pids.iter().all(|pid| is_gone(*pid)).then_some(())
    });
}

/// Waits until no runner is busy and nothing waits.
pub(crate) fn wait_until_idle(cluster: &mut Cluster) {
    cluster.wait_for_status("all slots to be free", |status| {
        status["tasks_running"] == 0
            && status["tasks_queued"] == 0
            && status["slots_free"] == status["slots_total"]
    });
}

/// A folder outside any cluster's, for a file that must be named before the cluster starts. It goes with this value.
#[derive(Debug)]
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        Self(tempfile::Builder::new().prefix(&format!("argon-test-{name}-")).tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }
}
