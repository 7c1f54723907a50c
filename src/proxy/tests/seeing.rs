//! What is seen of requests: their names, what is counted of them, and what the log says.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use super::super::access_log::Choice;
use super::super::metrics::{AppCounts, Counts, NOBODY};
use super::tunnels::{UPGRADE, agreeing};
use super::*;
use crate::domain::time::Timestamp;

/// A proxy that logs into `file`.
async fn logging(choice: Choice, query: bool, file: &Path, routes: &[(&str, SocketAddr)]) -> Proxy {
    let clock = || Timestamp(1_795_433_078_120);
    let log = access_log::Settings { choice, query, file: Some(file.to_owned()), clock };
    let limits = Limits { requests: u32::MAX, ..Limits::default() };
    let change = |settings: &mut Settings| (settings.limits, settings.access_log) = (limits, Some(log));
    Proxy::start_with(table(1, routes), change).await
}

/// The lines that a proxy has logged by the time it has stopped.
async fn logged(proxy: Proxy, file: &Path) -> Vec<Value> {
    proxy.stop().await.unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What is counted, once it is as expected: a client has its answer a moment before the request has ended.
async fn counted(proxy: &Proxy, expected: impl Fn(&Counts) -> bool) -> Counts {
    let asking = async {
        loop {
            let counts = proxy.link.metrics().await.unwrap();
            if expected(&counts) {
                return counts;
            }
        }
    };
    timeout(SURELY, asking).await.expect("it is counted")
}

/// A target that answers with the status that the path names, and then hangs up.
async fn obeying() -> (SocketAddr, JoinSet<()>) {
    target(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).await.unwrap();
        let status = head.split('/').nth(1).unwrap().split([' ', '?']).next().unwrap();
        let answer =
            format!("HTTP/1.1 {status} As Told\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn a_request_has_one_name_for_target_and_client() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    let mut names = BTreeSet::new();
    for host in ["a.test", "a.test", "b.test", "b.test"] {
        let forged = "X-Request-Id: forged\r\nX-Request-Id: twice\r\nX_Request_Id: forged\r\n";
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{forged}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let (head, body) = read_answer(&mut stream).await;
        let name =
            head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).expect("a name").to_owned();
        let told =
            if host == "a.test" { format!("\nx-request-id: {name}\n") } else { format!("Request {name}.") };
        assert!(body.contains(&told) && !body.contains("forged"), "{name} in {body}");
        assert!(names.insert(name), "a name is given twice: {names:?}");
    }
}

#[tokio::test]
async fn an_app_cannot_give_an_answer_another_name() {
    let (address, _target) = target(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nX-Request-Id: own\r\nConnection: close\r\n\r\n").await.unwrap();
    })
    .await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let answer = proxy.say(get("/")).await;
    assert!(answer.contains("x-request-id: ") && !answer.contains("own"), "{answer}");
}

#[tokio::test]
async fn requests_are_counted_for_their_app() {
    let (address, _target) = obeying().await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address), ("idle.test", address)]).await;
    let begun = tokio::time::Instant::now();
    for status in ["200", "201", "301", "404", "503"] {
        let answer = proxy.say(get(&format!("/{status}"))).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    let post = "POST /200 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 7\r\nConnection: close\r\n\r\n1234567";
    assert!(proxy.say(post).await.ends_with("hello"));
    for refused in ["GET / HTTP/1.1\r\nHost: b.test\r\nConnection: close\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"] {
        proxy.say(refused).await;
    }
    let ended = |counts: &AppCounts| (counts.requests(), counts.in_flight);
    let counts = counted(&proxy, |counts| {
        ended(&counts.apps["a.test"]) == (6, 0) && ended(&counts.apps[NOBODY]) == (2, 0)
    })
    .await;
    let app = &counts.apps["a.test"];
    assert_eq!(app.statuses, [0, 0, 3, 1, 1, 1]);
    assert_eq!((app.bytes_in, app.bytes_out, app.retries), (7, 30, 0));
    assert_eq!(app.buckets.iter().sum::<u64>(), 6);
    assert!(app.micros > 0 && u128::from(app.micros) < begun.elapsed().as_micros(), "{app:?}");
    assert_eq!(counts.apps[NOBODY].statuses, [0, 0, 0, 0, 2, 0]);
    assert_eq!(counts.apps["idle.test"], AppCounts::default());
    assert_eq!((counts.connections, counts.turned_away, counts.dropped_lines), (8, 0, 0));

    // Another table, and another target of the same app: the numbers go on.
    let (other, _other_target) = obeying().await;
    proxy.route(2, &[("a.test", other)]).await;
    proxy.say(get("/200")).await;
    let counts = counted(&proxy, |counts| counts.apps["a.test"].statuses == [0, 0, 4, 1, 1, 1]).await;
    assert!(counts.apps.contains_key("idle.test"), "what was removed just now is still told");
}

