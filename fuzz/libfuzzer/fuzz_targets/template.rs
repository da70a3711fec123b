//! libFuzzer entry of the target `template`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| argon_fuzz::template::run(bytes));
