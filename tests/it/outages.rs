//! What rivetr stands on goes away for a while: the log says what was missing, what is live serves throughout, and
//! the next deployment after it is back goes live with nothing left over.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout};
use std::time::{Duration, Instant};

use crate::host::{Host, Load, Mode, Repository, soon};
use crate::relay::{Relay, Then};

/// How long the bus is gone.
const OUTAGE: Duration = Duration::from_secs(10);

/// A host on which `blog` serves its first release, under load.
fn live(host: &Host) -> (Repository, Load) {
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    let repository = host.sample("blog");
    repository.push().succeeds();
    (repository, host.load("blog", 50))
}

/// The number and the state of the newest deployment of `blog`.
fn newest(host: &Host) -> (u32, String) {
    let shown = host.rivetr(["deployments", "blog", "--limit", "1", "--json"]).succeeds().json();
    let newest = &shown["items"][0];
    (newest["number"].as_u64().unwrap().try_into().unwrap(), newest["state"].as_str().unwrap().to_owned())
}

/// A deployment of `blog` that is under way, as whoever asked for it sees it.
struct Following {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn deploy(host: &Host) -> Self {
        let mut child = host.spawn(["rivetr", "deploy", "blog"]);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    #[track_caller]
    fn wait_for(&mut self, words: &str) {
        let mut seen = String::new();
        for line in &mut self.lines {
            let line = line.unwrap();
            if line.contains(words) {
                return;
            }
            seen.push_str(&format!("{line}\n"));
        }
        panic!("it ended without {words:?}:\n{seen}");
    }

