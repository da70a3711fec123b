//! Keeps many large detached tasks in a manager of little memory, and measures both.
//!
//! `cargo run --release -p argon-tests --example stored-payloads [TASKS] [BYTES-EACH] [MEMORY-MIB]`, after
//! `cargo build --release -p argon-node`; `make stored-payloads` does both. The tasks are submitted while no worker is
//! there, the manager is killed and started again, then two slots execute them, and a client collects the results. The
//! files are in the current folder, which needs room for all payloads.

use std::time::{Duration, Instant};

use argon_tests::Cluster;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>().expect("a number"));
    let tasks = numbers.next().unwrap_or(100_000);
    let bytes = numbers.next().unwrap_or(1 << 20);
    let memory_mib = numbers.next().unwrap_or(512);
    let folder = Folder(
        std::env::current_dir()
            .expect("a current folder")
            .join(format!("stored-payloads-{}", std::process::id())),
    );
    std::fs::create_dir_all(&folder.0).expect("made");
    let store = folder.0.join("store.redb").display().to_string();
    let mut cluster = Cluster::start_with(&["--store", &store, "--result-ttl", "24h"]);
    let mut peak = 0;
    let mut phase = |cluster: &Cluster, what: &str, begun: Instant| {
        let pid = cluster.manager.as_ref().expect("it runs").pid();
        let (now, most) = (mib_of(pid, "VmRSS:"), mib_of(pid, "VmHWM:"));
        peak = peak.max(most);
        println!("{what}: {:.1} s, {now} MiB in memory, {most} MiB at most", begun.elapsed().as_secs_f64());
        assert!(most < memory_mib, "{what}: the manager had {most} MiB, more than {memory_mib}");
    };

    let begun = Instant::now();
    perl(
        &mut cluster,
        &format!(
            "open my $h, '>', 'tickets' or die; for (1..{tasks}) {{ \
         print $h $client->submit(sub {{ $_[0] }}, [$_ . ' ' . 'x' x {bytes}]), \"\\n\" }} close $h"
        ),
    );
    phase(&cluster, &format!("{tasks} tasks of {bytes} bytes accepted"), begun);

    let begun = Instant::now();
    cluster.kill_manager();
    cluster.start_manager();
    wait(&mut cluster, |status| status["tasks_queued"] == tasks);
    phase(&cluster, "started again", begun);

    let begun = Instant::now();
    cluster.add_worker(&["--workers", "2"]);
    wait(&mut cluster, |status| status["untaken"] == tasks);
    phase(&cluster, "all executed", begun);

    let begun = Instant::now();
    perl(
        &mut cluster,
        &format!(
            "open my $h, '<', 'tickets' or die; my $n = 0; while (my $ticket = <$h>) {{ chomp $ticket; $n++; \
         my $got = $client->collect($ticket); \
         length $got == {bytes} + 1 + length $n && index($got, \"$n x\") == 0 or die \"$n: another result\" }}"
        ),
    );
    phase(&cluster, "all collected", begun);
    println!("peak {peak} MiB");
}

/// A folder that goes with its value.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a program of a client, for as long as it takes.
fn perl(cluster: &mut Cluster, program: &str) {
    let finished = cluster.start_perl(program).finish(Duration::from_secs(24 * 3600));
    assert!(finished.status.success(), "{}", finished.stderr);
}

/// Waits until the status is as wanted, at most six hours.
fn wait(cluster: &mut Cluster, condition: impl Fn(&serde_json::Value) -> bool) {
    let begun = Instant::now();
    loop {
        let status = cluster.status();
        if condition(&status) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(6 * 3600), "no end: {status}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn mib_of(pid: i32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with(what)).expect("it has memory");
    line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") >> 10
}
