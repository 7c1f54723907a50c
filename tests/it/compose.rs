//! Compose files on a host: Podman's own generator reads what they become, and what then runs is what they say.

use std::fs;
use std::path::{Path, PathBuf};

use crate::host::{Host, Mode, soon};

/// Converts every directory below /srv/compose, and says of each how it ended, how many Quadlets came of it, how
/// Podman's generator ended, and how many services it made of them.
const CONVERT: &str = r#"
cd /srv/compose
for case in *; do
  out=/tmp/quadlets/$case
  rivetr compose convert "$case/compose.yaml" --profile '*' --out "$out" >/dev/null 2>/tmp/said
  converted=$?
  quadlets=$(find "$out" -maxdepth 1 -name '*.container' -o -maxdepth 1 -name '*.network' \
    -o -maxdepth 1 -name '*.volume' -o -maxdepth 1 -name '*.build' 2>/dev/null | wc -l)
  QUADLET_UNIT_DIRS=$out /usr/libexec/podman/quadlet $1 --dryrun >/tmp/services 2>/tmp/generated
  printf '%s %s %s %s %s\n' "$case" "$converted" "$quadlets" "$?" "$(grep -c '^---.*\.service---$' /tmp/services)"
  [ "$converted" = 0 ] || cat /tmp/said >&2
  grep -v 'Loading source unit file' /tmp/generated >&2
done
exit 0
"#;

#[test]
fn podmans_generator_takes_what_every_compose_file_becomes() {
    let host = Host::boot("corpus");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose");
    let mut taken = 0;
    for case in fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()) {
        if case.join("expected").exists() {
            taken += 1;
            copy(&case, &host.path("/srv/compose").join(case.file_name().unwrap()));
        }
    }
    let manager = if host.mode() == Mode::Rootless { "--user" } else { "--no-kmsg-log" };
    let ran = host.as_owner(["sh", "-c", CONVERT, "sh", manager]).succeeds();
    let mut seen = 0;
    for line in ran.stdout.lines() {
        let [_, converted, quadlets, generated, services] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        assert_eq!((converted, generated), ("0", "0"), "{line}\n{}", ran.stderr);
        assert!(quadlets == services && quadlets != "0", "{line}\n{}", ran.stderr);
        seen += 1;
    }
    assert_eq!(seen, taken, "{}", ran.stderr);
    // A key that Podman would ask for in another way, a name that is short: it would say so.
    assert_eq!(ran.stderr, "");
}

#[test]
fn an_awkward_stack_runs_as_its_file_says() {
    let host = Host::boot("awkward");
    let units = install(&host, "awkward");
    let show = |unit: &str, property: &str| {
        host.systemctl(["show", "--value", "--property", property, unit]).succeeds().stdout.trim().to_owned()
    };
    host.systemctl(["start", "awkward-web.service", "awkward-report.service"]).succeeds();

    // What others waited for: the database was well, and the migration ran to its end, once.
    assert_eq!(show("awkward-migrate.service", "SubState"), "exited");
    assert_eq!(inside(&host, "awkward-db-1", &["cat", "/data/log"]), "migrated a ready database\n");
    let fetch = |from: &str, url: &str| {
        host.as_owner(["podman", "exec", from, "wget", "-q", "-T", "3", "-O", "-", url])
    };
    for name in ["shop.internal", "web"] {
        let served = fetch("awkward-report-1", &format!("http://{name}:8080/")).succeeds().stdout;
        assert_eq!(served, "migrated a ready database\n", "{name}");
    }
    fetch("The_Web.1", "http://database.internal:5432/state").succeeds().says("ready");
    fetch("The_Web.1", "http://db:5432/state").succeeds().says("ready");
    assert_ne!(fetch("awkward-report-1", "http://db:5432/state").code, 0, "another network answers");

    asserts_what_is_in_the_container(&host);

    // The volume has its name and outlives the containers.
    assert_eq!(host.names(["podman", "volume", "ls", "--quiet"], "awkward"), ["awkward_data"]);
    assert_eq!(host.names(["podman", "network", "ls", "--format", "{{.Name}}"], "awkward").len(), 2);
    host.systemctl(["stop", "awkward-db.service"]).succeeds();
    assert_eq!(
        show("awkward-web.service", "ActiveState"),
        "inactive",
        "it needs the migration, that the database"
    );
    host.systemctl(["start", "awkward-web.service"]).succeeds();
    let log = inside(&host, "awkward-db-1", &["cat", "/data/log"]);
    assert_eq!(log, "migrated a ready database\n".repeat(2));

    // It is started again whatever ended it.
    host.as_owner(["podman", "kill", "--signal", "KILL", "awkward-report-1"]).succeeds();
    let again = soon(
        || (show("awkward-report.service", "ActiveState"), show("awkward-report.service", "NRestarts")),
        |(state, restarts)| state == "active" && restarts != "0",
    );
    assert!(again.0 == "active" && again.1 != "0", "{again:?}");

    remove(&host, &units);
}

