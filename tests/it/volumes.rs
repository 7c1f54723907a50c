//! Volumes: their data outlives releases, the daemon and, unless a person says otherwise, the app.

use crate::host::Host;

const NAME: &str = "rivetr-vol-blog-data";

/// Writes to the app's volume, or reads what is there, from within the release of this number.
fn inside(host: &Host, number: u32, command: &str) -> String {
    let container = format!("rivetr-app-blog-{number}");
    host.as_owner(["podman", "exec", &container, "sh", "-c", command]).succeeds().stdout
}

#[test]
fn data_survives_deployments_and_a_killed_daemon() {
    let host = Host::boot("volume");
    host.rivetr(["apps", "create", "blog", "--volume", "data:/data"]).succeeds();
    let repository = host.sample("blog");
    let recipe = std::fs::read_to_string(repository.path().join("Containerfile")).unwrap();
    repository.write("Containerfile", &format!("{recipe}VOLUME /data /cache\n"));
    repository.commit("Keep data");
    let pushed = repository.push().succeeds().says("Data in /cache goes with each container");
    assert!(!pushed.stderr.contains("Data in /data"), "{}", pushed.stderr);
    inside(&host, 1, "echo first > /data/file");
    for number in 2..=4 {
        if number == 3 {
            host.run(["systemctl", "kill", "--signal=SIGKILL", "rivetr.service"]).succeeds();
            host.run(["systemctl", "start", "rivetr.service"]).succeeds();
        }
        host.rivetr(["deploy", "blog"]).succeeds();
        assert_eq!(inside(&host, number, "cat /data/file"), "first\n");
    }
    let listed = host.rivetr(["volumes", "list", "--json"]).succeeds().json();
    assert_eq!((&listed["items"][0]["name"], &listed["items"][0]["orphaned"]), (&NAME.into(), &false.into()));
    let shown = host.rivetr(["volumes", "show", NAME, "--json"]).succeeds().json();
    assert!(shown["size"].as_u64().unwrap() >= 6, "{shown}");
    host.rivetr(["volumes", "delete", NAME, "--yes"]).exits(5).says("the app blog mounts this volume");

    // No longer mounted: its unit goes with the release, its data stays until a person says so.
    host.rivetr(["apps", "set", "blog", "--unset", "volumes"]).succeeds().says("next deployment");
    host.rivetr(["volumes", "delete", NAME, "--yes"]).exits(5);
    host.rivetr(["deploy", "blog"]).succeeds();
    host.assert_only("blog", &[5]);
    let listed = host.rivetr(["volumes", "list", "--json"]).succeeds().json();
    assert_eq!(listed["items"][0]["orphaned"], true);
    host.rivetr(["apps", "set", "blog", "--volume", "data:/again:ro"]).succeeds();
    host.rivetr(["deploy", "blog"]).succeeds();
    assert_eq!(
        inside(&host, 6, "cat /again/file; touch /again/x 2>/dev/null || echo refused"),
        "first\nrefused\n"
    );
}

#[test]
fn a_deleted_app_leaves_its_volumes_unless_it_is_told_not_to() {
    let host = Host::boot("orphan");
    let volumes = ["podman", "volume", "ls", "--quiet"];
    for (flags, left) in [(&[][..], vec![NAME.to_owned()]), (&["--volumes"], vec![])] {
        host.rivetr(["apps", "create", "blog", "--volume", "data:/data"]).succeeds();
        host.sample("blog").push().succeeds();
        host.rivetr(["apps", "delete", "blog", "--yes"].into_iter().chain(flags.iter().copied())).succeeds();
        assert_eq!(host.names(volumes, "rivetr-vol-"), left);
        host.assert_only("blog", &[]);
    }
    host.rivetr(["volumes", "show", NAME]).exits(4);
}

#[test]
fn a_directory_of_the_host_is_mounted_from_the_list_alone() {
    let host = Host::boot("bind");
    host.run(["mkdir", "-p", "/srv/media/films"]).succeeds();
    host.run(["chmod", "755", "/srv/media", "/srv/media/films"]).succeeds();
    host.run(["ln", "-s", "/etc", "/srv/media/link"]).succeeds();
    std::fs::write(host.path("/srv/media/films/one"), "a film").unwrap();
    host.rivetr(["apps", "create", "blog", "--volume", "/srv/media/films:/films:ro"])
        .exits(5)
        .says("bind_roots");
    host.configure("[volumes]\nbind_roots = [\"/srv/media\"]\n");
    host.rivetr(["apps", "create", "blog", "--volume", "/srv/media/link:/films"])
        .exits(5)
        .says("through a link");
    host.rivetr(["apps", "create", "blog", "--volume", "/srv/media/films:/films:ro"]).succeeds();
    host.sample("blog").push().succeeds();
    assert_eq!(inside(&host, 1, "cat /films/one"), "a film");

    // What became a link since is not followed by the next release.
    host.run(["mv", "/srv/media/films", "/srv/media/old"]).succeeds();
    host.run(["ln", "-s", "/etc", "/srv/media/films"]).succeeds();
    let failed = host.rivetr(["deploy", "blog"]);
    assert_ne!(failed.code, 0);
    failed.says("through a link");
    host.assert_only("blog", &[1]);
}
