//! `WebSocket`s (P2, P11).

use super::secure::usual;
use super::*;

pub(super) const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\
                       Sec-WebSocket-Key: x\r\n\r\n";

/// A target that agrees to become an echo, and says what it was asked.
pub(super) async fn agreeing() -> (SocketAddr, JoinSet<()>, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (asked, is_asked) = tokio::sync::mpsc::unbounded_channel();
    let (address, target) = target(move |mut stream| {
        let asked = asked.clone();
        async move {
            asked.send(read_head(&mut stream).await).unwrap();
            let agreed = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: y\r\n\r\n";
            stream.write_all(agreed.as_bytes()).await.unwrap();
            let (mut read, mut write) = stream.split();
            let _left = tokio::io::copy(&mut read, &mut write).await;
        }
    })
    .await;
    (address, target, is_asked)
}

/// A small binary frame.
pub(super) fn frame(payload: &[u8]) -> Vec<u8> {
    [&[0x82, u8::try_from(payload.len()).unwrap()], payload].concat()
}

#[tokio::test]
async fn an_echo_through_a_tunnel_also_of_what_came_too_early() {
    let (address, _target, mut asked) = agreeing().await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    // A second request behind the first is nothing but bytes of the tunnel.
    let early = b"GET /SECRET HTTP/1.1\r\nHost: a.test\r\n\r\n";
    stream.write_all(&[UPGRADE.as_bytes(), early].concat()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("sec-websocket-accept: y"), "{head}");
    let asked = asked.recv().await.unwrap();
    assert!(asked.starts_with("GET /ws HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("connection: upgrade\r\n") && asked.contains("sec-websocket-key: x"), "{asked}");
    let mut back = vec![0; early.len()];
    timeout(SURELY, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, early);
    assert_eq!(proxy.in_flight(address).await, 1);
    for size in [1, 1000, 100_000] {
        let sent = vec![7; size];
        let (mut read, mut write) = stream.split();
        let mut back = vec![0; size];
        let (sending, got) =
            tokio::join!(write.write_all(&sent), timeout(SURELY, read.read_exact(&mut back)));
        sending.unwrap();
        got.unwrap().unwrap();
        assert!(back == sent);
    }
    drop(stream);
    assert_eq!(proxy.link.drain(&address.to_string(), SURELY).await.unwrap().left, 0);
}

#[tokio::test]
async fn what_a_route_adds_to_answers_is_on_a_101_too() {
    use crate::proxy::rules::{FieldChange, Rules};
    let (address, _target, _asked) = agreeing().await;
    let mut routes = table(1, &[("a.test", address)]);
    let set = |name: &str| FieldChange::Set { name: name.into(), value: "odd".into() };
    let response_fields =
        vec![set("x-frame-options"), FieldChange::Remove { name: "sec-websocket-accept".into() }];
    routes.routes[0].rules = Rules { response_fields, sticky: true, ..Rules::default() };
    let proxy = Proxy::start_with(routes, |_| {}).await;
    let mut stream = proxy.connect().await;
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("x-frame-options: odd"), "{head}");
    assert!(head.contains("set-cookie: rivetr-target=") && head.contains("upgrade: websocket"), "{head}");
    assert!(!head.contains("sec-websocket-accept"), "{head}");
}

#[tokio::test]
async fn without_101_nothing_more_reaches_the_target() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let answer = proxy.say(format!("{UPGRADE}GET /SECRET HTTP/1.1\r\nHost: a.test\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    assert!(!answer.contains("SECRET"), "{answer}");
}

#[tokio::test]
async fn a_drain_and_a_stop_say_goodbye_between_frames() {
    let (address, _target, _asked) = agreeing().await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = proxy.connect().await;
        stream.write_all(UPGRADE.as_bytes()).await.unwrap();
        read_head(&mut stream).await;
        stream.write_all(&frame(b"hello")).await.unwrap();
        let mut back = vec![0; 7];
        stream.read_exact(&mut back).await.unwrap();
        streams.push(stream);
        let mut rest = Vec::new();
        if streams.len() == 1 {
            assert_eq!(proxy.link.drain(&address.to_string(), SURELY).await.unwrap().left, 0);
            timeout(SURELY, streams[0].read_to_end(&mut rest)).await.expect("it ends").unwrap();
            assert_eq!(rest, [0x88, 2, 3, 0xe9]);
            // Routed again, the target takes tunnels again.
            proxy.route(2, &[("a.test", address)]).await;
        }
    }
    timeout(SURELY, proxy.stop()).await.expect("it stops").unwrap();
    let mut rest = Vec::new();
    timeout(SURELY, streams[1].read_to_end(&mut rest)).await.expect("it ends").unwrap();
    assert_eq!(rest, [0x88, 2, 3, 0xe9]);
}

#[tokio::test]
async fn a_tunnel_behind_a_handshake() {
    let (address, _target, mut asked) = agreeing().await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    // A browser that could speak HTTP/2 opens another connection for its tunnels.
    let mut stream = proxy.greet(&usual(), "a.test").await.unwrap();
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(asked.recv().await.unwrap().contains("x-forwarded-proto: https"));
    for size in [5, 125] {
        let sent = frame(&vec![7; size]);
        let mut back = vec![0; sent.len()];
        stream.write_all(&sent).await.unwrap();
        stream.flush().await.unwrap();
        timeout(SURELY, stream.read_exact(&mut back)).await.expect("it comes back").unwrap();
        assert_eq!(back, sent);
    }
    timeout(SURELY, proxy.stop()).await.expect("it stops").unwrap();
    let mut rest = Vec::new();
    timeout(SURELY, stream.read_to_end(&mut rest)).await.expect("it ends").unwrap();
    assert_eq!(rest, [0x88, 2, 3, 0xe9]);
}
