//! Stores on disk: what they keep, where payloads are, and what damage does (`damage.rs`).

mod damage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use argon_core::scheduler::Record;
use argon_proto::holder::OwnerName;
use argon_proto::{
    Attempt, AttemptId, BlobHash, Flags, Outcome, Payload, Report, Runtime, SessionId, Status, Task,
    TaskHead, TaskId,
};
use bytes::Bytes;
use tempfile::TempDir;

use super::{DiskStore, segments};
use crate::manager::store::{CommitBatch, PayloadName, Store, StoreError, Unreadable};

const TASKS: u64 = 300;
/// Bytes of a payload that is in a payload file.
const LARGE: usize = 40_000;

/// A folder that goes with the test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("made"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn store(&self) -> PathBuf {
        self.path().join("store.redb")
    }
}

fn id(sequence: u64) -> TaskId {
    TaskId { session: SessionId([3; 16]), sequence }
}

fn code() -> (BlobHash, Payload) {
    let payload = Payload::from(b"sub { 1 }".to_vec());
    (BlobHash::of(payload.parts()), payload)
}

fn task(sequence: u64) -> Task {
    let bytes = match sequence {
        _ if sequence.is_multiple_of(50) => LARGE,
        _ if sequence.is_multiple_of(7) => 3000,
        _ => 100,
    };
    let flags = Flags::DETACHED;
    let head = TaskHead { flags, ..TaskHead::new(id(sequence), Runtime::Perl) };
    Task::new(head, [code().0], Bytes::new(), Payload::from(vec![sequence as u8; bytes]))
}

fn ended(sequence: u64, bytes: usize) -> Record {
    let mut outcome = Outcome::reported(id(sequence), Attempt(1), Status::Ok, 12, &Report::of("ended"));
    outcome.payload = Payload::from(vec![sequence as u8; bytes]);
    Record::TaskEnded(outcome)
}

fn accepted(sequences: impl Iterator<Item = u64>) -> CommitBatch {
    CommitBatch {
        records: sequences.map(|sequence| Record::TaskAccepted(task(sequence), owner(sequence))).collect(),
        blobs: vec![code()],
    }
}

fn only(records: Vec<Record>) -> CommitBatch {
    CommitBatch { records, blobs: Vec::new() }
}

/// The bytes of a store's file at three times: while it is used, some commits later, and after it was closed; and its
/// payload files.
struct States {
    payloads: Vec<(PathBuf, Vec<u8>)>,
    older: Vec<u8>,
    in_use: Vec<u8>,
    closed: Vec<u8>,
}

/// A store with 300 accepted tasks: some have ended, some were forgotten, some have large payloads.
fn fill(path: &Path) -> States {
    let mut store = DiskStore::open(path, false).expect("made");
    let bytes = || std::fs::read(path).expect("read");
    store.commit(&accepted(1..=TASKS / 2)).expect("committed");
    store.commit(&only((1..=10).map(|number| ended(number, 50)).collect())).expect("committed");
    store
        .commit(&only((1..=5).map(|number| Record::TaskForgotten(id(number))).collect()))
        .expect("committed");
    let older = bytes();
    for first in (TASKS / 2 + 1..=TASKS).step_by(50) {
        store.commit(&accepted(first..first + 50)).expect("committed");
    }
    store
        .commit(&only(vec![ended(20, LARGE), ended(21, 10), ended(22, 3000), ended(50, 10)]))
        .expect("committed");
    let started = AttemptId { task: id(30), attempt: Attempt(1) };
    store.commit(&only(vec![Record::AttemptStarted(started)])).expect("committed");
    let in_use = bytes();
    drop(store);
    let files = std::fs::read_dir(segments::payload_folder(path)).expect("listed").flatten();
    let payloads = files.map(|file| (file.path(), std::fs::read(file.path()).expect("read"))).collect();
    States { payloads, older, in_use, closed: bytes() }
}

/// Every second task belongs to a person.
fn owner(sequence: u64) -> OwnerName {
    OwnerName::read(["ann", "admin"][sequence as usize % 2]).expect("a name")
}

/// Facts in the records of a store about each task.
fn facts(records: &[Record]) -> BTreeMap<TaskId, Vec<String>> {
    let mut facts: BTreeMap<TaskId, Vec<String>> = BTreeMap::new();
    for record in records {
        let (id, fact) = match record {
            Record::TaskAccepted(task, owner) => {
                (task.head.id, format!("{:?} {} {owner}", task.head, task.payload.len()))
            }
            Record::AttemptStarted(attempt) => (attempt.task, format!("{:?}", attempt.attempt)),
            Record::TaskEnded(outcome) => {
                (outcome.head.id, format!("{:?} {}", outcome.head, outcome.payload.len()))
            }
            Record::TaskForgotten(id) => (*id, "forgotten".to_owned()),
        };
        facts.entry(id).or_default().push(fact);
    }
    facts
}

fn load(path: &Path) -> Result<BTreeMap<TaskId, Vec<String>>, StoreError> {
    Ok(facts(&DiskStore::open(path, false)?.load()?.records))
}

fn remove_copies(folder: &Folder) {
    for entry in std::fs::read_dir(&folder.0).expect("listed").flatten() {
        if entry.file_name().to_string_lossy().contains(".damaged-") {
            std::fs::remove_file(entry.path()).expect("removed");
        }
    }
}

