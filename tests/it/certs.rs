//! Certificates from a real ACME server in the host, pebble with its bad nonces on: issued, renewed, revoked, many at
//! once; what goes wrong on the way is said, and mended by itself.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;

use crate::host::{Host, between_looks};

/// How long a busy machine may take for an order, and for what failed once by a bad nonce to be tried again.
const PATIENCE: Duration = Duration::from_mins(3);
const DIRECTORY: &str = "https://localhost:14000/dir";
/// Where the ACME server looks for proofs.
const PORTS: (u16, u16) = (80, 443);

#[test]
fn a_certificate_is_issued_renewed_and_revoked() {
    let host = with_acme("acme", "");
    host.rivetr(["apps", "create", "blog", "--host", "blog.test", "--host", "www.blog.test"]).succeeds();
    let shown = wait_for(&host, "blog.test", "valid");
    assert!(shown["issuer"].as_str().unwrap().contains("Pebble"), "{shown}");
    wait_for(&host, "www.blog.test", "valid");
    let first = served(&host, "blog.test");
    let database = host.run(["grep", "-rlaF", "PRIVATE KEY", "/var/lib/rivetr/rivetr.db"]);
    assert_eq!(database.code, 1, "a key lies in the open");
    host.rivetr(["doctor"]).says("certificates");

    host.rivetr(["certs", "renew", "blog.test"]).succeeds();
    let second = another(&host, "blog.test", &first);
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    assert_eq!(served(&host, "blog.test"), second, "a restart orders nothing");

    host.rivetr(["certs", "renew", "blog.test", "--revoke"]).succeeds();
    let third = another(&host, "blog.test", &second);
    soon("the old one is not revoked", || certificate(&host, "blog.test")["revoking"] == false);
    let standing = [&first, &second, &third].map(|chain| standing(&host, chain));
    assert_eq!(standing, ["Valid", "Revoked", "Valid"]);

    // What nobody needs any more is not shown, and not lost: it may come back.
    host.rivetr(["apps", "set", "blog", "--host", "www.blog.test"]).succeeds();
    soon("blog.test is still wanted", || certificate(&host, "blog.test").is_null());
    host.rivetr(["apps", "set", "blog", "--host", "www.blog.test", "--host", "blog.test"]).succeeds();
    wait_for(&host, "blog.test", "valid");
    assert_eq!(served(&host, "blog.test"), third);
}

#[test]
fn what_goes_wrong_is_said_and_mended() {
    let host = with_acme("acmebad", "");
    let address = host.address().to_owned();
    point(&host, "far.test", "192.0.2.7");
    host.rivetr(["apps", "create", "far", "--host", "far.test", "--host", "near.test"]).succeeds();
    let shown = wait_for(&host, "far.test", "waiting-for-dns");
    let words = format!("DNS of far.test points to 192.0.2.7, not here ({address})");
    assert_eq!(shown["reason"], *words);
    host.rivetr(["certs", "list"]).succeeds().says(&words);
    wait_for(&host, "near.test", "valid");
    point(&host, "far.test", &address);
    wait_for(&host, "far.test", "valid");

    host.run(["systemctl", "stop", "pebble.service"]).succeeds();
    host.rivetr(["apps", "create", "late", "--host", "late.test"]).succeeds();
    let reason = wait_for(&host, "late.test", "failed")["reason"].to_string();
    assert!(reason.contains(DIRECTORY), "{reason}");
    // It has also forgotten the account.
    start_pebble(&host);
    wait_for(&host, "late.test", "valid");

    std::fs::write(host.path("/var/lib/rivetr/failpoint"), "ordering").unwrap();
    host.rivetr(["apps", "create", "crash", "--host", "crash.test"]).succeeds();
    soon("no order was begun", || !host.path("/var/lib/rivetr/failpoint").exists());
    wait_for(&host, "crash.test", "valid");
}

