//! Tasks that submit tasks and wait for them, on fewer slots than there are waiting tasks.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use argon_tests::{Cluster, Process, wait_for};

use crate::rust_programs::built;
use crate::support::{let_pass, lines, wait_until_idle};

const SLOTS: u32 = 2;
const SOON: Duration = Duration::from_secs(100);
const FIB_12: &str = "144";
/// Tasks that wait at the same time: slots times depth, and some that go on at the same moment. Beside them idle runners
/// are kept, at most 16 by default, and one template.
const PROCESSES_MAX: usize = SLOTS as usize * 12 * 2 + 16 + 1;

const PERL: &str = r#"
    sub fib {
        my ($n) = @_;
        return $n if $n < 2;
        my $client  = Argon::Client->current;
        my @pending = map { $client->defer(\&fib, [$n - $_]) } 1, 2;
        return $pending[0]->() + $pending[1]->();
    }
    sub quicksort {
        my @numbers = @_;
        return [sort { $a <=> $b } @numbers] if @numbers < 16;
        my $client = Argon::Client->current;
        my $pivot  = $numbers[@numbers / 2];
        my @parts  = map { $client->defer(\&quicksort, $_) } [grep { $_ < $pivot } @numbers], [grep { $_ > $pivot } @numbers];
        return [@{ $parts[0]->() }, grep({ $_ == $pivot } @numbers), @{ $parts[1]->() }];
    }
    my @numbers = map { $_ * 7919 % 1009 } 0 .. 399;
"#;

const PYTHON: &str = r#"
import sys
import argon

def fib(n):
    if n < 2:
        return n
    client = argon.current_client()
    one, two = client.defer(fib, n - 1), client.defer(fib, n - 2)
    return one.result() + two.result()

def quicksort(numbers):
    if len(numbers) < 16:
        return sorted(numbers)
    client = argon.current_client()
    pivot = numbers[len(numbers) // 2]
    less = client.defer(quicksort, [n for n in numbers if n < pivot])
    more = client.defer(quicksort, [n for n in numbers if n > pivot])
    return less.result() + [n for n in numbers if n == pivot] + more.result()

client = argon.Client(sys.argv[1], key=sys.argv[2])
numbers = [n * 7919 % 1009 for n in range(400)]
print(client.queue(fib, 12), client.queue(quicksort, numbers) == sorted(numbers))
"#;

/// Command with `argon run` in it: fib again, in the shell.
const SHELL: &str = r#"
if [ "$1" -lt 2 ]; then echo "$1"; exit; fi
"$ARGON" run --no-stdin --env ARGON sh "$0" $(($1 - 1)) >"$0.$1.$$" &
two=$("$ARGON" run --no-stdin --env ARGON sh "$0" $(($1 - 2))) || exit 1
wait $! || exit 1
read one <"$0.$1.$$"
echo $((one + two))
"#;

fn finish(process: Process) -> String {
    let finished = process.finish(SOON);
    assert!(finished.status.success(), "{}", finished.stderr);
    finished.stdout
}

/// Processes that are children of this one, at this moment.
fn children_of(parent: i32) -> usize {
    let is_child = |folder: &Path| {
        let stat = std::fs::read_to_string(folder.join("stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)) == Some(&parent.to_string())
    };
    let processes = std::fs::read_dir("/proc").expect("it is there").flatten();
    processes.filter(|entry| is_child(&entry.path())).count()
}

/// Runs `what` while the processes of the only worker are counted; the most there were.
fn most_processes_during(cluster: &mut Cluster, what: impl FnOnce(&mut Cluster)) -> usize {
    let worker = cluster.workers[0].pid();
    let (is_over, most) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                most.fetch_max(children_of(worker), Ordering::AcqRel);
                std::thread::park_timeout(Duration::from_millis(20));
            }
        });
        what(cluster);
        is_over.store(true, Ordering::Release);
    });
    most.into_inner()
}

// kind: tasks that wait for tasks | a Perl task that waits for two, to depth 12, on two slots | right | its slot is lent; few processes
#[test]
fn perl_tasks_wait_for_tasks_on_two_slots() {
    let mut cluster = Cluster::with_workers(&[SLOTS]);
    let most = most_processes_during(&mut cluster, |cluster| {
        let program = format!(
            "{PERL} print $client->queue(\\&fib, [12]), ' ', join(',', @{{ $client->queue(\\&quicksort, \\@numbers) }}) eq \
             join(',', sort {{ $a <=> $b }} @numbers)"
        );
        assert_eq!(finish(cluster.start_perl(&program)), format!("{FIB_12} 1"));
    });
    assert!(most <= PROCESSES_MAX, "{most} processes");
    wait_until_idle(&mut cluster);
}

// kind: tasks that wait for tasks | a Python task that waits for two, to depth 12, on two slots | right | its slot is lent; few processes
#[test]
fn python_tasks_wait_for_tasks_on_two_slots() {
    let mut cluster = Cluster::with_workers(&[SLOTS]);
    let program = cluster.folder().join("nested.py");
    std::fs::write(&program, PYTHON).unwrap();
    let most = most_processes_during(&mut cluster, |cluster| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut command = Command::new(root.join("target/python-venv/bin/python"));
        command.env("PYTHONPATH", root.join("python/src"));
        command.arg(&program).arg(cluster.address()).arg(cluster.key());
        let process = cluster.run(command, "nested");
        assert_eq!(finish(process), format!("{FIB_12} True\n"));
    });
    assert!(most <= PROCESSES_MAX, "{most} processes");
    wait_until_idle(&mut cluster);
}

