//! The few options of the measurements: `--name NUMBER` and `--json`. It knows none of them.

use std::collections::BTreeMap;

/// What was given on the command line.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    numbers: BTreeMap<String, Vec<u64>>,
    pub(crate) json: bool,
}

impl Arguments {
    /// Reads `--name NUMBER[,NUMBER...]` for the names that are known, and `--json`.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>, known: &[&str]) -> Result<Self, String> {
        let mut given = Self::default();
        while let Some(word) = words.next() {
            if word == "--json" {
                given.json = true;
                continue;
            }
            let name = word.strip_prefix("--").filter(|name| known.contains(name));
            let name =
                name.ok_or_else(|| format!("'{word}' is no option here; there are {known:?} and --json"))?;
            let value = words.next().unwrap_or_default();
            let numbers: Result<Vec<u64>, _> = value.split(',').map(str::parse).collect();
            let numbers = numbers.map_err(|_| format!("{word} takes whole numbers, not '{value}'"))?;
            given.numbers.insert(name.to_owned(), numbers);
        }
        Ok(given)
    }

    /// All numbers of this name.
    pub(crate) fn numbers(&self, name: &str, default: &[u64]) -> Vec<u64> {
        self.numbers.get(name).map_or(default, Vec::as_slice).to_vec()
    }

    /// The number of this name.
    pub(crate) fn number(&self, name: &str, default: u64) -> u64 {
        self.numbers.get(name).and_then(|numbers| numbers.first()).copied().unwrap_or(default)
    }
}
