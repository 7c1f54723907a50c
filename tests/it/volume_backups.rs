//! Backups of the volumes of apps and services: what was there is there again, and who is held for it goes on, whatever
//! happens meanwhile.

use serde_json::Value;

use crate::backups::{FAILPOINT, KEPT, tell_of};
use crate::host::{Host, Mode, soon};

const DATA: &str = "rivetr-vol-blog-data";
const RELEASE: &str = "rivetr-app-blog-1";
const VOLUMES: [&str; 4] = ["podman", "volume", "ls", "--quiet"];

const SHOP: &str = "
services:
  db:
    image: docker.io/library/busybox:stable
    command: sh -c 'test -f /data/state || echo first > /data/state; exec httpd -f -p 8080 -h /data'
    stop_signal: SIGKILL
    volumes: [data:/data]
  web:
    image: docker.io/library/busybox:stable
    command: sleep 1000000
    stop_signal: SIGKILL
    depends_on: [db]
volumes:
  data:
";

/// Files of every kind that a volume may have, and a digest of all that is told of them.
const FILL: &str = "umask 022; cd /data; mkdir -p a/empty 'a/b c'; head -c 5000000 /dev/urandom > a/large; \
    echo text > 'a/b c/ä'; : > a/nothing; ln -s ../a a/link; ln a/nothing a/twice; chmod 0640 a/large; \
    chown 1234:5678 a/large 'a/b c'; chmod 0751 /data; chown 1234:5678 /data; touch -d '2020-01-02 03:04:05' a/nothing";
const DIGEST: &str = "cd /data; find . | sort | while read -r f; do stat -c '%n %F %a %u:%g %h %Y' \"$f\"; \
    test -f \"$f\" && md5sum \"$f\"; readlink \"$f\"; done | sed '/directory/s/ [0-9]*$//' | md5sum";

fn app(host: &Host) {
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--volume", "data:/data"]).succeeds();
    host.sample("blog").push().succeeds();
}

fn inside(host: &Host, command: &str) -> String {
    host.as_owner(["podman", "exec", RELEASE, "sh", "-c", command]).succeeds().stdout
}

/// What a command sees that has another volume in the place of the app's.
fn with(host: &Host, volume: &str, command: &str) -> String {
    let mount = format!("{volume}:/data");
    let image = host.as_owner(["podman", "inspect", "--format", "{{.Image}}", RELEASE]).succeeds().stdout;
    let run =
        ["podman", "run", "--rm", "--network=none", "--volume", &mount, image.trim(), "sh", "-c", command];
    host.as_owner(run).succeeds().stdout
}

/// How a container is; nothing: there is none.
fn state(host: &Host, container: &str) -> String {
    let shown = host.as_owner(["podman", "inspect", "--format", "{{.State.Status}}", container]);
    if shown.code == 0 { shown.stdout.trim().to_owned() } else { String::new() }
}

fn take(host: &Host, options: &[&str]) -> Value {
    let take = ["backups", "take", DATA, "--json"].into_iter().chain(options.iter().copied());
    let made = host.rivetr(take).succeeds().json();
    assert_eq!((&made["state"], &made["kind"]), (&"done".into(), &"volume".into()), "{made}");
    made
}

fn assert_nothing_is_left(host: &Host) {
    assert_eq!(host.list("/var/lib/rivetr/spool"), [""; 0]);
    let aside = host.names(VOLUMES, "rivetr-vol-").into_iter().filter(|name| name.contains("_before_"));
    assert_eq!(aside.count(), 0);
}

/// Sets or shows the extended attributes of files in a volume, as those see them who own its files.
fn attributes(host: &Host, volume: &str, script: &str) -> String {
    let place = host.as_owner(["podman", "volume", "inspect", "--format", "{{.Mountpoint}}", volume]);
    let script = format!("import os; os.chdir({:?}); {script}", place.succeeds().stdout.trim());
    let python = ["python3", "-c", &script];
    let inside: &[&str] = if host.mode() == Mode::Rootless { &["podman", "unshare"] } else { &[] };
    host.as_owner(inside.iter().chain(&python)).succeeds().stdout
}

