//! Services that follow a repository: fetched, read and built from the host's Git server, redeployed by a webhook, and left
//! as they are where what was pushed is wrong.

use std::fs;

use serde_json::Value;

use crate::host::{Host, Ran, Repository, soon};
use crate::webhooks::{Answer, post, publish, signature, told};

/// A page that is a file of the repository, beside variables of it.
pub const COMPOSE: &str = r#"services:
  web:
    image: docker.io/library/busybox:stable
    command: sh -c 'mkdir /www && { cat /page; echo $$GREETING; } > /www/index.html; exec httpd -f -p 8080 -h /www'
    stop_signal: SIGKILL
    env_file: web.env
    volumes: [../page:/page:ro]
    environment: {SALT: "${SALT:-none}"}
"#;

pub struct Scene {
    pub host: Host,
    pub code: Repository,
    pub url: String,
}

impl Scene {
    /// A host with a repository that has its compose file in a folder.
    pub fn new(name: &str) -> Self {
        let host = Host::boot(name);
        host.configure("[git]\nprotocols = [\"https\", \"http\"]\n");
        let url = host.run(["git-new", "stack"]).succeeds().stdout.trim().to_owned();
        let code = host.repository("stack");
        fs::create_dir_all(code.path().join("deploy")).unwrap();
        code.write("deploy/compose.yaml", COMPOSE);
        code.write("deploy/web.env", "GREETING=hello\n");
        code.write("page", "first\n");
        let scene = Self { host, code, url };
        scene.commit("First");
        scene
    }

    pub fn commit(&self, subject: &str) {
        self.code.commit(subject);
        publish(&self.host, &self.code, "stack");
    }

    pub fn services<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Ran {
        self.host.rivetr(["services"].into_iter().chain(words))
    }

    pub fn create(&self) -> Ran {
        fs::write(self.host.path("/root/more.env"), "SALT=own salt 7\n").unwrap();
        let from = ["--repository", self.url.as_str(), "--file", "deploy/compose.yaml"];
        let words = ["create", "shop", "--env-file", "/root/more.env"];
        self.services(words.into_iter().chain(from))
    }

    /// Has a host lead to the page, and asks for it.
    pub fn serves(&self) {
        let domain = ["domains", "add", "shop", "shop.example.org", "--container", "web", "--port", "8080"];
        self.services(domain).succeeds();
    }

    pub fn page(&self) -> String {
        self.host.ask("shop.example.org", "/").unwrap().body
    }

    pub fn head(&self) -> String {
        self.code.git(["rev-parse", "HEAD"]).succeeds().stdout.trim().to_owned()
    }

    pub fn status(&self) -> Value {
        self.services(["show", "shop", "--json"]).succeeds().json()["service"].clone()
    }

    pub fn revisions(&self) -> Vec<Value> {
        let shown = self.services(["revisions", "shop", "--json"]).succeeds().json();
        shown["items"].as_array().unwrap().clone()
    }

    pub fn container(&self) -> String {
        let inspect = ["podman", "inspect", "--format", "{{.Id}}", "rivetr-svc-shop-web"];
        self.host.as_owner(inspect).succeeds().stdout.trim().to_owned()
    }

    pub fn images(&self) -> Vec<String> {
        let list = ["podman", "images", "--format", "{{.Repository}}:{{.Tag}}"];
        let mut images = self.host.names(list, "localhost/rivetr-service/");
        images.sort();
        images
    }

    /// Waits until the newest revision has ended.
    pub fn ended(&self, number: u64) -> Value {
        let path = format!("http://localhost/api/services/shop/revisions/{number}?wait=true");
        let ask = ["curl", "--silent", "--fail", "--unix-socket", "/run/rivetr/api.sock", path.as_str()];
        let ended = soon(
            || self.host.run(ask).succeeds().json(),
            |one| matches!(one["state"].as_str(), Some("live" | "failed" | "superseded")),
        );
        assert_eq!(ended["number"], Value::from(number));
        ended
    }
}

