//! `rivetr doctor` on a host that is broken in one way after the other: it names what is wrong, and the cure.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::host::{Host, Mode};

#[test]
fn it_finds_what_is_wrong_and_says_what_to_do() {
    let host = Host::boot("doctor");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    host.sample("blog").push().succeeds();
    let well = host.rivetr(["doctor"]).succeeds().says("Nothing is wrong.");
    limits(&host, &well.stdout);

    disk(&host);
    generator(&host);
    clock(&host);
    port(&host);
    podman(&host);
    init(&host);
    if host.mode() == Mode::Rootless {
        without(&host, "/etc/subuid", &["/etc/subuid gives rivetr no", "usermod --add-subuids"]);
        without(&host, "/var/lib/systemd/linger/rivetr", &["loginctl enable-linger rivetr"]);
        host.as_owner(["systemctl", "--user", "stop", "rivetr-netns.socket"]).succeeds();
        wrong(&host, &["no app can be reached", "restart rivetr-netns.socket"]);
        host.as_owner(["systemctl", "--user", "start", "rivetr-netns.socket"]).succeeds();
    }
    repairs(&host);
    database(&host);
    host.rivetr(["doctor"]).succeeds().says("Nothing is wrong.");

    host.run(["systemctl", "stop", "rivetr.socket", "rivetr.service"]).succeeds();
    let old = "#!/bin/sh\n[ \"$*\" = --version ] && echo podman version 4.9.3\n";
    host.run(["mkdir", "/run/old"]).succeeds();
    std::fs::write(host.path("/run/old/podman"), old).unwrap();
    host.run(["chmod", "755", "/run/old/podman"]).succeeds();
    host.run(["mount", "--bind", "/run/old/podman", "/usr/bin/podman"]).succeeds();
    let told = host.rivetr(["doctor"]).exits(3).says("systemctl start rivetr.socket");
    told.says("podman version 4.9.3; try: rivetr needs podman 5.4 or newer");
}

/// What is safe is repaired, after a question that nobody can answer here.
fn repairs(host: &Host) {
    host.systemctl(["disable", "--now", "podman.socket"]).succeeds();
    host.systemctl(["stop", "podman.service"]).succeeds();
    let proxy = ["rivetr-proxy.socket", "rivetr-proxy-tls.socket", "rivetr-proxy.service"];
    host.run(["systemctl", "stop"].into_iter().chain(proxy)).succeeds();
    let linger = Path::new("/var/lib/systemd/linger/rivetr");
    if host.mode() == Mode::Rootless {
        std::fs::remove_file(host.path(linger.to_str().unwrap())).unwrap();
        host.as_owner(["systemctl", "--user", "stop", "rivetr-netns.socket"]).succeeds();
    }
    host.rivetr(["doctor", "--repair"])
        .exits(2)
        .says("nobody can be asked")
        .says("rivetr doctor --repair --yes");
    wrong(host, &["podman.socket"]);
    let told = host.rivetr(["doctor", "--repair", "--yes"]).succeeds().says("Nothing is wrong.");
    for done in ["enable --now podman.socket", "start rivetr-proxy-tls.socket", "start rivetr-proxy.service"]
    {
        assert!(told.stderr.contains(done), "{done} was not done:\n{}", told.stderr);
    }
    host.rivetr(["doctor", "--repair", "--yes"]).succeeds().says("Nothing here can be repaired without you.");
}