/// What a program that is not root may do: bind to low ports, `cap_net_bind_service=ep`.
const SET: &str = "os.setxattr('a/large', 'security.capability', bytes.fromhex('0100000200040000000000000000000000000000')); \
    os.setxattr('a/large', 'user.note', bytes(range(256))); os.setxattr('a', 'user.folder', b'of a folder')";
const SHOW: &str = "print([(name, key, os.getxattr(name, key).hex()) for name in ('a', 'a/large') \
    for key in sorted(os.listxattr(name)) if key.startswith(('user.', 'security.capability'))])";

#[test]
fn the_files_of_a_volume_are_there_again_as_they_were() {
    let host = Host::boot("volback");
    app(&host);
    let s3 = host.s3();
    tell_of(&host, &s3, "offsite", s3.secret_key).succeeds();
    inside(&host, FILL);
    attributes(&host, DATA, SET);
    let (before, noted) = (inside(&host, DIGEST), attributes(&host, DATA, SHOW));
    assert_eq!(noted.matches("0100000200040000").count(), 1, "{noted}");
    host.rivetr(["backups", "take", "rivetr-vol-blog-nowhere"]).exits(4);
    host.rivetr(["backups", "list", DATA]).succeeds().says("There are no backups");
    for (place, hold) in [("disk", "--pause"), ("offsite", "--stop")] {
        let made = take(&host, &["--to", place, hold]);
        assert_eq!(
            (&made["items"], &made["hold"]),
            (&8.into(), &hold.trim_start_matches("--").into()),
            "{made}"
        );
        let (id, file) = (made["id"].to_string(), made["file"].as_str().unwrap().to_owned());
        let on_disk = host.path(&format!("{KEPT}/{file}"));
        let sealed = if place == "disk" { std::fs::read(on_disk).unwrap() } else { s3.read(&s3.keys()[0]) };
        assert!(sealed.starts_with(b"age-encryption.org/v1\n"), "{file}");
        assert_eq!(soon(|| state(&host, RELEASE), |state| state == "running"), "running");
        assert_nothing_is_left(&host);
        host.rivetr(["backups", "check", &id]).succeeds().says("good: 8 files");
        assert_nothing_is_left(&host);

        inside(&host, "rm -rf /data/a; echo later > /data/later; chown 0:0 /data");
        let restore = ["backups", "restore", &id, "--in-place", "--yes"];
        host.rivetr(restore).succeeds().says("has the data of backup");
        assert_eq!(inside(&host, DIGEST), before, "{place}: in place");
        assert_eq!(attributes(&host, DATA, SHOW), noted, "{place}: in place");
        assert_eq!(soon(|| host.get("blog").status, |status| *status == 200), 200);
        // What was there before is aside, whole.
        let aside = host.names(VOLUMES, "rivetr-vol-").into_iter().find(|name| name.contains("_before_"));
        let aside = aside.expect("the old data are kept");
        let shown = host.rivetr(["volumes", "show", &aside, "--json"]).succeeds().json();
        assert_eq!(shown["orphaned"], true);
        assert_eq!(with(&host, &aside, "cat /data/later"), "later\n");
        host.rivetr(["volumes", "delete", &aside, "--yes"]).succeeds();

        let copy = format!("copy_{place}");
        host.rivetr(["backups", "restore", &id, "--new", &copy]).succeeds();
        assert_eq!(
            with(&host, &format!("rivetr-vol-blog-{copy}"), DIGEST),
            before,
            "{place}: into a new one"
        );
        host.rivetr(["backups", "restore", &id, "--new", &copy]).exits(5).says("already");
    }

    // Handed out, and in again, also where the volume itself has gone.
    let id = take(&host, &[])["id"].to_string();
    host.rivetr(["backups", "download", &id, "--plain", "--to", "/tmp/data.tar"]).succeeds();
    host.run(["tar", "--list", "--file", "/tmp/data.tar"]).succeeds().says("./a/large");
    let unpack = "mkdir /tmp/out; tar --extract --xattrs --xattrs-include='*' --file /tmp/data.tar --directory /tmp/out; \
                  python3 -c \"import os; print(os.getxattr('/tmp/out/a/large', 'user.note').hex())\"";
    host.run(["sh", "-c", unpack]).succeeds().says("000102030405");
    let imported = host.rivetr(["backups", "import", DATA, "/tmp/data.tar", "--json"]).succeeds().json();
    assert_eq!(imported["items"], 8);
    host.rivetr(["backups", "import", DATA, "/etc/passwd"]).fails().says("this is no tar");
    inside(&host, "rm -rf /data/a");
    let restore = ["backups", "restore", &imported["id"].to_string(), "--in-place", "--yes"];
    host.rivetr(restore).succeeds();
    assert_eq!(inside(&host, DIGEST), before, "from an import");
    assert_eq!(attributes(&host, DATA, SHOW), noted, "from an import");

    // A file that was altered or cut off changes nothing.
    let file = host.rivetr(["backups", "show", &id, "--json"]).succeeds().json()["file"].clone();
    let path = host.path(&format!("{KEPT}/{}", file.as_str().unwrap()));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    host.rivetr(["backups", "restore", &id, "--in-place", "--yes"]).exits(1);
    host.rivetr(["backups", "check", &id]).exits(1);
    assert_eq!(inside(&host, DIGEST), before);
    host.rivetr(["doctor"]).says("cannot be restored");
}

