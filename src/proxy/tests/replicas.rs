//! Several targets answer for one host: each gets its share, and one that fails is not noticed.

use std::time::Instant;

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
