//! `rivetr export`: an app, a database and a service go to a host that never had rivetr, and answer there the same.

use std::process::Command;

use crate::host::{Host, Mode, Ran, soon};

/// Where it is written in the one host, and brought to in the other.
const LEFT: &str = "/root/leaving";
const CAME: &str = "/srv/leaving";
const TOKEN: &str = "open sesame 9 %n $HOME";

/// An app that tells what it was given, and serves what its volume holds.
const APP: &str = r#"FROM docker.io/library/busybox:stable
STOPSIGNAL SIGKILL
CMD ["sh", "-c", "mkdir /www && printf '%s|%s|%s' \"$GREETING\" \"$TOKEN\" \"$DATABASE_URL$REDIS_URL$VALKEY_URL\" > /www/index.html && ln -s /data /www/data && exec httpd -f -p 8080 -h /www"]
"#;

const SHOP: &str = r#"
services:
  db:
    image: docker.io/library/busybox:stable
    stop_signal: SIGKILL
    command: sh -c 'test -e /data/state || echo "$$FIRST" > /data/state; exec httpd -f -p 5432 -h /data'
    environment:
      FIRST: first
    volumes: [data:/data]
  web:
    image: docker.io/library/busybox:stable
    stop_signal: SIGKILL
    command: sh -c 'until wget -q -O /tmp/index.html http://db:5432/state; do sleep 1; done; echo "$$APP_PASSWORD" >> /tmp/index.html; exec httpd -f -p 8080 -h /tmp'
    environment:
      APP_PASSWORD: shop sesame
volumes:
  data:
"#;

/// What is to be the same in both hosts.
#[derive(Debug, PartialEq, Eq)]
struct Answers {
    app: String,
    kept: String,
    owner: String,
    service: String,
    database: String,
}

/// A user of a host without rivetr.
struct Newcomer<'a>(&'a Host);

impl Newcomer<'_> {
    fn run<'b>(&self, command: impl IntoIterator<Item = &'b str>) -> Ran {
        self.0.as_user("app", command)
    }

    fn script(&self, script: &str) -> Ran {
        self.run(["sh", "-euc", &format!("cd {CAME}\n{script}")])
    }

    /// Asks until it answers.
    fn get(&self, port: &str, path: &str) -> String {
        let url = format!("http://127.0.0.1:{port}/{path}");
        let curl = ["curl", "--silent", "--fail", "--max-time", "5", url.as_str()];
        let answer = soon(|| self.run(curl), |ran| ran.code == 0);
        answer.succeeds().stdout
    }
}

fn fill(host: &Host) -> Answers {
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--volume", "data:/data"]).succeeds();
    host.rivetr(["databases", "create", "orders", "--kind", "valkey", "--version", "8"]).succeeds();
    host.rivetr(["link", "blog", "orders"]).succeeds();
    host.rivetr(["env", "set", "blog", "GREETING=100 % \"hello\""]).succeeds();
    host.rivetr(["env", "set", "--secret", "blog", &format!("TOKEN={TOKEN}")]).succeeds();
    let repository = host.repository("blog");
    repository.write("Containerfile", APP);
    repository.commit("An app");
    repository.push().succeeds();
    let write = "head -c 3000000 /dev/urandom | md5sum > /data/kept; chown 1234:5678 /data; chmod 0751 /data";
    host.as_owner(["podman", "exec", "rivetr-app-blog-1", "sh", "-c", write]).succeeds();
    valkey(|command| host.as_owner(command), "rivetr-db-orders", "set k kept");
    for place in ["fresh", "running"] {
        let job = ["jobs", "create", "blog", place, "--schedule", "@yearly", "--place", place, "--", "touch"];
        host.rivetr(job.into_iter().chain([format!("/data/{place}").as_str(), "/data/a b"])).succeeds();
    }
    std::fs::create_dir_all(host.path("/srv/shop")).unwrap();
    std::fs::write(host.path("/srv/shop/compose.yaml"), SHOP).unwrap();
    host.rivetr(["services", "create", "shop", "--file", "/srv/shop/compose.yaml"]).succeeds();
    let domain =
        ["services", "domains", "add", "shop", "shop.example.org", "--container", "web", "--port", "8080"];
    host.rivetr(domain).succeeds();
    let change = "echo second > /data/state";
    host.as_owner(["podman", "exec", "rivetr-svc-shop-db", "sh", "-c", change]).succeeds();
    host.rivetr(["services", "restart", "shop"]).succeeds();
    answers(host)
}

