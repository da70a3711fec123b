//! Tasks that try to get out of their worker's reach, to outlive it, or to stop it, leave nothing behind and stop nobody.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use argon_tests::{Cluster, Process, argon, wait_for};

use crate::support::{is_gone, wait_until_gone};

const SOON: Duration = Duration::from_secs(5);

/// Defines a Perl `escape($name)`, inside a task, which starts processes of that name in every way to get away, and returns
/// their number when all of them run. Each calls itself `$name`, so that all that is left of it can be found.
const ESCAPE: &str = r#"
use Config; use POSIX ();
my $escape = sub {
    my ($name) = @_;
    my $count = 0;
    my ($prctl, $setrlimit, $prlimit) = $Config{archname} =~ /x86_64/ ? (157, 160, 302) : (167, 164, 261);
    my $start = sub {
        my ($away) = @_;
        $count++;
        pipe my $read, my $write or die $!;
        if (!fork) {
            close $read;
            my $text = "$name\0";
            syscall $prctl, 15, $text, 0, 0, 0;
            $away->(sub { syswrite $write, 'x'; close $write });
            POSIX::_exit(0);
        }
        close $write;
        sysread $read, my $byte, 1;
    };
    my $sleep = sub { $_[0]->(); select undef, undef, undef, 0.1 while 1 };
    my $daemon = sub { POSIX::setsid(); POSIX::_exit(0) if fork };
    my $deaf = sub { $SIG{$_} = 'IGNORE' for grep { !/^(?:ZERO|KILL|STOP|NUM|RT|CLD|CHLD)/ } split ' ', $Config{sig_name} };
    # A child; one in a session of its own; a daemon; a daemon without descriptors that hears nothing and is elsewhere.
    $start->($sleep);
    $start->(sub { POSIX::setsid(); $sleep->(@_) });
    $start->(sub { $daemon->(); $sleep->(@_) });
    $start->(sub { $daemon->(); $deaf->(); chdir '/'; $_[0]->(); POSIX::close($_) for 0 .. 255; select undef, undef, undef, 0.1 while 1 });
    # Limits: other values, none, and those of others.
    $start->(sub {
        $daemon->();
        for my $value (0, 7, ~0) {
            my $limit = pack 'QQ', $value, $value;
            syscall $setrlimit, 10, $limit;
            syscall $prlimit, $_, 10, $limit, 0 for 0, $$, getppid;
        }
        $sleep->(@_);
    });
    # Another control group, as far as it may have one.
    $start->(sub {
        $daemon->();
        for my $group (glob '/sys/fs/cgroup/unified /sys/fs/cgroup /sys/fs/cgroup/unified/argon-*') {
            open my $handle, '>', "$group/cgroup.procs" or next;
            syswrite $handle, $$;
        }
        $sleep->(@_);
    });
    # One that is never the same process for long.
    $start->(sub { $daemon->(); $_[0]->(); while (1) { POSIX::_exit(0) if fork } });
    # Stopped ones.
    $start->(sub { $daemon->(); $_[0]->(); kill STOP => $$ while 1 });
    return $count;
};
"#;

/// The living processes of that name.
fn named(name: &str) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let its = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        its.trim_end() == name && !is_gone(*pid)
    })
    .collect()
}

/// Waits until nothing of that name is left, also not for a moment.
fn wait_until_none_is(name: &str) {
    wait_for(&format!("the end of all processes {name}"), SOON, || {
        // One that forks all the time may be missed by a look.
        (0..5).all(|_| named(name).is_empty()).then_some(())
    });
}

/// A name for processes of this test; the kernel keeps 15 bytes of it.
fn new_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("esc{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// The processes of a worker's two guardians.
fn guardians_of(worker: i32) -> Vec<i32> {
    wait_for("the guardians", SOON, || {
        let children = std::fs::read_to_string(format!("/proc/{worker}/task/{worker}/children")).ok()?;
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        let guardians = children.filter(|pid: &i32| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.starts_with(b"argon\0guardian") && !is_gone(*pid)
        });
        Some(guardians.collect::<Vec<i32>>()).filter(|guardians| guardians.len() == 2)
    })
}

fn state_of(pid: i32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('X')
}

/// Starts a worker that finds no control groups.
fn add_worker_without_groups(cluster: &mut Cluster) {
    let address = cluster.address().to_owned();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "umount -a -t cgroup2 2>/dev/null; exec \"$@\"", "sh"]);
    command.arg(argon()).args(["worker", "--port", "0", "--workers", "1", "--manager", &address]);
    command.arg("--key").arg(cluster.key());
    let mut worker: Process = cluster.run(command, "worker");
    worker.ready("pid");
    cluster.workers.push(worker);
}

