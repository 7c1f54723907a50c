//! Targets that speak HTTP/2 without TLS, as gRPC does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, HeaderValue};
use hyper::body::Frame;
use hyper_util::rt::TokioExecutor;

use super::http2::{Outgoing, Visitor, full, piecewise};
use super::*;
use crate::proxy::probe::{Probe, ProbeOutcome};
use crate::proxy::rules::{Protocol, Rules};

/// A target that sends back each piece as it comes, with trailers; it says goodbye after so many requests.
async fn mirror(patience: usize) -> (SocketAddr, JoinSet<()>, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let (address, target) = target(move |stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            let enough = Arc::new(tokio::sync::Notify::new());
            let (calls, done) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&enough));
            let service = service_fn(move |request| {
                if calls.fetch_add(1, Ordering::SeqCst) + 1 == patience {
                    done.notify_one();
                }
                async move { Ok::<_, Infallible>(reflect(request)) }
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let server = server.serve_connection(TokioIo::new(stream), service);
            tokio::pin!(server);
            tokio::select! {
                _left = server.as_mut() => return,
                () = enough.notified() => server.as_mut().graceful_shutdown(),
            }
            let _left = server.await;
        }
    })
    .await;
    (address, target, connections)
}

fn reflect(request: Request<Incoming>) -> Response<Outgoing> {
    let (head, mut body) = request.into_parts();
    assert!(!head.headers.contains_key("host"), "{head:?}");
    let asked = format!("{} {} te={:?}", head.method, head.uri, head.headers.get("te"));
    let (give, answer) = piecewise();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut trailers = HeaderMap::new();
        while let Some(Ok(frame)) = body.frame().await {
            match frame.into_data() {
                Ok(data) => give.send(Frame::data(data)).unwrap(),
                Err(last) => trailers = last.into_trailers().unwrap(),
            }
        }
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let _left = give.send(Frame::trailers(trailers));
    });
    tasks.detach_all();
    Response::builder().header("x-heard", asked).body(answer).unwrap()
}

async fn start(targets: &[SocketAddr]) -> Proxy {
    let proxy = Proxy::start(Limits::default(), &[]).await;
    let target =
        |address: &SocketAddr| Target { key: address.to_string(), via: Via::Host, address: *address };
    let mut route = Route::plain("a.test", targets.iter().map(target).collect());
    route.rules = Rules { protocol: Protocol::H2c, ..Rules::default() };
    proxy.put(&Routes { generation: 2, routes: vec![route], ..Routes::default() }).await;
    proxy
}

#[tokio::test]
async fn a_call_streams_both_ways_and_ends_with_trailers() {
    let (address, _target, _) = mirror(usize::MAX).await;
    let proxy = start(&[address]).await;
    let mut visitor = Visitor::arrive(&proxy, "a.test").await;
    let (give, body) = piecewise();
    let call = Request::post("https://a.test/pkg.Service/Call").header("te", "trailers").body(body).unwrap();
    let answer = visitor.send(call).await.unwrap();
    assert_eq!(answer.headers()["x-heard"], "POST http://a.test/pkg.Service/Call te=Some(\"trailers\")");
    let mut back = answer.into_body();
    for message in ["one", "two", "three"] {
        give.send(Frame::data(Bytes::from(message))).unwrap();
        let frame = timeout(SURELY, back.frame()).await.expect("it is not kept back").unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), message);
    }
    assert_eq!(proxy.in_flight(address).await, 1);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("3"));
    give.send(Frame::trailers(trailers)).unwrap();
    drop(give);
    let end =
        timeout(SURELY, back.frame()).await.expect("it ends").unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(
        (&end["grpc-status"], &end["x-sum"]),
        (&HeaderValue::from_static("0"), &HeaderValue::from_static("3"))
    );
    drop(back);
    assert_eq!(proxy.link.drain(&address.to_string(), SURELY).await.unwrap().left, 0);
}

#[tokio::test]
async fn many_calls_share_a_connection() {
    let (address, _target, connections) = mirror(usize::MAX).await;
    let proxy = start(&[address]).await;
    let mut visitor = Visitor::arrive(&proxy, "a.test").await;
    let mut calls = Vec::new();
    for _ in 0..50 {
        let (give, body) = piecewise();
        let answer = visitor.send(Request::post("https://a.test/").body(body).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        calls.push((give, answer));
    }
    assert_eq!(proxy.in_flight(address).await, 50);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_ends_is_opened_anew_and_no_call_is_lost() {
    let (address, _target, connections) = mirror(3).await;
    let proxy = start(&[address]).await;
    let mut visitor = Visitor::arrive(&proxy, "a.test").await;
    for number in 0..20 {
        let (status, _, text) = visitor.ask(Request::post("https://a.test/").body(full("hi")).unwrap()).await;
        assert_eq!((status.as_u16(), text.as_str()), (200, "hi"), "call {number}");
    }
    assert!((2..20).contains(&connections.load(Ordering::SeqCst)));
}

#[tokio::test]
async fn one_that_does_not_listen_is_passed_over_and_all_that_do_not_are_said_to() {
    let (address, _target, _) = mirror(usize::MAX).await;
    let proxy = start(&[nowhere(), address]).await;
    let mut visitor = Visitor::arrive(&proxy, "a.test").await;
    for _ in 0..6 {
        assert_eq!(visitor.ask(Request::post("https://a.test/").body(full("hi")).unwrap()).await.0, 200);
    }
    let proxy = start(&[nowhere()]).await;
    let mut visitor = Visitor::arrive(&proxy, "a.test").await;
    assert_eq!(visitor.ask(Request::post("https://a.test/").body(full("hi")).unwrap()).await.0, 503);
}

#[tokio::test]
async fn who_speaks_http_1_is_answered_too() {
    let (address, _target, _) = mirror(usize::MAX).await;
    let proxy = start(&[address]).await;
    let post = "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    let answer = proxy.say(post).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("POST http://a.test/x"), "{answer}");
    let upgrade = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let answer = proxy.say(upgrade).await;
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("upgrade"), "{answer}");
}

#[tokio::test]
async fn a_target_that_speaks_http_1_is_a_bad_one() {
    let (address, _target) = echo("a").await;
    let proxy = start(&[address]).await;
    let mut visitor = Visitor::arrive(&proxy, "a.test").await;
    assert_eq!(visitor.ask(Request::post("https://a.test/").body(full("hi")).unwrap()).await.0, 502);
}

#[tokio::test]
async fn it_is_probed_as_it_speaks() {
    let (address, _target, _) = mirror(usize::MAX).await;
    let proxy = Proxy::start(Limits::default(), &[]).await;
    let probe = |protocol, statuses, timeout| {
        proxy.link.probe(Probe {
            target: Target { key: "probed".into(), via: Via::Host, address },
            protocol,
            path: Some("/up?x".into()),
            host: Some("a.test".into()),
            statuses,
            attempt: SURELY,
            timeout,
        })
    };
    let outcome = probe(Protocol::H2c, (200, 299), SURELY).await.unwrap();
    assert!(matches!(outcome, ProbeOutcome::Answered { status: Some(200), .. }), "{outcome:?}");
    let moment = Duration::from_millis(100);
    for (protocol, words) in [(Protocol::H2c, "status 200"), (Protocol::Http1, "did not answer with HTTP")] {
        let outcome = probe(protocol, (300, 399), moment).await.unwrap();
        assert!(matches!(&outcome, ProbeOutcome::Never { last } if last.contains(words)), "{outcome:?}");
    }
}
