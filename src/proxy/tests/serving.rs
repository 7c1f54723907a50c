//! What a client and a target see of each other.

use super::*;

#[tokio::test]
async fn what_the_target_reads() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let answer = proxy
        .say(
            "GET http://A.test/x?y=%20 HTTP/1.1\r\nHost: A.test\r\nX-Forwarded-For: 1.1.1.1\r\nX_Real_IP: 1\r\n\
             X-Real-IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\
             Cookie: a=b\r\nUpgrade: h2c\r\n\r\n",
        )
        .await;
    let port = proxy.address.port();
    for line in [
        "a\nGET /x?y=%20\n",
        "\nhost: a.test\n",
        "\ncookie: a=b\n",
        "\nx-forwarded-for: 127.0.0.1\n",
        "\nx-real-ip: 127.0.0.1\n",
        "\nx-forwarded-proto: http\n",
        "\nx-forwarded-host: a.test\n",
        &format!("\nx-forwarded-port: {port}\n"),
        "\nforwarded: for=127.0.0.1;host=\"a.test\";proto=http\n",
    ] {
        assert!(answer.contains(line), "{line:?} is not in {answer}");
    }
    for gone in ["1.1.1.1", "x-hop", "upgrade", "x_real"] {
        assert!(!answer.contains(gone), "{gone} is in {answer}");
    }
}

#[tokio::test]
async fn an_unknown_host_gets_a_page_and_keeps_its_connection() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    for (host, status) in [("b.test", "404"), ("[::1]", "404"), ("a.test:8080", "200"), ("A.TEST.", "200")] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let (head, body) = read_answer(&mut stream).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{host} gave {head}");
        assert_eq!(body.contains("<h1>There is no site"), status == "404", "{host} gave {body}");
    }
}

