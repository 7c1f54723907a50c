//! `rivetr backup` and `rivetr restore`: what a host was, a new one is, with its apps, data and certificates.

use std::fs;
use std::io::{Read, Write};

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

use crate::host::{Host, Ran, soon};

const FILE: &str = "/root/rivetr.age";
const KEY: &str = "/root/key.txt";
const SITE: &str = "own.test";
const PASSPHRASE: &str = "correct horse battery";

const APP: &str = r#"FROM docker.io/library/busybox:stable
STOPSIGNAL SIGKILL
CMD ["sh", "-c", "mkdir /www && printf '%s' \"$TOKEN\" > /www/index.html && ln -s /data /www/data && exec httpd -f -p 8080 -h /www"]
"#;

const SHOP: &str = r#"
services:
  web:
    image: docker.io/library/busybox:stable
    stop_signal: SIGKILL
    command: sh -c 'echo "$$APP_PASSWORD" > /tmp/index.html; exec httpd -f -p 8080 -h /tmp'
    environment:
      APP_PASSWORD: shop sesame
"#;

#[derive(Debug, PartialEq, Eq)]
struct Answers {
    app: String,
    kept: String,
    service: String,
    database: String,
    certificate: String,
}

fn fill(host: &Host) {
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--volume", "data:/data", "--host", SITE])
        .succeeds();
    host.rivetr(["databases", "create", "orders", "--kind", "valkey", "--version", "8"]).succeeds();
    host.rivetr(["env", "set", "--secret", "blog", "TOKEN=open sesame 9"]).succeeds();
    let repository = host.repository("blog");
    repository.write("Containerfile", APP);
    repository.commit("An app");
    repository.push().succeeds();
    let write = "head -c 9000000 /dev/urandom > /data/large; md5sum < /data/large > /data/kept";
    host.as_owner(["podman", "exec", "rivetr-app-blog-1", "sh", "-c", write]).succeeds();
    valkey(host, "set k kept");
    fs::create_dir_all(host.path("/srv/shop")).unwrap();
    fs::write(host.path("/srv/shop/compose.yaml"), SHOP).unwrap();
    host.rivetr(["services", "create", "shop", "--file", "/srv/shop/compose.yaml"]).succeeds();
    let domain =
        ["services", "domains", "add", "shop", "shop.example.org", "--container", "web", "--port", "8080"];
    host.rivetr(domain).succeeds();
    let (key, mut params) =
        (KeyPair::generate().unwrap(), CertificateParams::new([SITE.to_owned()]).unwrap());
    params.not_after = rcgen::date_time_ymd(2049, 1, 1);
    let chain = params.self_signed(&key).unwrap().pem();
    fs::write(host.path("/root/chain.pem"), chain).unwrap();
    fs::write(host.path("/root/own.pem"), key.serialize_pem()).unwrap();
    host.rivetr(["certs", "add", "--chain", "/root/chain.pem", "--key", "/root/own.pem"]).succeeds();
    let drop_in = format!("{}/app-blog/rivetr-app-blog-1.container.d", host.quadlets());
    host.as_owner(["mkdir", &drop_in]).succeeds();
    fs::write(host.path(&format!("{drop_in}/10-mine.conf")), "[Container]\nLabel=mine=yes\n").unwrap();
}

fn answers(host: &Host) -> Answers {
    let ask = |at: &str, path: &str| {
        let asked =
            soon(|| host.ask(at, path), |asked| asked.as_ref().is_ok_and(|answer| answer.status == 200));
        asked.map(|answer| answer.body).unwrap_or_default()
    };
    let connect = format!("{SITE}:443:127.0.0.1");
    let curl = [
        "curl",
        "--silent",
        "--show-error",
        "--cacert",
        "/root/chain.pem",
        "--resolve",
        &connect,
        "--max-time",
        "5",
        &format!("https://{SITE}/"),
    ]
    .map(str::to_owned);
    let certificate = soon(|| host.run(&curl), |ran| ran.code == 0);
    Answers {
        app: ask(&host.host_of("blog"), "/"),
        kept: ask(&host.host_of("blog"), "/data/kept"),
        service: ask("shop.example.org", "/"),
        database: valkey(host, "get k"),
        certificate: certificate.succeeds().stdout,
    }
}

fn valkey(host: &Host, what: &str) -> String {
    let command = format!("REDISCLI_AUTH=\"$(cat /run/secrets/rivetr-password)\" valkey-cli {what}");
    let words = ["podman", "exec", "rivetr-db-orders", "sh", "-c", &command];
    soon(|| host.as_owner(words), |ran| ran.code == 0).succeeds().stdout
}

