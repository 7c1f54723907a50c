//! Backups of databases: what was there is there again, whatever happens meanwhile, and what is broken is refused.

use serde_json::Value;

use crate::host::{Host, Ran, soon};
use crate::s3::S3;

pub const FAILPOINT: &str = "/var/lib/rivetr/failpoint";
pub const KEPT: &str = "/var/lib/rivetr/backups";

/// A database in the host that is spoken to by the tools of its own image.
struct Server<'a> {
    host: &'a Host,
    kind: &'static str,
    name: String,
}

impl<'a> Server<'a> {
    fn create(host: &'a Host, kind: &'static str, version: &str) -> Self {
        let name = format!("my-{kind}");
        host.rivetr(["databases", "create", &name, "--kind", kind, "--version", version]).succeeds();
        Self { host, kind, name }
    }

    fn named(&self, name: &str) -> Self {
        Self { host: self.host, kind: self.kind, name: name.to_owned() }
    }

    fn tell(&self, what: &str) -> String {
        let (container, word) = (format!("rivetr-db-{}", self.name), format!("my_{}", self.kind));
        let cli =
            |program: &str| format!("REDISCLI_AUTH=\"$(cat /run/secrets/rivetr-password)\" {program} {what}");
        let command = match self.kind {
            "postgres" => format!("psql -qXAt -U {word} -d {word} -c \"{what}\""),
            "mariadb" | "mysql" => {
                let options = "--defaults-extra-file=/run/secrets/rivetr-client.cnf";
                format!("{} {options} -D {word} -Ne \"{what}\"", self.kind)
            }
            "redis" => cli("redis-cli"),
            _ => cli("valkey-cli"),
        };
        self.host
            .as_owner(["podman", "exec", &container, "sh", "-c", &command])
            .succeeds()
            .stdout
            .trim()
            .to_owned()
    }

    fn fill(&self) {
        match self.kind {
            "postgres" => self.tell(
                "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, md5(n::text) \
                 FROM generate_series(1, 5000) n; CREATE VIEW w AS SELECT count(*) FROM t",
            ),
            "mariadb" | "mysql" => self.tell(
                "CREATE TABLE t (id int PRIMARY KEY, v text); \
                 INSERT INTO t WITH RECURSIVE s (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < 70) \
                 SELECT 71 * a.n + b.n, sha2(71 * a.n + b.n, 256) FROM s a, s b; \
                 CREATE VIEW w AS SELECT count(*) FROM t; CREATE PROCEDURE p () SELECT 1; \
                 CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t WHERE id < 0; \
                 CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.v = upper(NEW.v)",
            ),
            _ => self.tell("EVAL \"for i = 1, 5000 do redis.call('SET', 'k' .. i, redis.sha1hex(i)) end\" 0"),
        };
    }

    /// All that it holds, in one line.
    fn digest(&self) -> String {
        match self.kind {
            "postgres" => self.tell("SELECT count(*), md5(string_agg(v, ',' ORDER BY id)) FROM t, w"),
            "mariadb" | "mysql" => self.tell(
                "SELECT count(*), sum(crc32(v)), max(id), \
                 (SELECT count(*) FROM information_schema.events WHERE event_schema = DATABASE()), \
                 (SELECT count(*) FROM information_schema.routines WHERE routine_schema = DATABASE()), \
                 (SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = DATABASE()) FROM t, w",
            ),
            _ => self.tell(
                "EVAL \"local s = '' for i = 1, 5000 do s = redis.sha1hex(s .. (redis.call('GET', 'k' .. i) or '')) \
                 end return s\" 0",
            ),
        }
    }

    fn destroy(&self) {
        match self.kind {
            "postgres" => self.tell("DROP VIEW w; DROP TABLE t"),
            "mariadb" | "mysql" => self.tell("DROP VIEW w; DROP TABLE t; DROP EVENT e; DROP PROCEDURE p"),
            _ => self.tell("FLUSHALL"),
        };
    }

    fn take(&self) -> i64 {
        let made = self.host.rivetr(["backups", "take", &self.name, "--json"]).succeeds().json();
        assert_eq!(made["state"], "done");
        made["id"].as_i64().unwrap()
    }

    fn backups(&self) -> Value {
        self.host.rivetr(["backups", "list", &self.name, "--json"]).succeeds().json()["items"].clone()
    }
}

/// No database is there that a restore was to have for itself.
fn assert_no_scratch(host: &Host) {
    let names = host.names(["podman", "ps", "--all", "--format", "{{.Names}}"], "rivetr-db-");
    assert!(!names.iter().any(|name| name.contains("-restore-")), "{names:?}");
}

