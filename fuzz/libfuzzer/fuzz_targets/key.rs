//! libFuzzer entry of the target `key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| argon_fuzz::key::run(bytes));
