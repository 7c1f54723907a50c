//! `rivetr run`: a command in a container of its own, made like the live release, and nothing left of it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Child;
use std::time::{Duration, Instant};

use crate::host::{Host, Repository, between_looks};

/// Variables, a file and what else is said, and an entry point that says that it was passed.
fn blog(host: &Host, more: &[&str]) -> Repository {
    let create = ["apps", "create", "blog", "--port", "8080", "--env", "PLAIN=a b"];
    host.rivetr(create.into_iter().chain(more.iter().copied())).succeeds();
    host.rivetr(["env", "set", "blog", "HIDDEN=s3cret", "--secret"]).succeeds();
    std::fs::write(host.path("/root/motd"), "welcome\n").unwrap();
    host.rivetr(["files", "set", "blog", "/etc/motd", "/root/motd"]).succeeds();
    let repository = host.sample("blog");
    let entry = "FROM docker.io/library/busybox:stable\nCOPY index.html /www/index.html\nSTOPSIGNAL SIGKILL\n\
                 ENTRYPOINT [\"env\", \"ENTERED=yes\"]\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n";
    repository.write("Containerfile", entry);
    repository.commit("An entry point");
    repository
}

/// Waits until nothing is left: no unit, no container, no unit file, no address.
fn nothing_left(host: &Host) {
    let manager = if host.mode() == crate::host::Mode::Rootless { "--user" } else { "--system" };
    let look = || {
        let units = ["systemctl", manager, "list-units", "--all", "--plain", "--no-legend"];
        let mut left = host.names(units, "rivetr-run-");
        left.extend(host.names(["podman", "ps", "--all", "--format", "{{.Names}}"], "rivetr-run-"));
        left.extend(host.list(host.quadlets()).into_iter().filter(|folder| folder.starts_with("once-")));
        let rows = host.database().query_row("SELECT count(*) FROM one_off", [], |row| row.get::<_, u32>(0));
        left.extend((rows.unwrap() > 0).then(|| "an address".to_owned()));
        left
    };
    let deadline = Instant::now() + Duration::from_mins(1);
    while !look().is_empty() && Instant::now() < deadline {
        between_looks();
    }
    assert_eq!(look(), [""; 0]);
}

/// Starts a command that takes long, and waits until it runs.
fn long(host: &Host) -> Child {
    let child = host.spawn(["rivetr", "run", "blog", "--", "sleep", "4711"]);
    host.run(["timeout", "60", "sh", "-c", "until pgrep -f '^sleep 4711$'; do sleep 0.1; done"]).succeeds();
    child
}

#[test]
fn a_command_has_all_that_the_live_release_has_and_a_container_of_its_own() {
    let host = Host::boot("run");
    let repository = blog(&host, &["--volume", "data:/data"]);
    host.rivetr(["run", "blog", "--", "true"]).exits(5).says("not live yet");
    repository.push().succeeds();
    let load = host.load("blog", 50);
    let secrets = || host.names(["podman", "secret", "ls", "--format", "{{.Name}}"], "");
    let before = secrets();

    let script = "echo $ENTERED $PLAIN $HIDDEN $RIVETR_APP; cat /etc/motd; echo kept > /data/file; \
                  ps | grep -q '[h]ttpd' || echo apart; grep NoNewPrivs /proc/self/status; echo err >&2; exit 7";
    let ran = host.rivetr(["run", "blog", "--", "sh", "-c", script]).exits(7);
    assert_eq!(ran.stdout, "yes a b s3cret blog\nwelcome\napart\nNoNewPrivs:\t1\n");
    assert_eq!(ran.stderr, "err\n");
    let kept = host.rivetr(["exec", "blog", "--", "cat", "/data/file"]).succeeds();
    assert_eq!(kept.stdout, "kept\n");
    assert_ne!(host.rivetr(["run", "blog", "--", "/no/such/program"]).code, 0);

    let mut cat = host.spawn(["rivetr", "run", "blog", "--", "cat"]);
    cat.stdin.take().unwrap().write_all(b"typed").unwrap();
    assert_eq!(cat.wait_with_output().unwrap().stdout, b"typed");

    // At a terminal the command has one, of its size, and Ctrl-C is its own.
    let inner = r#"rivetr run blog -- sh -c 'trap "exit 3" INT; until stty size | grep "33 99"; do sleep 0.1; done; while :; do sleep 0.1; done'"#;
    let typed = format!("stty rows 33 cols 99; {inner}");
    let mut at_terminal = host.spawn(["timeout", "120", "script", "-qefc", &typed, "/dev/null"]);
    let mut lines = BufReader::new(at_terminal.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("33 99")), "the terminal has another size");
    let mut keys = at_terminal.stdin.take().unwrap();
    keys.write_all(b"\x03").unwrap();
    keys.flush().unwrap();
    assert_eq!(at_terminal.wait().unwrap().code(), Some(3));
    drop(keys);

    let audit = host.rivetr(["audit", "--export"]).succeeds().stdout;
    let has = |own: bool| audit.contains(&format!("\"own_container\":{own}"));
    assert!(has(true) && has(false), "no word of it in the audit: {audit}");
    nothing_left(&host);
    assert_eq!(secrets(), before);
    load.lost_nothing();
}

#[test]
fn nothing_is_left_when_nobody_listens_any_more_or_rivetr_dies() {
    let host = Host::boot("runend");
    blog(&host, &[]).push().succeeds();

    let mut left = long(&host);
    host.run(["pkill", "-INT", "-f", "^rivetr run blog"]).succeeds();
    left.wait().unwrap();
    nothing_left(&host);

    let killed = long(&host);
    host.run(["systemctl", "kill", "--signal=KILL", "rivetr.service"]).succeeds();
    let killed = killed.wait_with_output().unwrap();
    assert_eq!(killed.status.code(), Some(1));
    let said = String::from_utf8(killed.stderr).unwrap();
    assert!(said.contains("the session broke off"), "{said}");
    host.run(["systemctl", "start", "rivetr.service"]).succeeds();
    nothing_left(&host);
    host.assert_only("blog", &[1]);

    // In an orderly stop it goes before rivetr does.
    let stopped = long(&host);
    host.run(["systemctl", "stop", "rivetr.service"]).succeeds();
    let said = String::from_utf8(stopped.wait_with_output().unwrap().stderr).unwrap();
    assert!(said.contains("rivetr is stopping"), "{said}");
    nothing_left(&host);
    assert_eq!(host.get("blog").status, 200);
    host.run(["systemctl", "start", "rivetr.service"]).succeeds();

    // As rivetr leaves it when it is killed while it writes the file.
    let folder = format!("{}/once-4711-blog", host.quadlets());
    host.as_owner(["mkdir", &folder]).succeeds();
    host.as_owner(["touch", &format!("{folder}/.rivetr-half.new")]).succeeds();
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    nothing_left(&host);

    let mut deleted = long(&host);
    host.rivetr(["apps", "delete", "blog", "--yes"]).succeeds();
    assert_ne!(deleted.wait().unwrap().code(), Some(0));
    nothing_left(&host);
    host.assert_only("blog", &[]);
}
