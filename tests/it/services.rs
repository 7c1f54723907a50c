//! Services: compose files that run as units, change by what changed, and go back by themselves.

use std::fs;

use serde_json::Value;

use crate::host::{Host, Ran, soon};

/// A shop: a database that takes its time, a page that waits for it, and a worker that needs neither.
const SHOP: &str = r#"
x-box: &box
  image: docker.io/library/busybox:stable
  stop_signal: SIGKILL
services:
  db:
    <<: *box
    command: sh -c 'sleep 1; echo ready > /data/state; exec httpd -f -p 5432 -h /data'
    healthcheck:
      test: test "$$(wget -q -O - http://127.0.0.1:5432/state)" = "ready"
      interval: 1s
      retries: 60
    volumes: [data:/data]
  web:
    <<: *box
    container_name: the_web
    command: sh -c 'wget -q -O /tmp/index.html http://db:5432/state && cat /etc/motd >> /tmp/index.html; exec httpd -f -p 8080 -h /tmp'
    depends_on:
      db: {condition: service_healthy}
    environment:
      GREETING: ${GREETING}
      DB_PASSWORD: ${DB_PASSWORD}
    volumes: [./motd:/etc/motd:ro]
  worker:
    <<: *box
    command: sh -c 'echo working; exec sleep 1000000'
volumes:
  data:
"#;

const FOLDER: &str = "/srv/shop";
const PASSWORD: &str = "open sesame 9";

fn write(host: &Host, name: &str, text: &str) {
    fs::create_dir_all(host.path(FOLDER)).unwrap();
    fs::write(host.path(&format!("{FOLDER}/{name}")), text).unwrap();
}

fn shop(host: &Host, compose: &str) {
    write(host, "compose.yaml", compose);
    write(host, ".env", &format!("GREETING=hello\nDB_PASSWORD={PASSWORD}\n"));
    write(host, "motd", "from the file\n");
}

fn services<'a>(host: &Host, words: impl IntoIterator<Item = &'a str>) -> Ran {
    host.rivetr(["services"].into_iter().chain(words))
}

fn apply(host: &Host, verb: &str) -> Ran {
    services(host, [verb, "shop", "--file", "/srv/shop/compose.yaml"])
}

fn id(host: &Host, container: &str) -> String {
    let name = format!("rivetr-svc-shop-{container}");
    host.as_owner(["podman", "inspect", "--format", "{{.Id}}", &name]).succeeds().stdout.trim().to_owned()
}

fn containers(host: &Host) -> Vec<String> {
    host.names(["podman", "ps", "--all", "--format", "{{.Names}}"], "rivetr-svc-")
}

fn state(host: &Host, unit: &str) -> String {
    let show = ["show", "--value", "--property", "ActiveState", unit];
    host.systemctl(show).succeeds().stdout.trim().to_owned()
}

/// The one volume that is listed.
fn listed(host: &Host) -> Value {
    let volumes = host.rivetr(["volumes", "list", "--json"]).succeeds().json();
    assert_eq!(volumes["items"].as_array().unwrap().len(), 1, "{volumes}");
    assert_eq!(volumes["items"][0]["name"], "rivetr-svc-shop_data");
    volumes["items"][0].clone()
}

