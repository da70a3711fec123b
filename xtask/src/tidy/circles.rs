//! Rule: files of a crate, and modules of the Python package, do not import each other in a circle.
//!
//! A circle means that none of its files can be read alone. Owns the search for circles; `rust` and `python` find the
//! imports.

mod python;
mod rust;

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use crate::tree::Tree;

/// Source folders whose files must not import each other in a circle.
const CRATES: [&str; 7] = [
    "crates/argon/src/",
    "crates/argon-core/src/",
    "crates/argon-net/src/",
    "crates/argon-node/src/",
    "crates/argon-proto/src/",
    "crates/argon-session/src/",
    "crates/argon-sim/src/",
];
const PYTHON: &str = "python/src/argon/";

/// Imports by file: for each one, the files that it needs.
type Imports<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let rust = CRATES.iter().map(|folder| rust::imports(tree, folder));
    rust.chain([python::imports(tree, PYTHON)]).flat_map(|imports| circles(&imports)).collect()
}

fn circles(imports: &Imports) -> Vec<Finding> {
    let reachable: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|file| (*file, reachable(imports, file))).collect();
    let is_mutual = |one: &str, other: &str| reachable[one].contains(other) && reachable[other].contains(one);
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for file in imports.keys() {
        let circle: Vec<&str> = imports.keys().filter(|other| is_mutual(file, other)).copied().collect();
        if circle.is_empty() || !seen.insert(circle.clone()) {
            continue;
        }
        let edges: Vec<String> = circle
            .iter()
            .flat_map(|from| {
                let inside = imports[from].iter().filter(|to| circle.contains(to));
                inside.map(move |to| format!("{from} imports {to}"))
            })
            .collect();
        findings.push(Finding {
            path: (*file).to_owned(),
            line: None,
            problem: format!("{} files import each other in a circle", circle.len()),
            remedy: format!(
                "move what they share into a file below them, or pass it as an argument; {}",
                edges.join(", ")
            ),
        });
    }
    findings
}

/// Files that can be reached by imports; the file itself only if it is part of a circle.
fn reachable<'a>(imports: &Imports<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = imports[from].iter().copied().collect();
    while let Some(file) = open.pop() {
        if reached.insert(file)
            && let Some(next) = imports.get(file)
        {
            open.extend(next);
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        let found = findings(&Tree::of(files));
        found.into_iter().map(|finding| format!("{}: {}", finding.path, finding.remedy)).collect()
    }

    #[test]
    fn files_that_import_each_other_are_found_once_with_the_imports() {
        let found = problems(&[
            ("crates/argon/src/lib.rs", "mod a;\nmod b;\nmod c;\n"),
            ("crates/argon/src/a.rs", "use crate::b::B;\npub struct A(B);\n"),
            ("crates/argon/src/b.rs", "use super::c;\npub struct B;\n"),
            ("crates/argon/src/c.rs", "fn f() { use crate::a::A; }\n"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("a.rs imports crates/argon/src/b.rs"), "{found:?}");
        assert!(found[0].contains("c.rs imports crates/argon/src/a.rs"), "{found:?}");
    }

    #[test]
    fn an_import_through_a_re_export_counts_as_one_of_the_definition() {
        let below = ("crates/argon/src/a/below.rs", "pub struct Below;\n");
        let through = [
            ("crates/argon/src/lib.rs", "mod a;\nmod b;\n"),
            ("crates/argon/src/a.rs", "mod below;\npub use below::Below;\npub use self::below::*;\n"),
            below,
            ("crates/argon/src/b.rs", "use crate::a::Below;\n"),
        ];
        assert_eq!(problems(&through), [""; 0]);
        let mut circle = through;
        circle[2].1 = "use crate::b::B;\npub struct Below;\n";
        assert_eq!(problems(&circle).len(), 1);
    }

    #[test]
    fn files_inside_of_a_module_may_use_it_and_not_each_other_in_a_circle() {
        let parent =
            ("crates/argon/src/p.rs", "mod one;\nmod two;\nuse one::One;\npub struct Parent(Box<One>);\n");
        let one = ("crates/argon/src/p/one.rs", "use super::Parent;\npub struct One(Parent);\n");
        let lib = ("crates/argon/src/lib.rs", "mod p;\n");
        assert_eq!(problems(&[lib, parent, one]), [""; 0]);
        let one = (one.0, "use super::two::Two;\npub struct One(Two);\n");
        let two = ("crates/argon/src/p/two.rs", "use crate::p::one::One;\npub struct Two(Box<One>);\n");
        assert_eq!(problems(&[lib, parent, one, two]).len(), 1);
    }

    #[test]
    fn imports_of_tests_do_not_count() {
        let a = "use crate::b::B;\npub struct A;\n";
        let b = "pub struct B;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n";
        let lib = ("crates/argon/src/lib.rs", "mod a;\nmod b;\n");
        assert_eq!(problems(&[lib, ("crates/argon/src/a.rs", a), ("crates/argon/src/b.rs", b)]), [""; 0]);
    }

    #[test]
    fn python_modules_are_looked_at_too_with_imports_inside_of_functions() {
        let a = "from .b import (\n    one,\n    two,\n)\n";
        let b = "def f():\n    from argon import a\n";
        let init = "from .a import thing\n";
        let files = [
            ("python/src/argon/__init__.py", init),
            ("python/src/argon/a.py", a),
            ("python/src/argon/b.py", b),
        ];
        let found = problems(&files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("python/src/argon/a.py"), "{found:?}");
        let typed =
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import one\n\nimport os\n";
        assert_eq!(problems(&[files[0], files[1], ("python/src/argon/b.py", typed)]), [""; 0]);
    }
}
