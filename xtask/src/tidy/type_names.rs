//! Rule: a type has a name that says what it is, and no other type of its crate has that name.
//!
//! Looks at structs, enums, traits and aliases of our crates, tests excluded.

use std::collections::BTreeMap;

use syn::visit::{self, Visit};
use syn::{Attribute, Ident, ItemEnum, ItemFn, ItemMod, ItemStruct, ItemTrait, ItemType};

use super::Finding;
use crate::tree::{SourceFile, Tree};

/// Words that name a type only together with another word.
const GENERIC: [&str; 13] = [
    "End", "Item", "Kind", "Link", "Meta", "Output", "Peer", "Place", "Plan", "State", "Turn", "What", "Why",
];

/// Names that several types of one crate have on purpose: crate, name, why.
const SHARED: [(&str, &str, &str); 8] = [
    ("argon", "Client", "the blocking client mirrors the asynchronous one"),
    ("argon", "Completed", "the blocking client mirrors the asynchronous one"),
    ("argon", "Deferred", "the blocking client mirrors the asynchronous one"),
    ("argon", "Map", "the blocking client mirrors the asynchronous one"),
    ("argon-core", "Effect", "each state machine has its own"),
    ("argon-core", "Input", "each state machine has its own"),
    ("argon-core", "Limits", "each state machine has its own"),
    ("argon-core", "Out", "each state machine has its own"),
];

/// Folders with names that are known and not yet better.
const KNOWN: [&str; 0] = [];

/// A type: its file and line.
type Places<'a> = BTreeMap<String, Vec<(&'a str, usize)>>;

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut crates: BTreeMap<&str, Places> = BTreeMap::new();
    for file in &tree.files {
        if let Some(name) = crate_of(file) {
            let places = crates.entry(name).or_default();
            for (ident, line) in Types::of(file) {
                places.entry(ident).or_default().push((&file.path, line));
            }
        }
    }
    crates.iter().flat_map(|(name, places)| findings_of(name, places)).collect()
}

fn findings_of(name: &str, places: &Places) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (ident, places) in places {
        if places.iter().any(|(path, _)| KNOWN.iter().any(|known| path.starts_with(known))) {
            continue;
        }
        let (path, line) = places[0];
        let finding = |problem: String, remedy: &str| Finding {
            path: path.to_owned(),
            line: Some(line),
            problem,
            remedy: remedy.to_owned(),
        };
        if GENERIC.contains(&ident.as_str()) {
            findings.push(finding(
                format!("the type name `{ident}` says nothing alone"),
                "put the noun before it that says whose it is",
            ));
        }
        let is_shared = SHARED.iter().any(|(owner, shared, _)| owner == &name && shared == ident);
        if places.len() > 1 && !is_shared {
            let others: Vec<String> =
                places[1..].iter().map(|(path, line)| format!("{path}:{line}")).collect();
            findings.push(finding(
                format!("another type of {name} is called `{ident}` too: {}", others.join(", ")),
                "give each a name of its own",
            ));
        }
    }
    findings
}

/// The crate of a source file under `crates/`, tests excluded.
fn crate_of(file: &SourceFile) -> Option<&str> {
    let (name, rest) = file.path.strip_prefix("crates/")?.split_once("/src/")?;
    let is_test = rest.split(['/', '.']).any(|part| part == "tests");
    (rest.ends_with(".rs") && !is_test).then_some(name)
}

/// Collects the types of a file with their lines.
#[derive(Default)]
struct Types {
    found: Vec<String>,
}

impl Types {
    fn of(file: &SourceFile) -> Vec<(String, usize)> {
        let Ok(parsed) = syn::parse_file(&file.text) else { return Vec::new() };
        let mut types = Self::default();
        types.visit_file(&parsed);
        let line = |ident: &str| file.numbered_lines().find(|(_, line)| declares(line, ident));
        types
            .found
            .into_iter()
            .map(|ident| {
                let line = line(&ident).map_or(1, |(number, _)| number);
                (ident, line)
            })
            .collect()
    }

    fn add(&mut self, ident: &Ident) {
        self.found.push(ident.to_string());
    }
}

fn declares(line: &str, ident: &str) -> bool {
    ["struct", "enum", "trait", "type"].iter().any(|word| {
        line.split_once(&format!("{word} {ident}")).is_some_and(|(_, rest)| {
            !rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
        })
    })
}

impl<'ast> Visit<'ast> for Types {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    // Types inside of functions are seen by that function alone.
    fn visit_item_fn(&mut self, _: &'ast ItemFn) {}

    fn visit_impl_item_fn(&mut self, _: &'ast syn::ImplItemFn) {}

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.add(&item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.add(&item.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.add(&item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast ItemType) {
        self.add(&item.ident);
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        findings(&Tree::of(files)).into_iter().map(|finding| finding.problem).collect()
    }

    #[test]
    fn a_generic_name_alone_is_found_and_one_with_a_noun_is_not() {
        let text = "pub struct RunState;\nenum State { A }\nimpl Iterator for RunState { type Item = u8; }\n";
        assert_eq!(problems(&[("crates/x/src/lib.rs", text)]), ["the type name `State` says nothing alone"]);
    }

    #[test]
    fn two_types_of_one_name_are_found_in_a_crate_and_not_across_crates() {
        let a = ("crates/x/src/a.rs", "struct Batch;\n");
        let b = ("crates/x/src/b.rs", "\ntype Batch = u8;\n");
        let other = ("crates/y/src/b.rs", "struct Batch;\n");
        assert_eq!(
            problems(&[a, b, other]),
            ["another type of x is called `Batch` too: crates/x/src/b.rs:2"]
        );
        assert_eq!(problems(&[a, other]), [""; 0]);
    }

    #[test]
    fn types_of_tests_and_inside_of_functions_do_not_count() {
        let text = "struct Batch;\nfn f() { struct Batch; }\n#[cfg(test)]\nmod tests { struct Batch; struct State; }\n";
        let tests = ("crates/x/src/a/tests.rs", "struct Batch;\n");
        assert_eq!(problems(&[("crates/x/src/a.rs", text), tests]), [""; 0]);
    }
}
