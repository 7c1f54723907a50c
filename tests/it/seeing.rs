//! What people see of requests: in rivetr's own numbers, in Prometheus's, in the journal and in a file.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::host::{Host, soon};

/// What the log says of this path, from lines that have come so far.
fn line_of(lines: &str, path: &str) -> Option<Value> {
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.into_iter().find(|line| line["path"] == path)
}

fn assert_served(line: Option<Value>, path: &str) {
    let line = line.unwrap_or_else(|| panic!("{path} is not in the log"));
    assert_eq!((&line["app"], &line["status"]), (&"blog".into(), &404.into()), "{line}");
    assert!(line["target"].as_str().is_some_and(|key| key.starts_with("rivetr-app-blog-")), "{line}");
}

#[test]
fn requests_are_seen_in_numbers_in_metrics_and_in_both_kinds_of_access_log() {
    let host = Host::boot("seeing");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();
    host.configure("[proxy]\naccess_log = \"all\"\n");
    host.run(["systemctl", "restart", "rivetr-proxy.service"]).succeeds();
    assert_eq!(host.get("blog").status, 200);
    let name = host.host_of("blog");
    assert_eq!(host.ask(&name, "/journal").unwrap().status, 404);

    let requests = || {
        let list = host.rivetr(["requests", "--json"]).succeeds().json();
        list["items"].as_array().unwrap().iter().find(|app| app["app"] == "blog").unwrap().clone()
    };
    let blog = soon(requests, |blog| blog["requests"] == 2);
    assert_eq!((&blog["requests"], &blog["errors"]), (&2.into(), &0.into()), "{blog}");
    host.rivetr(["requests"]).succeeds().says("blog");

    let mut stream = TcpStream::connect((host.address(), 80)).unwrap();
    let (address, token) = (host.address(), host.token("read"));
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n")
        .unwrap();
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).unwrap();
    for line in
        ["rivetr_proxy_up 1", "rivetr_proxy_requests_total{app=\"blog\",status=\"2xx\"} 1", "rivetr_apps 1"]
    {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in {metrics}");
    }

    let journal = || {
        let words =
            ["journalctl", "--unit=rivetr-proxy.service", "--identifier=rivetr-access", "--output=cat"];
        line_of(&host.run(words).succeeds().stdout, "/journal")
    };
    assert_served(soon(journal, Option::is_some), "/journal");

    // The section is still the last one.
    host.configure("access_log_file = \"/var/log/rivetr/access.log\"\n");
    host.run(["systemctl", "restart", "rivetr-proxy.service"]).succeeds();
    for path in ["/file", "/file-begun-anew"] {
        assert_eq!(host.ask(&name, path).unwrap().status, 404);
        let file = || {
            let text = std::fs::read_to_string(host.path("/var/log/rivetr/access.log")).unwrap_or_default();
            line_of(&text, path)
        };
        assert_served(soon(file, Option::is_some), path);
        host.run(["mv", "/var/log/rivetr/access.log", "/var/log/rivetr/access.log.1"]).succeeds();
        host.run(["systemctl", "reload", "rivetr-proxy.service"]).succeeds();
        let begun = || host.path("/var/log/rivetr/access.log").exists();
        assert!(soon(begun, |begun| *begun), "the file is not begun anew");
    }
}
