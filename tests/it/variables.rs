//! Variables and mounted files: what a container really gets, through the real generator, systemd and Podman, and
//! where their values cannot be seen.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rivetr::domain::dotenv;
use rivetr::domain::name::EnvKey;
use serde_json::{Value, json};

use crate::host::{Host, Repository};
use crate::nasty;

/// How many values are made up, besides those that are known to be awkward.
const GENERATED: usize = 500;

const CANARY: &str = "canary-4d8c2f\"$%\\value";

#[test]
fn every_value_reaches_the_process_as_it_was_set() {
    let host = Host::boot("values");
    host.rivetr(["apps", "create", "echo"]).succeeds();
    let mut values: Vec<(String, String)> =
        nasty::carried().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    // What no unit can carry; only a NUL has no way at all.
    let by_secret = nasty::REFUSED.iter().filter(|(_, value)| !value.contains('\0'));
    values.extend(by_secret.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let made_up = generated("[^\0]{0,40}").into_iter().enumerate();
    values.extend(made_up.map(|(number, value)| (format!("GENERATED_{number}"), value)));

    let text = |prefix: &str| -> String {
        let key = |name: &str| EnvKey::parse(&format!("{prefix}{name}")).unwrap();
        values.iter().map(|(name, value)| dotenv::line(&key(name), value)).collect()
    };
    for (file, text, kind) in [("plain.env", text("P_"), "--plain"), ("secret.env", text("S_"), "--secret")] {
        let path = format!("/root/{file}");
        std::fs::write(host.path(&path), text).unwrap();
        host.rivetr(["env", "import", "echo", &path, kind]).succeeds();
    }
    let exported = host.rivetr(["env", "export", "echo"]).succeeds().stdout;
    let read = dotenv::parse(&exported).expect("what is exported can be imported");
    assert_eq!(read.len(), values.len(), "the plain ones");
    holder(&host, "echo").push().succeeds();

    let environment = encoded(&host, ["base64", "/proc/1/environ"]);
    let got: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
    for prefix in ["P_", "S_"] {
        for (name, value) in &values {
            let wanted = format!("{prefix}{name}={value}");
            assert!(got.contains(&wanted.as_bytes()), "{prefix}{name} ({value:?}) did not arrive");
        }
    }
    host.assert_only("echo", &[1]);
}

#[test]
fn every_file_is_found_in_the_container_as_it_was_set() {
    let host = Host::boot("files");
    host.rivetr(["apps", "create", "echo"]).succeeds();
    let token = host.token("write");
    let mut files: Vec<Vec<u8>> = vec![(0..=255).collect(), vec![0], b"\r\n".to_vec(), vec![0xff; 511_999]];
    let bytes = proptest::collection::vec(proptest::num::u8::ANY, 1..200);
    files.extend(take(&bytes, GENERATED));
    for (number, content) in files.iter().enumerate() {
        let body = json!({ "path": format!("/data/{number}"), "content_base64": BASE64.encode(content) });
        let answer = put(&host, &token, "/api/apps/echo/files", &body);
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    }
    holder(&host, "echo").push().succeeds();

    let script = "cd /data && for file in *; do echo $file $(base64 -w 0 $file); done";
    let command = ["podman", "exec", "rivetr-app-echo-1", "sh", "-c", script];
    let listed = host.as_owner(command).succeeds().stdout;
    let mut found = 0;
    for line in listed.lines() {
        let (number, content) = line.split_once(' ').unwrap();
        let wanted = &files[number.parse::<usize>().unwrap()];
        assert!(&BASE64.decode(content).unwrap() == wanted, "/data/{number} is another");
        found += 1;
    }
    assert_eq!(found, files.len());
    host.rivetr(["files", "unset", "echo", "/data/0"]).succeeds();
    let left = host.rivetr(["files", "list", "echo", "--json"]).succeeds().json();
    assert_eq!(left["items"].as_array().map(Vec::len), Some(files.len() - 1));
    host.assert_only("echo", &[1]);
}

#[test]
fn a_value_that_cannot_be_opened_stops_the_deployment_and_nothing_else() {
    let host = Host::boot("sealed");
    host.rivetr(["apps", "create", "blog", "--env", "GREETING=hello"]).succeeds();
    host.rivetr(["env", "set", "blog", "TOKEN=first", "--secret"]).succeeds();
    let repository = host.sample("blog");
    repository.push().succeeds();

    let damage = "UPDATE variable SET value = zeroblob(60) WHERE key = 'TOKEN'";
    assert_eq!(host.database().execute(damage, []).unwrap(), 1);
    host.rivetr(["deploy", "blog"]).exits(1).says("the variable TOKEN cannot be read");
    assert_eq!(host.get("blog").status, 200);
    host.assert_only("blog", &[1]);

    // Also a live release whose copy is damaged goes on, and the next one takes its place.
    let damage = "UPDATE deployment SET settings = replace(settings, substr(settings, instr(settings, \
                  '\"value\":\"') + 9, 12), 'AAAAAAAAAAAA') WHERE number = 1";
    assert_eq!(host.database().execute(damage, []).unwrap(), 1);
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    assert_eq!(host.get("blog").status, 200);
    host.rivetr(["env", "set", "blog", "TOKEN=second"]).succeeds();
    host.rivetr(["deploy", "blog"]).succeeds();
    let environment = ["podman", "exec", "rivetr-app-blog-3", "cat", "/proc/1/environ"];
    let environment = host.as_owner(environment).succeeds().stdout;
    assert!(environment.split('\0').any(|line| line == "TOKEN=second"), "{environment}");
    let url = format!("RIVETR_URL=http://{}/", host.host_of("blog"));
    for injected in ["RIVETR_APP=blog", "RIVETR_ENV=production", "RIVETR_DEPLOYMENT=3", "PORT=8080", &url] {
        assert!(environment.split('\0').any(|line| line == injected), "{injected} is missing");
    }
    host.assert_only("blog", &[3]);
}

#[test]
fn a_secret_is_seen_by_its_process_alone_and_goes_with_its_release() {
    let host = Host::boot("secret");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    let file = host.path("/root/secret.env");
    std::fs::write(&file, dotenv::line(&EnvKey::parse("TOKEN").unwrap(), CANARY)).unwrap();
    host.rivetr(["env", "import", "blog", "/root/secret.env", "--secret"]).succeeds();
    std::fs::remove_file(file).unwrap();
    host.sample("blog").push().succeeds();
    host.rivetr(["deploy", "blog"]).succeeds();

    let mark = "canary-4d8c2f";
    let process = ["podman", "exec", "rivetr-app-blog-2", "cat", "/proc/1/environ"];
    assert!(host.as_owner(process).succeeds().stdout.contains(&format!("TOKEN={CANARY}")));
    for (what, ran) in [
        ("podman inspect", host.as_owner(["podman", "inspect", "rivetr-app-blog-2"])),
        ("systemctl show", host.systemctl(["show", "rivetr-app-blog-2.service"])),
        ("the journal", host.run(["journalctl", "--no-pager", "--all"])),
        ("the processes", host.run(["ps", "-eo", "args"])),
        ("the list", host.rivetr(["env", "list", "blog", "--json"])),
        ("the export", host.rivetr(["env", "export", "blog"])),
        ("the log", host.rivetr(["logs", "blog", "--build"])),
    ] {
        assert!(!ran.succeeds().stdout.contains(mark), "{what} shows it");
    }
    // The container's own files below Podman's storage are its owner's alone.
    let places = ["/var/lib/rivetr", "/etc", "/run/systemd", "/run/rivetr"];
    let search = ["grep", "-rlaFs", "--exclude-dir=.local", "-e", mark].into_iter().chain(places);
    assert_eq!(host.run(search).stdout, "", "files that show it");
    let generated = host.run(["find", "/run/user", "-path", "*/systemd/*", "-type", "f"]).stdout;
    for unit in generated.lines() {
        assert!(!host.run(["cat", unit]).stdout.contains(mark), "{unit} shows it");
    }

    let secrets = || host.names(["podman", "secret", "ls", "--format", "{{.Name}}"], "");
    assert_eq!(secrets(), ["rivetr-app-blog-2-TOKEN"]);
    host.as_owner(["podman", "secret", "create", "mine", "/etc/hostname"]).succeeds();
    host.rivetr(["apps", "delete", "blog", "--yes"]).succeeds();
    assert_eq!(secrets(), ["mine"]);
}

#[test]
fn the_master_key_changes_though_the_daemon_dies_on_the_way() {
    let host = Host::boot("rotate");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    host.rivetr(["env", "set", "blog", "TOKEN=kept", "--secret"]).succeeds();
    host.sample("blog").push().succeeds();
    let keys = || std::fs::read_to_string(host.path("/var/lib/rivetr/master.keys")).unwrap();
    let count = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    let first = keys();
    for point in ["rotating", "after-rotating"] {
        std::fs::write(host.path("/var/lib/rivetr/failpoint"), point).unwrap();
        assert_ne!(host.rivetr(["secrets", "rotate-key"]).code, 0, "{point}");
        host.rivetr(["env", "list", "blog"]).succeeds().says("TOKEN");
        assert_eq!(count(&keys()), 2, "{point}");
    }
    host.rivetr(["secrets", "rotate-key"]).succeeds().says("Master key 2 seals");
    assert_eq!(count(&keys()), 1);
    assert!(!first.lines().any(|line| !line.starts_with('#') && keys().contains(line)));
    for number in 2..=3 {
        host.rivetr(["deploy", "blog"]).succeeds();
        let container = format!("rivetr-app-blog-{number}");
        let environment = host.as_owner(["podman", "exec", &container, "cat", "/proc/1/environ"]).succeeds();
        assert!(environment.stdout.split('\0').any(|line| line == "TOKEN=kept"));
        host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    }
    host.assert_only("blog", &[3]);
}

/// An app that serves nothing and holds what it was given.
fn holder(host: &Host, app: &str) -> Repository {
    let repository = host.repository(app);
    repository.write(
        "Containerfile",
        "FROM docker.io/library/busybox:stable\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\"]\nSTOPSIGNAL SIGKILL\n",
    );
    repository.commit("Serves nothing, holds what it was given");
    repository
}

/// What a command in the first release of `echo` prints, which is base64.
fn encoded<const N: usize>(host: &Host, command: [&str; N]) -> Vec<u8> {
    let all = ["podman", "exec", "rivetr-app-echo-1"].into_iter().chain(command);
    BASE64.decode(host.as_owner(all).succeeds().stdout.replace('\n', "")).expect("base64 prints base64")
}

/// Sends a document through the proxy, and returns the whole answer.
fn put(host: &Host, token: &str, path: &str, body: &Value) -> String {
    let body = body.to_string();
    let mut stream = TcpStream::connect((host.address(), 80)).unwrap();
    write!(
        stream,
        "PUT {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        host.address(),
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn generated(pattern: &'static str) -> Vec<String> {
    take(&pattern, GENERATED)
}

/// The same values in every run.
fn take<S: Strategy>(strategy: &S, count: usize) -> Vec<S::Value> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("it makes values").current()).collect()
}
