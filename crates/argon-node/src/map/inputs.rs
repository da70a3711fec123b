//! All sources of a run as one stream of rows: the cross product of the groups, in which linked sources go in step.
//!
//! The first group is streamed, so a list without end needs no memory; the others are repeated for each of its
//! rows, and are kept.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use super::records::{Format, RecordError, Records};
use super::shape::Shape;

/// Sources of inputs, before anything is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Words of the command line.
    Words(Vec<String>),
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// A command line, taken apart: the command, and groups of linked sources.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InputPlan {
    /// The command, up to the first separator.
    pub command: Vec<String>,
    /// The groups whose cross product is run over.
    pub groups: Vec<Vec<Origin>>,
}

/// A file that cannot be opened, or what it holds.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// An input file cannot be opened.
    #[error("the input file {path} cannot be read: {error}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A separator without a source before it.
    #[error("'{0}' links to the source before it, and there is none")]
    NothingToLink(String),
    /// A source cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl InputPlan {
    /// Takes the words apart at `:::` (words follow), `::::` (files follow), and their linked forms with a `+`. Files that
    /// options name come first; standard input is read if there is no other source.
    ///
    /// # Errors
    /// If there is nothing to link to.
    pub fn new(words: Vec<String>, files: &[PathBuf]) -> Result<Self, InputError> {
        Self::separated(words, files, ":::", "::::")
    }

    /// The same with other separators: one before words, one before files.
    ///
    /// # Errors
    /// If there is nothing to link to.
    pub fn separated(
        words: Vec<String>,
        files: &[PathBuf],
        words_follow: &str,
        files_follow: &str,
    ) -> Result<Self, InputError> {
        let origin_of =
            |path: &PathBuf| if path.as_os_str() == "-" { Origin::Stdin } else { Origin::File(path.clone()) };
        let mut plan = Self::default();
        plan.groups.extend(files.iter().map(|path| vec![origin_of(path)]));
        let mut separator: Option<String> = None;
        let mut current = Vec::new();
        for word in words.into_iter().map(Some).chain([None]) {
            let is_mark = |word: &str| {
                [words_follow, files_follow]
                    .iter()
                    .any(|mark| word.strip_prefix(mark).is_some_and(|rest| matches!(rest, "" | "+")))
            };
            let ends = word.as_deref().is_none_or(is_mark);
            if !ends {
                current.extend(word);
                continue;
            }
            let source = std::mem::take(&mut current);
            match separator.as_deref() {
                None => plan.command = source,
                Some(mark) => {
                    let origins = if mark.strip_suffix('+').unwrap_or(mark) == files_follow {
                        source.iter().map(|path| origin_of(&PathBuf::from(path))).collect()
                    } else {
                        vec![Origin::Words(source)]
                    };
                    plan.add(mark, origins)?;
                }
            }
            separator = word;
        }
        if plan.groups.is_empty() {
            plan.groups.push(vec![Origin::Stdin]);
        }
        Ok(plan)
    }

    fn add(&mut self, mark: &str, origins: Vec<Origin>) -> Result<(), InputError> {
        if !mark.ends_with('+') {
            self.groups.extend(origins.into_iter().map(|origin| vec![origin]));
            return Ok(());
        }
        let last = self.groups.last_mut().ok_or_else(|| InputError::NothingToLink(mark.to_owned()))?;
        last.extend(origins);
        Ok(())
    }

    /// Number of columns of each row, unless the rows of a CSV file determine it.
    #[must_use]
    pub fn columns(&self, format: Format) -> Option<usize> {
        (format != Format::Csv).then(|| self.groups.iter().map(Vec::len).sum())
    }

    /// True if standard input is one of the sources.
    #[must_use]
    pub fn reads_stdin(&self) -> bool {
        self.groups.iter().flatten().any(|origin| *origin == Origin::Stdin)
    }

    /// Number of rows, if all of them are on the command line.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        let length = |origin: &Origin| match origin {
            Origin::Words(words) => Some(words.len() as u64),
            Origin::File(_) | Origin::Stdin => None,
        };
        let group = |origins: &Vec<Origin>| {
            let lengths: Option<Vec<u64>> = origins.iter().map(length).collect();
            lengths?.into_iter().min()
        };
        let groups: Option<Vec<u64>> = self.groups.iter().map(group).collect();
        Some(groups?.into_iter().product())
    }

    /// Opens all sources, and reads those that will be repeated.
    ///
    /// # Errors
    /// If one cannot be opened or read.
    pub fn open(self, format: Format) -> Result<Inputs, InputError> {
        self.open_shaped(format, &Arc::default())
    }

    /// The same, with this treatment of the records.
    ///
    /// # Errors
    /// If one cannot be opened or read.
    pub fn open_shaped(mut self, format: Format, shape: &Arc<Shape>) -> Result<Inputs, InputError> {
        if shape.is_linked {
            self.groups = vec![self.groups.into_iter().flatten().collect()];
        }
        let mut groups = Vec::with_capacity(self.groups.len());
        for origins in self.groups {
            let open = |origin| open(origin, format).map(|records| records.shaped(Arc::clone(shape)));
            let sources = origins.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
            groups.push(Linked::new(sources, shape.is_linked));
        }
        if shape.skips_first
            && let Some(source) = groups.first_mut().and_then(|group| group.sources.first_mut())
        {
            source.next_row()?;
        }
        let mut names = Vec::new();
        if shape.has_header {
            for source in groups.iter_mut().flat_map(|group| &mut group.sources) {
                names.extend(source.next_row()?.unwrap_or_default());
            }
        }
        let mut groups = groups.into_iter();
        let first = groups.next().unwrap_or(Linked::new(Vec::new(), false));
        let repeated = groups.map(Linked::read_all).collect::<Result<Vec<_>, _>>()?;
        let places = vec![0; repeated.len()];
        Ok(Inputs { first, repeated, current: None, places, names })
    }
}

