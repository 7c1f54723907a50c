//! What `rivetr setup` makes of a machine, and what it leaves alone.

use std::net::Ipv4Addr;

use crate::host::{Host, Mode};

const SERVICES: [&str; 2] = ["rivetr.service", "rivetr-proxy.service"];

#[test]
fn a_second_run_changes_nothing_and_an_upgrade_only_what_is_other() {
    let host = Host::boot("again");
    let way: &[&str] = if host.mode() == Mode::Rootful { &["--system-wide"] } else { &[] };
    let setup = || host.rivetr(["setup"].iter().chain(way).copied()).succeeds();
    let pids =
        || SERVICES.map(|unit| host.run(["systemctl", "show", "-P", "MainPID", unit]).succeeds().stdout);

    let before = pids();
    let again = setup().says("Nothing had to be changed.");
    assert!(!again.stdout.contains("[changed]"), "{}", again.stdout);
    assert_eq!(pids(), before, "a run that changes nothing starts nothing anew");

    let [daemon, proxy] = SERVICES.map(|unit| format!("/usr/local/lib/systemd/system/{unit}"));
    host.run(["sed", "-i", "s/^Description=.*/Description=edited/", &daemon]).succeeds();
    setup().says("rivetr.service");
    let after = pids();
    assert_ne!(after[0], before[0], "the control plane's unit was other");
    assert_eq!(after[1], before[1], "the proxy's was not");

    host.run(["sed", "-i", "s/^Description=.*/Description=edited/", &proxy]).succeeds();
    setup().says("rivetr-proxy.service");
    assert_ne!(pids()[1], before[1]);
    assert_eq!(host.ask(host.address(), "/health").unwrap().status, 200);
}

#[test]
fn a_socket_that_is_new_is_opened_under_a_proxy_that_runs() {
    const NEW: &str = "rivetr-proxy-tls.socket";
    let host = Host::boot("socket");
    let way: &[&str] = if host.mode() == Mode::Rootful { &["--system-wide"] } else { &[] };
    let folder = "/usr/local/lib/systemd/system";
    // As an older rivetr left it.
    host.run(["systemctl", "disable", "--now", NEW]).succeeds();
    host.run(["rm", &format!("{folder}/{NEW}")]).succeeds();
    host.run(["sed", "-i", &format!("s/ {NEW}//"), &format!("{folder}/rivetr-proxy.service")]).succeeds();
    host.run(["systemctl", "daemon-reload"]).succeeds();
    host.run(["systemctl", "start", "rivetr-proxy.service"]).succeeds();
    let https = || host.run(["ss", "-Hltn", "sport = :443"]).succeeds().stdout.lines().count();
    assert_eq!(https(), 0);

    host.rivetr(["setup"].iter().chain(way).copied()).succeeds().says(NEW);
    assert_eq!(https(), 2, "a listener for each of two workers");
    host.run(["systemctl", "is-active", NEW, "rivetr-proxy.service"]).succeeds();
    host.rivetr(["setup"].iter().chain(way).copied()).succeeds().says("Nothing had to be changed.");
    assert_eq!(host.ask(host.address(), "/health").unwrap().status, 200);
}

#[test]
fn what_is_missing_is_named_before_anything_is_changed() {
    let host = Host::bare("lacking");
    host.run(["systemd-run", "--unit=other", "--socket-property=ListenStream=80", "true"]).succeeds();
    host.rivetr(["setup"]).exits(1).says("port 80 is taken by a socket unit");
    host.run(["mv", "/usr/bin/git", "/usr/bin/newuidmap", "/root/"]).succeeds();
    host.rivetr(["setup"]).exits(1).says("there is no git").says("install uidmap");
    host.rivetr(["setup", "--url", "example.org"]).exits(2).says("http://HOST");
    host.run(["id", "rivetr"]).exits(1);
    assert!(host.list("/usr/local/lib/systemd/system").iter().all(|name| !name.starts_with("rivetr")));
}

#[test]
fn two_ways_do_not_mix() {
    let host = Host::boot("ways");
    let (other, found): (&[&str], _) = match host.mode() {
        Mode::Rootful => (&[], "system-wide already"),
        Mode::Rootless => (&["--system-wide"], "for a user of its own already"),
    };
    host.rivetr(["setup"].iter().chain(other).copied()).exits(1).says(found);
    assert_eq!(host.ask(host.address(), "/health").unwrap().status, 200);
}

#[test]
fn the_units_are_well_formed_and_hardened() {
    let host = Host::boot("units");
    let names = ["rivetr.socket", "rivetr-http.socket", "rivetr-proxy.socket", "rivetr-proxy-tls.socket"];
    let verify = ["systemd-analyze", "verify"].into_iter().chain(names).chain(SERVICES);
    let verified = host.run(verify).succeeds();
    assert_eq!(verified.stderr, "", "systemd-analyze verify has nothing to say");
    if host.mode() == Mode::Rootless {
        let broker = ["rivetr-netns.socket", "rivetr-netns.service"];
        let verify = ["systemd-analyze", "--user", "verify"].into_iter().chain(broker);
        assert_eq!(host.as_owner(verify).succeeds().stderr, "");
    }
    for unit in SERVICES {
        let security = host.run(["systemd-analyze", "security", "--no-pager", unit]).succeeds();
        let overall = security.stdout.lines().rev().find(|line| line.contains("Overall")).unwrap();
        println!("{overall}");
        let exposure: f64 = overall.split(": ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(exposure <= 2.0, "{overall}");
    }
}

#[test]
fn a_person_needs_no_root() {
    let host = Host::bare("personal");
    host.run(["useradd", "--create-home", "ada"]).succeeds();
    let uid: u32 = host.run(["id", "-u", "ada"]).succeeds().stdout.trim().parse().unwrap();
    let runtime = format!("XDG_RUNTIME_DIR=/run/user/{uid}");
    let as_ada = |command: &[&str]| {
        let enter =
            ["setpriv", "--reuid=ada", "--regid=ada", "--init-groups", "env", "HOME=/home/ada", &runtime];
        host.run(enter.iter().chain(command).copied())
    };
    as_ada(&["rivetr", "setup", "--user"]).exits(1).says("loginctl enable-linger ada");
    host.run(["loginctl", "enable-linger", "ada"]).succeeds();
    host.run(["systemctl", "start", &format!("user@{uid}.service")]).succeeds();

    let answer = as_ada(&["rivetr", "setup", "--user", "--json"]).succeeds().json();
    assert_eq!(answer["url"], "http://127.0.0.1:7480");
    assert_eq!(answer["proxy_http"], format!("http://{}:8080", Ipv4Addr::LOCALHOST));
    assert!(answer["token"].as_str().unwrap().starts_with("rvt_"));
    as_ada(&["/home/ada/.local/bin/rivetr", "status"]).succeeds();
    as_ada(&["rivetr", "setup", "--user"]).succeeds().says("Nothing had to be changed.");
    let upgrade = ["/home/ada/.local/bin/rivetr", "proxy", "upgrade"];
    as_ada(&upgrade).succeeds().says("serving routes of generation");
    as_ada(&["rivetr", "setup", "--user"]).succeeds().says("Nothing had to be changed.");
    host.run(upgrade).exits(2).says("that user calls `rivetr proxy upgrade`");
    host.run(["rivetr", "setup", "--user"]).exits(2).says("not as root");
    host.run(["id", "rivetr"]).exits(1);
}
