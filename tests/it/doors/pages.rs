//! Every page and every form of the dashboard, as the router lists them, for every kind of visitor: who may come in,
//! who is refused, and to whom what belongs to another team does not exist.

use std::collections::BTreeMap;

use rivetr::auth::gate::Access;
use rivetr::domain::person::Role;
use rivetr::domain::right::Right;

use super::{Client, Door};
use crate::host::Host;

const PASSWORD: &str = "a password of some length";
/// What a form shows that comes from no session.
const UNKNOWN: &str = "unknown";

/// Somebody at the door.
struct Visitor {
    who: String,
    /// The cookie of a session; empty without one.
    cookie: String,
    /// What the forms of the session show.
    word: String,
    part: Part,
}

/// What somebody is to the team whose things are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Nobody has signed in, or only half.
    Stranger,
    /// In another team.
    Foreign,
    Member(Role),
    Administrator,
}

#[test]
fn every_page_lets_in_who_may_come_in_and_hides_what_is_another_teams() {
    let host = Host::boot("pages");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    host.rivetr(["apps", "create", "slow"]).succeeds();
    host.sample("blog").push().succeeds();
    host.rivetr(["domains", "add", "blog", "blog.example.org"]).succeeds();
    host.rivetr(["keys", "create", "deploys"]).succeeds();
    host.rivetr(["apps", "set", "blog", "--volume", "data:/data"]).succeeds();
    super::databases(&host);
    // It is stopped: what comes of it is a backup that failed, and its page.
    host.rivetr(["backups", "take", "orders"]).fails().says("only while it runs");
    service(&host);
    host.rivetr(["teams", "create", "others"]).succeeds();
    let client = Client::new(&host);
    let visitors = visitors(&host, &client);

    let before = super::state(&client, &host);
    let (mut walked, mut wrong) = (0, Vec::new());
    for route in rivetr::web::table() {
        let Some(target) = target(route.path) else { continue };
        for visitor in &visitors {
            wrong.extend(look(&client, route.access, route.method, route.path, &target, visitor));
            walked += 1;
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(walked > 700, "hardly a walk: {walked}");
    assert_eq!(super::state(&client, &host), before, "somebody changed something");
}

#[test]
fn what_gives_power_asks_for_the_password_again() {
    let host = Host::boot("proof");
    host.configure("[sessions]\nproof_s = 0\n");
    let client = Client::new(&host);
    make(&host, "root", &["--admin"]);
    let root = sign_in(&client, "root", Part::Administrator);
    let send = |path: &str, body: &str| {
        let fields =
            format!("cookie: {}\r\ncontent-type: application/x-www-form-urlencoded\r\n", root.cookie);
        client.send(Door::Proxy, &format!("POST {path}"), &fields, &format!("csrf={}&{body}", root.word))
    };
    let tokens =
        || host.rivetr(["tokens", "list", "--json"]).succeeds().json()["items"].as_array().unwrap().len();
    let before = tokens();
    let asked = send("/tokens", "name=%3Cb%3Elaptop&scope=read&expires_days=30");
    let kept = r#"<input type="hidden" name="name" value="&#60;b&#62;laptop">"#;
    assert!(asked.status == 422 && asked.body.contains(kept), "{}", asked.body);
    let wrong = send("/tokens", "name=laptop&scope=read&expires_days=30&proof=wrong");
    assert!(wrong.status == 422 && wrong.body.contains("this is not right"), "{}", wrong.body);
    assert_eq!(tokens(), before);
    let right = format!("name=laptop&scope=read&expires_days=30&proof={}", PASSWORD.replace(' ', "+"));
    let made = send("/tokens", &right);
    assert!(made.status < 400 && tokens() == before + 1, "{} {}", made.status, made.body);
    // What takes nothing for good is done without.
    assert_eq!(send("/projects", "name=shop").status, 303);
    assert_eq!(send("/projects/shop/delete", "confirm=shop").status, 422);
    host.rivetr(["projects", "list"]).succeeds().says("shop");
}

/// Asks for one route as one visitor, and says what was wrong with the answer. What a form would do is never done:
/// whoever may do it shows no word.
fn look(
    client: &Client,
    access: Access,
    method: &str,
    path: &str,
    target: &str,
    visitor: &Visitor,
) -> Option<String> {
    let verdict = verdict(access, path, visitor.part);
    let word = if method == "POST" && verdict != Verdict::Welcome { visitor.word.as_str() } else { "" };
    let fields = format!(
        "cookie: {}\r\ncontent-type: application/x-www-form-urlencoded\r\naccept: text/html\r\n",
        visitor.cookie
    );
    let body = if method == "POST" { format!("csrf={word}") } else { String::new() };
    let answer = client.send(Door::Proxy, &format!("{method} {target}"), &fields, &body);
    let policy = "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'";
    let fine = match (verdict, method) {
        // No session, no word: a form that anybody may send is looked at.
        (Verdict::Welcome, "POST") if visitor.word == UNKNOWN => answer.status != 500,
        // The session's word is asked for before anything else.
        (Verdict::Welcome, "POST") => answer.status == 403 && answer.body.contains("too old"),
        // A link that is spent is gone; of what has a number, none was made.
        (Verdict::Welcome, _) => matches!(answer.status, 200 | 303 | 400 | 404 | 410 | 426),
        (Verdict::SignIn, _) => answer.status == 303 && answer.head.contains("location: /sign-in"),
        // None was delivered; that is said before who asks.
        (Verdict::Refused, _) if path.starts_with("/webhook-deliveries") => answer.status == 404,
        (Verdict::Refused, _) => answer.status == 403 && answer.body.contains("You may not do this"),
        (Verdict::Hidden, _) => answer.status == 404,
    };
    let fine = fine && answer.head.contains(policy);
    (!fine).then(|| format!("{method} {path} as {} gave {}, not {verdict:?}", visitor.who, answer.status))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Welcome,
    SignIn,
    Refused,
    Hidden,
}

fn verdict(access: Access, path: &str, part: Part) -> Verdict {
    let right = match access {
        Access::Open => return Verdict::Welcome,
        _ if part == Part::Stranger => return Verdict::SignIn,
        Access::Oneself => return Verdict::Welcome,
        Access::Needs(right) => right,
    };
    let of_instance = right == Right::Administer || is_the_instances(path);
    match part {
        Part::Stranger => Verdict::SignIn,
        // An owner elsewhere may do all of it, but not here.
        Part::Foreign if is_an_object(path) => Verdict::Hidden,
        Part::Foreign if of_instance => Verdict::Refused,
        Part::Member(role) if of_instance || !role.allows(right) => Verdict::Refused,
        Part::Administrator | Part::Foreign | Part::Member(_) => Verdict::Welcome,
    }
}

/// Whether a path names a thing of a team.
fn is_an_object(path: &str) -> bool {
    let ones_own = ["/tokens", "/me", "/templates"].iter().any(|path_of| path.starts_with(path_of));
    path.contains('{') && !is_the_instances(path) && !ones_own
}

/// Whether it is about what no team has.
fn is_the_instances(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap();
    ["backup-destinations", "backup-key", "host", "known-hosts", "registries", "users"].contains(&first)
}

/// The address of a pattern, with things that are there. None: it is looked at elsewhere, for it never ends.
fn target(pattern: &str) -> Option<String> {
    if pattern.starts_with("/live") || pattern.ends_with("/stream") || pattern.ends_with("/socket") {
        return None;
    }
    let names: BTreeMap<&str, &str> = BTreeMap::from([
        ("apps", "blog"),
        ("backups", "1"),
        ("deployments", "1"),
        ("projects", "default"),
        ("volumes", "rivetr-vol-blog-data"),
        ("databases", "orders"),
        ("services", "pair"),
        ("templates", "grafana"),
        ("trashed-databases", "1"),
        ("domains", "2"),
        ("keys", "deploys"),
        ("teams", "1"),
        ("certificates", "blog.example.org"),
        ("webhook-deliveries", "1"),
    ]);
    let mut words: Vec<&str> = pattern.trim_start_matches('/').split('/').collect();
    let first = words[0];
    for (at, word) in words.iter_mut().enumerate() {
        if word.starts_with('{') {
            *word = if at == 1 { names.get(first).copied().unwrap_or("1") } else { "1" };
        }
    }
    Some(format!("/{}", words.join("/")))
}

/// A service that runs.
pub(super) fn service(host: &Host) {
    let file = "services: {web: {image: \"docker.io/library/busybox:stable\", command: sleep 1000, stop_signal: SIGKILL}}";
    host.run(["sh", "-c", &format!("echo '{file}' >/root/compose.yaml")]).succeeds();
    host.rivetr(["services", "create", "pair", "--file", "/root/compose.yaml"]).succeeds();
}

/// Somebody of each kind, signed in where they can.
fn visitors(host: &Host, client: &Client) -> Vec<Visitor> {
    let stranger = |who: &str, cookie: &str| Visitor {
        who: who.to_owned(),
        cookie: cookie.to_owned(),
        word: UNKNOWN.to_owned(),
        part: Part::Stranger,
    };
    let mut all = vec![stranger("nobody", ""), stranger("an unknown session", "rivetr=0123456789abcdef")];
    for role in Role::ALL {
        let login = format!("the-{role}");
        make(host, &login, &["--team", "main", "--role", role.as_str()]);
        all.push(sign_in(client, &login, Part::Member(role)));
    }
    make(host, "foreign", &["--team", "others", "--role", "owner"]);
    all.push(sign_in(client, "foreign", Part::Foreign));
    make(host, "root", &["--admin"]);
    all.push(sign_in(client, "root", Part::Administrator));
    all
}

fn make(host: &Host, login: &str, part: &[&str]) {
    let line = format!("rivetr users create {login} {} --password-stdin", part.join(" "));
    host.run(["sh", "-c", &format!("printf '%s' '{PASSWORD}' | {line}")]).succeeds();
}

fn sign_in(client: &Client, login: &str, part: Part) -> Visitor {
    let fields = "content-type: application/x-www-form-urlencoded\r\n";
    let body = format!("login={login}&password={}", PASSWORD.replace(' ', "+"));
    let answer = client.send(Door::Proxy, "POST /sign-in", fields, &body);
    assert_eq!(answer.status, 303, "{login}: {}", answer.body);
    let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a session");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let page = client.send(Door::Proxy, "GET /me", &format!("cookie: {cookie}\r\n"), "");
    let (_, rest) = page.body.split_once("name=\"csrf\" value=\"").expect("a form");
    let word = rest.split('"').next().unwrap().to_owned();
    Visitor { who: login.to_owned(), cookie, word, part }
}
