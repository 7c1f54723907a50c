//! A deadline on every wait (P8). Real time and short limits: the workers are threads of their own.

use super::*;

/// Limits where one wait is short and every other surely longer than a test.
fn short(set: impl Fn(&mut Limits, Duration)) -> Limits {
    let long = Duration::from_mins(10);
    let mut limits = Limits {
        first_byte: long,
        header: long,
        idle: long,
        body_idle: long,
        write_stall: long,
        answer: long,
        answer_idle: long,
        ..Limits::default()
    };
    set(&mut limits, Duration::from_millis(100));
    limits
}

async fn check(limits: Limits, bytes: &str, expected: &str) {
    let (address, _target) = target(|mut stream| async move {
        let head = read_head(&mut stream).await;
        if head.contains("/half") {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await.unwrap();
        } else if head.contains("/quick") {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        }
        std::future::pending::<()>().await;
    })
    .await;
    let proxy = Proxy::start(limits, &[("a.test", address)]).await;
    let answer = proxy.say(bytes).await;
    assert!(
        answer.starts_with(expected) && answer.is_empty() == expected.is_empty(),
        "{bytes:?} gave {answer:?}"
    );
}

#[tokio::test]
async fn silent_from_the_first_byte() {
    check(short(|limits, time| limits.first_byte = time), "", "").await;
}

#[tokio::test]
async fn half_a_head() {
    check(short(|limits, time| limits.header = time), "GET / HTTP/1.1\r\nHost: a", "").await;
}

#[tokio::test]
async fn the_prefix_of_http_2() {
    check(short(|limits, time| limits.header = time), "PRI", "").await;
}

#[tokio::test]
async fn idle_between_requests() {
    let limits = short(|limits, time| limits.idle = time);
    check(limits, "GET /quick HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 200").await;
}

#[tokio::test]
async fn an_upload_that_stalls() {
    let limits = short(|limits, time| limits.body_idle = time);
    for fields in ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let request = format!("POST / HTTP/1.1\r\nHost: a.test\r\n{fields}");
        check(limits.clone(), &request, "HTTP/1.1 408").await;
    }
}

#[tokio::test]
async fn an_upload_that_trickles() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(short(|limits, time| limits.body_idle = time * 5), &[("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    stream.set_nodelay(true).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n").await.unwrap();
    let (mut read, mut write) = stream.split();
    let trickle = async {
        // Always in time for the next byte, and far below the least rate.
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        while write.write_all(b"x").await.is_ok() {
            tick.tick().await;
        }
        std::future::pending::<()>().await;
    };
    let head = tokio::select! {
        head = read_head(&mut read) => head,
        () = trickle => unreachable!("it never ends"),
    };
    assert!(head.starts_with("HTTP/1.1 408"), "{head}");
}

#[tokio::test]
async fn a_target_that_never_answers() {
    let limits = short(|limits, time| limits.answer = time);
    check(limits, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", "HTTP/1.1 504").await;
}

#[tokio::test]
async fn a_target_that_stops_halfway() {
    let limits = short(|limits, time| limits.answer_idle = time);
    check(limits, "GET /half HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 200").await;
}

#[tokio::test]
async fn a_client_that_does_not_read() {
    let (gone, mut is_gone) = tokio::sync::mpsc::unbounded_channel();
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
    let proxy = Proxy::start(short(|limits, time| limits.write_stall = time), &[("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    timeout(SURELY, is_gone.recv()).await.expect("the target is let go");
}

#[tokio::test]
async fn waiting_for_a_slow_target_is_not_idling() {
    let limits = short(|limits, time| (limits.idle, limits.first_byte, limits.header) = (time, time, time));
    let (address, _target) = target(|mut stream| async move {
        read_head(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let proxy = Proxy::start(limits, &[("a.test", address)]).await;
    let answer = proxy.say("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"), "{answer}");
}

#[tokio::test]
async fn a_connection_is_closed_after_so_many_requests() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits { requests: 3, ..Limits::default() }, &[("a.test", address)]).await;
    let answer = proxy.say("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".repeat(5)).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
    assert_eq!(answer.matches("connection: close").count(), 1, "{answer}");
}
