//! What an app asks of its container and its build, read back from Podman, systemd and the container itself.

use std::path::Path;

use serde_json::Value;

use crate::host::{Host, Mode};

const SERVES: &str = "CMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\nSTOPSIGNAL SIGKILL\n";

#[test]
fn a_container_has_what_its_app_asked_for() {
    let host = Host::boot("options");
    #[rustfmt::skip]
    host.rivetr([
        "apps", "create", "blog", "--publish", "127.0.0.1:15432:8080", "--alias", "journal", "--add-host",
        "printer.test:192.0.2.7", "--label", "team=a b$c%d", "--label", "prometheus", "--ulimit", "nofile=512:1024", "--cap-add", "NET_RAW",
        "--read-only", "--user", "1000:1000", "--command", "httpd -f -p 8080 -h /www", "--workdir", "/www", "--init",
        "--shm-size", "32M", "--restart", "on-failure", "--stop-signal", "SIGINT", "--stop-timeout", "3", "--tmpfs",
        "/scratch:size=8M", "--memory", "256M", "--cpus", "0.5",
    ])
    .succeeds();
    host.sample("blog").push().succeeds();

    let inspect = host.as_owner(["podman", "inspect", "rivetr-app-blog-1"]).succeeds().json();
    let container = &inspect[0];
    let config = &container["Config"];
    assert_eq!(config["Labels"]["team"], "a b$c%d");
    assert_eq!(config["Labels"]["prometheus.io/port"], "8080");
    assert_eq!(config["Labels"]["io.rivetr.app"], "blog");
    assert_eq!((&config["User"], &config["WorkingDir"]), (&"1000:1000".into(), &"/www".into()));
    assert_eq!(config["StopTimeout"], 3);
    assert_eq!(container["HostConfig"]["ReadonlyRootfs"], true);
    assert_eq!(container["HostConfig"]["Init"], true);
    assert_eq!(container["HostConfig"]["ShmSize"], 32 << 20);
    let hosts = container["HostConfig"]["ExtraHosts"].to_string();
    assert!(hosts.contains("printer.test:192.0.2.7"), "{hosts}");
    let dropped = container["HostConfig"]["CapDrop"].to_string();
    assert!(dropped.contains("SETPCAP") && !dropped.contains("NET_RAW"), "{dropped}");

    let inside = |command: &[&str]| {
        let exec = ["podman", "exec", "rivetr-app-blog-1"];
        host.as_owner(exec.iter().chain(command).copied()).succeeds().stdout
    };
    assert_eq!(inside(&["id", "-u"]).trim(), "1000");
    assert_eq!(
        inside(&["sh", "-c", "ulimit -Sn; ulimit -Hn"]).split_whitespace().collect::<Vec<_>>(),
        ["512", "1024"]
    );
    assert!(
        inside(&["cat", "/proc/mounts"])
            .lines()
            .any(|line| line.contains(" /scratch ") && line.contains("size=8192k"))
    );
    assert_eq!(show(&host, "rivetr-app-blog-1.service", "Restart"), "on-failure");
    assert_eq!(show(&host, "rivetr-app-blog-1.service", "TimeoutStopUSec"), "23s");
    assert_eq!(show(&host, "rivetr-app-blog-1.service", "MemoryMax"), "268435456");
    assert_eq!(show(&host, "rivetr-app-blog-1.service", "CPUQuotaPerSecUSec"), "500ms");

    let fetch = |url: &str| host.run(["curl", "--fail", "--silent", "--max-time", "5", url]);
    fetch("http://127.0.0.1:15432/").succeeds().says("Hello from rivetr");
    assert_ne!(fetch(&format!("http://{}:15432/", host.address())).code, 0, "bound to loopback alone");

    // A port of the host is held by one container at a time; the old one makes way, and comes back if need be.
    host.rivetr(["deploy", "blog"]).succeeds();
    fetch("http://127.0.0.1:15432/").succeeds();
    host.rivetr(["apps", "set", "blog", "--health-path", "/nowhere", "--health-timeout", "3"]).succeeds();
    assert_ne!(host.rivetr(["deploy", "blog"]).code, 0);
    fetch("http://127.0.0.1:15432/").succeeds();
    assert_eq!(host.get("blog").status, 200);
    host.assert_only("blog", &[2]);
}

