//! Requirements for every durable store. A new store adds one call of [`conforms`].

use argon_core::scheduler::Record;
use argon_proto::AttemptId;
use argon_proto::holder::OwnerName;
use argon_proto::{
    Attempt, BlobHash, Flags, Outcome, Payload, Priority, Report, Runtime, SessionId, Status, Task, TaskHead,
    TaskId,
};
use bytes::Bytes;

use super::{CommitBatch, DiskStore, PayloadName, Store};

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
    let record = |task: &Task| Record::TaskAccepted(task.clone(), owner(task.head.id.sequence));
    CommitBatch { records: tasks.iter().map(record).collect(), blobs: vec![code()] }
}

/// Every second task belongs to a person.
fn owner(sequence: u64) -> OwnerName {
    OwnerName::read(["ann", "admin"][sequence as usize % 2]).expect("a name")
}

fn only(records: Vec<Record>) -> CommitBatch {
    CommitBatch { records, blobs: Vec::new() }
}

/// The bytes of a payload, which the store may have kept.
fn bytes(store: &impl Store, name: PayloadName, payload: &Payload) -> Bytes {
    if !payload.is_stored() {
        return payload.to_contiguous();
    }
    assert!(payload.len() > store.stored_above());
    store.payloads().expect("a reader").read(name).expect("readable").to_contiguous()
}

/// `open` opens the same store again and again.
fn conforms<S: Store>(open: impl Fn() -> S) {
    let big = task(2, 3 << 20);
    open().commit(&accepted(&[task(1, 10), big.clone()])).expect("there is room");

    let mut store = open();
    let loaded = store.load().expect("readable");
    assert_eq!(loaded.blobs, vec![code()]);
    assert_eq!(loaded.records.len(), 2);
    let Record::TaskAccepted(back, of) = &loaded.records[1] else {
        panic!("expected a task: {:?}", loaded.records[1]);
    };
    assert_eq!((&back.head, of), (&big.head, &owner(2)));
    assert_eq!(bytes(&store, PayloadName::Arguments(id(2)), &back.payload), big.payload.to_contiguous());

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

#[test]
fn the_disk_store_conforms() {
    let folder = tempfile::tempdir().expect("made");
    let path = folder.path().join("store");
    conforms(|| DiskStore::open(&path, false).expect("opened"));
}

#[test]
fn a_store_is_opened_by_one_manager_at_a_time() {
    let folder = tempfile::tempdir().expect("made");
    let path = folder.path().join("store");
    let _first = DiskStore::open(&path, false).expect("opened");
    let error = DiskStore::open(&path, false).expect_err("in use").to_string();
    assert!(error.contains("another manager uses it"), "{error}");
}
