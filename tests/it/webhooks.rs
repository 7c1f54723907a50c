//! Webhooks as providers send them, through the proxy and on the loopback port: signed, forged, twice, many at once;
//! and what was pushed while rivetr did not run.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ring::hmac;
use serde_json::{Value, json};

use crate::host::{Host, Repository};

/// An app that is fetched from the host's git server, live, with a webhook of GitHub's form.
struct Scene {
    host: Host,
    code: Repository,
    url: String,
    secret: String,
}

pub struct Answer {
    pub status: u16,
    pub body: Value,
}

/// What GitHub signs a body with.
pub fn signature(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = hmac::sign(&key, body.as_bytes());
    let digits = signed.as_ref().iter().map(|byte| format!("{byte:02x}"));
    format!("sha256={}", digits.collect::<String>())
}

/// Sends a body through the proxy as GitHub does.
pub fn post(address: &str, path: &str, id: &str, signature: &str, body: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect((address, 80))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.0\r\nhost: {address}\r\ncontent-length: {length}\r\n\
         content-type: application/json\r\nx-github-event: push\r\nx-github-delivery: {id}\r\n\
         x-hub-signature-256: {signature}\r\n\r\n"
    );
    // Who is refused early is not read to the end; the answer says so.
    let sent = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.unwrap_or_else(|| panic!("not an answer: {answer:?}, {sent:?}"));
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(Answer { status, body: serde_json::from_str(body).unwrap_or(Value::Null) })
}

/// Puts the main branch of some code on the host's Git server.
pub fn publish(host: &Host, code: &Repository, name: &str) {
    let bundle = format!("/srv/{name}.bundle");
    let there = host.path(&bundle);
    code.git(["bundle", "create", "--quiet", there.to_str().unwrap(), "main"]).succeeds();
    let repository = format!("--git-dir=/srv/git/{name}.git");
    let fetch = ["git", &repository, "fetch", "--quiet", &bundle, "+main:main"];
    host.as_user("git", fetch).succeeds();
}

/// What GitHub tells of the last commit.
pub fn told(code: &Repository, url: &str, text: &str, file: &str) -> Value {
    let name = |what| code.git(["rev-parse", what]).succeeds().stdout.trim().to_owned();
    let commit = json!({ "message": text, "added": [], "removed": [], "modified": [file] });
    json!({
        "ref": "refs/heads/main", "before": name("main~1"), "after": name("main"),
        "created": false, "deleted": false, "forced": false,
        "repository": { "clone_url": url }, "commits": [commit], "head_commit": commit,
    })
}

impl Scene {
    fn new(name: &str) -> Self {
        let host = Host::boot(name);
        host.configure("[git]\nprotocols = [\"https\", \"http\"]\n");
        let url = host.run(["git-new", "code"]).succeeds().stdout.trim().to_owned();
        let code = host.sample("blog");
        let mut scene = Self { host, code, url, secret: String::new() };
        scene.publish();
        scene.host.rivetr(["apps", "create", "blog", "--git", &scene.url]).succeeds();
        scene.host.rivetr(["deploy", "blog"]).succeeds();
        scene.enable(&[]);
        scene
    }

    fn enable(&mut self, more: &[&str]) {
        let enable = ["webhooks", "enable", "blog", "--provider", "github", "--json"];
        let enabled = self.host.rivetr(enable.into_iter().chain(more.iter().copied())).succeeds().json();
        enabled["secret"].as_str().unwrap().clone_into(&mut self.secret);
        assert_eq!(enabled["path"], "/webhooks/github/blog");
    }

    /// Puts the branch on the git server.
    fn publish(&self) {
        publish(&self.host, &self.code, "code");
    }

    /// A commit with this text as the page, on the git server, and the payload that tells of it.
    fn change(&self, text: &str) -> Value {
        self.code.write("index.html", text);
        self.code.commit(text);
        self.publish();
        told(&self.code, &self.url, text, "index.html")
    }

    fn signature(&self, body: &str) -> String {
        signature(&self.secret, body)
    }

    /// Sends a payload through the proxy, well signed.
    fn send(&self, id: &str, payload: &Value) -> Answer {
        let body = payload.to_string();
        self.post("/webhooks/github/blog", id, &self.signature(&body), &body).expect("the proxy answers")
    }

    fn post(&self, path: &str, id: &str, signature: &str, body: &str) -> std::io::Result<Answer> {
        post(self.host.address(), path, id, signature, body)
    }

