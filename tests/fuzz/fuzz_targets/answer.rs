//! The answer of a target: its body ends at the same byte, however it comes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rivetr::proxy::fuzz::answer(bytes));
