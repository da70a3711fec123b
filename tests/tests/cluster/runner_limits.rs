//! Tasks that take too much, close what they should not, or leave something behind harm nobody but themselves.

use std::time::Duration;

use argon_tests::{Cluster, wait_for};

use crate::support::{NOTE, let_pass, lines, memory_mib, wait_for_numbers, wait_until_gone};

const SOON: Duration = Duration::from_secs(5);

/// A daemon as daemons are made, noting its pid: forked twice, in a session of its own, deaf to TERM, without descriptors.
const DAEMON: &str = "my $daemon = sub { my ($file) = @_; if (!fork) { require POSIX; POSIX::setsid(); \
     if (!fork) { $SIG{TERM} = $SIG{HUP} = 'IGNORE'; $note->($file, $$); POSIX::close($_) for 0..99; sleep 300 } \
     POSIX::_exit(0) } wait; };";

#[test]
fn a_flood_of_output_waits_for_a_slow_client_and_arrives_whole() {
    let mut cluster = Cluster::with_workers(&[1]);
    let client = cluster.start_perl(&format!(
        "use Cwd; my $f = getcwd() . '/progress'; open STDOUT, '|-', \"wc -c > count\" or die; \
         print STDERR $client->queue(sub {{ {NOTE} for (1..200) {{ $note->($_[0], $_); print 'x' x (1 << 20) }} 'done' }}, [$f]); \
         close STDOUT"
    ));
    wait_for("the flood to begin", SOON, || (lines(&cluster, "progress").len() > 2).then_some(()));
    client.signal(libc::SIGSTOP);
    let_pass(&mut cluster, "1.5");
    let before = lines(&cluster, "progress").len();
    assert!(before < 150, "the task did not wait for its client");
    let_pass(&mut cluster, "0.5");
    assert!(lines(&cluster, "progress").len() <= before + 1, "the task goes on though nobody reads");
    for pid in [cluster.manager.as_ref().unwrap().pid(), cluster.workers[0].pid()] {
        assert!(memory_mib(pid) < 80, "{} MiB for a flood that waits", memory_mib(pid));
    }
    client.signal(libc::SIGCONT);
    let finished = client.finish(Duration::from_secs(60));
    assert_eq!(finished.errors(), "done");
    assert_eq!(lines(&cluster, "count"), [(200 << 20).to_string()]);
}

#[test]
fn a_task_may_close_its_output_and_the_next_one_has_it() {
    let mut cluster = Cluster::with_workers(&[1]);
    let finished = cluster.finish_perl(
        "$| = 1; print $client->queue(sub { close STDOUT; close STDERR; require POSIX; POSIX::close($_) for 0..2; 'closed' }), \"\\n\"; \
         print $client->queue(sub { print \"out\\n\"; print STDERR \"err\\n\"; system 'echo child'; 'next' })",
    );
    assert_eq!((finished.stdout.as_str(), finished.errors().as_str()), ("closed\nout\nchild\nnext", "err\n"));
}

#[test]
fn daemons_of_a_task_do_not_outlive_its_runner() {
    let mut cluster = Cluster::with_workers(&[1]);
    let program = |end: &str| {
        format!(
            "use Cwd; my $f = getcwd() . '/daemons'; \
             eval {{ $client->queue(sub {{ {NOTE} {DAEMON} $daemon->($_[0]); my $n = 0; \
             select undef, undef, undef, 0.01 while !-s $_[0] && $n++ < 500; {end} }}, [$f]) }}; print ref $@ ? $@->kind : 'ok'"
        )
    };
    assert_eq!(cluster.perl(&program("exit 1")), "died");
    wait_until_gone(&wait_for_numbers(&cluster, "daemons", 1), SOON);
    std::fs::remove_file(cluster.folder().join("daemons")).unwrap();
    assert_eq!(cluster.perl(&program("1")), "ok");
    let daemons = wait_for_numbers(&cluster, "daemons", 1);
    // With the worker goes everything, by whatever end.
    cluster.workers.remove(0).kill();
    wait_until_gone(&daemons, SOON);
}