#[test]
fn limits_change_without_a_restart() {
    let host = Host::boot("limits");
    host.rivetr(["apps", "create", "blog", "--memory", "512M"]).succeeds();
    host.sample("blog").push().succeeds();
    let unit = "rivetr-app-blog-1.service";
    let run = || {
        let format = "{{.Id}} {{.State.Pid}} {{.State.StartedAt}}";
        let inspect = host.as_owner(["podman", "inspect", "rivetr-app-blog-1", "--format", format]);
        (inspect.succeeds().stdout, show(&host, unit, "InvocationID"))
    };
    let before = run();

    let changed =
        host.rivetr(["apps", "set", "blog", "--memory", "256M", "--cpus", "1.5", "--json"]).succeeds().json();
    assert_eq!(
        (&changed["applied"], &changed["needs_deployment"]),
        (&serde_json::json!(["limits"]), &Value::Bool(false))
    );
    assert_eq!(show(&host, unit, "MemoryMax"), "268435456");
    let quota = show(&host, unit, "CPUQuotaPerSecUSec");
    assert_eq!(quota.trim_end_matches('s').parse(), Ok(1.5), "{quota}");
    assert_eq!(show(&host, unit, "NeedDaemonReload"), "no");
    let group = show(&host, unit, "ControlGroup");
    // Where the host has the controllers, the kernel holds the limit too.
    for (file, expect) in [("memory.max", "268435456"), ("cpu.max", "150000 100000")] {
        let path = host.path(&format!("/sys/fs/cgroup{group}/{file}"));
        if let Ok(text) = std::fs::read_to_string(path) {
            assert_eq!(text.trim(), expect, "{file}");
        }
    }
    assert_eq!(run(), before, "it was started anew");

    host.rivetr(["apps", "set", "blog", "--unset", "memory", "--unset", "cpus"]).succeeds();
    assert_eq!(show(&host, unit, "MemoryMax"), "infinity");
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    host.rivetr(["apps", "set", "blog", "--memory", "1G", "--read-only"]).succeeds().says("next deployment");
    assert_eq!(show(&host, unit, "MemoryMax"), "1073741824");
    assert_eq!(run(), before, "it was started anew");
    host.assert_only("blog", &[1]);
}