#[tokio::test]
async fn a_refused_connection_counts_as_another_try() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", nowhere()), ("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    // It is the turn of the one that refuses once in two requests; after that it rests.
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
        read_answer(&mut stream).await;
    }
    let counts = counted(&proxy, |counts| counts.apps["a.test"].requests() == 2).await;
    assert_eq!(counts.apps["a.test"].retries, 1);
}

#[tokio::test]
async fn a_tunnel_is_counted_and_logged_with_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("access.log");
    let (address, _target, _asked) = agreeing().await;
    let proxy = logging(Choice::All, false, &file, &[("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.contains("x-request-id: "), "{head}");
    stream.write_all(&[7; 1000]).await.unwrap();
    let mut back = [0; 1000];
    timeout(SURELY, stream.read_exact(&mut back)).await.unwrap().unwrap();
    let open = proxy.link.metrics().await.unwrap();
    assert_eq!((open.apps["a.test"].in_flight, open.apps["a.test"].requests()), (1, 0));
    drop(stream);
    let ended =
        |counts: &Counts| counts.apps["a.test"].in_flight == 0 && counts.apps["a.test"].requests() == 1;
    let counts = counted(&proxy, ended).await;
    let app = &counts.apps["a.test"];
    assert_eq!((app.statuses, app.bytes_in, app.bytes_out), ([0, 1, 0, 0, 0, 0], 1000, 1000));
    assert_eq!(app.buckets.iter().sum::<u64>(), 0, "its length says nothing about the app");
    let lines = logged(proxy, &file).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!((&line["status"], &line["bytes"], &line["path"]), (&json!(101), &json!(1000), &json!("/ws")));
    assert_eq!(line.get("end"), None);
}

#[tokio::test]
async fn a_line_says_what_was_asked_and_answered_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, with_query) = (dir.path().join("plain.log"), dir.path().join("query.log"));
    let (address, _target) = obeying().await;
    for (file, query) in [(&plain, false), (&with_query, true)] {
        let proxy = logging(Choice::All, query, file, &[("a.test", address)]).await;
        let answer = proxy
            .say(
                "POST /201?token=SECRET HTTP/1.1\r\nHost: A.test\r\nContent-Length: 3\r\nConnection: close\r\n\
                 Authorization: Basic SECRET\r\nCookie: SECRET\r\nUser-Agent: a\"b\\\t\u{9b}\r\n\r\nabc",
            )
            .await;
        let name = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
        let lines = logged(proxy, file).await;
        let mut line = lines[0].clone();
        assert!(line["duration_ms"].as_f64().is_some_and(|millis| millis > 0.0), "{line}");
        line.as_object_mut().unwrap().remove("duration_ms");
        let mut expect = json!({
            "time": "2026-11-23T11:24:38.120Z", "id": name, "client": "127.0.0.1", "method": "POST",
            "host": "A.test", "path": "/201", "status": 201, "bytes": 5, "bytes_in": 3, "app": "a.test",
            "target": address.to_string(), "protocol": "HTTP/1.1", "tls": false,
            "user_agent": "a\"b\\\u{fffd}\u{fffd}",
        });
        if query {
            expect["query"] = json!("token=SECRET");
        } else {
            assert!(!line.to_string().contains("SECRET"), "{line}");
        }
        assert_eq!((lines.len(), line), (1, expect));
    }
}

