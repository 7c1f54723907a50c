//! What is foreseen of a request is what becomes of it.

use argon2::{Argon2, Params, PasswordHasher};

use super::super::foresight::{Ending, Foresight, Question, foresee};
use super::super::rules::{Credential, Redirect, Rules};
use super::*;

/// Where visitors find HTTPS.
const HTTPS_PORT: u16 = 8443;

/// One route of each kind that rules can make, each with a target.
fn routes(target: SocketAddr) -> Routes {
    let allow = |networks: &[&str]| networks.iter().map(|network| (*network).to_owned()).collect();
    let redirect = |from: &str, to: &str| Redirect { from: from.into(), to: to.into(), status: 301 };
    let cheap = Argon2::from(Params::new(16, 1, 1, None).unwrap());
    let hash = cheap.hash_password_with_salt(b"secret", b"salt and salt").unwrap().to_string();
    let plain = Rules::default;
    let everything = Rules {
        https_only: true,
        to_host: Some("a.test".into()),
        redirects: vec![redirect("(/api)?/old/(.*)", "/new/$2")],
        maintenance: Some("Back at noon".into()),
        basic_auth: vec![Credential { user: "ada".into(), hash }],
        allow: allow(&["127.0.0.0/8"]),
        ..plain()
    };
    let rows = [
        ("a.test/", plain()),
        ("a.test/api!", Rules { maintenance: None, to_host: None, https_only: false, ..everything.clone() }),
        ("a.test/api/closed", Rules { maintenance: Some("Back at noon".into()), ..plain() }),
        ("a.test/shut", Rules { allow: allow(&["home"]), ..plain() }),
        (
            "only.test/part",
            Rules { redirects: vec![redirect("/part/~(.*)", "https://b.test/$1")], ..plain() },
        ),
        ("*.wild.test/", Rules { to_host: Some("a.test".into()), ..plain() }),
        ("own.wild.test/", Rules { https_only: true, ..plain() }),
        ("all.test/", everything),
        ("twice.test/", plain()),
        ("twice.test/", plain()),
        ("stopped.test/", plain()),
    ];
    let mut routes = table(1, &rows.each_ref().map(|_| ("a.test", target)));
    let one = routes.routes.remove(0);
    for (name, rules) in rows {
        let (host, path) = name.trim_end_matches('!').split_once('/').unwrap();
        let mut route = Route { host: host.into(), path: format!("/{path}"), rules, ..one.clone() };
        route.strip = name.ends_with('!');
        if host == "stopped.test" {
            route.targets.clear();
        }
        routes.routes.push(route);
    }
    routes.challenges.insert("to_ken".into(), "to_ken.thumb".into());
    routes
}

const HOSTS: [&str; 12] = [
    "a.test",
    "A.test.:81",
    "only.test",
    "x.wild.test",
    "own.wild.test:8080",
    "x.y.wild.test",
    "all.test",
    "twice.test",
    "stopped.test",
    "nobody.test",
    "a_b",
    "[::1]",
];

const PATHS: [&str; 16] = [
    "/",
    "/x?y=1",
    "/api",
    "/api/x?y",
    "/api/old/x?y",
    "/api/closed/x",
    "/apix",
    "/%61pi/x",
    "/x/..//api",
    "/shut/x",
    "/part/~x?y=2",
    "/old/x?y",
    "/old/%zz",
    "/a%00",
    "/.well-known/acme-challenge/to_ken",
    "/.well-known/acme-challenge/other",
];

/// What came back, in the words of what was foreseen; of `seen`, what cannot come back is taken over.
fn became(answer: &str, seen: &Foresight) -> Ending {
    let status = answer.get(9..12).unwrap().parse().unwrap();
    let field = |name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::to_owned)
    };
    match status {
        200 if answer.ends_with("\r\n\r\nto_ken.thumb") => Ending::Proof,
        200 => {
            let (_, body) = answer.split_once("\r\n\r\nhere\nGET ").unwrap();
            Ending::Served(body.split_once(['\n', '\r']).unwrap().0.to_owned())
        }
        300..400 => Ending::Moved { status, to: field("location: ").unwrap() },
        404 if answer.contains("no site at this address") => Ending::UnknownHost,
        404 => Ending::UnknownPath,
        503 if answer.contains("Back at noon") => Ending::Closed("Back at noon".into()),
        503 if answer.contains("The site is stopped") => Ending::Stopped,
        _ => {
            let Ending::Refused { why, .. } = &seen.ending else {
                panic!("{seen:?} was foreseen of {answer}")
            };
            Ending::Refused { status, why: why.clone() }
        }
    }
}

#[tokio::test]
async fn what_is_foreseen_comes_true() {
    let (here, _here) = echo("here").await;
    let routes = routes(here);
    let proxy = Proxy::start_with(routes.clone(), |settings| {
        settings.trusted = vec!["127.0.0.0/8".parse().unwrap()];
        settings.https_port = HTTPS_PORT;
    })
    .await;
    let mut kinds = std::collections::HashSet::new();
    for (https, host, path) in [false, true]
        .into_iter()
        .flat_map(|https| HOSTS.into_iter().flat_map(move |host| PATHS.map(|path| (https, host, path))))
    {
        let question =
            Question { https, authority: host.into(), address: path.into(), https_port: HTTPS_PORT };
        let seen = foresee(&routes, &question);
        let password = if seen.users.is_empty() { "" } else { "Authorization: Basic YWRhOnNlY3JldA==\r\n" };
        let scheme = if https { "https" } else { "http" };
        let answer = proxy
            .say(format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Forwarded-Proto: {scheme}\r\n{password}\r\n"
            ))
            .await;
        assert_eq!(became(&answer, &seen), seen.ending, "{scheme}://{host}{path}");
        kinds.insert(std::mem::discriminant(&seen.ending));
        if !seen.users.is_empty() {
            let answer = proxy.say(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Forwarded-Proto: {scheme}\r\n\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        }
        if !seen.allowed.is_empty() {
            assert_eq!(seen.allowed, ["127.0.0.0/8"]);
        }
    }
    assert_eq!(kinds.len(), 8, "each ending was seen");
}

#[test]
fn whose_route_is_meant_and_who_may_come() {
    let routes = routes("127.0.0.1:9".parse().unwrap());
    let seen = |https, host: &str, path: &str| {
        let question =
            Question { https, authority: host.into(), address: path.into(), https_port: HTTPS_PORT };
        foresee(&routes, &question)
    };
    let row = |host, path| seen(true, host, path).row;
    assert_eq!(
        [row("a.test", "/x"), row("a.test", "/api/x"), row("a.test", "/shut")],
        [Some(0), Some(1), Some(3)]
    );
    assert_eq!(
        [row("x.wild.test", "/"), row("own.wild.test", "/"), row("only.test", "/")],
        [Some(5), Some(6), None]
    );
    let asked = seen(true, "a.test", "/api/x");
    assert_eq!((asked.users, asked.allowed), (vec!["ada".to_owned()], vec!["127.0.0.0/8".to_owned()]));
    let moved = seen(true, "a.test", "/api/old/x");
    assert!(moved.users.is_empty(), "whoever is sent elsewhere is not asked who they are");
}
