//! Imports between the files of one crate: its `use` items, resolved to the file that defines the name.

use std::collections::BTreeMap;

use syn::visit::{self, Visit};
use syn::{Attribute, File, ItemMod, ItemUse, UseTree, Visibility};

use super::Imports;
use crate::tree::Tree;

/// Re-exports that are followed to the definition of a name.
const HOPS_MAX: usize = 8;

/// A file of the crate as a module.
struct Module<'a> {
    path: &'a str,
    /// Paths in `use` items; the last part may be `*`.
    uses: Vec<Vec<String>>,
    /// Names that it gives on from other modules.
    exports: Vec<(String, Vec<String>)>,
}

type Modules<'a> = BTreeMap<Vec<String>, Module<'a>>;

pub(super) fn imports<'a>(tree: &'a Tree, folder: &str) -> Imports<'a> {
    let files = tree.files.iter().filter(|file| file.path.starts_with(folder) && file.path.ends_with(".rs"));
    let modules: Modules = files
        .filter_map(|file| {
            let name = module_name(&file.path[folder.len()..]);
            let is_test = name.iter().any(|part| part == "tests");
            let parsed = if is_test { None } else { syn::parse_file(&file.text).ok() }?;
            Some((name, Module::new(&file.path, &parsed)))
        })
        .collect();
    let needed = |name: &Vec<String>, module: &Module<'a>| {
        let found = module.uses.iter().filter_map(|path| resolve(&modules, name, path, HOPS_MAX));
        found.filter(|path| *path != module.path && !is_above(path, module.path)).collect()
    };
    modules.iter().map(|(name, module)| (module.path, needed(name, module))).collect()
}

/// True if a file is that of a module around the other's: `store.rs` is above `store/disk.rs`. A module and those inside
/// of it are one unit; files below may use what the file above declares.
fn is_above(file: &str, other: &str) -> bool {
    let folder = file.trim_end_matches(".rs");
    other.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// `["manager", "store"]` of `manager/store.rs`.
fn module_name(path: &str) -> Vec<String> {
    let path = path.trim_end_matches(".rs");
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("lib" | "main" | "mod")) {
        parts.pop();
    }
    parts
}

/// The file that a path of a `use` item in module `from` leads to; `None` if it leaves the crate.
fn resolve<'a>(modules: &Modules<'a>, from: &[String], path: &[String], hops: usize) -> Option<&'a str> {
    let mut place = from.to_vec();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => place.clear(),
        "self" => {}
        "super" => drop(place.pop()?),
        first => {
            // A child module; other first names are packages.
            place.push(first.to_owned());
            modules.contains_key(&place).then_some(())?;
        }
    }
    rest = &rest[1..];
    while let Some(part) = rest.first() {
        if part == "super" {
            place.pop()?;
        } else {
            let child = [place.as_slice(), std::slice::from_ref(part)].concat();
            if !modules.contains_key(&child) {
                break;
            }
            place = child;
        }
        rest = &rest[1..];
    }
    let module = modules.get(&place)?;
    let export = rest.first().and_then(|name| module.exports.iter().find(|(known, _)| known == name));
    let given_on = match export {
        Some((_, target)) if hops > 0 => resolve(modules, &place, target, hops - 1),
        Some(_) | None => None,
    };
    Some(given_on.unwrap_or(module.path))
}

impl<'a> Module<'a> {
    fn new(path: &'a str, parsed: &File) -> Self {
        let mut module = Self { path, uses: Vec::new(), exports: Vec::new() };
        module.visit_file(parsed);
        module
    }
}

impl<'ast> Visit<'ast> for Module<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if is_for_tests(&item.attrs) {
            return;
        }
        let mut paths = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut paths);
        let is_export = !matches!(item.vis, Visibility::Inherited);
        for (name, path) in paths {
            if is_export {
                self.exports.push((name, path));
            } else {
                self.uses.push(path);
            }
        }
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

/// The paths of a `use` tree, each with the name that it brings.
fn flatten(tree: &UseTree, before: &mut Vec<String>, paths: &mut Vec<(String, Vec<String>)>) {
    let mut add = |name: String, last: String| {
        let mut path = before.clone();
        if last != "self" {
            path.push(last);
        }
        paths.push((name, path));
    };
    match tree {
        UseTree::Name(name) => add(name.ident.to_string(), name.ident.to_string()),
        UseTree::Rename(name) => add(name.rename.to_string(), name.ident.to_string()),
        UseTree::Glob(_) => add("*".to_owned(), "*".to_owned()),
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, paths);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, paths)),
    }
}
