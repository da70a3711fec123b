//! Idle runners that are kept. Some that have served no one are ready for the next session; those of sessions stay within
//! bounds on their number and memory, and the longest unused ends first.

use argon_proto::RunnerId;

use super::Pool;
use super::effect::Effect;
use super::runner::Runner;
use crate::time::Time;

impl Pool {
    /// Keeps spare runners of the default interpreter ready, and its template.
    pub(super) fn keep_ready(&mut self, now: Time, out: &mut Vec<Effect>) {
        if !self.runners.take_has_changed() && !std::mem::take(&mut self.must_look_at_spares) {
            return;
        }
        let Some(kind) = self.ready_kind().filter(|_| !self.has_left && !self.is_draining) else {
            return;
        };
        let of_kind = || self.runners.iter().filter(|runner| runner.kind == kind && !runner.is_leaving());
        let spare = of_kind().filter(|runner| runner.family.is_none()).count();
        let mut missing = self.spares_wanted(of_kind().count() - spare).saturating_sub(spare);
        // Nobody else would find out that runners come up again: a worker that could not start any takes no attempts.
        let must_try = self.must_probe_any() || self.has_none_of(kind);
        if must_try && !of_kind().any(|runner| runner.is_starting()) {
            missing = missing.max(1);
        }
        while missing > 0 && self.may_try(now, kind) {
            let Some(from) = self.start_from(now, kind, out) else {
                return;
            };
            self.spawn(now, kind, None, from, out);
            missing -= 1;
        }
    }

    /// Number of spares to have besides `serving` runners of the same kind.
    fn spares_wanted(&self, serving: usize) -> usize {
        let slots = self.settings.slots;
        let most = slots.min(self.settings.runners_max / 2);
        if self.ready_kind().is_some_and(|kind| self.is_template_ready(kind)) {
            // They cost little: each session finds as many as it can use.
            let idle: u64 = self.runners.idle().map(|runner| runner.memory).sum();
            return if idle + self.spare_memory > self.settings.runner_memory { 0 } else { most };
        }
        // A whole interpreter is started for each.
        slots.saturating_sub(serving).min(most)
    }

    /// The shell has measured idle runners.
    pub(super) fn on_runner_memory(&mut self, measured: &[(RunnerId, u64)]) {
        self.memory_is_news = true;
        self.must_look_at_spares = true;
        for (id, bytes) in measured {
            if let Some(runner) = self.runners.get_mut(*id) {
                runner.memory = *bytes;
                if runner.family.is_none() {
                    self.spare_memory = *bytes;
                }
            }
        }
    }

    /// Ends idle runners beyond the bounds.
    pub(super) fn retire_surplus(&mut self, out: &mut Vec<Effect>) {
        if !self.runners.take_idle_has_grown() && !std::mem::take(&mut self.memory_is_news) {
            return;
        }
        let mut memory: u64 = self.runners.idle().map(|runner| runner.memory).sum();
        while self.runners.idle_len() > self.settings.runners_max || memory > self.settings.runner_memory {
            let Some(id) = self.least_useful() else {
                return;
            };
            memory -= self.runners[id].memory;
            self.retire(id, out);
        }
    }

    /// The idle runner that is missed least: the longest unused of a session that has others, of any session, or a spare.
    fn least_useful(&self) -> Option<RunnerId> {
        let of_sessions = || self.runners.idle().filter(|runner| runner.family.is_some());
        let has_other = |id: RunnerId| {
            let one = &self.runners[id];
            let is_other = |other: &Runner| {
                other.id != id && other.kind == one.kind && other.family == one.family && !other.is_leaving()
            };
            self.runners.iter().any(is_other)
        };
        let surplus = of_sessions().find(|runner| has_other(runner.id));
        let oldest = || of_sessions().next();
        surplus.or_else(oldest).or_else(|| self.runners.idle().next()).map(|runner| runner.id)
    }

    /// Lets an idle runner end.
    pub(super) fn retire(&mut self, id: RunnerId, out: &mut Vec<Effect>) {
        self.runners.retire(id);
        out.push(Effect::Retire { runner: id });
    }
}
