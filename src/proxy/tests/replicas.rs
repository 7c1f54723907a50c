//! Several targets answer for one host: each gets its share, and one that fails is not noticed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::super::checks::Check;

use super::*;

const ASK: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn each_target_gets_its_share() {
    let (one, _one) = echo("one").await;
    let (two, _two) = echo("two").await;
    let (three, _three) = echo("three").await;
    let routes = [("a.test", one), ("a.test", two), ("a.test", three)];
    let proxy = Proxy::start(Limits::default(), &routes).await;
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..12 {
        let answer = proxy.say(ASK).await;
        let name = ["\r\n\r\none\n", "\r\n\r\ntwo\n", "\r\n\r\nthree\n"];
        let name = name.into_iter().find(|name| answer.contains(name)).expect("one of them answers");
        *seen.entry(name).or_insert(0) += 1;
    }
    assert!(seen.len() == 3 && seen.values().all(|count| *count >= 2), "{seen:?}");
}

#[tokio::test]
async fn one_that_does_not_listen_is_passed_over_at_once_also_for_uploads() {
    let (one, _one) = echo("one").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", nowhere()), ("a.test", one)]).await;
    let begun = Instant::now();
    for _ in 0..6 {
        let post = "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
        for ask in [ASK, post] {
            let answer = proxy.say(ask).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("one\n"), "{answer}");
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "nobody waited for it");
}

#[tokio::test]
async fn what_breaks_off_is_asked_of_another_if_it_may_be() {
    let broken = || {
        target(|mut stream| async move {
            read_head(&mut stream).await;
        })
    };
    let (one, _one) = broken().await;
    let (two, _two) = echo("two").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", one), ("a.test", two)]).await;
    for _ in 0..4 {
        let answer = proxy.say(ASK).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("two\n"), "{answer}");
    }
    let (three, _three) = broken().await;
    proxy.route(2, &[("a.test", one), ("a.test", three)]).await;
    let answer = proxy.say(ASK).await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
}

#[tokio::test]
async fn a_host_without_targets_says_that_it_is_stopped() {
    let (one, _one) = echo("one").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", one)]).await;
    let nobody = Route::plain("a.test", vec![]);
    write(&proxy.routes, &Routes { generation: 2, routes: vec![nobody], ..Routes::default() }).unwrap();
    assert_eq!(proxy.link.load().await.unwrap(), 2);
    let answer = proxy.say(ASK).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("The site is stopped"), "{answer}");
}

/// A target that answers everything with its name but `/up`, to which it says 503 while it is unwell.
async fn moody(name: &'static str) -> (SocketAddr, JoinSet<()>, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(true));
    let says = Arc::clone(&well);
    let (address, target) = target(move |mut stream| {
        let says = Arc::clone(&says);
        async move {
            let head = read_head(&mut stream).await;
            let asked = head.starts_with("GET /up HTTP/1.1\r\n");
            assert!(!asked || head.to_lowercase().contains("\r\nhost: known.test\r\n"), "{head}");
            let status = if asked && !says.load(Ordering::SeqCst) { 503 } else { 200 };
            let length = name.len() + 4;
            let answer = format!(
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{name}\r\n\r\n"
            );
            let _left = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    (address, target, well)
}

/// Asks until so many answers in a row come from one of these.
async fn until_answers_come_from(proxy: &Proxy, names: &[&str], row: usize) {
    let deadline = Instant::now() + SURELY;
    let mut count = 0;
    while count < row {
        assert!(Instant::now() < deadline, "others answer than {names:?}");
        let answer = proxy.say(ASK).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        count = if names.iter().any(|name| answer.contains(name)) { count + 1 } else { 0 };
    }
}

#[tokio::test]
async fn one_that_is_unwell_gets_no_requests_until_it_is_well() {
    let (one, _one, one_is_well) = moody("one").await;
    let (two, _two, two_is_well) = moody("two").await;
    let mut routes = table(1, &[("a.test", one), ("a.test", two)]);
    let check = Check {
        path: "/up".into(),
        host: Some("known.test".into()),
        statuses: (200, 299),
        attempt_ms: 10_000,
        interval_ms: 20,
        failures: 2,
    };
    routes.routes[0].check = Some(check);
    let proxy = Proxy::start_with(routes.clone(), |_| {}).await;
    until_answers_come_from(&proxy, &["one"], 1).await;
    until_answers_come_from(&proxy, &["two"], 1).await;

    one_is_well.store(false, Ordering::SeqCst);
    // In turns every second answer would come from the other one.
    until_answers_come_from(&proxy, &["two"], 20).await;
    two_is_well.store(false, Ordering::SeqCst);
    until_answers_come_from(&proxy, &["one"], 1).await;
    one_is_well.store(true, Ordering::SeqCst);
    until_answers_come_from(&proxy, &["one"], 20).await;

    // Another table, and the one that is unwell stays so.
    routes.generation = 2;
    proxy.put(&routes).await;
    until_answers_come_from(&proxy, &["one"], 20).await;
    // Nobody is asked any more, so nobody is unwell.
    routes.generation = 3;
    routes.routes[0].check = None;
    proxy.put(&routes).await;
    until_answers_come_from(&proxy, &["two"], 1).await;
}
