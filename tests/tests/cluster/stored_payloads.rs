//! Large payloads of detached tasks are in the store, not in memory: while they wait, after a restart, and while a client
//! does not read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use argon_proto::conversation::client::{Open, ToManager};
use argon_proto::key::Role;
use argon_proto::{Secret, Ticket};
use argon_tests::{Cluster, WireClient, wait_for};

use crate::support::{Folder, memory_mib};

const TASKS: usize = 200;
/// Bytes of each argument and result.
const BYTES: usize = 400_000;
/// Memory that the manager may take more, MiB. The batch that is being committed takes 16, the heap keeps up to 32 of what
/// earlier ones left, and the rest is for results that wait behind a commit on a busy disk. All payloads are 76.
const MIB_MORE: u64 = 60;

fn manager_mib(cluster: &Cluster) -> u64 {
    memory_mib(cluster.manager.as_ref().expect("it runs").pid())
}

/// Submits tasks that return their argument: a number and many letters. Returns the tickets.
fn submit_all(cluster: &mut Cluster, count: usize, bytes: usize) -> String {
    cluster.perl(&format!(
        "print join ' ', map {{ $client->submit(sub {{ $_[0] }}, [\"$_ \" . 'x' x {bytes}]) }} 1..{count}"
    ))
}

/// Collects all: each result is the one of its task.
fn collect_all(cluster: &mut Cluster, tickets: &str, bytes: usize) {
    let collected = cluster.perl(&format!(
        "my $n = 0; for my $ticket (qw({tickets})) {{ $n++; my $got = $client->collect($ticket); \
         $got eq \"$n \" . 'x' x {bytes} or die \"$n: \" . substr($got, 0, 20) }} print $n"
    ));
    assert_eq!(collected, tickets.split(' ').count().to_string());
}

fn payload_files(store: &Path) -> Vec<PathBuf> {
    let folder = store.with_file_name("store.redb.payloads");
    std::fs::read_dir(folder).map_or(Vec::new(), |files| files.flatten().map(|file| file.path()).collect())
}

#[test]
fn large_payloads_wait_in_the_store_and_not_in_memory() {
    let folder = Folder::new("stored");
    let store = folder.path().join("store.redb");
    let mut cluster = Cluster::start_with(&["--store", store.to_str().unwrap()]);
    let idle = manager_mib(&cluster);
    let tickets = submit_all(&mut cluster, TASKS, BYTES);
    let waiting = manager_mib(&cluster);
    assert!(waiting < idle + MIB_MORE, "{idle} MiB became {waiting} MiB while tasks wait");
    cluster.kill_manager();
    cluster.start_manager();
    cluster.wait_for_status("the tasks to be there again", |status| status["tasks_queued"] == TASKS);
    let started = manager_mib(&cluster);
    assert!(started < idle + MIB_MORE, "{idle} MiB became {started} MiB after a restart");
    cluster.add_worker(&["--workers", "2"]);
    cluster.wait_for_status("all to have ended", |status| status["untaken"] == TASKS);
    let ended = manager_mib(&cluster);
    assert!(ended < idle + MIB_MORE, "{idle} MiB became {ended} MiB with results");

    // A client wants everything and reads nothing; others are served.
    let mut greedy =
        WireClient::connect(cluster.address(), &cluster.key(), Role::Client).expect("the key is right");
    greedy.say(ToManager::Open(Open::of(Secret::new([9; 32]))));
    greedy.say(ToManager::Offered);
    let wanted: Vec<Ticket> = tickets.split(' ').map(|ticket| ticket.parse().expect("a ticket")).collect();
    greedy.say(ToManager::Collect(wanted));
    assert_eq!(cluster.perl("print $client->queue(sub { 'served' })"), "served");
    let greedy_mib = manager_mib(&cluster);
    assert!(
        greedy_mib < idle + MIB_MORE,
        "{idle} MiB became {greedy_mib} MiB for a client that does not read"
    );
    collect_all(&mut cluster, &tickets, BYTES);
    drop(greedy);
    wait_for("the payload files to be removed", Duration::from_secs(10), || {
        payload_files(&store).is_empty().then_some(())
    });
}

