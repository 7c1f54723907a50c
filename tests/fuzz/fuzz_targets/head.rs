//! The head of a request of HTTP/1.1: what is let through, its parser alone reads alike.
#![no_main]

use httparse::{EMPTY_HEADER, Request, Status};
use rivetr::proxy::fuzz::head;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(head) = head(bytes) else { return };
    let mut fields = [EMPTY_HEADER; 100];
    let mut request = Request::new(&mut fields);
    // What it refuses is refused.
    let Ok(status) = request.parse(&bytes[head.skipped..]) else { return };
    assert_eq!(status, Status::Complete(head.length));
    let named = |name: &str| request.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
    if let Some(length) = head.body {
        let said = named("content-length").map_or("0", |field| std::str::from_utf8(field.value).unwrap());
        assert_eq!(said.trim_matches([' ', '\t']).parse(), Ok(length));
        assert!(named("transfer-encoding").is_none());
    }
});
