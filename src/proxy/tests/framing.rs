//! Bytes by which one request could be taken for two, or for another's (P1, P2, P5, P7).

use super::*;

/// `expected` begins the status of the first answer; after a refusal nothing else is answered.
async fn check(proxy: &Proxy, bytes: &str, expected: &str) {
    let bytes =
        bytes.replace('\n', "\r\n").replace("<LF>", "\n").replace("<CR>", "\r").replace("<NUL>", "\0");
    let answer = proxy.say(&bytes).await;
    let status = answer.strip_prefix("HTTP/1.1 ").or_else(|| answer.strip_prefix("HTTP/1.0 "));
    assert!(status.is_some_and(|status| status.starts_with(expected)), "{bytes:?} gave {answer:?}");
    if !expected.starts_with('2') {
        assert!(!answer.contains("SECRET"), "{bytes:?} gave {answer:?}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{bytes:?} gave {answer:?}");
        assert!(answer.to_lowercase().contains("connection: close"), "{bytes:?} gave {answer:?}");
    }
}

const SECOND: &str = "GET /SECRET HTTP/1.1\nHost: a.test\nConnection: close\n\n";

#[tokio::test]
async fn one_framing() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    for fields in [
        "Content-Length: 5\nTransfer-Encoding: chunked\n",
        "Transfer-Encoding: chunked\nContent-Length: 5\n",
        "Content-Length: 5\nContent-Length: 5\n",
        "Content-Length: 5\nContent-Length: 6\n",
        "Content-Length: 5, 5\n",
        "Content-Length: +5\n",
        "Content-Length: -0\n",
        "Content-Length: 0x5\n",
        "Content-Length:\n",
        "Content-Length : 5\n",
        "Content-Length: 5<LF>",
        "Transfer-Encoding: xchunked\n",
        "Transfer-Encoding: identity\n",
        "Transfer-Encoding: gzip, chunked\n",
        "Transfer-Encoding: chunked, identity\n",
        "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n",
        "Transfer-Encoding: chunked\nTransfer-Encoding: identity\n",
        "Transfer-Encoding: \u{b}chunked\n",
        "Transfer-Encoding:\n chunked\n",
        "Transfer-Encoding : chunked\n",
        "A: b\n folded\n",
        "A: b<CR>c\n",
        "A: b<NUL>c\n",
        "A: b<LF>c: d\n",
        "no colon\n",
        " Leading: space\n",
    ] {
        let request = format!("POST / HTTP/1.1\nHost: a.test\n{fields}\n0\n\n{SECOND}");
        check(&proxy, &request, "400").await;
    }
    check(
        &proxy,
        &format!("POST / HTTP/1.0\nHost: a.test\nTransfer-Encoding: chunked\n\n0\n\n{SECOND}"),
        "400",
    )
    .await;
    check(&proxy, &format!("GET / HTTP/1.1<LF>Host: a.test<LF><LF>{SECOND}"), "400").await;
    check(&proxy, &format!("GET /a b HTTP/1.1\nHost: a.test\n\n{SECOND}"), "400").await;
    check(&proxy, &format!("GET / HTTP/1.2\nHost: a.test\n\n{SECOND}"), "").await;
}

#[tokio::test]
async fn chunks() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    for (chunks, expected) in [
        ("5\nhello\n0\n\n", "200"),
        ("5;ext=1\nhello\n0\nTrailer: x\n\n", "200"),
        ("5<LF>hello\n0\n\n", "400"),
        ("5;a<LF>b\nhello\n0\n\n", "400"),
        ("0x5\nhello\n0\n\n", "400"),
        ("5\nhelloXX0\n\n", "400"),
        ("ffffffffffffffffff\nhello\n0\n\n", "400"),
        ("-5\nhello\n0\n\n", "400"),
    ] {
        let request =
            format!("POST / HTTP/1.1\nHost: a.test\nTransfer-Encoding: chunked\n\n{chunks}{SECOND}");
        check(&proxy, &request, expected).await;
    }
    // After chunks nothing more is read, well-formed or not.
    let request = format!("POST / HTTP/1.1\nHost: a.test\nTransfer-Encoding: chunked\n\n0\n\n{SECOND}");
    let answer = proxy.say(request.replace('\n', "\r\n")).await;
    assert!(answer.contains("connection: close") && !answer.contains("SECRET"), "{answer}");
}