#[test]
fn nobody_is_held_longer_than_the_copy_takes_whatever_happens() {
    let host = Host::boot("volheld");
    app(&host);
    let s3 = host.s3();
    tell_of(&host, &s3, "offsite", s3.secret_key).succeeds();
    // Large enough for its copy to be under way when rivetr is killed.
    inside(&host, "dd if=/dev/zero of=/data/large bs=1M count=400 2>/dev/null");
    for (hold, held) in [("--pause", "paused"), ("--stop", "")] {
        let mut take = host.spawn(["rivetr", "backups", "take", DATA, hold]);
        assert_eq!(soon(|| state(&host, RELEASE), |state| state == held), held, "{hold}");
        let pid = host.main_pid();
        host.run(["systemctl", "kill", "--signal=KILL", "rivetr.service"]).succeeds();
        take.wait().unwrap();
        soon(|| host.main_pid(), |now| *now != pid);
        assert_eq!(soon(|| state(&host, RELEASE), |state| state == "running"), "running", "{hold}");
        let serves = || host.ask(&host.host_of("blog"), "/").is_ok_and(|answer| answer.status == 200);
        assert!(soon(serves, |serves| *serves), "{hold}");
        soon(|| host.rivetr(["status"]).code, |code| *code == 0);
        let newest =
            || host.rivetr(["backups", "list", DATA, "--json"]).succeeds().json()["items"][0].clone();
        let newest = soon(newest, |newest| newest["state"] == "failed");
        assert_eq!(
            (&newest["state"], newest["failure"].as_str().unwrap()),
            (&"failed".into(), "rivetr ended while it was made")
        );
        let spool = soon(|| host.list("/var/lib/rivetr/spool"), Vec::is_empty);
        assert_eq!(spool, [""; 0], "{hold}");
    }

    // A storage that is gone holds nobody, and is loud.
    s3.stop();
    host.rivetr(["backups", "take", DATA, "--to", "offsite"])
        .exits(1)
        .says("the backup of rivetr-vol-blog-data failed");
    assert_eq!((state(&host, RELEASE).as_str(), host.get("blog").status), ("running", 200));
    host.rivetr(["doctor"]).says("rivetr-vol-blog-data: backup");
    s3.start();

    // Dying at each step of a restore leaves the old data or the new, and the app serves.
    inside(&host, "rm /data/large; echo old > /data/file");
    let id = take(&host, &[])["id"].to_string();
    for (point, done) in [("restore-begun", false), ("volume-filled", false), ("volume-swapped", true)] {
        inside(&host, "echo new > /data/file");
        let pid = host.main_pid();
        std::fs::write(host.path(FAILPOINT), point).unwrap();
        host.rivetr(["backups", "restore", &id, "--in-place", "--yes"]);
        soon(|| host.main_pid(), |now| *now != pid);
        soon(|| host.rivetr(["status"]).code, |code| *code == 0);
        assert!(!host.path(FAILPOINT).exists(), "{point}");
        let shown =
            || host.rivetr(["backups", "show", &id, "--json"]).succeeds().json()["restores"][0].clone();
        let ended = soon(shown, |restore| restore["ended"].is_string());
        assert_eq!(ended["failure"].is_null(), done, "{point}: {ended}");
        assert_eq!(soon(|| state(&host, RELEASE), |state| state == "running"), "running", "{point}");
        assert_eq!(inside(&host, "cat /data/file"), if done { "old\n" } else { "new\n" }, "{point}");
        let aside = host.names(VOLUMES, "rivetr-vol-").into_iter().filter(|name| name.contains("_before_"));
        assert_eq!(aside.count(), usize::from(done), "{point}");
    }
}

