//! Unit files that somebody changed by hand: noticed, shown, never overwritten before it is decided what becomes of that.

use serde_json::Value;

use crate::host::{Host, Mode, soon};

const REFUSED: &str = "by hand, and rivetr does not touch it before you decide";
const ASIDE: &str = "/var/lib/rivetr/edited-units";

impl Host {
    fn units(&self) -> &'static str {
        match self.mode() {
            Mode::Rootless => "/var/lib/rivetr/.config/systemd/user",
            Mode::Rootful => "/etc/systemd/system",
        }
    }

    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// Puts a text into a file as the owner of the units would.
    fn put(&self, path: &str, text: &str) {
        let (folder, _) = path.rsplit_once('/').unwrap();
        self.as_owner(["mkdir", "--parents", folder]).succeeds();
        self.as_owner(["sh", "-c", &format!("cat > {path} <<'EOF'\n{text}EOF\n")]).succeeds();
    }

    /// Adds a line to the container of a Quadlet.
    fn edit(&self, path: &str, line: &str) {
        let script = format!("s/^\\[Container\\]$/[Container]\\n{line}/");
        self.as_owner(["sed", "--in-place", &script, path]).succeeds();
        self.systemctl(["daemon-reload"]).succeeds();
    }

    /// The number of the live release; 0 while rivetr does not say.
    fn release(&self, app: &str) -> u64 {
        let shown = self.rivetr(["apps", "show", app, "--json"]).stdout;
        let shown: Value = serde_json::from_str(&shown).unwrap_or_default();
        shown["app"]["release"].as_u64().unwrap_or_default()
    }

    fn unit_of(&self, app: &str) -> (String, String) {
        let file = format!("rivetr-app-{app}-{}.container", self.release(app));
        (format!("{}/app-{app}/{file}", self.quadlets()), file)
    }

    /// A variable in the container of the live release.
    fn variable(&self, app: &str, name: &str) -> String {
        let container = format!("rivetr-app-{app}-{}", self.release(app));
        let echo = format!("echo ${name}");
        self.as_owner(["podman", "exec", &container, "sh", "-c", &echo]).stdout.trim().to_owned()
    }

    fn nothing_differs(&self) {
        self.rivetr(["drift"]).succeeds().says("Nobody changed a unit file by hand.");
    }

    /// The decisions that were written down, newest first.
    fn decisions(&self) -> Vec<String> {
        let audit = self.rivetr(["audit", "--action", "unit.", "--json"]).succeeds().json();
        let deeds = audit["items"].as_array().unwrap().iter();
        deeds.map(|deed| deed["action"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn what_somebody_changed_is_shown_and_theirs_to_decide_about() {
    let host = Host::boot("drift");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    let repository = host.sample("blog");
    repository.push().succeeds();
    host.nothing_differs();
    drop_ins(&host);
    edited(&host);
    adopted(&host);
    ignored(&host);
    restored(&host);
    removed(&host);
    lost(&host);
    assert_eq!(
        host.decisions(),
        ["unit.restored", "unit.restored", "unit.ignored", "unit.ignored", "unit.adopted"]
    );
    host.rivetr(["apps", "delete", "blog", "--yes"]).succeeds();
    host.nothing_differs();
}

/// What people put beside a unit reaches the next release: by the name of the unit, of its service, and of all releases.
fn drop_ins(host: &Host) {
    let (unit, file) = host.unit_of("blog");
    host.put(&format!("{unit}.d/10-own.conf"), "[Container]\nEnvironment=OWN=yes\n");
    let service = file.replace(".container", ".service");
    host.put(&format!("{}/{service}.d/10-own.conf", host.units()), "[Service]\nEnvironment=SERVICE=yes\n");
    let all = format!("{}/app-blog/rivetr-app-blog-.container.d/20-all.conf", host.quadlets());
    host.put(&all, "[Container]\nEnvironment=ALL=yes\n");
    host.nothing_differs();
    host.rivetr(["restart", "blog"]).succeeds();
    let (next, file) = host.unit_of("blog");
    assert_ne!(next, unit);
    assert_eq!([host.variable("blog", "OWN"), host.variable("blog", "ALL")], ["yes", "yes"]);
    let service = file.replace(".container", ".service");
    let shown = host.systemctl(["show", "--property=Environment", &service]).succeeds();
    assert!(shown.stdout.contains("SERVICE=yes"), "{}", shown.stdout);
    assert_eq!(host.list(&format!("{}/{service}.d", host.units())), ["10-own.conf"]);
    assert_eq!(host.list(&format!("{unit}.d")), [""; 0]);
}

/// Nothing overwrites an edited file, and everything that would says so.
fn edited(host: &Host) {
    let (unit, file) = host.unit_of("blog");
    host.edit(&unit, "Environment=EDITED=yes");
    let text = host.text(&unit);
    host.rivetr(["drift", "blog"])
        .succeeds()
        .says(&format!("{file} of app-blog: edited"))
        .says("+Environment=EDITED=yes");
    host.rivetr(["drift", "default"]).succeeds().says("Nobody changed");
    host.rivetr(["doctor"]).succeeds().says(&format!("{file} was edited by hand"));
    host.rivetr(["deploy", "blog"]).exits(1).says(REFUSED);
    host.rivetr(["restart", "blog"]).exits(1).says(REFUSED);
    host.rivetr(["rollback", "blog", "1"]).exits(1).says(REFUSED);
    host.rivetr(["scale", "blog", "2"]).exits(5).says(REFUSED);
    host.rivetr(["stop", "blog"]).succeeds();
    host.rivetr(["start", "blog"]).exits(5).says(REFUSED);
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    let told = soon(
        || host.run(["journalctl", "--unit=rivetr.service", "--no-pager"]).stdout,
        |log| log.contains("edited by hand; left as it is"),
    );
    assert!(told.contains(&format!("{file} was edited by hand; left as it is")), "{told}");
    assert_eq!(host.text(&unit), text);
}

/// What a drop-in can say goes into one, and reaches the next release.
fn adopted(host: &Host) {
    let (unit, file) = host.unit_of("blog");
    let edited = host.text(&unit);
    let told = host.rivetr(["drift", "adopt", &file]).succeeds().says("50-local.conf");
    told.says(&format!("{ASIDE}/{file}.1"));
    assert_eq!(host.text(&format!("{ASIDE}/{file}.1")), edited);
    assert_eq!(host.text(&format!("{unit}.d/50-local.conf")), "[Container]\nEnvironment=EDITED=yes\n");
    assert!(!host.text(&unit).contains("EDITED"));
    host.nothing_differs();
    host.rivetr(["start", "blog"]).succeeds();
    assert_eq!(host.variable("blog", "EDITED"), "yes");
    host.rivetr(["deploy", "blog"]).succeeds();
    assert_ne!(host.unit_of("blog").1, file);
    assert_eq!(host.variable("blog", "EDITED"), "yes");
    host.rivetr(["drift", "adopt", &file]).exits(4);
}

/// What is ignored is in nobody's way, shown no more until it changes again, and kept when its release goes.
fn ignored(host: &Host) {
    let (unit, file) = host.unit_of("blog");
    host.edit(&unit, "# mine");
    host.rivetr(["drift", "ignore", &file]).succeeds();
    host.nothing_differs();
    host.rivetr(["drift", "--all"]).succeeds().says(&format!("{file} of app-blog: edited, ignored"));
    host.edit(&unit, "# mine too");
    host.rivetr(["drift"]).succeeds().says("+# mine too");
    host.rivetr(["deploy", "blog"]).exits(1).says(REFUSED);
    host.rivetr(["drift", "ignore", &file]).succeeds();
    let text = host.text(&unit);
    host.rivetr(["deploy", "blog"])
        .succeeds()
        .says(&format!("{file} was edited by hand; it is kept in {ASIDE}"));
    assert_eq!(host.text(&unit), "");
    assert_eq!(host.text(&format!("{ASIDE}/{file}.1")), text);
    host.nothing_differs();
}

fn restored(host: &Host) {
    let (unit, file) = host.unit_of("blog");
    let text = host.text(&unit);
    host.edit(&unit, "NoSuchKey=1");
    host.rivetr(["drift", "adopt", &file]).exits(5).says("cannot be adopted as it is").says("NoSuchKey");
    let edited = host.text(&unit);
    host.rivetr(["drift", "restore", &file]).succeeds().says("is as rivetr wants it");
    assert_eq!(host.text(&unit), text);
    assert_eq!(host.text(&format!("{ASIDE}/{file}.1")), edited);
    host.nothing_differs();
    assert_eq!(host.get("blog").status, 200);
}

/// A file that is gone is not put back by itself, and what runs goes on.
fn removed(host: &Host) {
    let (unit, file) = host.unit_of("blog");
    let text = host.text(&unit);
    host.as_owner(["rm", &unit]).succeeds();
    host.systemctl(["daemon-reload"]).succeeds();
    host.rivetr(["drift", "blog"])
        .succeeds()
        .says(&format!("{file} of app-blog: removed"))
        .says("-[Container]");
    host.rivetr(["deploy", "blog"]).exits(1).says("was removed by hand");
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    assert_eq!(host.get("blog").status, 200);
    host.rivetr(["drift", "adopt", &file]).exits(5).says("there is nothing to adopt");
    assert_eq!(host.text(&unit), "");
    host.rivetr(["drift", "restore", &file]).succeeds();
    assert_eq!(host.text(&unit), text);
    host.nothing_differs();
    assert_eq!(host.get("blog").status, 200);
    host.rivetr(["restart", "blog"]).succeeds();
}

/// Where everything of an owner is gone, nobody removed one by hand: it comes back.
fn lost(host: &Host) {
    let (unit, _) = host.unit_of("blog");
    let text = host.text(&unit);
    let target = format!("{}/rivetr-app-blog.target", host.units());
    host.as_owner(["rm", &unit, &target]).succeeds();
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    assert_eq!(soon(|| host.text(&unit), |found| *found == text), text);
    assert_ne!(soon(|| host.text(&target), |found| !found.is_empty()), "");
    host.nothing_differs();
}

#[test]
fn an_edited_unit_of_a_database_is_nobodys_to_overwrite() {
    let host = Host::boot("dbdrift");
    host.rivetr(["databases", "create", "orders", "--kind", "redis", "--version", "8"]).succeeds();
    let running = || {
        let shown = || host.rivetr(["databases", "show", "orders", "--json"]).succeeds().json();
        assert_eq!(soon(shown, |shown| shown["state"] == "running")["state"], "running");
    };
    running();
    let unit = format!("{}/db-orders/rivetr-db-orders.container", host.quadlets());
    let written = host.text(&unit);
    host.edit(&unit, "Environment=EDITED=yes");
    let edited = host.text(&unit);
    host.rivetr(["drift", "orders"]).succeeds().says("rivetr-db-orders.container of db-orders: edited");
    host.rivetr(["databases", "set", "orders", "--memory", "300M"]).exits(5).says(REFUSED);
    host.rivetr(["databases", "restart", "orders"]).exits(5).says(REFUSED);
    // It is tended when rivetr starts and when its server ends; neither takes the edit back.
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    host.as_owner(["podman", "kill", "rivetr-db-orders"]).succeeds();
    running();
    assert_eq!(host.text(&unit), edited);
    let told = host.rivetr(["drift", "restore", "rivetr-db-orders.service"]).succeeds();
    told.says(&format!("{ASIDE}/rivetr-db-orders.container.1"));
    assert_eq!(host.text(&unit), written);
    host.rivetr(["databases", "set", "orders", "--memory", "300M"]).succeeds();
    host.nothing_differs();
    running();
}

/// Whoever dies between a file and the note of it finds its own file, not one that somebody edited.
#[test]
fn a_death_while_a_file_is_written_is_no_edit() {
    let host = Host::boot("driftdies");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    host.sample("blog").push().succeeds();
    for point in ["unit-expected", "unit-written"] {
        std::fs::write(host.path("/var/lib/rivetr/failpoint"), point).unwrap();
        let before = host.release("blog");
        host.rivetr(["deploy", "blog", "--detach"]);
        assert!(soon(|| host.release("blog"), |release| *release > before) > before, "{point}");
        assert!(!host.path("/var/lib/rivetr/failpoint").exists(), "{point}");
        host.nothing_differs();
    }
}
