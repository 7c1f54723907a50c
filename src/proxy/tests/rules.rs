//! What a route says about its requests, as clients and targets see it.

use argon2::{Argon2, Params, PasswordHasher};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::super::rules::{Credential, FieldChange, Hsts, Redirect, Rules};
use super::*;

/// A proxy that believes this machine, so that a test may come from anywhere and over HTTPS.
async fn proxy(routes: Routes) -> Proxy {
    Proxy::start_with(routes, |settings| settings.trusted = vec!["127.0.0.0/8".parse().unwrap()]).await
}

async fn proxy_with(rules: Rules, target: SocketAddr) -> Proxy {
    proxy(table_with(rules, target)).await
}

fn table_with(rules: Rules, target: SocketAddr) -> Routes {
    let mut routes = table(1, &[("a.test", target)]);
    routes.routes[0].rules = rules;
    routes
}

/// Asks for `path` of `host`, with these lines after the Host.
async fn ask(proxy: &Proxy, host: &str, path: &str, lines: &str) -> String {
    proxy.say(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n")).await
}

/// Asks for `path` of a.test.
async fn get(proxy: &Proxy, path: &str, lines: &str) -> String {
    ask(proxy, "a.test", path, lines).await
}

const HTTPS: &str = "X-Forwarded-Proto: https\r\n";

#[tokio::test]
async fn paths_have_targets_of_their_own() {
    let ((one, _one), (two, _two)) = (echo("one").await, echo("two").await);
    let mut routes = table(1, &[("a.test", one), ("*.b.test", one)]);
    let mut api = table(1, &[("a.test", two)]).routes.remove(0);
    (api.path, api.strip) = ("/api".into(), true);
    routes.routes.push(api);
    let proxy = proxy(routes).await;
    for (host, path, expected) in [
        ("a.test", "/x?y=1", "one\nGET /x?y=1\n"),
        ("a.test", "/apix", "one\nGET /apix\n"),
        ("a.test", "/api?y=1", "two\nGET /?y=1\n"),
        ("a.test", "/api/%7Ex/../z", "two\nGET /%7Ex/../z\n"),
        ("x.b.test", "/", "one\nGET /\n"),
        ("a.test", "/%61pi/x", "HTTP/1.1 400"),
        ("a.test", "/x/..//api", "HTTP/1.1 400"),
        ("a.test", "/%00", "HTTP/1.1 400"),
        ("x.x.b.test", "/", "HTTP/1.1 404"),
    ] {
        let answer = ask(&proxy, host, path, "").await;
        assert!(answer.contains(expected), "{host}{path} gave {answer}");
    }
}

#[tokio::test]
async fn what_cannot_be_followed_lets_nobody_in_and_stops_nobody_else() {
    let (one, _one) = echo("one").await;
    let mut routes = table(1, &[("a.test", one), ("b.test", one)]);
    routes.routes[0].rules.basic_auth = vec![Credential { user: "ann".into(), hash: "secret".into() }];
    routes.routes.push(Route::plain("a b", vec![]));
    let proxy = proxy(routes.clone()).await;
    let answer = get(&proxy, "/", "").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("not set up correctly"), "{answer}");
    let answer = ask(&proxy, "b.test", "/", "").await;
    assert!(answer.contains("one\nGET /\n"), "{answer}");
    let flaws = proxy.link.status().await.unwrap().flaws.join("\n");
    assert!(flaws.contains("a.test answers 503") && flaws.contains("a row is left out"), "{flaws}");
    assert!(!flaws.contains("secret"), "{flaws}");

    routes.generation = 2;
    routes.routes[0].rules.basic_auth.clear();
    routes.routes.pop();
    proxy.put(&routes).await;
    assert!(get(&proxy, "/", "").await.contains("one\nGET /\n"));
    assert!(proxy.link.status().await.unwrap().flaws.is_empty());
}

#[tokio::test]
async fn challenges_come_before_everything() {
    let (one, _one) = echo("one").await;
    let rules = Rules {
        https_only: true,
        to_host: Some("b.test".into()),
        redirects: vec![Redirect { from: ".*".into(), to: "https://c.test/".into(), status: 301 }],
        ..Rules::default()
    };
    let closed = Rules { allow: vec!["192.0.2.0/24".into()], ..rules.clone() };
    let mut routes = table(1, &[("a.test", one), ("closed.test", one)]);
    routes.routes[0].rules = rules;
    routes.routes[1].rules = closed;
    routes.challenges.insert("to_ken".into(), "to_ken.thumb".into());
    let proxy = proxy(routes).await;
    let path = "/.well-known/acme-challenge/to_ken";
    for host in ["a.test", "closed.test", "unknown.test", "[::1]"] {
        let answer = ask(&proxy, host, path, "").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nto_ken.thumb"), "{answer}");
        assert!(answer.contains("content-type: application/octet-stream\r\n"), "{answer}");
    }
    let answer = get(&proxy, "/.well-known/acme-challenge/other", "").await;
    assert!(answer.contains("one\nGET /.well-known/acme-challenge/other\n"), "{answer}");
    let answer = ask(&proxy, "unknown.test", "/.well-known/acme-challenge/other", "").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test]
