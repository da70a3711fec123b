//! Starts templates and forks runners; what templates report becomes facts for the pool.

use argon_core::pool::{Input, RunnerId, RunnerKind, TemplateKey};
use argon_proto::conversation::template::FromTemplate;

use super::WorkerLoop;
use super::effects::START_LIMIT;
use crate::worker::processes::NoRunner;
use crate::worker::templates::{EndedTemplate, TemplateEvent};
use crate::worker::timers::Timer;

impl WorkerLoop {
    pub(super) fn start_template(&mut self, key: TemplateKey) {
        match self.processes.start_template(key) {
            Ok(()) => self.timers.set_after(Timer::Template(key), START_LIMIT),
            Err(why) => self.pool.push(Input::TemplateEnded { key, why }),
        }
    }

    pub(super) fn fork(&mut self, id: RunnerId, kind: RunnerKind, key: TemplateKey) {
        self.processes.wants(id, self.timers.now());
        if let Err(error) = self.processes.fork_runner(key, id, kind) {
            self.on_not_started(id, kind, error);
        }
    }

    pub(super) fn on_template(&mut self, key: TemplateKey, event: TemplateEvent) {
        match event {
            TemplateEvent::Sent(message) => self.on_template_sent(key, message),
            TemplateEvent::Exited => self.on_template_exited(key),
        }
    }

    fn on_template_sent(&mut self, key: TemplateKey, message: FromTemplate) {
        match message {
            FromTemplate::Ready(_) => {
                self.timers.stop(Timer::Template(key));
                if self.processes.templates.on_ready(key) {
                    self.processes.on_recovery();
                    self.pool.push(Input::TemplateReady { key });
                } else {
                    self.processes.templates.kill_for(key, "it sent READY twice".to_owned());
                }
            }
            FromTemplate::Forked(forked) => {
                let Some((forking, pid)) = self.processes.templates.on_forked(key, forked) else {
                    let complaint = "it forked a runner that it was not asked for".to_owned();
                    return self.processes.templates.kill_for(key, complaint);
                };
                let (id, kind) = (forking.id, forking.kind);
                match self.processes.on_forked(forking, pid) {
                    Ok(runner) => self.on_started(id, runner),
                    Err(error) => self.on_not_started(id, kind, error),
                }
            }
        }
    }

    fn on_template_exited(&mut self, key: TemplateKey) {
        for message in self.processes.templates.last_messages(key) {
            self.on_template_sent(key, message);
        }
        let Some(EndedTemplate { why, forking, group }) = self.processes.templates.on_exited(key) else {
            return;
        };
        self.processes.end_group(group.as_ref());
        self.timers.stop(Timer::Template(key));
        tracing::debug!("the template of {} has ended: {why}", key.runtime.name());
        // Before its runners, which the pool starts again in another way.
        self.pool.push(Input::TemplateEnded { key, why: why.clone() });
        for forking in forking {
            self.processes.end_group(forking.identity.group.as_ref());
            let error = NoRunner::on_machine(format!("its template has ended: {why}"));
            self.on_not_started(forking.id, forking.kind, error);
        }
        self.look_for_leftovers();
    }
}