    /// Waits until a deployment has ended.
    fn ended(&self, id: &Value) {
        let id = id.as_i64().expect("a deployment was asked for").to_string();
        let request = format!("http://localhost/api/deployments/{id}/logs");
        let socket = ["curl", "--silent", "--fail", "--unix-socket", "/run/rivetr/api.sock", &request];
        self.host.run(socket).succeeds().says("event: end");
    }

    fn deployments(&self) -> Vec<Value> {
        let shown = self.host.rivetr(["deployments", "blog", "--json"]).succeeds().json();
        shown["items"].as_array().unwrap().clone()
    }

    /// The deliveries, newest first.
    fn deliveries(&self) -> Vec<Value> {
        let shown =
            self.host.rivetr(["webhooks", "list", "blog", "--limit", "100", "--json"]).succeeds().json();
        shown["items"].as_array().unwrap().clone()
    }
}

impl Answer {
    #[track_caller]
    pub fn is(self, status: u16, verdict: &str, words: &str) -> Self {
        assert_eq!((self.status, self.body["verdict"].as_str()), (status, Some(verdict)), "{}", self.body);
        let reason = self.body["reason"].as_str().unwrap();
        assert!(reason.contains(words), "{words:?} is not in {reason:?}");
        self
    }
}

#[test]
fn a_signed_push_is_deployed_once_and_anything_else_is_not() {
    let mut scene = Scene::new("webhook");
    let second = scene.change("second\n");
    let body = second.to_string();
    for wrong in ["", "sha256=00", &scene.signature("another body")] {
        let refused = scene.post("/webhooks/github/blog", "1", wrong, &body).unwrap();
        assert_eq!(refused.status, 401);
    }
    let good = scene.signature(&body);
    for path in
        ["/webhooks/github/nobody", "/webhooks/gitlab/blog", "/webhooks/github/blog/x", "/webhooks/x/blog"]
    {
        assert_eq!(scene.post(path, "1", &good, &body).unwrap().status, 401, "{path}");
    }
    assert_eq!(scene.deployments().len(), 1);
    assert!(scene.deliveries().iter().all(|one| one["verdict"] == "refused"));

    let taken = scene.send("1", &second).is(202, "deployed", "a push");
    scene.ended(&taken.body["deployment"]);
    assert_eq!(scene.host.get("blog").body, "second\n");
    assert_eq!(scene.deployments()[0]["trigger"], "webhook");
    scene.send("1", &second).is(200, "duplicate", "came before");
    scene.send("another", &second).is(200, "duplicate", "came before");
    assert_eq!(scene.deployments().len(), 2);

    // The same on the loopback port, by a client in the host.
    let third = scene.change("third\n").to_string();
    std::fs::write(scene.host.path("/srv/third.json"), &third).unwrap();
    let signature = format!("X-Hub-Signature-256: {}", scene.signature(&third));
    let url = "http://127.0.0.1:7480/webhooks/github/blog";
    let curl =
        ["curl", "--silent", "--fail", "--data-binary", "@/srv/third.json", "-H", "X-GitHub-Event: push"];
    let answer = scene.host.run(curl.into_iter().chain(["-H", &signature, url])).succeeds().json();
    scene.ended(&answer["deployment"]);
    assert_eq!(scene.host.get("blog").body, "third\n");

    let large = "x".repeat(25 * 1024 * 1024 + 1);
    assert_eq!(scene.post("/webhooks/github/blog", "2", &good, &large).unwrap().status, 413);

    // A new secret ends the old one, and an end ends both.
    let old = scene.secret.clone();
    scene.enable(&[]);
    let new = std::mem::replace(&mut scene.secret, old);
    let fourth = scene.change("fourth\n");
    assert_eq!(scene.send("4", &fourth).status, 401);
    scene.secret = new;
    scene.host.rivetr(["webhooks", "disable", "blog", "github"]).succeeds();
    assert_eq!(scene.send("4", &fourth).status, 401);
    assert_eq!(scene.deployments().len(), 3);
    scene.host.assert_only("blog", &[3]);
}

