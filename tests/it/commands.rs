//! Commands of a deployment run in the new image, once, and their failure leaves the old release serving.

use crate::host::Host;

/// The sample, with a script that a command runs.
fn containerfile(script: &str) -> String {
    format!(
        "FROM docker.io/library/busybox:stable\nCOPY index.html /www/index.html\n\
         RUN printf '%s\\n' '#!/bin/sh' '{script}' > /bin/migrate && chmod +x /bin/migrate\n\
         STOPSIGNAL SIGKILL\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n"
    )
}

#[test]
fn the_command_before_the_switch_runs_in_the_new_image_and_stops_what_it_fails_for() {
    let host = Host::boot("commands");
    let create = ["apps", "create", "blog", "--port", "8080", "--env", "WHO=me"];
    let commands =
        ["--before-switch", "migrate now", "--after-switch", "migrate later", "--command-timeout", "5"];
    host.rivetr(create.into_iter().chain(commands)).succeeds();
    let repository = host.sample("blog");
    let push = |script: &str| {
        repository.write("Containerfile", &containerfile(script));
        repository.commit(script);
        repository.push()
    };
    let first = push("echo one $1 for $WHO at $RIVETR_DEPLOYMENT").succeeds();
    let first = first.says("Running before the switch: migrate now").says("one now for me at 1");
    first.says("one later for me at 1");
    host.assert_only("blog", &[1]);

    let load = host.load("blog", 100);
    let failed = push("echo no luck; exit 4");
    assert_ne!(failed.code, 0);
    failed.says("no luck").says("the command before the switch failed with exit status 4");
    host.assert_only("blog", &[1]);
    host.assert_images("blog", &[1]);

    let late = push("sleep 60");
    assert_ne!(late.code, 0);
    late.says("took longer than 5 s");
    host.assert_only("blog", &[1]);

    // After the switch a failure is a warning.
    push("test $1 = now").succeeds().says("Warning: the command after the switch failed with exit status 1");
    host.assert_only("blog", &[4]);

    // What comes back runs no commands.
    let back = host.rivetr(["rollback", "blog"]).succeeds();
    assert!(!back.stdout.contains("Running"), "{}", back.stdout);
    load.lost_nothing();
    assert_eq!(host.list(&format!("{}/run-blog", host.quadlets())), [""; 0], "units of commands");
}

#[test]
fn a_command_is_cancelled_within_two_seconds_and_goes_on_when_the_daemon_dies() {
    let host = Host::boot("cmdcancel");
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--before-switch", "migrate"]).succeeds();
    let repository = host.sample("blog");
    repository.write("Containerfile", &containerfile(r#"echo be""gun; sleep 5; echo en""ded"#));
    repository.commit("A migration that takes a while");
    let mut push = repository.start_push();
    push.wait_for("begun");
    host.run(["systemctl", "kill", "--signal=KILL", "rivetr.service"]).succeeds();
    assert_ne!(push.end().code, 0, "a push whose rivetr died has not succeeded");
    let followed = |_: &u32| host.rivetr(["logs", "blog", "--build", "1"]).code == 0;
    assert!((0..20).any(|again| followed(&again)), "the daemon did not come back");
    let log = host.rivetr(["logs", "blog", "--build", "1"]).succeeds().stdout;
    let times = |word: &str| log.lines().filter(|line| *line == word).count();
    assert_eq!((times("begun"), times("ended")), (1, 1), "{log}");
    host.assert_only("blog", &[1]);

    repository.write("Containerfile", &containerfile(r#"echo be""gun; sleep 600"#));
    repository.commit("A migration that takes long");
    let mut push = repository.start_push();
    push.wait_for("begun");
    let begun = std::time::Instant::now();
    host.rivetr(["cancel", "2"]).succeeds();
    assert!(begun.elapsed().as_secs() < 4, "cancelled after {:?}", begun.elapsed());
    push.end().says("Cancelled");
    host.assert_only("blog", &[1]);
    assert_eq!(host.list(&format!("{}/run-blog", host.quadlets())), [""; 0], "units of commands");
}
