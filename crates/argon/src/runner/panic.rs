//! Panics of tasks: message, place and backtrace for the caller, or for standard error where no outcome will come.
//!
//! The hook notes each panic. A note belongs to one unwinding: a panic that a task throws on, that it catches, or that a hook of its
//! own hid from us must never be reported with the place of another. So the note is taken by what identifies it: the text that
//! was thrown, by its address; any other value by its type, and only if nothing on the stack could have caught it.

use std::any::{Any, TypeId};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, Location, PanicHookInfo, catch_unwind};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;

use serde_json::json;

use crate::read::PANIC;

/// Most bytes of a backtrace that travel.
const BACKTRACE_BYTES: usize = 32 << 10;
/// Panics of one task that are remembered; earlier ones were caught long ago.
const NOTES: usize = 16;

type PrintHook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// The hook that was there before.
static PRINT: OnceLock<PrintHook> = OnceLock::new();
/// Panics of the present task, in any thread, the latest last.
static NOTES_TAKEN: Mutex<VecDeque<Note>> = Mutex::new(VecDeque::new());

struct Note {
    identity: Identity,
    thread: ThreadId,
    message: String,
    place: Option<String>,
    /// Its functions get their names when it is reported: most panics of tasks that catch them never are.
    backtrace: Backtrace,
    /// The thread runs tasks.
    is_task: bool,
    is_printed: bool,
}

/// Identity of a panic that both the hook and the catcher see.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// Address and length of the text.
    Text(usize, usize),
    Value(TypeId),
}

thread_local! {
    static IS_TASK: Cell<bool> = const { Cell::new(false) };
}

/// From now on panics of this thread are noted and not printed; other threads' are noted and printed as ever.
pub(super) fn install() {
    IS_TASK.set(true);
    let before = std::panic::take_hook();
    let _ = PRINT.set(before);
    std::panic::set_hook(Box::new(on_panic));
}

/// Runs a task; a panic of it becomes the payload of its outcome.
pub(super) fn catching<R>(run: impl FnOnce() -> R) -> Result<R, serde_json::Value> {
    drop(notes_of_task());
    // A task that panics leaves broken only what its program shares between tasks; that is the program's own affair.
    let ended = catch_unwind(AssertUnwindSafe(run)).map_err(|thrown| {
        let note = take_note(&*thrown);
        let facts = json!({
            "message": message(&*thrown),
            "place": note.as_ref().and_then(|note| note.place.clone()),
            "backtrace": note.map(|note| own_frames(&note.backtrace.to_string())),
        });
        // What was thrown may panic once more when it is dropped.
        catch_unwind(AssertUnwindSafe(|| drop(thrown))).unwrap_or_else(std::mem::forget);
        facts
    });
    // What the task caught is printed as it would be in its caller's process.
    notes_of_task().iter().filter(|note| !note.is_printed).for_each(print);
    ended
}

/// The facts of a panic with a message that was made of theirs.
pub(super) fn with_message(
    mut facts: serde_json::Value,
    change: impl FnOnce(String) -> String,
) -> serde_json::Value {
    if let Some(serde_json::Value::String(message)) = facts.get_mut("message") {
        *message = change(std::mem::take(message));
    }
    facts
}

/// The payload of a panic in the runtime's own codec.
pub(super) fn payload(facts: &serde_json::Value) -> Vec<u8> {
    let mut bytes = vec![PANIC];
    bytes.extend(facts.to_string().into_bytes());
    bytes
}

fn notes() -> MutexGuard<'static, VecDeque<Note>> {
    NOTES_TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the notes of this task: those of its thread, and of threads that run no tasks.
fn notes_of_task() -> VecDeque<Note> {
    let mut notes = notes();
    let this = std::thread::current().id();
    let (others, own) =
        std::mem::take(&mut *notes).into_iter().partition(|note| note.is_task && note.thread != this);
    *notes = others;
    own
}

