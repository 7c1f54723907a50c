//! Two proxies on one listener, while one replaces the other.

use super::tunnels::{UPGRADE, agreeing, frame};
use super::*;

/// The two, and a client that asks both.
struct Pair {
    old: Proxy,
    next: Proxy,
    link: Client,
}

impl Pair {
    async fn start(limits: Limits, routes: &[(&str, SocketAddr)]) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        let old = Proxy::start_on(listener.try_clone().unwrap(), limits.clone(), routes).await;
        let next = Proxy::start_in(Arc::clone(&old.dir), ["next.sock", "proxy.sock"], listener, |settings| {
            settings.limits = limits;
        })
        .await;
        let link = old.link.clone().and(&old.dir.path().join("next.sock"));
        Self { old, next, link }
    }
}

#[tokio::test]
async fn routes_are_served_by_both_before_anyone_says_so() {
    let (one, _one) = echo("one").await;
    let (two, _two) = echo("two").await;
    let Pair { old, next, link } = Pair::start(Limits::default(), &[("a.test", one)]).await;
    write(&old.routes, &table(2, &[("a.test", two)])).unwrap();
    assert_eq!(link.load().await.unwrap(), 2);
    for proxy in [&old, &next] {
        assert_eq!(proxy.link.status().await.unwrap().generation, 2);
    }
    assert_eq!(link.status().await.unwrap().proxies, 2);
    // Together they are as far as the one that is behind.
    write(&old.routes, &table(3, &[("a.test", one)])).unwrap();
    assert_eq!(next.link.load().await.unwrap(), 3);
    assert_eq!(link.status().await.unwrap().generation, 2);
    assert_eq!(link.load().await.unwrap(), 3);
}

#[tokio::test]
async fn a_drain_waits_for_what_is_in_flight_through_either() {
    let (address, _target, _asked) = agreeing().await;
    let Pair { old, next, link } = Pair::start(Limits::default(), &[("a.test", address)]).await;
    let key = address.to_string();
    let mut streams = Vec::new();
    // Whichever of the two takes each of them.
    while old.in_flight(address).await == 0 || next.in_flight(address).await == 0 {
        let mut stream = old.connect().await;
        stream.write_all(UPGRADE.as_bytes()).await.unwrap();
        read_head(&mut stream).await;
        streams.push(stream);
    }
    let status = link.status().await.unwrap();
    let [target] = &status.targets[..] else { panic!("{status:?}") };
    assert_eq!((target.key.as_str(), target.in_flight), (&*key, streams.len() as u64));
    assert_eq!(link.drain(&key, SURELY).await.unwrap().left, 0);
    for stream in &mut streams {
        let mut rest = Vec::new();
        timeout(SURELY, stream.read_to_end(&mut rest)).await.expect("it ends").unwrap();
        assert_eq!(rest, [0x88, 2, 3, 0xe9]);
    }
}

#[tokio::test]
async fn one_that_is_gone_is_not_waited_for() {
    let (address, _target) = echo("a").await;
    let Pair { old, next, link } = Pair::start(Limits::default(), &[("a.test", address)]).await;
    timeout(SURELY, next.stop()).await.expect("it stops").unwrap();
    write(&old.routes, &table(2, &[("a.test", address)])).unwrap();
    assert_eq!(link.load().await.unwrap(), 2);
    assert_eq!(link.drain(&address.to_string(), SURELY).await.unwrap().left, 0);
    assert_eq!(link.status().await.unwrap().proxies, 1);
    timeout(SURELY, old.stop()).await.expect("it stops").unwrap();
    let error = link.load().await.unwrap_err();
    assert!(error.is_gone() && error.to_string().contains("proxy.sock"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_stops_still_takes_routes_for_its_last_requests() {
    let (address, _target, _asked) = agreeing().await;
    let limits = Limits { tunnels: SURELY, ..Limits::default() };
    let Pair { old, next: _next, link } = Pair::start(limits, &[("a.test", address)]).await;
    let routes = old.routes.clone();
    let mut streams = Vec::new();
    while old.in_flight(address).await == 0 {
        let mut stream = old.connect().await;
        stream.write_all(UPGRADE.as_bytes()).await.unwrap();
        read_head(&mut stream).await;
        streams.push(stream);
    }
    let mut stopping = JoinSet::new();
    stopping.spawn(old.stop());
    for generation in 2..5 {
        write(&routes, &table(generation, &[("a.test", address)])).unwrap();
        assert_eq!(link.load().await.unwrap(), generation);
    }
    // One of its workers has long ended by now; the other has not.
    assert_eq!(link.drain(&address.to_string(), SURELY).await.unwrap().left, 0);
    timeout(SURELY, stopping.join_next()).await.expect("it stops").unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn tunnels_are_given_time_while_another_accepts() {
    let time = Duration::from_millis(500);
    let (address, _target, _asked) = agreeing().await;
    let limits = Limits { tunnels: time, ..Limits::default() };
    let Pair { old, next: _next, link: _link } = Pair::start(limits, &[("a.test", address)]).await;
    let mut stream = old.connect().await;
    while old.in_flight(address).await == 0 {
        stream = old.connect().await;
        stream.write_all(UPGRADE.as_bytes()).await.unwrap();
        read_head(&mut stream).await;
    }
    let begun = tokio::time::Instant::now();
    let mut stopping = JoinSet::new();
    stopping.spawn(old.stop());
    stream.write_all(&frame(b"hello")).await.unwrap();
    let mut rest = Vec::new();
    timeout(SURELY, stream.read_to_end(&mut rest)).await.expect("it ends").unwrap();
    assert_eq!(rest, [&frame(b"hello")[..], &[0x88, 2, 3, 0xe9]].concat());
    assert!(begun.elapsed() >= time, "it was cut after {:?}", begun.elapsed());
    timeout(SURELY, stopping.join_next()).await.expect("it stops").unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn who_comes_while_idle_connections_end_is_answered_once() {
    let (address, _target) = echo("a").await;
    let limits = Limits { farewell: SURELY, ..Limits::default() };
    let proxy = Proxy::start(limits, &[("a.test", address)]).await;
    let (mut idle, new) = (proxy.connect().await, proxy.address);
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    assert!(!read_answer(&mut idle).await.0.contains("connection: close"));
    let mut stopping = JoinSet::new();
    stopping.spawn(proxy.stop());
    // Its own request tells that the stop has reached the worker.
    let mut closes = false;
    while !closes {
        let mut stream = TcpStream::connect(new).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
        let (head, _) = read_answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        closes = head.contains("connection: close");
    }
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    assert!(read_answer(&mut idle).await.0.contains("connection: close"));
    timeout(SURELY / 2, stopping.join_next())
        .await
        .expect("it ends with the last")
        .unwrap()
        .unwrap()
        .unwrap();
}
