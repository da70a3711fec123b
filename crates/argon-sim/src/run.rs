//! One run from its plan to its summary or its failure.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::plan::RunPlan;
use crate::trace::{Mode, Trace};
use crate::world::World;

thread_local! {
    /// Place and message of the panic in the run of this thread; `None` while no run is under way.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Figures of a run without a broken promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Of everything that happened, in order.
    pub trace_hash: u64,
    /// Things that happened.
    pub events: u64,
    /// Attempts that began in a runner.
    pub starts: u64,
    /// Virtual time that passed, microseconds.
    pub lasted_us: u64,
    /// When the last outcome received, microseconds.
    pub delivered_us: u64,
    /// When each task began for the first time, by its number, microseconds.
    pub began_us: Vec<Option<u64>>,
}

/// A run that broke a promise.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Promise that was broken.
    pub complaint: String,
    /// The last things that happened, if they were kept.
    pub tail: Vec<String>,
}

/// Runs a plan to its end.
///
/// # Errors
/// If something happened that must not.
pub fn run(plan: &RunPlan, mode: Mode) -> Result<Summary, Box<Failure>> {
    catch_quietly();
    PANIC.with(|panic| *panic.borrow_mut() = Some(String::new()));
    let mut world = World::new(plan.clone(), Trace::new(mode));
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    let panicked = PANIC.with(|panic| panic.borrow_mut().take()).unwrap_or_default();
    let complaint = match result {
        Ok(Ok(())) => {
            return Ok(Summary {
                trace_hash: world.trace.hash(),
                events: world.events,
                starts: world.oracle.fates.iter().map(|fate| u64::from(fate.starts)).sum(),
                lasted_us: world.now,
                delivered_us: world.delivered_at,
                began_us: world.oracle.fates.iter().map(|fate| fate.began_at).collect(),
            });
        }
        Ok(Err(complaint)) => complaint,
        Err(_) => panicked,
    };
    Err(Box::new(Failure { complaint, tail: world.trace.into_tail() }))
}

/// Runs the mixed plan of a seed.
///
/// # Errors
/// As [`run`].
pub fn run_seed(seed: u64) -> Result<Summary, Box<Failure>> {
    run(&RunPlan::of_seed(seed), Mode::Silent)
}

/// An assertion of the core that fails in a run is that run's complaint, not noise on the terminal.
fn catch_quietly() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_ours = PANIC.with(|panic| {
                panic.borrow_mut().as_mut().is_some_and(|text| {
                    *text = info.to_string();
                    true
                })
            });
            if !is_ours {
                before(info);
            }
        }));
    });
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.complaint)
    }
}
