//! The packages, from the first install to the last trace, on a host that has never seen rivetr: here the Debian package with
//! apt, in `rpm.rs` the other one with rpm.

mod rpm;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::{Host, Mode, Ran, soon};

/// Requests a second while the package is upgraded and removed.
const RATE: u32 = 200;
/// The answer to the one question, as an administrator gives it beforehand.
const PURGE_DATA: &str = "echo 'rivetr rivetr/purge-data boolean true' | debconf-set-selections";
const DAEMON: &str = "rivetr.service";
const SERVICES: [&str; 2] = [DAEMON, "rivetr-proxy.service"];

#[test]
fn installed_upgraded_removed_and_gone_without_a_trace() {
    let (mut host, packages) = (Host::untouched("package"), Packages::new());
    let before = Traces::of(&host);
    installed(&mut host, &packages);
    upgraded(&host, &packages);
    removed(&mut host, &packages);
    purged(&host, &packages, &before);
}

/// What a stranger sees first: it runs, rootless, and says where the first user comes in.
fn installed(host: &mut Host, packages: &Packages) {
    says_how_to_begin(packages.install(host, "0.0.1").succeeds());
    runs_rootless(host);
    host.run(["sh", "-c", "find / -xdev -path '*local*rivetr*'"]).succeeds().prints("");

    let again = host.rivetr(["setup", "--without-token"]).succeeds().says("Nothing had to be changed.");
    again.says("[as is]   units in /usr/lib/systemd/system").says("Open this within the hour");
    // Names the address in the conffile, and makes the token that no log has.
    host.set_up();
    let kept = std::fs::read_to_string(host.path("/etc/rivetr/rivetr.toml")).unwrap();
    assert!(kept.contains(&format!("\nurl = \"http://{}\"\n", host.address())), "{kept}");
    assert!(kept.contains("# The configuration of rivetr"), "{kept}");
    host.rivetr(["setup"]).succeeds().says("Nothing had to be changed.");
    host.rivetr(["doctor"]).succeeds().says("Nothing is wrong.");
    serves_an_app(host);
}

fn says_how_to_begin(said: Ran) {
    let said = said.says("Open this within the hour to become its administrator");
    said.says("known to this machine alone").says("rivetr setup --url http://ADDRESS");
}

/// What either package has made of the host.
fn runs_rootless(host: &Host) {
    for unit in SERVICES {
        host.run(["systemctl", "is-active", "--quiet", unit]).succeeds();
        host.run(["systemctl", "is-enabled", "--quiet", unit]).succeeds();
        assert_eq!(property(host, unit, "User"), "rivetr", "{unit}");
        assert_eq!(property(host, unit, "FragmentPath"), format!("/usr/lib/systemd/system/{unit}"));
    }
}

fn serves_an_app(host: &Host) {
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.rivetr(["apps", "set", "blog", "--volume", "data:/data"]).succeeds();
    host.sample("blog").push().succeeds();
    assert_eq!(host.get("blog").status, 200);
}

fn upgraded(host: &Host, packages: &Packages) {
    let pids = || SERVICES.map(|unit| property(host, unit, "MainPID"));
    let (load, before) = (host.load("blog", RATE), pids());
    let said = packages.install(host, "0.0.2").succeeds();
    eprintln!("an upgrade: {}", load.lost_nothing());
    assert!(!said.stdout.contains("rvt_") && !said.stderr.contains("rvt_"), "apt keeps what is printed");
    for (before, after) in before.iter().zip(pids()) {
        assert_ne!(*before, after, "the new program runs");
    }
    assert!(!host.path("/usr/lib/rivetr").exists(), "the program before is not needed any more");
    host.rivetr(["doctor"]).succeeds().says("Nothing is wrong.");
    host.rivetr(["deploy", "blog"]).succeeds();
    host.systemctl(["is-active", "--quiet", "rivetr-app-blog-2.service"]).succeeds();

    // The same again changes nothing that runs but the processes.
    let load = host.load("blog", RATE);
    packages.install(host, "0.0.1").succeeds();
    eprintln!("back: {}", load.lost_nothing());
    host.rivetr(["status"]).succeeds().says("blog");
}

