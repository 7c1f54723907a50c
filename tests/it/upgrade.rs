//! The proxy is replaced while it serves, and nobody notices.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::host::{Host, Mode, soon};

const PROXY: &str = "rivetr-proxy.service";
const NEXT: &str = "rivetr-proxy-next.service";
/// Requests a second while the proxy is replaced.
const RATE: u32 = 200;

#[test]
fn twenty_upgrades_in_a_row_lose_no_request_also_while_apps_deploy() {
    let host = with_blog("upgrades");
    let load = host.load("blog", RATE);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..8 {
                host.rivetr(["deploy", "blog"]).succeeds();
            }
        });
        for _ in 0..20 {
            let before = pid(&host);
            host.rivetr(["proxy", "upgrade"]).succeeds().says("serving routes of generation");
            assert_ne!(pid(&host), before);
        }
    });
    println!("twenty upgrades: {}", load.lost_nothing());
    host.assert_only("blog", &[9]);
    assert_alone(&host);
}

#[test]
fn a_restart_and_a_setup_lose_no_request() {
    let host = with_blog("restarts");
    let load = host.load("blog", RATE);
    for _ in 0..5 {
        host.run(["systemctl", "restart", PROXY]).succeeds();
    }
    println!("five restarts: {}", load.lost_nothing());

    let load = host.load("blog", RATE);
    let before = pid(&host);
    let unit = format!("/usr/local/lib/systemd/system/{PROXY}");
    host.run(["sed", "-i", "s/^Description=.*/Description=edited/", &unit]).succeeds();
    let way: &[&str] = if host.mode() == Mode::Rootful { &["--system-wide"] } else { &[] };
    host.rivetr(["setup"].iter().chain(way).copied())
        .succeeds()
        .says("[changed] service: rivetr-proxy.service");
    assert_ne!(pid(&host), before);
    println!("a setup: {}", load.lost_nothing());
    assert_alone(&host);
}

#[test]
fn a_program_that_does_not_start_replaces_nothing() {
    let host = with_blog("broken");
    let load = host.load("blog", RATE);
    let before = pid(&host);
    let broken = host.path("/root/broken");
    std::fs::write(broken, "#!/bin/sh\necho 'it has no wheels' >&2\nexit 1\n").unwrap();
    host.run(["cp", "/usr/local/bin/rivetr", "/root/rivetr"]).succeeds();
    host.run(["chmod", "755", "/root/broken"]).succeeds();
    host.run(["mv", "/root/broken", "/usr/local/bin/rivetr"]).succeeds();
    let refused = host.run(["/root/rivetr", "proxy", "upgrade"]).exits(1);
    refused.says("nothing is replaced, and the proxy that runs serves on").says("it has no wheels");
    assert_eq!(pid(&host), before);
    assert_alone(&host);

    host.run(["mv", "/root/rivetr", "/usr/local/bin/rivetr"]).succeeds();
    host.rivetr(["proxy", "upgrade"]).succeeds();
    assert_ne!(pid(&host), before);
    load.lost_nothing();
    assert_alone(&host);
}

#[test]
fn an_upgrade_that_was_killed_is_taken_up_again_and_tunnels_get_their_time() {
    let host = with_blog("killed");
    talkative(&host, "talk");
    let load = host.load("blog", RATE);
    let mut tunnel = Tunnel::open(&host, "talk");
    tunnel.echoes("hello");

    let upgrade = ["systemd-run", "--unit=upgrade", "--service-type=exec", "rivetr", "proxy", "upgrade"];
    host.run(upgrade).succeeds();
    assert_eq!(soon(|| state(&host, PROXY), |state| state == "deactivating"), "deactivating");
    tunnel.echoes("are you still there?");
    host.run(["systemctl", "kill", "--kill-whom=main", "--signal=KILL", "upgrade.service"]).succeeds();
    host.rivetr(["status"]).succeeds().says("an upgrade of the proxy is under way, or was broken off");

    host.rivetr(["proxy", "upgrade"]).succeeds().says("is left from an upgrade that was broken off");
    // Close, with "going away".
    assert_eq!(tunnel.rest(), [0x88, 2, 3, 0xe9]);
    println!("an upgrade that was killed: {}", load.lost_nothing());
    let status = host.rivetr(["status"]).succeeds();
    assert!(!status.stdout.contains("proxy"), "{}", status.stdout);
    assert_alone(&host);
    Tunnel::open(&host, "talk").echoes("hello again");
}

/// A host with an app whose first release serves.
fn with_blog(name: &str) -> Host {
    let host = Host::boot(name);
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();
    host
}

/// An app that agrees to become an echo.
fn talkative(host: &Host, app: &str) {
    host.rivetr(["apps", "create", app, "--port", "8080"]).succeeds();
    let repository = host.repository(app);
    let agree = "#!/bin/sh\nwhile read -r line && [ ${#line} -gt 1 ]; do :; done\n\
                 printf 'HTTP/1.1 101 Yes\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n'\nexec cat\n";
    repository.write("agree", agree);
    let build = "FROM docker.io/library/busybox:stable\nCOPY agree /agree\nRUN chmod 755 /agree\n\
                 STOPSIGNAL SIGKILL\nCMD [\"nc\", \"-ll\", \"-p\", \"8080\", \"-e\", \"/agree\"]\n";
    repository.write("Containerfile", build);
    repository.commit("An echo");
    repository.push().succeeds();
}

/// A `WebSocket` through the proxy.
struct Tunnel(TcpStream);

impl Tunnel {
    fn open(host: &Host, app: &str) -> Self {
        let mut stream = TcpStream::connect((host.address(), 80)).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let name = host.host_of(app);
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: {name}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        Self(stream)
    }

    /// Sends a small frame, and gets it back.
    fn echoes(&mut self, text: &str) {
        let frame = [&[0x82, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        self.0.write_all(&frame).unwrap();
        let mut back = vec![0; frame.len()];
        self.0.read_exact(&mut back).unwrap();
        assert_eq!(back, frame);
    }

    /// What still comes.
    fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        rest
    }
}

fn pid(host: &Host) -> String {
    host.run(["systemctl", "show", "--value", "--property=MainPID", PROXY]).succeeds().stdout
}

fn state(host: &Host, unit: &str) -> String {
    let state = host.run(["systemctl", "show", "--value", "--property=ActiveState", unit]).succeeds();
    state.stdout.trim().to_owned()
}

/// Everything is as before: the proxy under its own name, and nothing beside it.
#[track_caller]
fn assert_alone(host: &Host) {
    assert_eq!(state(host, PROXY), "active");
    let units = ["systemctl", "list-units", "--all", "--plain", "--no-legend", NEXT];
    assert_eq!(host.run(units).succeeds().stdout, "");
    assert!(!host.list("/run/systemd/system").contains(&NEXT.to_owned()));
}
