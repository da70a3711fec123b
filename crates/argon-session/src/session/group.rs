//! Groups of tasks whose ends are taken as they come.

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use argon_proto::TaskId;
use rustc_hash::FxHashMap;

use super::SessionState;
use super::effect::{Effect, Out};
use super::entry::{Addition, Completion, Entry, Member, keep};

#[derive(Debug, Default)]
pub(super) struct Group {
    /// Tasks that have ended and were not taken.
    ended: VecDeque<u64>,
    waker: Option<Waker>,
}

impl SessionState {
    /// Makes a group.
    pub fn open_group(&mut self) -> u64 {
        self.last_group += 1;
        self.groups.insert(self.last_group, Group::default());
        self.last_group
    }

    /// Adds a task as a member of a group.
    pub fn add_to_group(&mut self, addition: Addition, member: Member, out: &mut Out) -> u64 {
        let number = self.add(addition, out);
        if let Some(entry) = self.entries.get_mut(number) {
            entry.member = Some(member);
            if entry.is_ended() {
                self.announce(number, out);
            }
        }
        number
    }

    /// Takes the next end of the group, or leaves the waker.
    pub fn poll_group(&mut self, group: u64, waker: &Waker) -> Poll<(Member, TaskId, Completion)> {
        let Some(state) = self.groups.get_mut(&group) else {
            let (kind, message) = self.taken();
            return Poll::Ready((Member::default(), self.task_id(0), Completion::Failed(kind, message)));
        };
        let Some(number) = state.ended.pop_front() else {
            keep(&mut state.waker, waker);
            return Poll::Pending;
        };
        let member = self.entries.get(number).and_then(|entry| entry.member).unwrap_or_default();
        let id = self.task_id(number);
        self.poll_end(number, waker).map(|ending| (member, id, ending))
    }

    /// The owner gives the group up: its members are cancelled.
    pub fn close_group(&mut self, group: u64, out: &mut Out) {
        self.groups.remove(&group);
        let of_group = |member: Option<Member>| member.is_some_and(|member| member.group == group);
        let members: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| of_group(entry.member))
            .map(|(number, _)| number)
            .collect();
        for number in members {
            self.cancel(number, out);
            self.abandon(number, out);
        }
    }

    /// The end of a task can be taken: those who wait for it are woken.
    pub(super) fn announce(&mut self, number: u64, out: &mut Out) {
        if let Some(entry) = self.entries.get_mut(number) {
            entry.announce(number, &mut self.groups, out);
        }
    }
}

impl Entry {
    /// As [`SessionState::announce`], for a caller that has the entry.
    pub(super) fn announce(&mut self, number: u64, groups: &mut FxHashMap<u64, Group>, out: &mut Out) {
        if let Some(waker) = self.waker.take() {
            out.effects.push(Effect::Wake(waker));
        }
        if let Some(member) = self.member
            && let Some(group) = groups.get_mut(&member.group)
        {
            group.ended.push_back(number);
            out.effects.extend(group.waker.take().map(Effect::Wake));
        }
    }
}