/// Canaries lie wherever somebody may have put a secret; none of them is in what goes with a report of a bug.
#[test]
fn a_bundle_holds_no_secret() {
    let host = Host::boot("bundle");
    let canary = |of: &str| format!("canary-9f2c-{of}");
    host.rivetr(["apps", "create", "blog", "--env", &format!("PLAIN={}", canary("plain"))]).succeeds();
    host.rivetr(["env", "set", "blog", "--secret", &format!("SECRET={}", canary("secret"))]).succeeds();
    host.sample("blog").push().succeeds();
    let echo = format!("echo {}", canary("job"));
    host.rivetr(["jobs", "create", "blog", "tidy", "--schedule", "@daily", "--", "sh", "-c", &echo])
        .succeeds();
    host.rivetr(["jobs", "run", "blog", "tidy"]).succeeds();
    host.rivetr(["databases", "create", "orders", "--kind", "redis", "--version", "8"]).succeeds();
    let shown = host.rivetr(["databases", "credentials", "orders", "--json"]).succeeds().json();
    let password = shown["password"].as_str().unwrap().to_owned();
    let token = host.token("admin");
    let folder = format!("{}/app-blog", host.quadlets());
    let drop_in = format!("[Container]\n# {}\nEnvironment=A={}\n", canary("remark"), canary("dropin"));
    let script = format!(
        "mkdir {folder}/rivetr-app-blog-1.container.d && printf '%s' '{drop_in}' > \
         {folder}/rivetr-app-blog-1.container.d/10-own.conf && echo '# {}' >> {folder}/rivetr-app-blog-1.container",
        canary("edited")
    );
    host.as_owner(["sh", "-c", &script]).succeeds();

    host.rivetr(["doctor", "--bundle", "/root/bundle.tar.zst"]).succeeds().says("Look through it");
    let packed = std::fs::File::open(host.path("/root/bundle.tar.zst")).unwrap();
    assert_eq!(packed.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut archive = tar::Archive::new(zstd::Decoder::new(packed).unwrap());
    let mut found = std::collections::BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        found.insert(entry.path().unwrap().display().to_string(), text);
    }
    for (name, words) in [
        ("doctor.json", "\"drift\""),
        ("report.json", "rivetr-app-blog-1.container: edited"),
        ("report.json", "Environment=PLAIN=***"),
        ("report.json", "app blog"),
        ("report.json", "[build] memory_mb"),
        ("versions.txt", "podman: podman version"),
        ("journal/rivetr.txt", "blog 1: live"),
        ("journal/rivetr-proxy.txt", "rivetr"),
        ("journal/rivetr-netns.txt", ""),
    ] {
        let text = &found[&format!("rivetr-bundle/{name}")];
        assert!(text.contains(words), "{words} is missing in {name}:\n{text}");
    }
    for (name, text) in &found {
        for secret in ["canary-9f2c", &password, &token] {
            assert!(!text.contains(secret), "{secret} is in {name}");
        }
    }
}

/// What a throw-away host is not given, nobody can delegate: it has what the kernel of this machine gives.
fn limits(host: &Host, told: &str) {
    let found = host.run(["sh", "-c", "cat /sys/fs/cgroup/cgroup.controllers || true"]).stdout;
    let lacking: Vec<&str> = ["cpu", "memory", "pids"]
        .into_iter()
        .filter(|one| !found.split_whitespace().any(|word| word == *one))
        .collect();
    let words = if lacking.is_empty() {
        ["cpu, memory, pids are enforced".to_owned(), String::new()]
    } else {
        [format!("{} cannot be limited", lacking.join(", ")), "systemd.unified_cgroup_hierarchy=1".to_owned()]
    };
    assert!(words.iter().all(|words| told.contains(words)), "{words:?} is missing in\n{told}");
}

fn disk(host: &Host) {
    let storage = match host.mode() {
        Mode::Rootless => "/var/lib/rivetr/.local/share/containers",
        Mode::Rootful => "/var/lib/containers",
    };
    host.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", storage]).succeeds();
    wrong(host, &["16 MiB free", "make room"]);
    host.systemctl(["stop", "podman.service"]).succeeds();
    host.run(["umount", storage]).succeeds();
}

fn generator(host: &Host) {
    let broken = host.path(&format!("{}/project-default/broken.container", host.quadlets()));
    std::fs::write(&broken, "[Container]\nImage=a\nNoSuchKey=1\n").unwrap();
    wrong(host, &["broken.container", "mend or remove"]);
    std::fs::remove_file(&broken).unwrap();
}

