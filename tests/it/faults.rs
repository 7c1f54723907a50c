//! The daemon dies, and the apps do not notice.

use crate::host::{CONTAINERS, Host, Push};

/// Where the daemon is made to die: the same list as in the engine.
const FAILPOINTS: [&str; 13] = [
    "enqueued",
    "fetching",
    "after-fetching",
    "building",
    "after-building",
    "starting",
    "after-starting",
    "checking",
    "after-checking",
    "switching",
    "after-switching",
    "retiring",
    "after-retiring",
];

/// How often it dies at each point.
const TIMES: u32 = 3;

#[test]
fn killed_at_each_step_it_recovers_and_no_request_is_lost() {
    let host = Host::boot("killed");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();
    let mut live = 1;

    let load = host.load("blog", 200);
    for point in FAILPOINTS {
        for _ in 0..TIMES {
            let before = host.main_pid();
            std::fs::write(host.path("/var/lib/rivetr/failpoint"), point).unwrap();
            // It may die before it answers; the deployment is stored all the same.
            let asked = host.rivetr(["deploy", "blog", "--detach"]);
            live += 1;
            assert!(asked.code == 0 || asked.code == 3, "{point}: {} {}", asked.code, asked.stderr);
            // The socket is systemd's: who asks now waits until the daemon is back. A connection of the old one breaks.
            let followed = |_: &u32| host.rivetr(["logs", "blog", "--build", &live.to_string()]).code == 0;
            assert!((0..20).any(|again| followed(&again)), "{point}: the daemon did not come back");
            assert_ne!(host.main_pid(), before, "{point}: the daemon did not die");
            assert!(!host.path("/var/lib/rivetr/failpoint").exists(), "{point}");
            let shown = host.rivetr(["deployments", "blog", "--limit", "1", "--json"]).succeeds().json();
            assert_eq!(shown["items"][0]["number"], live, "{point}");
            assert_eq!(shown["items"][0]["state"], "live", "{point}");
            host.assert_only("blog", &[live]);
        }
    }
    host.rivetr(["deploy", "blog"]).succeeds();
    let report = load.lost_nothing();
    println!("killed at each step: {report}");
    host.assert_only("blog", &[live + 1]);
    host.assert_images("blog", &[live - 1, live, live + 1]);
    host.rivetr(["doctor"]).succeeds();
}

#[test]
fn apps_answer_while_the_daemon_is_stopped_or_killed() {
    let host = Host::boot("stopped");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();

    let load = host.load("blog", 100);
    host.run(["systemctl", "kill", "--signal=KILL", "rivetr.service"]).succeeds();
    assert_eq!(host.get("blog").status, 200);
    host.rivetr(["status"]).succeeds();
    host.run(["systemctl", "stop", "rivetr.socket", "rivetr-http.socket", "rivetr.service"]).succeeds();
    assert_eq!(host.get("blog").status, 200);
    host.rivetr(["status"]).exits(3).says("systemctl");
    host.run(["systemctl", "start", "rivetr.socket", "rivetr-http.socket", "rivetr.service"]).succeeds();
    host.rivetr(["deploy", "blog"]).succeeds();
    load.lost_nothing();
}

#[test]
fn a_build_goes_on_while_the_daemon_is_killed() {
    let host = Host::boot("midbuild");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    let push = building_a_while(&host);
    host.run(["systemctl", "kill", "--signal=KILL", "rivetr.service"]).succeeds();
    assert_ne!(push.end().code, 0, "a push whose rivetr died has not succeeded");

    host.rivetr(["logs", "blog", "--build", "1"]).succeeds().says("-----> Live");
    assert_eq!(host.get("blog").status, 200);
    host.assert_only("blog", &[1]);
    host.assert_images("blog", &[1]);
}

