//! Panics of tasks: message, place and backtrace, told to the caller instead of the runner's own standard error.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

use serde_json::json;

use crate::read::PANIC;

/// Most bytes of a backtrace that travel.
const BACKTRACE_BYTES: usize = 32 << 10;

struct Facts {
    place: Option<String>,
    backtrace: String,
}

thread_local! {
    static IS_TASK: RefCell<bool> = const { RefCell::new(false) };
    static LAST: RefCell<Option<Facts>> = const { RefCell::new(None) };
}

/// From now on panics of this thread are noted and not printed; other threads' are printed as ever.
pub(super) fn install() {
    IS_TASK.set(true);
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if IS_TASK.with_borrow(|is_task| *is_task) {
            note(info);
        } else {
            print(info);
        }
    }));
}

/// Runs a task; a panic of it becomes the payload of its outcome.
pub(super) fn catching<R>(run: impl FnOnce() -> R) -> Result<R, serde_json::Value> {
    // A task that panics leaves broken only what its program shares between tasks; that is the program's own affair.
    catch_unwind(AssertUnwindSafe(run)).map_err(|thrown| {
        let facts = LAST.take();
        json!({
            "message": message(&*thrown),
            "place": facts.as_ref().and_then(|facts| facts.place.clone()),
            "backtrace": facts.map(|facts| facts.backtrace),
        })
    })
}

/// The payload of a panic in the runtime's own codec.
pub(super) fn payload(facts: &serde_json::Value) -> Vec<u8> {
    let mut bytes = vec![PANIC];
    bytes.extend(facts.to_string().into_bytes());
    bytes
}

fn note(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string);
    let backtrace = own_frames(&Backtrace::force_capture().to_string());
    LAST.set(Some(Facts { place, backtrace }));
}

fn message(thrown: &(dyn Any + Send)) -> String {
    if let Some(text) = thrown.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    if let Some(text) = thrown.downcast_ref::<String>() {
        return text.clone();
    }
    "a value that is no text".to_owned()
}

/// The frames between the panic and the runner: what is before is the machinery of panics, what is behind ours.
fn own_frames(whole: &str) -> String {
    let lines: Vec<&str> = whole.lines().collect();
    let frames: Vec<usize> = (0..lines.len()).filter(|at| is_frame(lines[*at])).collect();
    let has = |at: usize, names: &[&str]| names.iter().any(|name| lines[at].contains(name));
    let machinery = ["begin_unwind", "core::panicking::", "std::panicking::begin_panic"];
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