#[test]
fn a_certificate_of_ones_own_wins_and_gives_way() {
    let host = with_acme("acmeown", "");
    host.rivetr(["apps", "create", "blog", "--host", "a.own.test", "--host", "other.test"]).succeeds();
    wait_for(&host, "a.own.test", "valid");
    let (chain, key) = own(&["*.own.test", "own.test"]);
    let (_, other) = own(&["*.own.test"]);
    let write = |name: &str, text: &str| std::fs::write(host.path(&format!("/root/{name}")), text).unwrap();
    write("chain.pem", &chain);
    write("key.pem", &other);
    let add = ["certs", "add", "--chain", "/root/chain.pem", "--key", "/root/key.pem"];
    host.rivetr(add).exits(5).says("it is not the key of this certificate");
    write("key.pem", &key);
    host.rivetr(add).succeeds().says("*.own.test, own.test");
    assert_eq!(served(&host, "*.own.test"), chain);
    soon("one is still ordered", || names(&host) == ["*.own.test", "other.test"]);
    host.rivetr(["certs", "remove", "other.test"]).exits(5).says("as long as an app has that host");

    host.rivetr(["certs", "remove", "*.own.test"]).succeeds();
    wait_for(&host, "a.own.test", "valid");
    host.rivetr(["certs", "remove", "*.own.test"]).exits(4);
}

#[test]
fn two_hundred_domains_at_once() {
    let host = with_acme("acmemany", "");
    for app in ["one", "two"] {
        let hosts: Vec<String> = (0..100).map(|number| format!("n{number}.{app}.test")).collect();
        let hosts = hosts.iter().flat_map(|host| ["--host", host.as_str()]);
        host.rivetr(["apps", "create", app].into_iter().chain(hosts)).succeeds();
    }
    let deadline = Instant::now() + PATIENCE * 4;
    loop {
        let listed = host.rivetr(["certs", "list", "--json"]).succeeds().json();
        let all = listed["items"].as_array().unwrap();
        let valid = all.iter().filter(|one| one["state"] == "valid").count();
        if valid == 200 {
            break;
        }
        assert!(Instant::now() < deadline, "{valid} of {} are there: {listed}", all.len());
        between_looks();
    }
    soon("not all are shown", || index(&host)["certificates"].as_array().map(Vec::len) == Some(200));
    soon("files were left behind", || host.list("/var/lib/rivetr/proxy/certs").len() == 201);
}

#[test]
fn a_name_is_proved_in_a_handshake_and_shown_to_browsers() {
    let host = with_acme("acmealpn", "challenge = \"tls-alpn-01\"");
    host.rivetr(["apps", "create", "blog", "--host", "blog.test", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();
    wait_for(&host, "blog.test", "valid");
    save_root(&host);
    let resolve = format!("blog.test:443:{}", host.address());
    let ask = ["curl", "-sf", "--cacert", "/root/root.pem", "--resolve", &resolve, "https://blog.test/"];
    soon("browsers are not shown it", || host.run(ask).code == 0);
}

#[test]
fn the_key_of_the_account_is_changed_and_a_crash_loses_no_account() {
    let host = with_acme("acmekey", "");
    host.rivetr(["apps", "create", "one", "--host", "one.test"]).succeeds();
    wait_for(&host, "one.test", "valid");
    // The key that is kept, and whether there is a next one.
    let key = || {
        let database = host.database();
        let query = "SELECT hex(key), next IS NOT NULL FROM acme_account";
        database.query_row(query, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))).unwrap()
    };
    let first = key();
    host.rivetr(["certs", "rotate-account-key"]).succeeds().says("has a new key");
    let second = key();
    assert!(first.0 != second.0 && !second.1, "{second:?}");
    let mut chain = served(&host, "one.test");
    host.rivetr(["certs", "renew", "one.test"]).succeeds();
    chain = another(&host, "one.test", &chain);

    // Before the server is told, and after it was: the account stays, which pebble shows by not making another one.
    for point in ["changing-key", "changed-key"] {
        std::fs::write(host.path("/var/lib/rivetr/failpoint"), point).unwrap();
        host.rivetr(["certs", "rotate-account-key"]).exits(3);
        soon("it did not end there", || !host.path("/var/lib/rivetr/failpoint").exists());
        soon("rivetr is not back", || host.rivetr(["status"]).code == 0);
        assert!(key().1, "{point}: the next key is not kept");
        host.rivetr(["certs", "renew", "one.test"]).succeeds();
        chain = another(&host, "one.test", &chain);
        assert!(!key().1, "{point}: it is not settled");
    }
    let made = host.run(["journalctl", "--no-pager", "-u", "rivetr.service"]).succeeds().stdout;
    assert_eq!(made.matches("an account was made").count(), 1, "{made}");

    host.run(["systemctl", "stop", "pebble.service"]).succeeds();
    let before = key();
    host.rivetr(["certs", "rotate-account-key"]).says(DIRECTORY);
    assert_eq!(key().0, before.0, "whether the server heard of the next one is not known yet");
}

