//! What a person does first: create an app, push, look at it.

use crate::host::Host;

#[test]
fn a_push_brings_the_app_to_life() {
    let host = Host::boot("first");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds().says("git push");
    let repository = host.sample("blog");

    let push = repository.push().succeeds();
    for step in ["Fetching", "Building", "Starting", "Checking", "Switching", "Live"] {
        assert!(
            push.stderr.contains(&format!("remote: -----> {step}")),
            "{step} is missing in\n{}",
            push.stderr
        );
    }
    assert_eq!(host.get("blog").status, 200);
    host.assert_only("blog", &[1]);
    host.assert_images("blog", &[1]);

    let apps = host.rivetr(["apps", "list", "--json"]).succeeds().json();
    assert_eq!(apps["items"][0]["name"], "blog");
    host.rivetr(["apps", "list"]).succeeds().says("blog");
    host.rivetr(["apps", "show", "blog"]).succeeds().says(&host.host_of("blog"));
    host.rivetr(["status"]).succeeds().says("blog");
    host.rivetr(["deployments", "blog"]).succeeds().says("live");
    host.rivetr(["logs", "blog", "--build"]).succeeds().says("Building localhost/rivetr/blog:1");
    host.rivetr(["doctor"]).succeeds();
    host.rivetr(["config", "check"]).succeeds();

    host.rivetr(["deploy", "blog"]).succeeds().says("Live");
    host.assert_only("blog", &[2]);

    host.rivetr(["apps", "delete", "blog", "--yes"]).succeeds();
    host.assert_only("blog", &[]);
    host.assert_images("blog", &[]);
    assert_eq!(host.ask(&host.host_of("blog"), "/").unwrap().status, 404);
    host.rivetr(["apps", "show", "blog"]).exits(4).says("blog");
}

#[test]
fn ordinary_tools_show_the_same() {
    let host = Host::boot("tools");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();

    host.systemctl(["status", "rivetr-app-blog-1.service"]).succeeds().says("active (running)");
    host.systemctl(["is-active", "rivetr-default.slice", "rivetr-net-default.service"]).succeeds();
    host.as_owner(["podman", "ps", "--format", "{{.Names}} {{.Labels}}"])
        .succeeds()
        .says("io.rivetr.app:blog");
    host.run(["journalctl", "--no-pager", "CONTAINER_NAME=rivetr-app-blog-1"]).succeeds();

    // Nothing is published: only rivetr's own sockets and those of the host's services listen.
    let listening = host.run(["ss", "-Hltn"]).succeeds().stdout;
    assert!(!listening.contains(":8080"), "{listening}");
    let inspect =
        host.as_owner(["podman", "inspect", "rivetr-app-blog-1", "--format", "{{json .HostConfig}}"]);
    let inspect = inspect.succeeds().json();
    assert_eq!(inspect["PortBindings"], serde_json::json!({}), "ports");
    assert_eq!(inspect["Privileged"], false);
    assert!(inspect["SecurityOpt"].to_string().contains("no-new-privileges"), "{}", inspect["SecurityOpt"]);

    // The target passes the stop on; to stop the unit itself is to wait for it.
    host.systemctl(["stop", "rivetr-app-blog.target", "rivetr-app-blog-1.service"]).succeeds();
    assert!(host.get("blog").status >= 502, "a stopped app answers as if it ran");
    host.systemctl(["start", "rivetr-app-blog.target"]).succeeds();
    host.rivetr(["deploy", "blog"]).succeeds();
    assert_eq!(host.get("blog").status, 200);
}
