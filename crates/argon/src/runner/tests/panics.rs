//! Panics that are thrown on, caught, hidden, or thrown without a panic.

use std::panic::{catch_unwind, panic_any, resume_unwind};

use serde::{Deserialize, Serialize};

use super::Worker;
use crate::ErrorKind;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Way {
    On,
    OnAfterAnother,
    OtherText,
    OtherAfterCatch,
    Value,
    OtherValue,
    DropsBadly,
}

/// The lines of the panics below, counted from the function's own.
const THROWS: u32 = line!();
const FIRST: u32 = THROWS + 9;
const OTHER: u32 = THROWS + 10;
const VALUE: u32 = THROWS + 11;
const BAD: u32 = THROWS + 12;

#[rustfmt::skip]
mod throws {
    use super::*;
    pub(super) fn first(number: u32) { panic!("first {number}"); }
    pub(super) fn other(number: u32) { panic!("other {number}"); }
    pub(super) fn value() { panic_any(7_u64); }
    pub(super) fn bad() { panic_any(DropsBadly); }
}
use throws::{bad, first, other, value};

struct DropsBadly;

impl Drop for DropsBadly {
    fn drop(&mut self) {
        panic!("dropped badly");
    }
}

#[argon::task]
fn throw(way: Way) {
    match way {
        Way::On => resume_unwind(catch_unwind(|| first(1)).expect_err("it panics")),
        Way::OnAfterAnother => {
            let thrown = catch_unwind(|| first(1)).expect_err("it panics");
            drop(catch_unwind(|| other(2)));
            resume_unwind(thrown);
        }
        Way::OtherText => {
            drop(catch_unwind(|| first(1)));
            resume_unwind(Box::new("another"));
        }
        Way::OtherAfterCatch => {
            drop(catch_unwind(|| first(1)));
            other(2);
        }
        Way::Value => value(),
        Way::OtherValue => {
            drop(catch_unwind(value));
            resume_unwind(Box::new(8_u64));
        }
        Way::DropsBadly => bad(),
    }
}

#[test]
fn a_panic_that_is_thrown_on_keeps_its_place_and_another_value_has_none() {
    let mut worker = Worker::start();
    let mut ends = |way: Way| {
        let error = worker.run(throw(way)).expect_err("it panics");
        assert_eq!(error.kind(), ErrorKind::Panicked, "{way:?}");
        let line = error.place().map(|place| place.split(':').nth(1).expect("a line").parse::<u32>());
        assert_eq!(error.backtrace().is_some(), line.is_some(), "{way:?}");
        (error.message().to_owned(), line.transpose().expect("a number"))
    };
    let mut has = |way, text: &str, line: Option<&u32>| {
        let (message, found) = ends(way);
        assert_eq!((&*message, found.as_ref()), (&*format!("the task panicked: {text}"), line), "{way:?}");
    };
    for _ in 0..2 {
        has(Way::On, "first 1", Some(&FIRST));
        has(Way::OnAfterAnother, "first 1", Some(&FIRST));
        has(Way::OtherText, "another", None);
        has(Way::OtherAfterCatch, "other 2", Some(&OTHER));
        has(Way::Value, "a value that is not text", Some(&VALUE));
        has(Way::OtherValue, "a value that is not text", None);
        has(Way::DropsBadly, "a value that is not text", Some(&BAD));
    }
}
