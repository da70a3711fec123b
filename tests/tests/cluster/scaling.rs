//! The seed's promise: a third equal worker adds half of the throughput of two.
//!
//! What decides the throughput is how many tasks run at once. That is counted here with real processes, and no clock
//! judges it; `argon-sim/tests/efficiency.rs` measures the throughput itself, in virtual time.

use std::fs;
use std::path::Path;

use argon_tests::Cluster;

/// Runs `tasks` tasks, each of which waits until `together` of them have started, and returns the most that ran at once.
fn most_at_once(cluster: &mut Cluster, tasks: usize, together: usize) -> usize {
    let meeting = cluster.folder().join(format!("meeting-of-{together}"));
    fs::create_dir_all(&meeting).expect("the cluster's folder can be written");
    let program = format!(
        r#"my $meeting = '{}';
        my @d = map {{ my $number = $_; $client->defer(sub {{
            open my $mark, '>', "$meeting/running-$number" or die $!;
            close $mark;
            for (1 .. 6000) {{
                my $running = () = glob "$meeting/running-*";
                open my $seen, '>', "$meeting/seen-$running" or die $!;
                close $seen;
                last if -e "$meeting/seen-{together}";
                select undef, undef, undef, 0.01;
            }}
            my $met = -e "$meeting/seen-{together}" ? 1 : 0;
            unlink "$meeting/running-$number";
            return $met;
        }}) }} 1 .. {tasks};
        my $met = grep {{ $_->() }} @d;
        print $met;"#,
        meeting.display()
    );
    assert_eq!(cluster.perl(&program), tasks.to_string(), "not all {together} met");
    most_seen(&meeting)
}

fn most_seen(meeting: &Path) -> usize {
    let entries = fs::read_dir(meeting).expect("the meeting's folder is there");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.strip_prefix("seen-")?.parse().ok()).max().unwrap_or(0)
}

#[test]
fn a_third_worker_adds_half_as_many_running_tasks() {
    let mut cluster = Cluster::with_workers(&[2, 2]);
    assert_eq!(most_at_once(&mut cluster, 12, 4), 4);
    cluster.add_worker(&["--workers", "2"]);
    assert_eq!(most_at_once(&mut cluster, 18, 6), 6);
}