fn bring(from: &Host, to: &Host, path: &str) {
    fs::copy(from.path(path), to.path(path)).unwrap();
}

fn restore<'a>(host: &Host, more: impl IntoIterator<Item = &'a str>) -> Ran {
    host.rivetr(["restore", FILE, "--identity", KEY].into_iter().chain(more))
}

#[test]
fn a_new_host_is_what_the_old_one_was() {
    let host = Host::boot("lost");
    fill(&host);
    let before = answers(&host);
    assert!(
        before.app == "open sesame 9" && before.database == "kept\n" && !before.kept.is_empty(),
        "{before:?}"
    );
    let token = host.token("admin");
    let key = host.rivetr(["backups", "key", "--json"]).succeeds().json();
    fs::write(host.path(KEY), key["key"].as_str().unwrap()).unwrap();
    host.rivetr(["backup", FILE, "--volumes"]).succeeds().says("rivetr backups key");
    host.rivetr(["backup", FILE]).exits(2).says("is there already");
    host.rivetr(["backup", "/root/other.age", "--recipient", "nobody"]).exits(5).says("recipient");
    assert_eq!(answers(&host), before);
    assert_eq!(host.list("/var/lib/rivetr/spool"), [""; 0]);
    let clear = host.run(["grep", "-caE", "sesame|PRIVATE KEY", FILE]);
    assert_eq!(clear.stdout.trim(), "0", "it is not sealed");
    restore(&host, []).exits(5).says("is not empty: it has 1 apps, 1 databases");

    let new = Host::boot("found");
    for path in [FILE, KEY, "/root/chain.pem"] {
        bring(&host, &new, path);
    }
    drop(host);
    refuses_what_is_broken(&new);
    let dry = restore(&new, ["--dry-run"]).succeeds().says("Nothing was changed");
    dry.says("rivetr-vol-blog-data");
    assert_eq!(new.rivetr(["apps", "list", "--json"]).succeeds().json()["items"], Value::Array(Vec::new()));
    assert_eq!(new.names(["podman", "volume", "ls", "--quiet"], "rivetr-"), [""; 0]);

    restore(&new, []).succeeds().says("rivetr starts anew");
    let apps = soon(
        || new.rivetr(["apps", "list", "--json"]),
        |ran| ran.code == 0 && ran.json()["items"].as_array().is_some_and(|items| items.len() == 1),
    );
    apps.succeeds();
    let after = answers(&new);
    // The automatic host follows the new address; everything else is as it was.
    assert_eq!(after, before);
    let label = ["podman", "inspect", "--format", "{{.Config.Labels.mine}}", "rivetr-app-blog-1"];
    assert_eq!(new.as_owner(label).succeeds().stdout, "yes\n", "the drop-in");
    assert_eq!(new.list("/var/lib/rivetr/restore"), [""; 0]);
    assert_eq!(new.list("/var/lib/rivetr/spool"), [""; 0]);
    let bearer = format!("Authorization: Bearer {token}");
    let asked = ["curl", "--silent", "--fail", "--header", &bearer, "http://127.0.0.1:7480/api/apps"];
    new.run(asked).succeeds().says("blog");
    restarts_as_ever(&new, &before);
    goes_back_when_told(&new, &before);
}

/// It is an ordinary rivetr from then on: it starts again, and takes a push to what it has.
fn restarts_as_ever(host: &Host, before: &Answers) {
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    assert_eq!(answers(host), *before);
    host.rivetr(["deploy", "blog"]).succeeds();
    assert_eq!(answers(host), *before);
}

/// What has become of it since gives way to what was, once that is said.
fn goes_back_when_told(host: &Host, before: &Answers) {
    valkey(host, "set k other");
    host.rivetr(["apps", "create", "late"]).succeeds();
    restore(host, ["--replace"]).exits(2);
    restore(host, []).exits(5).says("it has 2 apps");
    assert_ne!(answers(host), *before);
    restore(host, ["--replace", "--yes"]).succeeds();
    let apps = soon(
        || host.rivetr(["apps", "list", "--json"]),
        |ran| ran.code == 0 && ran.json()["items"].as_array().is_some_and(|items| items.len() == 1),
    );
    apps.succeeds();
    assert_eq!(answers(host), *before);
}