#[test]
fn the_volume_of_a_service_has_a_timer_and_comes_back_with_all_its_containers() {
    let host = Host::boot("volservice");
    std::fs::create_dir_all(host.path("/srv/shop")).unwrap();
    std::fs::write(host.path("/srv/shop/compose.yaml"), SHOP).unwrap();
    host.rivetr(["services", "create", "shop", "--file", "/srv/shop/compose.yaml"]).succeeds();
    let volume = "rivetr-svc-shop_data";
    let (db, web) = ("rivetr-svc-shop-db", "rivetr-svc-shop-web");
    let within = |command: &str| host.as_owner(["podman", "exec", db, "sh", "-c", command]).succeeds().stdout;
    assert_eq!(within("cat /data/state"), "first\n");
    let unit = "rivetr-volume-svc-shop_data";
    let schedule = ["backups", "schedule", volume, "--at", "daily 03:30", "--keep", "2", "--stop"];
    host.rivetr(schedule).succeeds().says("stopped");
    host.systemctl(["list-timers", "--all"]).succeeds().says(&format!("{unit}.timer"));
    for _ in 0..3 {
        host.systemctl(["start", &format!("{unit}.service")]).succeeds();
    }
    let backups = host.rivetr(["backups", "list", volume, "--json"]).succeeds().json()["items"].clone();
    assert_eq!(
        (backups.as_array().unwrap().len(), &backups[0]["reason"]),
        (2, &"scheduled".into()),
        "{backups}"
    );
    let up = |container| soon(|| state(&host, container), |state| state == "running");
    assert_eq!((up(db).as_str(), up(web).as_str()), ("running", "running"));
    within("echo second > /data/state");
    host.rivetr(["backups", "restore", &backups[0]["id"].to_string(), "--in-place", "--yes"]).succeeds();
    assert_eq!((up(db).as_str(), up(web).as_str()), ("running", "running"));
    assert_eq!(within("cat /data/state"), "first\n");
    host.rivetr(["backups", "schedule", volume, "--off"]).succeeds();
    assert_eq!(host.systemctl(["cat", &format!("{unit}.timer")]).code, 1);
    host.rivetr(schedule).succeeds();
    host.rivetr(["services", "delete", "shop", "--volumes", "--yes"]).succeeds();
    assert_eq!(host.systemctl(["cat", &format!("{unit}.timer")]).code, 1, "its timer went with it");
}