fn clock(host: &Host) {
    for (hour, told) in [("3600000", true), ("-3600000", false)] {
        let moved = format!("UPDATE deployment_event SET at = at + {hour}");
        host.database().execute(&moved, []).unwrap();
        if told {
            wrong(host, &["behind the last deployment", "timedatectl set-ntp true"]);
        }
    }
}

fn port(host: &Host) {
    host.run(["systemctl", "stop", "rivetr-proxy.socket", "rivetr-proxy.service"]).succeeds();
    host.run(["systemd-run", "--unit=squatter", "--socket-property=ListenStream=80", "cat"]).succeeds();
    assert_ne!(host.run(["systemctl", "start", "rivetr-proxy.socket"]).code, 0);
    wrong(host, &["port 80 is taken by a socket unit", "then start rivetr-proxy.socket"]);
    host.run(["systemctl", "stop", "squatter.socket"]).succeeds();
    host.run(["systemctl", "start", "rivetr-proxy.socket", "rivetr-proxy.service"]).succeeds();
}

/// Its socket is missing; then the Podman behind it is too old, which no deployment gets past either.
fn podman(host: &Host) {
    host.systemctl(["stop", "podman.socket", "podman.service"]).succeeds();
    wrong(host, &["cannot reach Podman at", "enable --now podman.socket"]);
    host.systemctl(["start", "podman.socket"]).succeeds();
    host.rivetr(["doctor"]).succeeds();
    host.systemctl(["kill", "--signal=STOP", "podman.service"]).succeeds();
    wrong(host, &["it does not answer within 30 s", "restart podman.service"]);
    host.systemctl(["kill", "--signal=CONT", "podman.service"]).succeeds();
    {
        let older = Older::instead_of(host);
        let said = format!("Podman {} is too old: rivetr needs 5.4.0 or newer", older.version);
        wrong(host, &[&said, "upgrade it", "restart podman.service"]);
        // Whoever found a Podman new enough does not ask again: an update only adds to it.
        host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
        host.rivetr(["deploy", "blog"]).exits(1).says(&said).says("still serves");
    }
    // What is connected through it ends with what it is connected to.
    host.systemctl(["stop", "podman.service"]).succeeds();
}

/// Podman behind its socket, with an older version wherever it tells its own. All else is what it says.
struct Older {
    socket: PathBuf,
    aside: PathBuf,
    version: String,
}

impl Older {
    fn instead_of(host: &Host) -> Self {
        let said = host.as_owner(["podman", "--version"]).succeeds().stdout;
        let newer = said.split_whitespace().last().unwrap().to_owned();
        let version = format!("5.3.{}", "9".repeat(newer.len() - "5.3.".len()));
        let folder = match host.mode() {
            Mode::Rootless => {
                format!("/run/user/{}/podman", host.as_owner(["id", "--user"]).succeeds().stdout.trim())
            }
            Mode::Rootful => "/run/podman".to_owned(),
        };
        // What is connected already would go on to reach the real one.
        host.systemctl(["stop", "podman.service"]).succeeds();
        let [socket, aside] = ["podman.sock", "real.sock"].map(|name| host.path(&folder).join(name));
        std::fs::rename(&socket, &aside).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o666)).unwrap();
        let (real, versions) = (aside.clone(), [newer, version.clone()]);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                pass(client, &real, versions.clone());
            }
        });
        Self { socket, aside, version }
    }
}

impl Drop for Older {
    fn drop(&mut self) {
        std::fs::rename(&self.aside, &self.socket).unwrap();
    }
}

/// Carries one connection; in what comes back, one text stands in place of another of its length.
fn pass(mut client: UnixStream, real: &Path, [newer, older]: [String; 2]) {
    let mut server = UnixStream::connect(real).unwrap();
    let (mut asks, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        // Either side may be gone first.
        std::io::copy(&mut asks, &mut asked).ok();
        asked.shutdown(Shutdown::Write).ok();
    });
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(read @ 1..) = server.read(&mut buffer) {
            let answer = &mut buffer[..read];
            while let Some(at) = answer.windows(newer.len()).position(|window| window == newer.as_bytes()) {
                answer[at..at + newer.len()].copy_from_slice(older.as_bytes());
            }
            if client.write_all(answer).is_err() {
                break;
            }
        }
        client.shutdown(Shutdown::Both).ok();
    });
}