#[test]
fn a_stop_does_not_overtake_the_run_whose_arguments_are_read() {
    let folder = Folder::new("overtake");
    let mut cluster = Cluster::start_with(&["--store", &folder.file("store.redb")]);
    cluster.add_worker(&["--workers", "1"]);
    // Some are cancelled while they wait, some while they are read, some while they run.
    let told = cluster.perl(
        "my %kinds; for (1..60) { my $ticket = $client->submit(sub { length $_[0] }, ['x' x 200_000]); \
         $client->cancel($ticket); my $got = eval { $client->collect($ticket) }; \
         $kinds{defined $got ? $got : $@->kind}++ } print join ' ', sort keys %kinds",
    );
    assert!(told.split(' ').all(|kind| kind == "cancelled" || kind == "200000"), "{told}");
    assert_eq!(cluster.perl("print $client->queue(sub { 'free' })"), "free", "the slot is free");
    cluster.wait_for_status("nothing to run", |status| {
        status["tasks_running"] == 0 && status["tasks_queued"] == 0
    });
}

#[test]
fn a_payload_that_is_damaged_while_the_manager_runs_ends_its_task_in_words() {
    let folder = Folder::new("rotten");
    let store = folder.path().join("store.redb");
    let mut cluster = Cluster::start_with(&["--store", store.to_str().unwrap()]);
    let tickets = submit_all(&mut cluster, 2, 100_000);
    for file in payload_files(&store) {
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[50_000] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
    cluster.add_worker(&["--workers", "1"]);
    let (first, second) = tickets.split_once(' ').unwrap();
    let told =
        cluster.perl(&format!("eval {{ $client->collect('{first}') }}; print $@->kind, ' ', $@->message"));
    assert!(told.starts_with("lost ") && told.contains("cannot read its arguments"), "{told}");
    let length = cluster.perl(&format!("print length $client->collect('{second}')"));
    assert_eq!(length, "100002", "the other one is whole, and the slot is free");
}

#[test]
fn a_damaged_store_names_what_is_lost_and_goes_on_when_the_loss_is_accepted() {
    let folder = Folder::new("accepted");
    let store = folder.path().join("store.redb");
    let path = store.to_str().unwrap();
    let mut cluster = Cluster::start_with(&["--store", path]);
    let tickets = submit_all(&mut cluster, 100, 2000);
    cluster.kill_manager();
    let mut bytes = std::fs::read(&store).unwrap();
    // A page of the middle of the records.
    let at = bytes.windows(5).rposition(|bytes| bytes == b"xxxxx").unwrap() & !4095;
    bytes[at..at + 4096].fill(0);
    std::fs::write(&store, &bytes).unwrap();
    let start = |cluster: &mut Cluster, options: &[&str]| {
        let mut arguments = vec!["manager", "--port", "0", "--store", path];
        arguments.extend(options);
        let command = cluster.argon(&arguments);
        cluster.run(command, "damaged")
    };
    let refused = start(&mut cluster, &[]).finish(Duration::from_secs(20));
    assert_eq!(refused.status.code(), Some(7), "{}", refused.stderr);
    for words in ["is damaged", "of 100 tasks are lost", "--accept-loss", "Nothing was changed"] {
        assert!(refused.stderr.contains(words), "no '{words}' in: {}", refused.stderr);
    }
    assert!(std::fs::read(&store).unwrap() == bytes, "a refused start changed the file");
    cluster.set_manager_options(&["--store", path, "--accept-loss"]);
    cluster.start_manager();
    let told = cluster.manager.as_ref().unwrap().stderr();
    assert!(told.contains("the loss is accepted") && told.contains("store.redb.damaged-1"), "{told}");
    assert!(std::fs::read(folder.path().join("store.redb.damaged-1")).unwrap() == bytes);
    let is_there = |status: &serde_json::Value| status["tasks_queued"].as_u64() > Some(0);
    let status = cluster.wait_for_status("the other tasks to be there again", is_there);
    let left = status["tasks_queued"].as_u64().unwrap();
    assert!((50..100).contains(&left), "{left} are left");
    cluster.add_worker(&["--workers", "2"]);
    let collected = cluster.perl(&format!(
        "my ($got, $lost) = (0, 0); for (qw({tickets})) {{ if (eval {{ $client->collect($_) }}) {{ $got++ }} \
         elsif ($@->kind eq 'lost') {{ $lost++ }} }} print \"$got $lost\""
    ));
    assert_eq!(collected, format!("{left} {}", 100 - left));
}