    #[track_caller]
    fn goes_live(mut self) {
        let rest: Vec<String> = self.lines.by_ref().map(Result::unwrap).collect();
        let output = self.child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n{said}", rest.join("\n"));
    }
}

#[test]
fn without_podmans_socket_a_deployment_fails_before_it_builds_and_one_past_the_switch_waits() {
    let host = Host::boot("nopodman");
    let (_repository, load) = live(&host);
    let away = ["stop", "podman.socket", "podman.service"];
    host.systemctl(away).succeeds();
    let failed = host.rivetr(["deploy", "blog"]).exits(1);
    assert!(!failed.stdout.contains("-----> Building"), "{}", failed.stdout);
    failed.says("cannot reach Podman").says("is podman.socket active?").says("still serves");
    host.systemctl(["start", "podman.socket"]).succeeds();
    host.assert_only("blog", &[1]);
    host.assert_images("blog", &[1]);

    // It goes on for a moment after it was let go: whoever lets it go hears that it worked.
    let hold = "until [ -e /tmp/go ]; do sleep 0.1; done; sleep 2";
    host.rivetr(["apps", "set", "blog", "--before-switch", &format!("sh -c '{hold}'")]).succeeds();
    let mut next = Following::deploy(&host);
    next.wait_for("Running before the switch");
    host.systemctl(away).succeeds();
    // Until the container runs, nobody can be told.
    let go = ["podman", "exec", "rivetr-run-blog-3-before", "touch", "/tmp/go"];
    let deadline = Instant::now() + Duration::from_mins(1);
    while host.as_owner(go).code != 0 {
        assert!(Instant::now() < deadline, "the command does not run");
    }
    next.wait_for("Trying until it works");
    host.systemctl(["start", "podman.socket"]).succeeds();
    next.goes_live();
    load.lost_nothing();
    host.assert_only("blog", &[3]);
    host.assert_images("blog", &[1, 3]);
    host.rivetr(["doctor"]).succeeds();
}

#[test]
fn a_bus_that_is_gone_for_a_while_loses_no_deployment() {
    let host = Host::boot("nobus");
    let (repository, load) = live(&host);
    repository.write("index.html", "after the outage\n");
    let build = std::fs::read_to_string(repository.path().join("Containerfile")).unwrap();
    repository.write("Containerfile", &format!("{build}\nRUN sleep 3\n"));
    repository.commit("A build that takes a while");

    // It hangs: from the middle of a build on, and while a deployment begins.
    let mut push = repository.start_push();
    push.wait_for("RUN sleep 3");
    hang_bus(&host);
    assert_eq!(push.end().code, 0);
    assert_eq!(newest(&host), (2, "live".to_owned()));
    host.assert_only("blog", &[2]);
    let next = Following::deploy(&host);
    hang_bus(&host);
    next.goes_live();
    host.assert_only("blog", &[3]);

    // It is gone altogether. Without the system's, nobody could come in and bring it back.
    if host.mode() == Mode::Rootless {
        repository.commit("Another");
        let mut push = repository.start_push();
        push.wait_for("STEP");
        end_bus(&host);
        assert_eq!(push.end().code, 0);
        let next = Following::deploy(&host);
        end_bus(&host);
        next.goes_live();
        host.assert_only("blog", &[5]);
    }
    load.lost_nothing();
    assert_eq!(host.get("blog").body, "after the outage\n");
    host.rivetr(["doctor"]).succeeds();
}

fn hang_bus(host: &Host) {
    host.systemctl(["kill", "--signal=STOP", "dbus.service"]).succeeds();
    std::thread::sleep(OUTAGE);
    host.systemctl(["kill", "--signal=CONT", "dbus.service"]).succeeds();
}

fn end_bus(host: &Host) {
    host.systemctl(["stop", "dbus.socket", "dbus.service"]).succeeds();
    std::thread::sleep(OUTAGE);
    host.systemctl(["start", "dbus.socket"]).succeeds();
}

#[test]
fn a_disk_that_fills_up_in_a_build_is_told_as_such() {
    let mut host = Host::bare("fullbuild");
    let place = match host.mode() {
        Mode::Rootless => "/var/lib/rivetr",
        Mode::Rootful => "/var/lib/containers",
    };
    mount(&host, place, "size=96m,mode=755");
    host.set_up();
    let (repository, load) = live(&host);
    let good = std::fs::read_to_string(repository.path().join("Containerfile")).unwrap();
    let full = "FROM docker.io/library/busybox:stable\nRUN dd if=/dev/zero of=/large bs=1M count=200\n";
    repository.write("Containerfile", full);
    repository.commit("Larger than the disk");
    // Where nothing of rivetr's own lies on that disk, a person has to make room before Podman can remove anything.
    let reserve = format!("{place}/reserve");
    host.run(["fallocate", "--length", "4M", &reserve]).succeeds();
    let push = repository.push();
    assert_ne!(push.code, 0);
    push.says("Failed while building: the disk was full").says("free some space");
    if host.mode() == Mode::Rootless {
        host.assert_only("blog", &[1]);
    }
    host.run(["rm", &reserve]).succeeds();
    host.assert_images("blog", &[1]);
    repository.write("Containerfile", &good);
    repository.commit("Small again");
    repository.push().succeeds();
    load.lost_nothing();
    host.assert_only("blog", &[3]);
    host.assert_images("blog", &[1, 3]);
}

#[test]
fn a_full_disk_below_the_database_is_told_and_nothing_is_lost() {
    let mut host = Host::bare("fullstore");
    mount(&host, "/var/lib/rivetr", "size=128m,mode=755");
    host.set_up();
    let (_repository, load) = live(&host);
    fill(&host, "/var/lib/rivetr");
    // Refused where the database has no room left for the row, else failed for want of room.
    host.rivetr(["deploy", "blog"]).exits(1).says("free some space");
    // What the database has on the disk already, it can still write over.
    let value = format!("LARGE={}", "x".repeat(100_000));
    let refused = (0..100).map(|_| host.rivetr(["env", "set", "blog", &value])).find(|ran| ran.code != 0);
    let refused = refused.expect("the database takes no more");
    refused.says("the disk that holds the database is full").says("free some space");
    host.rivetr(["status"]).says("blog");
    host.run(["rm", "/var/lib/rivetr/filler"]).succeeds();

    host.rivetr(["deploy", "blog"]).succeeds();
    let (number, state) = newest(&host);
    assert_eq!(state, "live");
    load.lost_nothing();
    host.assert_only("blog", &[number]);
    host.assert_images("blog", &[1, number]);
}

#[test]
fn a_full_quadlet_directory_is_told_and_leaves_no_half_a_unit() {
    let host = Host::boot("fullquadlets");
    let place = std::path::Path::new(host.quadlets()).parent().unwrap().to_str().unwrap();
    let owner = host.as_owner(["id", "--user"]).succeeds();
    host.as_owner(["mkdir", "--parents", place]).succeeds();
    mount(&host, place, &format!("size=64k,mode=755,uid={}", owner.stdout.trim()));
    // Its view of the disk is its own, and older.
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    let (_repository, load) = live(&host);
    fill(&host, place);
    host.rivetr(["deploy", "blog"])
        .exits(1)
        .says("Failed while starting")
        .says("rivetr-app-blog-2.container")
        .says("free some space");
    host.assert_only("blog", &[1]);
    host.assert_images("blog", &[1]);
    host.run(["rm", &format!("{place}/filler")]).succeeds();
    host.rivetr(["deploy", "blog"]).succeeds();
    load.lost_nothing();
    host.assert_only("blog", &[3]);
    host.assert_images("blog", &[1, 3]);
}

/// Puts a small disk in the place of a directory.
fn mount(host: &Host, place: &str, options: &str) {
    host.run(["mkdir", "--parents", place]).succeeds();
    host.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place]).succeeds();
}

