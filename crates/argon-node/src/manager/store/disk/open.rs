//! Opening a store: examine it without changing it, then use it, refuse it, or go on without what is lost.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::Database;

use super::backend::Backend;
use super::content::Content;
use super::label::{Label, StoreIdentity, VERSION};
use super::pages::salvage;
use super::segments::{SegmentNames, payload_folder, sync_folder};
use super::tables::{IDENTITY, META_NAME, TALLY, put_content, read_content, read_meta};
use super::tally::RecordTally;
use super::value::{Table, unseal};
use crate::manager::store::StoreError;
use crate::manager::store::damage::{Damage, without_panic};

/// Memory that the database may use for its pages.
const CACHE_BYTES: usize = 32 << 20;
/// Lost tasks that a message names.
const NAMED: usize = 10;

/// An open store.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<File>,
    pub(super) database: Database,
    pub(super) identity: StoreIdentity,
    pub(super) tally: RecordTally,
    pub(super) content: Content,
    /// Sentence about what was lost, if the operator has accepted the loss.
    pub(super) loss: Option<String>,
}

/// Opens a store, or makes it.
///
/// # Errors
/// Why not, and what to do.
pub(super) fn open(path: &Path, accept_loss: bool) -> Result<Opened, StoreError> {
    let failed =
        |why: String| StoreError::Broken(format!("the store {} cannot be opened: {why}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(elsewhere(&error)))?;
    }
    let file = locked(path).map_err(&failed)?;
    let label = Label::read(&file).map_err(|error| failed(elsewhere(&error)))?;
    let (identity, noted) = match label {
        Label::New => {
            let identity = new_identity().map_err(&failed)?;
            return create(path, identity, Content::default()).map_err(failed);
        }
        Label::Sound { identity, tally } => (Some(identity), tally),
        Label::Damaged => (None, None),
        Label::Former => return Err(failed(FORMER.to_owned())),
        Label::OtherVersion(version) => return Err(failed(other_version(version))),
        Label::Foreign => return Err(failed(FOREIGN.to_owned())),
    };
    let examined = without_panic(|| examine(path, &file, identity, noted.as_ref()));
    let reason = match examined {
        Ok(opened) => return Ok(opened),
        Err(Damage::Store(redb::Error::Io(error))) if error.raw_os_error().is_some() => {
            return Err(failed(elsewhere(&error)));
        }
        Err(damage) => damage.to_string(),
    };
    let rest = Rest::of(path, &file, identity, noted, reason);
    if !accept_loss {
        return Err(StoreError::Broken(rest.refusal(path)));
    }
    rest.accept(path).map_err(failed)
}

/// Opens the database and compares everything; writes nothing unless all is sound.
fn examine(
    path: &Path,
    file: &Arc<File>,
    identity: Option<StoreIdentity>,
    noted: Option<&RecordTally>,
) -> Result<Opened, Damage> {
    let damaged = |what: &str| Damage::Content(what.to_owned());
    let (Some(identity), Some(noted)) = (identity, noted) else {
        return Err(damaged("its first page is damaged"));
    };
    let backend = Backend::holding(Arc::clone(file)).map_err(|error| Damage::Store(error.into()))?;
    let mut database =
        Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend.clone())?;
    if !database.check_integrity()? {
        return Err(damaged("its pages do not fit together"));
    }
    if read_meta(&database, IDENTITY)?.as_deref() != Some(&identity[..]) {
        return Err(damaged("its first page is that of another store"));
    }
    let tally = read_meta(&database, TALLY)?.and_then(|bytes| RecordTally::decode(&bytes));
    let tally = tally.ok_or_else(|| damaged("its count of records is damaged"))?;
    if tally.sequence < noted.sequence {
        let missing = noted.sequence - tally.sequence;
        return Err(Damage::Content(format!("the last {missing} commits are missing")));
    }
    let mut content = read_content(&database)?;
    if content.broken > 0 || !content.found.agrees(&tally) {
        return Err(damaged("records are damaged or missing"));
    }
    content.settle(&SegmentNames::new(path, &identity));
    if !content.lost.is_empty() || !content.damaged_segments.is_empty() {
        return Err(Damage::Content(format!("payloads in {} are damaged", payload_folder(path).display())));
    }
    backend.release().map_err(|error| Damage::Store(error.into()))?;
    Ok(Opened { file: Arc::clone(file), database, identity, tally, content, loss: None })
}

