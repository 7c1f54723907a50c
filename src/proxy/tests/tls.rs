//! Handshakes: which certificate is shown to whom, what is asked behind it, and how it ends.

use tokio_rustls::rustls::{AlertDescription, Error, HandshakeKind};

use super::secure::{VERSIONS, client, shown, usual};
use super::*;

const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// The alert that a handshake ends with.
async fn alert(proxy: &Proxy, protocols: &[&[u8]], name: &str) -> AlertDescription {
    let error = proxy.greet(&client(&VERSIONS, protocols), name).await.unwrap_err();
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(Error::AlertReceived(alert)) => *alert,
        _ => panic!("{name} met {error}"),
    }
}

/// The status of a request for `host` behind a handshake for `name`.
async fn status(proxy: &Proxy, name: &str, host: &str) -> String {
    let mut stream = proxy.greet(&usual(), name).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_head(&mut stream).await.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn both_versions_are_spoken_and_the_target_hears_of_it() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let issued = proxy.issue("1.pem", &["a.test"]);
    proxy.show(&[("1.pem", &["a.test"])], &[]).await;
    for version in VERSIONS {
        let mut stream = proxy.greet(&client(&[version], &[]), "a.test").await.unwrap();
        assert_eq!(shown(&stream), issued);
        stream.write_all(ASK).await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let mut body = [0; 400];
        let read = timeout(SURELY, stream.read(&mut body)).await.unwrap().unwrap();
        let body = std::str::from_utf8(&body[..read]).unwrap();
        for expected in ["x-forwarded-proto: https", &format!("x-forwarded-port: {}", proxy.secure.port())] {
            assert!(body.contains(expected), "{body}");
        }
    }
}

#[tokio::test]
async fn each_name_is_shown_its_certificate_or_one_of_our_own_or_none() {
    let (address, _target) = echo("a").await;
    let routes = ["a.test", "x.b.test", "y.b.test", "own.test"].map(|host| (host, address));
    let proxy = Proxy::start(Limits::default(), &routes).await;
    let [one, wild, exact] = [("1.pem", "a.test"), ("2.pem", "*.b.test"), ("3.pem", "x.b.test")]
        .map(|(file, name)| proxy.issue(file, &[name]));
    let index: [(&str, &[&str]); 3] =
        [("1.pem", &["a.test"]), ("2.pem", &["*.b.test"]), ("3.pem", &["x.b.test"])];
    proxy.show(&index, &[]).await;
    for (name, expected) in [("a.test", &one), ("A.Test", &one), ("x.b.test", &exact), ("y.b.test", &wild)] {
        let stream = proxy.greet(&usual(), name).await.unwrap();
        assert_eq!(shown(&stream), *expected, "{name}");
    }
    let own = shown(&proxy.greet(&usual(), "own.test").await.unwrap());
    let (_, parsed) = x509_parser::parse_x509_certificate(&own).unwrap();
    let names = format!("{:?}", parsed.subject_alternative_name().unwrap().unwrap().value.general_names);
    assert!(names.contains("own.test"), "{names}");
    assert_eq!(shown(&proxy.greet(&usual(), "own.test").await.unwrap()), own, "it is kept");
    for name in ["c.test", "b.test", "x.y.b.test", "127.0.0.1"] {
        assert_eq!(alert(&proxy, &[b"http/1.1"], name).await, AlertDescription::UnrecognisedName, "{name}");
    }
    assert_eq!(alert(&proxy, &[b"spdy/1"], "a.test").await, AlertDescription::NoApplicationProtocol);
}

#[tokio::test]
async fn who_names_no_host_means_rivetr_itself() {
    let (address, _target) = echo("rivetr").await;
    let proxy = Proxy::start(Limits::default(), &[]).await;
    let target = Target { key: "rivetr".into(), via: Via::Host, address };
    let routes = vec![Route::plain("a.test", vec![]), Route::plain("127.0.0.1", vec![target])];
    proxy.put(&Routes { generation: 2, routes, ..Routes::default() }).await;
    assert_eq!(status(&proxy, "127.0.0.1", "127.0.0.1").await, "200");
    assert_eq!(status(&proxy, "127.0.0.1", "a.test").await, "421");
}

#[tokio::test]
async fn an_acme_server_sees_challenges_and_nothing_else() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address), ("b.test", address)]).await;
    proxy.issue("1.pem", &["a.test"]);
    proxy.issue("2.pem", &["b.test"]);
    let challenge = proxy.prove("challenge.pem", "a.test");
    proxy.show(&[("1.pem", &["a.test"]), ("2.pem", &["b.test"])], &[("challenge.pem", &["a.test"])]).await;
    let acme: &[&[u8]] = &[b"acme-tls/1"];
    let mut stream = proxy.greet(&client(&VERSIONS, acme), "a.test").await.unwrap();
    assert_eq!(shown(&stream), challenge);
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"acme-tls/1"[..]));
    assert_eq!(timeout(SURELY, stream.read(&mut [0])).await.expect("it is closed").unwrap(), 0);
    assert_ne!(shown(&proxy.greet(&usual(), "a.test").await.unwrap()), challenge);
    assert_eq!(alert(&proxy, acme, "b.test").await, AlertDescription::UnrecognisedName);
    assert_eq!(alert(&proxy, acme, "127.0.0.1").await, AlertDescription::UnrecognisedName);
}