#[test]
fn markers_paths_and_other_references_are_told_apart_and_can_be_replayed() {
    let mut scene = Scene::new("watch");
    scene.enable(&["--watch", "api/**"]);
    let skipped = scene.send("1", &scene.change("second\n")).is(202, "skipped", "none of the 1");
    scene.send("2", &scene.change("third [skip ci]\n")).is(202, "skipped", "[skip ci]");
    let mut other = scene.change("fourth\n");
    other["ref"] = "refs/heads/other".into();
    scene.send("3", &other).is(202, "ignored", "the branch other");
    other["ref"] = "refs/tags/v1".into();
    scene.send("4", &other).is(202, "ignored", "the tag v1");
    other["repository"]["clone_url"] = "https://git.example/other.git".into();
    scene.send("5", &other).is(202, "ignored", "another repository");
    assert_eq!(scene.deployments().len(), 1);
    let mut forced = scene.change("fifth\n");
    forced["forced"] = true.into();
    let deployed = scene.send("6", &forced).is(202, "deployed", "forced push");
    scene.ended(&deployed.body["deployment"]);
    assert_eq!(scene.host.get("blog").body, "fifth\n");

    let id = skipped.body["delivery"].to_string();
    let show = scene.host.rivetr(["webhooks", "show", &id, "--json"]).succeeds().json();
    assert!(show["body"].as_str().unwrap().contains("refs/heads/main"));
    let replay = |words: &str| {
        let replayed = scene.host.rivetr(["webhooks", "replay", &id, "--json"]).succeeds().json();
        assert!(replayed["reason"].as_str().unwrap().contains(&format!("replay of delivery {id}: {words}")));
        replayed
    };
    assert_eq!(replay("none of the 1")["verdict"], "skipped");
    scene.host.rivetr(["webhooks", "enable", "blog", "--provider", "github", "--watch", "**"]).succeeds();
    let replayed = replay("index.html is watched");
    scene.ended(&replayed["deployment"]);
    assert_eq!(scene.deployments().len(), 3);
    scene.host.assert_only("blog", &[3]);
}

#[test]
fn of_fifty_pushes_at_once_the_newest_is_live() {
    let scene = Scene::new("fifty");
    let payload = scene.change("the last of many\n");
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let send = |n: usize| {
            let mut payload = payload.clone();
            payload["number"] = n.into();
            scene.send(&n.to_string(), &payload)
        };
        let senders: Vec<_> = (0..50).map(|n| scope.spawn(move || send(n))).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let ids: Vec<i64> = answers
        .into_iter()
        .map(|answer| answer.is(202, "deployed", "a push").body["deployment"].as_i64().unwrap())
        .collect();
    let waiting = scene.deployments().iter().filter(|one| one["state"] == "queued").count();
    assert!(waiting <= 1, "{waiting} wait");
    let newest = ids.iter().max().unwrap();
    scene.ended(&json!(newest));
    assert_eq!(scene.host.get("blog").body, "the last of many\n");
    let shown = scene.host.rivetr(["deployments", "blog", "--limit", "100", "--json"]).succeeds().json();
    let states = shown["items"].as_array().unwrap();
    assert_eq!((&states[0]["id"], &states[0]["state"]), (&json!(newest), &json!("live")));
    assert!(states.iter().all(|one| one["state"] == "live" || one["state"] == "superseded"), "{states:?}");
    scene.host.assert_only("blog", &[51]);
}

#[test]
fn what_was_pushed_while_rivetr_did_not_run_is_deployed_at_its_start() {
    let scene = Scene::new("offline");
    let restart = |meanwhile: &dyn Fn()| {
        scene.host.run(["systemctl", "stop", "rivetr.socket", "rivetr.service"]).succeeds();
        meanwhile();
        scene.host.run(["systemctl", "start", "rivetr.socket", "rivetr.service"]).succeeds();
    };
    restart(&|| drop(scene.change("while you were out\n")));
    wait_for_journal(&scene.host, "watched branches compared", 1);
    let newest = scene.deployments()[0].clone();
    assert_eq!(newest["trigger"], "webhook");
    scene.ended(&newest["id"]);
    assert_eq!(scene.host.get("blog").body, "while you were out\n");

    // What was skipped, or rolled away from, is no news.
    scene.send("1", &scene.change("not this one [skip ci]\n")).is(202, "skipped", "[skip ci]");
    restart(&|| ());
    wait_for_journal(&scene.host, "watched branches compared", 2);
    let third = scene.send("2", &scene.change("this one\n")).is(202, "deployed", "a push");
    scene.ended(&third.body["deployment"]);
    assert_eq!(scene.deployments().len(), 3);
    scene.host.assert_only("blog", &[3]);
}

/// Waits until the daemon has said these words so many times.
fn wait_for_journal(host: &Host, words: &str, times: usize) {
    let journal = ["journalctl", "--follow", "--lines=all", "--output=cat", "--unit=rivetr.service"];
    let mut journal = host.spawn(journal);
    let lines = BufReader::new(journal.stdout.take().expect("piped")).lines();
    let said = lines.map(|line| line.expect("the journal is text")).filter(|line| line.contains(words));
    assert_eq!(said.take(times).count(), times, "the journal ended before it said {words:?}");
    journal.kill().expect("it still runs");
    journal.wait().expect("it ends");
}
