//! Deployments that fail: the old release serves throughout, the log says why, and nothing is left over.

use crate::host::Host;

/// What is wrong, the Containerfile that has it, and words that the log must have.
const BROKEN: [(&str, &str, &[&str]); 6] = [
    (
        "the build fails",
        "FROM docker.io/library/busybox:stable\nRUN echo no such luck && exit 3\n",
        &["no such luck", "Failed while building", "exit status"],
    ),
    (
        "the image is not to be had",
        "FROM docker.io/library/there-is-no-such-image:1\n",
        &["there-is-no-such-image", "Failed while building"],
    ),
    (
        "the container exits at once",
        "FROM docker.io/library/busybox:stable\nCMD [\"sh\", \"-c\", \"echo out of luck; exit 3\"]\n",
        &["out of luck", "Failed while checking", "exit status 3"],
    ),
    (
        "it never answers",
        "FROM docker.io/library/busybox:stable\nCMD [\"sleep\", \"3600\"]\n",
        &["Failed while checking", "did not answer on port 8080 within 5 s", "refused"],
    ),
    (
        "the command is not in the image",
        "FROM docker.io/library/busybox:stable\nCMD [\"/no/such/command\"]\n",
        &["Failed while starting", "was not found in it"],
    ),
    (
        "the image has no shell",
        "FROM scratch\nCOPY index.html /index.html\nCMD httpd -f -p 8080\n",
        &["Failed while starting", "/bin/sh"],
    ),
];

#[test]
fn what_fails_leaves_the_old_release_serving_and_nothing_behind() {
    let host = Host::boot("failures");
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--health-timeout", "5"]).succeeds();
    let repository = host.sample("blog");
    repository.push().succeeds();

    let load = host.load("blog", 100);
    for (number, (what, containerfile, words)) in (2..).zip(BROKEN) {
        repository.write("Containerfile", containerfile);
        repository.commit(what);
        let push = repository.push();
        assert_ne!(push.code, 0, "{what}: the push succeeded\n{}", push.stderr);
        for word in words {
            assert!(push.stderr.contains(word), "{what}: {word:?} is missing in\n{}", push.stderr);
        }
        let shown = host.rivetr(["deployments", "blog", "--json"]).succeeds().json();
        assert_eq!(shown["items"][0]["number"], number, "{what}");
        assert_eq!(shown["items"][0]["state"], "failed", "{what}");
        host.assert_only("blog", &[1]);
        host.assert_images("blog", &[1]);
    }
    load.lost_nothing();

    // The same commit can be pushed again, and a mended one goes live.
    repository.push().stderr.contains("Failed").then_some(()).expect("the same push is tried again");
    let mended = host.sample("blog");
    mended.git(["push", "--force", mended.url(), "main"]).succeeds();
    host.assert_only("blog", &[9]);
}

#[test]
fn a_repository_without_a_containerfile_of_its_own_is_told_so() {
    let host = Host::boot("nofile");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    let repository = host.repository("blog");
    repository.write("README", "nothing to build");
    repository.commit("Nothing to build");
    let push = repository.push();
    assert_ne!(push.code, 0);
    push.says("Containerfile").says("Dockerfile");
    host.assert_only("blog", &[]);

    // A link out of the repository shows the build nothing of rivetr's.
    let link = repository.path().join("Containerfile");
    std::os::unix::fs::symlink("/var/lib/rivetr/rivetr.db", link).unwrap();
    repository.commit("A link out of the repository");
    let push = repository.push();
    assert_ne!(push.code, 0);
    push.says("a link out of the repository").says("there is no Containerfile");

    // Over such a file Podman would run a preprocessor, which reads whatever it is told to of this machine.
    repository.write("x.in", "FROM docker.io/library/busybox:stable\n");
    std::fs::remove_file(repository.path().join("Containerfile")).unwrap();
    std::os::unix::fs::symlink("x.in", repository.path().join("Containerfile")).unwrap();
    repository.commit("A file for a preprocessor");
    let push = repository.push();
    assert_ne!(push.code, 0);
    push.says("may not end in .in");
    host.assert_only("blog", &[]);
    host.assert_images("blog", &[]);
}

#[test]
fn what_cannot_be_pushed_is_refused_with_the_reason() {
    let host = Host::boot("refused");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    let repository = host.sample("blog");
    let other = repository.git(["push", repository.url(), "main:other"]);
    assert_ne!(other.code, 0);
    other.says("main");
    let url = repository.url().replace("rvt_", "rvt_0");
    let stranger = repository.git(["push", &url, "main"]);
    assert_ne!(stranger.code, 0);
    stranger.says("Authentication failed");
    let url = repository.url().replace("blog", "nowhere");
    let nowhere = repository.git(["push", &url, "main"]);
    assert_ne!(nowhere.code, 0);
    nowhere.says("not found");
    let deployments = host.rivetr(["deployments", "blog", "--json"]).succeeds().json();
    assert_eq!(deployments["items"], serde_json::json!([]));
}

#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let host = Host::boot("input");
    for (arguments, words) in [
        (&["apps", "create", "Blog"][..], "lower-case"),
        (&["apps", "create", "--", "-blog"], "lower-case"),
        (&["apps", "create", "blog", "--port", "0"], "port"),
        (&["apps", "create", "blog", "--host", "a b"], "host"),
        (&["apps", "create", "blog", "--env", "A-B=1"], "A-B"),
        (&["apps", "create", "blog", "--git", "ext::sh -c id"], "https://"),
        (&["apps", "create", "blog", "--git", "file:///etc"], "https://"),
        (&["apps", "create", "blog", "--branch=--upload-pack=x"], "branch"),
        (&["deploy", "blog"], "blog"),
    ] {
        let ran = host.rivetr(arguments.iter().copied());
        assert_ne!(ran.code, 0, "{arguments:?}");
        ran.says(words);
    }
    assert_eq!(host.rivetr(["apps", "list", "--json"]).succeeds().json()["items"], serde_json::json!([]));
    host.rivetr(["apps", "create", "blog"]).succeeds();
    host.rivetr(["apps", "create", "blog"]).exits(5).says("blog");
    host.rivetr(["deploy", "blog"]).exits(5).says("git push");

    // Where rivetr itself answers, no app does.
    let own = "s#^url = .*#url = \"http://rivetr.example.org\"\\nbase_domain = \"example.org\"#";
    host.run(["sed", "-i", own, "/etc/rivetr/rivetr.toml"]).succeeds();
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    host.rivetr(["apps", "create", "rivetr"]).exits(5).says("rivetr itself answers");
}
