//! Virtual templates: processes that fork runners, and die; and what must be true of all processes of a worker.

use argon_core::pool::{Blame, Input, RunnerId, TemplateKey};

use crate::event::{Dialler, Event, TemplateDoes};
use crate::worker::Template;
use crate::world::World;

impl World {
    pub(crate) fn start_template(&mut self, worker: usize, key: TemplateKey) {
        let is_starved = self.workers[worker].starved > 0;
        let fails = is_starved || self.random.percent(3) && !self.plan.faults.is_empty();
        let wait = self.random.spread(5_000, 300_000);
        let Some(process) = &mut self.workers[worker].process else {
            return;
        };
        process.last_template += 1;
        let number = process.last_template;
        if process.templates.insert(key, Template { number, is_ready: false }).is_some() {
            self.oracle.fail(format!("worker {worker} starts the template {key:?} twice"));
        }
        let does = if fails { TemplateDoes::End } else { TemplateDoes::Ready };
        self.template_will(worker, key, number, wait, does);
    }

    pub(crate) fn end_template(&mut self, worker: usize, key: TemplateKey) {
        let wait = self.random.spread(10, 1_000);
        let template = self.workers[worker].process.as_ref().and_then(|process| process.templates.get(&key));
        if let Some(number) = template.map(|template| template.number) {
            self.template_will(worker, key, number, wait, TemplateDoes::End);
        }
    }

    pub(crate) fn kill_template(&mut self, worker: usize) {
        let process = self.workers[worker].process.as_ref();
        let template = process.and_then(|process| process.templates.iter().next());
        if let Some((key, number)) = template.map(|(key, template)| (*key, template.number)) {
            self.template_will(worker, key, number, 0, TemplateDoes::End);
        }
    }

    fn template_will(&mut self, worker: usize, key: TemplateKey, number: u64, wait: u64, does: TemplateDoes) {
        let incarnation = self.workers[worker].incarnation;
        self.queue.push(self.now + wait, Event::Template { worker, incarnation, key, number, does });
    }

    pub(crate) fn on_template(
        &mut self,
        worker: usize,
        incarnation: u32,
        key: TemplateKey,
        number: u64,
        does: TemplateDoes,
    ) {
        if !self.is_living(Dialler::Worker(worker), incarnation) {
            return;
        }
        let Some(process) = &mut self.workers[worker].process else {
            return;
        };
        let Some(template) = process.templates.get_mut(&key).filter(|template| template.number == number)
        else {
            return;
        };
        match does {
            TemplateDoes::Ready => {
                template.is_ready = true;
                self.step_worker(worker, Input::TemplateReady { key });
            }
            TemplateDoes::End => {
                process.templates.remove(&key);
                let awaits = |(id, runner): (&RunnerId, &crate::worker::Runner)| {
                    (runner.awaits_fork_of == Some(key)).then_some(*id)
                };
                let lost: Vec<RunnerId> = process.runners.iter().filter_map(awaits).collect();
                let why = "it was killed".to_owned();
                self.step_worker(worker, Input::TemplateEnded { key, why });
                for runner in lost {
                    if let Some(process) = &mut self.workers[worker].process {
                        process.runners.remove(&runner);
                    }
                    let why = "its template ended".to_owned();
                    self.step_worker(worker, Input::SpawnFailed { runner, why, blame: Blame::Machine });
                }
            }
        }
    }

    /// Runners are forked from templates that are there.
    pub(crate) fn judge_template(&mut self, worker: usize, id: RunnerId, template: Option<TemplateKey>) {
        let process = self.workers[worker].process.as_ref();
        let is_there =
            |key| process.is_some_and(|process| process.templates.get(&key).is_some_and(|t| t.is_ready));
        if let Some(key) = template.filter(|key| !is_there(*key)) {
            self.oracle.fail(format!(
                "runner {} of worker {worker} is forked from {key:?}, which is not ready",
                id.0
            ));
        }
    }

    /// The number of processes is bounded: one for each attempt that runs, the idle ones that are kept, and on their way
    /// two for each slot and one spare for each slot. Attempts beyond the slots have lent theirs.
    pub(crate) fn judge_processes(&mut self, worker: usize) {
        let shape = &self.plan.shape;
        let Some(process) = &self.workers[worker].process else {
            return;
        };
        let counts = process.pool.counts();
        let alive = process.runners.values().filter(|runner| !runner.is_leaving).count();
        let most = counts.running + shape.runners_max + 3 * shape.slots;
        if alive > most || counts.lent > shape.waiting_max {
            self.oracle.fail(format!("worker {worker} has {alive} runners, {most} at the most: {counts:?}"));
        }
    }

    /// Measures the runners once a second, as the shell of a worker does.
    pub(crate) fn measure_runners(&mut self, worker: usize) {
        let slots = self.plan.shape.slots;
        let Some(process) = self.workers[worker].process.as_ref() else {
            return;
        };
        if process.pool.counts().idle <= slots {
            return;
        }
        let is_idle =
            |runner: &crate::worker::Runner| runner.is_ready && runner.task.is_none() && !runner.is_leaving;
        let idle: Vec<RunnerId> =
            process.runners.iter().filter(|(_, runner)| is_idle(runner)).map(|(id, _)| *id).collect();
        let measured = idle.into_iter().map(|id| (id, self.random.spread(1, 64) << 20)).collect();
        self.step_worker(worker, Input::RunnerMemory(measured));
    }
}