#[test]
fn the_command_line_speaks_https_with_rivetr_itself() {
    let host = with_acme("acmecli", "");
    let config = host.path("/etc/rivetr/rivetr.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let here = format!("http://{}", host.address());
    assert!(text.contains(&here), "{text}");
    std::fs::write(config, text.replace(&here, "https://own.test")).unwrap();
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    wait_for(&host, "own.test", "valid");
    save_root(&host);
    let hosts = std::fs::read_to_string(host.path("/etc/hosts")).unwrap_or_default();
    std::fs::write(host.path("/etc/hosts"), format!("{hosts}\n{} own.test\n", host.address())).unwrap();
    let token = format!("RIVETR_TOKEN={}", host.token("admin"));
    let remote = |arguments: &[&str]| {
        let rivetr = ["env", &token, "rivetr", "--server", "https://own.test"];
        host.run(rivetr.into_iter().chain(arguments.iter().copied()))
    };
    let ca = ["--ca", "/root/root.pem"];
    soon("it is not answered over HTTPS", || remote(&[&ca[..], &["status"]].concat()).code == 0);
    remote(&[&ca[..], &["apps", "create", "blog"]].concat()).succeeds();
    host.rivetr(["apps", "list"]).succeeds().says("blog");
    remote(&["apps", "list"]).exits(3).says("invalid peer certificate").says("--ca");
    remote(&["--ca", "/root/none.pem", "apps", "list"]).exits(3).says("/root/none.pem cannot be used");

    // rivetr's own host sends to HTTPS, and that is told.
    host.rivetr(["routes"]).succeeds().says("HTTPS only");
    host.rivetr(["routes", "match", "own.test/x"]).succeeds().says("308 to https://own.test/x");
    host.rivetr(["routes", "match", "https://own.test/x"]).succeeds().says("rivetr itself answers");
}

/// What testssl may find, each for a reason.
const FOUND: [(&str, &str); 2] = [
    ("cert_revocation", "the ACME server of the tests names neither a list nor a responder"),
    ("cert_extlifeSpan", "the ACME server of the tests issues for five years"),
];

#[test]
fn testssl_finds_nothing_weak() {
    let host = with_acme("testssl", "");
    host.rivetr(["apps", "create", "blog", "--host", "blog.test"]).succeeds();
    wait_for(&host, "blog.test", "valid");
    save_root(&host);
    let address = format!("--ip={}", host.address());
    let found = "/root/testssl.json";
    let options = ["--quiet", "--color=0", "--warnings=batch", "--nodns=min", "--add-ca=/root/root.pem"];
    let command =
        ["testssl", &address, "--jsonfile", found].into_iter().chain(options).chain(["blog.test:443"]);
    let said = host.run(command);
    let found = std::fs::read_to_string(host.path(found)).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let found: Vec<Value> = serde_json::from_str(&found).unwrap();
    let of = |id: &str| found.iter().find(|one| one["id"] == id).map(|one| one["finding"].clone());
    let grave: Vec<_> = found.iter().filter(|one| is_grave(one)).collect();
    assert!(grave.is_empty(), "{grave:#?}");
    let mark = of("overall_grade").unwrap_or_default();
    assert!(["A", "A+"].iter().any(|good| mark == *good), "graded {mark}\n{}", said.stdout);
    // It has really tried.
    assert_eq!(of("TLS1_3").unwrap_or_default(), "offered with final", "{}", said.stdout);
}

fn is_grave(one: &Value) -> bool {
    let grave = ["MEDIUM", "HIGH", "CRITICAL", "FATAL"].iter().any(|severity| one["severity"] == *severity);
    grave && !FOUND.iter().any(|(id, _)| one["id"] == *id)
}

/// Keeps the root of the ACME server's certificates where commands in the host find it.
fn save_root(host: &Host) {
    let root = host.run(["curl", "-ksf", "https://127.0.0.1:15000/roots/0"]).succeeds().stdout;
    std::fs::write(host.path("/root/root.pem"), root).unwrap();
}

/// A host with rivetr, a DNS server that leads every name to it, and an ACME server that it trusts.
fn with_acme(name: &str, more: &str) -> Host {
    let host = Host::boot(name);
    let (root, chain, key) = authority_of_localhost();
    host.run(["mkdir", "-p", "/etc/pebble"]).succeeds();
    let (http, tls) = PORTS;
    let config = serde_json::json!({ "pebble": {
        "listenAddress": "127.0.0.1:14000",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": "/etc/pebble/cert.pem",
        "privateKey": "/etc/pebble/key.pem",
        "httpPort": http,
        "tlsPort": tls,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": false,
        "retryAfter": { "authz": 1, "order": 1 },
    } });
    for (file, text) in
        [("ca.pem", root), ("cert.pem", chain), ("key.pem", key), ("config.json", config.to_string())]
    {
        std::fs::write(host.path(&format!("/etc/pebble/{file}")), text).unwrap();
    }
    let address = host.address().to_owned();
    // Newer ones call it by another name.
    let help = host.run(["pebble-challtestsrv", "-help"]);
    let dns = if help.stderr.contains("-dnsserver") { "-dnsserver" } else { "-dns01" };
    start(
        &host,
        "dns",
        "http://127.0.0.1:8055/",
        &[
            "pebble-challtestsrv",
            &format!("{dns}=127.0.0.1:53"),
            "-defaultIPv6=",
            &format!("-defaultIPv4={address}"),
            "-http01=",
            "-https01=",
            "-tlsalpn01=",
            "-doh=",
            "-management=127.0.0.1:8055",
        ],
    );
    start_pebble(&host);
    host.configure(&format!(
        "[acme]\ndirectory = \"{DIRECTORY}\"\nca_file = \"/etc/pebble/ca.pem\"\n{more}\n"
    ));
    host
}

fn start_pebble(host: &Host) {
    let command = ["pebble", "-config=/etc/pebble/config.json", "-dnsserver=127.0.0.1:53"];
    start(host, "pebble", DIRECTORY, &command);
}

/// Starts a server as a unit; it is up when it answers.
fn start(host: &Host, unit: &str, url: &str, command: &[&str]) {
    let unit = format!("--unit={unit}");
    let up =
        format!("--property=ExecStartPost=/bin/sh -c 'until curl -kso /dev/null {url}; do sleep 0.05; done'");
    let limit = "--property=TimeoutStartSec=30";
    // It does not wait a random time before it looks for a proof.
    let quick = "--setenv=PEBBLE_VA_NOSLEEP=1";
    host.run(["systemd-run", &unit, &up, limit, quick].into_iter().chain(command.iter().copied())).succeeds();
}

/// Has DNS lead a name to an address.
fn point(host: &Host, name: &str, address: &str) {
    let answer = serde_json::json!({ "host": name, "addresses": [address] }).to_string();
    for (call, body) in [("clear-a", &answer), ("add-a", &answer)] {
        host.run(["curl", "-sf", "-d", body, &format!("http://127.0.0.1:8055/{call}")]).succeeds();
    }
}

/// Root, certificate and key for the ACME server itself.
fn authority_of_localhost() -> (String, String, String) {
    let (issuer, root) = authority("Root of localhost");
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (root, certificate.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let root = parameters.self_signed(&key).unwrap().pem();
    (Issuer::new(parameters, key), root)
}

/// A chain and key as a person has them.
fn own(names: &[&str]) -> (String, String) {
    let (issuer, root) = authority("Own CA");
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    (leaf.pem() + &root, key.serialize_pem())
}

fn certificate(host: &Host, name: &str) -> Value {
    let shown = host.rivetr(["certs", "show", name, "--json"]);
    if shown.code == 4 { Value::Null } else { shown.succeeds().json() }
}

/// Waits until the certificate for a name stands so.
#[track_caller]
fn wait_for(host: &Host, name: &str, state: &str) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown = certificate(host, name);
        if shown["state"] == state {
            return shown;
        }
        assert!(Instant::now() < deadline, "{name} is not {state}: {shown}");
        between_looks();
    }
}