fn asserts_what_is_in_the_container(host: &Host) {
    let report = |command: &[&str]| inside(host, "awkward-report-1", command);
    // Its words are written by a shell, which may not have come to it yet.
    let words = soon(|| report(&["cat", "/tmp/words"]), |words| words.ends_with("<two\nlines><>"));
    assert_eq!(words, "<><a b><$HOME><${HOME}><%n><;><'\"><back\\slash><two\nlines><>");

    let environment = report(&["cat", "/proc/self/environ"]);
    let value = |name: &str| {
        let named =
            |entry: &str| entry.split_once('=').filter(|(key, _)| *key == name).map(|(_, it)| it.to_owned());
        environment.split('\0').find_map(named).unwrap_or_else(|| panic!("no {name} in {environment:?}"))
    };
    for (name, expected) in [
        ("WINS", "environment"),
        ("TWICE", "second"),
        ("EMPTIED", ""),
        ("QUOTES", "it's \"100%\" ${HOME} \\n"),
        ("LINES", "one\n  two\n"),
        ("BLANKS", "  both  "),
        ("SINGLE", "kept $TOKEN \\n"),
        ("DOUBLE", "a \"b\" from the .env file"),
        ("PLAIN", "a b"),
        ("HASH", "a#b"),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }

    assert_eq!(report(&["cat", "/run/secrets/token"]), "no line end");
    assert_eq!(report(&["cat", "/etc/renamed"]), "no line end");
    assert_eq!(report(&["cat", "/run/secrets/from_variable"]), "from the .env file");
    assert_eq!(report(&["cat", "/etc/motd"]), "It's \"welcome\"\n50% of $HOME\n");
    let write = ["podman", "exec", "awkward-report-1", "sh", "-c", "echo x > /run/secrets/token"];
    assert_ne!(host.as_owner(write).code, 0, "a secret can be written");

    assert_eq!(report(&["hostname"]), "report.example.org\n");
    assert_eq!(report(&["pwd"]), "/tmp\n");
    assert_eq!(report(&["sh", "-c", "ulimit -Sn; ulimit -Hn"]), "512\n1024\n");
    assert!(report(&["cat", "/etc/hosts"]).contains("192.0.2.7"), "the host that was added");
    let mounts = report(&["cat", "/proc/mounts"]);
    for (path, size) in [("/scratch", "size=4096k"), ("/dev/shm", "size=16384k")] {
        let fits = |line: &str| line.contains(&format!(" {path} ")) && line.contains(size);
        assert!(mounts.lines().any(fits), "{path} of {size} in\n{mounts}");
    }
    let inspect = host.as_owner(["podman", "inspect", "awkward-report-1"]).succeeds().json();
    assert_eq!(inspect[0]["Config"]["Labels"]["com.example.rule"], "Host(`a.b`) && PathPrefix(`/c d`)");
}

#[test]
fn a_service_that_does_not_get_well_is_not_waited_for_in_vain() {
    let host = Host::boot("unwell");
    let units = install(&host, "unwell");
    // It fails, what needs it fails with it, and what only wants it runs.
    assert_ne!(host.systemctl(["start", "unwell-needs.service"]).code, 0);
    host.systemctl(["start", "unwell-wants.service"]).succeeds();
    assert_eq!(inside(&host, "unwell-wants-1", &["echo", "runs"]), "runs\n");
    let needs = host.as_owner(["podman", "container", "exists", "unwell-needs-1"]);
    assert_eq!(needs.code, 1, "it was started all the same");
    remove(&host, &units);
}

/// Converts a stack of `tests/it/stacks` as the owner of the containers, into a folder where the manager finds it.
fn install(host: &Host, stack: &str) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stacks").join(stack);
    let below = format!("/srv/{stack}");
    copy(&source, &host.path(&below));
    let units = Path::new(host.quadlets()).with_file_name(stack);
    let units = units.to_str().unwrap().to_owned();
    let file = format!("{below}/compose.yaml");
    host.as_owner(["rivetr", "compose", "convert", &file, "--out", &units]).succeeds();
    host.systemctl(["daemon-reload"]).succeeds();
    // Quadlets wait for it, which no host that is up leaves them to do for long.
    host.run(["systemctl", "start", "network-online.target"]).succeeds();
    units
}

/// Ends a stack and takes it away with all that it made.
fn remove(host: &Host, units: &str) {
    let stack = Path::new(units).file_name().unwrap().to_str().unwrap();
    let pattern = format!("{stack}-*.service");
    host.systemctl(["stop", &pattern]).succeeds();
    host.as_owner(["rm", "-r", units]).succeeds();
    host.systemctl(["daemon-reload"]).succeeds();
    assert_eq!(host.names(["podman", "ps", "--all", "--format", "{{.Names}}"], stack), [""; 0]);
    host.as_owner(["podman", "network", "prune", "--force"]).succeeds();
    host.as_owner(["podman", "volume", "rm", "--all", "--force"]).succeeds();
}

/// What a command in a container prints.
fn inside(host: &Host, container: &str, command: &[&str]) -> String {
    let exec = ["podman", "exec", container];
    host.as_owner(exec.iter().chain(command).copied()).succeeds().stdout
}

/// A folder with all that is below it.
fn copy(from: &Path, to: &Path) {
    let mut open: Vec<(PathBuf, PathBuf)> = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = open.pop() {
        if from.is_dir() {
            fs::create_dir_all(&to).unwrap();
            let entries = fs::read_dir(from).unwrap().map(|entry| entry.unwrap());
            open.extend(entries.map(|entry| (entry.path(), to.join(entry.file_name()))));
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}
