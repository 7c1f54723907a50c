//! Requests of HTTP/2 that would be two, or another's, once they are written as HTTP/1.1: each reaches the target as
//! exactly the request that it is, or is refused; and whoever asks next is not touched.

use super::frames::{
    DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, POST, RST_STREAM, Talk, WHOLE, block, frame,
};
use super::smuggling::{PART, VICTIM, aftermath, recorder};
use super::*;

/// One that is cut in two where its value is written out.
const SECRET: &str = "x\r\n\r\nGET /SECRET HTTP/1.1\r\nHost: a.test\r\n\r\n";

type Fields<'a> = &'a [(&'a str, &'a str)];

/// What must become of a request with these fields, a body and trailers: the request that the target gets, or nothing.
async fn check(fields: Fields<'_>, body: &str, trailers: Fields<'_>, expected: &[&str]) -> Vec<String> {
    let (address, _target, heard) = recorder().await;
    let routes = table(1, &[("a.test", address), ("b.test", address)]);
    let proxy = Proxy::start_with(routes, |settings| settings.workers = Some(1)).await;
    let mut talk = Talk::greet(&proxy).await;
    let (has_body, has_trailers) = (!body.is_empty(), !trailers.is_empty());
    let end = |last| if last { END_STREAM } else { 0 };
    let mut request = frame(HEADERS, END_HEADERS | end(!has_body && !has_trailers), 1, block(fields));
    if has_body {
        request.extend(frame(DATA, end(!has_trailers), 1, body));
    }
    if has_trailers {
        request.extend(frame(HEADERS, WHOLE, 1, block(trailers)));
    }
    talk.send(&request).await;
    let served = loop {
        let Some(frame) = timeout(SURELY, talk.next()).await.expect("an answer") else { break false };
        match frame.kind {
            HEADERS => break frame.status() == Some(200),
            RST_STREAM | GOAWAY => break false,
            _ => {}
        }
    };
    drop(talk);
    let (victim, mut seen) = aftermath(proxy, address, heard).await;
    if !served {
        // Half a request is of no harm where the client is told so.
        seen.retain(|request| request != PART);
    }
    let last = seen.pop();
    let alone = victim.ends_with("\r\n\r\nGET /victim") && last.as_deref() == Some(VICTIM);
    if alone && seen == expected && served != expected.is_empty() {
        return vec![];
    }
    vec![format!("{fields:?} {trailers:?} gave {seen:?}, served {served}, then {last:?} {victim:?}")]
}

/// The pseudo-fields of a request, of which one is another.
fn but<'a>(usual: [(&'a str, &'a str); 4], name: &str, value: &'a str) -> [(&'a str, &'a str); 4] {
    usual.map(|(known, usual)| (known, if known == name { value } else { usual }))
}

