//! What one team names of another: in a body, in a list, in what an app left behind.

use crate::host::{Host, Ran};

const VOLUME: &str = "rivetr-vol-blog-data";

/// Two teams on one host, each with a project and a token that may change what is theirs.
struct Teams {
    host: Host,
    main: String,
    others: String,
}

impl Teams {
    fn boot(name: &str) -> Self {
        let host = Host::boot(name);
        host.rivetr(["teams", "create", "others"]).succeeds();
        host.rivetr(["projects", "create", "theirs", "--team", "others"]).succeeds();
        let token = |team, scope| {
            let made = ["tokens", "create", team, "--scope", scope, "--team", team, "--json"];
            format!("RIVETR_TOKEN={}", host.rivetr(made).succeeds().json()["secret"].as_str().unwrap())
        };
        let (main, others) = (token("main", "write"), token("others", "admin"));
        Self { host, main, others }
    }

    fn by(&self, token: &str, words: &[&str]) -> Ran {
        let rivetr = ["env", token, "rivetr", "--server", "http://127.0.0.1:7480"];
        self.host.run(rivetr.iter().chain(words))
    }

    fn main(&self, words: &[&str]) -> Ran {
        self.by(&self.main, words)
    }

    fn others(&self, words: &[&str]) -> Ran {
        self.by(&self.others, words)
    }

    /// What one team has is in no list of the other, and cannot be asked for.
    fn see_nothing_of_main(&self) {
        for words in [
            &["apps", "list", "--json"][..],
            &["projects", "list", "--json"],
            &["routes", "--json"],
            &["volumes", "list", "--json"],
            &["keys", "list", "--json"],
            &["teams", "list", "--json"],
            &["audit", "--json"],
            &["requests", "--json"],
            &["databases", "list", "--json"],
            &["databases", "trash", "list", "--json"],
        ] {
            let ran = self.others(words);
            for word in ["blog", "orders", "\"ours\"", "GREETING", "\"default\""] {
                assert!(!ran.stdout.contains(word), "{words:?} tells of {word}:\n{}", ran.stdout);
            }
        }
        for words in [
            &["logs", "blog"][..],
            &["deployments", "blog"],
            &["env", "list", "blog"],
            &["deploy", "blog"],
            &["databases", "show", "orders"],
            &["databases", "credentials", "orders"],
            &["databases", "logs", "orders"],
            &["databases", "delete", "orders", "--yes"],
        ] {
            self.others(words).exits(4);
        }
    }
}

#[test]
fn what_another_team_has_cannot_be_named_and_is_in_no_list() {
    let teams = Teams::boot("foreign");
    let host = &teams.host;
    host.rivetr(["keys", "create", "ours"]).succeeds();
    host.rivetr(["apps", "create", "blog", "--env", "GREETING=hello"]).succeeds();
    host.sample("blog").push().succeeds();
    host.rivetr(["domains", "add", "blog", "blog.example.org"]).succeeds();

    // An app may not be put into a project, nor fetched by a key, of somebody else. What is not theirs is as if it were
    // not there.
    let nowhere = teams.others(&["apps", "create", "spy", "--project", "nowhere"]).exits(5);
    let foreign = teams.others(&["apps", "create", "spy", "--project", "default"]).exits(5);
    let unnamed = |ran: &Ran, name: &str| ran.stderr.replace(name, "it");
    assert_eq!(unnamed(&foreign, "default"), unnamed(&nowhere, "nowhere"));
    let by_key = |key: &str| {
        let repository = "ssh://git@git.example.org/code.git";
        teams.others(&["apps", "create", "spy", "--project", "theirs", "--git", repository, "--git-key", key])
    };
    assert_eq!(unnamed(&by_key("ours").exits(5), "ours"), unnamed(&by_key("nokey").exits(5), "nokey"));
    teams.others(&["apps", "create", "own", "--project", "theirs"]).succeeds();
    teams.others(&["domains", "add", "own", "blog.example.org"]).exits(5);
    teams.others(&["projects", "create", "more", "--team", "main"]).exits(5);
    let database = |name, project| {
        [
            "databases",
            "create",
            name,
            "--kind",
            "valkey",
            "--project",
            project,
            "--image",
            "registry.invalid/x:1",
            "--no-wait",
        ]
    };
    let nowhere = teams.others(&database("spy", "nowhere")).exits(5);
    let foreign = teams.others(&database("spy", "default")).exits(5);
    assert_eq!(unnamed(&foreign, "default"), unnamed(&nowhere, "nowhere"));
    teams.main(&database("orders", "default")).succeeds();
    teams.others(&database("cache", "theirs")).succeeds();
    // Nor is an app of somebody else told of a database, or said to be there.
    let link = |app| unnamed(&teams.others(&["link", app, "cache"]).exits(5), app);
    assert_eq!(link("blog"), link("nowhere"));
    teams.others(&["link", "own", "orders"]).exits(4);
    teams.others(&["link", "own", "cache"]).succeeds();
    teams.others(&["databases", "credentials", "cache"]).succeeds();
    teams.others(&["keys", "create", "theirkey", "--team", "main"]).exits(5);

    teams.see_nothing_of_main();
    let own = teams.others(&["apps", "list", "--json"]).succeeds().json();
    assert_eq!(own["items"].as_array().unwrap().len(), 1, "{own}");
}

