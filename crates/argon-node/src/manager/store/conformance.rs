//! Requirements for every durable store. A new store adds one call of [`conforms`].

use std::path::PathBuf;

use argon_core::scheduler::Record;
use argon_proto::AttemptId;
use argon_proto::{
    Attempt, BlobHash, Flags, Outcome, Payload, Priority, Report, Runtime, SessionId, Status, Task, TaskHead,
    TaskId,
};
use bytes::Bytes;

use super::{CommitBatch, DiskStore, Store, StoreError};

fn id(sequence: u64) -> TaskId {
    TaskId { session: SessionId([3; 16]), sequence }
}

fn task(sequence: u64, payload: usize) -> Task {
    let head = TaskHead {
        flags: Flags::DETACHED,
        priority: Priority::High,
        timeout_ms: 5,
        retries: 1,
        backoff_ms: 7,
        ..TaskHead::new(id(sequence), Runtime::Perl)
    };
    Task::new(head, [code().0], Bytes::from_static(b"{\"label\":\"x\"}"), Payload::from(vec![9; payload]))
}

fn code() -> (BlobHash, Payload) {
    let payload = Payload::from(b"sub { 1 }".to_vec());
    (BlobHash::of(payload.parts()), payload)
}

fn outcome(sequence: u64) -> Outcome {
    Outcome::reported(id(sequence), Attempt(1), Status::Died, 12, &Report::of("it died"))
}

fn accepted(tasks: &[Task]) -> CommitBatch {
    CommitBatch { records: tasks.iter().cloned().map(Record::TaskAccepted).collect(), blobs: vec![code()] }
}

fn only(records: Vec<Record>) -> CommitBatch {
    CommitBatch { records, blobs: Vec::new() }
}

/// `open` opens the same store again and again.
fn conforms<S: Store>(open: impl Fn() -> S) {
    let big = task(2, 3 << 20);
    open().commit(&accepted(&[task(1, 10), big.clone()])).expect("there is room");

    let mut store = open();
    let loaded = store.load().expect("readable");
    assert_eq!(loaded.blobs, vec![code()]);
    assert_eq!(loaded.records.len(), 2);
    let Record::TaskAccepted(back) = &loaded.records[1] else {
        panic!("expected a task: {:?}", loaded.records[1]);
    };
    assert_eq!(back.head, big.head);
    assert_eq!(back.payload.to_contiguous(), big.payload.to_contiguous());

    let started = AttemptId { task: id(1), attempt: Attempt(1) };
    let batch = only(vec![Record::AttemptStarted(started), Record::TaskEnded(outcome(1))]);
    store.commit(&batch).expect("there is room");
    drop(store);
    let mut store = open();
    let loaded = store.load().expect("readable");
    assert_eq!(loaded.records.len(), 4);
    assert_eq!(loaded.records[2], Record::AttemptStarted(started));
    assert_eq!(loaded.records[3], Record::TaskEnded(outcome(1)));

    let batch = only(vec![Record::TaskForgotten(id(1)), Record::TaskForgotten(id(9))]);
    store.commit(&batch).expect("there is room");
    assert_eq!(store.load().expect("readable").records.len(), 1);
    assert_eq!(store.load().expect("readable").blobs.len(), 1, "task 2 still needs the blob");
    store.commit(&only(vec![Record::TaskForgotten(id(2))])).expect("there is room");
    drop(store);
    let loaded = open().load().expect("readable");
    assert!(loaded.records.is_empty() && loaded.blobs.is_empty(), "forgotten means gone");
}

fn file(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("argon-store-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn the_disk_store_conforms() {
    let path = file("conforms");
    conforms(|| DiskStore::open(&path).expect("opened"));
    std::fs::remove_file(path).expect("cleaned");
}

#[test]
fn a_store_is_opened_by_one_manager_at_a_time() {
    let path = file("twice");
    let _first = DiskStore::open(&path).expect("opened");
    let error = DiskStore::open(&path).expect_err("in use").to_string();
    assert!(error.contains("another manager uses it"), "{error}");
    std::fs::remove_file(path).expect("cleaned");
}

#[test]
fn a_damaged_store_refuses_to_open_and_says_what_to_do() {
    let path = file("damaged");
    std::fs::write(&path, vec![0x5a; 100_000]).expect("written");
    let error = DiskStore::open(&path).expect_err("damaged");
    assert!(matches!(&error, StoreError::Broken(why) if why.contains("move the file aside")), "{error}");
    std::fs::remove_file(path).expect("cleaned");
}
