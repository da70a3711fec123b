//! The runners of a pool as the status shows them.

use argon_proto::conversation::worker::RunnersReport;

use super::Pool;
use super::kind::{Program, RunnerKind, TemplateKey};
use super::runner::RunnerState;
use super::templates::TemplateState;

impl Pool {
    /// Runner processes by runtime, and templates. Commands count as busy. Costs time in proportion to the runners.
    #[must_use]
    pub fn runners_report(&self) -> RunnersReport {
        let mut report = RunnersReport::default();
        for runner in self.runners.iter() {
            let counts = match runner.state {
                RunnerState::Busy(_) | RunnerState::Ending { .. } => &mut report.busy,
                RunnerState::Idle => {
                    report.idle_bytes += runner.memory;
                    &mut report.idle
                }
                RunnerState::Starting | RunnerState::Retiring => continue,
            };
            *counts.entry(kind_name(runner.kind)).or_default() += 1;
        }
        let ready = self.templates().filter(|(_, state)| *state == TemplateState::Ready);
        report.templates = ready.map(|(key, _)| template_name(key)).collect();
        report.templates.sort();
        report
    }
}

fn kind_name(kind: RunnerKind) -> String {
    match kind.program {
        Program::Version(version) => format!("{}{version}", kind.runtime.name()),
        Program::Environment(_, version) => format!("{}{version} of a client", kind.runtime.name()),
        Program::Only | Program::Executable(_) => kind.runtime.name().to_owned(),
    }
}

fn template_name(key: TemplateKey) -> String {
    let version = key.version.map(|version| version.to_string()).unwrap_or_default();
    let of = if key.environment.is_some() { " of a client" } else { "" };
    format!("{}{version}{of}", key.runtime.name())
}
