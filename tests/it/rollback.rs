//! Back to an earlier release: in seconds, without a build, with all that it ran with; and by itself when a new one
//! does badly.

use crate::host::Host;

/// An app that answers `good` on `/up` and ends, or fails, once the file `/tmp/bad` of its container is there.
const MOODY: &str = "FROM docker.io/library/busybox:stable\nCOPY index.html /www/index.html\nCOPY index.html /www/up\n\
                     STOPSIGNAL SIGKILL\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n";

fn live(host: &Host) -> (u64, String) {
    let shown = host.rivetr(["deployments", "blog", "--limit", "1", "--json"]).succeeds().json();
    let newest = &shown["items"][0];
    assert_eq!(newest["state"], "live");
    (newest["number"].as_u64().unwrap(), newest["trigger"].as_str().unwrap().to_owned())
}

/// Waits until the app has a newer deployment than this one, and follows that to its end.
fn newer_than(host: &Host, number: u64) -> serde_json::Value {
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    loop {
        let shown = host.rivetr(["deployments", "blog", "--limit", "1", "--json"]).succeeds().json();
        let newest = shown["items"][0].clone();
        if newest["number"].as_u64().unwrap() > number {
            host.rivetr(["logs", "blog", "--build", &newest["number"].to_string()]).succeeds();
            return newest;
        }
        assert!(std::time::Instant::now() < deadline, "nothing newer than {number} came");
    }
}

#[test]
fn an_earlier_release_comes_back_without_a_build_and_without_a_lost_request() {
    let host = Host::boot("rollback");
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--env", "GREETING=hello"]).succeeds();
    let repository = host.sample("blog");
    for version in 1..=3 {
        repository.write("index.html", &format!("version {version}\n"));
        repository.commit("Another version");
        repository.push().succeeds();
    }
    let load = host.load("blog", 200);
    let back = host.rivetr(["rollback", "blog"]).succeeds();
    assert!(!back.stdout.contains("Building") && !back.stdout.contains("Fetching"), "{}", back.stdout);
    assert_eq!(host.get("blog").body, "version 2\n");
    assert_eq!(live(&host), (4, "rollback".to_owned()));
    host.assert_only("blog", &[4]);

    host.rivetr(["rollback", "blog", "1"]).succeeds();
    assert_eq!(host.get("blog").body, "version 1\n");
    host.assert_images("blog", &[1, 2, 3]);
    host.rivetr(["rollback", "blog", "5"]).exits(5).says("is live already");
    host.rivetr(["restart", "blog"]).succeeds();
    assert_eq!(live(&host), (6, "restart".to_owned()));
    assert_eq!(host.get("blog").body, "version 1\n");
    host.assert_images("blog", &[1, 2, 3]);

    repository.write("Containerfile", "FROM docker.io/library/busybox:stable\nRUN exit 3\n");
    repository.commit("No build");
    assert_ne!(repository.push().code, 0);
    host.rivetr(["rollback", "blog", "7"]).exits(5).says("it never was live, it is failed");
    host.rivetr(["rollback", "blog", "70"]).exits(4);
    println!("rollbacks: {}", load.lost_nothing());
    host.assert_only("blog", &[6]);
}

#[test]
fn an_image_that_is_gone_is_refused_with_those_that_are_kept() {
    let host = Host::boot("imagegone");
    host.configure("[deploy]\nkeep_images = 2\nkeep_deployments = 3\n");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();
    for _ in 0..2 {
        host.rivetr(["deploy", "blog"]).succeeds();
    }
    host.assert_images("blog", &[2, 3]);
    host.rivetr(["rollback", "blog", "1"]).exits(5).says("is gone; kept are 2");
    for _ in 0..2 {
        host.rivetr(["deploy", "blog"]).succeeds();
    }
    host.assert_images("blog", &[4, 5]);
    let shown = host.rivetr(["deployments", "blog", "--json"]).succeeds().json();
    let numbers: Vec<_> =
        shown["items"].as_array().unwrap().iter().map(|one| one["number"].clone()).collect();
    assert_eq!(numbers, [5, 4, 3].map(serde_json::Value::from));
}

#[test]
fn a_release_that_starts_to_fail_gives_way_to_the_one_before_by_itself() {
    let host = Host::boot("autoback");
    let create = ["apps", "create", "blog", "--port", "8080", "--health-path", "/up"];
    let pace = ["--health-interval", "2", "--health-attempt", "2"];
    host.rivetr(create.into_iter().chain(pace)).succeeds();
    let repository = host.sample("blog");
    repository.write("Containerfile", MOODY);
    repository.commit("Answers for as long as it likes");
    repository.push().succeeds();
    host.rivetr(["deploy", "blog"]).succeeds();

    // From now on its health check is answered with 404.
    host.as_owner(["podman", "exec", "rivetr-app-blog-2", "rm", "/www/up"]).succeeds();
    let back = newer_than(&host, 2);
    assert_eq!((&back["trigger"], &back["back_to"]), (&"auto-rollback".into(), &1.into()));
    assert!(back["reason"].as_str().unwrap().contains("status 404"), "{back}");
    host.rivetr(["logs", "blog", "--build", "2"]).succeeds().says("Going back to release 1 by itself");
    host.rivetr(["logs", "blog", "--build", "3"]).succeeds().says("did badly");
    host.assert_only("blog", &[3]);

    // One that ends again and again, with a restart of rivetr within the window.
    let crash = "FROM docker.io/library/busybox:stable\nCOPY index.html /www/up\nSTOPSIGNAL SIGKILL\n\
                 CMD [\"sh\", \"-c\", \"httpd -p 8080 -h /www; sleep 3; exit 7\"]\n";
    repository.write("Containerfile", crash);
    repository.commit("Ends after 3 s");
    repository.push().succeeds();
    host.run(["systemctl", "kill", "--signal=KILL", "rivetr.service"]).succeeds();
    let back = newer_than(&host, 4);
    assert_eq!((&back["trigger"], &back["back_to"]), (&"auto-rollback".into(), &1.into()));
    assert!(back["reason"].as_str().unwrap().contains("ends again and again"), "{back}");
    host.assert_only("blog", &[5]);
}
