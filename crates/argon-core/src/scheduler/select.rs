//! Selection of tasks by what people filter for: first by what costs little, then by words of their meta data.

use std::collections::BTreeSet;

use argon_proto::conversation::admin::{TaskFacts, TaskFilter, TaskList};
use argon_proto::{TaskId, TaskName};

use super::facts::{Moment, TaskPlace, named, waits_since};
use super::task::TaskState;
use super::view::words;
use super::{OwnerName, Scheduler};
use crate::time::Time;

/// Selected tasks whose meta data is read for one question.
const READ_MAX: usize = 100_000;
impl Scheduler {
    /// The newest tasks that a filter selects, of one owner or of all; `at_most` of them. Costs time in proportion to the
    /// tasks; the meta data of a limited number is read.
    #[must_use]
    pub fn select_tasks(
        &self,
        moment: Moment,
        filter: &TaskFilter,
        sees: Option<&OwnerName>,
        at_most: usize,
    ) -> TaskList {
        let mut places = self.places(moment, filter, sees);
        places.sort_unstable_by_key(|(changed, id, _)| std::cmp::Reverse((*changed, *id)));
        let short = self.short_ids();
        let needs_words = !filter.name.is_empty() || !filter.label.is_empty();
        let mut list = TaskList::default();
        for (read, (_, _, place)) in places.iter().enumerate() {
            if !needs_words && list.tasks.len() == at_most {
                list.more = places.len() - read;
                break;
            }
            if read == READ_MAX {
                list.unseen = places.len() - read;
                break;
            }
            let (meta, runtime) = match place {
                TaskPlace::Here(key) => (self.tasks[*key].task.meta(), self.tasks[*key].task.head.runtime),
                TaskPlace::Past(task) => (task.meta.as_deref().unwrap_or_default(), task.runtime),
            };
            if needs_words {
                let words = words(meta);
                let name = named(&words.name(), runtime);
                if !matches(&filter.name, &name) || !matches(&filter.label, &words.label()) {
                    continue;
                }
            }
            if list.tasks.len() == at_most {
                list.more += 1;
                continue;
            }
            list.tasks.push(self.facts_at(moment, place, &short));
        }
        list.tasks.reverse();
        list
    }

    /// Tasks that fit all but the words of a filter, each with the time of its last change.
    fn places(
        &self,
        moment: Moment,
        filter: &TaskFilter,
        sees: Option<&OwnerName>,
    ) -> Vec<(Time, TaskId, TaskPlace<'_>)> {
        let names: Vec<TaskName> = filter.tasks.iter().filter_map(|name| name.parse().ok()).collect();
        let states: BTreeSet<&str> = filter.states.iter().map(String::as_str).collect();
        let fits = |id: TaskId, owner: &OwnerName, state: &str, worker: &str, changed: Time| {
            let age_ms = moment.age_ms(changed);
            sees.is_none_or(|seen| seen == owner)
                && (filter.tasks.is_empty() || names.iter().any(|name| name.fits(id)))
                && (states.is_empty() || is_one_of(state, &states))
                && (filter.owner.is_empty() || filter.owner == owner.as_str())
                && (filter.worker.is_empty() || filter.worker == worker)
                && filter.since_ms.is_none_or(|most| age_ms <= most)
                && filter.older_ms.is_none_or(|least| age_ms >= least)
        };
        let mut places = Vec::new();
        for (key, entry) in self.tasks.iter().filter(|(_, entry)| !entry.is_ended()) {
            let id = entry.task.head.id;
            let owner = &self.owner_of(entry.session).name;
            let (state, worker, changed) = match entry.state {
                TaskState::Assigned { worker, since, .. } => {
                    ("running", self.workers[worker].profile.name.as_str(), since)
                }
                TaskState::Persisting
                | TaskState::Recovering
                | TaskState::Queued { .. }
                | TaskState::Delayed
                | TaskState::Ended(_) => ("waiting", "", waits_since(entry)),
            };
            if fits(id, owner, state, worker, changed) {
                places.push((changed, id, TaskPlace::Here(key)));
            }
        }
        for task in self.history.iter() {
            let worker = task.worker.as_ref().map_or("", |worker| worker.as_str());
            if fits(task.id, &task.client.owner, task.status.name(), worker, task.ended) {
                places.push((task.ended, task.id, TaskPlace::Past(task)));
            }
        }
        places
    }
}

/// True if a filter selects a task of these facts.
#[must_use]
pub fn is_selected(filter: &TaskFilter, facts: &TaskFacts) -> bool {
    let states: BTreeSet<&str> = filter.states.iter().map(String::as_str).collect();
    let names: Vec<TaskName> = filter.tasks.iter().filter_map(|name| name.parse().ok()).collect();
    let id = facts.task.parse::<TaskId>().ok();
    (names.is_empty() || id.is_some_and(|id| names.iter().any(|name| name.fits(id))))
        && (states.is_empty() || is_one_of(&facts.state, &states))
        && (filter.owner.is_empty() || filter.owner == facts.owner)
        && (filter.worker.is_empty() || filter.worker == facts.worker)
        && filter.since_ms.is_none_or(|most| facts.age_ms <= most)
        && filter.older_ms.is_none_or(|least| facts.age_ms >= least)
        && matches(&filter.name, &facts.name)
        && matches(&filter.label, &facts.label)
}

/// True if a state is one of these, or of a group of them.
fn is_one_of(state: &str, states: &BTreeSet<&str>) -> bool {
    let has_ended = !matches!(state, "waiting" | "running");
    states.contains(state)
        || has_ended && states.contains("ended")
        || has_ended && states.contains("failed") && !matches!(state, "ok" | "cancelled")
}

/// True if a text is what a pattern says, in which `*` stands for any text. An empty pattern fits all.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern.is_empty() || pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_in_a_pattern_stands_for_any_text() {
        for (pattern, text) in
            [("", "x"), ("a", "a"), ("a*", "ab"), ("*b", "ab"), ("a*c*e", "abcde"), ("*", "")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a*", "ba"), ("*b", "ba"), ("a*a", "a"), ("a*x*e", "abcde")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
