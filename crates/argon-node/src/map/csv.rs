//! One row of comma-separated values, as spreadsheets and RFC 4180 write them.
//!
//! Stricter than the csv-core library, which reads an open quote and text after a closing quote without an error. A wrong
//! row must not become a wrong command.

/// Result of reading a row.
#[derive(Debug, PartialEq, Eq)]
pub enum Row {
    /// Its columns.
    Whole(Vec<String>),
    /// A quote is open at the end: the row goes on in the next line.
    Open,
    /// Text follows a closing quote.
    Broken,
}

/// Reads the columns of `text`, which has no line end.
#[must_use]
pub fn row(text: &str) -> Row {
    let mut columns = Vec::new();
    let mut rest = text;
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            match rest.split_once(',') {
                Some((column, after)) => {
                    columns.push(column.to_owned());
                    rest = after;
                    continue;
                }
                None => {
                    columns.push(rest.to_owned());
                    return Row::Whole(columns);
                }
            }
        };
        let Some((column, after)) = quoted_column(quoted) else { return Row::Open };
        columns.push(column);
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None if after.is_empty() => return Row::Whole(columns),
            None => return Row::Broken,
        }
    }
}

/// The text up to the closing quote, with doubled quotes made single, and what follows.
fn quoted_column(text: &str) -> Option<(String, &str)> {
    let mut column = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        column.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                column.push('"');
                rest = after;
            }
            None => return Some((column, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(columns: &[&str]) -> Row {
        Row::Whole(columns.iter().map(|column| (*column).to_owned()).collect())
    }

    #[test]
    fn columns_may_be_empty_or_quoted() {
        assert_eq!(row("a,b"), whole(&["a", "b"]));
        assert_eq!(row(""), whole(&[""]));
        assert_eq!(row("a,,"), whole(&["a", "", ""]));
        assert_eq!(row(r#""a,b","say ""hi""",c"#), whole(&["a,b", r#"say "hi""#, "c"]));
        assert_eq!(row(r#"a "quoted" word"#), whole(&[r#"a "quoted" word"#]));
        assert_eq!(row("\"a,"), Row::Open);
        assert_eq!(row(r#""a" b"#), Row::Broken);
    }
}