#[test]
fn a_service_follows_its_repository_and_a_wrong_push_changes_nothing() {
    let scene = Scene::new("svcgit");
    scene.create().succeeds().says("Revision 1 of shop is live");
    scene.serves();
    assert_eq!(soon(|| scene.page(), |page| page.starts_with("first")), "first\nhello\n");
    assert_eq!(scene.revisions()[0]["commit"], Value::from(scene.head()));
    scene.services(["show", "shop"]).succeeds().says("deploy/compose.yaml").says("branch main");
    scene.services(["files", "shop"]).succeeds().says("# --- deploy/web.env").says("# --- page");
    scene.services(["build-log", "shop"]).succeeds().says("Fetching branch main");
    scene.services(["exec", "shop", "web", "--", "sh", "-c", "echo $SALT"]).succeeds().says("own salt 7");
    // Files that are handed in have no place beside it.
    let handed = scene.code.path().join("deploy/compose.yaml");
    let inside = scene.host.path("/root/compose.yaml");
    fs::copy(handed, inside).unwrap();
    scene.services(["update", "shop", "--file", "/root/compose.yaml"]).exits(5).says("come from");

    scene.code.write("page", "second\n");
    scene.commit("Second");
    scene.services(["deploy", "shop"]).succeeds().says("Revision 2 of shop is live");
    assert_eq!(soon(|| scene.page(), |page| page.starts_with("second")), "second\nhello\n");

    let (container, page) = (scene.container(), scene.page());
    let mut number = 2;
    let mut fails = |what: &str, words: &str| {
        scene.commit(what);
        scene.services(["deploy", "shop"]).exits(1).says(words);
        number += 1;
        assert_eq!(scene.revisions()[0]["state"], "failed", "{what}");
        assert_eq!(scene.status()["revision"], Value::from(2), "{what}");
        assert_eq!((scene.container(), scene.page()), (container.clone(), page.clone()), "{what}");
        assert_eq!(scene.revisions()[0]["number"], Value::from(number));
    };
    scene.code.write("deploy/compose.yaml", &COMPOSE.replace("stop_signal", "stop_signall"));
    fails("A key that nobody knows", "deploy/compose.yaml:5:");
    for path in ["../../../etc/passwd", "/etc/passwd"] {
        scene.code.write("deploy/compose.yaml", &COMPOSE.replace("web.env", path));
        fails("A file from outside", "deploy/compose.yaml:6: services.web.env_file: the file /etc/passwd");
        scene.services(["show", "shop"]).succeeds().says("outside of the repository");
    }
    std::os::unix::fs::symlink("/etc/hostname", scene.code.path().join("deploy/link")).unwrap();
    scene.code.write("deploy/compose.yaml", &COMPOSE.replace("web.env", "link"));
    fails("A link as a file of variables", "deploy/link is a link");
    scene.code.write("deploy/compose.yaml", &COMPOSE.replace("../page", "./link"));
    fails("A link as what a container sees", "deploy/compose.yaml:7: services.web.volumes: deploy/link");
    fs::rename(scene.code.path().join("deploy/compose.yaml"), scene.code.path().join("other.yaml")).unwrap();
    fails("No compose file", "no deploy/compose.yaml in the repository");

    // Another file of the same repository; then a branch that is not there, and files by hand again.
    scene
        .code
        .write("compose.yaml", &COMPOSE.replace("web.env", "deploy/web.env").replace("../page", "./page"));
    scene.commit("At the root");
    scene.services(["source", "shop", "--repository", &scene.url]).succeeds().says("follows");
    scene.services(["deploy", "shop"]).succeeds();
    scene.services(["source", "shop", "--repository", &scene.url, "--branch", "gone"]).succeeds();
    scene.services(["deploy", "shop"]).exits(1).says("has no branch \"gone\"");
    scene.services(["rollback", "shop", "1"]).succeeds();
    assert_eq!(soon(|| scene.page(), |page| page.starts_with("first")), "first\nhello\n");
    scene.services(["source", "shop", "--files"]).succeeds().says("handed in");
    scene.services(["deploy", "shop"]).exits(5).says("follows no repository");

    scene.services(["delete", "shop", "--yes"]).succeeds();
    assert!(!scene.host.path("/var/lib/rivetr/services/shop").exists());
}

