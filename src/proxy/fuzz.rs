//! What must hold of any bytes that strangers send: each parser as the fuzzer drives it (`tests/fuzz`), and as the unit
//! tests do with the fuzzer's seeds.

#![expect(
    clippy::missing_panics_doc,
    reason = "they panic where it does not hold: that is what they are for"
)]

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::header::{HOST, HeaderMap, HeaderValue};
use http::{Method, Uri, Version};

use super::authority::{authority, request_line};
use super::drain::Registry;
use super::fields::{Introduction, Origin, to_target};
use super::http1::head::{After, Scan, Scanner};
use super::http1::message;
use super::limits::{HEAD_BYTES, UPSTREAM_BUFFER};
use super::path::{canonical, laxest};
use super::peer::{Trust, introduction};
use super::refusal::Refusal;
use super::table::{Route, Routes, Table, Target, Via};

/// The head of a request as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many bytes stand before it.
    pub skipped: usize,
    /// How many bytes it has.
    pub length: usize,
    /// How many bytes follow as its body; none where another way says how many.
    pub body: Option<u64>,
}

/// Reads the head of a request: alike, in however many pieces it comes.
#[must_use]
pub fn head(bytes: &[u8]) -> Option<Head> {
    let whole = read_head(bytes, bytes.len().max(1));
    for piece in [1, 7] {
        assert_eq!(read_head(bytes, piece), whole, "in pieces of {piece}");
    }
    whole.ok().flatten()
}

fn read_head(bytes: &[u8], piece: usize) -> Result<Option<Head>, Option<Refusal>> {
    let (mut scanner, mut buffer, mut taken) = (Scanner::new(HEAD_BYTES), BytesMut::new(), 0);
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        taken += piece.len();
        scanner.skip_empty_lines(&mut buffer);
        match scanner.scan(&buffer) {
            Scan::Partial => {}
            Scan::TooLong => return Err(None),
            Scan::Whole(length) => {
                if scanner.is_loose() {
                    return Err(None);
                }
                let head = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
                let body = match message::request(&head).after.map_err(Some)? {
                    After::Body(length) => Some(length),
                    After::Chunks | After::Upgrade => None,
                };
                return Ok(Some(Head { skipped: taken - buffer.len(), length, body }));
            }
        }
    }
    Ok(None)
}

/// Reads an answer: its body is the same in however many pieces it comes.
pub fn answer(bytes: &[u8]) {
    let mut scanner = Scanner::new(UPSTREAM_BUFFER);
    let Scan::Whole(length) = scanner.scan(bytes) else { return };
    let (head, rest) = bytes.split_at(length);
    let whole = read_body(head, rest, rest.len().max(1));
    for piece in [1, 7] {
        assert_eq!(read_body(head, rest, piece), whole, "in pieces of {piece}");
    }
}

/// The body, whether it is over, and how many bytes were read of it.
fn read_body(head: &[u8], rest: &[u8], piece: usize) -> Option<(Vec<u8>, bool, usize)> {
    let mut decoder = message::answer(&Bytes::copy_from_slice(head), &Method::GET).ok()?.body;
    let (mut body, mut read) = (Vec::new(), 0);
    for piece in rest.chunks(piece) {
        if decoder.is_done() {
            break;
        }
        let mut piece = piece.to_vec();
        let found = decoder.decode(&mut piece).ok()?;
        assert!(found.data <= found.read && found.read <= piece.len(), "{found:?}");
        body.extend_from_slice(piece.get(..found.data).unwrap_or_default());
        read += found.read;
    }
    Some((body, decoder.is_done(), read))
}

/// Finds the route of `HOST/PATH`: none that some program would not find, and no path leads out of its route.
pub fn route(bytes: &[u8]) {
    let Some((host, path)) = std::str::from_utf8(bytes).ok().and_then(|text| text.split_once('/')) else {
        return;
    };
    let (Ok(host), Ok(uri)) = (HeaderValue::from_str(host), format!("/{path}").parse::<Uri>()) else {
        return;
    };
    // Before a route is looked for, backslashes and their like are refused.
    if request_line(&Method::GET, &uri, "http").is_err() {
        return;
    }
    let name = |host| authority(&uri, &HeaderMap::from_iter([(HOST, host)]), Version::HTTP_11);
    let Ok(found) = name(host) else { return };
    let again = HeaderValue::from_str(&found.text).map(name);
    assert!(matches!(again, Ok(Ok(again)) if again == found), "{found:?} is read in another way again");
    let Some(host) = found.host else { return };
    let path = uri.path();
    let table = routes();
    let Ok(entry) = table.find(host.as_str(), path) else { return };
    for read in [canonical(path).unwrap_or_default().as_ref(), &laxest(path)] {
        let other = table.find(host.as_str(), read);
        assert!(
            other.is_ok_and(|other| Arc::ptr_eq(other, entry)) || other.is_err(),
            "{path} is read as {read}"
        );
        assert!(!read.split('/').any(|part| matches!(part, "." | "..")), "{path} is read as {read}");
    }
    let Ok(inner) = entry.inside(uri.clone()) else { return };
    if inner.path() != path {
        let below = laxest(path);
        let below = below.strip_prefix("/api").map(|below| if below.is_empty() { "/" } else { below });
        assert_eq!(below, Some(laxest(inner.path()).as_str()), "{path} leads out as {inner}");
    }
}

