//! libFuzzer entry of the target `frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| argon_fuzz::frames::run(bytes));