fn fill(host: &Host, place: &str) {
    let filled = host.run(["dd", "if=/dev/zero", &format!("of={place}/filler"), "bs=4k"]);
    assert_ne!(filled.code, 0);
    filled.says("No space left on device");
}

#[test]
fn a_registry_that_breaks_off_is_waited_for_and_one_that_stays_away_is_told() {
    let host = Host::boot("midpull");
    let relay = registry(&host);
    let image = format!("{}/large:latest", relay.address());
    publish(&host, "one");
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--image", &image]).succeeds();
    host.rivetr(["deploy", "blog"]).succeeds();
    let load = host.load("blog", 50);

    // Away for good; then it comes back while it is being waited for.
    publish(&host, "two");
    relay.only(2 << 20, Then::Cut);
    host.rivetr(["deploy", "blog"]).exits(1).says("does not answer, or broke off").says("still serves");
    serves_alone(&host, 1, &[1], "one\n");
    relay.only(2 << 20, Then::Cut);
    let mut next = Following::deploy(&host);
    next.wait_for("trying again");
    relay.open();
    next.goes_live();
    serves_alone(&host, 3, &[1, 3], "two\n");

    // It goes silent in mid-pull.
    publish(&host, "three");
    host.configure("[build]\ntimeout_s = 20\n");
    relay.only(2 << 20, Then::Hang);
    host.rivetr(["deploy", "blog"]).exits(1).says("did not arrive within 20 s").says("still serves");
    serves_alone(&host, 3, &[1, 3], "two\n");
    relay.open();
    host.rivetr(["deploy", "blog"]).succeeds();
    serves_alone(&host, 5, &[1, 3, 5], "three\n");
    load.lost_nothing();
}

/// Asserts that this release serves, and that nothing is left of what did not arrive.
fn serves_alone(host: &Host, live: u32, images: &[u32], body: &str) {
    assert_eq!(host.get("blog").body, body);
    host.assert_only("blog", &[live]);
    host.assert_images("blog", images);
    let mut partial = host.list("/var/tmp");
    partial.retain(|name| name.starts_with("container_images_"));
    assert_eq!(partial, [""; 0], "left of the pull");
}