#[test]
fn what_was_destroyed_is_there_again() {
    let host = Host::boot("backups");
    let kinds = [("postgres", "17"), ("mariadb", "11.8"), ("mysql", "9"), ("redis", "8"), ("valkey", "8")];
    for (kind, version) in kinds {
        let server = Server::create(&host, kind, version);
        server.fill();
        let before = server.digest();
        let id = server.take().to_string();
        host.rivetr(["backups", "check", &id]).succeeds().says("good: ");
        assert_no_scratch(&host);

        server.destroy();
        host.rivetr(["backups", "restore", &id, "--in-place", "--yes"]).succeeds();
        assert_eq!(server.digest(), before, "{kind}: in place");
        if kind == "mysql" {
            let kept_from_replicas = server.tell("SELECT @@GLOBAL.gtid_purged");
            assert_eq!(kept_from_replicas, "", "what was restored stands in the binary log");
        }
        // Handed out, and in again, for another one.
        host.rivetr(["backups", "download", &id, "--plain", "--to", "/tmp/dump"]).succeeds();
        let imported =
            host.rivetr(["backups", "import", &server.name, "/tmp/dump", "--json"]).succeeds().json();
        let (id, copy) = (imported["id"].to_string(), format!("copy-{kind}"));
        host.rivetr(["backups", "restore", &id, "--new", &copy]).succeeds();
        assert_eq!(server.named(&copy).digest(), before, "{kind}: from an import into a new one");
        assert_no_scratch(&host);
    }
    let arguments = host.run(["ps", "axww", "-o", "args"]).succeeds().stdout;
    assert!(!arguments.contains("PGPASSWORD"), "{arguments}");
}

/// A storage that is told of, or why it is not.
pub fn tell_of(host: &Host, s3: &S3<'_>, name: &str, secret: &str) -> Ran {
    let (endpoint, bucket, key) = (&s3.endpoint, s3.bucket, s3.access_key);
    host.run(["sh", "-c", &format!(
        "printf '%s' '{secret}' | rivetr backups destinations add {name} --endpoint {endpoint} --bucket {bucket} \
         --prefix of/rivetr --path-style --key-id {key} --secret-stdin"
    )])
}

#[test]
fn a_storage_takes_them_and_gives_them_back() {
    let host = Host::boot("backups3");
    let s3 = host.s3();
    tell_of(&host, &s3, "offsite", "another").exits(5).says("SignatureDoesNotMatch");
    tell_of(&host, &s3, "offsite", s3.secret_key).succeeds();
    assert_eq!(s3.keys(), [""; 0], "what was tried with has gone");

    for (kind, version) in [("postgres", "17"), ("mariadb", "11.8"), ("valkey", "8")] {
        let server = Server::create(&host, kind, version);
        server.fill();
        let before = server.digest();
        let take = ["backups", "take", &server.name, "--to", "offsite", "--json"];
        let made = host.rivetr(take).succeeds().json();
        let (id, file) = (made["id"].to_string(), made["file"].as_str().unwrap().to_owned());
        let key = s3.keys().into_iter().find(|key| key.contains(kind)).expect("an object");
        assert!(key.starts_with("of/rivetr/") && key.ends_with(&file), "{key} is not {file}");
        assert!(s3.read(&key).starts_with(b"age-encryption.org/v1\n"));
        assert!(!host.path(&format!("{KEPT}/{file}")).exists(), "none of it lies on the disk");
        host.rivetr(["backups", "check", &id]).succeeds().says("good: ");

        server.destroy();
        host.rivetr(["backups", "restore", &id, "--in-place", "--yes"]).succeeds();
        assert_eq!(server.digest(), before, "{kind}: in place");
        host.rivetr(["databases", "delete", &server.name, "--yes"]).succeeds();
        host.rivetr(["backups", "restore", &id, "--new", &server.name]).succeeds();
        assert_eq!(server.digest(), before, "{kind}: the database itself had gone");
        assert_no_scratch(&host);
    }
}

#[test]
fn a_large_one_goes_in_parts_and_a_storage_that_is_gone_is_loud() {
    let host = Host::boot("backlarge");
    let s3 = host.s3();
    tell_of(&host, &s3, "offsite", s3.secret_key).succeeds();
    let server = Server::create(&host, "postgres", "17");
    // 24 MB of which nothing can be foretold, so that it is more than two parts.
    server.tell(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, (SELECT \
         string_agg(md5(random()::text || n || i), '') FROM generate_series(1, 250) i) FROM generate_series(1, 6000) n; \
         CREATE VIEW w AS SELECT count(*) FROM t",
    );
    let before = server.digest();
    let take = ["backups", "take", &server.name, "--to", "offsite", "--json"];
    let id = host.rivetr(take).succeeds().json()["id"].to_string();
    let keys = s3.keys();
    assert!(keys.len() == 1 && s3.read(&keys[0]).len() > 20 << 20, "{keys:?}");
    server.destroy();
    host.rivetr(["backups", "restore", &id, "--in-place", "--yes"]).succeeds();
    assert_eq!(server.digest(), before);

    s3.stop();
    host.rivetr(take).exits(1).says("the backup of my-postgres failed");
    assert_eq!(server.backups()[0]["state"], "failed");
    host.rivetr(["backups", "restore", &id, "--in-place", "--yes"]).exits(1);
    assert_eq!(server.digest(), before);
    s3.start();
    assert_eq!(s3.keys(), keys, "nothing half done is there");

    // What a schedule keeps holds there too.
    let to = ["--to", "offsite", "--keep", "1"];
    let schedule = ["backups", "schedule", &server.name, "--at", "daily 03:30"];
    host.rivetr(schedule.into_iter().chain(to)).succeeds();
    host.systemctl(["start", "rivetr-backup-my-postgres.service"]).succeeds();
    let kept = s3.keys();
    assert!(kept.len() == 1 && kept != keys, "{kept:?} after {keys:?}");
    host.rivetr(["backups", "destinations", "remove", "offsite"]).exits(5);
}