fn open(origin: Origin, format: Format) -> Result<Records, InputError> {
    let reader: (String, Box<dyn Read + Send>) = match origin {
        Origin::Words(words) => return Ok(Records::of_words(words, format)),
        Origin::Stdin => ("standard input".to_owned(), Box::new(io::stdin())),
        Origin::File(path) => match File::open(&path) {
            // A folder can be opened; only reading it fails, and that would be in the middle of the run.
            Ok(file) if file.metadata().is_ok_and(|facts| facts.is_dir()) => {
                let error = io::Error::from(io::ErrorKind::IsADirectory);
                return Err(InputError::Open { path, error });
            }
            Ok(file) => (path.display().to_string(), Box::new(file)),
            Err(error) => return Err(InputError::Open { path, error }),
        },
    };
    Ok(Records::of_reader(reader.0, reader.1, format))
}

/// Sources that go in step: the shortest ends them all, or begins again as long as another goes on.
#[derive(Debug)]
struct Linked {
    sources: Vec<Records>,
    /// What was read of each source, if the shorter ones begin again.
    kept: Option<Vec<Vec<Vec<String>>>>,
    number: usize,
}

impl Linked {
    fn new(sources: Vec<Records>, is_repeated: bool) -> Self {
        let kept = is_repeated.then(|| sources.iter().map(|_| Vec::new()).collect());
        Self { sources, kept, number: 0 }
    }

    fn next_row(&mut self) -> Result<Option<Vec<String>>, RecordError> {
        let mut row = Vec::new();
        if let Some(kept) = &mut self.kept {
            let mut is_over = true;
            for (source, kept) in self.sources.iter_mut().zip(&mut *kept) {
                if let Some(columns) = source.next_row()? {
                    kept.push(columns);
                    is_over = false;
                }
            }
            if is_over || kept.iter().any(Vec::is_empty) {
                return Ok(None);
            }
            row.extend(kept.iter().flat_map(|kept| kept[self.number % kept.len()].clone()));
            self.number += 1;
            return Ok(Some(row));
        }
        for source in &mut self.sources {
            let Some(columns) = source.next_row()? else { return Ok(None) };
            row.extend(columns);
        }
        Ok((!self.sources.is_empty()).then_some(row))
    }

    fn read_all(mut self) -> Result<Vec<Vec<String>>, RecordError> {
        let mut rows = Vec::new();
        while let Some(row) = self.next_row()? {
            rows.push(row);
        }
        Ok(rows)
    }
}

/// The rows of a run, one after another.
#[derive(Debug)]
pub struct Inputs {
    first: Linked,
    repeated: Vec<Vec<Vec<String>>>,
    /// The row of the first group that is being combined.
    current: Option<Vec<String>>,
    /// Next row of each repeated group; the last group turns fastest.
    places: Vec<usize>,
    /// Names of the columns, if the sources have a heading.
    names: Vec<String>,
}