#[tokio::test]
async fn fields_that_would_be_lines() {
    let mut broken = Vec::new();
    for (name, value) in [
        ("x", SECRET),
        ("x", "y\r\ntransfer-encoding: chunked"),
        ("x", "y\ncontent-length: 5"),
        ("x", "y\rcontent-length: 5"),
        ("x", "y\0z"),
        ("cookie", SECRET),
        ("host", "a.test\r\nx: y"),
        ("x: y\r\ncontent-length", "5"),
        ("x\r\n\r\nGET /SECRET HTTP/1.1\r\nHost", "a.test"),
        ("content-length: 0\r\n\r\nx", "y"),
        ("transfer-encoding ", "chunked"),
        ("transfer-encoding:", "chunked"),
        ("transfer-encoding: chunked", ""),
        (" x", "y"),
        ("", "y"),
        ("Transfer-Encoding", "chunked"),
    ] {
        broken.extend(check(&[&POST[..], &[(name, value)]].concat(), "0\r\n\r\n", &[], &[]).await);
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn pseudo_fields_that_would_be_a_request_line() {
    let mut broken = Vec::new();
    for (name, value) in [
        (":method", "GET / HTTP/1.1\r\nHost: b.test\r\n\r\nGET"),
        (":method", "GET /SECRET HTTP/1.1\r\nx:"),
        (":method", "GET "),
        (":method", "get"),
        (":method", ""),
        (":path", "/ HTTP/1.1\r\nHost: a.test\r\n\r\nGET /SECRET"),
        (":path", "/SECRET HTTP/1.1\r\nx: "),
        (":path", "/ /SECRET"),
        (":path", "/\t"),
        (":path", "/\n"),
        (":path", "/\0"),
        (":path", "/\\x"),
        (":path", "SECRET"),
        (":path", "http://b.test/"),
        (":path", "*"),
        (":path", ""),
        (":scheme", "http"),
        (":scheme", "https://b.test/?"),
        (":scheme", "https\r\nx: y"),
        (":scheme", ""),
        (":authority", "a.test\r\nx: y"),
        (":authority", SECRET),
        (":authority", "a.test/SECRET"),
        (":authority", "u@a.test"),
        (":authority", "a.test b.test"),
        (":authority", "a.test, b.test"),
        (":authority", "a.test:80:80"),
        (":authority", "a.test:b.test"),
    ] {
        broken.extend(check(&but(GET, name, value), "", &[], &[]).await);
    }
    broken.extend(check(&[&GET[..], &[(":path", "/SECRET")]].concat(), "", &[], &[]).await);
    broken.extend(check(&[&GET[..], &[(":authority", "b.test")]].concat(), "", &[], &[]).await);
    broken.extend(check(&[(":method", "CONNECT"), (":authority", "b.test:80")], "", &[], &[]).await);
    broken.extend(
        check(&[(":method", "CONNECT"), (":protocol", "websocket"), GET[1], GET[2], GET[3]], "", &[], &[])
            .await,
    );
    broken.extend(check(&but(GET, ":path", "#x"), "", &[], &["GET /"]).await);
    broken.extend(check(&but(GET, ":path", "?x"), "", &[], &["GET /?x"]).await);
    broken.extend(check(&but(GET, ":path", "/%0d%0aGET%20/"), "", &[], &["GET /%0d%0aGET%20/"]).await);
    broken.extend(check(&but(GET, ":authority", "A.Test.:8443"), "", &[], &["GET /"]).await);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn lengths_and_codings() {
    let mut broken = Vec::new();
    for fields in [
        &[("content-length", "4")][..],
        &[("content-length", "6")],
        &[("content-length", "0")],
        &[("content-length", "5"), ("content-length", "5")],
        &[("content-length", "5"), ("content-length", "0")],
        &[("content-length", "5, 5")],
        &[("content-length", "+5")],
        &[("content-length", "0x5")],
        &[("content-length", "")],
        &[("content-length", "18446744073709551621")],
        &[("transfer-encoding", "chunked")],
        &[("transfer-encoding", "identity")],
        &[("transfer-encoding", "")],
        &[("content-length", "5"), ("transfer-encoding", "chunked")],
        &[("connection", "transfer-encoding")],
        &[("connection", "content-length"), ("content-length", "5")],
        &[("connection", "close")],
        &[("keep-alive", "timeout=5")],
        &[("proxy-connection", "keep-alive")],
        &[("upgrade", "websocket")],
        &[("te", "chunked")],
    ] {
        broken.extend(check(&[&POST[..], fields].concat(), "hello", &[], &[]).await);
    }
    for fields in [
        &[][..],
        &[("content-length", "5")],
        &[("content_length", "0")],
        &[("transfer_encoding", "chunked")],
        &[("te", "trailers")],
        &[("http2-settings", "AAMAAABk")],
    ] {
        broken.extend(check(&[&POST[..], fields].concat(), "hello", &[], &["POST / hello"]).await);
    }
    // A body that looks like another request is a body.
    let body = "GET /SECRET HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let whole = format!("POST / {}", body.as_bytes().escape_ascii());
    broken.extend(check(&POST, body, &[], &[&whole]).await);
    broken.extend(check(&[&GET[..], &[("content-length", "1")]].concat(), "", &[], &[]).await);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn hosts() {
    let mut broken = Vec::new();
    let without = &GET[..3];
    let with = |hosts: Fields<'static>| [&GET[..], hosts].concat();
    broken.extend(check(&with(&[("host", "b.test")]), "", &[], &[]).await);
    broken.extend(check(&with(&[("host", "a.test:81")]), "", &[], &[]).await);
    broken.extend(check(&with(&[("host", "a.test"), ("host", "a.test")]), "", &[], &[]).await);
    broken.extend(check(&with(&[("host", "a.test, b.test")]), "", &[], &[]).await);
    broken.extend(check(&with(&[("host", "")]), "", &[], &[]).await);
    broken.extend(check(without, "", &[], &[]).await);
    broken.extend(check(&[without, &[("host", "a.test"), ("host", "b.test")]].concat(), "", &[], &[]).await);
    broken.extend(check(&with(&[("host", "A.test")]), "", &[], &["GET /"]).await);
    broken.extend(check(&[without, &[("host", "a.test")]].concat(), "", &[], &["GET /"]).await);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn fields_behind_the_body() {
    let mut broken = Vec::new();
    for trailer in [
        ("x", SECRET),
        ("x: y\r\nz", "1"),
        ("X", "1"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
    ] {
        broken.extend(check(&POST, "hello", &[trailer], &[]).await);
    }
    let announced = [&POST[..], &[("trailer", "content-length, host, x")]].concat();
    // The library drops pseudo-fields there.
    for trailer in [
        (":path", "/SECRET"),
        (":authority", "b.test"),
        ("content-length", "50"),
        ("host", "b.test"),
        ("x-forwarded-for", "192.0.2.1"),
    ] {
        broken.extend(check(&announced, "hello", &[trailer], &["POST / hello"]).await);
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
