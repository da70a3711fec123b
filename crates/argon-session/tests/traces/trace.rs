//! Reads traces: a list of steps, each an input and the effects that must follow it.

use std::fs;
use std::path::Path;

pub(crate) struct Trace {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

pub(crate) struct Step {
    pub(crate) line: usize,
    /// Its actor, word and arguments.
    pub(crate) input: String,
    /// Without their actor.
    pub(crate) effects: Vec<String>,
}

impl Trace {
    /// All traces of a folder, in the order of their names.
    pub(crate) fn read_folder(folder: &Path) -> Vec<Self> {
        let mut traces: Vec<Self> = fs::read_dir(folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.expect("an entry of the folder").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
            .map(|path| Self::read(&path))
            .collect();
        traces.sort_by(|one, other| one.name.cmp(&other.name));
        traces
    }

    fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut steps: Vec<Step> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (actor, words) =
                line.split_once(' ').map_or((line, ""), |(actor, rest)| (actor, rest.trim()));
            match actor {
                "client" => {
                    let step = steps.last_mut().unwrap_or_else(|| panic!("{name}: an effect comes first"));
                    step.effects.push(words.to_owned());
                }
                "user" | "manager" | "network" | "time" => {
                    let input = format!("{actor} {words}");
                    steps.push(Step { line: at + 1, input, effects: Vec::new() });
                }
                _ => panic!("{name}, line {}: not a line of a trace: {line}", at + 1),
            }
        }
        assert!(!steps.is_empty(), "{name} has no steps");
        Self { name, steps }
    }
}