impl Inputs {
    /// Names of the columns, if the sources have a heading.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// True if the next row can be read without waiting.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.current.is_some() || self.first.sources.iter().all(Records::is_ready)
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// If a source cannot be read on.
    pub fn next_row(&mut self) -> Result<Option<Vec<String>>, RecordError> {
        if self.repeated.iter().any(Vec::is_empty) {
            return Ok(None);
        }
        if self.current.is_none() {
            self.current = self.first.next_row()?;
        }
        let Some(current) = &self.current else { return Ok(None) };
        let mut row = current.clone();
        for (group, place) in self.repeated.iter().zip(&self.places) {
            row.extend_from_slice(&group[*place]);
        }
        self.turn();
        Ok(Some(row))
    }

    /// Goes on to the next combination; without one, to the next row of the first group.
    fn turn(&mut self) {
        for (group, place) in self.repeated.iter().zip(&mut self.places).rev() {
            *place += 1;
            if *place < group.len() {
                return;
            }
            *place = 0;
        }
        self.current = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(line: &str, files: &[&str]) -> InputPlan {
        let words = line.split_whitespace().map(str::to_owned).collect();
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        InputPlan::new(words, &files).expect("it can be taken apart")
    }

    fn rows(line: &str) -> Vec<String> {
        let mut inputs = plan(line, &[]).open(Format::Lines).expect("it can be opened");
        std::iter::from_fn(|| inputs.next_row().expect("it can be read")).map(|row| row.join(" ")).collect()
    }

    #[test]
    fn sources_are_crossed_and_the_last_turns_fastest() {
        assert_eq!(rows("x ::: a b ::: 1 2 3"), ["a 1", "a 2", "a 3", "b 1", "b 2", "b 3"]);
        assert_eq!(rows("x ::: a b ::: 1 ::: p q"), ["a 1 p", "a 1 q", "b 1 p", "b 1 q"]);
        assert_eq!(rows("x ::: a b :::"), [""; 0]);
        assert_eq!(rows("x :::"), [""; 0]);
    }

    #[test]
    fn linked_sources_go_in_step_and_the_shortest_ends_them() {
        assert_eq!(rows("x ::: a b c :::+ 1 2"), ["a 1", "b 2"]);
        assert_eq!(rows("x ::: a b :::+ 1 2 ::: p q"), ["a 1 p", "a 1 q", "b 2 p", "b 2 q"]);
    }

    #[test]
    fn files_stand_first_and_standard_input_where_nothing_else_is() {
        let plain = plan("gzip -9 {}", &[]);
        assert_eq!((plain.command.len(), plain.groups.as_slice()), (3, &[vec![Origin::Stdin]][..]));
        let mixed = plan("x ::: a :::: g -", &["f"]);
        let file = |name: &str| vec![Origin::File(name.into())];
        assert_eq!(
            mixed.groups,
            [file("f"), vec![Origin::Words(vec!["a".into()])], file("g"), vec![Origin::Stdin]]
        );
        assert!(mixed.reads_stdin());
        assert_eq!(mixed.columns(Format::Lines), Some(4));
        assert_eq!(mixed.columns(Format::Csv), None);
        assert_eq!(mixed.count(), None);
        assert_eq!(plan("x ::: a b c :::+ 1 2 ::: p q", &[]).count(), Some(4));
    }

    #[test]
    fn mistakes_are_sentences() {
        let unlinked =
            InputPlan::new(vec!["x".into(), ":::+".into(), "a".into()], &[]).expect_err("nothing to link");
        assert_eq!(unlinked.to_string(), "':::+' links to the source before it, and there is none");
        let missing = plan("x", &["/nowhere/list"]).open(Format::Lines).expect_err("it is not there");
        assert!(missing.to_string().starts_with("the input file /nowhere/list cannot be read: No such file"));
        let folder = plan("x", &["/"]).open(Format::Lines).expect_err("a folder");
        assert!(folder.to_string().contains("is a directory"), "{folder}");
    }

    #[test]
    fn a_list_without_end_is_read_as_it_is_needed() {
        let endless = Records::of_reader("yes".into(), Box::new(io::repeat(b'\n')), Format::Lines);
        let first = Linked::new(vec![endless], false);
        let mut inputs =
            Inputs { first, repeated: Vec::new(), current: None, places: Vec::new(), names: Vec::new() };
        for _ in 0..1000 {
            assert_eq!(inputs.next_row().expect("it can be read"), Some(vec![String::new()]));
        }
    }
}
