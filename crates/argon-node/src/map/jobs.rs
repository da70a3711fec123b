//! `--jobs`: how many commands may be unfinished at once, as a number or in terms of the slots of the pool.

use std::path::PathBuf;
use std::str::FromStr;

/// The value of `--jobs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jobs {
    /// As many as keep all slots busy.
    Busy,
    /// This many.
    Count(u64),
    /// As many as there are slots, and these more; fewer if it is negative.
    Beyond(i64),
    /// This share of the slots.
    Percent(u64),
    /// The first line of a file, read again during the run.
    File(PathBuf),
}

impl Jobs {
    /// Limit of unfinished commands in a pool of this many slots; `None` for the usual one.
    #[must_use]
    pub fn limit(&self, slots: Option<u64>) -> Option<u64> {
        // Until the slots are known, one command is no mistake.
        let known = slots.unwrap_or(1);
        match self {
            Self::Busy => None,
            Self::Count(count) => Some(*count),
            Self::Beyond(more) => Some(known.saturating_add_signed(*more).max(1)),
            Self::Percent(percent) => Some((known.saturating_mul(*percent) / 100).max(1)),
            Self::File(path) => {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                match text.trim().parse() {
                    Ok(Self::File(_)) | Err(_) => Some(1),
                    Ok(jobs) => jobs.limit(slots),
                }
            }
        }
    }
}

impl FromStr for Jobs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "expected a number from 1 to {}, +2 or -2 (beyond or below the slots of the pool), 50% (of the slots), 0 \
                 (the default) or a file that holds one of these",
                u32::MAX
            )
        };
        let digits = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|_| is_number).map(u64::from)
        };
        let beyond = |count: u64, sign: i64| {
            i64::try_from(count).map_or(Self::Busy, |count| Self::Beyond(sign * count))
        };
        if let Some(count) = text.strip_prefix('+').and_then(digits) {
            return Ok(beyond(count, 1));
        }
        if let Some(count) = text.strip_prefix('-').and_then(digits) {
            return Ok(beyond(count, -1));
        }
        if let Some(percent) = text.strip_suffix('%').and_then(digits).filter(|percent| *percent > 0) {
            return Ok(Self::Percent(percent));
        }
        match digits(text) {
            Some(0) => Ok(Self::Busy),
            Some(count) => Ok(Self::Count(count)),
            None if std::path::Path::new(text).is_file() => {
                let held = std::fs::read_to_string(text).unwrap_or_default();
                let held = held.trim();
                let is_one = !std::path::Path::new(held).is_file() && held.parse::<Self>().is_ok();
                if is_one {
                    Ok(Self::File(text.into()))
                } else {
                    Err(format!("the file does not hold a number of jobs; {}", wrong()))
                }
            }
            None => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_a_number_or_follow_the_slots_of_the_pool() {
        for (text, slots, expected) in [
            ("4", Some(8), Some(4)),
            ("0", Some(8), None),
            ("+2", Some(8), Some(10)),
            ("-3", Some(8), Some(5)),
            ("-9", Some(8), Some(1)),
            ("50%", Some(8), Some(4)),
            ("200%", Some(8), Some(16)),
            ("1%", Some(8), Some(1)),
            ("50%", None, Some(1)),
        ] {
            assert_eq!(text.parse::<Jobs>().expect(text).limit(slots), expected, "{text}");
        }
        for text in ["", "x", "1.5", "0%", "++1", "99999999999", "1 "] {
            assert!(text.parse::<Jobs>().expect_err(text).contains("1 to 4294967295"), "{text}");
        }
    }

    #[test]
    fn a_file_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("jobs");
        std::fs::write(&path, "3\n").expect("written");
        let jobs: Jobs = path.to_str().expect("text").parse().expect("a file");
        assert_eq!(jobs.limit(Some(8)), Some(3));
        std::fs::write(&path, "50%\n").expect("written");
        assert_eq!(jobs.limit(Some(8)), Some(4));
        std::fs::write(&path, "many\n").expect("written");
        assert!(path.to_str().expect("text").parse::<Jobs>().is_err());
    }
}
