//! HTTP/2 as browsers speak it: requests, limits and hosts, each stream by itself, and how a connection ends.

use std::sync::Arc;

use http::header::{COOKIE, HOST};
use http::{HeaderMap, StatusCode, Version};
use http_body_util::StreamBody;
use http_body_util::combinators::BoxBody;
use hyper::body::Frame;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::TokioExecutor;
use tokio::sync::{Semaphore, mpsc};

use super::frames::{HEADERS, RST_STREAM, Talk, WHOLE, frame, preface};
use super::secure::{VERSIONS, client};
use super::*;

pub(super) type Outgoing = BoxBody<Bytes, Infallible>;

pub(super) fn full(text: &'static str) -> Outgoing {
    Full::from(text).boxed()
}

/// A body that is sent frame by frame, as they are given.
pub(super) fn piecewise() -> (mpsc::UnboundedSender<Frame<Bytes>>, Outgoing) {
    let (give, mut given) = mpsc::unbounded_channel();
    let frames = futures_util::stream::poll_fn(move |cx| given.poll_recv(cx).map(|frame| frame.map(Ok)));
    (give, BodyExt::boxed(StreamBody::new(frames)))
}

/// A client's connection, and how it ends.
pub(super) struct Visitor {
    pub(super) sender: SendRequest<Outgoing>,
    pub(super) ended: JoinSet<hyper::Result<()>>,
}

impl Visitor {
    pub(super) async fn arrive(proxy: &Proxy, name: &str) -> Self {
        let stream = proxy.greet(&client(&VERSIONS, &[b"h2", b"http/1.1"]), name).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let mut ended = JoinSet::new();
        ended.spawn(connection);
        Self { sender, ended }
    }

    pub(super) async fn send(&mut self, request: Request<Outgoing>) -> hyper::Result<Response<Incoming>> {
        timeout(SURELY, self.sender.send_request(request)).await.expect("an answer")
    }

    /// The status, fields and text of an answer.
    pub(super) async fn ask(&mut self, request: Request<Outgoing>) -> (StatusCode, HeaderMap, String) {
        let (head, body) = self.send(request).await.unwrap().into_parts();
        assert_eq!(head.version, Version::HTTP_2);
        let body = timeout(SURELY, body.collect()).await.expect("a body").unwrap().to_bytes();
        (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&mut self, address: &str) -> StatusCode {
        self.ask(Request::get(address).body(full("")).unwrap()).await.0
    }

    async fn end(&mut self) -> hyper::Result<()> {
        timeout(SURELY, self.ended.join_next()).await.expect("it ends").unwrap().unwrap()
    }
}

#[tokio::test]
async fn what_is_asked_and_what_the_target_hears() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut visitor = Visitor::arrive(&proxy, "a.test").await;
    let port = proxy.secure.port();
    let request = Request::get(format!("https://A.test:{port}/x?y"))
        .header(COOKIE, "a=b")
        .header(COOKIE, "c=d")
        .header("x_real_ip", "192.0.2.1")
        .body(full(""));
    let (status, fields, text) = visitor.ask(request.unwrap()).await;
    assert_eq!(status, 200);
    assert!(!fields.contains_key("connection"), "{fields:?}");
    for expected in [
        "a\nGET /x?y\n",
        &format!("host: a.test:{port}\n"),
        "cookie: a=b; c=d\n",
        "x-forwarded-proto: https\n",
        "x-real-ip: 127.0.0.1\n",
    ] {
        assert!(text.contains(expected), "{expected} is missing in {text}");
    }
    assert!(!text.contains("x_real_ip"), "{text}");
    let upload = Request::post("https://a.test/").body(full("hello")).unwrap();
    assert!(visitor.ask(upload).await.2.contains("5 bytes: hello"));
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut visitor = Visitor::arrive(&proxy, "a.test").await;
    let large = "x".repeat(3 << 20);
    let post = Request::post("https://a.test/").body(Full::from(large.clone()).boxed()).unwrap();
    let (_, _, text) = visitor.ask(post).await;
    assert!(text.ends_with(&format!("{} bytes: {large}\n", large.len())));
}