#[test]
fn what_a_build_left_that_was_begun_anew_goes_also_when_the_daemon_dies_again() {
    let host = Host::boot("anew");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    let push = building_a_while(&host);
    let build = "rivetr-build-blog-1.service";
    host.run(["systemctl", "stop", "rivetr.socket", "rivetr-http.socket", "rivetr.service"]).succeeds();
    push.kill();
    host.systemctl(["kill", "--signal=KILL", build]).succeeds();
    host.systemctl(["reset-failed", build]);
    let left = host.names(CONTAINERS, "");
    assert!(left.iter().any(|name| name.contains("working-container")), "the build left nothing: {left:?}");

    host.run(["systemctl", "start", "rivetr.socket", "rivetr-http.socket", "rivetr.service"]).succeeds();
    let began = |_| host.systemctl(["is-active", build]).code == 0;
    assert!((0..1000).any(began), "the build did not begin anew");
    host.run(["systemctl", "kill", "--signal=KILL", "rivetr.service"]).succeeds();
    host.rivetr(["logs", "blog", "--build", "1"]).succeeds().says("-----> Live");
    host.assert_only("blog", &[1]);
}

#[test]
fn a_live_release_that_cannot_start_any_more_is_deployed_over() {
    let host = Host::boot("over");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();
    host.as_owner(["podman", "rmi", "--force", "localhost/rivetr/blog:1"]).succeeds();
    assert_ne!(
        host.systemctl(["restart", "rivetr-app-blog-1.service"]).code,
        0,
        "it started without an image"
    );
    host.rivetr(["deploy", "blog"]).succeeds();
    assert_eq!(host.get("blog").status, 200);
    host.assert_only("blog", &[2]);
}

#[test]
fn an_app_that_is_being_built_can_be_deleted_also_over_a_crash() {
    let host = Host::boot("deleted");
    for crash in [false, true] {
        let (_repository, push) = host.live_and_building("blog");
        if crash {
            let first_try = host.spawn(["rivetr", "apps", "delete", "blog", "--yes"]);
            host.run(["systemctl", "kill", "--signal=KILL", "rivetr.service"]).succeeds();
            first_try.wait_with_output().unwrap();
        }
        let deleted = host.rivetr(["apps", "delete", "blog", "--yes"]);
        assert!(deleted.code == 0 || crash && deleted.code == 4, "{deleted:?}");
        assert_ne!(push.end().code, 0);
        host.assert_only("blog", &[]);
        host.assert_images("blog", &[]);
    }
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let host = Host::boot("second");
    let second = host.as_owner(["env", "STATE_DIRECTORY=/var/lib/rivetr", "rivetr", "serve"]);
    assert_ne!(second.code, 0);
    second.says("another rivetr");
    host.rivetr(["status"]).succeeds();
}

#[test]
fn a_lost_database_is_not_taken_for_a_fresh_start() {
    let host = Host::boot("lostdb");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();
    host.run(["systemctl", "stop", "rivetr.socket", "rivetr-http.socket", "rivetr.service"]).succeeds();
    for suffix in ["", "-wal", "-shm"] {
        host.run(["rm", "-f", &format!("/var/lib/rivetr/rivetr.db{suffix}")]).succeeds();
    }
    let again = host.as_owner(["env", "STATE_DIRECTORY=/var/lib/rivetr", "rivetr", "serve"]);
    assert_ne!(again.code, 0);
    again.says("app-blog").says("backup");
    assert_eq!(host.get("blog").status, 200);
}

#[test]
fn the_proxy_dies_and_comes_back_with_the_same_routes() {
    let host = Host::boot("proxydies");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();
    host.run(["systemctl", "stop", "rivetr.service"]).succeeds();
    host.run(["systemctl", "kill", "--signal=KILL", "rivetr-proxy.service"]).succeeds();
    assert_eq!(host.get("blog").status, 200);
}

/// Pushes an app whose build takes a few seconds, and waits until that time has begun.
fn building_a_while(host: &Host) -> Push {
    let repository = host.sample("blog");
    let build = "FROM docker.io/library/busybox:stable\nCOPY index.html /www/index.html\nRUN sleep 5\n\
                 STOPSIGNAL SIGKILL\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n";
    repository.write("Containerfile", build);
    repository.commit("A build that takes a while");
    let mut push = repository.start_push();
    push.wait_for("RUN sleep 5");
    push
}
