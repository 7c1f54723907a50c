//! Services that follow a repository as apps do: what of it is followed, a newer push while a build runs, and a look at what
//! a deployment would change.

use std::fs;

use crate::host::soon;
use crate::services_git::{COMPOSE, Scene};
use crate::sources::{POINTER, WHO, publish};

/// A page that is built of a folder of the repository.
const BUILT: &str = "services:\n  web:\n    build: ../app\n    stop_signal: SIGKILL\n";
const INSTRUCTIONS: &str = "FROM docker.io/library/busybox:stable\nCOPY index.html /www/index.html\n\
                            CMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n";

impl Scene {
    /// Says anew what is followed.
    fn source(&self, more: &[&str]) {
        let from = ["source", "shop", "--repository", &self.url, "--file", "deploy/compose.yaml"];
        self.services(from.into_iter().chain(more.iter().copied())).succeeds();
    }

    fn deploy(&self) {
        self.services(["deploy", "shop"]).succeeds();
    }

    #[track_caller]
    fn shows(&self, page: &str) {
        assert_eq!(soon(|| self.page(), |now| now == page), page);
    }

    fn tag(&self, arguments: &[&str]) {
        self.code.git(WHO.into_iter().chain(["tag"]).chain(arguments.iter().copied())).succeeds();
        publish(&self.host, "stack", &self.code);
    }
}

#[test]
fn a_tag_that_is_moved_is_followed_and_a_commit_stays() {
    let scene = Scene::new("svctag");
    let first = scene.head();
    scene.tag(&["--annotate", "--message=v1", "v1"]);
    scene.code.write("page", "second\n");
    scene.commit("Second");
    let from = ["--repository", &scene.url, "--file", "deploy/compose.yaml", "--tag", "v1"];
    scene.services(["create", "shop"].into_iter().chain(from)).succeeds();
    scene.serves();
    scene.shows("first\nhello\n");
    scene.services(["show", "shop"]).succeeds().says("tag v1");
    scene.services(["build-log", "shop"]).succeeds().says("Fetching tag v1").says("-----> Live.");

    scene.tag(&["--force", "v1", "main"]);
    scene.deploy();
    scene.shows("second\nhello\n");
    scene.source(&["--commit", &first]);
    for _ in 0..2 {
        scene.deploy();
        scene.shows("first\nhello\n");
    }
    scene.source(&["--tag", "v9"]);
    scene.services(["deploy", "shop"]).exits(1).says("no tag \"v9\"");

    // A look at what a deployment would change changes nothing.
    scene.source(&[]);
    scene.code.write("deploy/compose.yaml", &COMPOSE.replace("SIGKILL", "SIGTERM"));
    scene.commit("Another signal");
    let (container, revisions) = (scene.container(), scene.revisions().len());
    let look = scene.services(["diff", "shop", "--units"]).succeeds();
    look.says(&format!("commit: {}", scene.head())).says("StopSignal=SIGTERM").says("rivetr-svc-shop-web");
    assert_eq!((scene.container(), scene.revisions().len()), (container, revisions));
    assert!(!scene.host.path("/var/lib/rivetr/services/shop/preview").exists());
    scene.code.write("deploy/compose.yaml", &COMPOSE.replace("stop_signal", "stop_signall"));
    scene.commit("A key that nobody knows");
    scene.services(["diff", "shop"]).exits(5).says("deploy/compose.yaml:5:");
    assert_eq!(scene.revisions().len(), revisions);
}