#[test]
fn what_a_deleted_app_left_is_not_for_another_team() {
    let teams = Teams::boot("former");
    let inside = |command| {
        let exec = ["podman", "exec", "rivetr-app-blog-1", "sh", "-c", command];
        teams.host.as_owner(exec).succeeds().stdout
    };
    let create = |project| ["apps", "create", "blog", "--volume", "data:/data", "--project", project];
    teams.main(&create("default")).succeeds();
    teams.host.sample("blog").push().succeeds();
    inside("echo secret > /data/file");
    teams.main(&["apps", "delete", "blog", "--yes"]).succeeds();

    teams.others(&create("theirs")).exits(5).says("they are not this team's");
    // Nor does an administrator hand them on by the name alone.
    teams.host.rivetr(create("theirs")).exits(5).says("volumes of a deleted app blog are still here");
    teams.others(&["volumes", "show", VOLUME]).exits(4);
    teams.others(&["volumes", "delete", VOLUME, "--yes"]).exits(4);
    teams.main(&["volumes", "show", VOLUME]).succeeds();
    // It waits for an app of its own team to come back.
    teams.main(&create("default")).succeeds();
    teams.host.sample("blog").push().succeeds();
    assert_eq!(inside("cat /data/file"), "secret\n");
    teams.main(&["apps", "delete", "blog", "--yes"]).succeeds();
    teams.main(&["volumes", "delete", VOLUME, "--yes"]).succeeds();
    teams.others(&create("theirs")).succeeds();
}

#[test]
fn what_a_deleted_service_left_is_not_for_another_team() {
    let teams = Teams::boot("formersvc");
    let image = "docker.io/library/busybox:stable";
    let compose = format!(
        "services:\n  db:\n    image: {image}\n    command: sleep 1000000\n    stop_signal: SIGKILL\n    \
         volumes: [data:/data]\nvolumes:\n  data:\n"
    );
    std::fs::write(teams.host.path("/tmp/compose.yaml"), compose).unwrap();
    std::fs::write(teams.host.path("/tmp/broken.yaml"), "services:\n  db:\n    nonsense: 1\n").unwrap();
    let create = |project, file| ["services", "create", "shop", "--file", file, "--project", project];
    let inside = |command| {
        let exec = ["podman", "exec", "rivetr-svc-shop-db", "sh", "-c", command];
        teams.host.as_owner(exec).succeeds().stdout
    };
    teams.main(&create("default", "/tmp/compose.yaml")).succeeds();
    inside("echo secret > /data/file");
    teams.main(&["services", "delete", "shop", "--yes"]).succeeds();
    // One that comes to nothing leaves the name whose it was.
    teams.main(&create("default", "/tmp/broken.yaml")).fails();
    teams.others(&create("theirs", "/tmp/compose.yaml")).exits(5).says("team");
    teams.host.rivetr(create("theirs", "/tmp/compose.yaml")).exits(5).says("they are not this team's");
    teams.main(&create("default", "/tmp/compose.yaml")).succeeds();
    assert_eq!(inside("cat /data/file"), "secret\n");
    teams.main(&["services", "delete", "shop", "--volumes", "--yes"]).succeeds();
    teams.others(&create("theirs", "/tmp/compose.yaml")).exits(5).says("another team");
    teams.host.rivetr(create("theirs", "/tmp/compose.yaml")).succeeds();
}
