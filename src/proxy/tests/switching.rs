//! No request lost: new tables under load, drains, stale connections, stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Semaphore, watch};

use super::super::rules::Protocol;
use super::*;
use crate::proxy::probe::{Probe, ProbeOutcome};

#[tokio::test]
async fn a_hundred_switches_under_load_lose_nothing() {
    let echoes = [echo("one").await, echo("two").await, echo("three").await];
    let targets = echoes.each_ref().map(|(address, _)| *address);
    let proxy = Proxy::start(Limits::default(), &[("a.test", targets[0])]).await;
    let load = Load::begin(proxy.address);
    for generation in 2..102 {
        load.more(5).await;
        let (old, new) = (targets[(generation + 2) % 3], targets[generation % 3]);
        proxy.route(u64::try_from(generation).unwrap(), &[("a.test", new)]).await;
        assert_eq!(proxy.link.drain(&old.to_string(), SURELY).await.unwrap().left, 0);
        assert_eq!(proxy.in_flight(old).await, 0);
    }
    load.end().await;
}

#[tokio::test]
async fn a_proxy_takes_over_from_another_under_load_and_nothing_is_lost() {
    let (address, _target) = echo("a").await;
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let routes = [("a.test", address)];
    let start = || Proxy::start_on(listener.try_clone().unwrap(), Limits::default(), &routes);
    let mut proxy = start().await;
    let load = Load::begin(proxy.address);
    for _ in 0..3 {
        load.more(200).await;
        // As systemd does with two instances on one socket: the new one is ready before the old one stops.
        let next = start().await;
        timeout(SURELY, proxy.stop()).await.expect("it stops").unwrap();
        proxy = next;
    }
    load.more(200).await;
    load.end().await;
}

/// Clients that ask without a pause, on kept connections and on new ones.
struct Load {
    done: Arc<AtomicBool>,
    served: watch::Sender<usize>,
    clients: JoinSet<()>,
}

impl Load {
    fn begin(address: SocketAddr) -> Self {
        let (done, served) = (Arc::new(AtomicBool::new(false)), watch::Sender::new(0));
        let mut clients = JoinSet::new();
        for number in 0..8 {
            let (done, served) = (Arc::clone(&done), served.clone());
            clients.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                while !done.load(Ordering::Relaxed) {
                    let request = match number % 4 {
                        0 => "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
                        1 => "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello",
                        _ => "GET /own HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
                    };
                    stream.write_all(request.as_bytes()).await.unwrap();
                    let (head, _) = read_answer(&mut stream).await;
                    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
                    served.send_modify(|served| *served += 1);
                    if head.contains("connection: close") {
                        stream = TcpStream::connect(address).await.unwrap();
                    }
                }
            });
        }
        Self { done, served, clients }
    }

    /// Waits for so many more requests to be answered.
    async fn more(&self, count: usize) {
        let mut served = self.served.subscribe();
        let enough = *served.borrow_and_update() + count;
        timeout(SURELY, served.wait_for(|served| *served >= enough))
            .await
            .expect("the load goes on")
            .unwrap();
    }

    /// Every request was answered with 200.
    async fn end(mut self) {
        self.done.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
    }
}

/// A target that answers once it is told to.
struct Held {
    address: SocketAddr,
    go: Arc<Semaphore>,
    asked: UnboundedReceiver<()>,
    _target: JoinSet<()>,
}