/// Waits until it is so; what else is said.
#[track_caller]
fn soon(or: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "{or}");
        between_looks();
    }
}

/// Waits until another chain than this one is served for a name.
#[track_caller]
fn another(host: &Host, name: &str, old: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = served(host, name);
        if now != old {
            return now;
        }
        assert!(Instant::now() < deadline, "{name} is served as before: {}", certificate(host, name));
        between_looks();
    }
}

/// The names of all certificates.
fn names(host: &Host) -> Vec<String> {
    let listed = host.rivetr(["certs", "list", "--json"]).succeeds().json();
    let items = listed["items"].as_array().unwrap();
    items.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

fn index(host: &Host) -> Value {
    let text = std::fs::read_to_string(host.path("/var/lib/rivetr/proxy/certs/index.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The chain that the proxy is given for a name; it may be a moment behind what is stored.
#[track_caller]
fn served(host: &Host, name: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let index = index(host);
        let all = index["certificates"].as_array().unwrap();
        let has = |one: &&Value| one["names"].as_array().unwrap().iter().any(|known| known == name);
        let Some(found) = all.iter().find(has) else {
            assert!(Instant::now() < deadline, "{name} is not in {index}");
            between_looks();
            continue;
        };
        let file = found["file"].clone();
        let path = host.path(&format!("/var/lib/rivetr/proxy/certs/{}", file.as_str().unwrap()));
        // Gone since the index was read: another has taken its place.
        let Ok(mut pem) = std::fs::File::open(path) else { continue };
        assert_eq!(pem.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let mut text = String::new();
        pem.read_to_string(&mut text).unwrap();
        let (key, chain) = text.split_at(text.find("-----BEGIN CERTIFICATE-----").unwrap());
        assert!(key.contains("PRIVATE KEY-----"), "the key does not come first");
        return chain.to_owned();
    }
}

/// Whether the server has revoked the first certificate of a chain.
fn standing(host: &Host, chain: &str) -> String {
    let pem = x509_parser::pem::Pem::iter_from_buffer(chain.as_bytes()).next().unwrap().unwrap();
    let serial = pem.parse_x509().unwrap().raw_serial_as_string().replace(':', "");
    let url = format!("https://127.0.0.1:15000/cert-status-by-serial/{serial}");
    let told = host.run(["curl", "-ksf", &url]).succeeds().json();
    told["Status"].as_str().unwrap().to_owned()
}
