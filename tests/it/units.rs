//! What a container can reach.

use crate::host::Host;

#[test]
fn projects_do_not_reach_each_other_and_a_container_not_the_host() {
    let host = Host::boot("apart");
    for project in ["red", "blue"] {
        host.rivetr(["projects", "create", project]).succeeds();
    }
    for (app, project) in [("one", "red"), ("two", "red"), ("three", "blue")] {
        host.rivetr(["apps", "create", app, "--project", project]).succeeds();
        host.sample(app).push().succeeds();
    }
    let fetch = |from: &str, url: &str| {
        let container = format!("rivetr-app-{from}-1");
        host.as_owner(["podman", "exec", &container, "wget", "-q", "-T", "3", "-O", "-", url])
    };
    let address = |app: &str| {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let inspect =
            host.as_owner(["podman", "inspect", &format!("rivetr-app-{app}-1"), "--format", format]);
        inspect.succeeds().stdout.trim().to_owned()
    };
    fetch("one", &format!("http://{}:8080/", address("two"))).succeeds();
    fetch("one", "http://rivetr-app-two-1:8080/").succeeds();
    assert_ne!(
        fetch("one", &format!("http://{}:8080/", address("three"))).code,
        0,
        "another project answers"
    );
    assert_ne!(fetch("one", "http://127.0.0.1:7480/health").code, 0, "rivetr answers a container");
}