#[test]
fn a_broken_backup_is_refused_and_changes_nothing() {
    let host = Host::boot("broken");
    let server = Server::create(&host, "postgres", "17");
    server.fill();
    let before = server.digest();
    let id = server.take().to_string();
    let shown = host.rivetr(["backups", "show", &id, "--json"]).succeeds().json();
    let path = host.path(&format!("{KEPT}/{}", shown["file"].as_str().unwrap()));
    let whole = std::fs::read(&path).unwrap();
    let mut altered = whole.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    for file in [&altered[..], &whole[..whole.len() - 1], &whole[..70_000], b"nothing"] {
        std::fs::write(&path, file).unwrap();
        host.rivetr(["backups", "restore", &id, "--in-place", "--yes"]).exits(1);
        host.rivetr(["backups", "restore", &id, "--new", "copy"]).exits(1);
        host.rivetr(["backups", "download", &id, "--plain", "--to", "/tmp/dump"]);
        assert!(!host.path("/tmp/dump").exists());
        assert_eq!(server.digest(), before);
        assert_no_scratch(&host);
    }
    host.rivetr(["backups", "check", &id]).exits(1).says("no file of the age format");
    std::fs::write(&path, whole).unwrap();
    host.rivetr(["backups", "check", &id]).succeeds();
}

#[test]
fn killed_in_the_middle_nothing_is_lost_and_nothing_half_done_stays() {
    let host = Host::boot("bkilled");
    let server = Server::create(&host, "postgres", "17");
    server.fill();
    let before = server.digest();
    let id = server.take().to_string();
    let dies_at = |point: &str, command: &[&str]| {
        let pid = host.main_pid();
        std::fs::write(host.path(FAILPOINT), point).unwrap();
        host.rivetr(command.iter().copied());
        soon(|| host.main_pid(), |now| *now != pid);
        soon(|| host.rivetr(["status"]).code, |code| *code == 0);
        assert!(!host.path(FAILPOINT).exists(), "{point}");
    };
    for point in ["backup-begun", "backup-written"] {
        dies_at(point, &["backups", "take", &server.name]);
        let state = soon(|| server.backups()[0]["state"].clone(), |state| state == "failed");
        assert_eq!(state, "failed", "{point}");
        let files = host.list(&format!("{KEPT}/{}", server.name));
        assert_eq!((files.len(), host.list(KEPT).len()), (1, 1), "{point}: {files:?}");
        assert_eq!(server.digest(), before);
    }
    for (point, done) in [("restore-begun", false), ("restore-filled", false), ("restore-swapped", true)] {
        server.destroy();
        server.tell("CREATE TABLE later (v int)");
        dies_at(point, &["backups", "restore", &id, "--in-place", "--yes"]);
        let shown =
            || host.rivetr(["backups", "show", &id, "--json"]).succeeds().json()["restores"][0].clone();
        let ended = soon(shown, |restore| restore["ended"].is_string());
        assert_eq!(ended["failure"].is_null(), done, "{point}: {ended}");
        soon(
            || host.names(["podman", "ps", "--all", "--format", "{{.Names}}"], "rivetr-db-").len(),
            |count| *count == 1,
        );
        let running =
            || host.systemctl(["is-active", &format!("rivetr-db-{}.service", server.name)]).code == 0;
        assert!(soon(running, |running| *running), "{point}");
        if !done {
            assert_eq!(server.tell("SELECT count(*) FROM later"), "0", "{point}: what was there is there");
            host.rivetr(["backups", "restore", &id, "--in-place", "--yes"]).succeeds();
        }
        assert_eq!(server.digest(), before, "{point}");
    }
}

#[test]
fn a_schedule_is_a_timer_and_keeps_what_it_should() {
    let host = Host::boot("bschedule");
    let server = Server::create(&host, "valkey", "8");
    server.fill();
    host.rivetr(["backups", "schedule", &server.name]).exits(4);
    let schedule = ["backups", "schedule", &server.name, "--at", "daily 03:30", "--keep", "2"];
    host.rivetr(schedule).succeeds().says("daily 03:30");
    host.systemctl(["list-timers", "--all"]).succeeds().says("rivetr-backup-my-valkey.timer");
    for _ in 0..3 {
        host.systemctl(["start", "rivetr-backup-my-valkey.service"]).succeeds();
    }
    let backups = server.backups();
    assert_eq!(backups.as_array().unwrap().len(), 2, "{backups}");
    assert_eq!(backups[0]["reason"], "scheduled");
    assert_eq!(host.list(&format!("{KEPT}/{}", server.name)).len(), 2);
    host.rivetr(["backups", "schedule", &server.name, "--off"]).succeeds();
    assert_eq!(host.systemctl(["cat", "rivetr-backup-my-valkey.timer"]).code, 1);
}