fn on_panic(info: &PanicHookInfo<'_>) {
    let is_task = IS_TASK.get();
    if !is_task && let Some(before) = PRINT.get() {
        before(info);
    }
    let mut note = Note {
        identity: identity(info.payload()),
        thread: std::thread::current().id(),
        message: message(info.payload()),
        place: info.location().map(Location::to_string),
        backtrace: Backtrace::force_capture(),
        is_task,
        is_printed: !is_task,
    };
    let mut notes = notes();
    // Nothing comes after an abort. A second panic may be one that meets the first one's unwinding, and that aborts too.
    if is_task && (cfg!(panic = "abort") || notes.iter().any(|other| other.thread == note.thread)) {
        for note in notes.iter_mut().chain([&mut note]).filter(|note| !note.is_printed) {
            print(note);
            note.is_printed = true;
        }
    }
    if notes.len() == NOTES {
        notes.pop_front();
    }
    notes.push_back(note);
}

/// As the standard library's hook does.
fn print(note: &Note) {
    use std::io::Write;

    let place = note.place.as_deref().unwrap_or("an unknown place");
    let backtrace = own_frames(&note.backtrace.to_string());
    let text = format!("the task panicked at {place}:\n{}\n{backtrace}\n", note.message);
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The note of what was thrown, or nothing: it was thrown without a panic, or noted by another hook.
fn take_note(thrown: &(dyn Any + Send)) -> Option<Note> {
    let identity = identity(thrown);
    let message = message(thrown);
    let mut notes = notes();
    let index = notes.iter().rposition(|note| {
        note.identity == identity
            && note.message == message
            && match identity {
                Identity::Text(..) => true,
                Identity::Value(_) => {
                    note.thread == std::thread::current().id() && cannot_be_caught(&note.backtrace)
                }
            }
    })?;
    notes.remove(index)
}

fn identity(thrown: &(dyn Any + Send)) -> Identity {
    match text(thrown) {
        Some(text) => Identity::Text(text.as_ptr() as usize, text.len()),
        None => Identity::Value(thrown.type_id()),
    }
}

fn message(thrown: &(dyn Any + Send)) -> String {
    text(thrown).unwrap_or("a value that is not text").to_owned()
}

fn text(thrown: &(dyn Any + Send)) -> Option<&str> {
    thrown.downcast_ref::<&str>().copied().or_else(|| thrown.downcast_ref::<String>().map(String::as_str))
}

/// True if the stack of a panic shows one place only that catches panics: the runner's.
fn cannot_be_caught(backtrace: &Backtrace) -> bool {
    let whole = backtrace.to_string();
    let task =
        whole.lines().filter(|line| is_frame(line)).take_while(|line| !line.contains("argon::runner::serve"));
    let mut catches = task.filter(|line| line.contains("catch_unwind") || line.contains("__rust_try"));
    whole.contains("argon::runner::serve") && catches.next().is_none()
}

/// The frames between the panic and the runner: what is before is the machinery of panics, what is behind ours.
fn own_frames(whole: &str) -> String {
    let lines: Vec<&str> = whole.lines().collect();
    let frames: Vec<usize> = (0..lines.len()).filter(|at| is_frame(lines[*at])).collect();
    let has = |at: usize, names: &[&str]| names.iter().any(|name| lines[at].contains(name));
    let machinery =
        ["begin_unwind", "core::panicking::", "std::panicking::begin_panic", "std::panic::panic_any"];
    let first = frames.iter().rposition(|at| has(*at, &machinery)).map_or(0, |index| index + 1);
    let own = frames.get(first..).unwrap_or_default();
    let end = own.iter().find(|at| has(**at, &["argon::runner::serve"])).copied().unwrap_or(lines.len());
    let begin = own.first().copied().unwrap_or(end).min(end);
    let mut text = lines[begin..end].join("\n");
    if text.len() > BACKTRACE_BYTES {
        let cut = (0..=BACKTRACE_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
    }
    text
}

/// A line that begins a frame: its number and its function.
fn is_frame(line: &str) -> bool {
    line.trim_start().split_once(": ").is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}