async fn https_is_asked_for_and_remembered() {
    let (one, _one) = echo("one").await;
    let hsts = Some(Hsts { max_age_s: 300, subdomains: true, preload: false });
    let proxy = proxy_with(Rules { https_only: true, hsts, ..Rules::default() }, one).await;
    let answer = get(&proxy, "/x?y=%3Cz%3E", "").await;
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    assert!(answer.contains("\r\nlocation: https://a.test/x?y=%3Cz%3E\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n") && !answer.contains("strict-transport"), "{answer}");
    let answer = get(&proxy, "/x", HTTPS).await;
    assert!(answer.contains("\r\nstrict-transport-security: max-age=300; includeSubDomains\r\n"), "{answer}");
    assert!(answer.contains("\nx-forwarded-proto: https\n"), "{answer}");
    let gone = table_with(Rules { hsts, ..Rules::default() }, nowhere());
    write(&proxy.routes, &Routes { generation: 2, ..gone }).unwrap();
    proxy.link.load().await.unwrap();
    let answer = get(&proxy, "/x", HTTPS).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("strict-transport-security: "), "{answer}");
}

#[tokio::test]
async fn requests_are_sent_to_another_host_or_path() {
    let (one, _one) = echo("one").await;
    let rules = Rules { to_host: Some("a.test".into()), ..Rules::default() };
    let mut routes = table(1, &[("www.a.test", one), ("a.test", one)]);
    routes.routes[0].rules = rules.clone();
    routes.routes[1].rules = Rules {
        redirects: vec![
            Redirect { from: "/old/(.*)".into(), to: "/new/$1".into(), status: 301 },
            Redirect { from: "/old/.*".into(), to: "/never".into(), status: 302 },
            Redirect { from: "/out(.*)".into(), to: "https://b.test/in$1".into(), status: 307 },
        ],
        ..rules
    };
    let proxy = proxy(routes).await;
    for (host, path, expected) in [
        ("www.a.test:81", "/x?y=1", "HTTP/1.1 308|location: http://a.test:81/x?y=1"),
        ("a.test", "/old/x?y=1", "HTTP/1.1 301|location: /new/x?y=1"),
        ("a.test", "/%6Fld/x", "HTTP/1.1 301|location: /new/x"),
        ("a.test", "/out/x", "HTTP/1.1 307|location: https://b.test/in/x"),
        ("a.test", "/other", "HTTP/1.1 200|one\nGET /other"),
    ] {
        let answer = ask(&proxy, host, path, "").await;
        for part in expected.split('|') {
            assert!(answer.contains(part), "{host}{path} gave {answer}");
        }
    }
}