/// Podman's process 1 is gone: nothing is broken but what needs one.
fn init(host: &Host) {
    let found = host.run(["find", "/usr/bin", "/usr/libexec/podman", "-name", "catatonit"]).succeeds().stdout;
    assert_ne!(found, "");
    for path in found.lines() {
        host.run(["mv", path, &format!("{path}.aside")]).succeeds();
    }
    host.rivetr(["doctor"])
        .succeeds()
        .says("`rivetr run` and apps with --init cannot start; try: install catatonit");
    host.rivetr(["run", "blog", "--", "true"]).exits(5).says("catatonit");
    for path in found.lines() {
        host.run(["mv", &format!("{path}.aside"), path]).succeeds();
    }
    host.rivetr(["run", "blog", "--", "true"]).succeeds();
}

/// Pages of a table that nobody needs to start are overwritten below the daemon; then it is started anew, and what
/// it is told to do is done.
fn database(host: &Host) {
    let path = host.path("/var/lib/rivetr/rivetr.db");
    let connection = host.database();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'known_host'";
    let page: u32 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    drop(connection);
    // Who has looked before remembers what it saw.
    host.rivetr(["doctor"]).succeeds();
    let whole = std::fs::read(&path).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0xA5; 64], u64::from(page - 1) * 4096).unwrap();
    wrong(host, &["damaged in known_host: ", "there is none in /var/lib/rivetr/backup"]);
    assert_eq!(host.get("blog").status, 200);

    assert_ne!(host.run(["systemctl", "restart", "rivetr.service"]).code, 0);
    let told = host.rivetr(["doctor"]).exits(3).says("rivetr.service gave up: the database ");
    told.says("is damaged (in known_host: ").says("move /var/lib/rivetr/rivetr.db aside");
    assert_eq!(host.get("blog").status, 200);

    let backup = "/var/lib/rivetr/backup/rivetr-8.db";
    host.as_owner(["mkdir", "/var/lib/rivetr/backup"]).succeeds();
    host.run(["cp", "--preserve", "/var/lib/rivetr/rivetr.db", backup]).succeeds();
    std::fs::write(host.path(backup), &whole).unwrap();
    let cure = format!("copy {backup}, the newest backup, there with `cp --preserve`");
    // The service says it anew at each of its starts.
    let told = (0..60).any(|_| host.rivetr(["doctor"]).exits(3).stdout.contains(&cure));
    assert!(told, "{cure:?} is not said");
    let units = ["rivetr.socket", "rivetr-http.socket", "rivetr.service"];
    host.run(["systemctl", "stop"].into_iter().chain(units)).succeeds();
    for suffix in ["", "-wal", "-shm"] {
        host.run(["rm", "--force", &format!("/var/lib/rivetr/rivetr.db{suffix}")]).succeeds();
    }
    host.run(["cp", "--preserve", backup, "/var/lib/rivetr/rivetr.db"]).succeeds();
    host.run(["systemctl", "start"].into_iter().chain(units)).succeeds();
}

fn wrong(host: &Host, words: &[&str]) {
    let told = host.rivetr(["doctor"]).exits(1);
    for word in words {
        assert!(told.stdout.contains(word), "{word:?} is missing in\n{}", told.stdout);
    }
}

/// What it says while a file is not there.
fn without(host: &Host, path: &str, words: &[&str]) {
    let (here, aside) = (host.path(path), host.path(&format!("{path}.aside")));
    std::fs::rename(&here, &aside).unwrap();
    wrong(host, words);
    std::fs::rename(&aside, &here).unwrap();
}