/// Runs a task that escapes and ends as told, and waits until nothing of it is left.
fn escape_and_end(cluster: &mut Cluster, what: &str, options: &str, end: &str) {
    let name = new_name();
    let begun = Instant::now();
    let printed = cluster.perl(&format!(
        "my $count = eval {{ $client->queue(sub {{ {ESCAPE} my $count = $escape->($_[0]); {end}; $count }}, ['{name}'], {{ {options} }}) }}; \
         print $count // $@->kind, ' ', $client->queue(sub {{ 'served' }})"
    ));
    println!("{what}: {printed} after {:?}", begun.elapsed());
    let (ended, served) = printed.split_once(' ').unwrap();
    assert_eq!(served, "served");
    assert!(ended == "8" || !end.is_empty(), "{printed}");
    wait_until_none_is(&name);
    println!("{what}: nothing is left after {:?}", begun.elapsed());
}

#[test]
fn what_a_task_starts_ends_with_it_however_it_tries_to_stay() {
    let mut cluster = Cluster::with_workers(&[1]);
    escape_and_end(&mut cluster, "returned", "", "");
    escape_and_end(&mut cluster, "exited", "", "exit 3");
    escape_and_end(&mut cluster, "late", "timeout => 2", "sleep 300");
    escape_and_end(&mut cluster, "died", "", "kill 9, $$; sleep 300");
}

#[test]
fn what_a_task_starts_ends_with_it_where_there_are_no_control_groups() {
    // SAFETY: asks only.
    if unsafe { libc::geteuid() } != 0 {
        // This user has no control groups anyway.
        return;
    }
    let mut cluster = Cluster::start();
    add_worker_without_groups(&mut cluster);
    escape_and_end(&mut cluster, "returned", "", "");
    escape_and_end(&mut cluster, "late", "timeout => 2", "sleep 300");
}

#[test]
fn what_tasks_have_started_ends_with_a_killed_worker_however_it_tries_to_stay() {
    let mut cluster = Cluster::with_workers(&[1]);
    for has_groups in [true, false] {
        if !has_groups {
            add_worker_without_groups(&mut cluster);
        }
        let name = new_name();
        let waiting = cluster.start_perl(&format!(
            "$| = 1; $client->queue(sub {{ {ESCAPE} print $escape->($_[0]), \"\\n\"; sleep 300 }}, ['{name}'], {{ never_twice => 1 }})"
        ));
        wait_for("the escapes", SOON, || waiting.stdout().contains('8').then_some(()));
        assert!(named(&name).len() >= 7, "{:?}", named(&name));
        let begun = Instant::now();
        cluster.workers.remove(0).kill();
        wait_until_none_is(&name);
        println!("nothing is left after {:?}", begun.elapsed());
    }
}

#[test]
fn a_task_that_kills_its_worker_and_the_guardian_at_once_leaves_nothing_behind() {
    let mut cluster = Cluster::with_workers(&[1, 1]);
    let name = new_name();
    let guardians: Vec<i32> = cluster.workers.iter().flat_map(|worker| guardians_of(worker.pid())).collect();
    let printed = cluster.perl(&format!(
        "eval {{ $client->queue(sub {{ {ESCAPE} $escape->($_[0]); kill 9, $_, getppid for @{{$_[1]}}; kill 9, -1; sleep 300 }}, \
         ['{name}', {guardians:?}], {{ never_twice => 1 }}) }}; print $@->kind, ' ', $client->queue(sub {{ 'served' }})"
    ));
    assert_eq!(printed, "lost served");
    wait_until_none_is(&name);
}

#[test]
fn a_task_cannot_stop_its_worker_or_the_guardian() {
    let mut cluster = Cluster::with_workers(&[1]);
    let guardian = guardians_of(cluster.workers[0].pid())[1];
    let printed = cluster.perl(&format!(
        "print $client->queue(sub {{ my $stopped = 0; for my $signal (qw(STOP TSTP TTIN TTOU)) {{ \
           $stopped += kill $signal => $_ for getppid, {guardian}, -getpgrp(getppid), -1 }} \
           join ' ', $stopped, kill(0 => getppid), kill(0 => {guardian}) }}), ' ', $client->queue(sub {{ 'served' }})"
    ));
    assert_eq!(printed, "0 1 1 served");
    assert_ne!((state_of(cluster.workers[0].pid()), state_of(guardian)), ('T', 'T'));
}