#[test]
fn what_an_app_may_not_have_is_refused_and_nothing_changes() {
    let host = Host::boot("policy");
    host.rivetr(["apps", "create", "blog", "--publish", "15432:8080"]).succeeds();
    let before = host.rivetr(["apps", "show", "blog", "--json"]).succeeds().json();
    let mut refused = vec![
        (&["apps", "set", "blog", "--publish", "17480:80", "--publish", "7480:80"][..], "rivetr itself"),
        (&["apps", "set", "blog", "--volume", "/etc:/etc"], "bind_roots"),
        (&["apps", "set", "blog", "--volume", "data:/x", "--tmpfs", "/x"], "two things"),
        (&["apps", "create", "other", "--publish", "0.0.0.0:15432:80"], "belongs to app blog"),
    ];
    if host.mode() == Mode::Rootless {
        refused.push((&["apps", "set", "blog", "--publish", "443:443"], "port 443"));
    }
    for (arguments, words) in refused {
        host.rivetr(arguments.iter().copied()).exits(5).says(words);
    }
    // A token that may change apps is no administrator's.
    let token = format!("RIVETR_TOKEN={}", host.token("write"));
    let as_writer = ["env", &token, "rivetr", "--server", "http://127.0.0.1:7480", "apps", "set", "blog"];
    let set = |more: &[&'static str]| host.run(as_writer.iter().copied().chain(more.iter().copied()));
    set(&["--cap-add", "SYS_ADMIN"]).exits(5).says("administrator");
    set(&["--port", "8080"]).succeeds();
    assert_eq!(host.rivetr(["apps", "show", "blog", "--json"]).succeeds().json(), before);
}

#[test]
fn a_build_sees_what_it_is_told_and_nothing_else() {
    let host = Host::boot("buildoptions");
    #[rustfmt::skip]
    host.rivetr([
        "apps", "create", "blog", "--base-dir", "web", "--build-file", "docker/Site", "--target", "site",
        "--build-arg", "GREETING=it's $5", "--build-option=--format=docker", "--build-memory", "512M",
    ])
    .succeeds();
    host.rivetr(["env", "set", "blog", "TOKEN=only the build", "--secret", "--build"]).succeeds();
    let repository = host.repository("blog");
    repository.write("outside", "not in the base directory");
    repository.write("web/.dockerignore", "ignored\n");
    repository.write("web/ignored", "must not arrive");
    repository.write("web/index.html", "seen");
    repository.write(
        "web/docker/Site",
        &format!(
            "FROM docker.io/library/busybox:stable AS site\nARG GREETING\nCOPY . /www/\n\
             RUN --mount=type=secret,id=TOKEN md5sum < /run/secrets/TOKEN > /www/token\n\
             RUN echo \"$GREETING\" > /www/greeting && cat /proc/sys/kernel/random/uuid > /www/built\n{SERVES}\
             FROM site AS never\nRUN exit 1\n"
        ),
    );
    repository.commit("A stage, a base directory, an ignored file");
    let push = repository.push().succeeds();
    let ask = |path: &str| host.ask(&host.host_of("blog"), path).unwrap();
    assert_eq!(ask("/greeting").body, "it's $5\n");
    let digest = host.run(["sh", "-c", "printf 'only the build' | md5sum"]).succeeds().stdout;
    assert_eq!(ask("/token").body, digest);
    let tag = "localhost/rivetr/blog:1";
    let history = host.as_owner(["podman", "history", "--no-trunc", tag]).succeeds().stdout;
    let inspect = host.as_owner(["podman", "inspect", tag, "rivetr-app-blog-1"]).succeeds().stdout;
    for shown in [&push.stderr, &history, &inspect] {
        assert!(!shown.contains("only the build"), "{shown}");
    }
    assert_eq!(ask("/index.html").body, "seen");
    assert_eq!((ask("/ignored").status, ask("/outside").status), (404, 404));

    let built = ask("/built").body;
    host.rivetr(["deploy", "blog"]).succeeds();
    assert_eq!(ask("/built").body, built, "the cache was not used");
    host.rivetr(["deploy", "blog", "--no-cache"]).succeeds();
    assert_ne!(ask("/built").body, built, "the cache was used");

    // A link out of the checkout shows the build nothing of rivetr's.
    let link = Path::new(repository.path()).join("web/docker/Site");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/var/lib/rivetr/master.keys", link).unwrap();
    repository.commit("A link to a secret");
    let push = repository.push();
    assert_ne!(push.code, 0);
    push.says("leads out of it");
    assert_eq!(ask("/index.html").body, "seen");
}

#[test]
fn a_command_in_the_container_tells_whether_it_is_well() {
    let host = Host::boot("checkcommand");
    host.rivetr(["apps", "create", "blog", "--health-command", "test -f /www/index.html"]).succeeds();
    host.sample("blog").push().succeeds().says("Checking test -f /www/index.html in the container");
    host.rivetr([
        "apps",
        "set",
        "blog",
        "--health-command",
        "sh -c 'echo not yet; exit 3'",
        "--health-timeout",
        "3",
    ])
    .succeeds();
    let failed = host.rivetr(["deploy", "blog"]);
    assert_ne!(failed.code, 0);
    failed.says("exit status 3: not yet");
    host.rivetr(["apps", "set", "blog", "--health-path", "/", "--health-status", "404"]).succeeds();
    let failed = host.rivetr(["deploy", "blog"]);
    assert_ne!(failed.code, 0);
    failed.says("status 200");
    host.assert_only("blog", &[1]);
}

#[test]
fn hosts_change_at_once() {
    let host = Host::boot("hosts");
    host.rivetr(["apps", "create", "blog", "--host", "one.test"]).succeeds();
    host.rivetr(["apps", "create", "other", "--host", "taken.test"]).succeeds();
    host.sample("blog").push().succeeds();
    assert_eq!(host.ask("one.test", "/").unwrap().status, 200);
    host.rivetr(["apps", "set", "blog", "--host", "two.test"]).succeeds().says("hosts");
    assert_eq!(
        (host.ask("two.test", "/").unwrap().status, host.ask("one.test", "/").unwrap().status),
        (200, 404)
    );
    host.rivetr(["apps", "set", "blog", "--host", "taken.test"]).exits(5).says("belongs to app other");
    assert_eq!(host.ask("two.test", "/").unwrap().status, 200);
    assert_eq!(host.get("blog").status, 200);
}

fn show(host: &Host, unit: &str, property: &str) -> String {
    host.systemctl(["show", "--value", "--property", property, unit]).succeeds().stdout.trim().to_owned()
}
