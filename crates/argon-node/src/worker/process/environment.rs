//! Environment of runners and commands: a short list of the worker's variables, and bounds on the threads of libraries.

use std::ffi::{OsStr, OsString};
use std::thread;

use crate::worker::config::WorkerConfig;

const NAMES: [&str; 7] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "PERL5LIB", "PYTHONPATH"];

/// Bounds the threads of OpenMP, and of the libraries below that have no bound of their own.
const OPENMP: &str = "OMP_NUM_THREADS";
/// Bounds of libraries that fall back to `OPENMP`. A default here would win over a number that somebody set there.
const LIKE_OPENMP: [&str; 4] =
    ["OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS"];
/// Bounds of other libraries.
const OTHERS: [&str; 4] =
    ["VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"];

/// The variables of a worker's runners, chosen from `all` of its own.
pub(crate) fn for_runners(
    config: &WorkerConfig,
    all: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let mut chosen: Vec<_> = all.filter(|(name, _)| is_passed(name, &config.pass_env)).collect();
    if let Some(user) = &config.run_as {
        let own = user.variables();
        chosen.retain(|(name, _)| own.iter().all(|(its, _)| its != name));
        chosen.extend(own);
    }
    let cpus = thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    bound_threads(&mut chosen, cpus / config.slots.max(1));
    chosen.push(("ARGON_WORKER".into(), config.name.clone().into()));
    if !config.remote_modules {
        chosen.push(("ARGON_NO_REMOTE_MODULES".into(), "1".into()));
    }
    chosen
}

/// True if the variables that a task sets replace the worker's value of `name`.
pub(crate) fn is_replaced(name: &OsStr, is_set: impl Fn(&OsStr) -> bool) -> bool {
    is_set(name) || LIKE_OPENMP.iter().any(|like| name == *like) && is_set(OsStr::new(OPENMP))
}

/// Adds the thread bounds that the operator has not set. Each slot gets its share of the CPUs: numeric libraries
/// otherwise start a thread per CPU in every slot.
fn bound_threads(variables: &mut Vec<(OsString, OsString)>, share: usize) {
    let is_set = |name: &str| variables.iter().any(|(known, _)| known == name);
    let defaults: &[&[&str]] = if is_set(OPENMP) { &[&OTHERS] } else { &[&[OPENMP], &LIKE_OPENMP, &OTHERS] };
    let missing: Vec<_> = defaults.concat().into_iter().filter(|name| !is_set(name)).collect();
    let share = OsString::from(share.max(1).to_string());
    variables.extend(missing.into_iter().map(|name| (name.into(), share.clone())));
}

fn is_passed(name: &OsStr, pass_env: &[String]) -> bool {
    name.to_str().is_some_and(|name| {
        NAMES.contains(&name)
            || name.starts_with("LC_")
            || name == OPENMP
            || LIKE_OPENMP.contains(&name)
            || OTHERS.contains(&name)
            || pass_env.iter().any(|passed| passed == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::tests::config;

    fn is_bound(name: &str) -> bool {
        name == OPENMP || LIKE_OPENMP.contains(&name) || OTHERS.contains(&name)
    }

    #[test]
    fn secrets_of_the_worker_stay_with_it_and_named_ones_pass() {
        let config = WorkerConfig { pass_env: vec!["LICENSE".into()], ..config() };
        let all = ["PATH", "LC_ALL", "LICENSE", "ARGON_KEY", "LCX"].map(|name| (name.into(), "x".into()));
        let chosen = for_runners(&config, all.into_iter());
        let names: Vec<_> =
            chosen.iter().filter_map(|(name, _)| name.to_str()).filter(|name| !is_bound(name)).collect();
        assert_eq!(names, ["PATH", "LC_ALL", "LICENSE", "ARGON_WORKER"]);
    }

    #[test]
    fn threads_of_a_slot_are_bounded_by_its_share_of_the_cpus() {
        for (share, bound) in [(0, "1"), (1, "1"), (4, "4")] {
            let mut variables = Vec::new();
            bound_threads(&mut variables, share);
            assert_eq!(variables.len(), 1 + LIKE_OPENMP.len() + OTHERS.len());
            assert!(
                variables
                    .iter()
                    .all(|(name, value)| is_bound(name.to_str().expect("UTF-8")) && value == bound)
            );
        }
    }

    #[test]
    fn a_bound_that_the_operator_set_stays_and_no_default_wins_over_it() {
        let set = |names: &[&str]| -> Vec<(OsString, OsString)> {
            let mut variables = names.iter().map(|name| ((*name).into(), "8".into())).collect();
            bound_threads(&mut variables, 2);
            variables
        };
        let value = |variables: &[(OsString, OsString)], name: &str| {
            variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let openmp = set(&[OPENMP]);
        assert_eq!(value(&openmp, OPENMP), Some("8".into()));
        assert_eq!(value(&openmp, "MKL_NUM_THREADS"), None);
        assert_eq!(value(&openmp, "RAYON_NUM_THREADS"), Some("2".into()));
        let library = set(&["MKL_NUM_THREADS"]);
        assert_eq!(value(&library, "MKL_NUM_THREADS"), Some("8".into()));
        assert_eq!(value(&library, OPENMP), Some("2".into()));
    }

    #[test]
    fn a_command_that_sets_openmp_is_not_bounded_by_the_worker() {
        let is_replaced = |name: &str, set: &str| is_replaced(OsStr::new(name), |name| name == set);
        assert!(is_replaced(OPENMP, OPENMP));
        assert!(is_replaced("OPENBLAS_NUM_THREADS", OPENMP));
        assert!(!is_replaced("RAYON_NUM_THREADS", OPENMP));
        assert!(!is_replaced("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"));
    }
}
