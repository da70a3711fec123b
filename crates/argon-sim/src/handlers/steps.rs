//! A step of the manager is bounded: by what its input names, and by the tasks that it may look at for work that it has put
//! off. It does not grow with the tasks, sessions and workers that there are.

use argon_core::scheduler::{Input, Limits};

use crate::manager::ManagerProcess;
use crate::world::World;

/// Touches and effects for each task, record or timer that a step looks at: it may leave a worker, end, be told to its
/// client and let another one start.
const PER_ITEM: u64 = 12;
/// Cost of a step that does nothing.
const PER_STEP: u64 = 24;

/// Limits of a step, computed before it runs.
pub(crate) struct StepSize {
    what: &'static str,
    touched: u64,
    effects: usize,
    bound: Option<u64>,
}

impl StepSize {
    pub(crate) fn before(process: &ManagerProcess, input: &Input, limits: &Limits) -> Self {
        let (what, items) = described(process, input);
        let at_once = limits.at_once as u64;
        Self {
            what,
            touched: process.scheduler.touched(),
            effects: process.out.effects.len(),
            bound: items.map(|items| PER_STEP + PER_ITEM * (at_once + items)),
        }
    }
}

impl World {
    /// Refuses a step that did more than its input allows.
    pub(crate) fn judge_step(&mut self, process: &ManagerProcess, size: StepSize) {
        let touched = process.scheduler.touched() - size.touched;
        let effects = (process.out.effects.len() - size.effects) as u64;
        if let Some(bound) = size.bound.filter(|bound| touched.max(effects) > *bound) {
            let Limits { at_once, .. } = self.plan.shape.limits;
            self.oracle.fail(format!(
                "a step for {} touched {touched} tasks and had {effects} effects, more than {bound}; at_once is {at_once}",
                size.what
            ));
        }
    }
}

/// The name of an input, and how many tasks, attempts or sessions it names. `None` where a step may be as long as what the
/// store was given in one commit.
fn described(process: &ManagerProcess, input: &Input) -> (&'static str, Option<u64>) {
    let many = |count: usize| Some(count as u64);
    match input {
        Input::SessionOpened { .. } => ("SessionOpened", many(1)),
        Input::ChildSessionOpened { .. } => ("ChildSessionOpened", many(1)),
        Input::OfferEnded { .. } => ("OfferEnded", many(1)),
        Input::TaskSubmitted { .. } => ("TaskSubmitted", many(1)),
        Input::OutcomesTaken { ids, .. } => ("OutcomesTaken", many(ids.len())),
        Input::OwnTasksCancelled { .. } => ("OwnTasksCancelled", many(1)),
        Input::CancelRequested { .. } => ("CancelRequested", many(1)),
        Input::AllTasksCancelled { .. } => ("AllTasksCancelled", many(1)),
        Input::TaskWithdrawn { .. } => ("TaskWithdrawn", many(1)),
        Input::CollectRequested { tickets, .. } => ("CollectRequested", many(tickets.len())),
        Input::ClientLost { .. } => ("ClientLost", many(1)),
        // What it was sent on its last connection, and does not list, waits again.
        Input::WorkerJoined { held, profile, .. } => {
            ("WorkerJoined", many(1 + held.len() + process.scheduler.held_by(profile.id)))
        }
        Input::AttemptsListed { .. } => ("AttemptsListed", many(1)),
        Input::WorkerLost { .. } => ("WorkerLost", many(1)),
        Input::WorkerDraining { .. } => ("WorkerDraining", many(1)),
        Input::DrainRequested { .. } => ("DrainRequested", many(1)),
        Input::AttemptsReturned { attempts, .. } => ("AttemptsReturned", many(attempts.len())),
        Input::OutcomeArrived { .. } => ("OutcomeArrived", many(1)),
        Input::OutputArrived { .. } => ("OutputArrived", many(1)),
        Input::BlobsMissing { hashes, .. } => ("BlobsMissing", many(hashes.len())),
        Input::QuestionAsked { .. } => ("QuestionAsked", many(1)),
        Input::OutputTaken { .. } => ("OutputTaken", many(1)),
        Input::QuestionAnswered { .. } => ("QuestionAnswered", many(1)),
        Input::RecordsCommitted { .. } => ("RecordsCommitted", many(1)),
        Input::RecordsRefused { .. } => ("RecordsRefused", None),
        Input::MemoryOfOthers { .. } => ("MemoryOfOthers", many(1)),
        Input::TaskWithoutRoom { .. } => ("TaskWithoutRoom", many(1)),
        Input::AttemptLent { .. } => ("AttemptLent", many(1)),
        Input::ArgumentsUnreadable { .. } => ("ArgumentsUnreadable", many(1)),
        Input::ResultUnreadable { .. } => ("ResultUnreadable", many(1)),
        Input::TimePassed => ("TimePassed", many(0)),
    }
}
