//! The tasks of this program, by name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::arguments::{Arguments, Returned};

/// A function that is marked as a task; the macro registers it.
#[derive(Debug)]
pub struct Registered {
    /// Its path.
    pub name: &'static str,
    /// Reads the arguments, runs the body, and turns what it returned into bytes.
    pub run: fn(&Arguments<'_>) -> Returned,
}

inventory::collect!(Registered);

/// All tasks of this program.
pub(super) struct Registry {
    by_name: HashMap<&'static str, Option<&'static Registered>>,
}

impl Registry {
    pub(super) fn of_this_program() -> Self {
        let mut by_name = HashMap::new();
        for task in inventory::iter::<Registered> {
            match by_name.entry(task.name) {
                Entry::Vacant(place) => drop(place.insert(Some(task))),
                // Two functions inside functions may have one path; which of them is meant is unknown.
                Entry::Occupied(mut place) => drop(place.insert(None)),
            }
        }
        Self { by_name }
    }

    pub(super) fn find(&self, name: &str) -> Result<&'static Registered, String> {
        match self.by_name.get(name) {
            Some(Some(task)) => Ok(task),
            Some(None) => Err(format!("two tasks of this program are called {name}; rename one")),
            None => Err(format!("this program has no task {name}; mark the function with #[argon::task]")),
        }
    }
}
