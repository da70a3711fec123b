//! Every target for a fixed number of inputs under a fixed seed. `make soak` runs them under new seeds, and for longer.

use std::time::Duration;

use argon_fuzz::drive::{drive, input};
use argon_fuzz::{TARGETS, Target, target};

/// Inputs of each target.
const ROUNDS: u64 = 4_000;
/// Ends a test on a machine that is too busy for that many; it judges no speed.
const TIME_MAX: Duration = Duration::from_secs(20);

fn holds(name: &str) {
    let target: &'static Target = target(name).expect("the target is in the list");
    match drive(target, 20_261_130, TIME_MAX, ROUNDS) {
        Ok(rounds) => assert!(rounds as usize > (target.corpus)().len(), "only the corpus ran"),
        Err(found) => panic!("{}: {}\ninput: {}", found.target, found.what, found.input.escape_ascii()),
    }
}

#[test]
fn texts_that_grant_rights_are_read_strictly_and_stay_secret() {
    holds("capability");
}

#[test]
fn frames_of_strangers_are_messages_or_errors() {
    holds("frames");
}

#[test]
fn handshakes_of_strangers_are_refused_in_words() {
    holds("handshake");
}

#[test]
fn lines_that_are_no_keys_are_refused_without_showing_them() {
    holds("key");
}

#[test]
fn newcomers_and_those_who_play_their_manager_get_nothing_by_forgery() {
    holds("newcomers");
}

#[test]
fn files_of_inputs_are_rows_or_errors() {
    holds("records");
}

#[test]
fn hostile_inputs_never_become_text_of_a_script() {
    holds("template");
}

#[test]
fn a_seed_gives_the_same_input_again() {
    for target in TARGETS {
        let corpus = (target.corpus)();
        assert!(corpus.len() >= 4, "{} has a corpus", target.name);
        assert_eq!(input(target, &corpus, 7, 999), input(target, &corpus, 7, 999));
        assert_ne!(input(target, &corpus, 7, 999), input(target, &corpus, 8, 999), "{}", target.name);
    }
}

#[test]
fn every_target_has_an_entry_for_libfuzzer() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../libfuzzer/fuzz_targets");
    for target in TARGETS {
        let path = format!("{folder}/{}.rs", target.name);
        assert!(std::fs::read_to_string(&path).is_ok_and(|text| text.contains(target.name)), "{path}");
    }
}
