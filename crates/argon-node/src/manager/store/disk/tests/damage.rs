//! Damage of a store's file: every kind is refused in words and changes nothing, or nothing is lost by it.

use std::collections::BTreeMap;

use argon_proto::TaskId;

use super::super::value::checksum;
use super::{DiskStore, Folder, States, TASKS, accepted, facts, fill, load, remove_copies};
use crate::manager::store::Store;

const PAGE: usize = 4096;
/// Of each kind of damage, in each state of the file.
const DAMAGES: usize = 20;

/// Numbers from a seed that a failure prints.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound as u64).expect("below the bound")
    }
}

/// Number in front of ` of N tasks are lost`.
fn lost_in(words: &str) -> usize {
    let before = words.split(" tasks are lost").next().expect("a count").to_owned();
    let count = before.rsplit(' ').nth(2).expect("a count");
    count.trim_start_matches('(').parse().unwrap_or_else(|_| panic!("no count in: {words}"))
}

/// Opens a store with these bytes. It must be refused and stay as it is, or lose nothing; what the operator accepts is
/// told exactly. Returns true if it was refused.
fn judge(
    folder: &Folder,
    states: &States,
    bytes: &[u8],
    whole: &BTreeMap<TaskId, Vec<String>>,
    what: &str,
) -> bool {
    let path = folder.store();
    for (file, bytes) in &states.payloads {
        std::fs::write(file, bytes).expect("written");
    }
    std::fs::write(&path, bytes).expect("written");
    let words = match load(&path) {
        Ok(found) => {
            assert!(
                found == *whole,
                "{what}: started, and {} of {} tasks are as they were",
                found.len(),
                whole.len()
            );
            return false;
        }
        Err(error) => error.to_string(),
    };
    assert!(std::fs::read(&path).expect("read") == bytes, "{what}: a refused start changed the file");
    assert!(words.contains("is damaged") && words.contains("--accept-loss"), "{what}: {words}");
    let lost = lost_in(&words);
    let mut store = DiskStore::open(&path, true).unwrap_or_else(|error| panic!("{what}: {error}"));
    let told = store.loss().expect("a loss was accepted").to_owned();
    assert_eq!(lost_in(&told), lost, "{what}: {told}");
    let left = facts(&store.load().expect("loaded").records);
    let is_lost = |facts: &Vec<String>| facts.iter().any(|fact| fact.contains("status: Lost"));
    let partly = left.values().filter(|facts| is_lost(facts)).count();
    assert_eq!(left.len() - partly + lost, whole.len(), "{what}: {told}");
    for (id, facts) in left.iter().filter(|(_, facts)| !is_lost(facts)) {
        let before = whole.get(id).unwrap_or_else(|| panic!("{what}: {id} was not there"));
        // An outcome may be lost, and is counted.
        assert!(facts.iter().all(|fact| before.contains(fact)), "{what}: {id} {facts:?} {before:?}");
        assert!(
            facts == before || told.contains("outcomes are lost") || told.contains("starts are lost"),
            "{what}: {told}"
        );
    }
    let copy = folder.path().join("store.redb.damaged-1");
    assert!(std::fs::read(copy).expect("copied") == bytes, "{what}: the copy differs");
    drop(store);
    assert!(load(&path).expect("sound again") == left, "{what}: it differs when it is opened again");
    remove_copies(folder);
    true
}

#[test]
fn a_damaged_page_is_refused_in_words_or_nothing_is_lost() {
    let folder = Folder::new();
    let seed = u64::from(std::process::id());
    let mut chance = Chance(seed);
    let states = fill(&folder.store());
    let whole = load(&folder.store()).expect("sound");
    assert_eq!(whole.len() as u64, TASKS - 5);
    let (mut tried, mut refused) = (0, 0);
    for (state, bytes) in [("in use", &states.in_use), ("closed", &states.closed)] {
        assert!(!judge(&folder, &states, bytes, &whole, "no damage"));
        let pages = bytes.len() / PAGE;
        // The pages that are used lie at the beginning.
        let used = bytes
            .chunks(PAGE)
            .rposition(|page| page.iter().any(|byte| *byte != 0))
            .map_or(pages, |last| last + 1);
        for (kind, number) in ["zeros", "garbage", "older", "swapped"]
            .iter()
            .flat_map(|kind| (0..DAMAGES).map(move |n| (*kind, n)))
        {
            let at = if number < 4 { number } else { chance.below(used) } * PAGE;
            let mut damaged = bytes.clone();
            match kind {
                "zeros" => damaged[at..at + PAGE].fill(0),
                "garbage" => damaged[at..at + PAGE].fill_with(|| chance.below(256) as u8),
                "older" => match states.older.get(at..at + PAGE) {
                    Some(older) => damaged[at..at + PAGE].copy_from_slice(older),
                    None => continue,
                },
                _ => {
                    let other = chance.below(used) * PAGE;
                    let (low, high) = (at.min(other), at.max(other));
                    if low < high {
                        let (before, after) = damaged.split_at_mut(high);
                        before[low..low + PAGE].swap_with_slice(&mut after[..PAGE]);
                    }
                }
            }
            let what = format!("seed {seed}, {state}, {kind} at page {}", at / PAGE);
            tried += usize::from(damaged != *bytes);
            if damaged != *bytes && judge_or_foreign(&folder, &states, &damaged, &whole, &what) {
                refused += 1;
            }
        }
    }
    assert!(
        tried >= 100 && refused >= 50,
        "{refused} of {tried} damages were refused: the others are of unused pages"
    );
}

