//! Times and sizes as people write them: `90`, `90s`, `5m`, `1h30m`, `250ms`; `512M`, `2GiB`.
//!
//! `docs/guide/commands.md` defines both forms; the Perl and Python clients read times in the same form. A library
//! reads other forms: humantime takes neither `90` nor `1.5h`, and reads `5M` as five months.

use std::time::Duration;

/// Longest time that can be given: 46 days. In milliseconds it fits into 32 bits, as on the wire.
const TIME_MAX: Duration = Duration::from_secs(4_000_000);

/// Units of time with their length in nanoseconds, the largest first.
const TIME_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

const TIME_FORMS: &str = "write seconds from 0 to 4000000, as 90 or 1.5, or numbers with units, as 250ms, 90s, 5m, \
                          1h30m or 2d";
const SIZE_FORMS: &str = "write bytes, or a number with a unit, as 512M, 1.5G or 2GiB (powers of 1024) or 2GB \
                          (powers of 1000)";

/// Reads a time of at most 46 days.
///
/// # Errors
/// With what is wrong and what to write instead.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let time = if text.chars().any(char::is_alphabetic) && !is_exponent(text) {
        Duration::from_nanos_u128(spans(text)?)
    } else {
        plain_number(text)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| wrong_number(text))?
    };
    if time > TIME_MAX {
        return Err(format!("a time is at most 46 days; {TIME_FORMS}"));
    }
    Ok(time)
}

/// Reads a time of more than nothing: a limit of 0 would end everything at once.
///
/// # Errors
/// As [`time`] does, and for 0.
pub(crate) fn time_limit(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => {
            Err("a time limit of 0 would end everything at once; leave the option away for no limit"
                .to_owned())
        }
        limit => Ok(limit),
    }
}

/// Reads a size in bytes.
///
/// # Errors
/// With what is wrong and what to write instead.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_number(text);
    let unit = unit.trim();
    let factor = size_unit(unit).ok_or_else(|| format!("'{unit}' is not a unit of size; {SIZE_FORMS}"))?;
    let bytes = plain_number(number).ok_or_else(|| format!("'{text}' is not a size; {SIZE_FORMS}"))? * factor;
    if bytes >= u64::MAX as f64 {
        return Err(format!("'{text}' is more than 64 bits of bytes; {SIZE_FORMS}"));
    }
    Ok(bytes.round() as u64)
}

/// Whole milliseconds, rounded up: a time that is not 0 does not become 0.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Nanoseconds of numbers with units.
fn spans(text: &str) -> Result<u128, String> {
    let mut total: f64 = 0.0;
    let mut units = TIME_UNITS.iter();
    let mut rest = text;
    while !rest.is_empty() {
        let (number, behind) = split_number(rest);
        let count = plain_number(number).ok_or_else(|| wrong_number(rest))?;
        let behind = behind.trim_start();
        let end = behind.find(|letter: char| !letter.is_alphabetic()).unwrap_or(behind.len());
        let unit = &behind[..end];
        let length = units.by_ref().find(|(name, _)| *name == unit).map(|(_, length)| *length);
        let length = length.ok_or_else(|| wrong_unit(unit, number))?;
        total += count * length as f64;
        rest = behind[end..].trim_start();
    }
    Ok(total.round().min(1e18) as u128)
}

fn wrong_unit(unit: &str, number: &str) -> String {
    if unit.is_empty() {
        return format!("'{number}' has no unit, but others before it have; {TIME_FORMS}");
    }
    if TIME_UNITS.iter().any(|(name, _)| *name == unit) {
        return format!("'{number}{unit}' stands behind a unit that is smaller or the same; {TIME_FORMS}");
    }
    format!("'{unit}' is not a unit of time; {TIME_FORMS}")
}

fn wrong_number(text: &str) -> String {
    if text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit())) {
        return format!("a time is not negative; {TIME_FORMS}");
    }
    format!("'{text}' is not a time; {TIME_FORMS}")
}

/// A number of at least 0, in decimal digits with a point or an exponent.
fn plain_number(text: &str) -> Option<f64> {
    let is_decimal = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '.' | '+'));
    text.parse().ok().filter(|number: &f64| is_decimal && number.is_finite())
}

/// True if the only letter is the `e` of a number such as `1e3`.
fn is_exponent(text: &str) -> bool {
    plain_number(text).is_some()
}

