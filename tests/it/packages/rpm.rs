//! The RPM package with rpm itself, which Debian has too: it is installed, upgraded, removed and gone. What it requires has
//! other names here, so dependencies are not looked at.

use super::{
    DAEMON, Packages, RATE, SERVICES, Traces, property, runs_rootless, says_how_to_begin, serves_an_app,
};
use crate::host::{Host, Ran, soon};

const PURGE: &str = "/usr/libexec/rivetr/purge";
const CONFIGURATION: &str = "/etc/rivetr/rivetr.toml";
/// Directories that every distribution with rpm has.
const THERE: [&str; 6] = [
    "/usr/share/licenses",
    "/usr/share/man/man1",
    "/usr/share/bash-completion/completions",
    "/usr/share/fish/vendor_completions.d",
    "/usr/share/zsh/site-functions",
    "/usr/share/doc",
];

#[test]
fn rpm_installs_upgrades_and_removes_it_while_its_apps_answer() {
    let (mut host, packages) = (Host::untouched("rpm"), Packages::new());
    host.run(["mkdir", "--parents"].iter().chain(&THERE)).succeeds();
    let before = Traces::of(&host);
    installed(&mut host, &packages);
    upgraded(&host, &packages);
    does_not_fit(&host, &packages);
    removed(&host, &packages);
    host.run([PURGE, "--yes"]).succeeds();
    rpm(&host, &["--erase", "rivetr"]).succeeds();
    Traces::of(&host).are_no_more_than(&before);
}

fn installed(host: &mut Host, packages: &Packages) {
    says_how_to_begin(install(host, packages, "--install", "0.0.1").succeeds());
    runs_rootless(host);
    for socket in ["rivetr.socket", "rivetr-http.socket", "rivetr-proxy.socket", "rivetr-proxy-tls.socket"] {
        host.run(["systemctl", "is-active", "--quiet", socket]).succeeds();
    }
    host.systemctl(["is-active", "--quiet", "rivetr-netns.socket"]).succeeds();
    verify(host).succeeds().prints("");
    host.set_up();
    only_the_configuration_is_changed(host);
    host.rivetr(["doctor"]).succeeds().says("Nothing is wrong.");
    serves_an_app(host);
}

fn upgraded(host: &Host, packages: &Packages) {
    let pids = || SERVICES.map(|unit| property(host, unit, "MainPID"));
    let (load, before) = (host.load("blog", RATE), pids());
    install(host, packages, "--upgrade", "0.0.2").succeeds();
    eprintln!("an upgrade: {}", load.lost_nothing());
    for (before, after) in before.iter().zip(pids()) {
        assert_ne!(*before, after, "the new program runs");
    }
    assert!(!host.path("/usr/lib/rivetr").exists(), "the program before is not needed any more");
    rpm(host, &["--query", "--queryformat", "%{VERSION}", "rivetr"]).succeeds().prints("0.0.2");
    only_the_configuration_is_changed(host);
    host.rivetr(["doctor"]).succeeds().says("Nothing is wrong.");
    host.rivetr(["deploy", "blog"]).succeeds();
    host.systemctl(["is-active", "--quiet", "rivetr-app-blog-2.service"]).succeeds();
}

/// rpm calls an upgrade done whose script failed; rivetr stays what it was until the same is installed again.
fn does_not_fit(host: &Host, packages: &Packages) {
    let newest: i64 = host.database().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    host.database().pragma_update(None, "user_version", newest - 1).unwrap();
    let (load, pid) = (host.load("blog", RATE), host.main_pid());
    let said = install(host, packages, "--upgrade", "0.0.3");
    said.says("could not be brought up to date").says("rivetr as it was runs on");
    eprintln!("an upgrade that failed: {}", load.lost_nothing());
    assert_eq!(host.main_pid(), pid);
    host.database().pragma_update(None, "user_version", newest).unwrap();
    host.run(["systemctl", "restart", DAEMON]).succeeds();
    let program = || host.run(["readlink", &format!("/proc/{}/exe", property(host, DAEMON, "MainPID"))]);
    program().succeeds().prints("/usr/lib/rivetr/rivetr-before\n");

    install(host, packages, "--replacepkgs", "0.0.3").succeeds();
    program().succeeds().prints("/usr/bin/rivetr\n");
    assert!(!host.path("/usr/lib/rivetr").exists());
    assert_eq!(host.get("blog").status, 200);
}

fn removed(host: &Host, packages: &Packages) {
    let load = host.load("blog", RATE);
    let said = rpm(host, &["--erase", "rivetr"]).succeeds();
    said.says("Its apps run on, are answered, and come back with the machine");
    host.run(["systemctl", "daemon-reload"]).succeeds();
    host.as_owner(["systemctl", "--user", "daemon-reload"]).succeeds();
    eprintln!("a removal: {}", load.lost_nothing());
    host.run(["sh", "-c", "find /usr/bin /usr/lib -name '*rivetr*' -type f"])
        .succeeds()
        .prints("/usr/lib/rivetr/rivetr-serving\n");
    host.systemctl(["restart", "rivetr-app-blog-2.service"]).succeeds();
    assert_eq!(soon(|| host.get("blog").status, |status| *status == 200), 200);

    // And back, with all that was there, the configuration too.
    let load = host.load("blog", RATE);
    install(host, packages, "--install", "0.0.1").succeeds();
    eprintln!("back again: {}", load.lost_nothing());
    assert!(!host.path("/usr/lib/rivetr").exists());
    assert_eq!(host.list("/etc/rivetr"), ["rivetr.toml"]);
    let kept = std::fs::read_to_string(host.path(CONFIGURATION)).unwrap();
    assert!(kept.contains(&format!("\nurl = \"http://{}\"\n", host.address())), "{kept}");
    runs_rootless(host);
    host.rivetr(["doctor"]).succeeds().says("Nothing is wrong.");
    host.rivetr(["deploy", "blog"]).succeeds();
    host.systemctl(["is-active", "--quiet", "rivetr-app-blog-3.service"]).succeeds();
}

/// `how` is one of rpm's ways to install a file.
fn install(host: &Host, packages: &Packages, how: &str, version: &str) -> Ran {
    let mode = if how == "--replacepkgs" { ["--upgrade", how] } else { ["--verbose", how] };
    packages.with(host, "rpm", version, |package| {
        // Nobody has signed it.
        let options = ["--nodeps", "--nosignature", package];
        rpm(host, &mode.into_iter().chain(options).collect::<Vec<_>>())
    })
}

fn only_the_configuration_is_changed(host: &Host) {
    let said = verify(host).fails().stdout;
    assert!(said.lines().count() == 1 && said.contains(&format!(" c {CONFIGURATION}")), "{said}");
}

/// What of the package's files is not as it was packed.
fn verify(host: &Host) -> Ran {
    rpm(host, &["--verify", "--nodeps", "rivetr"])
}

fn rpm(host: &Host, arguments: &[&str]) -> Ran {
    host.run(["timeout", "300", "rpm"].iter().chain(arguments))
}
