//! Dependencies in `Cargo.toml` and `Cargo.lock`, as the rules need them.
//!
//! A reader for the tables that name dependencies, not for TOML: it takes the forms that a dependency
//! can be written in and steps over all other lines.

use std::collections::BTreeMap;

/// One package of the workspace and what its manifest says that it depends on.
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

/// Which part of a manifest a line belongs to.
enum Table {
    Package,
    /// A table of dependencies, one a line.
    Dependencies {
        for_tests_only: bool,
    },
    /// A table that describes the dependency read last, as `[dependencies.serde]` does.
    OneDependency,
    Other,
}

impl Manifest {
    /// Reads a manifest; `None` when it has no package, as the root of a workspace.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut package = None;
        let mut dependencies: Vec<Dependency> = Vec::new();
        let mut table = Table::Other;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            let number = index + 1;
            if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                let (next, dependency) = read_header(header, number);
                table = next;
                dependencies.extend(dependency);
                continue;
            }
            match table {
                Table::Package if package.is_none() => package = string_of(line, "name"),
                Table::Package | Table::Other => {}
                Table::Dependencies { for_tests_only } => {
                    dependencies.extend(read_dependency(line, number, for_tests_only));
                }
                Table::OneDependency => {
                    if let (Some(renamed), Some(last)) = (string_of(line, "package"), dependencies.last_mut())
                    {
                        last.package = renamed;
                    }
                }
            }
        }
        Some(Self { package: package?, dependencies })
    }
}

/// Every package of a `Cargo.lock` with the packages it depends on, all versions of a name as one.
pub(crate) fn locked_dependencies(lock: &str) -> BTreeMap<String, Vec<String>> {
    let mut packages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = String::new();
    for line in lock.lines().map(str::trim) {
        if let Some(name) = string_of(line, "name") {
            current = name;
            packages.entry(current.clone()).or_default();
        } else if let Some(quoted) = line.strip_prefix('"').and_then(|rest| rest.strip_suffix("\",")) {
            let name = quoted.split(' ').next().unwrap_or(quoted);
            packages.entry(current.clone()).or_default().push(name.to_owned());
        }
    }
    packages
}

fn read_header(header: &str, line: usize) -> (Table, Option<Dependency>) {
    let parts: Vec<&str> = header.split('.').collect();
    let kind = |part: &str| match part {
        "dependencies" | "build-dependencies" => Some(false),
        "dev-dependencies" => Some(true),
        _ => None,
    };
    match parts.as_slice() {
        ["package"] => (Table::Package, None),
        ["workspace", ..] => (Table::Other, None),
        [.., last] if kind(last).is_some() => {
            (Table::Dependencies { for_tests_only: kind(last) == Some(true) }, None)
        }
        [.., table, name] => match kind(table) {
            Some(for_tests_only) => {
                let dependency = Dependency { package: unquoted(name), line, for_tests_only };
                (Table::OneDependency, Some(dependency))
            }
            None => (Table::Other, None),
        },
        _ => (Table::Other, None),
    }
}

fn read_dependency(line: &str, number: usize, for_tests_only: bool) -> Option<Dependency> {
    let (key, value) = line.split_once('=')?;
    let name = key.split('.').next().unwrap_or(key).trim();
    if name.is_empty() || name.starts_with(['#', '"', ']', '}']) {
        return None; // a comment, or a line inside a value that spans several
    }
    let renamed = value.split(['{', ',', '}']).find_map(|field| string_of(field.trim(), "package"));
    Some(Dependency { package: renamed.unwrap_or_else(|| unquoted(name)), line: number, for_tests_only })
}

/// The value of `key = "value"`, if the line is that.
fn string_of(line: &str, key: &str) -> Option<String> {
    let value = line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim();
    let inner = value.strip_prefix('"')?;
    Some(inner.split('"').next().unwrap_or(inner).to_owned())
}

fn unquoted(name: &str) -> String {
    name.trim().trim_matches('"').to_owned()
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
