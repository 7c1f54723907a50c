//! Who may come in by which door: every route, every kind of caller, over the loopback port, the proxy and the Unix
//! socket; what is refused before it does anything; and that secrets stay secret.
//!
//! Requests are written by hand: a client library would not send the wrong ones.

mod pages;
mod rows;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};

use crate::host::{Host, Mode};
use rows::{ROWS, Reach, Row};

/// What a variable holds that nobody may ever see.
const CANARY: &str = "canary-in-a-variable-9d2f";

/// Builds for longer than any test lasts.
const ENDLESS: &str = "FROM docker.io/library/busybox:stable\n\
    RUN echo first && echo second\n\
    RUN sleep 3600\n";

#[test]
fn every_route_lets_in_who_may_come_in_and_nobody_else_changes_anything() {
    let host = Host::boot("walk");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    host.rivetr(["env", "set", "--secret", "blog", &format!("SECRET={CANARY}")]).succeeds();
    host.rivetr(["keys", "create", "kept"]).succeeds();
    host.sample("blog").push().succeeds();
    databases(&host);
    pages::service(&host);
    let domain = ["services", "domains", "add", "pair", "pair.example", "--container", "web", "--port", "80"];
    host.rivetr(domain).succeeds();
    host.rivetr(["apps", "create", "slow"]).succeeds();
    let slow = host.sample("slow");
    slow.write("Containerfile", ENDLESS);
    slow.commit("Builds and builds");
    let mut push = slow.start_push();
    push.wait_for("sleep 3600");

    let client = Client::new(&host);
    let scopes = ["read", "deploy", "write", "admin"].map(|scope| host.token(scope));
    let expired = host.expired_token("admin");
    let unknown = format!("rvt_{}", "0".repeat(72));
    let callers: Vec<(&str, Option<&str>, Reach)> = vec![
        ("no token", None, Reach::Nothing),
        ("a token that is none", Some("rvt_1"), Reach::Nothing),
        ("an unknown token", Some(&unknown), Reach::Nothing),
        ("an expired token", Some(&expired), Reach::Nothing),
        ("a read token", Some(&scopes[0]), Reach::Read),
        ("a deploy token", Some(&scopes[1]), Reach::Deploy),
        ("a write token", Some(&scopes[2]), Reach::Write),
        ("an admin token", Some(&scopes[3]), Reach::Admin),
    ];
    let document = client.ask(Door::Socket, "get", "/api/openapi.json", None, "").json();
    assert_eq!(routes(&document), ROWS.iter().map(|row| row.route.to_owned()).collect::<BTreeSet<_>>());

    let before = state(&client, &host);
    for door in [Door::Loopback, Door::Proxy, Door::Socket] {
        for (who, token, reach) in &callers {
            // On the socket the kernel says who it is: root.
            let reach = if door == Door::Socket && token.is_none() { Reach::Admin } else { *reach };
            walk(&client, door, who, *token, reach);
            assert_eq!(state(&client, &host), before, "{who} at {door:?} changed something");
        }
    }

    // The one harmful request that is let in, to see that the others would have done harm.
    let cancelled = client.ask(Door::Proxy, "post", "/api/deployments/2/cancel", Some(&scopes[1]), "");
    assert_eq!((cancelled.status, cancelled.json()["state"].as_str()), (200, Some("cancelled")));
    push.end().exits(1).says("Cancelled");
    let made = client.ask(Door::Proxy, "post", "/api/apps", Some(&scopes[2]), r#"{"name":"intruder"}"#);
    assert_eq!(made.status, 201, "{}", made.body);
    let deleted = client.ask(Door::Proxy, "delete", "/api/apps/intruder", Some(&scopes[2]), "");
    assert_eq!(deleted.status, 204, "{}", deleted.body);
    let revoked = client.ask(Door::Proxy, "delete", "/api/tokens/1", Some(&scopes[3]), "");
    assert_eq!(revoked.status, 204, "{}", revoked.body);
    assert_ne!(state(&client, &host), before);

    let tokens: Vec<&str> = scopes.iter().chain([&expired]).map(String::as_str).collect();
    nothing_shows(&host, &client, &tokens);
}

/// One database that was stopped before its image was there, and one in the trash: both stay as they are.
fn databases(host: &Host) {
    let create = ["databases", "create", "orders", "--kind", "valkey", "--image", "registry.invalid/x:1"];
    host.rivetr(create.into_iter().chain(["--no-wait"])).succeeds();
    host.rivetr(["databases", "delete", "orders", "--yes"]).succeeds();
    host.rivetr(create.into_iter().chain(["--no-wait"])).succeeds();
    let asked = Instant::now();
    host.rivetr(["databases", "stop", "orders"]).succeeds();
    // All tries of a pull take longer.
    assert!(asked.elapsed() < Duration::from_secs(12), "it waited for {:?}", asked.elapsed());
}

/// Asks every route as one caller by one door.
fn walk(client: &Client, door: Door, who: &str, token: Option<&str>, reach: Reach) {
    for &Row { route, needs, harmful, harmless, status } in ROWS {
        let method = route.split_once(' ').unwrap().0;
        if reach >= needs {
            let answer = client.ask(door, method, harmless.0, token, harmless.1);
            assert_eq!(answer.status, status, "{route}: {who} at {door:?}\n{}{}", answer.head, answer.body);
            continue;
        }
        let refusal = if reach == Reach::Nothing { 401 } else { 403 };
        for (target, body) in [harmful, harmless] {
            let answer = client.ask(door, method, target, token, body);
            assert_eq!(answer.status, refusal, "{route}: {who} at {door:?}\n{}{}", answer.head, answer.body);
            let scheme = if target.starts_with("/git/") { "basic realm" } else { "bearer realm" };
            assert_eq!(
                answer.head.contains(&format!("www-authenticate: {scheme}")),
                refusal == 401,
                "{route}"
            );
        }
    }
    // Strangers do not learn which addresses there are.
    let let_in = reach >= Reach::Read;
    for (method, target, status) in [("get", "/api/nowhere", 404), ("put", "/api/apps", 405)] {
        let answer = client.ask(door, method, target, token, "");
        assert_eq!(answer.status, if let_in { status } else { 401 }, "{target}: {who} at {door:?}");
    }
}

/// `get /path` for every operation of the document.
fn routes(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().expect("the document has paths");
    let operations = paths.iter().flat_map(|(path, operations)| {
        let methods = operations.as_object().expect("a path has operations").keys();
        methods.map(move |method| format!("{method} {path}"))
    });
    operations.collect()
}

/// What a change would show in: what the API lists, the unit files, the repositories and the routes.
fn state(client: &Client, host: &Host) -> Value {
    let ask = |target: &str| client.ask(Door::Socket, "get", target, None, "").json();
    let mut tokens = ask("/api/tokens");
    for token in tokens["items"].as_array_mut().unwrap() {
        token["last_used"] = Value::Null;
        token["last_address"] = Value::Null;
    }
    let find =
        ["find", host.quadlets(), "/var/lib/rivetr/repos", "/var/lib/rivetr/proxy", "-printf", "%p %s\n"];
    let files = host.run(find).succeeds().stdout;
    let files: BTreeSet<&str> = files.lines().collect();
    let lists = [
        "/api/apps",
        "/api/users",
        "/api/teams",
        "/api/teams/main/members",
        "/api/teams/main/invitations",
        "/api/apps/blog/deployments",
        "/api/apps/slow/deployments",
        "/api/apps/blog/env-vars",
        "/api/apps/blog/files",
        "/api/projects",
        "/api/projects/default/env-vars",
        "/api/projects/default/environments/production/env-vars",
        "/api/keys",
        "/api/known-hosts",
        "/api/volumes",
        "/api/registries",
        "/api/apps/blog/domains",
        "/api/apps/blog/traffic",
        "/api/routes",
        "/api/certificates",
        "/api/databases",
        "/api/trashed-databases",
        "/api/services",
        "/api/services/pair/domains",
        "/api/services/pair/files",
        "/api/services/pair/revisions",
        "/api/services/pair/traffic",
    ]
    .map(|target| {
        let mut list = ask(target);
        // An order that waits is tried again each minute, whoever looks.
        if target == "/api/certificates" {
            for item in list["items"].as_array_mut().unwrap() {
                item["next"] = Value::Null;
            }
        }
        list
    });
    json!({ "tokens": tokens, "lists": lists, "files": files })
}

/// Nothing that was answered, logged or can be seen of the daemon has one of these tokens or the canary in it.
fn nothing_shows(host: &Host, client: &Client, tokens: &[&str]) {
    let seen = client.seen.borrow();
    assert!(seen.len() > 400, "hardly a walk: {} answers", seen.len());
    let run = |command: &[&str]| host.run(command).stdout;
    let journal = run(&["journalctl", "--no-pager", "--all", "--output=cat"]);
    assert!(journal.contains("app.created"), "the journal is not where it is looked for");
    let units = run(&["systemctl", "show", "rivetr.service", "rivetr-proxy.service", "rivetr.socket"]);
    for (place, text) in
        [("an answer", &seen.concat()), ("the journal", &journal), ("a unit of rivetr's", &units)]
    {
        for secret in tokens.iter().chain([&CANARY]) {
            let at = text.find(secret);
            let around = at.map(|at| String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(300)..at]));
            assert_eq!(around, None, "{secret} stands in {place}");
        }
    }
    // A variable is no secret to its app's own processes; a token is one to everybody.
    let fields = run(&["journalctl", "--no-pager", "--all", "--output=export"]);
    let processes = run(&["sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline"]);
    let disk = ["rivetr.db", "rivetr.db-wal"].map(|file| {
        let bytes = std::fs::read(host.path(&format!("/var/lib/rivetr/{file}"))).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    });
    assert!(disk.concat().contains("intruder"), "the database is not where it is looked for");
    for secret in tokens.iter().chain([&CANARY]) {
        assert!(!fields.contains(secret), "{secret} stands in a field of the journal");
        assert!(!disk.concat().contains(secret), "{secret} stands in the database");
    }
    for token in tokens {
        assert!(!processes.contains(token), "{token} stands in a process");
    }
}