#[test]
fn submodules_and_large_files_come_along_where_they_are_asked_for() {
    let scene = Scene::new("svcsub");
    let sub = scene.host.sample("sub");
    sub.write("Containerfile", INSTRUCTIONS);
    sub.write("index.html", "of the submodule\n");
    sub.commit("Sub");
    let commit = sub.git(["rev-parse", "HEAD"]).succeeds().stdout.trim().to_owned();
    publish(&scene.host, "sub", &sub);
    let code = &scene.code;
    code.write(".gitmodules", "[submodule \"app\"]\n\tpath = app\n\turl = ../sub.git\n");
    code.write("deploy/compose.yaml", BUILT);
    code.git(["add", "--all"]).succeeds();
    code.git(["update-index", "--add", "--cacheinfo", &format!("160000,{commit},app")]).succeeds();
    code.git(WHO.into_iter().chain(["commit", "--quiet", "-m", "With a submodule"])).succeeds();
    publish(&scene.host, "stack", code);
    let from = ["--repository", &scene.url, "--file", "deploy/compose.yaml"];
    scene.services(["create", "shop"].into_iter().chain(from)).exits(1);
    scene.services(["build-log", "shop"]).succeeds().says("app is a submodule and stays empty");
    scene.source(&["--submodules"]);
    scene.deploy();
    scene.serves();
    scene.shows("of the submodule\n");
    scene.services(["show", "shop"]).succeeds().says("with submodules");

    // What is built once more has them too.
    scene.host.as_owner(["podman", "untag", "localhost/rivetr-service/shop:2-web"]).succeeds();
    scene.services(["rollback", "shop", "2"]).succeeds();
    scene.shows("of the submodule\n");
    scene.services(["build-log", "shop", "3"]).succeeds().says("Submodule app: ");

    code.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    code.write("photo.bin", POINTER);
    // Where git-lfs is installed here, it would take the pointer for contents.
    let add =
        ["-c", "filter.lfs.clean=cat", "-c", "filter.lfs.process=", "add", ".gitattributes", "photo.bin"];
    code.git(add).succeeds();
    code.git(WHO.into_iter().chain(["commit", "--quiet", "-m", "Large"])).succeeds();
    publish(&scene.host, "stack", code);
    scene.deploy();
    scene.services(["build-log", "shop"]).succeeds().says("photo.bin is only a pointer");
    scene.source(&["--submodules", "--lfs"]);
    scene.services(["deploy", "shop"]).exits(1).says("install the package git-lfs");
    scene.shows("of the submodule\n");
}

#[test]
fn a_newer_push_takes_the_place_of_a_build_that_runs() {
    let scene = Scene::new("svcnewer");
    let state = |number: usize| {
        let found = scene.revisions().into_iter().find(|one| one["number"] == number);
        found.unwrap_or_default()["state"].as_str().unwrap_or_default().to_owned()
    };
    let write = |page: &str, slow: bool| {
        let more = if slow { "RUN echo it has begun; sleep 900\n" } else { "" };
        fs::create_dir_all(scene.code.path().join("app")).unwrap();
        scene.code.write("app/index.html", page);
        scene.code.write("app/Containerfile", &INSTRUCTIONS.replace("CMD", &format!("{more}CMD")));
    };
    let begins = |number: usize| {
        scene.services(["deploy", "shop", "--no-wait"]).succeeds();
        assert_eq!(soon(|| state(number), |state| state == "building"), "building");
        let log = || scene.services(["build-log", "shop"]).succeeds().stdout;
        assert!(soon(log, |log| log.contains("\nit has begun")).contains("\nit has begun"), "{}", log());
    };
    scene.code.write("deploy/compose.yaml", BUILT);
    write("first\n", false);
    scene.commit("A build");
    scene.create().succeeds();
    scene.serves();
    scene.shows("first\n");

    write("slow\n", true);
    scene.commit("Slow");
    begins(2);
    let followed = std::thread::scope(|scope| {
        let follow = scope.spawn(|| scene.services(["build-log", "shop", "2", "--follow"]));
        write("third\n", false);
        scene.commit("Third");
        scene.deploy();
        follow.join().unwrap().succeeds()
    });
    followed.says("it has begun").says("Superseded: a newer revision took its place");
    scene.shows("third\n");
    assert_eq!([state(1), state(2), state(3)], ["superseded", "superseded", "live"]);
    let units = || {
        let list = ["list-units", "--all", "--plain", "--no-legend", "rivetr-build-service*"];
        scene.host.systemctl(list).succeeds().stdout
    };
    assert_eq!(units(), "");
    assert_eq!(
        scene.images(),
        ["localhost/rivetr-service/shop:1-web", "localhost/rivetr-service/shop:3-web"]
    );

    // The same for one that an earlier run of rivetr began, and whose successor was asked for before that ended.
    write("slow\n", true);
    scene.commit("Slow again");
    begins(4);
    write("fifth\n", false);
    scene.commit("Fifth");
    scene.host.run(["systemctl", "kill", "--signal=KILL", "rivetr.service"]).succeeds();
    let asked = || scene.services(["deploy", "shop", "--no-wait"]).code;
    assert_eq!(soon(asked, |code| *code == 0), 0);
    assert_eq!(soon(|| state(5), |state| state == "live"), "live");
    scene.shows("fifth\n");
    assert_eq!(state(4), "superseded");
    assert_eq!(units(), "");
}