/// Readable rest of a damaged store.
struct Rest {
    identity: Option<StoreIdentity>,
    reason: String,
    content: Content,
    tasks: Missing,
    starts: Missing,
    outcomes: Missing,
}

/// Records that were there, and those that are left.
#[derive(Clone, Copy)]
struct Missing {
    expected: Option<u64>,
    left: u64,
}

impl Missing {
    fn lost(self) -> u64 {
        self.expected.map_or(0, |expected| expected.saturating_sub(self.left))
    }
}

impl Rest {
    fn of(
        path: &Path,
        file: &File,
        identity: Option<StoreIdentity>,
        noted: Option<RecordTally>,
        reason: String,
    ) -> Self {
        let mut content = Content { keeps_bytes: true, ..Content::default() };
        let (mut identity, mut noted) = (identity, noted);
        let tables: Vec<&str> = Table::ALL.iter().map(|table| table.name()).chain([META_NAME]).collect();
        let is_intact = |at: usize, key: &[u8], value: &[u8]| {
            Table::ALL.get(at).is_some_and(|table| unseal(*table, key, value).is_some())
        };
        salvage(file, &tables, is_intact, |at, key, value| match Table::ALL.get(at) {
            Some(table) => content.take(*table, key, value),
            None if key == IDENTITY.as_bytes() => identity = identity.or(value.try_into().ok()),
            None if key == TALLY.as_bytes() => {
                let newer =
                    |tally: &RecordTally| noted.as_ref().is_none_or(|noted| noted.sequence < tally.sequence);
                noted = RecordTally::decode(value).filter(newer).or(noted.take());
            }
            None => {}
        });
        let counts = |content: &Content, table: Table| Missing {
            expected: noted.as_ref().map(|noted| noted.count(table)),
            left: match table {
                Table::Tasks => content.tasks.len() as u64,
                Table::Starts => content.starts.len() as u64,
                Table::Outcomes => content.outcomes.len() as u64,
                Table::Blobs => content.blobs.len() as u64,
            },
        };
        if let Some(identity) = identity {
            content.settle(&SegmentNames::new(path, &identity));
        }
        let starts = counts(&content, Table::Starts);
        let outcomes = counts(&content, Table::Outcomes);
        let tasks = counts(&content, Table::Tasks);
        Self { identity, reason, content, tasks, starts, outcomes }
    }

    /// Number of tasks that are lost: those whose record is gone, and those of which a part is.
    fn tasks_lost(&self) -> u64 {
        let partly = self.content.lost.iter().filter(|(id, _)| self.content.tasks.contains_key(id)).count();
        self.tasks.lost() + partly as u64
    }

    fn described(&self) -> String {
        let lost = self.tasks_lost();
        let mut words = match self.tasks.expected {
            Some(expected) => format!("{lost} of {expected} tasks are lost"),
            None => format!(
                "how many tasks are lost is not known, since the damage includes their number; {} are left",
                self.content.tasks.len()
            ),
        };
        if self.outcomes.lost() > 0 {
            words += &format!(
                "; {} outcomes are lost, and their tasks run again unless they must never run twice",
                self.outcomes.lost()
            );
        }
        if self.starts.lost() > 0 {
            words += &format!(
                "; {} starts are lost, so tasks that must never run twice end as lost",
                self.starts.lost()
            );
        }
        let named = self.content.lost.iter().take(NAMED).map(|(id, why)| format!("{id} ({why})"));
        let named: Vec<String> = named.collect();
        if !named.is_empty() {
            let more = self.content.lost.len() - named.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            words += &format!("; among them: {}{more}", named.join(", "));
        }
        words
    }

    fn refusal(&self, path: &Path) -> String {
        format!(
            "the store {path} is damaged: {reason}. {lost}. Nothing was changed. Restore it from a copy; or start \
             once with --accept-loss to go on with what is left (the damaged file is copied first); or move the file aside, \
             and the folder {folder} if there is one, to start with an empty store",
            path = path.display(),
            reason = self.reason,
            lost = capitalized(&self.described()),
            folder = payload_folder(path).display(),
        )
    }