#[test]
fn a_compose_file_runs_changes_and_goes() {
    let host = Host::boot("services");
    shop(&host, SHOP);
    apply(&host, "create").succeeds().says("Revision 1 of shop is live");
    let names = ["rivetr-svc-shop-db", "rivetr-svc-shop-web", "rivetr-svc-shop-worker"];
    assert_eq!(containers(&host), names);

    // A domain leads to a port of a container; another one that an app has does not.
    let domain = ["domains", "add", "shop", "shop.example.org", "--container", "web", "--port", "8080"];
    services(&host, domain).succeeds();
    assert_eq!(host.ask("shop.example.org", "/").unwrap().body, "ready\nfrom the file\n");
    paths_and_redirects(&host);
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.rivetr(["domains", "add", "blog", "shop.example.org"]).exits(5).says("service shop");
    services(&host, ["domains", "add", "shop", &host.host_of("blog"), "--container", "web", "--port", "1"])
        .exits(5);

    // What is secret stands in no unit, and gets there all the same.
    services(&host, ["exec", "shop", "web", "--", "sh", "-c", "echo $DB_PASSWORD"]).succeeds().says(PASSWORD);
    let units = host.quadlets();
    let found = host.run(["grep", "-rlF", PASSWORD, units, "/var/lib/rivetr", "/run/user"]);
    // What runs a container has to know its environment, as long as it runs.
    let of_the_runtime = |line: &&str| line.contains("/storage/") || line.contains("/crun/");
    assert_eq!(found.stdout.lines().filter(|line| !of_the_runtime(line)).count(), 0, "{found:?}");
    services(&host, ["logs", "shop", "--container", "worker"]).succeeds().says("shop-worker | working");

    // Nothing has changed, so that nothing is done.
    services(&host, ["diff", "shop", "--file", "/srv/shop/compose.yaml"]).succeeds();
    let before = names.map(|name| id(&host, name.trim_start_matches("rivetr-svc-shop-")));
    write(&host, "compose.yaml", &SHOP.replace("echo working", "echo working harder"));
    let diff = services(&host, ["diff", "shop", "--file", "/srv/shop/compose.yaml"]).succeeds().stdout;
    assert!(diff.contains("stop rivetr-svc-shop-worker.service\n"), "{diff}");
    assert!(!diff.contains("write svc-shop/rivetr-svc-shop-db"), "{diff}");
    assert_eq!(names.map(|name| id(&host, name.trim_start_matches("rivetr-svc-shop-"))), before);
    apply(&host, "update").succeeds().says("Revision 2 of shop is live");
    let after = names.map(|name| id(&host, name.trim_start_matches("rivetr-svc-shop-")));
    assert!(after[..2] == before[..2] && after[2] != before[2], "{before:?} became {after:?}");

    stops_and_starts(&host);

    services(&host, ["rollback", "shop", "1"]).succeeds().says("Revision 3 of shop is live");
    services(&host, ["logs", "shop", "--container", "worker", "-n", "1"]).succeeds().says("| working\n");

    services(&host, ["delete", "shop", "--yes"]).succeeds();
    assert_eq!(containers(&host), [""; 0]);
    assert_eq!(host.list(&format!("{}/svc-shop", host.quadlets())), [""; 0]);
    let networks = host.names(["podman", "network", "ls", "--format", "{{.Name}}"], "rivetr-svc-");
    let secrets = host.names(["podman", "secret", "ls", "--format", "{{.Name}}"], "rivetr-svc-");
    let volumes = host.names(["podman", "volume", "ls", "--quiet"], "rivetr-svc-");
    assert_eq!((networks.len(), secrets.len(), volumes), (0, 0, vec!["rivetr-svc-shop_data".to_owned()]));
    assert_eq!(host.ask("shop.example.org", "/").unwrap().status, 404);
    let left = listed(&host);
    assert_eq!(
        (&left["app"], &left["service"], &left["orphaned"]),
        (&Value::Null, &"shop".into(), &true.into())
    );
    apply(&host, "create").succeeds();
    let listed = listed(&host);
    assert_eq!((&listed["service"], &listed["orphaned"]), (&"shop".into(), &false.into()), "{listed}");
    let delete = ["volumes", "delete", "rivetr-svc-shop_data", "--yes"];
    host.rivetr(delete).exits(5).says("the service shop has this volume");
    services(&host, ["delete", "shop", "--volumes", "--yes"]).succeeds();
    assert_eq!(host.names(["podman", "volume", "ls", "--quiet"], "rivetr-svc-"), [""; 0]);
}

/// A path of a host leads to another container, one host to another, and rules hold as those of apps do.
fn paths_and_redirects(host: &Host) {
    let part =
        ["domains", "add", "shop", "shop.example.org", "--path", "/of-db", "--strip", "--container", "db"];
    services(host, part.into_iter().chain(["--port", "5432"])).succeeds().says("does not see /of-db");
    assert_eq!(host.ask("shop.example.org", "/of-db/state").unwrap().body, "ready\n");
    let www = ["domains", "add", "shop", "www.example.org", "--redirect-to", "shop.example.org"];
    services(host, www).succeeds().says("redirects to shop.example.org");
    assert_eq!(host.ask("www.example.org", "/").unwrap().status, 308);
    let refused = services(host, ["domains", "remove", "shop", "shop.example.org"]);
    refused.exits(5).says("www.example.org redirects to shop.example.org");
    services(host, ["domains", "set", "shop", "www.example.org", "--serve"]).succeeds();
    assert_eq!(host.ask("www.example.org", "/").unwrap().body, "ready\nfrom the file\n");
    services(host, ["traffic", "set", "shop", "--redirect", "^/old$=/index.html 301"]).succeeds();
    assert_eq!(host.ask("shop.example.org", "/old").unwrap().status, 301);
    host.rivetr(["routes", "match", "http://shop.example.org/of-db/x"]).succeeds().says("service shop");
    for gone in ["www.example.org", "shop.example.org/of-db"] {
        services(host, ["domains", "remove", "shop", gone]).succeeds();
    }
    assert_eq!(host.ask("www.example.org", "/").unwrap().status, 404);
}

