//! libFuzzer entry of the target `records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| argon_fuzz::records::run(bytes));
