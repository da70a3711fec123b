//! Fuzz targets: plain functions from bytes to nothing, which panic when a promise is broken.
//!
//! Owns the list of targets. Two drivers call them: libFuzzer (`fuzz/libfuzzer`), and the seeded one of this crate
//! ([`drive`]), which needs no nightly compiler and runs in the tests and in `make soak`.

pub mod capability;
pub mod drive;
pub mod frames;
pub mod handshake;
pub mod key;
pub mod mutate;
pub mod newcomers;
pub mod records;
pub mod template;

use std::time::{SystemTime, UNIX_EPOCH};

/// A target with the inputs that mutation begins with.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name, the same in both drivers.
    pub name: &'static str,
    /// Checks one input; panics if a promise is broken.
    pub run: fn(&[u8]),
    /// Valid inputs.
    pub corpus: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "capability", run: capability::run, corpus: capability::corpus },
    Target { name: "frames", run: frames::run, corpus: frames::corpus },
    Target { name: "handshake", run: handshake::run, corpus: handshake::corpus },
    Target { name: "key", run: key::run, corpus: key::corpus },
    Target { name: "newcomers", run: newcomers::run, corpus: newcomers::corpus },
    Target { name: "records", run: records::run, corpus: records::corpus },
    Target { name: "template", run: template::run, corpus: template::corpus },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// A seed that no run has tried: the present time in milliseconds.
#[must_use]
pub fn fresh_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_millis() as u64)
}

/// The shared vectors `spec/vectors/NAME.json`.
fn vectors(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// The bytes that a JSON string of hexadecimal digits stands for; what is no such string gives none.
fn bytes_of_hex(hex: &serde_json::Value) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .as_str()
        .unwrap_or_default()
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