#[tokio::test]
async fn who_comes_back_with_a_ticket_is_known() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    for version in VERSIONS {
        let config = client(&[version], &[]);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let mut stream = proxy.greet(&config, "a.test").await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected), "{version:?}");
            assert!(!stream.get_ref().1.is_early_data_accepted());
            // The ticket comes before the answer.
            stream.write_all(ASK).await.unwrap();
            read_head(&mut stream).await;
        }
    }
}

#[tokio::test]
async fn a_changed_certificate_is_shown_at_once_and_a_broken_one_is_not() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let own = shown(&proxy.greet(&usual(), "a.test").await.unwrap());
    for file in ["1.pem", "2.pem"] {
        let issued = proxy.issue(file, &["a.test"]);
        proxy.show(&[(file, &["a.test"])], &[]).await;
        assert_eq!(shown(&proxy.greet(&usual(), "a.test").await.unwrap()), issued);
    }
    let last = shown(&proxy.greet(&usual(), "a.test").await.unwrap());
    crate::files::write_whole(&proxy.certs.join("index.json"), b"{", 0o600).unwrap();
    proxy.route(2, &[("a.test", address), ("b.test", address)]).await;
    assert_eq!(shown(&proxy.greet(&usual(), "a.test").await.unwrap()), last, "an index that is none");
    assert_eq!(status(&proxy, "b.test", "b.test").await, "200", "routes are served all the same");
    let [one, two] = ["1.pem", "2.pem"].map(|file| std::fs::read_to_string(proxy.certs.join(file)).unwrap());
    let begin = "-----BEGIN CERTIFICATE";
    let mixed = [two.split(begin).next().unwrap(), begin, one.split(begin).nth(1).unwrap()].concat();
    for (file, text) in [("none.pem", None), ("empty.pem", Some("")), ("mixed.pem", Some(&*mixed))] {
        if let Some(text) = text {
            crate::files::write_whole(&proxy.certs.join(file), text.as_bytes(), 0o600).unwrap();
        }
        proxy.show(&[(file, &["a.test"])], &[]).await;
        assert_eq!(shown(&proxy.greet(&usual(), "a.test").await.unwrap()), own, "{file}");
    }
}

#[tokio::test]
async fn a_request_for_another_host_is_misdirected_unless_the_certificate_covers_it() {
    let (address, _target) = echo("a").await;
    let routes = ["a.test", "b.test", "x.b.test", "y.b.test"].map(|host| (host, address));
    let proxy = Proxy::start(Limits::default(), &routes).await;
    proxy.issue("1.pem", &["b.test", "*.b.test"]);
    proxy.show(&[("1.pem", &["b.test", "*.b.test", "gone.test"])], &[]).await;
    for (name, host, expected) in [
        ("b.test", "y.b.test", "200"),
        ("x.b.test", "b.test:8443", "200"),
        ("x.b.test", "a.test", "421"),
        ("a.test", "x.b.test", "421"),
        ("a.test", "A.test.", "200"),
        ("b.test", "z.b.test", "421"),
        ("gone.test", "gone.test", "421"),
        ("a.test", "[::1]", "421"),
    ] {
        assert_eq!(status(&proxy, name, host).await, expected, "{name} {host}");
    }
    let answer = proxy.say("GET / HTTP/1.1\r\nHost: gone.test\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test]
async fn a_handshake_has_an_end() {
    let limits = Limits { handshake: Duration::from_millis(100), ..Limits::default() };
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(limits, &[("a.test", address)]).await;
    // Nothing; the beginning of a ClientHello of 16,000 bytes; a request without TLS.
    for bytes in [&b""[..], &[22, 3, 1, 62, 132, 1, 0, 62, 128, 3, 3], ASK] {
        let mut stream = TcpStream::connect(proxy.secure).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _reset = timeout(SURELY, stream.read_to_end(&mut answer)).await.expect("it is closed");
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_hello_has_a_size() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut stream = TcpStream::connect(proxy.secure).await.unwrap();
    // A ClientHello that says it has 60,000 bytes, in records of 4,000.
    let mut record = vec![22, 3, 1, 15, 160, 1, 0, 234, 96, 3, 3];
    record.resize(4005, 0);
    stream.write_all(&record).await.unwrap();
    let mut more = vec![22, 3, 1, 15, 160];
    more.resize(4005, 0);
    let flood = async { while stream.write_all(&more).await.is_ok() {} };
    timeout(SURELY, flood).await.expect("nobody takes it all");
}

#[tokio::test]
async fn a_stop_says_goodbye_also_beneath_http() {
    let (address, _target) = echo("a").await;
    let limits = Limits { farewell: Duration::from_millis(50), ..Limits::default() };
    let proxy = Proxy::start(limits, &[("a.test", address)]).await;
    let mut silent = proxy.greet(&usual(), "a.test").await.unwrap();
    let mut idle = proxy.greet(&usual(), "a.test").await.unwrap();
    idle.write_all(&[&ASK[..ASK.len() - 2], b"Content-Length: 0\r\n\r\n"].concat()).await.unwrap();
    let head = read_head(&mut idle).await;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    idle.read_exact(&mut vec![0; length.parse().unwrap()]).await.unwrap();
    let mut stopping = JoinSet::new();
    stopping.spawn(proxy.stop());
    for stream in [&mut silent, &mut idle] {
        // Without close_notify this would be an error.
        assert_eq!(timeout(SURELY, stream.read(&mut [0])).await.expect("it ends").unwrap(), 0);
    }
    timeout(SURELY, stopping.join_next()).await.expect("it stops").unwrap().unwrap().unwrap();
}
