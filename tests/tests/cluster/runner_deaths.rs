//! Runners die in tasks: the caller is told how, retries are honoured, code that cannot load is tried once.

use crate::support::{NOTE, counts, lines};
use argon_tests::Cluster;

// kind: a process that dies | a task killed by a signal | loud | signal, last output and peak memory are reported
#[test]
fn a_death_is_reported_with_all_that_is_known() {
    let mut cluster = Cluster::with_workers(&[1]);
    let printed = cluster.perl(
        "eval { $client->queue(sub { print \"working\\n\"; warn \"last words\\n\"; exit 7 }, [], { capture => 1 }) }; \
         my $e = $@; print join('|', $e->kind, $e->exit_code, $e->signal // '-', $e->output =~ /last words/ ? 'tail' : \
         'no tail: ' . ($e->output // ''), $e->host ? 'host' : 'no host', $e->worker, $e->attempt, $e->attempts, \
         $e->peak_kib > 1000 ? 'peak' : 'no peak', defined $e->run_ms ? 'time' : 'no time', $e->pid > 1 ? 'pid' : 'no pid', \
         $e->task =~ /^[0-9a-f]{48}$/ ? 'task' : 'no task'), \"\\n$e\"",
    );
    let worker = cluster.workers[0].ready("name");
    let (facts, text) = printed.split_once('\n').unwrap();
    assert_eq!(facts, format!("died|7|-|tail|host|{worker}|1|1|peak|time|pid|task"));
    assert!(text.contains("exited with status 7") && text.contains("at program line"), "{text}");
}

// kind: a process that dies | a segmentation fault in a task | loud | one task ends; the slot goes on with a new
//    process
#[test]
fn a_crash_of_the_interpreter_ends_one_task_and_a_fresh_runner_is_there_within_a_second() {
    let mut cluster = Cluster::with_workers(&[1]);
    let printed = cluster.perl(
        "use Time::HiRes 'time'; my @seen; \
         for my $how (sub { unpack 'p', pack 'J', 8 }, sub { kill SEGV => $$; sleep 9 }, sub { kill 9, $$; sleep 9 }) { \
           eval { $client->queue($how) }; my $begun = time; \
           push @seen, $@->signal, $client->queue(sub { 'fresh' }), time - $begun < 1 ? 'soon' : 'late'; } print \"@seen\"",
    );
    assert_eq!(printed, "11 fresh soon 11 fresh soon 9 fresh soon");
}

#[test]
fn a_death_is_retried_as_often_as_allowed_and_the_story_is_told() {
    let mut cluster = Cluster::with_workers(&[1]);
    let printed = cluster.perl(&format!(
        "use Cwd; my $f = getcwd() . '/ran'; my $die = sub {{ {NOTE} $note->($_[0], 'died'); kill 9, $$; sleep 9 }}; \
         eval {{ $client->queue($die, [$f], {{ retries => 2, backoff => 0.05 }}) }}; my $e = $@; \
         print join('|', $e->kind, $e->attempt, $e->attempts, scalar(my @s = $e->story)), \"\\n\"; print \"$_\\n\" for $e->story; \
         my $once = sub {{ {NOTE} $note->($_[0], 'once'); kill 9, $$; sleep 9 }}; \
         eval {{ $client->queue($once, [$f], {{ retries => 5, retry_on => ['error', 'timeout'] }}) }}; print $@->kind, \"\\n\"; \
         print $client->queue(sub {{ {NOTE} $note->($_[0], 'third'); open my $h, '<', $_[0]; \
           exit 1 if 3 > grep {{ /third/ }} readline $h; 'at last' }}, [$f], {{ retries => 9, backoff => 0.01 }})"
    ));
    let told: Vec<&str> = printed.lines().collect();
    assert_eq!(told[0], "died|3|3|2", "{printed}");
    assert!(told[1].starts_with("attempt 1 on ") && told[1].contains("signal 9"), "{printed}");
    assert!(told[2].starts_with("attempt 2 on ") && told[2].contains("tried again after"), "{printed}");
    assert_eq!(told[3..], ["died", "at last"]);
    let counts = counts(&cluster, "ran");
    assert_eq!((counts["died"], counts["once"], counts["third"]), (3, 1, 3));
}

#[test]
fn retries_wait_longer_each_time_and_hold_no_slot() {
    let mut cluster = Cluster::with_workers(&[1]);
    let printed = cluster.perl(&format!(
        "use Cwd; my $f = getcwd() . '/times'; \
         my $d = $client->defer(sub {{ {NOTE} require Time::HiRes; $note->($_[0], Time::HiRes::time()); die \"no\\n\" }}, [$f], \
           {{ retries => 3, backoff => 0.3 }}); \
         my $others = 0; $others += $client->queue(sub {{ 1 }}) while !$d->is_ready && $others < 100000; \
         eval {{ $d->() }}; print \"$@\", $others > 20 ? 'others ran' : \"only $others ran\""
    ));
    assert_eq!(printed, "no\nothers ran");
    let times: Vec<f64> = lines(&cluster, "times").iter().map(|time| time.parse().unwrap()).collect();
    let pauses: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses.len(), 3);
    for (pause, doubled) in pauses.iter().zip([0.3, 0.6, 1.2]) {
        assert!(*pause >= doubled * 0.5 && *pause < doubled + 1.0, "pauses of {pauses:?}");
    }
}

#[test]
fn code_that_cannot_load_fails_once_and_in_words() {
    let mut cluster = Cluster::with_workers(&[1, 1]);
    let library = cluster.folder().join("lib");
    std::fs::create_dir_all(&library).unwrap();
    let write = |name: &str, text: &str| std::fs::write(library.join(name), text).unwrap();
    write("Broken.pm", "package Broken; sub new { bless {} } sub run { 1 +; } 1;");
    write("Newer.pm", "package Newer; use v7.1.0; sub new { bless {} } sub run { 1 } 1;");
    write("Needs.pm", "package Needs; use Not::There::Either; sub new { bless {} } sub run { 1 } 1;");
    let printed = cluster.perl(
        "use lib 'lib'; for my $what ('Not::There', 'Broken', 'Newer', 'Needs', sub { require Not::There; 1 }) { \
         eval { $client->queue($what, []); 1 } and print 'ran?'; my $e = \"$@\"; $e =~ s/\\n/ /g; print \"$e\\n\" } \
         print $client->queue(sub { 'fine' })",
    );
    let told: Vec<&str> = printed.lines().collect();
    for (words, told) in
        ["Not/There.pm", "syntax error", "v7.1.0", "Either.pm", "Not/There.pm", "fine"].iter().zip(&told)
    {
        assert!(told.contains(words), "expected '{words}' in: {told}");
    }
    let totals = &cluster.status()["totals"];
    assert_eq!(
        (&totals["retried"], &totals["lost_attempts"], &totals["died"]),
        (&0.into(), &0.into(), &0.into())
    );
    assert_eq!(totals["started"], 6, "each ran once");
}
