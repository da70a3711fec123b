//! Rule: dependencies between our crates run one way, and the pure crates stay pure.
//!
//! Owns the table of arrows, the same that `ARCHITECTURE.md` draws, and the list of packages that
//! would bring a clock, chance or the outside world into the crates that must decide without them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Finding;
use crate::manifest::{self, Manifest};
use crate::tree::Tree;

/// Each crate under `crates/` and those of ours that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("argon-proto", &[]),
    ("argon-core", &["argon-proto"]),
    ("argon-session", &["argon-proto"]),
    ("argon-sim", &["argon-core", "argon-proto", "argon-session"]),
    ("argon-macros", &[]),
    ("argon-net", &["argon-proto"]),
    ("argon", &["argon-macros", "argon-net", "argon-proto", "argon-session"]),
    ("argon-node", &["argon", "argon-core", "argon-net", "argon-proto"]),
];

/// Crates whose behaviour is a function of their inputs alone.
const PURE: &[&str] = &["argon-proto", "argon-core", "argon-session"];

/// Packages that a pure crate must not reach, directly or through another package, and why.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "waits and moves bytes"),
    ("mio", "waits and moves bytes"),
    ("socket2", "opens sockets"),
    ("nix", "calls the system"),
    ("rustix", "calls the system"),
    ("rand", "is chance"),
    ("fastrand", "is chance"),
    ("getrandom", "is chance"),
    ("chrono", "reads the clock"),
    ("jiff", "reads the clock"),
    ("time", "reads the clock"),
];

/// A manifest of the workspace with the path it was read from.
type Member = (String, Manifest);

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let members: Vec<Member> = tree
        .files
        .iter()
        .filter(|file| file.name() == "Cargo.toml")
        .filter_map(|file| Some((file.path.clone(), Manifest::parse(&file.text)?)))
        .collect();
    let lock =
        tree.file("Cargo.lock").map_or_else(BTreeMap::new, |file| manifest::locked_dependencies(&file.text));
    let mut findings = wrong_arrows(&members);
    findings.extend(impurities(&members, &lock));
    findings
}

fn wrong_arrows(members: &[Member]) -> Vec<Finding> {
    let ours: BTreeSet<&str> = members.iter().map(|(_, manifest)| manifest.package.as_str()).collect();
    let mut findings = Vec::new();
    for (path, manifest) in members.iter().filter(|(path, _)| path.starts_with("crates/")) {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == manifest.package) else {
            findings.push(Finding {
                path: path.clone(),
                line: None,
                problem: format!("the crate {} is not in the table of arrows", manifest.package),
                remedy: "add it to ARROWS in xtask/src/tidy/arrows.rs, with the crates it may depend on, \
                         and draw it in ARCHITECTURE.md"
                    .into(),
            });
            continue;
        };
        for dependency in &manifest.dependencies {
            let name = dependency.package.as_str();
            if ours.contains(name) && !allowed.contains(&name) {
                let may = if allowed.is_empty() { "no crate of ours".into() } else { allowed.join(", ") };
                findings.push(Finding {
                    path: path.clone(),
                    line: Some(dependency.line),
                    problem: format!("{} depends on {name}, against the arrows", manifest.package),
                    remedy: format!(
                        "it may depend on {may}: move what it needs down into one of those, or hand it \
                         in as an argument"
                    ),
                });
            }
        }
    }
    findings
}

fn impurities(members: &[Member], lock: &BTreeMap<String, Vec<String>>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, manifest) in members.iter().filter(|(_, m)| PURE.contains(&m.package.as_str())) {
        for dependency in manifest.dependencies.iter().filter(|d| !d.for_tests_only) {
            let Some((way, why)) = way_to_impurity(&dependency.package, members, lock) else { continue };
            findings.push(Finding {
                path: path.clone(),
                line: Some(dependency.line),
                problem: format!("{} must stay pure but reaches {way}, which {why}", manifest.package),
                remedy: "time, chance and the outside world are arguments here: let the caller read them, \
                         or turn off the feature that brings this in"
                    .into(),
            });
        }
    }
    findings
}

/// The shortest way from a package to an impure one, as `a → b → c`, and what is wrong with its end.
fn way_to_impurity(
    start: &str,
    members: &[Member],
    lock: &BTreeMap<String, Vec<String>>,
) -> Option<(String, &'static str)> {
    let mut seen = BTreeSet::from([start.to_owned()]);
    let mut ways = VecDeque::from([vec![start.to_owned()]]);
    while let Some(way) = ways.pop_front() {
        let end = way.last()?;
        if let Some((_, why)) = IMPURE.iter().find(|(name, _)| name == end) {
            return Some((way.join(" → "), why));
        }
        for next in needs_of(end, members, lock) {
            if seen.insert(next.clone()) {
                ways.push_back(way.iter().cloned().chain([next]).collect());
            }
        }
    }
    None
}

/// Packages that a package needs to run. The lock file mixes a member's test dependencies with its real ones, so
/// for members the manifest is asked.
fn needs_of(package: &str, members: &[Member], lock: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    match members.iter().find(|(_, manifest)| manifest.package == package) {
        Some((_, manifest)) => {
            let real = manifest.dependencies.iter().filter(|d| !d.for_tests_only);
            real.map(|dependency| dependency.package.clone()).collect()
        }
        None => lock.get(package).cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(package: &str, dependencies: &str) -> String {
        format!("[package]\nname = \"{package}\"\n{dependencies}\n")
    }

    fn problems(files: &[(&str, String)]) -> Vec<String> {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        findings(&Tree::of(&files)).into_iter().map(|finding| finding.problem).collect()
    }

    const PROTO: &str = "crates/argon-proto/Cargo.toml";
    const CORE: &str = "crates/argon-core/Cargo.toml";

    #[test]
    fn an_arrow_of_the_table_is_welcome() {
        let files = [
            (PROTO, manifest("argon-proto", "[dependencies]\nbytes = \"1\"")),
            (CORE, manifest("argon-core", "[dependencies]\nargon-proto.workspace = true")),
        ];
        assert_eq!(problems(&files), [""; 0]);
    }

    #[test]
    fn an_arrow_against_the_table_is_found_even_for_tests() {
        let files = [
            (PROTO, manifest("argon-proto", "[dev-dependencies]\nargon-core.workspace = true")),
            (CORE, manifest("argon-core", "")),
        ];
        assert_eq!(problems(&files), ["argon-proto depends on argon-core, against the arrows"]);
    }

    #[test]
    fn an_unknown_crate_asks_for_its_row() {
        let files = [("crates/argon-extra/Cargo.toml", manifest("argon-extra", ""))];
        assert_eq!(problems(&files), ["the crate argon-extra is not in the table of arrows"]);
    }

    #[test]
    fn a_pure_crate_may_not_reach_chance_through_another_package() {
        let lock = "[[package]]\nname = \"uuid\"\ndependencies = [\n \"getrandom\",\n]\n";
        let files =
            [(CORE, manifest("argon-core", "[dependencies]\nuuid = \"1\"")), ("Cargo.lock", lock.to_owned())];
        assert_eq!(
            problems(&files),
            ["argon-core must stay pure but reaches uuid → getrandom, which is chance"]
        );
    }

    #[test]
    fn tests_of_a_pure_crate_may_use_chance() {
        let files = [(CORE, manifest("argon-core", "[dev-dependencies]\nrand = \"0.9\""))];
        assert_eq!(problems(&files), [""; 0]);
    }
}
