//! Placeholders: what stands for an input in a command, and which part of the input each gives. Those of GNU parallel.

/// Meaning of a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// The number of the input.
    Sequence,
    /// A number that no other unfinished command has.
    Slot,
    /// The number of all inputs.
    Total,
    /// A part of one column, or of all of them. Columns count from 1; a negative one counts from the last.
    Value(Option<i32>, Part),
}

/// A part of a value that is the path of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// Without the extension.
    NoExtension,
    /// Without the folder.
    Name,
    /// The folder alone.
    Folder,
    /// Without folder and extension.
    Stem,
    /// The folder, or nothing if there is none.
    Above,
    /// The last extensions, as many as this.
    Extensions(usize),
    /// Without the last extensions, if there are as many as this.
    NoExtensions(usize),
    /// Without the folder and the last extensions.
    StemOf(usize),
    /// What an expression makes of it.
    Perl(usize),
}

/// Meaning of the text between two braces.
#[must_use]
pub fn place(inside: &str) -> Option<Placeholder> {
    match inside {
        "#" => return Some(Placeholder::Sequence),
        "%" => return Some(Placeholder::Slot),
        _ => {}
    }
    let (column, rest) = column(inside)?;
    let part = match rest {
        "" => Part::Whole,
        "." => Part::NoExtension,
        "/" => Part::Name,
        "//" => Part::Folder,
        "/." => Part::Stem,
        _ => return None,
    };
    Some(Placeholder::Value(column, part))
}

/// The number of a column at the beginning of a text, if there is one, and what follows it.
#[must_use]
pub fn column(text: &str) -> Option<(Option<i32>, &str)> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = unsigned.len() - unsigned.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    if digits == 0 {
        return Some((None, text));
    }
    let (number, rest) = text.split_at(text.len() - unsigned.len() + digits);
    Some((Some(number.parse().ok().filter(|column| *column != 0)?), rest))
}

impl Part {
    /// This part of a value. What an expression makes of it is not known here: the value itself.
    #[must_use]
    pub fn of(self, value: &str) -> String {
        let name_at = value.rfind('/').map_or(0, |slash| slash + 1);
        let (before, name) = value.split_at(name_at);
        let stem = name.rfind('.').map_or(name, |dot| &name[..dot]);
        match self {
            Self::Whole | Self::Perl(_) => value.to_owned(),
            Self::NoExtension => format!("{before}{stem}"),
            Self::Name => name.to_owned(),
            Self::Folder => match before.trim_end_matches('/') {
                "" if before.is_empty() => ".".to_owned(),
                "" => "/".to_owned(),
                folder => folder.to_owned(),
            },
            Self::Stem => stem.to_owned(),
            Self::Above => before.strip_suffix('/').unwrap_or(before).to_owned(),
            Self::Extensions(count) => split_extensions(name, count).map_or("", |(_, last)| last).to_owned(),
            Self::NoExtensions(count) => {
                let stem = split_extensions(name, count).map_or(name, |(stem, _)| stem);
                format!("{before}{stem}")
            }
            Self::StemOf(count) => split_extensions(name, count).map_or(name, |(stem, _)| stem).to_owned(),
        }
    }
}

/// A name without its last `count` extensions, and those.
fn split_extensions(name: &str, count: usize) -> Option<(&str, &str)> {
    let (dot, _) = name.rmatch_indices('.').nth(count.checked_sub(1)?)?;
    Some((&name[..dot], &name[dot + 1..]))
}