async fn held(answer: &'static str) -> Held {
    let go = Arc::new(Semaphore::new(0));
    let (ask, asked) = unbounded_channel();
    let may = Arc::clone(&go);
    let (address, target) = target(move |mut stream| {
        let (may, ask) = (Arc::clone(&may), ask.clone());
        async move {
            read_head(&mut stream).await;
            ask.send(()).unwrap();
            may.acquire().await.unwrap().forget();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    Held { address, go, asked, _target: target }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn a_drain_waits_for_the_request_in_flight() {
    let mut held = held(OK).await;
    let old = held.address;
    let (new, _target) = echo("new").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", old)]).await;
    let mut stream = proxy.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    held.asked.recv().await.unwrap();
    proxy.route(2, &[("a.test", new)]).await;
    assert_eq!(proxy.link.drain(&old.to_string(), Duration::from_millis(50)).await.unwrap().left, 1);
    let key = old.to_string();
    let drain = proxy.link.drain(&key, SURELY);
    let finish = async {
        held.go.add_permits(1);
        read_answer(&mut stream).await
    };
    let (drained, (_, body)) = tokio::join!(drain, finish);
    assert_eq!((drained.unwrap().left, body.as_str()), (0, "ok"));
    // The client's connection goes on, to the new target.
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    assert!(read_answer(&mut stream).await.1.starts_with("new\n"));
}

#[tokio::test]
async fn a_stop_ends_what_is_in_flight_and_closes_what_is_idle() {
    let mut held = held(OK).await;
    let (other, _target) = echo("b").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", held.address), ("b.test", other)]).await;
    let (mut silent, mut idle, mut busy) =
        (proxy.connect().await, proxy.connect().await, proxy.connect().await);
    idle.write_all(b"GET / HTTP/1.1\r\nHost: b.test\r\n\r\n").await.unwrap();
    read_answer(&mut idle).await;
    busy.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    held.asked.recv().await.unwrap();
    let link = proxy.link.clone();
    let mut stopping = JoinSet::new();
    stopping.spawn(proxy.stop());
    for stream in [&mut silent, &mut idle] {
        let ended = timeout(SURELY, stream.read(&mut [0; 1])).await.expect("it is closed at once");
        assert_eq!(ended.unwrap(), 0);
    }
    assert_eq!(link.status().await.unwrap().generation, 1);
    held.go.add_permits(1);
    let (_, body) = read_answer(&mut busy).await;
    assert_eq!(body, "ok");
    timeout(SURELY, stopping.join_next()).await.expect("it stops").unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_stale_connection_is_not_the_clients_trouble() {
    // Each connection answers once, claims to stay, and meets the second request by hanging up.
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let (address, _target) = target(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            read_head(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
            read_head(&mut stream).await;
        }
    })
    .await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    for number in 1..=5 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
        let (head, _) = read_answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200"), "request {number} gave {head}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_request_that_may_have_been_heard_is_not_sent_twice() {
    let posts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&posts);
    let (address, _target) = target(move |mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            loop {
                let head = read_head(&mut stream).await;
                if head.starts_with("POST") {
                    counted.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    read_answer(&mut stream).await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
    let (head, _) = read_answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 502"), "{head}");
    assert_eq!(posts.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn connections_to_targets_are_used_again_and_never_by_another_release() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let (address, _target) = target(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            loop {
                read_head(&mut stream).await;
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    let ask = async |stream: &mut TcpStream| {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
        read_answer(stream).await;
    };
    for _ in 0..5 {
        ask(&mut stream).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    let mut routes = table(2, &[("a.test", address)]);
    routes.routes[0].targets[0].key = "the next release".into();
    write(&proxy.routes, &routes).unwrap();
    proxy.link.load().await.unwrap();
    ask(&mut stream).await;
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_target_that_comes_back_soon_is_waited_for() {
    let address = nowhere();
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    let (new, _target) = echo("new").await;
    proxy.route(2, &[("a.test", new)]).await;
    let (head, body) = read_answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200") && body.starts_with("new\n"), "{head}");
}

#[tokio::test]
async fn a_broken_file_changes_nothing() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    crate::files::write_whole(&proxy.routes, b"{", 0o600).unwrap();
    let error = proxy.link.load().await.unwrap_err().to_string();
    assert!(error.contains("is not a file of routes"), "{error}");
    assert_eq!(proxy.link.status().await.unwrap().generation, 1);
    let answer = proxy.say("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn the_link_probes_and_counts() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let ask = |address, timeout| {
        let target = Target { key: "probed".into(), via: Via::Host, address };
        let (protocol, statuses, attempt) = (Protocol::Http1, (200, 399), SURELY);
        proxy.link.probe(Probe {
            target,
            protocol,
            path: Some("/".into()),
            host: Some("a.test".into()),
            statuses,
            attempt,
            timeout,
        })
    };
    let outcome = ask(address, SURELY).await.unwrap();
    assert!(matches!(outcome, ProbeOutcome::Answered { status: Some(200), .. }), "{outcome:?}");
    let outcome = ask(nowhere(), Duration::from_millis(100)).await.unwrap();
    assert!(matches!(&outcome, ProbeOutcome::Never { last } if last.starts_with("refused")), "{outcome:?}");
    proxy.say("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await;
    proxy.link.drain(&address.to_string(), SURELY).await.unwrap();
    let status = proxy.link.status().await.unwrap();
    let [target] = &status.targets[..] else { panic!("{status:?}") };
    assert_eq!((target.key.as_str(), target.in_flight, target.served), (&*address.to_string(), 0, 1));
    assert!(target.idle.is_some_and(|idle| idle < SURELY));
    let gone = Client::new(&proxy.routes).status().await.unwrap_err().to_string();
    assert!(gone.contains("cannot be reached"), "{gone}");
}

#[test]
fn every_listener_is_someones() {
    use crate::proxy::{Scheme, share_out};
    let bind = |count| (0..count).map(|_| StdListener::bind("127.0.0.1:0").unwrap()).collect::<Vec<_>>();
    for (listeners, workers) in [(1, 1), (1, 4), (2, 1), (3, 2), (2, 2), (5, 3)] {
        let handed = Listeners { http: bind(listeners), https: bind(2) };
        let of = |scheme, listeners: &[StdListener]| {
            let address = |listener: &StdListener| (scheme == Scheme::Https, listener.local_addr().unwrap());
            listeners.iter().map(address).collect::<Vec<_>>()
        };
        let expected = [of(Scheme::Http, &handed.http), of(Scheme::Https, &handed.https)];
        let expected: std::collections::BTreeSet<_> = expected.into_iter().flatten().collect();
        let shares = share_out(&handed, workers).unwrap();
        assert_eq!(shares.len(), workers);
        for scheme in [Scheme::Http, Scheme::Https] {
            assert!(shares.iter().all(|share| share.iter().any(|(of, _)| *of == scheme)));
        }
        let found = shares
            .iter()
            .flatten()
            .map(|(scheme, listener)| (*scheme == Scheme::Https, listener.local_addr().unwrap()));
        assert_eq!(expected, found.collect(), "{listeners} listeners, {workers} workers");
    }
    let none = Listeners { http: bind(0), https: bind(0) };
    assert!(matches!(share_out(&none, 2), Err(ProxyError::NoListener)));
}
