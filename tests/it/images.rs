//! Apps that are images of a registry: pulled with and without a sign-in, renewed, kept and removed.

use crate::host::Host;

/// The registry of the host, and another that asks who is there: ada, with the words below.
const OPEN: &str = "127.0.0.1:5000";
const PRIVATE: &str = "127.0.0.1:5001";
const PASSWORD: &str = "open sesame";
const BCRYPT: &str = "$2b$05$2ipBae6WP7HWzMkj0LQLtOfoqXITBaYHCLkvv8LtByw4fzjxLNlV6";
/// Not where Podman looks by itself: as root it would then sign in for rivetr too.
const AUTH: &str = "--authfile=/tmp/publish-auth.json";

#[test]
fn an_image_is_pulled_served_renewed_and_cleaned_up() {
    let host = Host::boot("images");
    publish(&host, OPEN, "one");
    let image = format!("{OPEN}/hello:latest");
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--image", &image]).succeeds();
    host.rivetr(["deploy", "blog"]).succeeds().says("Pulling 127.0.0.1:5000/hello:latest");
    assert_eq!(host.get("blog").body, "one\n");
    host.assert_images("blog", &[1]);

    let load = host.load("blog", 100);
    publish(&host, OPEN, "two");
    host.rivetr(["deploy", "blog"]).succeeds();
    // A tag that has not changed is the same image under one more name.
    host.rivetr(["deploy", "blog"]).succeeds();
    load.lost_nothing();
    assert_eq!(host.get("blog").body, "two\n");
    let shown = host.rivetr(["deployments", "blog", "--json"]).succeeds().json();
    let digests: Vec<_> =
        (0..3).map(|at| shown["items"][at]["digest"].as_str().unwrap().to_owned()).collect();
    assert!(digests[0] == digests[1] && digests[1] != digests[2], "{digests:?}");
    assert!(shown["items"][0]["commit"].is_null());
    host.assert_only("blog", &[3]);
    host.assert_images("blog", &[1, 2, 3]);

    host.rivetr(["apps", "delete", "blog", "--yes"]).succeeds();
    host.assert_images("blog", &[]);
}

#[test]
fn what_cannot_be_pulled_says_why_and_the_old_release_serves() {
    let host = Host::boot("nopull");
    publish(&host, OPEN, "one");
    for (app, image, words) in [
        ("missing", "127.0.0.1:5000/nothing:latest", "has no 127.0.0.1:5000/nothing:latest"),
        ("tag", "127.0.0.1:5000/library/busybox:nope", "check the name and the tag"),
        ("down", "127.0.0.1:5999/hello:latest", "127.0.0.1:5999 does not answer"),
    ] {
        host.rivetr(["apps", "create", app, "--image", image]).succeeds();
        host.rivetr(["deploy", app]).exits(1).says(words);
        host.assert_only(app, &[]);
        host.assert_images(app, &[]);
    }
}

#[test]
fn a_private_registry_wants_a_sign_in_which_nobody_sees() {
    let host = Host::boot("private");
    start_private_registry(&host);
    publish(&host, PRIVATE, "hidden");
    let image = format!("{PRIVATE}/hello:latest");
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--image", &image]).succeeds();
    host.rivetr(["deploy", "blog"]).exits(1).says("rivetr registries add 127.0.0.1:5001 --user");

    sign_in(&host, "wrong");
    host.rivetr(["deploy", "blog"]).exits(1).says("does not give");
    sign_in(&host, PASSWORD);
    host.rivetr(["deploy", "blog"]).succeeds();
    assert_eq!(host.get("blog").body, "hidden\n");

    // The same sign-in serves a build that begins from such an image.
    host.rivetr(["apps", "create", "built", "--port", "8080"]).succeeds();
    let repository = host.sample("built");
    repository.write("Containerfile", &format!("FROM {image}\nRUN echo built > /www/index.html\n"));
    repository.commit("From a private image");
    repository.push().succeeds();
    assert_eq!(host.get("built").body, "built\n");

    let listed = host.rivetr(["registries", "list", "--json"]).succeeds();
    assert!(!listed.stdout.contains(PASSWORD), "{}", listed.stdout);
    let kept = host.run(["grep", "-rlaF", PASSWORD, "/var/lib/rivetr", "/run/rivetr"]);
    assert_eq!((kept.code, kept.stdout.as_str()), (1, ""), "the password lies in the open");
    let files = host.run(["find", "/var/lib/rivetr/deployments", "-name", "auth.json"]).succeeds();
    assert_eq!(files.stdout, "", "sign-ins were left behind");
    host.rivetr(["registries", "remove", PRIVATE]).succeeds();
    host.rivetr(["registries", "remove", PRIVATE]).exits(4);
}

/// Puts an image that serves `text` into a registry, and leaves no name of it in root's store.
fn publish(host: &Host, registry: &str, text: &str) {
    let folder = "/tmp/publish";
    host.run(["mkdir", "-p", folder]).succeeds();
    let write =
        |name: &str, text: &str| std::fs::write(host.path(&format!("{folder}/{name}")), text).unwrap();
    write("index.html", &format!("{text}\n"));
    write(
        "Containerfile",
        "FROM docker.io/library/busybox:stable\nCOPY index.html /www/index.html\nSTOPSIGNAL SIGKILL\n\
         CMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n",
    );
    let image = format!("{registry}/hello:latest");
    host.run(["podman", "build", "--quiet", "--tag", &image, folder]).succeeds();
    if registry == PRIVATE {
        host.run(["podman", "login", AUTH, "--username", "ada", "--password", PASSWORD, PRIVATE]).succeeds();
        host.run(["podman", "push", "--quiet", AUTH, &image]).succeeds();
    } else {
        host.run(["podman", "push", "--quiet", &image]).succeeds();
    }
    host.run(["podman", "rmi", &image]).succeeds();
}

fn sign_in(host: &Host, password: &str) {
    use std::io::Write as _;

    let mut child = host.spawn(["rivetr", "registries", "add", PRIVATE, "--user", "ada", "--password-stdin"]);
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn start_private_registry(host: &Host) {
    let write = |path: &str, text: &str| std::fs::write(host.path(path), text).unwrap();
    write("/etc/docker/registry/private.htpasswd", &format!("ada:{BCRYPT}\n"));
    write(
        "/etc/docker/registry/private.yml",
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /var/lib/docker-registry-private\n\
         http:\n  addr: 127.0.0.1:5001\n\
         auth:\n  htpasswd:\n    realm: private\n    path: /etc/docker/registry/private.htpasswd\n",
    );
    write(
        "/etc/containers/registries.conf.d/20-private.conf",
        "[[registry]]\nlocation = \"127.0.0.1:5001\"\ninsecure = true\n",
    );
    // It answers 401 from the moment it listens.
    host.run([
        "systemd-run",
        "--unit=private-registry",
        "--property=ExecStartPost=/bin/sh -c 'until curl -so /dev/null http://127.0.0.1:5001/v2/; do sleep 0.05; done'",
        "docker-registry",
        "serve",
        "/etc/docker/registry/private.yml",
    ])
    .succeeds();
}
