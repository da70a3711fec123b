//! Destination of a command's output in this process.

use std::borrow::Cow;

use argon_proto::conversation::{LOG_FD, LogRecord};

/// The descriptor and the bytes to write for output of `fd`. A log record becomes a line on standard error. Nothing for a
/// descriptor that this release does not know.
#[must_use]
pub fn place(fd: u8, bytes: &[u8]) -> Option<(usize, Cow<'_, [u8]>)> {
    match fd {
        1 | 2 => Some((usize::from(fd), Cow::Borrowed(bytes))),
        LOG_FD => {
            let line = LogRecord::from_json(bytes)?.to_line();
            Some((2, Cow::Owned(line.into_bytes())))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_goes_where_it_came_from_and_log_records_are_lines_on_standard_error() {
        assert_eq!(place(1, b"x"), Some((1, Cow::Borrowed(&b"x"[..]))));
        assert_eq!(place(2, b"\xff"), Some((2, Cow::Borrowed(&b"\xff"[..]))));
        let record = LogRecord {
            level: 30,
            logger: "app.db".to_owned(),
            message: "slow".to_owned(),
            ..LogRecord::default()
        };
        assert_eq!(
            place(LOG_FD, &record.to_json()),
            Some((2, Cow::Borrowed(&b"WARNING app.db: slow\n"[..])))
        );
        let root = LogRecord { logger: String::new(), level: 50, ..record };
        assert_eq!(place(LOG_FD, &root.to_json()), Some((2, Cow::Borrowed(&b"CRITICAL: slow\n"[..]))));
        assert_eq!(place(LOG_FD, b"?"), None);
        assert_eq!(place(9, b"x"), None, "a later release may have more descriptors");
    }
}