#[tokio::test]
async fn methods_without_a_body_and_old_clients() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let answer = proxy.say("HEAD / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(answer.contains("content-length: "), "{answer}");
    let answer = proxy.say("HEAD / HTTP/1.1\r\nHost: b.test\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.ends_with("\r\n\r\n"), "{answer}");
    let whole = proxy.say("GET / HTTP/1.1\r\nHost: b.test\r\nConnection: close\r\n\r\n").await;
    let length = |answer: &str| {
        answer.lines().find_map(|line| line.strip_prefix("content-length: ")).map(str::to_owned)
    };
    let (_, page) = whole.split_once("\r\n\r\n").unwrap();
    assert_eq!(length(&answer), Some(page.len().to_string()), "as long as the page itself: {answer}");
    let answer = proxy.say("OPTIONS * HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("OPTIONS *\n"), "{answer}");
    let answer = proxy.say("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200") && answer.contains("a\nGET /\n"), "{answer}");
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let (address, _target) = target(|mut stream| async move {
        let head = read_head(&mut stream).await;
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        // Each chunk goes back before the next one comes.
        let mut chunk = [0; 6];
        for _ in 0..3 {
            stream.read_exact(&mut chunk).await.unwrap();
            stream.write_all(&chunk).await.unwrap();
        }
        stream.read_exact(&mut chunk[..5]).await.unwrap();
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    })
    .await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    read_head(&mut stream).await;
    for chunk in [b"1\r\na\r\n", b"1\r\nb\r\n", b"1\r\nc\r\n"] {
        stream.write_all(chunk).await.unwrap();
        let mut back = [0; 6];
        timeout(SURELY, stream.read_exact(&mut back)).await.expect("it is not kept back").unwrap();
        assert_eq!(&back, chunk);
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut rest = String::new();
    timeout(SURELY, stream.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, "0\r\n\r\n");
}

#[tokio::test]
async fn an_answer_has_one_date() {
    for (said, expected) in [
        ("", "date: Mon, 23 Nov 2026 11:24:38 GMT\r\n"),
        ("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n", "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"),
    ] {
        let (address, _target) = target(move |mut stream| async move {
            read_head(&mut stream).await;
            let answer = format!("HTTP/1.1 200 OK\r\n{said}Content-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
        let got = proxy.say("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await;
        assert!(got.contains(expected) && got.matches("date: ").count() == 1, "{got}");
    }
}

#[tokio::test]
async fn trailers_go_on_where_they_are_announced() {
    for (announced, expected) in [("Trailer: X-Sum\r\n", "0\r\nx-sum: 7\r\n\r\n"), ("", "0\r\n\r\n")] {
        let (address, _target) = target(move |mut stream| async move {
            read_head(&mut stream).await;
            let head = format!("HTTP/1.1 200 OK\r\n{announced}Transfer-Encoding: chunked\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(b"2\r\nok\r\n0\r\nX-Sum: 7\r\nX-Real-IP: 1\r\n\r\n").await.unwrap();
        })
        .await;
        let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
        let got = proxy.say("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await;
        assert!(got.ends_with(&format!("2\r\nok\r\n{expected}")), "{got}");
    }
}

#[tokio::test]
async fn a_body_is_promised_for_once_the_target_wants_it() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    for _ in 0..2 {
        let head = "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(read_head(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"hello").await.unwrap();
        let (head, body) = read_answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200") && body.contains("5 bytes: hello"), "{head}{body}");
    }
}

#[tokio::test]
async fn a_large_upload_arrives_whole() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let size = 3 * 1024 * 1024;
    let mut request =
        format!("POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n");
    request.push_str(&"x".repeat(size));
    let answer = proxy.say(request).await;
    assert!(answer.contains(&format!("{size} bytes: xxx")), "{}", &answer[..200]);
}

/// `length` bytes of which no two neighbours are alike.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + u8::try_from(at % 23).unwrap()).collect()
}

#[tokio::test]
async fn a_large_answer_arrives_whole_and_the_connection_goes_on() {
    const LENGTH: usize = 5_000_000;
    let (address, _target) = target(|mut stream| async move {
        loop {
            read_head(&mut stream).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n");
            let answer = [head.into_bytes(), pattern(LENGTH)].concat();
            for piece in answer.chunks(777_777) {
                stream.write_all(piece).await.unwrap();
            }
        }
    })
    .await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
        let (head, body) = read_answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(body.as_bytes() == pattern(LENGTH), "{} bytes are others", body.len());
    }
}

#[tokio::test]
async fn a_large_answer_that_breaks_off_ends_the_connection() {
    let (address, _target) = target(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n").await.unwrap();
        stream.write_all(&pattern(3_000_000)).await.unwrap();
    })
    .await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let got = proxy.say("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    let body = got.split_once("\r\n\r\n").map(|(_, body)| body);
    assert!(body.is_some_and(|body| body.as_bytes() == pattern(3_000_000)), "{} bytes", got.len());
}

#[tokio::test]
async fn an_answer_before_the_upload_is_whole_is_the_answer() {
    let (address, _target) = target(|mut stream| async move {
        read_head(&mut stream).await;
        let answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 6\r\nConnection: close\r\n\r\nenough";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let length = 8 << 20;
    let head = format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n");
    let upload = [head.as_bytes(), &vec![b'x'; length]].concat();
    // The reset must come between a read and a write, which it does not each time.
    for _ in 0..200 {
        let (mut read, mut write) = proxy.connect().await.into_split();
        let (_heard, (head, body)) = tokio::join!(write.write_all(&upload), async {
            let head = read_head(&mut read).await;
            let mut body = [0; 6];
            timeout(SURELY, read.read_exact(&mut body)).await.expect("a body comes").unwrap();
            (head, body)
        });
        assert!(head.starts_with("HTTP/1.1 413"), "{head}");
        assert_eq!(&body, b"enough");
    }
}

#[tokio::test]
async fn what_a_bad_target_says_never_mixes_with_anything() {
    for (answer, status) in [
        ("", "502"),
        ("nonsense\r\n\r\n", "502"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", "502"),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", "502"),
        (
            "HTTP/1.1 200 OK\r\nConnection: x-a\r\nx-a: 1\r\ntransfer-encoding: chunked\r\ncontent-length: 99\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "200",
        ),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end", "200"),
        ("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\nSECRET", "204"),
        ("HTTP/1.1 204 No Content\r\ncontent-length: 99\r\n\r\nSECRET", "204"),
    ] {
        let (address, _target) = target(move |mut stream| async move {
            read_head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
        let got = proxy.say("POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status}")), "{answer:?} gave {got:?}");
        for never in ["SECRET", "x-a", "content-length: 99"] {
            assert!(!got.contains(never), "{answer:?} gave {got:?}");
        }
    }
}

#[tokio::test]
async fn a_target_that_breaks_off_ends_the_connection() {
    let (address, _target) = target(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
    })
    .await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let got = proxy.say("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert!(got.ends_with("\r\n\r\nhalf"), "{got}");
}

#[tokio::test]
async fn a_target_that_does_not_run_is_said_to() {
    let gone = nowhere();
    let proxy = Proxy::start(Limits::default(), &[("a.test", gone)]).await;
    let got = proxy.say("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 503") && got.contains("retry-after: 5"), "{got}");
    assert!(got.contains("not running at the moment"), "{got}");
}