#[tokio::test]
async fn trailers_of_a_target_arrive() {
    let (address, _target) = target(|mut stream| async move {
        read_head(&mut stream).await;
        let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut visitor = Visitor::arrive(&proxy, "a.test").await;
    let answer = visitor.send(Request::get("https://a.test/").body(full("")).unwrap()).await.unwrap();
    let body = timeout(SURELY, answer.into_body().collect()).await.unwrap().unwrap();
    assert_eq!(body.trailers().unwrap()["x-sum"], "7");
}

#[tokio::test]
async fn trailers_of_a_client_arrive_if_it_announces_them() {
    let (heard, mut is_heard) = mpsc::unbounded_channel();
    let (address, _target) = target(move |mut stream| {
        let heard = heard.clone();
        async move {
            let mut all = read_head(&mut stream).await;
            // The chunks end with fields, and these with an empty line.
            all += &read_head(&mut stream).await;
            heard.send(all).unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut visitor = Visitor::arrive(&proxy, "a.test").await;
    let (give, body) = piecewise();
    give.send(Frame::data(Bytes::from_static(b"hi"))).unwrap();
    let trailers = ["x-sum", "x-real-ip"].map(|name| (name.parse().unwrap(), "7".parse().unwrap()));
    give.send(Frame::trailers(HeaderMap::from_iter(trailers))).unwrap();
    drop(give);
    let post = Request::post("https://a.test/").header("trailer", "x-sum, x-real-ip").body(body).unwrap();
    assert_eq!(visitor.ask(post).await.0, 204);
    let heard = is_heard.recv().await.unwrap();
    assert!(heard.ends_with("\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n"), "{heard}");
}

/// A target that answers once it is allowed to.
async fn held() -> (SocketAddr, JoinSet<()>, Arc<Semaphore>) {
    let go = Arc::new(Semaphore::new(0));
    let may = Arc::clone(&go);
    let (address, target) = target(move |mut stream| {
        let may = Arc::clone(&may);
        async move {
            loop {
                read_head(&mut stream).await;
                may.acquire().await.unwrap().forget();
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            }
        }
    })
    .await;
    (address, target, go)
}

/// Waits until so many requests are at the target.
async fn at_target(proxy: &Proxy, key: SocketAddr, count: u64) {
    let reached = async {
        while proxy.in_flight(key).await != count {
            tokio::task::yield_now().await;
        }
    };
    timeout(SURELY, reached).await.expect("they arrive");
}

#[tokio::test]
async fn a_hundred_streams_wait_for_one_another_in_nothing() {
    let (address, _target, go) = held().await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let visitor = Visitor::arrive(&proxy, "a.test").await;
    let mut asked = JoinSet::new();
    for _ in 0..100 {
        let mut sender = visitor.sender.clone();
        asked.spawn(async move {
            sender
                .send_request(Request::get("https://a.test/").body(full("")).unwrap())
                .await
                .unwrap()
                .status()
        });
    }
    at_target(&proxy, address, 100).await;
    go.add_permits(100);
    while let Some(status) = timeout(SURELY, asked.join_next()).await.unwrap() {
        assert_eq!(status.unwrap(), 200);
    }
}

#[tokio::test]
async fn who_is_refused_has_not_spoiled_it_for_the_others() {
    let (address, _target) = echo("a").await;
    let routes = ["a.test", "b.test", "x.b.test"].map(|host| (host, address));
    let limits = Limits { body_bytes: 1000, body_idle: Duration::from_millis(100), ..Limits::default() };
    let proxy = Proxy::start(limits, &routes).await;
    proxy.issue("1.pem", &["b.test", "*.b.test"]);
    proxy.show(&[("1.pem", &["b.test", "*.b.test"])], &[]).await;
    let mut visitor = Visitor::arrive(&proxy, "b.test").await;
    let ask = |address: &str| Request::get(address);
    let long = "a".repeat(9 * 1024);
    let many = (0..101).fold(ask("https://b.test/"), |request, _| request.header("a", "b"));
    for (request, expected) in [
        (ask("https://b.test/"), 200),
        (ask("https://x.b.test/"), 200),
        (ask("https://b.test/").header(HOST, "b.test"), 200),
        (ask("https://b.test/").header(HOST, "x.b.test"), 400),
        (ask("https://b.test/").header(HOST, "b.test").header(HOST, "b.test"), 400),
        (ask("https://b.test/").header(HOST, "b@b.test"), 400),
        (ask("http://b.test/"), 400),
        (ask("https://a.test/"), 421),
        (ask("https://z.b.test/"), 421),
        (ask("https://b.test/%00"), 400),
        (ask("https://b.test/").method("TRACE"), 405),
        (ask("https://b.test/").method("get"), 501),
        (ask("https://b.test/").header("expect", "foo"), 417),
        (ask("https://b.test/").header("a", &long), 431),
        (ask(&format!("https://b.test/{long}")), 414),
        (many, 431),
        (ask("https://b.test/").method("POST").header("content-length", "1001"), 413),
    ] {
        let request =
            request.body(if expected == 413 { Full::from("x".repeat(1001)).boxed() } else { full("") });
        let request = request.unwrap();
        let shown = format!("{request:?}");
        assert_eq!(visitor.ask(request).await.0, expected, "{shown}");
    }
    let head = ask("https://a.test/").method("HEAD").body(full("")).unwrap();
    let (status, fields, text) = visitor.ask(head).await;
    let length: usize = fields["content-length"].to_str().unwrap().parse().unwrap();
    assert!(status == 421 && text.is_empty() && length > 0, "{status} {length} {text}");
    let (give, body) = piecewise();
    give.send(Frame::data(Bytes::from_static(b"half"))).unwrap();
    assert_eq!(visitor.ask(Request::post("https://b.test/").body(body).unwrap()).await.0, 408, "it stalls");
    let (give, body) = piecewise();
    give.send(Frame::data(Bytes::from(vec![b'x'; 1001]))).unwrap();
    assert_eq!(visitor.ask(Request::post("https://b.test/").body(body).unwrap()).await.0, 413, "it goes on");
    assert_eq!(visitor.get("https://b.test/").await, 200);
}

#[tokio::test]
async fn a_connection_ends_after_so_many_requests_and_loses_none() {
    let (address, _target, go) = held().await;
    let proxy = Proxy::start(Limits { requests: 3, ..Limits::default() }, &[("a.test", address)]).await;
    let mut visitor = Visitor::arrive(&proxy, "a.test").await;
    let mut asked = JoinSet::new();
    for _ in 0..3 {
        let mut sender = visitor.sender.clone();
        asked.spawn(async move {
            let answer = sender.send_request(Request::get("https://a.test/").body(full("")).unwrap()).await;
            answer.unwrap().into_body().collect().await.unwrap().to_bytes()
        });
    }
    at_target(&proxy, address, 3).await;
    go.add_permits(3);
    while let Some(body) = timeout(SURELY, asked.join_next()).await.unwrap() {
        assert_eq!(body.unwrap(), "ok");
    }
    visitor.end().await.unwrap();
    assert_eq!(
        visitor
            .sender
            .send_request(Request::get("https://a.test/").body(full("")).unwrap())
            .await
            .err()
            .map(|error| error.is_canceled()),
        Some(true)
    );
}

#[tokio::test]
async fn silence_ends_a_connection() {
    let (address, _target) = echo("a").await;
    let time = Duration::from_millis(100);
    let long = Duration::from_mins(10);
    for (limits, asks) in [
        (Limits { first_byte: time, idle: long, ..Limits::default() }, false),
        (Limits { first_byte: time, idle: time, ..Limits::default() }, true),
    ] {
        let proxy = Proxy::start(limits, &[("a.test", address)]).await;
        let mut visitor = Visitor::arrive(&proxy, "a.test").await;
        if asks {
            assert_eq!(visitor.get("https://a.test/").await, 200);
        }
        visitor.end().await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_an_answer_is_let_go() {
    let (gone, mut is_gone) = mpsc::unbounded_channel();
    let (address, _target) = target(move |mut stream| {
        let gone = gone.clone();
        async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
            gone.send(()).unwrap();
        }
    })
    .await;
    let limits = Limits { write_stall: Duration::from_millis(200), ..Limits::default() };
    let proxy = Proxy::start(limits, &[("a.test", address)]).await;
    let mut visitor = Visitor::arrive(&proxy, "a.test").await;
    // The connection is read, the body is not.
    let _answer = visitor.send(Request::get("https://a.test/").body(full("")).unwrap()).await.unwrap();
    timeout(SURELY, is_gone.recv()).await.expect("the target is let go");
    assert!(visitor.end().await.is_err());
}

#[tokio::test]
async fn waiting_for_a_slow_target_is_not_silence() {
    let (address, _target, go) = held().await;
    let time = Duration::from_millis(50);
    let limits = Limits { first_byte: time, idle: time, ..Limits::default() };
    let proxy = Proxy::start(limits, &[("a.test", address)]).await;
    let mut visitor = Visitor::arrive(&proxy, "a.test").await;
    let answer = visitor.sender.send_request(Request::get("https://a.test/").body(full("")).unwrap());
    let later = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        go.add_permits(1);
    };
    let (answer, ()) = tokio::join!(timeout(SURELY, answer), later);
    assert_eq!(answer.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_stop_ends_what_is_in_flight_and_closes_what_is_idle() {
    let (address, _target, go) = held().await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut idle = Visitor::arrive(&proxy, "a.test").await;
    assert_eq!(idle.get("https://a.test/%00").await, 400);
    let mut busy = Visitor::arrive(&proxy, "a.test").await;
    let asked = busy.sender.send_request(Request::get("https://a.test/").body(full("")).unwrap());
    tokio::pin!(asked);
    tokio::select! {
        biased;
        _early = &mut asked => panic!("nobody may answer yet"),
        () = at_target(&proxy, address, 1) => {}
    }
    let mut stopping = JoinSet::new();
    stopping.spawn(proxy.stop());
    idle.end().await.unwrap();
    go.add_permits(1);
    let answer = timeout(SURELY, asked).await.unwrap().unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
    busy.end().await.unwrap();
    timeout(SURELY, stopping.join_next()).await.expect("it stops").unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn streams_that_are_reset_at_once_end_the_connection_and_nothing_else() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut visitor = Visitor::arrive(&proxy, "a.test").await;
    let mut stream = proxy.greet(&client(&VERSIONS, &[b"h2"]), "a.test").await.unwrap();
    stream.write_all(&preface()).await.unwrap();
    // GET https://a.test/ in HPACK's own terms (RFC 7541, appendix A).
    let head = [&[0x82, 0x87, 0x84, 0x01, 6][..], b"a.test"].concat();
    let (mut read, mut write) = tokio::io::split(stream);
    let flood = async {
        for number in 0..50_000_u32 {
            let id = number * 2 + 1;
            let reset =
                [frame(HEADERS, WHOLE, id, &head), frame(RST_STREAM, 0, id, 8_u32.to_be_bytes())].concat();
            if write.write_all(&reset).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    tokio::select! {
        _reset = timeout(SURELY, read.read_to_end(&mut said)) => {}
        () = flood => unreachable!("it never ends"),
    }
    // GOAWAY with ENHANCE_YOUR_CALM.
    let end = said.windows(17).any(|bytes| bytes[3] == 7 && bytes[13..17] == [0, 0, 0, 11]);
    assert!(end, "{} bytes", said.len());
    assert_eq!(visitor.get("https://a.test/").await, 200);
}

#[tokio::test]
async fn no_authority_is_refused_and_without_tls_nobody_speaks_it() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut talk = Talk::greet(&proxy).await;
    talk.send(&frame(HEADERS, WHOLE, 1, [0x82, 0x87, 0x84])).await;
    let answer = loop {
        let frame = timeout(SURELY, talk.next()).await.expect("a frame").expect("an answer");
        if frame.kind == HEADERS {
            break frame;
        }
    };
    assert_eq!(answer.status(), Some(400));
    let answer = proxy.say(preface()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
}