fn stops_and_starts(host: &Host) {
    services(host, ["stop", "shop"]).succeeds();
    assert_eq!(containers(host), [""; 0]);
    host.systemctl(["restart", "default.target"]).succeeds();
    assert_eq!(state(host, "rivetr-svc-shop-web.service"), "inactive", "it comes up although it was stopped");
    services(host, ["start", "shop"]).succeeds();
    // The page is there a moment after its process.
    let page = soon(|| host.ask("shop.example.org", "/").unwrap().body, |body| body.starts_with("ready"));
    assert_eq!(page, "ready\nfrom the file\n");
    let before = id(host, "worker");
    services(host, ["restart", "shop", "worker"]).succeeds();
    assert_ne!(id(host, "worker"), before);
}

#[test]
fn what_does_not_come_up_gives_way_to_what_was_before() {
    let host = Host::boot("svcback");
    shop(&host, SHOP);
    apply(&host, "create").succeeds();
    let worker = id(&host, "worker");
    let live = |revision: u64| {
        let status = services(&host, ["show", "shop", "--json"]).succeeds().json();
        assert_eq!(status["service"]["revision"], Value::from(revision), "{status}");
        let names = ["rivetr-svc-shop-db", "rivetr-svc-shop-web", "rivetr-svc-shop-worker"];
        assert_eq!(containers(&host), names);
        assert_eq!(id(&host, "worker"), worker);
    };
    // A command that ends at once, one that is never well, an image that is not there.
    for (from, to, why) in [
        ("exec httpd -f -p 8080 -h /tmp", "echo no luck; exit 3", "no luck"),
        ("\"ready\"", "\"never\"", "rivetr-svc-shop-db.service could not be started"),
        ("busybox:stable\n", "busybox:nope\n", "check the name and the tag"),
    ] {
        write(
            &host,
            "compose.yaml",
            &SHOP
                .replace(from, to)
                .replace("retries: 60", "retries: 2")
                .replace("interval: 1s", "interval: 1s\n      timeout: 1s"),
        );
        apply(&host, "update").exits(1).says(why);
        live(1);
        services(&host, ["show", "shop"]).succeeds().says("1 runs");
    }
    write(&host, "compose.yaml", SHOP);

    // An edit by hand is nobody's to overwrite.
    let unit = format!("{}/svc-shop/rivetr-svc-shop-worker.container", host.quadlets());
    host.as_owner(["sh", "-c", &format!("echo '# mine' >> {unit}")]).succeeds();
    write(&host, "compose.yaml", &SHOP.replace("echo working", "echo otherwise"));
    apply(&host, "update").exits(1).says("edited by hand");
    live(1);
}

