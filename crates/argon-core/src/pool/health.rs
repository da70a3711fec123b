//! Health of runner starts, for each kind by itself. A kind that does not start is tried less and less often, and
//! takes nothing from the others.

use std::time::Duration;

use super::Pool;
use super::kind::RunnerKind;
use crate::time::Time;

/// Wait before a start is tried again; doubles with each failure.
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// Longest such wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// The wait before the next start, after `earlier_failures` before the last one.
pub(super) fn wait_after(earlier_failures: u32) -> Duration {
    RETRY_AFTER.saturating_mul(1 << earlier_failures.min(10)).min(RETRY_AFTER_MAX)
}

/// A kind of runner whose last start failed.
#[derive(Debug)]
pub(super) struct StartHealth {
    kind: RunnerKind,
    /// Failures in a row.
    failures: u32,
    /// No runner of the kind is started before.
    not_before: Option<Time>,
    /// With a memory limit: a runner without one must come up before, since the machine may be to blame.
    must_probe: bool,
    /// Its attempts go back to the manager: others may be able to start them.
    gives_back: bool,
}

impl Pool {
    /// True if a runner of this kind may be started now.
    pub(super) fn may_try(&self, now: Time, kind: RunnerKind) -> bool {
        if !self.has_environment_of(kind) {
            return false;
        }
        let health = self.health.iter().find(|health| health.kind == kind);
        health.is_none_or(|health| !health.must_probe && health.not_before.is_none_or(|at| at <= now))
    }

    /// True if attempts of this kind go back to the manager: none of its runners is there, and none may be tried yet.
    pub(super) fn is_helpless(&self, kind: RunnerKind) -> bool {
        let must_wait = |health: &StartHealth| health.must_probe || health.not_before.is_some();
        self.has_none_of(kind) && self.health.iter().any(|health| health.kind == kind && must_wait(health))
    }

    /// True if no runner of this kind is there, and the last one did not come up.
    pub(super) fn has_none_of(&self, kind: RunnerKind) -> bool {
        self.health.iter().any(|health| health.kind == kind && health.gives_back)
            && !self
                .runners
                .iter()
                .any(|runner| runner.kind == kind && !runner.is_starting() && !runner.is_leaving())
    }

    /// A start failed; returns how many in a row did.
    pub(super) fn note_failed_start(&mut self, now: Time, kind: RunnerKind, gives_back: bool) -> u32 {
        let failures = match self.health.iter_mut().find(|health| health.kind == kind) {
            Some(health) => {
                health.failures += 1;
                health.gives_back |= gives_back;
                health.not_before = Some(now + wait_after(health.failures - 1));
                health.failures
            }
            None => {
                let not_before = Some(now + wait_after(0));
                self.health.push(StartHealth {
                    kind,
                    failures: 1,
                    not_before,
                    must_probe: false,
                    gives_back,
                });
                1
            }
        };
        if kind.memory_mib > 0 && !gives_back {
            // Without an interpreter that could be tried in between, the limit is all that can be to blame.
            let can_probe = self.ready_kind().is_some();
            self.health
                .iter_mut()
                .filter(|health| health.kind == kind)
                .for_each(|health| health.must_probe = can_probe);
        }
        failures
    }

    /// A runner came up.
    pub(super) fn note_good_start(&mut self, kind: RunnerKind) {
        self.forget_health(kind);
        if kind.memory_mib == 0 && kind.has_runner() {
            self.health.iter_mut().for_each(|health| health.must_probe = false);
        }
    }

    /// A runner without a memory limit did not come up either: kinds that wait for one are given back from now on. Returns
    /// these.
    pub(super) fn give_up_probes(&mut self, probe: RunnerKind) -> Vec<RunnerKind> {
        if self.ready_kind() != Some(probe) {
            return Vec::new();
        }
        let waiting = self.health.iter_mut().filter(|health| health.must_probe);
        waiting
            .map(|health| {
                health.gives_back = true;
                health.kind
            })
            .collect()
    }

    pub(super) fn forget_health(&mut self, kind: RunnerKind) {
        self.must_look_at_spares = true;
        self.health.retain(|health| health.kind != kind);
    }

    pub(super) fn forget_health_of(&mut self, is_of: impl Fn(RunnerKind) -> bool) {
        self.health.retain(|health| !is_of(health.kind));
    }

    /// True if a kind waits for a runner without a memory limit to come up.
    pub(super) fn must_probe_any(&self) -> bool {
        self.health.iter().any(|health| health.must_probe)
    }

    /// When the next kind may be tried again.
    pub(super) fn health_deadline(&self) -> Option<Time> {
        self.health.iter().filter_map(|health| health.not_before).min()
    }

    /// Lets kinds be tried again whose wait is over, and forgets those that nobody asks for.
    pub(super) fn end_waits(&mut self, now: Time) {
        if self.health.iter().all(|health| health.not_before.is_none_or(|at| at > now)) {
            return;
        }
        self.must_look_at_spares = true;
        let ready = self.ready_kind();
        let mut health = std::mem::take(&mut self.health);
        health.retain_mut(|health| {
            health.not_before.take_if(|at| *at <= now);
            let is_wanted = || self.waiting.iter().flatten().any(|waiting| waiting.key.kind == health.kind);
            health.not_before.is_some() || ready == Some(health.kind) || is_wanted()
        });
        self.health = health;
    }
}
