//! Imports between the modules of the Python package, also inside of functions; those for type checkers do not count.

use std::collections::{BTreeMap, BTreeSet};

use super::Imports;
use crate::tree::{SourceFile, Tree};

const PACKAGE: &str = "argon";

type Modules<'a> = BTreeMap<String, &'a SourceFile>;

pub(super) fn imports<'a>(tree: &'a Tree, folder: &str) -> Imports<'a> {
    let files = tree.files.iter().filter(|file| file.path.starts_with(folder) && file.path.ends_with(".py"));
    let modules: Modules = files.map(|file| (module_name(&file.path[folder.len()..]), file)).collect();
    let needed = |name: &str, file: &SourceFile| {
        let is_package = file.name() == "__init__.py";
        let found = imported(&file.text, name, is_package).into_iter();
        found.filter_map(|path| definition(&modules, &path)).filter(|path| *path != file.path).collect()
    };
    // What a package's own file gives on is no import of it; see `definition`.
    let is_module = |file: &SourceFile| file.name() != "__init__.py";
    modules
        .iter()
        .map(|(name, file)| {
            (file.path.as_str(), if is_module(file) { needed(name, file) } else { BTreeSet::new() })
        })
        .collect()
}

/// `argon._wire.frames` of `_wire/frames.py`.
fn module_name(path: &str) -> String {
    let path = path.trim_end_matches(".py").trim_end_matches("__init__").trim_end_matches('/');
    if path.is_empty() { PACKAGE.to_owned() } else { format!("{PACKAGE}.{}", path.replace('/', ".")) }
}

/// The file of the longest beginning of a dotted path that is a module; a package that gives the name on leads further.
fn definition<'a>(modules: &Modules<'a>, path: &str) -> Option<&'a str> {
    let mut module = path;
    while !modules.contains_key(module) {
        module = module.rsplit_once('.')?.0;
    }
    let file = modules[module];
    if file.name() == "__init__.py" && module != path {
        let name = path[module.len() + 1..].split('.').next()?;
        let given_on = imported(&file.text, module, true);
        let target = given_on.into_iter().find(|target| {
            target.rsplit('.').next() == Some(name) && target != path && !modules.contains_key(target)
        });
        if let Some(target) = target {
            return definition(modules, &target);
        }
    }
    Some(file.path.as_str())
}

/// Dotted paths of all names that a text imports from this package.
fn imported(text: &str, module: &str, is_package: bool) -> Vec<String> {
    let mut paths = Vec::new();
    let mut for_checkers: Option<usize> = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let mut statement = line.trim().to_owned();
        if for_checkers.is_some_and(|outer| indent <= outer && !statement.is_empty()) {
            for_checkers = None;
        }
        if statement.starts_with("if ") && statement.contains("TYPE_CHECKING") {
            for_checkers = Some(indent);
        }
        if for_checkers.is_some() || !(statement.starts_with("from ") || statement.starts_with("import ")) {
            continue;
        }
        while statement.contains('(') && !statement.contains(')') {
            let Some(more) = lines.next() else { break };
            statement.push_str(more.split('#').next().unwrap_or_default());
        }
        paths.extend(paths_of(&statement, module, is_package));
    }
    paths
}

fn paths_of(statement: &str, module: &str, is_package: bool) -> Vec<String> {
    let plain = |name: &str| name.split(" as ").next().unwrap_or(name).trim().to_owned();
    if let Some(names) = statement.strip_prefix("import ") {
        return names.split(',').map(plain).filter(|name| is_ours(name)).collect();
    }
    let Some((from, names)) =
        statement.strip_prefix("from ").and_then(|statement| statement.split_once(" import "))
    else {
        return Vec::new();
    };
    let Some(base) = base(from.trim(), module, is_package) else { return Vec::new() };
    let names = names.split('#').next().unwrap_or(names);
    names
        .trim_matches(|letter| matches!(letter, '(' | ')' | ' '))
        .split(',')
        .map(plain)
        .filter(|name| !name.is_empty())
        .map(|name| format!("{base}.{name}"))
        .collect()
}

fn is_ours(path: &str) -> bool {
    path == PACKAGE || path.starts_with("argon.")
}

/// The module that `from` names, seen from `module`; `None` for another package.
fn base(from: &str, module: &str, is_package: bool) -> Option<String> {
    let name = from.trim_start_matches('.');
    let dots = from.len() - name.len();
    if dots == 0 {
        return is_ours(name).then(|| name.to_owned());
    }
    let mut parts: Vec<&str> = module.split('.').collect();
    let up = if is_package { dots - 1 } else { dots };
    parts.truncate(parts.len().checked_sub(up)?);
    if !name.is_empty() {
        parts.push(name);
    }
    Some(parts.join("."))
}