#[tokio::test]
async fn the_log_says_how_requests_go_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("access.log");
    let (asked, mut is_asked) = tokio::sync::mpsc::unbounded_channel();
    let (address, _target) = target(move |mut stream| {
        let asked = asked.clone();
        async move {
            let head = read_head(&mut stream).await;
            let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
            if !head.starts_with("GET /silent") {
                stream.write_all(half).await.unwrap();
            }
            asked.send(()).unwrap();
            if !head.starts_with("GET /breaks") {
                // Until the proxy hangs up.
                let _end = stream.read_u8().await;
            }
        }
    })
    .await;
    let (obeying, _obeying_target) = obeying().await;
    let routes = [("a.test", address), ("fine.test", obeying), ("gone.test", nowhere())];
    let proxy = logging(Choice::Errors, false, &file, &routes).await;
    let say = |host, path| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        proxy.say(request)
    };
    say("fine.test", "/200").await;
    say("fine.test", "/404").await;
    say("fine.test", "/500").await;
    say("b.test", "/unknown").await;
    say("gone.test", "/gone").await;
    say("a.test", "/breaks").await;
    proxy.say("GET /hosts HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n").await;
    let lines = logged(proxy, &file).await;
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
            (text("path"), line["status"].as_u64().unwrap(), text("app"), text("refusal"), text("end"))
        })
        .collect();
    let expect = [
        ("/500", 500, "fine.test", "", ""),
        ("/unknown", 404, "", "no such host here", ""),
        ("/gone", 503, "gone.test", "the target cannot be reached", ""),
        ("/breaks", 200, "a.test", "", "the target broke off"),
        ("/hosts", 400, "", "the request is malformed: there are two Hosts", ""),
    ];
    assert_eq!(told, expect);
    assert_eq!(lines[2]["retries"], 5, "as often as it was tried again");
    is_asked.recv().await.unwrap();

    // Who leaves early does so by choice: that is logged only where everything is.
    let file = dir.path().join("all.log");
    let proxy = logging(Choice::All, false, &file, &routes).await;
    for path in ["/silent", "/half"] {
        let mut stream = proxy.connect().await;
        stream.write_all(get(path).as_bytes()).await.unwrap();
        is_asked.recv().await.unwrap();
        if path == "/half" {
            read_head(&mut stream).await;
        }
        drop(stream);
        let statuses = if path == "/half" { [1, 0, 1, 0, 0, 0] } else { [1, 0, 0, 0, 0, 0] };
        counted(&proxy, |counts| counts.apps["a.test"].statuses == statuses).await;
    }
    let lines = logged(proxy, &file).await;
    let ends: Vec<_> = lines.iter().map(|line| (&line["path"], &line["status"], &line["end"])).collect();
    let (silent, half, left) = (json!("/silent"), json!("/half"), json!("the client left"));
    assert_eq!(ends, [(&silent, &Value::Null, &left), (&half, &json!(200), &left)]);
}

#[tokio::test]
async fn a_sample_is_one_in_so_many_and_all_errors() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("access.log");
    let (address, _target) = echo("a").await;
    let proxy = logging(Choice::Sampled(3), false, &file, &[("a.test", address)]).await;
    let mut stream = proxy.connect().await;
    for (number, host) in [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "a"), (6, "a"), (7, "a")] {
        let request = format!("GET /{number} HTTP/1.1\r\nHost: {host}.test\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        read_answer(&mut stream).await;
    }
    drop(stream);
    let lines = logged(proxy, &file).await;
    let paths: Vec<_> = lines.iter().map(|line| line["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/3", "/4", "/6"]);
}

#[tokio::test]
async fn a_log_that_nobody_reads_slows_no_request_and_says_what_it_lost() {
    const REQUESTS: usize = 3000;
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let held = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let proxy = logging(Choice::All, false, &pipe, &[]).await;
    let path = "x".repeat(1500);
    let request = |last| format!("GET /{path} HTTP/1.1\r\nHost: b.test\r\n{last}\r\n");
    let requests = request("").repeat(REQUESTS - 1) + &request("Connection: close\r\n");
    let (mut read, mut write) = proxy.connect().await.into_split();
    let mut answers = String::new();
    let asking =
        async { tokio::join!(write.write_all(requests.as_bytes()), read.read_to_string(&mut answers)) };
    let (sent, got) = timeout(SURELY, asking).await.expect("every request is answered");
    sent.and(got.map(drop)).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 404").count(), REQUESTS);
    let dropped =
        counted(&proxy, |counts| counts.apps[NOBODY].requests() == REQUESTS as u64).await.dropped_lines;
    assert!(dropped > 0 && dropped < REQUESTS as u64, "{dropped}");

    // Somebody reads again: what waited comes, and how many did not.
    let mut reader = File::open(&pipe).unwrap();
    drop(held);
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    proxy.stop().await.unwrap();
    let text = timeout(SURELY, reading).await.expect("the log ends").unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let missing: u64 = lines.iter().filter_map(|line| line["dropped"].as_u64()).sum();
    let whole = lines.iter().filter(|line| line["status"] == 404).count() as u64;
    assert_eq!(missing + whole, REQUESTS as u64);
    // The line of a request is given up after the request is counted, so the last ones may come on top.
    assert!(missing >= dropped, "{missing} of {dropped}");
}
