//! Descriptors or processes run out: accepting pauses, starting runners pauses, no task fails of it.

use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use argon_tests::{Cluster, wait_for};

use crate::support::{NOTE, counts, descriptors};

/// Limits the open descriptors of a running process.
pub(crate) fn limit_descriptors(pid: i32, most: u64) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: 20_000 };
    // SAFETY: the kernel reads one limit and writes none; the process is our child.
    let done = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut()) };
    assert_eq!(done, 0, "the limit of {pid} cannot be set: {}", std::io::Error::last_os_error());
}

/// Lets a running process open no descriptor at all. A limit near the number that is open now would leave room as soon as one
/// that was open only for a moment is closed.
fn allow_no_descriptor(pid: i32) {
    limit_descriptors(pid, 3);
}

#[test]
fn a_manager_without_descriptors_serves_whom_it_has_and_accepts_again_when_it_can() {
    let mut cluster = Cluster::with_workers(&[1]);
    let inside = cluster.start_perl(
        "use Cwd; my $n = 0; $client->connect; while (!-e getcwd() . '/end') { $n += $client->queue(sub { 1 }) } print $n",
    );
    cluster.wait_for_status("a client to be inside", |status| status["totals"]["ok"].as_u64() > Some(5));
    let manager = cluster.manager.as_ref().unwrap().pid();
    limit_descriptors(manager, descriptors(manager) as u64 + 3);
    let strangers: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(cluster.address()).unwrap()).collect();
    wait_for("accepting to pause", Duration::from_secs(5), || {
        cluster.manager.as_ref().unwrap().stderr().contains("accepting pauses").then_some(())
    });
    let newcomer = cluster.start_perl("print $client->queue(sub { 'let in' })");
    drop(strangers);
    limit_descriptors(manager, 20_000);
    assert_eq!(newcomer.finish(Duration::from_secs(10)).stdout, "let in");
    std::fs::write(cluster.folder().join("end"), "").unwrap();
    let finished = inside.finish(Duration::from_secs(10));
    assert!(finished.stdout.parse::<u64>().unwrap() > 5, "{}", finished.stderr);
    let said = cluster.manager.as_ref().unwrap().stderr();
    assert!(said.matches("accepting pauses").count() < 10, "it complains without end");
}

/// Tasks that note which worker ran them, and how; none may fail.
const WHERE: &str = "my @d = map { $client->defer($where, [$file]) } 1..20; my %seen; $seen{ $_->() }++ for @d; \
                     print join ' ', map { \"$_:$seen{$_}\" } sort keys %seen;";

fn program() -> String {
    format!(
        "use Cwd; my $file = getcwd() . '/ran'; my $where = sub {{ {NOTE} $note->($_[0], getppid); \
         select undef, undef, undef, 0.05; getppid }}; {WHERE}"
    )
}

#[test]
fn a_worker_that_cannot_start_runners_leaves_its_tasks_to_others_and_recovers() {
    let mut cluster = Cluster::with_workers(&[1, 1]);
    let (poor, rich) = (cluster.workers[0].pid(), cluster.workers[1].pid());
    allow_no_descriptor(poor);
    // Its only runner dies in a task, and there is nothing to start another one with.
    let died = cluster.perl(
        "my @died; for (1..2) { push @died, $client->defer(sub { select undef, undef, undef, 0.3; kill 9, $$; sleep 9 }) } \
         for (@died) { eval { $_->() }; print $@->kind, ' ' }",
    );
    assert_eq!(died, "died died ");
    wait_for("the trouble to be told", Duration::from_secs(10), || {
        cluster.workers[0].stderr().contains("no perl runner can be started").then_some(())
    });
    assert_eq!(cluster.perl(&program()), format!("{rich}:20"));
    limit_descriptors(poor, 20_000);
    wait_for("the worker to have recovered", Duration::from_secs(10), || {
        cluster.workers[0].stderr().contains("runners start again").then_some(())
    });
    let shares = cluster.perl(&program());
    assert!(shares.contains(&format!("{poor}:")) && shares.contains(&format!("{rich}:")), "{shares}");
    assert_eq!(counts(&cluster, "ran").values().sum::<usize>(), 40, "every task ran once");
    let totals = cluster.status()["totals"].clone();
    assert_eq!((&totals["ok"], &totals["died"], &totals["error"]), (&40.into(), &2.into(), &0.into()));
}

/// A user without rights, for limits that do not bind root.
const NOBODY: u32 = 65_534;

/// Limits the processes of the user `nobody`, as one of them sees it.
fn limit_processes(pid: i32, most: u32) {
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &pid.to_string(), &format!("--nproc={most}:20000")]).uid(NOBODY).gid(NOBODY);
    let done = prlimit.output().unwrap();
    let is_gone = !std::path::Path::new(&format!("/proc/{pid}")).exists();
    assert!(done.status.success() || is_gone, "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_worker_that_may_have_no_more_processes_keeps_its_tasks_waiting_and_recovers() {
    let mut cluster = Cluster::start();
    let key = cluster.folder().join("nobodys-key");
    std::fs::copy(cluster.key(), &key).unwrap();
    if std::os::unix::fs::chown(&key, Some(NOBODY), None).is_err() {
        println!("this user may not act for another: nothing was tested");
        return;
    }
    let mut command = Command::new(argon_tests::argon());
    command
        .args(["worker", "--port", "0", "--workers", "1", "--manager", cluster.address(), "--key"])
        .arg(key);
    command.uid(NOBODY).gid(NOBODY);
    let mut worker = cluster.run(command, "nobody");
    worker.ready("pid");
    assert_eq!(cluster.perl("print $client->queue(sub { 'runs' })"), "runs");
    // The template has a limit of its own, which it inherited.
    processes_of_nobody().for_each(|pid| limit_processes(pid, 1));
    let waiting = cluster.start_perl(
        "eval { $client->queue(sub { kill 9, $$; sleep 9 }) }; print $@->kind, ' ', $client->queue(sub { 'at last' })",
    );
    wait_for("the trouble to be told", Duration::from_secs(10), || {
        worker.stderr().contains("no perl runner can be started").then_some(())
    });
    processes_of_nobody().for_each(|pid| limit_processes(pid, 20_000));
    assert_eq!(waiting.finish(Duration::from_secs(15)).stdout, "died at last");
}

/// Processes of the user that owns nothing else here.
fn processes_of_nobody() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        (std::os::unix::fs::MetadataExt::uid(&entry.metadata().ok()?) == NOBODY).then_some(pid)
    })
}

#[test]
fn tasks_wait_for_a_worker_that_cannot_start_runners_if_there_is_no_other() {
    let mut cluster = Cluster::with_workers(&[1]);
    let worker = cluster.workers[0].pid();
    // The first task has a runner; it takes that with it.
    cluster.wait_for_status("a runner", |status| {
        status["worker_list"][0]["runners"]["idle"]["perl"].as_u64() > Some(0)
    });
    allow_no_descriptor(worker);
    let waiting = cluster.start_perl(&format!(
        "eval {{ $client->queue(sub {{ kill 9, $$; sleep 9 }}) }}; print $@->kind, ' '; {}",
        program()
    ));
    wait_for("the trouble to be told", Duration::from_secs(10), || {
        cluster.workers[0].stderr().contains("no perl runner can be started").then_some(())
    });
    cluster.wait_for_status("the tasks to have come", |status| status["totals"]["submitted"] == 21);
    limit_descriptors(worker, 20_000);
    assert_eq!(waiting.finish(Duration::from_secs(15)).stdout, format!("died {worker}:20"));
}