#[test]
fn what_is_sent_wrongly_is_refused_and_does_nothing() {
    let host = Host::boot("wrong");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    let client = Client::new(&host);
    let admin = host.token("admin");
    let before = host.rivetr(["apps", "list", "--json"]).succeeds().stdout;
    let large = format!(r#"{{"name":"large","env":{{"A":"{}"}}}}"#, "x".repeat(5 << 20));
    let json = "content-type: application/json\r\n";
    let bearer = format!("authorization: Bearer {admin}\r\n{json}");
    let long = format!("x-long: {}\r\n", "x".repeat(200_000));
    for door in [Door::Loopback, Door::Proxy] {
        for (request, fields, body, status, words) in [
            ("POST /api/apps", &*bearer, &*large, 413, "at most 4 MiB"),
            ("POST /api/apps", &bearer, r#"{"name":"new","role":"admin"}"#, 422, "unknown field"),
            ("POST /api/apps", &bearer, r#"{"name":"new","port":70000}"#, 422, "port"),
            ("POST /api/apps", &bearer, r#"{"name":"new"} {"#, 400, "not JSON"),
            ("POST /api/apps", &bearer, "name=new", 400, "not JSON"),
            ("POST /api/apps", &bearer.replace(json, ""), r#"{"name":"new"}"#, 415, "application/json"),
            ("POST /api/apps/blog/deploy", &bearer, r#"{"comit":"a"}"#, 422, "comit"),
            ("POST /api/tokens", &bearer, r#"{"name":"new","scope":"root"}"#, 422, "scope"),
            ("GET /api/apps/blog/deployments?limits=1", &bearer, "", 400, "limits"),
            ("GET /api/apps/blog/deployments?limit=x", &bearer, "", 400, "limit"),
            ("GET /api/deployments/x", &bearer, "", 404, "no deployment"),
            ("GET /api/apps/..%2Ftokens", &bearer, "", 404, "no app"),
            ("GET /api/apps", &format!("{bearer}{bearer}"), "", 401, "Authorization"),
            ("GET /api/apps", "authorization: Digest x\r\n", "", 401, "Authorization"),
            (
                "POST /api/apps",
                &format!("{bearer}origin: http://evil.example\r\n"),
                r#"{"name":"new"}"#,
                403,
                "another site",
            ),
            (
                "POST /api/apps",
                &format!("{bearer}sec-fetch-site: cross-site\r\n"),
                r#"{"name":"new"}"#,
                403,
                "another site",
            ),
            ("GET /api/apps", &format!("{bearer}{long}"), "", 431, ""),
        ] {
            let answer = client.send(door, request, fields, body);
            let shown = answer.body.chars().take(300).collect::<String>();
            assert_eq!(answer.status, status, "{request} {shown} at {door:?}");
            assert!(answer.body.contains(words), "{request} at {door:?} does not say {words:?}: {shown}");
        }
    }
    assert_eq!(host.rivetr(["apps", "list", "--json"]).succeeds().stdout, before);
    assert_eq!(
        host.rivetr(["tokens", "list", "--json"]).succeeds().json()["items"].as_array().unwrap().len(),
        2
    );

    // A token in an address lies in logs and histories: it is worthless from then on, wherever it stands.
    for (door, target) in [(Door::Loopback, "/api/apps?token="), (Door::Proxy, "/api/apps/blog?x=")] {
        let leaked = host.token("write");
        let apps = || client.ask(Door::Loopback, "get", "/api/apps", Some(&leaked), "").status;
        assert_eq!(apps(), 200);
        let answer = client.ask(door, "get", &format!("{target}{leaked}"), Some(&admin), "");
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains("has been revoked"), "{}", answer.body);
        assert_eq!(apps(), 401);
        let journal = host.run(["journalctl", "--no-pager", "--unit=rivetr.service"]).succeeds();
        assert!(!journal.stdout.contains(&leaked));
        journal.says("token.revoked");
    }
}

#[test]
fn the_socket_and_the_files_are_for_root_and_rivetr_alone() {
    let mut host = Host::bare("strangers");
    let listening = |host: &Host| -> BTreeSet<String> {
        let all =
            host.run(["ss", "--no-header", "--listening", "--tcp", "--udp", "--numeric"]).succeeds().stdout;
        all.lines().map(|line| line.split_whitespace().nth(4).unwrap().to_owned()).collect()
    };
    let before = listening(&host);
    host.set_up();
    host.rivetr(["apps", "create", "blog"]).succeeds();
    host.rivetr(["env", "set", "--secret", "blog", &format!("SECRET={CANARY}")]).succeeds();
    host.sample("blog").push().succeeds();

    let added: BTreeSet<String> = listening(&host).difference(&before).cloned().collect();
    // For containers to find each other by name, Podman answers on the bridge of their network.
    let ours = |address: &&String| host.mode() == Mode::Rootless || !address.ends_with(":53");
    let added: Vec<&String> = added.iter().filter(ours).collect();
    assert_eq!(added, ["*:443", "*:80", "127.0.0.1:7480"]);
    let from_outside = TcpStream::connect((host.address(), 7480)).map(drop);
    assert!(from_outside.is_err(), "other machines reach the API's port");

    host.run(["useradd", "--create-home", "stranger"]).succeeds();
    host.as_user("stranger", ["rivetr", "apps", "list"]).exits(3).says("run it as root");
    if host.mode() == Mode::Rootless {
        // Whoever was put into the group reaches the socket; the daemon still asks the kernel who it is.
        host.as_owner(["rivetr", "apps", "list"]).succeeds();
        host.run(["usermod", "--append", "--groups", "rivetr", "stranger"]).succeeds();
        let asked = host.as_user("stranger", ["rivetr", "apps", "list"]).exits(5);
        asked.says("only root and rivetr may").says("use a token");
        host.run(["gpasswd", "--delete", "stranger", "rivetr"]).succeeds();
    }
    let token = host.token("read");
    let by_token = [
        "env",
        &format!("RIVETR_TOKEN={token}"),
        "rivetr",
        "--server",
        "http://127.0.0.1:7480",
        "apps",
        "list",
    ];
    host.as_user("stranger", by_token).succeeds().says("blog");

    // Podman keeps a running container's environment where only its owner can read it.
    let folders = [
        host.quadlets(),
        "/run/user",
        "/run/containers",
        "/run/rivetr",
        "/run/systemd",
        "/var/lib/containers",
        "/var/lib/rivetr/rivetr.db",
        "/var/lib/rivetr/proxy",
    ];
    let grep = ["grep", "--recursive", "--devices=skip", "--text", "--files-with-matches", CANARY];
    let grep: Vec<&str> = grep.into_iter().chain(folders).collect();
    assert_ne!(host.run(&grep).stdout, "", "the value is not where it is looked for");
    assert_eq!(host.as_user("stranger", grep.iter().copied()).stdout, "", "a stranger can read it");
    for file in ["/var/lib/rivetr/rivetr.db", "/var/lib/rivetr/proxy/routes.json", "/run/rivetr/api.sock"] {
        assert!(host.path(file).exists(), "{file}");
        assert_ne!(
            host.as_user("stranger", ["head", "--bytes=1", file]).code,
            0,
            "a stranger can read {file}"
        );
    }
}

#[test]
fn a_log_that_was_cut_off_goes_on_where_it_was() {
    let host = Host::boot("resume");
    host.rivetr(["apps", "create", "slow"]).succeeds();
    let client = Client::new(&host);
    let token = host.token("read");
    let field = |last: &str| format!("authorization: Bearer {token}\r\nlast-event-id: {last}\r\n");
    let slow = host.sample("slow");
    slow.write("Containerfile", ENDLESS);
    slow.commit("Builds and builds");
    let mut push = slow.start_push();
    push.wait_for("sleep 3600");
    // Read up to a line of the build while it goes on, and hang up.
    let mut first = Vec::new();
    let mut stream = client.open(Door::Proxy);
    let request =
        format!("GET /api/deployments/1/logs HTTP/1.0\r\nhost: {}\r\n{}\r\n", host.address(), field("0"));
    stream.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    while !first.last().is_some_and(|event: &Event| event.data.contains("sleep 3600")) {
        first.push(Event::read(&mut lines).expect("the log goes on"));
    }
    drop(lines);
    host.rivetr(["cancel", "1"]).succeeds();
    push.end().exits(1).says("Cancelled");

    let log = |door, last: &str| {
        let answer = client.send(door, "GET /api/deployments/1/logs", &field(last), "");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let mut lines = answer.body.lines().map(str::to_owned);
        std::iter::from_fn(|| Event::read(&mut lines)).collect::<Vec<_>>()
    };
    for door in [Door::Loopback, Door::Proxy] {
        let whole = log(door, "0");
        let rest = log(door, &first.last().unwrap().id);
        assert_eq!([first.clone(), rest.clone()].concat(), whole, "{door:?}");
        assert!(rest.len() < whole.len() && rest.len() > 1, "{rest:?}");
        let end = whole.last().unwrap();
        assert_eq!(end.name, "end");
        let ended: Value = serde_json::from_str(&end.data).unwrap();
        assert_eq!((ended["number"].as_u64(), ended["state"].as_str()), (Some(1), Some("cancelled")));
        let over = log(door, &whole[whole.len() - 2].id);
        assert_eq!(over.len(), 1, "only the end is left: {over:?}");
        let answer = client.send(door, "GET /api/deployments/1/logs", &field("x"), "");
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
}

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Event {
    id: String,
    name: String,
    data: String,
}

impl Event {
    /// The next event; none at the end. What is no line of an event, a head or a comment, is passed over.
    fn read(lines: &mut impl Iterator<Item = String>) -> Option<Self> {
        let mut event = Self::default();
        loop {
            let line = lines.next()?;
            match line.split_once(": ") {
                Some(("id", text)) => text.clone_into(&mut event.id),
                Some(("event", text)) => text.clone_into(&mut event.name),
                Some(("data", text)) => text.clone_into(&mut event.data),
                _ if line.is_empty() && !event.data.is_empty() => return Some(event),
                _ => {}
            }
        }
    }
}

/// A way to the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Port 7480 of the host's loopback.
    Loopback,
    /// The proxy, from outside.
    Proxy,
    /// The Unix socket, as root.
    Socket,
}

/// Asks the API of a host and remembers everything that it was answered.
struct Client<'h> {
    host: &'h Host,
    seen: RefCell<Vec<String>>,
}

struct Answer {
    status: u16,
    /// In lower case.
    head: String,
    body: String,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl<'h> Client<'h> {
    fn new(host: &'h Host) -> Self {
        Self { host, seen: RefCell::default() }
    }

    fn ask(&self, door: Door, method: &str, target: &str, token: Option<&str>, body: &str) -> Answer {
        let kind = if target.starts_with("/git/") { "x-git-receive-pack-request" } else { "json" };
        let mut fields = format!("content-type: application/{kind}\r\n");
        if let Some(token) = token {
            fields.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        self.send(door, &format!("{} {target}", method.to_uppercase()), &fields, body)
    }

    /// Sends `METHOD /target` with these fields, each ended by CR LF. In HTTP/1.0, so that the answer has no chunks.
    fn send(&self, door: Door, request: &str, fields: &str, body: &str) -> Answer {
        let mut stream = self.open(door);
        let (host, length) = (self.host.address(), body.len());
        let head = format!("{request} HTTP/1.0\r\nhost: {host}\r\ncontent-length: {length}\r\n{fields}\r\n");
        // Who is refused early is not read to the end; the answer says so.
        let sent = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap_or_else(|| {
            panic!("{request} at {door:?} has no answer, but {answer:?}: {sent:?}, {read:?}")
        });
        let status =
            head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("an answer has a status");
        let (head, body) = (head.to_ascii_lowercase(), text.to_owned());
        self.seen.borrow_mut().push(answer);
        Answer { status, head, body }
    }

    fn open(&self, door: Door) -> Box<dyn Stream> {
        const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));
        if door == Door::Socket {
            let stream =
                UnixStream::connect(self.host.path("/run/rivetr/api.sock")).expect("the socket is there");
            stream.set_read_timeout(PATIENCE).unwrap();
            return Box::new(stream);
        }
        let stream = match door {
            Door::Loopback => self.connect_inside(SocketAddr::from(([127, 0, 0, 1], 7480))),
            Door::Proxy | Door::Socket => TcpStream::connect((self.host.address(), 80)),
        };
        let stream = stream.unwrap_or_else(|error| panic!("{door:?} is closed: {error}"));
        stream.set_read_timeout(PATIENCE).unwrap();
        Box::new(stream)
    }

    /// A connection that begins in the host: a socket stays in the network that it was made in.
    fn connect_inside(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let network = std::fs::File::open(self.host.path("/proc/1/ns/net"))?;
        std::thread::scope(|scope| {
            let connect = scope.spawn(|| {
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
                TcpStream::connect(address)
            });
            connect.join().expect("the thread does not panic")
        })
    }
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.status / 100, 2, "{}", self.body);
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}