fn routes() -> Table {
    let target = Target { key: "a".to_owned(), via: Via::Host, address: ([127, 0, 0, 1], 1).into() };
    let below = |host: &str, path: &str| Route {
        path: path.to_owned(),
        strip: path == "/api",
        ..Route::plain(host, vec![target.clone()])
    };
    let routes =
        [("a.test", "/"), ("a.test", "/api"), ("a.test", "/api/v1"), ("*.b.test", "/x"), ("c.b.test", "/")];
    let routes = routes.map(|(host, path)| below(host, path)).to_vec();
    Table::new(Routes { generation: 1, routes, ..Routes::default() }, 1, &Registry::default())
}

/// Reads what proxies said of their clients, a line each: strangers choose nothing, and the target reads one client.
pub fn forwarded(bytes: &[u8]) {
    let mut fields = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let (name, value) = match line.split_first() {
            Some((b'p', value)) => ("x-forwarded-proto", value),
            Some((b'f', value)) => ("forwarded", value),
            Some((b'c', value)) => ("connection", value),
            Some((b'r', value)) => ("x-real-ip", value),
            Some(_) | None => ("x-forwarded-for", line),
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            fields.append(name, value);
        }
    }
    let networks =
        ["10.0.0.0/8", "2001:db8::/32"].iter().filter_map(|network| network.parse().ok()).collect();
    let trust = Trust::new(networks, false);
    let of = |client: [u8; 4]| Origin { client: client.into(), scheme: "http", port: 80 };
    let stranger = trust.origin(of([192, 0, 2, 9]), &fields);
    assert_eq!((stranger.client, stranger.scheme, stranger.port), (of([192, 0, 2, 9]).client, "http", 80));
    let told = trust.origin(of([10, 0, 0, 1]), &fields);
    assert!(matches!((told.scheme, told.port), ("http", 80) | ("https", 443)), "{told:?}");
    for origin in [stranger, told] {
        let mut fields = fields.clone();
        let introduction = Introduction::new(&origin, "a.test");
        if let (Ok(()), Ok(introduction)) = (to_target(&mut fields, false), introduction) {
            assert!(!fields.contains_key("x-forwarded-for"), "{fields:?}");
            introduction.make(&mut fields);
            let all = fields.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes);
            assert!(all.eq([origin.client.to_string().as_bytes()]), "{fields:?}");
        }
    }
    // The proxy nearest to the client wrote its address behind what the client had written.
    for last in ["198.51.100.7", "198.51.100.7, 10.0.0.2"] {
        fields.append("x-forwarded-for", HeaderValue::from_static(last));
        assert_eq!(
            trust.origin(of([10, 0, 0, 1]), &fields).client,
            of([198, 51, 100, 7]).client,
            "{fields:?}"
        );
    }
}

/// Reads the introduction of a connection (the PROXY protocol): the same from its bytes alone, and from no fewer.
pub fn introduced(bytes: &[u8]) {
    let read = |bytes: &[u8]| {
        let mut rest = bytes;
        let client = introduction(&mut rest).now_or_never();
        client.and_then(Result::ok).map(|client| (client, bytes.len() - rest.len()))
    };
    let Some((client, length)) = read(bytes) else { return };
    assert_eq!(read(bytes.get(..length).unwrap_or_default()), Some((client, length)));
    assert_eq!(read(bytes.get(..length - 1).unwrap_or_default()), None);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_seeds(name: &str, parse: impl Fn(&[u8])) {
        let folder = format!("{}/tests/fuzz/seeds/{name}", env!("CARGO_MANIFEST_DIR"));
        let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        assert!(seeds.len() > 3, "{} seeds", seeds.len());
        for seed in seeds {
            parse(&std::fs::read(seed.unwrap().path()).unwrap());
        }
    }

    #[test]
    fn seeds_are_read() {
        with_seeds("route", route);
        with_seeds("forwarded", forwarded);
        with_seeds("introduced", introduced);
        with_seeds("answer", answer);
        with_seeds("head", |bytes| assert!(head(bytes).is_some_and(|head| head.length > 0), "{bytes:?}"));
    }
}
