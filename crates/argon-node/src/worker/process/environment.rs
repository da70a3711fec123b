//! What a runner finds in its environment: a short list of names, and nothing else of the worker's.

use std::ffi::{OsStr, OsString};

use crate::worker::WorkerConfig;

const NAMES: [&str; 7] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "PERL5LIB", "PYTHONPATH"];

/// The variables of a worker's runners, chosen from `all` of its own.
pub(crate) fn for_runners(
    config: &WorkerConfig,
    all: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let mut chosen: Vec<_> = all.filter(|(name, _)| is_passed(name, &config.pass_env)).collect();
    chosen.push(("ARGON_WORKER".into(), config.name.clone().into()));
    if !config.remote_modules {
        chosen.push(("ARGON_NO_REMOTE_MODULES".into(), "1".into()));
    }
    chosen
}

fn is_passed(name: &OsStr, pass_env: &[String]) -> bool {
    name.to_str().is_some_and(|name| {
        NAMES.contains(&name) || name.starts_with("LC_") || pass_env.iter().any(|passed| passed == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::tests::config;

    #[test]
    fn secrets_of_the_worker_stay_with_it_and_named_ones_pass() {
        let config = WorkerConfig { pass_env: vec!["LICENSE".into()], ..config() };
        let all = ["PATH", "LC_ALL", "LICENSE", "ARGON_KEY", "LCX"].map(|name| (name.into(), "x".into()));
        let chosen = for_runners(&config, all.into_iter());
        let names: Vec<_> = chosen.iter().filter_map(|(name, _)| name.to_str()).collect();
        assert_eq!(names, ["PATH", "LC_ALL", "LICENSE", "ARGON_WORKER"]);
    }
}