#[test]
fn a_guardian_that_somebody_stops_is_woken_and_one_that_is_killed_is_replaced() {
    let mut cluster = Cluster::with_workers(&[1]);
    let worker = cluster.workers[0].pid();
    let first = guardians_of(worker);
    for guardian in &first {
        signal(*guardian, libc::SIGSTOP);
        wait_for("the guardian to be woken", SOON, || (state_of(*guardian) != 'T').then_some(()));
    }
    signal(first[0], libc::SIGKILL);
    let second = wait_for("another guardian", SOON, || {
        Some(guardians_of(worker)).filter(|guardians| !guardians.contains(&first[0]))
    });
    assert!(second.contains(&first[1]));
    // One is enough, an old or a new one.
    signal(first[1], libc::SIGKILL);
    let name = new_name();
    let waiting = cluster.start_perl(&format!(
        "$| = 1; $client->queue(sub {{ {ESCAPE} print $escape->($_[0]), \"\\n\"; sleep 300 }}, ['{name}'], {{ never_twice => 1 }})"
    ));
    wait_for("the escapes", SOON, || waiting.stdout().contains('8').then_some(()));
    cluster.workers.remove(0).kill();
    wait_until_none_is(&name);
    wait_until_gone(&second, SOON);
}

#[test]
fn what_a_worker_left_that_was_killed_with_its_guardian_ends_when_the_next_one_starts() {
    let mut cluster = Cluster::with_workers(&[1]);
    let worker = cluster.workers.remove(0);
    let guardians = guardians_of(worker.pid());
    let name = new_name();
    let waiting = cluster.start_perl(&format!(
        "$| = 1; $client->queue(sub {{ {ESCAPE} print $escape->($_[0]), \"\\n\"; sleep 300 }}, ['{name}'], {{ never_twice => 1 }})"
    ));
    wait_for("the escapes", SOON, || waiting.stdout().contains('8').then_some(()));
    let group = format!("argon-{}-", worker.pid());
    // Not one after the other: the worker stands still, and wakes no guardian, when they are killed.
    signal(worker.pid(), libc::SIGSTOP);
    guardians.iter().for_each(|guardian| signal(*guardian, libc::SIGKILL));
    worker.kill();
    assert!(!named(&name).is_empty(), "nothing was left behind, so that this test shows nothing");
    cluster.add_worker(&["--workers", "1"]);
    wait_until_none_is(&name);
    wait_for("its control groups to be removed", SOON, || groups_named(&group).then_some(()));
    assert_eq!(cluster.perl("print $client->queue(sub { 'served' })"), "served");
}

/// True if no control group has a name that begins so.
fn groups_named(name: &str) -> bool {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].iter().all(|tree| {
        let groups = std::fs::read_dir(Path::new(tree)).into_iter().flatten().flatten();
        groups.into_iter().all(|group| !group.file_name().to_string_lossy().starts_with(name))
    })
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: kill has no memory effects.
    unsafe {
        libc::kill(pid, signal);
    }
}

#[test]
fn a_report_has_the_processor_time_of_the_attempt_and_what_has_counted_it() {
    let mut cluster = Cluster::with_workers(&[1]);
    let has_groups = !groups_named(&format!("argon-{}-", cluster.workers[0].pid()));
    // Nobody waits for the child, so that only its control group has counted it. An earlier task is not charged to it.
    let printed = cluster.perl(
        "my $used = sub { my ($user, $system) = times; $user + $system }; \
         my $burn = sub { my $until = $used->() + $_[0]; 1 while $used->() < $until; 1 }; \
         $client->queue(sub { $burn->(0.5) }); \
         eval { $client->queue(sub { pipe my $read, my $write; if (!fork) { $burn->(0.3); syswrite $write, 'x'; sleep 300 } \
           sysread $read, my $byte, 1; exit 3 }) }; print join ' ', map { $@->$_ // 'none' } qw(cpu_ms cpu_by peak_by)",
    );
    let [cpu_ms, cpu_by, peak_by] = printed.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{printed}");
    };
    let cpu_ms: u64 = cpu_ms.parse().unwrap();
    if has_groups {
        assert_eq!(cpu_by, "cgroup", "{printed}");
        assert!((300..800).contains(&cpu_ms), "{printed}");
    } else {
        assert_eq!((cpu_by, peak_by), ("process", "process"), "{printed}");
    }
}
