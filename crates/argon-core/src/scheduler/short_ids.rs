//! Short ids of tasks for people: the beginning of a session that no other known session has, and the task's number.

use std::collections::BTreeMap;

use argon_proto::{SessionId, TaskId, TaskName};

use super::on_cancel::NamedTasks;
use super::{OwnerName, Scheduler};

/// Digits of a session in a short id, at least.
const SESSION_DIGITS: usize = 6;
/// Digits of a client inside a task, at least.
const INSIDE_DIGITS: usize = 3;
/// Hexadecimal digits of a family.
const FAMILY_DIGITS: usize = 16;

/// Short forms of all sessions that are known here.
pub(super) struct ShortIds(BTreeMap<SessionId, String>);

impl ShortIds {
    /// `sessions` are the ids of all sessions, each with whether its client is inside a task.
    fn of(sessions: impl Iterator<Item = (SessionId, bool)>) -> Self {
        let mut known: BTreeMap<SessionId, bool> = BTreeMap::new();
        for (id, is_inside) in sessions {
            *known.entry(id).or_default() |= is_inside;
        }
        let ids: Vec<(String, SessionId, bool)> =
            known.iter().map(|(id, is_inside)| (id.to_string(), *id, *is_inside)).collect();
        let mut short = BTreeMap::new();
        for family in ids.chunk_by(|one, other| one.1.family() == other.1.family()) {
            // Ids are in order, so the neighbours of a family begin most like it.
            let first = family[0].1;
            let before = known.range(..first).next_back().map(|(id, _)| id.to_string());
            let last = family[family.len() - 1].1;
            let after = known.range((std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded)).next();
            let others = [before, after.map(|(id, _)| id.to_string())];
            let digits = &family[0].0[..FAMILY_DIGITS];
            let alike = others.iter().flatten().map(|other| common(digits, other)).max().unwrap_or(0);
            let prefix = &digits[..(alike + 1).clamp(SESSION_DIGITS, FAMILY_DIGITS)];
            let roots = family.iter().filter(|(_, _, is_inside)| !is_inside).count();
            for (at, (text, id, is_inside)) in family.iter().enumerate() {
                let own = &text[FAMILY_DIGITS..];
                let form = match (is_inside, roots) {
                    (false, 1) => prefix.to_owned(),
                    (false, _) => text.clone(),
                    (true, _) => {
                        let others = family.iter().enumerate().filter(|(other, _)| *other != at);
                        let alike = others.map(|(_, (other, ..))| common(own, &other[FAMILY_DIGITS..])).max();
                        let shown = (alike.unwrap_or(0) + 1).clamp(INSIDE_DIGITS, own.len());
                        format!("{prefix}.{}", &own[..shown])
                    }
                };
                short.insert(*id, form);
            }
        }
        Self(short)
    }

    /// Short form of a session.
    pub(super) fn session(&self, id: SessionId) -> String {
        self.0.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    /// Short form of a task.
    pub(super) fn task(&self, id: TaskId) -> String {
        format!("{}.{}", self.session(id.session), id.sequence)
    }
}

/// Number of letters at the beginning that two texts share.
fn common(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count()
}

impl Scheduler {
    pub(super) fn short_ids(&self) -> ShortIds {
        let live = self.sessions.values().map(|session| (session.id, session.parent.is_some()));
        let past = self.history.iter().map(|task| (task.client.session, task.client.inside.is_some()));
        ShortIds::of(live.chain(past))
    }

    /// The task that a text names, of those of one owner or of all, ended ones included. Costs time in proportion to the
    /// sessions and the history, and where the text names a session, to its tasks.
    #[must_use]
    pub fn task_named(&self, name: &TaskName, owner: Option<&OwnerName>) -> NamedTasks {
        let mut found: BTreeMap<TaskId, bool> = BTreeMap::new();
        for session in self.sessions.values().filter(|session| name.fits_session(session.id)) {
            if owner.is_some_and(|owner| self.queue.owners[session.owner].name != *owner) {
                continue;
            }
            let is_inside = session.parent.is_some();
            if let Some(sequence) = name.sequence() {
                let id = TaskId { session: session.id, sequence };
                if self.task_of(&id).is_some() {
                    found.insert(id, is_inside);
                }
                continue;
            }
            let ids = session.tasks.iter().map(|key| self.tasks[*key].task.head.id);
            found.extend(ids.filter(|id| name.fits(*id)).map(|id| (id, is_inside)));
        }
        let past = self.history.iter().filter(|task| name.fits(task.id));
        let seen = past.filter(|task| owner.is_none_or(|owner| task.client.owner == *owner));
        found.extend(seen.map(|task| (task.id, task.client.inside.is_some())));
        // A client of a task begins like the client around it, which is meant if nothing more is said.
        let roots: Vec<TaskId> =
            found.iter().filter(|(_, is_inside)| !**is_inside).map(|(id, _)| *id).collect();
        match (roots.as_slice(), found.len()) {
            ([id], _) if name.sequence().is_some() => NamedTasks::One(*id),
            (_, 0) => NamedTasks::Unknown,
            (_, 1) => found.first_key_value().map_or(NamedTasks::Unknown, |(id, _)| NamedTasks::One(*id)),
            (_, count) => NamedTasks::Several(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(first: u64, second: u64) -> SessionId {
        SessionId((u128::from(first) << 64 | u128::from(second)).to_be_bytes())
    }

    #[test]
    fn a_session_is_shown_with_the_digits_that_no_other_has() {
        let (one, two) = (session(0xabcd_ef00_0000_0000, 1), session(0xabcd_ef0a_0000_0000, 2));
        let three = session(0x1234_5678_0000_0000, 3);
        let short = ShortIds::of([(one, false), (two, false), (three, false)].into_iter());
        assert_eq!(short.session(one), "abcdef00");
        assert_eq!(short.session(two), "abcdef0a");
        assert_eq!(short.task(TaskId { session: three, sequence: 12 }), "123456.12");
    }

    #[test]
    fn a_client_inside_a_task_is_shown_behind_the_client_around_it() {
        let root = session(0xabcd_ef00_0000_0000, 0x0fff << 48);
        let (one, two) =
            (session(0xabcd_ef00_0000_0000, 0x4c10 << 48), session(0xabcd_ef00_0000_0000, 0x4c12 << 48));
        let short = ShortIds::of([(two, true), (root, false), (one, true)].into_iter());
        assert_eq!(short.session(root), "abcdef");
        assert_eq!(short.session(one), "abcdef.4c10");
        assert_eq!(short.session(two), "abcdef.4c12");
    }
}
