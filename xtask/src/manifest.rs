//! Dependencies in `Cargo.toml` and `Cargo.lock`, as the rules need them.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

/// One package of the workspace and its dependencies.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) package: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One dependency as written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The package's own name, also when the manifest calls it otherwise.
    pub(crate) package: String,
    /// Line in the manifest, from 1.
    pub(crate) line: usize,
    /// True if only tests, examples and benchmarks see it.
    pub(crate) for_tests_only: bool,
}

impl Manifest {
    /// Reads a manifest; `None` when it has no package, as the root of a workspace.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let root = DeTable::parse(text).ok()?;
        let root = root.get_ref();
        let package = table_in(root, "package")?.get("name")?.get_ref().as_str()?.to_owned();
        let mut dependencies = Vec::new();
        add_dependencies(root, text, &mut dependencies);
        for (_, target) in table_in(root, "target").into_iter().flatten() {
            if let DeValue::Table(target) = target.get_ref() {
                add_dependencies(target, text, &mut dependencies);
            }
        }
        dependencies.sort_by_key(|dependency| dependency.line);
        Some(Self { package, dependencies })
    }
}

/// Every package of a `Cargo.lock` with the packages it depends on, all versions of a name as one.
pub(crate) fn locked_dependencies(lock: &str) -> BTreeMap<String, Vec<String>> {
    let lock: LockFile = toml::from_str(lock).unwrap_or_default();
    let mut packages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for LockedPackage { name, dependencies } in lock.package {
        // A dependency with several versions is named with its version.
        let names = dependencies.iter().filter_map(|dependency| dependency.split(' ').next());
        packages.entry(name).or_default().extend(names.map(str::to_owned));
    }
    packages
}

#[derive(Default, Deserialize)]
struct LockFile {
    #[serde(default)]
    package: Vec<LockedPackage>,
}

#[derive(Deserialize)]
struct LockedPackage {
    name: String,
    #[serde(default)]
    dependencies: Vec<String>,
}

fn table_in<'a, 'b>(table: &'a DeTable<'b>, name: &str) -> Option<&'a DeTable<'b>> {
    table.get(name)?.get_ref().as_table()
}

fn add_dependencies(table: &DeTable, text: &str, dependencies: &mut Vec<Dependency>) {
    for (section, for_tests_only) in
        [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
    {
        for (name, value) in table_in(table, section).into_iter().flatten() {
            let options = value.get_ref().as_table();
            let renamed = options.and_then(|options| options.get("package")?.get_ref().as_str());
            let package = renamed.unwrap_or(name.get_ref()).to_owned();
            let line = 1 + text[..name.span().start].matches('\n').count();
            dependencies.push(Dependency { package, line, for_tests_only });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(manifest: &str) -> Vec<(String, bool)> {
        let parsed = Manifest::parse(manifest).expect("the manifest has a package");
        parsed.dependencies.into_iter().map(|d| (d.package, d.for_tests_only)).collect()
    }

    #[test]
    fn every_form_of_a_dependency_is_read() {
        let manifest = r#"
            [package]
            name = "argon-core"
            [dependencies]
            bytes = "1"
            argon-proto.workspace = true
            json = { version = "1", package = "serde_json" }
            serde = { version = "1", features = [
                "derive",
            ] }
            # tokio = "1"
            [dependencies.thiserror]
            version = "2"
            [target.'cfg(unix)'.dependencies]
            nix = "0.30"
            [dev-dependencies]
            proptest = "1"
            [build-dependencies.compiler]
            package = "cc"
        "#;
        let expected = [
            ("bytes", false),
            ("argon-proto", false),
            ("serde_json", false),
            ("serde", false),
            ("thiserror", false),
            ("nix", false),
            ("proptest", true),
            ("cc", false),
        ];
        assert_eq!(names(manifest), expected.map(|(name, tests)| (name.to_owned(), tests)));
    }

    #[test]
    fn a_workspace_root_is_no_package() {
        assert!(Manifest::parse("[workspace.dependencies]\ntokio = \"1\"\n").is_none());
    }

    #[test]
    fn a_lock_file_tells_who_needs_whom() {
        let lock = "[[package]]\nname = \"uuid\"\nversion = \"1.0.0\"\ndependencies = [\n \"getrandom 0.3.1\",\n \"serde\",\n]\n";
        let packages = locked_dependencies(lock);
        assert_eq!(packages["uuid"], ["getrandom", "serde"]);
    }
}