#[test]
fn a_payload_file_that_is_damaged_names_its_tasks() {
    let folder = Folder::new();
    let path = folder.store();
    fill(&path);
    let whole = load(&path).expect("sound");
    let payloads = segments::payload_folder(&path);
    let file = std::fs::read_dir(&payloads).expect("listed").flatten().next().expect("a file").path();
    let sound = std::fs::read(&file).expect("read");
    let sound_store = std::fs::read(&path).expect("read");
    // Tasks 100, 150, … have large arguments, one behind the other.
    let mut flipped = sound.clone();
    let at = sound.iter().position(|byte| *byte == 150).expect("task 150") + 700;
    flipped[at] ^= 1;
    for (bytes, lost) in [(Some(flipped), 1), (Some(sound[..sound.len() - 1].to_vec()), 1), (None, 6)] {
        match &bytes {
            Some(bytes) => std::fs::write(&file, bytes).expect("written"),
            None => std::fs::remove_file(&file).expect("removed"),
        }
        let error = DiskStore::open(&path, false).expect_err("damaged").to_string();
        assert!(error.contains(&format!("{lost} of 295 tasks are lost")), "{error}");
        if lost == 1 && bytes.as_ref().is_some_and(|bytes| bytes.len() == sound.len()) {
            assert!(error.contains(&id(150).to_string()), "{error}");
        }
        let mut store = DiskStore::open(&path, true).expect("accepted");
        let records = store.load().expect("loaded").records;
        assert_eq!(facts(&records).len(), whole.len(), "the tasks end in words");
        let told: Vec<String> = records
            .iter()
            .filter_map(|record| match record {
                Record::TaskEnded(outcome) if outcome.head.status == Status::Lost => {
                    Some(Report::from_json(&outcome.report).message)
                }
                Record::TaskAccepted(..)
                | Record::AttemptStarted(_)
                | Record::TaskEnded(_)
                | Record::TaskForgotten(_) => None,
            })
            .collect();
        assert_eq!(told.len(), lost, "{told:?}");
        assert!(told.iter().all(|words| words.contains("its operator accepted the loss")), "{told:?}");
        drop(store);
        std::fs::write(&path, &sound_store).expect("written");
        std::fs::write(&file, &sound).expect("written");
        remove_copies(&folder);
    }
}

#[test]
fn large_payloads_are_read_back_until_their_task_needs_them_no_longer() {
    let folder = Folder::new();
    let path = folder.store();
    let mut store = DiskStore::open(&path, false).expect("made");
    store.commit(&accepted(49..=50)).expect("committed");
    let reader = store.payloads().expect("a reader");
    let arguments = PayloadName::Arguments(id(50));
    assert_eq!(reader.read(arguments).expect("read").to_contiguous(), vec![50; LARGE]);
    assert_eq!(reader.read(PayloadName::Arguments(id(49))).expect("read").to_contiguous(), vec![49; 3000]);
    assert_eq!(reader.read(PayloadName::Arguments(id(99))), Err(Unreadable::Gone), "it was never there");
    drop((store, reader));
    let mut store = DiskStore::open(&path, false).expect("opened");
    let reader = store.payloads().expect("a reader");
    assert_eq!(reader.read(arguments).expect("read").len() as usize, LARGE);
    let records = store.load().expect("loaded").records;
    let in_memory: u64 = records
        .iter()
        .map(|record| if let Record::TaskAccepted(task, _) = record { task.payload.resident() } else { 0 })
        .sum();
    assert_eq!(in_memory, 0, "after a restart only heads are in memory");
    store.commit(&only(vec![ended(50, 70_000)])).expect("committed");
    assert_eq!(reader.read(arguments), Err(Unreadable::Gone), "it does not start again");
    let result = PayloadName::Result(id(50));
    assert_eq!(reader.read(result).expect("read").to_contiguous(), vec![50; 70_000]);
    let file =
        std::fs::read_dir(segments::payload_folder(&path)).expect("listed").flatten().next().expect("a file");
    std::fs::write(file.path(), vec![1; 200_000]).expect("written");
    assert!(matches!(reader.read(result), Err(Unreadable::Damaged(_))));
    store
        .commit(&only(vec![Record::TaskForgotten(id(50)), Record::TaskForgotten(id(49))]))
        .expect("committed");
    assert_eq!(reader.read(result), Err(Unreadable::Gone));
    assert_eq!(std::fs::read_dir(segments::payload_folder(&path)).expect("listed").count(), 0);
}

#[test]
fn a_blob_that_is_forgotten_and_named_in_one_batch_stays() {
    let folder = Folder::new();
    let path = folder.store();
    let mut store = DiskStore::open(&path, false).expect("made");
    store.commit(&accepted(1..=1)).expect("committed");
    let mut batch = accepted(2..=2);
    batch.records.insert(0, Record::TaskForgotten(id(1)));
    store.commit(&batch).expect("committed");
    drop(store);
    let loaded = DiskStore::open(&path, false).expect("sound").load().expect("loaded");
    assert_eq!(loaded.blobs, vec![code()]);
}

#[test]
fn records_about_tasks_that_are_not_stored_leave_nothing() {
    let folder = Folder::new();
    let path = folder.store();
    let mut store = DiskStore::open(&path, false).expect("made");
    let started = AttemptId { task: id(7), attempt: Attempt(1) };
    let records = vec![Record::AttemptStarted(started), ended(8, LARGE), Record::TaskForgotten(id(9))];
    store.commit(&only(records)).expect("committed");
    drop(store);
    assert!(load(&path).expect("sound").is_empty());
}
