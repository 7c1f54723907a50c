//! What proxies in front say of their clients.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rivetr::proxy::fuzz::forwarded(bytes));
