//! The route of a host and path.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rivetr::proxy::fuzz::route(bytes));