#[test]
fn another_image_of_a_database_waits_for_a_backup() {
    let host = Host::boot("volimage");
    host.rivetr(["databases", "create", "cache", "--kind", "valkey", "--version", "8"]).succeeds();
    let show = || host.rivetr(["databases", "show", "cache", "--json"]).succeeds().json();
    let good = || {
        let all = host.rivetr(["backups", "list", "cache", "--json"]).succeeds().json()["items"].clone();
        let done = all.as_array().unwrap().iter().filter(|backup| backup["state"] == "done").cloned();
        done.collect::<Vec<Value>>()
    };
    let before = show();
    // A file in the place of the folder of backups: none can be made.
    host.run(["sh", "-c", &format!("rm -rf {KEPT}; touch {KEPT}")]).succeeds();
    let other = ["databases", "set", "cache", "--image", "registry.invalid/valkey:8"];
    host.rivetr(other).exits(5).says("nothing was changed").says("--without-backup");
    let after = show();
    assert_eq!((&after["image"], &after["state"]), (&before["image"], &before["state"]));
    host.rivetr(other.into_iter().chain(["--without-backup"])).succeeds();
    assert_eq!(show()["image"], "registry.invalid/valkey:8");
    host.rivetr(["databases", "set", "cache", "--version", "8"]).succeeds();
    assert_eq!(soon(show, |now| now["state"] == "running")["state"], "running");
    assert_eq!(good(), [] as [Value; 0]);
    host.run(["rm", KEPT]).succeeds();
    host.rivetr(other).succeeds();
    let made = good();
    assert_eq!((made.len(), &made[0]["reason"]), (1, &"before".into()), "{made:?}");
}

#[test]
fn a_backup_waits_for_a_release_that_is_being_checked() {
    let host = Host::boot("volcheck");
    let image = ["apps", "create", "blog", "--port", "8080", "--image", "docker.io/library/busybox:stable"];
    let runs = ["--entrypoint", "sh -c", "--command", "'exec httpd -f -p 8080 -h /data'"];
    let other = ["--volume", "data:/data", "--stop-signal", "SIGKILL"];
    host.rivetr(image.into_iter().chain(runs).chain(other)).succeeds();
    for (release, hold) in [(1, "--pause"), (2, "--stop")] {
        let (container, up) = (format!("rivetr-app-blog-{release}"), format!("/up{release}"));
        let tell =
            |command: &str| host.as_owner(["podman", "exec", &container, "sh", "-c", command]).succeeds();
        host.rivetr(["apps", "set", "blog", "--health-path", &up, "--health-timeout", "120"]).succeeds();
        let deploy = host.spawn(["rivetr", "deploy", "blog"]);
        let newest = || host.rivetr(["deployments", "blog", "--json"]).succeeds().json()["items"][0].clone();
        let checked = |newest: &Value| newest["state"] == "checking" && newest["number"] == release;
        assert!(checked(&soon(newest, checked)));
        // So large that its copy takes a moment, in which nothing could be told.
        tell("dd if=/dev/zero of=/data/large bs=1M count=400 2>/dev/null");
        let take = host.spawn(["rivetr", "backups", "take", DATA, hold]);
        let backups = || host.rivetr(["backups", "list", DATA, "--json"]).succeeds().json()["items"].clone();
        let count = usize::try_from(release).unwrap();
        let begun = |all: &Value| all.as_array().unwrap().len() == count && all[0]["state"] == "running";
        assert!(begun(&soon(backups, begun)), "{hold}");
        tell(&format!("echo up > /data{up}"));
        for child in [deploy, take] {
            let ended = child.wait_with_output().unwrap();
            assert!(ended.status.success(), "{hold}: {ended:?}");
        }
        // What came meanwhile is in it.
        let made = backups()[0].clone();
        assert_eq!((&made["state"], &made["items"]), (&"done".into(), &(release + 1).into()), "{made}");
        assert_eq!(soon(|| state(&host, &container), |state| state == "running"), "running");
        assert_nothing_is_left(&host);
    }
}