/// What is removed is rivetr: its apps are answered, also when they start anew and when the machine does.
fn removed(host: &mut Host, packages: &Packages) {
    let load = host.load("blog", RATE);
    let said = apt(host, &["remove", "rivetr"]).succeeds();
    said.says("Its apps run on, are answered, and come back with the machine");
    host.run(["systemctl", "daemon-reload"]).succeeds();
    host.as_owner(["systemctl", "--user", "daemon-reload"]).succeeds();
    eprintln!("a removal: {}", load.lost_nothing());
    assert_eq!(property(host, DAEMON, "ActiveState"), "inactive");
    assert!(!host.path("/usr/bin/rivetr").exists());
    host.run(["sh", "-c", "find /usr/bin /usr/lib -name '*rivetr*' -type f"])
        .succeeds()
        .prints("/usr/lib/rivetr/rivetr-serving\n");
    // The last container takes the network with it, and the broker.
    host.systemctl(["restart", "rivetr-app-blog-2.service"]).succeeds();
    assert_eq!(soon(|| host.get("blog").status, |status| *status == 200), 200);
    host.reboot();
    host.wait_for_unit("rivetr-app-blog-2.service");
    assert_eq!(soon(|| host.get("blog").status, |status| *status == 200), 200);

    // And back, with all that was there.
    let load = host.load("blog", RATE);
    packages.install(host, "0.0.1").succeeds();
    eprintln!("back again: {}", load.lost_nothing());
    assert!(!host.path("/usr/lib/rivetr").exists());
    host.rivetr(["doctor"]).succeeds().says("Nothing is wrong.");
    host.rivetr(["deploy", "blog"]).succeeds();
    host.systemctl(["is-active", "--quiet", "rivetr-app-blog-3.service"]).succeeds();
}

fn purged(host: &Host, packages: &Packages, before: &Traces) {
    let said = apt(host, &["purge", "rivetr"]).succeeds();
    said.says("apps and their data are kept").says("rivetr/purge-data boolean true");
    host.as_owner(["podman", "volume", "inspect", "rivetr-vol-blog-data"]).succeeds();
    assert_eq!(host.get("blog").status, 200, "it runs on");

    packages.install(host, "0.0.2").succeeds();
    host.run(["sh", "-c", PURGE_DATA]).succeeds();
    apt(host, &["purge", "rivetr"]).succeeds();
    Traces::of(host).are_no_more_than(before);
}