fn refuses_what_is_broken(host: &Host) {
    let whole = fs::read(host.path(FILE)).unwrap();
    let broken = "/root/broken.age";
    let try_it = || host.rivetr(["restore", broken, "--identity", KEY]);
    fs::write(host.path(broken), &whole[..whole.len() / 2]).unwrap();
    try_it().exits(5);
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(host.path(broken), &changed).unwrap();
    try_it().exits(5).says("changed or cut off");
    fs::write(host.path(broken), "no archive at all").unwrap();
    try_it().exits(5).says("age-encryption.org");
    fs::write(host.path("/root/none.txt"), "nothing").unwrap();
    host.rivetr(["restore", FILE, "--identity", "/root/none.txt"]).exits(2).says("holds no key");
    assert_eq!(host.rivetr(["apps", "list", "--json"]).succeeds().json()["items"], Value::Array(Vec::new()));
}

#[test]
fn a_passphrase_opens_it_and_nothing_else_does() {
    let host = Host::boot("phrase");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    host.rivetr(["env", "set", "--secret", "blog", "TOKEN=open sesame 9"]).succeeds();
    let backup = |file: &str| format!("backup /root/{file} --passphrase-file -");
    piped(&host, "short", &backup("short.age")).exits(2).says("at least 12 characters");
    // Away from whatever terminal the test has.
    let alone = ["setsid", "--wait", "timeout", "60", "rivetr", "backup", "/root/short.age", "--passphrase"];
    host.run(alone).exits(2).says("--passphrase-file FILE");
    host.rivetr(["backup", "/root/short.age", "--passphrase", "--recipient", "age1x"]).exits(2);
    piped(&host, PASSPHRASE, "backup /root/piped.age --passphrase-file -").succeeds();
    let (code, shown) =
        typed(&host, "rivetr backup /root/other.age --passphrase", &[PASSPHRASE, "other horse"]);
    assert!(code == 2 && shown.contains("two different ones"), "{shown}");
    let command = format!("rivetr backup {FILE} --passphrase");
    let (code, shown) = typed(&host, &command, &[PASSPHRASE, PASSPHRASE]);
    assert!(code == 0 && !shown.contains("horse"), "{shown}");
    let mut written = host.list("/root");
    written.retain(|name| name.rsplit_once('.').is_some_and(|(_, kind)| kind == "age"));
    assert_eq!(written, ["piped.age", "rivetr.age"]);
    let sealed = fs::read(host.path(FILE)).unwrap();
    assert!(sealed.starts_with(b"age-encryption.org/v1\n-> scrypt "));

    host.rivetr(["apps", "delete", "blog", "--yes"]).succeeds();
    let apps = || host.rivetr(["apps", "list", "--json"]);
    let there_are = |count: usize| {
        let is_so = |ran: &Ran| {
            ran.code == 0 && ran.json()["items"].as_array().is_some_and(|items| items.len() == count)
        };
        let seen = soon(apps, is_so);
        assert!(is_so(&seen), "not {count} apps: {seen:?}");
    };
    let restore = format!("restore {FILE} --passphrase-file -");
    host.rivetr(["restore", FILE, "--identity", KEY]).exits(2).says("sealed with a passphrase");
    piped(&host, "wrong horse battery", &restore).exits(5).says("not the passphrase");
    fs::write(host.path("/root/cut.age"), &sealed[..sealed.len() - 1]).unwrap();
    piped(&host, PASSPHRASE, "restore /root/cut.age --passphrase-file -").exits(5).says("changed or cut off");
    let dry = piped(&host, PASSPHRASE, &format!("{restore} --dry-run")).succeeds();
    dry.says("apps: blog").says("Nothing was changed");
    there_are(0);
    let (code, shown) = typed(&host, &format!("rivetr restore {FILE}"), &[PASSPHRASE]);
    assert!(code == 0 && shown.contains("rivetr starts anew"), "{shown}");
    there_are(1);
    host.rivetr(["env", "list", "blog"]).succeeds().says("TOKEN");
}

fn piped(host: &Host, passphrase: &str, command: &str) -> Ran {
    host.run(["sh", "-c", &format!("echo '{passphrase}' | timeout 120 rivetr {command}")])
}

/// Types lines at a terminal, each once it is asked for. How the command ended, and all that was shown.
fn typed(host: &Host, command: &str, lines: &[&str]) -> (i32, String) {
    let mut child =
        host.spawn(["timeout", "120", "script", "--quiet", "--return", "--command", command, "/dev/null"]);
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = Vec::new();
    for line in lines {
        let asked = shown.len();
        while !shown[asked..].ends_with(b": ") {
            let mut byte = [0];
            screen.read_exact(&mut byte).expect("it asks");
            shown.extend(byte);
        }
        writeln!(keys, "{line}").unwrap();
    }
    screen.read_to_end(&mut shown).unwrap();
    (child.wait().unwrap().code().unwrap_or(-1), String::from_utf8_lossy(&shown).into_owned())
}
