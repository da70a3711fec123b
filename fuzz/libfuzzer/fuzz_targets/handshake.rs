//! libFuzzer entry of the target `handshake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| argon_fuzz::handshake::run(bytes));
