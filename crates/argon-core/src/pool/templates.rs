//! Templates: which there are, and when runners are started without one.
//!
//! A template that is starting for the first time is waited for. One that has failed holds nobody up: runners start from
//! their program until it is back, and for good when it has failed several times without a runner that came up.

use super::Pool;
use super::effect::Effect;
use super::environment::EnvironmentId;
use super::health::wait_after;
use super::kind::{Program, RunnerKind, TemplateKey};
use super::supply::StartFrom;
use crate::time::Time;

/// Failures in a row after which a template is used no more.
const FAILURES_MAX: u32 = 3;

/// A template process, or where one was.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) key: TemplateKey,
    pub(super) state: TemplateState,
    /// Failures since the last runner that it forked came up.
    failures: u32,
}

/// Activity of a template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TemplateState {
    /// Starting; not ready yet.
    Starting,
    /// Forks runners.
    Ready,
    /// Has failed, and is started again at that time.
    Resting(Time),
    /// Has failed several times: runners are started without it.
    GivenUp,
}

impl Pool {
    /// Returns from where runners of this kind start; `None` while the template starts for the first time. Starts the
    /// template if there is none.
    pub(super) fn start_from(
        &mut self,
        now: Time,
        kind: RunnerKind,
        out: &mut Vec<Effect>,
    ) -> Option<StartFrom> {
        let Some(key) = kind.template().filter(|_| self.settings.has_templates) else {
            return Some(StartFrom::Program);
        };
        let Some(template) = self.templates.iter_mut().find(|template| template.key == key) else {
            self.templates.push(Template { key, state: TemplateState::Starting, failures: 0 });
            out.push(Effect::StartTemplate { key });
            return None;
        };
        match template.state {
            TemplateState::Ready => Some(StartFrom::Template(key)),
            TemplateState::Starting if template.failures == 0 => None,
            TemplateState::Resting(until) if until <= now => {
                template.state = TemplateState::Starting;
                out.push(Effect::StartTemplate { key });
                Some(StartFrom::Program)
            }
            TemplateState::Starting | TemplateState::Resting(_) | TemplateState::GivenUp => {
                Some(StartFrom::Program)
            }
        }
    }

    pub(super) fn is_template_ready(&self, kind: RunnerKind) -> bool {
        let key = kind.template();
        self.templates
            .iter()
            .any(|template| Some(template.key) == key && template.state == TemplateState::Ready)
    }

    /// All templates, for people.
    pub fn templates(&self) -> impl Iterator<Item = (TemplateKey, TemplateState)> {
        self.templates.iter().map(|template| (template.key, template.state))
    }

    pub(super) fn on_template_ready(&mut self, key: TemplateKey) {
        self.must_look_at_spares = true;
        if let Some(template) = self.template_mut(key)
            && template.state == TemplateState::Starting
        {
            template.state = TemplateState::Ready;
        }
    }

    pub(super) fn on_template_ended(
        &mut self,
        now: Time,
        key: TemplateKey,
        why: String,
        out: &mut Vec<Effect>,
    ) {
        self.must_look_at_spares = true;
        if self.has_left {
            return;
        }
        let is_first =
            |template: &Template| template.state == TemplateState::Starting && template.failures == 0;
        if let Some(id) = key.environment
            && let Some(version) = key.version
            && self.template_mut(key).is_some_and(|template| is_first(template))
            && self.on_environment_unusable(now, Program::Environment(id, version), &why, out)
        {
            return;
        }
        if let Some(template) = self.template_mut(key)
            && template.state != TemplateState::GivenUp
        {
            template.failures += 1;
            if template.failures < FAILURES_MAX {
                template.state = TemplateState::Resting(now + wait_after(template.failures - 1));
            } else {
                template.state = TemplateState::GivenUp;
                out.push(Effect::ReportFallback { key, why });
            }
        }
    }

    /// A forked runner came up, or did not.
    pub(super) fn on_fork_judged(&mut self, kind: RunnerKind, came_up: bool, out: &mut Vec<Effect>) {
        let Some(template) = kind.template().and_then(|key| self.template_mut(key)) else {
            return;
        };
        if came_up {
            template.failures = 0;
            return;
        }
        template.failures += 1;
        if template.failures >= FAILURES_MAX && template.state == TemplateState::Ready {
            template.state = TemplateState::GivenUp;
            let key = template.key;
            out.push(Effect::EndTemplate { key });
            let why = "several runners in a row that it had forked ended before they were ready".to_owned();
            out.push(Effect::ReportFallback { key, why });
        }
    }

    /// Ends all templates, since the worker leaves.
    pub(super) fn end_templates(&self, out: &mut Vec<Effect>) {
        let live = self
            .templates()
            .filter(|(_, state)| matches!(state, TemplateState::Starting | TemplateState::Ready));
        out.extend(live.map(|(key, _)| Effect::EndTemplate { key }));
    }

    /// Ends the template of an environment, for good.
    pub(super) fn forget_template_of(&mut self, id: EnvironmentId, out: &mut Vec<Effect>) {
        let is_live = |state| matches!(state, TemplateState::Starting | TemplateState::Ready);
        self.templates.retain(|template| {
            let is_its = template.key.environment == Some(id);
            if is_its && is_live(template.state) {
                out.push(Effect::EndTemplate { key: template.key });
            }
            !is_its
        });
    }

    /// When a template is started again.
    pub(super) fn template_deadline(&self) -> Option<Time> {
        let resting = |(_, state)| if let TemplateState::Resting(until) = state { Some(until) } else { None };
        self.templates().filter_map(resting).min()
    }

    /// Starts templates again whose rest is over.
    pub(super) fn restart_templates(&mut self, now: Time, out: &mut Vec<Effect>) {
        for template in &mut self.templates {
            if let TemplateState::Resting(until) = template.state
                && until <= now
            {
                template.state = TemplateState::Starting;
                out.push(Effect::StartTemplate { key: template.key });
            }
        }
    }

    fn template_mut(&mut self, key: TemplateKey) -> Option<&mut Template> {
        self.templates.iter_mut().find(|template| template.key == key)
    }
}