/// Splits after the digits and points at the beginning.
fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len()))
}

/// Bytes of a unit; upper and lower case are the same.
fn size_unit(unit: &str) -> Option<f64> {
    let unit = unit.to_ascii_lowercase();
    if matches!(unit.as_str(), "" | "b") {
        return Some(1.0);
    }
    let power = 1 + "kmgt".find(unit.chars().next()?)? as i32;
    match &unit[1..] {
        "" | "ib" => Some(1024_f64.powi(power)),
        "b" => Some(1000_f64.powi(power)),
        _ => None,
    }
}

/// Parses a whole number between two bounds; the error names both.
pub(super) fn whole<T>(
    least: T,
    most: T,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: TryFrom<i128> + Into<i128> + Copy + std::fmt::Display + Send + Sync + 'static,
{
    move |text| {
        let number = text.parse::<i128>().ok().filter(|number| (least.into()..=most.into()).contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("expected a whole number from {least} to {most}"))
    }
}

/// A span of milliseconds, for people.
pub(super) fn duration(ms: u64) -> String {
    match ms / 1000 {
        0 if ms > 0 => format!("{ms} ms"),
        0 => "less than a second".to_owned(),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// A mean of microseconds, for people.
pub(super) fn mean(us: u64) -> String {
    match us {
        0 => "-".to_owned(),
        1..10_000 => format!("{us} µs"),
        10_000..10_000_000 => format!("{} ms", us / 1000),
        _ => format!("{} s", us / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_numbers_with_units() {
        for (text, ms) in [
            ("0", 0),
            ("90", 90_000),
            ("1.5", 1500),
            (".5", 500),
            ("1e3", 1_000_000),
            ("250ms", 250),
            ("90s", 90_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("1d12h", 129_600_000),
            ("1m0.25s", 60_250),
            ("1s500ms", 1500),
            ("1h 30 m", 5_400_000),
            ("46d", 3_974_400_000),
            ("4000000", 4_000_000_000),
        ] {
            assert_eq!(time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused_with_what_to_write() {
        for (text, why) in [
            ("", "'' is not a time"),
            ("1 ", "'1 ' is not a time"),
            (" 5m", "' 5m' is not a time"),
            ("-1", "a time is not negative"),
            ("-5m", "a time is not negative"),
            ("5x", "'x' is not a unit of time"),
            ("5M", "'M' is not a unit of time"),
            ("5min", "'min' is not a unit of time"),
            ("30m1h", "'1h' stands behind a unit that is smaller or the same"),
            ("5m5m", "'5m' stands behind a unit"),
            ("1h30", "'30' has no unit"),
            ("m", "'m' is not a time"),
            ("5m!", "'!' is not a time"),
            ("1.2.3s", "'1.2.3s' is not a time"),
            ("nan", "'nan' is not a time"),
            ("inf", "'inf' is not a time"),
            ("soon", "'soon' is not a time"),
            ("1,5", "'1,5' is not a time"),
            ("५m", "'५m' is not a time"),
        ] {
            let error = time(text).expect_err(text);
            assert!(error.contains(why) && error.contains("1h30m"), "{text}: {error}");
        }
        for text in ["47d", "4000001", "1e300", "99999999999999999999h"] {
            let error = time(text).expect_err(text);
            assert!(error.contains("at most 46 days") || error.contains("is not a time"), "{text}: {error}");
        }
        assert!(time_limit("0").expect_err("no limit").contains("leave the option away"));
        assert!(time_limit("0ms").is_err());
        assert_eq!(time_limit("1ms"), Ok(Duration::from_millis(1)));
    }

    #[test]
    fn milliseconds_are_rounded_up() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_micros(1)), 1);
        assert_eq!(millis(Duration::from_millis(7)), 7);
    }

    #[test]
    fn sizes_are_bytes_or_a_number_with_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("512M", 512 << 20),
            ("512m", 512 << 20),
            ("512MiB", 512 << 20),
            ("2GiB", 2 << 30),
            ("2 GiB", 2 << 30),
            ("1.5G", 3 << 29),
            ("2GB", 2_000_000_000),
            ("10k", 10_240),
            ("1T", 1 << 40),
            ("7b", 7),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "-1", "5X", "5MM", "1G1M", "1e3", "99999999999T", "nan"] {
            let error = size(text).expect_err(text);
            assert!(error.contains("512M"), "{text}: {error}");
        }
    }
}