/// As [`judge`]; a file whose first two pages are both damaged is not known as a store, and is refused for ever.
fn judge_or_foreign(
    folder: &Folder,
    states: &States,
    bytes: &[u8],
    whole: &BTreeMap<TaskId, Vec<String>>,
    what: &str,
) -> bool {
    let swapped_first = !bytes.starts_with(b"argon store") && !bytes[PAGE..].starts_with(b"redb");
    if !swapped_first {
        return judge(folder, states, bytes, whole, what);
    }
    std::fs::write(folder.store(), bytes).expect("written");
    let error = DiskStore::open(&folder.store(), true).expect_err(what).to_string();
    assert!(error.contains("is not a store of Argon"), "{what}: {error}");
    true
}

#[test]
fn a_file_that_is_cut_short_is_refused_in_words() {
    let folder = Folder::new();
    let states = fill(&folder.store());
    let whole = load(&folder.store()).expect("sound");
    for bytes in [&states.in_use, &states.closed] {
        for length in [4096, 5000, 8192, bytes.len() / 2, bytes.len() - 4096, bytes.len() - 1] {
            let cut = &bytes[..length];
            if length == 4096 {
                // Only the label is left, which tells how much there was.
                std::fs::write(folder.store(), cut).expect("written");
                let error = load(&folder.store()).expect_err("cut").to_string();
                assert!(error.contains("295 of 295 tasks are lost"), "{error}");
                continue;
            }
            judge(&folder, &states, cut, &whole, &format!("{length} of {} bytes", bytes.len()));
        }
        let longer = [&bytes[..], &vec![0x5a; 10_000]].concat();
        judge(&folder, &states, &longer, &whole, "a tail of garbage");
    }
}

#[test]
fn files_of_others_are_refused_and_stay() {
    let folder = Folder::new();
    let path = folder.store();
    let mut former = vec![0; 100_000];
    former[..9].copy_from_slice(b"redb\x1a\x0a\xa9\x0d\x0a");
    for (bytes, words) in [
        (vec![0x5a; 100_000], "is not a store of Argon"),
        (b"short".to_vec(), "is not a store of Argon"),
        (vec![0; 1_000_000], "is not a store of Argon"),
        (former, "an earlier release of Argon wrote it"),
    ] {
        std::fs::write(&path, &bytes).expect("written");
        for accept_loss in [false, true] {
            let error = DiskStore::open(&path, accept_loss).expect_err("not a store").to_string();
            assert!(error.contains(words) && error.contains("--store"), "{error}");
            assert!(std::fs::read(&path).expect("read") == bytes, "the file of another was changed");
        }
    }
}

#[test]
fn a_store_of_another_version_is_refused_by_its_version() {
    let folder = Folder::new();
    let path = folder.store();
    drop(DiskStore::open(&path, false).expect("made"));
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[16..20].copy_from_slice(&9_u32.to_le_bytes());
    let sum = checksum(&[&bytes[..36]]);
    bytes[36..44].copy_from_slice(&sum.to_le_bytes());
    std::fs::write(&path, &bytes).expect("written");
    let error = DiskStore::open(&path, true).expect_err("of another version").to_string();
    assert!(error.contains("version 9, and this release reads version 2"), "{error}");
}

#[test]
fn a_commit_that_was_told_and_is_missing_is_noticed() {
    let folder = Folder::new();
    let path = folder.store();
    let mut store = DiskStore::open(&path, false).expect("made");
    store.commit(&accepted(1..=100)).expect("committed");
    let before = std::fs::read(&path).expect("read");
    store.commit(&accepted(101..=200)).expect("committed");
    let after = std::fs::read(&path).expect("read");
    drop(store);
    // Everything but the first page goes back to the state before: a whole, sound database, of yesterday.
    let mut older = before.clone();
    older[..PAGE].copy_from_slice(&after[..PAGE]);
    std::fs::write(&path, &older).expect("written");
    let error = DiskStore::open(&path, false).expect_err("it is older").to_string();
    assert!(
        error.contains("the last 1 commits are missing") && error.contains("100 of 200 tasks are lost"),
        "{error}"
    );
    // A crash in the middle of a commit that nobody was told of is no loss.
    let mut torn = after.clone();
    torn[..PAGE].copy_from_slice(&before[..PAGE]);
    std::fs::write(&path, &torn).expect("written");
    assert_eq!(load(&path).expect("sound").len(), 200);
}