#[test]
fn a_daemon_that_dies_in_between_goes_on() {
    let host = Host::boot("svcdies");
    shop(&host, SHOP);
    for (number, point) in
        ["service-pulling", "service-starting", "service-started", "service-live"].into_iter().enumerate()
    {
        let verb = if number == 0 { "create" } else { "update" };
        write(&host, "compose.yaml", &SHOP.replace("echo working", &format!("echo working {number}")));
        fs::write(host.path("/var/lib/rivetr/failpoint"), point).unwrap();
        let asked = services(&host, [verb, "shop", "--file", "/srv/shop/compose.yaml", "--no-wait"]);
        assert!(matches!(asked.code, 0 | 1 | 3), "{asked:?}");
        let revision = soon(
            || services(&host, ["show", "shop", "--json"]).stdout,
            |shown| {
                serde_json::from_str::<Value>(shown).is_ok_and(|it| it["service"]["revision"] == number + 1)
            },
        );
        assert!(!host.path("/var/lib/rivetr/failpoint").exists(), "{point}");
        let shown: Value = serde_json::from_str(&revision).unwrap_or_default();
        assert_eq!(shown["service"]["revision"], Value::from(number + 1), "{point}: {shown}");
        services(&host, ["logs", "shop", "--container", "worker", "-n", "1"])
            .succeeds()
            .says(&format!("| working {number}\n"));
    }
    // It dies once the failure is stored: what was before is back all the same.
    write(&host, "compose.yaml", &SHOP.replace("exec sleep 1000000", "exit 4"));
    fs::write(host.path("/var/lib/rivetr/failpoint"), "service-failed").unwrap();
    services(&host, ["update", "shop", "--file", "/srv/shop/compose.yaml", "--no-wait"]);
    let back = soon(
        || {
            host.as_owner(["podman", "logs", "rivetr-svc-shop-worker"]).stdout
                + &state(&host, "rivetr-svc-shop-worker.service")
        },
        |said| {
            said.contains("working 3")
                && said.ends_with("active")
                && !host.path("/var/lib/rivetr/failpoint").exists()
        },
    );
    assert!(back.contains("working 3"), "{back}");
}

#[test]
fn what_a_service_may_not_have_is_refused_with_its_line() {
    let host = Host::boot("svcmay");
    let made = ["tokens", "create", "writer", "--scope", "write", "--json"];
    let token = host.rivetr(made).succeeds().json()["secret"].as_str().unwrap().to_owned();
    let token = format!("RIVETR_TOKEN={token}");
    let by_writer = |words: &[&str]| {
        let rivetr = ["env", &token, "rivetr", "--server", "http://127.0.0.1:7480", "services"];
        host.run(rivetr.iter().chain(words))
    };
    let create = ["create", "shop", "--file", "/srv/shop/compose.yaml"];
    let head = "services:\n  web:\n    image: docker.io/library/busybox:stable\n    command: sleep 1000\n";
    for (more, words) in [
        ("    privileged: true\n", "compose.yaml:5: services.web.privileged"),
        ("    network_mode: host\n", "compose.yaml:5: services.web.network_mode"),
        ("    pid: host\n", "administrator"),
        ("    devices: [/dev/fuse]\n", "administrator"),
        ("    volumes: [/etc:/x]\n", "bind_roots"),
        ("    volumes: [/var/run/docker.sock:/x]\n", "administrator"),
        ("    volumes: [./data:/x]\n", "make it a volume"),
        ("    ports: [\"80:80\"]\n", "compose.yaml:5: services.web.ports"),
        ("    ports: [\"7480:80\"]\n", "rivetr itself"),
        ("    build: .\n", "have it follow the repository"),
        ("    networks: [other]\nnetworks:\n  other: {external: true}\n", "compose.yaml:7"),
        ("    nonsense: 1\n", "compose.yaml:5"),
    ] {
        write(&host, "compose.yaml", &format!("{head}{more}"));
        let refused = by_writer(&create);
        assert_ne!(refused.code, 0, "{more}");
        assert!(refused.stderr.contains(words), "{more}: {}", refused.stderr);
        assert_eq!(
            services(&host, ["list", "--json"]).succeeds().json()["items"].as_array().unwrap().len(),
            0
        );
    }
    // An administrator may; and what another team has is not there.
    write(&host, "compose.yaml", &format!("{head}    cap_add: [NET_RAW]\n"));
    assert_ne!(by_writer(&create).code, 0);
    services(&host, create).succeeds();
    host.rivetr(["teams", "create", "others"]).succeeds();
    let made = ["tokens", "create", "others", "--scope", "admin", "--team", "others", "--json"];
    let others = host.rivetr(made).succeeds().json()["secret"].as_str().unwrap().to_owned();
    let others = format!("RIVETR_TOKEN={others}");
    let by_others = |words: &[&str]| {
        let rivetr = ["env", &others, "rivetr", "--server", "http://127.0.0.1:7480", "services"];
        host.run(rivetr.iter().chain(words))
    };
    by_others(&["show", "shop"]).exits(4);
    by_others(&["delete", "shop", "--yes"]).exits(4);
    by_others(&["files", "shop"]).exits(4);
    assert_eq!(by_others(&["list", "--json"]).succeeds().json()["items"].as_array().unwrap().len(), 0);
    services(&host, ["delete", "shop", "--yes"]).succeeds();
}
