//! libFuzzer entry of the target `newcomers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| argon_fuzz::newcomers::run(bytes));