#[tokio::test]
async fn one_host_and_a_plain_request_line() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    for (request, expected) in [
        ("GET / HTTP/1.1\n\n", "400"),
        ("GET / HTTP/1.1\nHost: a.test\nHost: a.test\n\n", "400"),
        ("GET / HTTP/1.1\nHost: a.test\nHost: b.test\n\n", "400"),
        ("GET / HTTP/1.1\nHost: a.test@b.test\n\n", "400"),
        ("GET / HTTP/1.1\nHost: a.test/x\n\n", "400"),
        ("GET / HTTP/1.1\nHost: a.test, b.test\n\n", "400"),
        ("GET http://b.test/ HTTP/1.1\nHost: a.test\n\n", "400"),
        ("GET http://x@a.test/ HTTP/1.1\nHost: a.test\n\n", "400"),
        ("GET /%00 HTTP/1.1\nHost: a.test\n\n", "400"),
        ("GET /\\x HTTP/1.1\nHost: a.test\n\n", "400"),
        ("GET / HTTP/1.1\nHost: a.test\nConnection: X-Forwarded-For\n\n", "400"),
        ("GET / HTTP/1.1\nHost: a.test\nConnection: close, Cookie\n\n", "400"),
        ("CONNECT a.test:443 HTTP/1.1\nHost: a.test:443\n\n", "405"),
        ("TRACE / HTTP/1.1\nHost: a.test\n\n", "405"),
        ("get / HTTP/1.1\nHost: a.test\n\n", "501"),
        ("POST / HTTP/1.1\nHost: a.test\nExpect: foo\nContent-Length: 1\n\n", "417"),
        ("POST / HTTP/1.1\nHost: a.test\nContent-Length: 999999999\n\n", "413"),
    ] {
        check(&proxy, request, expected).await;
    }
    let many = "A: b\n".repeat(101);
    check(&proxy, &format!("GET / HTTP/1.1\nHost: a.test\n{many}\n"), "431").await;
    let long = "b".repeat(9 * 1024);
    check(&proxy, &format!("GET / HTTP/1.1\nHost: a.test\nA: {long}\n\n"), "431").await;
    check(&proxy, &format!("GET /{long} HTTP/1.1\nHost: a.test\n\n"), "414").await;
    let huge = format!("A: {}\n", "b".repeat(7 * 1024)).repeat(6);
    check(&proxy, &format!("GET / HTTP/1.1\nHost: a.test\n{huge}\n"), "431").await;
}

#[tokio::test]
async fn requests_in_one_piece_are_answered_in_order() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let request = "\nGET /1 HTTP/1.1\nHost: a.test\n\nPOST /2 HTTP/1.1\nHost: a.test\nContent-Length: 5\n\nhello\
                   GET /3 HTTP/1.1\nHost: a.test\nConnection: close\n\n";
    let answer = proxy.say(request.replace('\n', "\r\n")).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    let (one, two, three) = (answer.find("GET /1"), answer.find("POST /2"), answer.find("GET /3"));
    assert!(one.is_some() && one < two && two < three, "{answer}");
    assert!(answer.contains("5 bytes: hello"), "{answer}");
}

#[tokio::test]
async fn bytes_in_any_pieces_are_the_same_request() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let request = b"POST /2 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";
    let mut stream = proxy.connect().await;
    stream.set_nodelay(true).unwrap();
    for _ in 0..2 {
        for byte in request {
            stream.write_all(&[*byte]).await.unwrap();
        }
        let (head, body) = read_answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200") && body.contains("5 bytes: hello"), "{head}{body}");
    }
}