/// The host's registry, seen from elsewhere.
fn registry(host: &Host) -> Relay {
    let config = host.path("/etc/docker/registry/config.yml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("127.0.0.1:5000", "0.0.0.0:5000")).unwrap();
    host.run(["systemctl", "restart", "docker-registry.service"]).succeeds();
    let relay = Relay::to(host, 5000);
    let trusted = format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", relay.address());
    std::fs::write(host.path("/etc/containers/registries.conf.d/20-relay.conf"), trusted).unwrap();
    relay
}

/// Puts an image of some size into the host's registry that serves `text`.
fn publish(host: &Host, text: &str) {
    host.run(["mkdir", "--parents", "/tmp/publish"]).succeeds();
    let containerfile = format!(
        "FROM docker.io/library/busybox:stable\nRUN dd if=/dev/urandom of=/large bs=1M count=8\n\
         RUN mkdir -p /www && echo {text} > /www/index.html\nSTOPSIGNAL SIGKILL\n\
         CMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n"
    );
    std::fs::write(host.path("/tmp/publish/Containerfile"), containerfile).unwrap();
    let image = "127.0.0.1:5000/large:latest";
    host.run(["podman", "build", "--quiet", "--no-cache", "--tag", image, "/tmp/publish"]).succeeds();
    host.run(["podman", "push", "--quiet", image]).succeeds();
    host.run(["podman", "rmi", image]).succeeds();
}

#[test]
fn a_database_gets_another_name_while_its_image_is_still_on_its_way() {
    let host = Host::boot("renamepull");
    let relay = registry(&host);
    let (server, published) = ("docker.io/valkey/valkey:8", "127.0.0.1:5000/server:8");
    host.run(["podman", "pull", "--quiet", server]).succeeds();
    host.run(["podman", "push", "--quiet", server, published]).succeeds();
    host.run(["podman", "rmi", server]).succeeds();
    relay.only(64 << 10, Then::Hang);
    let image = format!("{}/server:8", relay.address());
    host.rivetr(["databases", "create", "orders", "--kind", "valkey", "--image", &image, "--no-wait"])
        .succeeds();
    relay.wait_until_reached();
    // Nothing arrives any more, so that whoever waited for it would wait until the pull is given up.
    host.rivetr(["databases", "rename", "orders", "sales"]).succeeds();
    relay.open();
    let shown = || host.rivetr(["databases", "show", "sales", "--json"]).succeeds().json();
    assert_eq!(soon(shown, |shown| shown["state"] == "running")["state"], "running");
    host.rivetr(["databases", "show", "orders"]).exits(4);
    let pulls = host.names(["podman", "ps", "--all", "--format", "{{.Names}}"], "rivetr-db-");
    assert_eq!(pulls, ["rivetr-db-sales"]);
    assert_eq!(host.list("/var/lib/rivetr/pulls"), [""; 0], "left of the first pull");
}

#[test]
fn a_git_server_that_hangs_is_given_up_on() {
    let host = Host::boot("hangs");
    host.configure("[git]\nprotocols = [\"https\", \"http\", \"ssh\"]\n");
    let config = host.path("/etc/lighttpd/lighttpd.conf");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"127.0.0.1\"", "\"0.0.0.0\"")).unwrap();
    host.run(["systemctl", "restart", "lighttpd.service"]).succeeds();
    let code = host.sample("code");
    host.run(["git-new", "code"]).succeeds();
    let relay = Relay::to(&host, 3000);
    code.git(["push", "--quiet", &format!("http://{}/code.git", relay.address()), "main"]).succeeds();
    let url = format!("http://{}/code.git", relay.address());
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--git", &url]).succeeds();
    host.rivetr(["deploy", "blog"]).succeeds();
    let load = host.load("blog", 50);

    relay.only(0, Then::Hang);
    host.rivetr(["deploy", "blog"]).exits(1).says("sent next to nothing for 30 s").says("still serves");
    host.assert_only("blog", &[1]);
    // Nobody has to wait for that.
    relay.only(0, Then::Hang);
    let next = host.spawn(["rivetr", "deploy", "blog"]);
    relay.wait_until_reached();
    let begun = Instant::now();
    let shown = host.rivetr(["deployments", "blog", "--limit", "1", "--json"]).succeeds().json();
    host.rivetr(["cancel", &shown["items"][0]["id"].to_string()]).succeeds();
    assert!(begun.elapsed() < Duration::from_secs(10), "the cancel took {:?}", begun.elapsed());
    next.wait_with_output().unwrap();
    assert_eq!(newest(&host), (3, "cancelled".to_owned()));
    relay.only(0, Then::Cut);
    host.rivetr(["deploy", "blog"]).exits(1).says("cannot fetch from").says("check the address");

    relay.open();
    host.rivetr(["deploy", "blog"]).succeeds();
    load.lost_nothing();
    host.assert_only("blog", &[5]);
    host.assert_images("blog", &[1, 5]);
}
