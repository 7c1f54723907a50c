//! The PROXY protocol.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rivetr::proxy::fuzz::introduced(bytes));