#[test]
fn daemons_of_a_task_that_ran_too_long_are_ended_with_it() {
    let mut cluster = Cluster::with_workers(&[1]);
    let printed = cluster.perl(&format!(
        "use Cwd; my $f = getcwd() . '/daemons'; eval {{ $client->queue(sub {{ {NOTE} {DAEMON} $daemon->($_[0]); sleep 300 }}, \
         [$f], {{ timeout => 0.5 }}) }}; print $@->kind, ' ', $client->queue(sub {{ 'free' }})"
    ));
    assert_eq!(printed, "timeout free");
    wait_until_gone(&wait_for_numbers(&cluster, "daemons", 1), SOON);
}

#[test]
fn garbage_on_the_private_socket_ends_the_task_as_died_with_a_complaint() {
    let mut cluster = Cluster::with_workers(&[1]);
    let printed = cluster.perl(
        "eval { $client->queue(sub { opendir my $dir, '/proc/self/fd'; my @fds = grep { /^\\d+$/ } readdir $dir; \
           for my $fd (@fds) { next if (readlink(\"/proc/self/fd/$fd\") // '') !~ /socket/; \
             open my $socket, '>&=', $fd or next; syswrite $socket, \"\\0\\0\\0\\5\\x99junk\" x 3 } sleep 60 }) }; \
         print $@->kind, ': ', $@->message, \"\\n\", $client->queue(sub { 'alive' })",
    );
    assert!(printed.starts_with("died: ") && printed.contains("not the runner protocol"), "{printed}");
    assert!(printed.ends_with("alive"), "{printed}");
}

#[test]
fn a_false_outcome_on_the_private_socket_is_believed_by_nobody() {
    let mut cluster = Cluster::with_workers(&[1]);
    // An OUTCOME for another attempt: 56 bytes of head, all zero but the kind.
    let printed = cluster.perl(
        "eval { $client->queue(sub { opendir my $dir, '/proc/self/fd'; \
           for my $fd (grep { /^\\d+$/ } readdir $dir) { next if (readlink(\"/proc/self/fd/$fd\") // '') !~ /socket/; \
             open my $socket, '>&=', $fd or next; syswrite $socket, pack 'N C x56', 57, 0x33 } sleep 60 }) }; \
         print $@->kind, ': ', $@->message, \"\\n\", $client->queue(sub { 'alive' })",
    );
    assert!(printed.starts_with("died: ") && printed.contains("an outcome that cannot be"), "{printed}");
    assert!(printed.ends_with("alive"), "{printed}");
}

#[test]
fn a_task_that_needs_more_memory_than_it_may_dies_naming_the_limit() {
    let mut cluster = Cluster::with_workers(&[2]);
    let printed = cluster.perl(
        "my $neighbour = $client->defer(sub { my $x = 'x' x ($_[0] << 20); sleep 1; length $x }, [150]); \
         for my $eat (sub { my $x = 'x' x ($_[0] << 20); length $x }, sub { my @x; push @x, 'x' x ($_[0] << 10) while 1 }) { \
           eval { $client->queue($eat, [200], { memory => 64 }) }; my $e = $@; \
           print join('|', $e->kind, $e->limit_kib, $e->message), \"\\n\" } \
         print $client->queue(sub { length('x' x ($_[0] << 20)) }, [10], { memory => 64 }), ' ', $neighbour->()",
    );
    let told: Vec<&str> = printed.lines().collect();
    for told in &told[..2] {
        assert!(told.starts_with("died|65536|") && told.contains("64 MiB"), "{told}");
    }
    assert_eq!(told[2], format!("{} {}", 10 << 20, 150 << 20));
}

#[test]
fn a_limit_too_small_for_the_interpreter_itself_ends_the_task_and_says_so() {
    let mut cluster = Cluster::with_workers(&[1]);
    let printed = cluster.perl(
        "eval { $client->queue(sub { 1 }, [], { memory => 1 }) }; print join('|', $@->kind, $@->limit_kib, $@->message), \"\\n\"; \
         print $client->queue(sub { 'alive' })",
    );
    assert!(printed.starts_with("died|1024|") && printed.contains("1 MiB"), "{printed}");
    assert!(printed.ends_with("alive"), "{printed}");
}