    /// Copies the damaged file, and writes a new one with what is left.
    fn accept(mut self, path: &Path) -> Result<Opened, String> {
        let copy = free_name(path);
        std::fs::copy(path, &copy).map_err(|error| {
            format!(
                "it is damaged, and cannot be copied to {} before it is replaced: {error}",
                copy.display()
            )
        })?;
        let identity = match self.identity {
            Some(identity) => identity,
            None => new_identity()?,
        };
        let names = SegmentNames::new(path, &identity);
        for segment in &self.content.damaged_segments {
            names.copy_aside(*segment).map_err(|error| {
                format!(
                    "a damaged payload file in {} cannot be copied: {error}",
                    payload_folder(path).display()
                )
            })?;
        }
        let described = self.described();
        let ids: Vec<String> = self.content.lost.iter().map(|(id, why)| format!("{id} ({why})")).collect();
        self.content.go_on_without_lost(self.starts.lost() > 0);
        let left = self.content.tasks.len() - self.content.outcomes.len();
        let mut opened = create(path, identity, self.content)?;
        let mut loss = format!(
            "the store {} was damaged ({}) and the loss is accepted: {described}; {left} tasks that had not ended go on; \
             the damaged file is {}",
            path.display(),
            self.reason,
            copy.display()
        );
        if ids.len() > NAMED {
            loss += &format!("; all that are known by their id: {}", ids.join(", "));
        }
        opened.loss = Some(loss);
        Ok(opened)
    }
}

/// Makes a store with this content beside `path`, and puts it in its place.
fn create(path: &Path, identity: StoreIdentity, content: Content) -> Result<Opened, String> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let build = || -> Result<(Arc<File>, Database, RecordTally), Damage> {
        let io = |error: std::io::Error| Damage::Store(error.into());
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            Ok(()) | Err(_) => {}
        }
        let file = locked(&fresh).map_err(Damage::Content)?;
        let backend = Backend::direct(Arc::clone(&file));
        let database = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend)?;
        let tally = put_content(&database, &identity, &content)?;
        Label::write(&file, identity, &tally).map_err(io)?;
        file.sync_all().map_err(io)?;
        std::fs::rename(&fresh, path).map_err(io)?;
        sync_folder(path.parent().unwrap_or(Path::new("."))).map_err(io)?;
        Ok((file, database, tally))
    };
    let (file, database, tally) = build().map_err(|error| match error {
        Damage::Store(redb::Error::Io(error)) => elsewhere(&error),
        other @ (Damage::Store(_) | Damage::Content(_)) => other.to_string(),
    })?;
    Ok(Opened { file, database, identity, tally, content, loss: None })
}

/// Opens a file for one manager only. Tasks and outcomes are their owner's business, so nobody else may read it.
fn locked(path: &Path) -> Result<Arc<File>, String> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| elsewhere(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(Arc::new(file)),
        Err(TryLockError::WouldBlock) => {
            Err("another manager uses it; stop that one, or name another file with --store".to_owned())
        }
        // A file system without locks: the operator sees to it that one manager uses the file.
        Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
            Ok(Arc::new(file))
        }
        Err(TryLockError::Error(error)) => Err(elsewhere(&error)),
    }
}

fn new_identity() -> Result<StoreIdentity, String> {
    let mut identity = StoreIdentity::default();
    getrandom::fill(&mut identity).map_err(|error| format!("no random number can be had: {error}"))?;
    Ok(identity)
}

/// A name for a copy that no file has.
fn free_name(path: &Path) -> PathBuf {
    let named = |number: u32| {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".damaged-{number}"));
        path.with_file_name(name)
    };
    (1..u32::MAX).map(named).find(|path| !path.exists()).unwrap_or_else(|| named(0))
}

const FORMER: &str = "an earlier release of Argon wrote it, in a format that this release does not read; start that \
                      release once more to finish its tasks and collect their outcomes, then move the file aside; or \
                      name another file with --store";
const FOREIGN: &str = "it is not a store of Argon; move the file aside, or name another file with --store";

fn other_version(version: u32) -> String {
    format!(
        "its format has version {version}, and this release reads version {VERSION}; use the release that wrote it; or \
         move the file aside; or name another file with --store"
    )
}

/// The system's error about the file or its folder, with advice.
fn elsewhere(error: &std::io::Error) -> String {
    format!(
        "{error}; name another file with --store, or say --store memory to keep detached tasks on no disk"
    )
}

fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
