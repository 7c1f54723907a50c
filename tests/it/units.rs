//! What a container really gets, through the real generator, systemd and Podman.

use crate::host::Host;
use crate::nasty;

#[test]
fn every_value_reaches_the_process_as_it_was_typed() {
    let host = Host::boot("values");
    let carried = nasty::carried();
    let mut create = vec!["apps".to_owned(), "create".to_owned(), "echo".to_owned()];
    for (name, value) in &carried {
        create.extend(["--env".to_owned(), format!("{name}={value}")]);
    }
    host.rivetr(create.iter().map(String::as_str)).succeeds();
    let repository = host.repository("echo");
    repository.write(
        "Containerfile",
        "FROM docker.io/library/busybox:stable\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\"]\nSTOPSIGNAL SIGKILL\n",
    );
    repository.commit("Serves nothing, holds variables");
    repository.push().succeeds();

    let environment =
        host.as_owner(["podman", "exec", "rivetr-app-echo-1", "cat", "/proc/1/environ"]).succeeds();
    let got: Vec<&str> = environment.stdout.split('\0').collect();
    for (name, value) in &carried {
        assert!(got.contains(&format!("{name}={value}").as_str()), "{name} ({value:?}) did not arrive");
    }
    host.assert_only("echo", &[1]);
}

#[test]
fn a_value_that_no_unit_can_carry_is_refused_when_it_is_typed() {
    let host = Host::boot("refusedvalue");
    for (name, value) in nasty::REFUSED {
        // The command line itself cannot pass a NUL.
        if !value.contains('\0') {
            host.rivetr(["apps", "create", "echo", "--env", &format!("{name}={value}")]).exits(5).says(name);
        }
    }
    assert_eq!(host.rivetr(["apps", "list", "--json"]).succeeds().json()["items"], serde_json::json!([]));
}

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