#[test]
fn a_webhook_deploys_a_service_once_and_only_for_its_branch() {
    let scene = Scene::new("svchook");
    scene.create().succeeds();
    scene.serves();
    let enable = ["webhooks", "enable", "shop", "--service", "--provider", "github", "--json"];
    let enabled = scene.host.rivetr(enable).succeeds().json();
    let (path, secret) = (enabled["path"].as_str().unwrap(), enabled["secret"].as_str().unwrap().to_owned());
    assert_eq!(path, "/webhooks/github/service.shop");
    let send = |id: &str, payload: &Value| -> Answer {
        let body = payload.to_string();
        post(scene.host.address(), path, id, &signature(&secret, &body), &body).unwrap()
    };

    scene.code.write("page", "second\n");
    scene.commit("Second");
    let second = told(&scene.code, &scene.url, "Second", "page");
    let forged = post(scene.host.address(), path, "1", &signature("another", "x"), &second.to_string());
    assert_eq!(forged.unwrap().status, 401);
    // The name alone is that of an app, of which there is none.
    let body = second.to_string();
    let of_app = post(scene.host.address(), "/webhooks/github/shop", "1", &signature(&secret, &body), &body);
    assert_eq!(of_app.unwrap().status, 401);
    let taken = send("1", &second).is(202, "deployed", "a push");
    assert_eq!(taken.body["revision"], Value::from(2));
    assert_eq!(scene.ended(2)["state"], "live");
    assert_eq!(scene.ended(2)["commit"], Value::from(scene.head()));
    assert_eq!(soon(|| scene.page(), |page| page.starts_with("second")), "second\nhello\n");
    send("1", &second).is(200, "duplicate", "came before");

    let mut other = told(&scene.code, &scene.url, "Other", "page");
    other["ref"] = Value::from("refs/heads/other");
    send("2", &other).is(202, "ignored", "the branch other, and the branch main is followed");
    assert_eq!(scene.revisions().len(), 2);

    let listed = scene.host.rivetr(["webhooks", "list", "shop", "--service", "--json"]).succeeds().json();
    let deliveries = listed["items"].as_array().unwrap();
    let verdicts: Vec<_> = deliveries.iter().map(|one| one["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["ignored", "deployed", "refused"]);
    assert_eq!((&deliveries[1]["service"], &deliveries[1]["app"]), (&Value::from("shop"), &Value::Null));
    let first = deliveries[1]["id"].to_string();
    scene.host.rivetr(["webhooks", "replay", &first]).succeeds().says("Revision 3 was asked for");
    assert_eq!(scene.ended(3)["state"], "live");

    // What was pushed while rivetr did not run is found; a push that is wrong leaves what runs.
    scene.host.run(["systemctl", "stop", "rivetr.service"]);
    scene.host.run(["systemctl", "stop", "rivetr.socket", "rivetr.service"]).succeeds();
    scene.code.write("page", "third\n");
    scene.commit("Third");
    scene.host.run(["systemctl", "start", "rivetr.socket", "rivetr.service"]).succeeds();
    assert_eq!(soon(|| scene.page(), |page| page.starts_with("third")), "third\nhello\n");
    scene.code.write("deploy/compose.yaml", "services: [");
    scene.commit("Broken");
    let revision =
        send("4", &told(&scene.code, &scene.url, "Broken", "deploy/compose.yaml")).body["revision"].clone();
    let broken = scene.ended(revision.as_u64().unwrap());
    assert_eq!(broken["state"], "failed");
    assert!(broken["failure"].as_str().unwrap().contains("deploy/compose.yaml:"), "{broken}");
    assert_eq!(scene.page(), "third\nhello\n");

    scene.host.rivetr(["webhooks", "disable", "shop", "github", "--service"]).succeeds();
    assert_eq!(send("5", &second).status, 401);
}

#[test]
fn what_a_service_builds_is_built_of_its_repository() {
    let scene = Scene::new("svcbuild");
    let built = "services:\n  web:\n    build:\n      context: ../app\n      dockerfile: build/Containerfile\n      \
                 target: final\n      args: {WORD: one}\n    stop_signal: SIGKILL\n";
    let instructions = "FROM docker.io/library/busybox:stable AS base\nARG WORD\nRUN mkdir /www && echo \"$WORD\" > /www/index.html\n\
                        COPY more /www/more\n\
                        FROM base AS final\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n\
                        FROM docker.io/library/nothing:nope\n";
    fs::create_dir_all(scene.code.path().join("app/build")).unwrap();
    scene.code.write("app/build/Containerfile", instructions);
    scene.code.write("app/more", "more\n");
    scene.code.write("deploy/compose.yaml", built);
    scene.commit("A build");
    scene.create().succeeds().says("Revision 1 of shop is live");
    scene.serves();
    assert_eq!(soon(|| scene.page(), |page| page == "one\n"), "one\n");
    assert_eq!(scene.images(), ["localhost/rivetr-service/shop:1-web"]);
    scene
        .services(["build-log", "shop", "1"])
        .succeeds()
        .says("-----> Building localhost/rivetr-service/shop:1-web");
    let left = || scene.host.list("/var/lib/rivetr/services/shop");
    assert_eq!(soon(left, |left| left.len() == 2), ["1.log", "repo.git"]);

    scene.code.write("deploy/compose.yaml", &built.replace("one", "two"));
    scene.commit("Another word");
    scene.services(["deploy", "shop"]).succeeds();
    assert_eq!(soon(|| scene.page(), |page| page == "two\n"), "two\n");

    // A build that fails leaves what runs, and its last lines are told.
    let container = scene.container();
    scene.code.write(
        "app/build/Containerfile",
        &instructions.replace("COPY more", "RUN echo no luck; exit 7\nCOPY more"),
    );
    scene.commit("No luck");
    scene.services(["deploy", "shop"]).exits(1).says("building web").says("no luck");
    assert_eq!((scene.container(), scene.page().as_str()), (container, "two\n"));
    for (from, to, words) in [
        ("context: ../app", "context: ../../etc", "deploy/compose.yaml:3: services.web.build.context"),
        ("dockerfile: build/Containerfile", "dockerfile: ../deploy/web.env", "services.web.build.dockerfile"),
        ("args: {WORD: one}", "network: host", "services.web.build.network"),
    ] {
        scene.code.write("deploy/compose.yaml", &built.replace(from, to));
        scene.commit(words);
        scene.services(["deploy", "shop"]).exits(1).says(words);
    }
    assert_eq!(scene.page(), "two\n");

    // What is brought back has the image that was built for it.
    scene.services(["rollback", "shop", "1"]).succeeds();
    assert_eq!(soon(|| scene.page(), |page| page == "one\n"), "one\n");
    let numbers: Vec<String> = scene.images();
    let kept = ["localhost/rivetr-service/shop:1-web", "localhost/rivetr-service/shop:2-web"];
    assert!(kept.iter().all(|name| numbers.contains(&(*name).to_owned())), "{numbers:?}");
    assert_eq!(numbers.len(), 3, "of those that failed nothing is left: {numbers:?}");

    // A daemon that dies while it builds goes on.
    scene.code.write("app/build/Containerfile", instructions);
    scene.code.write("deploy/compose.yaml", &built.replace("one", "three"));
    scene.commit("Three");
    for point in ["service-fetching", "service-building"] {
        fs::write(scene.host.path("/var/lib/rivetr/failpoint"), point).unwrap();
        scene.services(["deploy", "shop", "--no-wait"]);
        let gone = soon(|| scene.host.path("/var/lib/rivetr/failpoint").exists(), |there| !there);
        assert!(!gone, "{point}");
        let newest = || {
            let shown = scene.services(["revisions", "shop", "--json"]).stdout;
            let shown: Value = serde_json::from_str(&shown).unwrap_or_default();
            shown["items"][0]["state"].as_str().unwrap_or_default().to_owned()
        };
        assert_eq!(soon(newest, |state| state == "live"), "live", "{point}");
    }
    assert_eq!(soon(|| scene.page(), |page| page == "three\n"), "three\n");

    scene.services(["delete", "shop", "--yes"]).succeeds();
    assert_eq!(scene.images(), [""; 0]);
    assert!(!scene.host.path("/var/lib/rivetr/services/shop").exists());
}