fn answers(host: &Host) -> Answers {
    let blog = host.host_of("blog");
    let ask = |at: &str, path: &str| {
        let asked =
            soon(|| host.ask(at, path), |asked| asked.as_ref().is_ok_and(|answer| answer.status == 200));
        asked.unwrap().body
    };
    Answers {
        app: ask(&blog, "/"),
        kept: ask(&blog, "/data/kept"),
        owner: owner(|command| host.as_owner(command), "rivetr-app-blog-1"),
        service: ask("shop.example.org", "/"),
        database: valkey(|command| host.as_owner(command), "rivetr-db-orders", "get k"),
    }
}

/// Whose the volume of the app is, and who may do what there.
fn owner(run: impl Fn([&str; 7]) -> Ran, container: &str) -> String {
    run(["podman", "exec", container, "stat", "-c", "%u:%g %a", "/data"]).succeeds().stdout
}

fn valkey(run: impl Fn([&str; 6]) -> Ran, container: &str, what: &str) -> String {
    let command = format!("REDISCLI_AUTH=\"$(cat /run/secrets/rivetr-password)\" valkey-cli {what}");
    run(["podman", "exec", container, "sh", "-c", &command]).succeeds().stdout
}

/// Everything between the fences of shell in a README, in order.
fn commands(readme: &str) -> String {
    let blocks = readme.split("\n```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.collect::<Vec<_>>().join("\n")
}

/// The port of a container in the README's table.
fn port(readme: &str, container: &str) -> String {
    let row = readme.lines().find(|line| line.starts_with(&format!("| {container} |")));
    let row = row.unwrap_or_else(|| panic!("no {container} in\n{readme}"));
    row.split("127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap().to_owned()
}

fn copy(from: &Host, to: &Host) {
    std::fs::create_dir_all(to.path("/srv")).unwrap();
    let copied = Command::new("cp").arg("-R").arg(from.path(LEFT)).arg(to.path(CAME)).status();
    assert!(copied.unwrap().success());
}

#[test]
fn what_ran_here_answers_the_same_where_rivetr_never_was() {
    let host = Host::boot("leaving");
    let before = fill(&host);
    assert!(before.app.contains(TOKEN) && before.app.contains("orders:6379"), "{before:?}");
    assert_eq!(before.service, "second\nshop sesame\n");

    // Without the flags, names alone.
    host.rivetr(["export", "/root/bare"]).succeeds();
    let grep = ["grep", "-rF", "sesame", "/root/bare"];
    assert_eq!(host.run(grep).code, 1, "a secret is written that nobody asked for");
    let bare = std::fs::read_to_string(host.path("/root/bare/README.md")).unwrap();
    assert!(bare.contains("printf %s 'VALUE' | podman secret create default-blog-TOKEN -"), "{bare}");
    host.rivetr(["export", "/root/bare"]).exits(2).says("is not empty");
    assert_eq!(host.list("/var/lib/rivetr/spool"), [""; 0]);

    let told = host.rivetr(["export", LEFT, "--volumes", "--with-secrets"]).succeeds();
    told.says("WARNING: /root/leaving/secrets");
    let modes = host.run(["find", LEFT, "-perm", "/077"]).succeeds();
    assert_eq!(modes.stdout, "", "others may read it");
    assert_eq!(answers(&host), before, "what was held goes on");
    let paused = host.names(["podman", "ps", "--filter", "status=paused", "--format", "{{.Names}}"], "");
    assert_eq!(paused, [""; 0]);
    assert_eq!(host.list("/var/lib/rivetr/spool"), [""; 0]);

    let new = Host::bare("arrived");
    copy(&host, &new);
    drop(host);
    new.run(["useradd", "--create-home", "app"]).succeeds();
    new.run(["loginctl", "enable-linger", "app"]).succeeds();
    new.run(["chown", "--recursive", "app:", CAME]).succeeds();
    let uid = new.run(["id", "-u", "app"]).succeeds().stdout;
    new.run(["systemctl", "start", &format!("user@{}.service", uid.trim())]).succeeds();
    let app = Newcomer(&new);
    let readme = std::fs::read_to_string(new.path(&format!("{CAME}/README.md"))).unwrap();
    app.script(&commands(&readme)).succeeds();
    let (blog, shop) = (port(&readme, "default-blog"), port(&readme, "default-shop-web"));
    let after = Answers {
        app: app.get(&blog, ""),
        kept: app.get(&blog, "data/kept"),
        owner: owner(|command| app.run(command), "default-blog"),
        service: app.get(&shop, ""),
        database: valkey(|command| app.run(command), "default-orders", "get k"),
    };
    assert_eq!(after, before);
    // The app finds its database by the name that it was told.
    let ask = "printf 'PING\\r\\nQUIT\\r\\n' | nc -w 5 orders 6379";
    app.run(["podman", "exec", "default-blog", "sh", "-c", ask]).succeeds().says("NOAUTH");
    jobs_run(&app);
    let quadlets = app.run(["sh", "-c", "cat ~/.config/containers/systemd/*"]).succeeds().stdout;
    let own = quadlets.lines().filter(|line| !line.starts_with('#') && line.contains("io.rivetr."));
    assert_eq!(own.count(), 0, "{quadlets}");
}

/// Jobs are timers, which systemd starts as it did.
fn jobs_run(app: &Newcomer<'_>) {
    let timers = app.run(["systemctl", "--user", "list-timers", "--all", "--no-legend"]).succeeds().stdout;
    for place in ["fresh", "running"] {
        assert!(timers.contains(&format!("default-blog-{place}.timer")), "{timers}");
        app.run(["systemctl", "--user", "start", &format!("default-blog-{place}.service")]).succeeds();
        let there = format!("/data/{place}");
        app.run(["podman", "exec", "default-blog", "ls", &there, "/data/a b"]).succeeds();
    }
}

#[test]
fn an_archive_that_is_broken_off_holds_nobody() {
    let host = Host::boot("held");
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--volume", "data:/data"]).succeeds();
    host.sample("blog").push().succeeds();
    // A volume that is large enough for its archive to be under way when it is broken off.
    let write = "dd if=/dev/zero of=/data/large bs=1M count=400";
    host.as_owner(["podman", "exec", "rivetr-app-blog-1", "sh", "-c", write]).succeeds();
    let mut export = host.spawn(["rivetr", "export", "/root/broken", "--volumes"]);
    let manager = if host.mode() == Mode::Rootless { "--user" } else { "--system" };
    let list = ["systemctl", manager, "list-units", "--all", "--plain", "--no-legend", "rivetr-archive-*"];
    let units = soon(|| host.names(list, "rivetr-archive-"), |units| !units.is_empty());
    assert_eq!(units.len(), 1, "{units:?}");
    host.run(["systemctl", "kill", "--signal=KILL", "rivetr.service"]).succeeds();
    export.wait().unwrap();
    let paused = ["podman", "ps", "--filter", "status=paused", "--format", "{{.Names}}"];
    assert_eq!(soon(|| host.names(paused, ""), Vec::is_empty), [""; 0], "held for ever");
    assert_eq!(host.get("blog").status, 200);
    let left = soon(|| host.names(list, "rivetr-archive-"), Vec::is_empty);
    assert_eq!(left, [""; 0]);
    assert!(!host.path("/root/broken/README.md").exists(), "it does not look whole");
}