#[tokio::test]
async fn fields_are_changed_on_both_ways() {
    let (one, _one) = target(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let answer =
            format!("HTTP/1.1 200 OK\r\nX-Powered-By: x\r\nContent-Length: {}\r\n\r\n{head}", head.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let set = |name: &str, value: &str| FieldChange::Set { name: name.into(), value: value.into() };
    let remove = |name: &str| FieldChange::Remove { name: name.into() };
    let rules = Rules {
        request_fields: vec![set("x-env", "live"), remove("cookie")],
        response_fields: vec![set("x-frame-options", "DENY"), remove("x-powered-by")],
        ..Rules::default()
    };
    let proxy = proxy_with(rules, one).await;
    let answer = get(&proxy, "/", "Cookie: a=b\r\nX-Env: test\r\n").await;
    let (head, seen) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("x-frame-options: DENY") && !head.contains("x-powered-by"), "{answer}");
    assert!(
        seen.contains("x-env: live\r\n") && !seen.contains("cookie") && !seen.contains("x-env: test"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_password_opens_and_stays_known() {
    let (one, _one) = echo("one").await;
    let cheap = Argon2::from(Params::new(16, 1, 1, None).unwrap());
    let hash = cheap.hash_password_with_salt(b"se:cret", b"salt and salt").unwrap().to_string();
    let rules = Rules {
        https_only: true,
        basic_auth: vec![Credential { user: "ann".into(), hash }],
        ..Rules::default()
    };
    let proxy = proxy_with(rules, one).await;
    let lines = |given: &str| format!("{HTTPS}Authorization: Basic {}\r\n", BASE64_STANDARD.encode(given));
    let answer = get(&proxy, "/", "").await;
    assert!(answer.starts_with("HTTP/1.1 308"), "nobody is asked for a password over plain HTTP: {answer}");
    for wrong in
        [HTTPS.to_owned(), lines("ann:x"), lines("bob:se:cret"), format!("{HTTPS}Authorization: x\r\n")]
    {
        let answer = get(&proxy, "/", &wrong).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(
            answer.contains("www-authenticate: Basic realm=\"Restricted\", charset=\"UTF-8\"\r\n"),
            "{answer}"
        );
        assert!(!answer.contains("ann"), "{answer}");
    }
    for _ in 0..3 {
        let answer = get(&proxy, "/", &lines("ann:se:cret")).await;
        assert!(answer.contains("one\nGET /\n") && !answer.contains("authorization"), "{answer}");
    }
    let mut limited = false;
    for _ in 0..20 {
        limited |= get(&proxy, "/", &lines("ann:x")).await.starts_with("HTTP/1.1 429");
    }
    assert!(limited, "nobody may try for ever");
    let answer = get(&proxy, "/", &lines("ann:se:cret")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "whoever is known goes on: {answer}");
}

#[tokio::test]
async fn strangers_stay_outside() {
    let (one, _one) = echo("one").await;
    let allow = vec!["192.0.2.0/24".into(), "2001:db8::/32".into()];
    let rules = Rules { allow, https_only: true, maintenance: Some(String::new()), ..Rules::default() };
    let proxy = proxy_with(rules, one).await;
    for (client, status) in [
        ("192.0.2.9", "308"),
        ("2001:db8::1", "308"),
        ("198.51.100.1", "403"),
        ("192.0.2.9, 198.51.100.1", "403"),
        ("198.51.100.1, 192.0.2.9, 127.0.0.9", "308"),
    ] {
        let answer = get(&proxy, "/", &format!("X-Forwarded-For: {client}\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{client} got {answer}");
    }
    assert!(get(&proxy, "/", "").await.starts_with("HTTP/1.1 403"), "this machine is not on the list");
}

#[tokio::test]
async fn only_those_are_believed_that_are_trusted() {
    let (one, _one) = echo("one").await;
    let rules = Rules { allow: vec!["192.0.2.0/24".into()], ..Rules::default() };
    let proxy = Proxy::start_with(table_with(rules, one), |_| {}).await;
    let answer = get(&proxy, "/", "X-Forwarded-For: 192.0.2.1\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn maintenance_is_said_in_the_words_given() {
    let (one, _one) = echo("one").await;
    let rules = Rules { maintenance: Some("Back at <b>9</b>.".into()), ..Rules::default() };
    let proxy = proxy_with(rules, one).await;
    let answer = get(&proxy, "/", "Accept: text/html\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 120"), "{answer}");
    assert!(answer.contains("<p>Back at &lt;b&gt;9&lt;/b&gt;.</p>"), "{answer}");
}

#[tokio::test]
async fn limits_of_a_route() {
    let (slow, _slow) = target(|mut stream| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let mut routes = table_with(Rules { answer_ms: Some(50), ..Rules::default() }, slow);
    routes.routes[0].body_limit = Some(3);
    let proxy = proxy(routes).await;
    let answer = get(&proxy, "/", "").await;
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    let answer = proxy.say("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nmuch").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_visitor_stays_until_the_target_is_gone() {
    let ((one, _one), (two, _two), (three, _three)) =
        (echo("one").await, echo("two").await, echo("three").await);
    let rows = [("a.test", one), ("a.test", two), ("a.test", three)];
    let sticky = |generation, rows: &[(&str, SocketAddr)]| {
        let mut routes = table(generation, rows);
        routes.routes[0].rules.sticky = true;
        routes
    };
    let proxy = proxy(sticky(1, &rows)).await;
    let name_of = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.lines().next().unwrap().to_owned();
    let cookie_of = |answer: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "))?;
        Some(line.split_once(';').unwrap().0.to_owned())
    };
    let first = get(&proxy, "/", HTTPS).await;
    assert!(first.contains("; Path=/; HttpOnly; SameSite=Lax; Secure\r\n"), "{first}");
    let (name, cookie) = (name_of(&first), cookie_of(&first).unwrap());
    for _ in 0..5 {
        let answer = get(&proxy, "/", &format!("Cookie: a=b; {cookie}\r\n")).await;
        assert_eq!((name_of(&answer), cookie_of(&answer)), (name.clone(), None));
    }
    let answer = get(&proxy, "/", "Cookie: rivetr-target=forged\r\n").await;
    assert!(cookie_of(&answer).is_some() && !answer.contains("Secure"), "{answer}");
    let names = [("one", one), ("two", two), ("three", three)];
    let left: Vec<_> =
        names.iter().filter(|(other, _)| *other != name).map(|(_, at)| ("a.test", *at)).collect();
    write(&proxy.routes, &sticky(2, &left)).unwrap();
    proxy.link.load().await.unwrap();
    let answer = get(&proxy, "/", &format!("Cookie: {cookie}\r\n")).await;
    assert!(name_of(&answer) != name && cookie_of(&answer).is_some_and(|other| other != cookie), "{answer}");
}

#[tokio::test]
async fn a_proxy_in_front_introduces_its_clients() {
    let (one, _one) = echo("one").await;
    let introduced = |settings: &mut Settings| {
        settings.trusted = vec!["127.0.0.0/8".parse().unwrap()];
        settings.proxy_protocol = true;
        settings.limits.first_byte = Duration::from_millis(200);
    };
    let proxy = Proxy::start_with(table(1, &[("a.test", one)]), introduced).await;
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    let answer = proxy.say(format!("PROXY TCP4 192.0.2.1 127.0.0.1 5 80\r\n{request}")).await;
    assert!(answer.contains("\nx-forwarded-for: 192.0.2.1\n"), "{answer}");
    let second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x02\x7f\0\0\x01\0\x05\0\x50";
    let answer = proxy.say([second, request.as_bytes()].concat()).await;
    assert!(answer.contains("\nx-forwarded-for: 192.0.2.2\n"), "{answer}");
    assert_eq!(proxy.say(request).await, "", "whoever must introduce a client and does not is not served");
    assert_eq!(proxy.say("PROXY TCP4 192.0.2.1").await, "", "nor is who never comes to an end");
    let strangers =
        Proxy::start_with(table(1, &[("a.test", one)]), |settings| settings.proxy_protocol = true).await;
    assert!(
        strangers.say(request).await.contains("\nx-forwarded-for: 127.0.0.1\n"),
        "strangers are served as such"
    );
    let answer = strangers.say(format!("PROXY TCP4 192.0.2.1 127.0.0.1 5 80\r\n{request}")).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "and not believed: {answer}");
}

#[tokio::test]
async fn an_introduction_comes_before_the_handshake() {
    let (one, _one) = echo("one").await;
    let introduced = |settings: &mut Settings| {
        settings.trusted = vec!["127.0.0.0/8".parse().unwrap()];
        settings.proxy_protocol = true;
    };
    let hsts = Some(Hsts { max_age_s: 300, subdomains: false, preload: false });
    let rules = Rules { https_only: true, hsts, allow: vec!["192.0.2.1".into()], ..Rules::default() };
    let proxy = Proxy::start_with(table_with(rules, one), introduced).await;
    for (client, status) in [("192.0.2.1", "200"), ("192.0.2.2", "403")] {
        let mut stream = TcpStream::connect(proxy.secure).await.unwrap();
        stream.write_all(format!("PROXY TCP4 {client} 127.0.0.1 5 443\r\n").as_bytes()).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(secure::usual());
        let mut stream = connector.connect("a.test".try_into().unwrap(), stream).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        timeout(SURELY, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{client} got {answer}");
        assert!(answer.contains("\r\nstrict-transport-security: max-age=300\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_target_that_keeps_refusing_is_left_alone_until_it_listens() {
    let (one, _one) = echo("one").await;
    let (dead, kept) = not_yet();
    let proxy = proxy(table(1, &[("a.test", dead), ("a.test", nowhere())])).await;
    assert!(get(&proxy, "/", "").await.starts_with("HTTP/1.1 503"), "each was asked several times");
    proxy.route(2, &[("a.test", dead), ("a.test", one)]).await;
    for _ in 0..4 {
        assert!(get(&proxy, "/", "").await.contains("one\n"));
    }
    let (_, _two) = echo_on(kept.listen(64).unwrap(), "two");
    let back = async { while !get(&proxy, "/", "").await.contains("two\n") {} };
    timeout(SURELY, back).await.expect("it gets requests again");
}
