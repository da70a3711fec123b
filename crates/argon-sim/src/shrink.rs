//! From a run that fails to a smaller one that fails as well: greedy, bounded, and good enough to read.

use crate::plan::RunPlan;
use crate::run::{Failure, run};
use crate::trace::Mode;

/// Runs that are spent at most.
const RUNS: usize = 400;

/// The smallest failing plan that was found, and how it fails, with its trace's tail.
#[must_use]
pub fn shrink(plan: RunPlan, failure: Box<Failure>) -> (RunPlan, Box<Failure>) {
    let mut search = Search { best: plan, failure, runs: 0 };
    loop {
        let before = search.size();
        search.thin(|plan| &mut plan.rogues);
        search.thin(|plan| &mut plan.faults);
        search.thin(|plan| &mut plan.tasks);
        if search.size() == before || search.runs >= RUNS {
            break;
        }
    }
    match run(&search.best, Mode::Tail) {
        Err(failure) => (search.best, failure),
        Ok(_) => (search.best, search.failure),
    }
}

struct Search {
    best: RunPlan,
    failure: Box<Failure>,
    runs: usize,
}

impl Search {
    fn size(&self) -> usize {
        self.best.faults.len() + self.best.tasks.len() + self.best.rogues.len()
    }

    /// Leaves out ever smaller stretches of a list, as long as the run still fails.
    fn thin<T: Clone>(&mut self, list: impl Fn(&mut RunPlan) -> &mut Vec<T>) {
        let mut stretch = list(&mut self.best).len().div_ceil(2);
        while stretch > 0 {
            let mut from = 0;
            while from < list(&mut self.best).len() && self.runs < RUNS {
                let mut smaller = self.best.clone();
                let items = list(&mut smaller);
                let to = (from + stretch).min(items.len());
                items.drain(from..to);
                self.runs += 1;
                match run(&smaller, Mode::Silent) {
                    Err(failure) => (self.best, self.failure) = (smaller, failure),
                    Ok(_) => from += stretch,
                }
            }
            stretch /= 2;
        }
    }
}
