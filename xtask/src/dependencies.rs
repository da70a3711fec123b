//! `cargo xtask dependencies`: the packages of others that we build, tested against `deny.toml`.
//!
//! Owns four rules: every licence is allowed, every package comes from crates.io, no package has two versions unless
//! `deny.toml` says why, and the lock file stays small. Reads what `cargo metadata` prints, without a network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use cargo_metadata::MetadataCommand;
use serde::Deserialize;
use spdx::{Expression, LicenseReq, ParseMode};

use crate::manifest;
use crate::tidy::Finding;
use crate::tree::Tree;

const POLICY: &str = "deny.toml";
const LOCK: &str = "Cargo.lock";
/// Packages in the lock file at most, ours included.
const PACKAGES_MAX: usize = 400;
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// One package that is built.
#[derive(Debug)]
struct Package {
    name: String,
    version: String,
    licence: String,
    source: String,
}

/// The exceptions of `deny.toml`.
#[derive(Debug, Default)]
struct Policy {
    licences: BTreeSet<String>,
    doubled: BTreeSet<String>,
}

/// The part of `deny.toml` that is read here.
#[derive(Deserialize)]
struct DenyFile {
    licenses: DenyLicences,
    bans: DenyBans,
}

#[derive(Deserialize)]
struct DenyLicences {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct DenyBans {
    skip: Vec<SkippedCrate>,
}

#[derive(Deserialize)]
struct SkippedCrate {
    #[serde(rename = "crate")]
    name: String,
}

/// Packages that break a rule.
///
/// # Errors
/// If cargo cannot list the packages.
pub(crate) fn findings(tree: &Tree) -> Result<Vec<Finding>, String> {
    let policy = tree.file(POLICY).map(|file| Policy::read(&file.text)).transpose();
    let policy = policy.map_err(|error| format!("{POLICY}: {error}"))?.unwrap_or_default();
    let locked = tree.file(LOCK).map_or(0, |file| manifest::locked_dependencies(&file.text).len());
    let packages = built_packages()?;
    let mut findings = broken(&packages, &policy);
    if locked > PACKAGES_MAX {
        findings.push(finding(
            LOCK,
            format!("it lists {locked} packages"),
            "find what brought them: `cargo tree`",
        ));
    }
    Ok(findings)
}

impl Policy {
    /// Reads the two lists of `deny.toml`; cargo-deny reads the rest.
    ///
    /// # Errors
    /// If it is not what cargo-deny reads.
    fn read(text: &str) -> Result<Self, toml::de::Error> {
        let DenyFile { licenses, bans } = toml::from_str(text)?;
        let doubled = bans.skip.into_iter().map(|skipped| skipped.name).collect();
        Ok(Self { licences: licenses.allow, doubled })
    }

    fn allows(&self, licence: &str) -> Result<bool, String> {
        let expression =
            Expression::parse_mode(licence, ParseMode::LAX).map_err(|error| error.reason.to_string())?;
        let is_allowed = |asked: &LicenseReq| self.licences.contains(&asked.to_string());
        Ok(expression.evaluate(is_allowed))
    }
}

fn broken(packages: &[Package], policy: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        let Package { name, version, licence, source } = package;
        versions.entry(name).or_default().insert(version);
        match policy.allows(licence) {
            Ok(true) => {}
            Ok(false) => findings.push(finding(
                POLICY,
                format!("{name} {version} is under \"{licence}\", which is not allowed"),
                "use another package; or allow the licence, if this project may be shipped with it",
            )),
            Err(why) => findings.push(finding(
                POLICY,
                format!("the licence of {name} {version}, \"{licence}\", cannot be read: {why}"),
                "use a package that states its licence as an SPDX expression",
            )),
        }
        if source != CRATES_IO {
            findings.push(finding(
                LOCK,
                format!("{name} {version} comes from {source}"),
                "take it from crates.io, so that others can build this without us",
            ));
        }
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        if !policy.doubled.contains(*name) {
            let list = versions.iter().copied().collect::<Vec<_>>().join(" and ");
            findings.push(finding(
                POLICY,
                format!("{name} is built as {list}"),
                "`cargo tree -d` shows who asks for which; if nothing can be moved, add a row to `skip`",
            ));
        }
    }
    findings
}

/// Packages of others that the workspace needs on this platform, tests included.
fn built_packages() -> Result<Vec<Package>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let platform = rustc_host()?;
    let metadata = MetadataCommand::new()
        .current_dir(root)
        .other_options(["--offline", "--filter-platform", &platform].map(str::to_owned))
        .exec()
        .map_err(|error| error.to_string())?;
    // A path of ours has no source.
    let foreign = metadata.packages.into_iter().filter_map(|package| {
        Some(Package {
            source: package.source?.repr,
            name: package.name.to_string(),
            version: package.version.to_string(),
            licence: package.license.unwrap_or_default(),
        })
    });
    Ok(foreign.collect())
}

/// The platform of this compiler, such as `x86_64-unknown-linux-gnu`.
fn rustc_host() -> Result<String, String> {
    let printed = Command::new("rustc").arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&printed.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc names no host platform".to_owned())
}

fn finding(path: &str, problem: String, remedy: &str) -> Finding {
    Finding { path: path.into(), line: None, problem, remedy: remedy.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[licenses]\nallow = [\n    \"MIT\",\n    \"Apache-2.0\",\n]\n[bans]\nskip = [\n    \
                        { crate = \"syn\", reason = \"a \\\"derive\\\"\" },\n]\n";

    fn package(name: &str, version: &str, licence: &str) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            licence: licence.into(),
            source: CRATES_IO.into(),
        }
    }

    fn problems(packages: &[Package]) -> Vec<String> {
        broken(packages, &Policy::read(TEXT).expect("TOML"))
            .into_iter()
            .map(|finding| finding.problem)
            .collect()
    }

    #[test]
    fn one_of_several_offered_licences_is_enough_and_all_of_several_demanded_are_needed() {
        let packages =
            ["MIT", "GPL-3.0-only OR MIT", "MIT/Apache-2.0", "(MIT OR GPL-2.0-only) AND Apache-2.0"];
        assert_eq!(problems(&packages.map(|licence| package("a", "1.0.0", licence))), [""; 0]);
        for licence in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "Apache-2.0 WITH LLVM-exception", "", "mine"]
        {
            assert_eq!(problems(&[package("a", "1.0.0", licence)]).len(), 1, "{licence}");
        }
    }

    #[test]
    fn two_versions_need_a_row_that_says_why() {
        let both = |name| [package(name, "1.0.0", "MIT"), package(name, "2.0.0", "MIT")];
        assert_eq!(problems(&both("nom")), ["nom is built as 1.0.0 and 2.0.0"]);
        assert_eq!(problems(&both("syn")), [""; 0]);
    }

    #[test]
    fn a_package_from_elsewhere_is_found() {
        let elsewhere =
            Package { source: "git+https://example.org/a".into(), ..package("a", "1.0.0", "MIT") };
        assert_eq!(problems(&[elsewhere]), ["a 1.0.0 comes from git+https://example.org/a"]);
    }
}