// kind: tasks that wait for tasks | a command that calls `argon run` | right | its slot is lent
#[test]
fn commands_wait_for_commands_on_two_slots() {
    let mut cluster = Cluster::with_workers(&[SLOTS]);
    let script = cluster.folder().join("fib.sh");
    std::fs::write(&script, SHELL).unwrap();
    let address = cluster.address().to_owned();
    let mut command = cluster.argon(&["run", "--manager", &address, "--no-stdin", "--env", "ARGON"]);
    command.env("ARGON", argon_tests::argon()).arg("sh").arg(&script).arg("6");
    let process = cluster.run(command, "run");
    assert_eq!(finish(process), "8\n");
    wait_until_idle(&mut cluster);
}

/// A task that starts `children` tasks which sleep, notes their start in `ran`, and waits for them.
fn parent_of(children: usize) -> String {
    format!(
        "use Cwd; my $file = getcwd() . '/ran'; my $parent = $client->defer(sub {{ my ($file) = @_; \
         my $inner = Argon::Client->current; my @d = map {{ $inner->defer(sub {{ my ($file) = @_; \
         open my $h, '>>', $file or die $!; syswrite $h, \"$$\\n\"; close $h; sleep 600 }}, [$file]) }} 1..{children}; \
         $_->() for @d; 1 }}, [$file]); "
    )
}

// kind: tasks that wait for tasks | a task is cancelled while its own tasks run | right | they are cancelled too
#[test]
fn cancelling_a_task_cancels_its_tasks() {
    let mut cluster = Cluster::with_workers(&[SLOTS]);
    let mut program = cluster.start_perl(&format!(
        "{} $| = 1; my $n = 0; \
         while (!(-s $file && -e \"$file.go\") && $n++ < 6000) {{ $client->flush; select undef, undef, undef, 0.01 }} \
         $parent->cancel; print eval {{ $parent->(); 1 }} ? 'ended' : $@->kind; $client->queue(sub {{ 1 }}) for 1 .. 4; \
         print ' free'; sleep 600",
        parent_of(3)
    ));
    cluster.wait_for_status("a task and its three", |status| {
        status["tasks_running"]
            .as_u64()
            .zip(status["tasks_queued"].as_u64())
            .is_some_and(|(held, queued)| held + queued == 4)
    });
    std::fs::write(cluster.folder().join("ran.go"), "").expect("written");
    wait_for("the slots to be free", SOON, || program.stdout().contains("free").then_some(()));
    assert_eq!(program.stdout(), "cancelled free");
    let status = cluster.wait_for_status("nothing to be left", |status| {
        status["tasks_running"] == 0 && status["tasks_queued"] == 0
    });
    assert_eq!(status["totals"]["cancelled"], 4, "{status}");
    assert!(program.is_running());
}

// kind: tasks that wait for tasks | the worker of a waiting task is killed | right | its tasks are cancelled, it runs again
#[test]
fn a_waiting_task_whose_worker_is_killed_runs_again() {
    let mut cluster = Cluster::with_workers(&[1]);
    let program = cluster.start_perl(&format!(
        "{PERL} use Cwd; my $file = getcwd() . '/began'; print $client->queue(sub {{ my ($file) = @_; \
         open my $h, '>>', $file or die $!; syswrite $h, \"x\\n\"; close $h; \
         return fib(7) + Argon::Client->current->queue(sub {{ select undef, undef, undef, 1; 0 }}) }}, [$file])"
    ));
    wait_for("the task to begin", SOON, || (!lines(&cluster, "began").is_empty()).then_some(()));
    cluster.wait_for_status("it to wait", |status| status["tasks_lent"].as_u64() > Some(0));
    let worker = cluster.workers.remove(0);
    worker.signal(libc::SIGKILL);
    drop(worker);
    cluster.add_worker(&["--workers", "2"]);
    assert_eq!(finish(program), "13");
    assert_eq!(lines(&cluster, "began").len(), 2, "it began once more");
    wait_until_idle(&mut cluster);
}

// kind: tasks that wait for tasks | the manager is killed while tasks wait for tasks | right | every outcome arrives
#[test]
fn tasks_wait_for_tasks_across_a_restart_of_the_manager() {
    let mut cluster = Cluster::with_workers(&[SLOTS]);
    let program = cluster.start_perl(&format!("{PERL} print $client->queue(\\&fib, [10])"));
    for done in [10, 40] {
        cluster.wait_for_status("some to be done", |status| status["totals"]["ok"].as_u64() > Some(done));
        cluster.kill_manager();
        let_pass(&mut cluster, "0.2");
        cluster.start_manager();
    }
    assert_eq!(finish(program), "55");
    wait_until_idle(&mut cluster);
}

// kind: tasks that wait for tasks | a Rust task that waits for two, to depth 12, on two slots | right | its slot is lent
#[test]
fn rust_tasks_wait_for_tasks_on_two_slots() {
    let mut cluster = Cluster::with_workers(&[SLOTS]);
    for (mode, more, expected) in [("fib", &["12"][..], "144\n"), ("sort", &[][..], "sorted\n")] {
        let mut command = Command::new(built().join("rust-client"));
        command.arg(mode).arg(cluster.address()).arg(cluster.key()).args(more);
        let process = cluster.run(command, mode);
        assert_eq!(finish(process), expected);
    }
    wait_until_idle(&mut cluster);
}