#[test]
fn an_upgrade_that_does_not_fit_leaves_the_version_before_at_work() {
    let (mut host, packages) = (Host::untouched("unfit"), Packages::new());
    packages.install(&host, "0.0.1").succeeds();
    host.set_up();
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();
    let schema = |host: &Host| -> i64 {
        host.database().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    // The newest migration is still to come, as it were, and what it makes is there already.
    let newest = schema(&host);
    host.database().pragma_update(None, "user_version", newest - 1).unwrap();

    let (load, pid) = (host.load("blog", RATE), host.main_pid());
    let failed = packages.install(&host, "0.0.2");
    failed.fails().says("could not be brought up to date").says("rivetr 0.0.1 runs on");
    eprintln!("an upgrade that failed: {}", load.lost_nothing());
    assert_eq!(host.main_pid(), pid);
    assert_eq!(schema(&host), newest - 1, "nothing was changed");
    assert_eq!(host.list("/var/lib/rivetr/backup"), [""; 0]);
    host.rivetr(["apps", "list"]).succeeds().says("blog");

    // Not for as long as the process lives alone. (Here the version before would not begin with that number either.)
    host.database().pragma_update(None, "user_version", newest).unwrap();
    host.run(["systemctl", "restart", DAEMON]).succeeds();
    let program = format!("/proc/{}/exe", property(&host, DAEMON, "MainPID"));
    host.run(["readlink", &program]).succeeds().prints("/usr/lib/rivetr/rivetr-before\n");

    // What was in the way is gone: the upgrade is made up for.
    host.run(["dpkg", "--configure", "-a"]).succeeds();
    let program = format!("/proc/{}/exe", property(&host, DAEMON, "MainPID"));
    host.run(["readlink", &program]).succeeds().prints("/usr/bin/rivetr\n");
    assert!(!host.path("/usr/lib/rivetr").exists());
    assert_eq!(host.list("/etc/systemd/system/rivetr.service.d"), ["10-user-manager.conf"]);
    assert_eq!(host.get("blog").status, 200);
}

#[test]
fn what_is_in_the_way_is_named_and_a_setup_by_hand_becomes_the_packages() {
    let (host, packages) = (Host::untouched("inway"), Packages::new());
    let before = Traces::of(&host);
    host.run(["systemd-run", "--unit=other", "--socket-property=ListenStream=80", "true"]).succeeds();
    let said = packages.install(&host, "0.0.1").succeeds();
    said.says("port 80 is taken by a socket unit").says("does not run yet");
    host.run(["id", "rivetr"]).exits(1);
    assert_eq!(property(&host, DAEMON, "ActiveState"), "inactive");
    host.run(["systemctl", "stop", "other.socket"]).succeeds();
    host.rivetr(["setup"]).succeeds();
    // Nobody could miss anything, so nobody is asked.
    apt(&host, &["purge", "rivetr"]).succeeds();
    Traces::of(&host).are_no_more_than(&before);

    std::fs::copy(env!("CARGO_BIN_EXE_rivetr"), host.path("/root/rivetr")).unwrap();
    let mut host = host;
    let url = format!("http://{}", host.address());
    host.run(["/root/rivetr", "setup", "--without-token", "--url", &url]).succeeds();
    host.set_up();
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();
    // The configuration was a person's, and stays.
    host.run(["sh", "-c", "echo 'DPkg::Options { \"--force-confold\"; };' > /etc/apt/apt.conf.d/keep"])
        .succeeds();
    packages.install(&host, "0.0.1").succeeds().says("below /usr/local is gone");
    host.run(["rm", "/etc/apt/apt.conf.d/keep"]).succeeds();
    assert_eq!(host.get("blog").status, 200);
    host.run(["rm", "/root/rivetr"]).succeeds();
    host.run(["sh", "-c", "find / -xdev -path '*local*rivetr*'"]).succeeds().prints("");
    host.run(["systemctl", "is-enabled", "--quiet", SERVICES[0], SERVICES[1]]).succeeds();
    host.rivetr(["doctor"]).succeeds().says("Nothing is wrong.");

    // The script for those who have no apt does not ask the air.
    let purge = "/root/purge";
    std::fs::copy(packaging("purge"), host.path(purge)).unwrap();
    host.run(["mkdir", "/root/lib"]).succeeds();
    std::fs::copy(packaging("lib/purge.sh"), host.path("/root/lib/purge.sh")).unwrap();
    host.run([purge]).exits(1).says("nobody is there to be asked");
    assert_eq!(host.get("blog").status, 200);
    host.run([purge, "--yes"]).succeeds();
    host.run(["rm", "-r", purge, "/root/lib"]).succeeds();
    apt(&host, &["purge", "rivetr"]).succeeds();
    Traces::of(&host).are_no_more_than(&before);
}

/// All of a host that rivetr could have left something in.
struct Traces {
    /// Paths of the disk and of `/run`, lines of `/etc/passwd` and its like, units that are loaded.
    lines: Vec<String>,
}

impl Traces {
    fn of(host: &Host) -> Self {
        // Not what apt, rpm and the journal note of what was done.
        let look = "find / /run -xdev \
             -not -path '/var/lib/dpkg/*' -not -path '/var/lib/apt/*' -not -path '/var/lib/rpm*' -not -path '/var/cache/*' -not -path '/var/log/*' \
             -not -path '/tmp/*' -not -path '/run/systemd/*' -not -path '/run/udev/*' -not -path '/run/log/*' \
             -not -path '/var/lib/systemd/*' -not -path '/usr/local/bin/load' -not -path '*/systemd-private-*' -not -name '*-' -not -name '*.pyc'
             find / /run -xdev -path '*rivetr*' -not -path '/var/log/*' -not -path '/var/lib/rivetr'
             find /var/lib/rivetr /var/lib/containers /tmp /var/tmp /dev/shm -mindepth 1 -not -path '*/systemd-private-*'
             sed 's,^,/etc/passwd: ,' /etc/passwd
             sed 's,^,/etc/group: ,' /etc/group
             for file in /etc/subuid /etc/subgid; do sed \"s,^,$file: ,\" $file; done
             systemctl list-units --all --plain --no-legend 'rivetr*' 'user@*' | awk '{ print \"unit: \" $1 }'";
        let mut lines: Vec<String> = host.run(["sh", "-c", look]).stdout.lines().map(str::to_owned).collect();
        lines.sort();
        lines.dedup();
        assert!(lines.len() > 1000, "{lines:?}");
        Self { lines }
    }

    #[track_caller]
    fn are_no_more_than(&self, before: &Self) {
        let known: std::collections::BTreeSet<&String> = before.lines.iter().collect();
        let new: Vec<&String> = self.lines.iter().filter(|line| !known.contains(line)).collect();
        assert!(new.is_empty(), "left over: {new:#?}");
    }
}

/// Packages of the program, each made once.
struct Packages(tempfile::TempDir);

impl Packages {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Has apt install the package of that version.
    fn install(&self, host: &Host, version: &str) -> Ran {
        self.with(host, "deb", version, |package| apt(host, &["install", "--allow-downgrades", package]))
    }

    /// Has a package in the host, for as long as it takes to install it.
    fn with(&self, host: &Host, kind: &str, version: &str, install: impl FnOnce(&str) -> Ran) -> Ran {
        assert_eq!(host.mode(), Mode::Rootless);
        let package = self.0.path().join(format!("{version}.{kind}"));
        if !package.exists() {
            std::fs::rename(self.make(kind, version), &package).unwrap();
        }
        let inside = format!("/root/rivetr.{kind}");
        std::fs::copy(package, host.path(&inside)).unwrap();
        let installed = install(&inside);
        std::fs::remove_file(host.path(&inside)).unwrap();
        installed
    }

    fn make(&self, kind: &str, version: &str) -> PathBuf {
        // Pages are a matter of their own (tests/pages.rs), and so is what lies beside the program to be read.
        let empty = self.0.path().join("empty");
        for file in [
            "man/rivetr.1",
            "completions/rivetr.bash",
            "completions/rivetr.fish",
            "completions/_rivetr",
            "third-party.txt",
            "sbom.cdx.json",
        ] {
            std::fs::create_dir_all(empty.join(file).parent().unwrap()).unwrap();
            std::fs::write(empty.join(file), "").unwrap();
        }
        let mut script = Command::new(packaging("build"));
        script.args(["--binary", env!("CARGO_BIN_EXE_rivetr"), "--kind", kind, "--version", version]);
        script.arg("--pages").arg(&empty).arg("--dependencies").arg(&empty).arg("--out").arg(self.0.path());
        script.env("DPKG_DEB_COMPRESSOR_TYPE", "none").env("RPM_BINARY_PAYLOAD", "w0.ufdio");
        let built = script.output().expect("the script runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        String::from_utf8(built.stdout).unwrap().trim().into()
    }
}

fn apt(host: &Host, arguments: &[&str]) -> Ran {
    let apt = ["timeout", "300", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes"];
    host.run(apt.iter().chain(arguments))
}

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

fn property(host: &Host, unit: &str, name: &str) -> String {
    let shown = host.run(["systemctl", "show", "--value", "--property", name, unit]).succeeds().stdout;
    shown.trim().to_owned()
}
