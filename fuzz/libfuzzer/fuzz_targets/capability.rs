//! libFuzzer entry of the target `capability`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| argon_fuzz::capability::run(bytes));
