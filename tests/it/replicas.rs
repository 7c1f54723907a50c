//! Several containers answer for one app: under load, through deployments, scaling, crashes and stops.

use crate::host::Host;

/// The containers of an app that run, by name.
fn containers(host: &Host, app: &str) -> Vec<String> {
    let command = ["podman", "ps", "--format", "{{.Names}}"];
    host.names(command, &format!("rivetr-app-{app}-"))
}

fn names(app: &str, number: u32, count: u32) -> Vec<String> {
    let further = (2..=count).map(|replica| format!("rivetr-app-{app}-{number}_{replica}"));
    [format!("rivetr-app-{app}-{number}")].into_iter().chain(further).collect()
}

#[test]
fn three_replicas_are_deployed_and_scaled_under_load_without_a_lost_request() {
    let host = Host::boot("replicas");
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--replicas", "3"]).succeeds();
    host.sample("blog").push().succeeds();
    assert_eq!(containers(&host, "blog"), names("blog", 1, 3));

    let load = host.load("blog", 200);
    for number in 2..=4 {
        host.rivetr(["deploy", "blog"]).succeeds();
        assert_eq!(containers(&host, "blog"), names("blog", number, 3));
    }
    for count in [1, 5, 2, 3] {
        host.rivetr(["scale", "blog", &count.to_string()]).succeeds();
        assert_eq!(containers(&host, "blog"), names("blog", 4, count), "scaled to {count}");
    }
    // One of them goes: the others take its requests.
    host.systemctl(["restart", "rivetr-app-blog-4_2.service"]).succeeds();
    host.rivetr(["rollback", "blog"]).succeeds();
    assert_eq!(containers(&host, "blog"), names("blog", 5, 3));
    println!("three replicas: {}", load.lost_nothing());
    host.rivetr(["status"]).succeeds().says("3 of 3 running");
    host.rivetr(["scale", "blog", "1"]).succeeds();
    host.assert_only("blog", &[5]);
}

#[test]
fn killed_while_it_scales_or_deploys_replicas_it_recovers_and_no_request_is_lost() {
    let host = Host::boot("killscale");
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--replicas", "2"]).succeeds();
    host.sample("blog").push().succeeds();
    let load = host.load("blog", 100);
    for (point, count) in [("scaling", 4), ("shrinking", 2)] {
        std::fs::write(host.path("/var/lib/rivetr/failpoint"), point).unwrap();
        assert_ne!(host.rivetr(["scale", "blog", &count.to_string()]).code, 0, "{point}");
        host.rivetr(["status"]).succeeds();
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while containers(&host, "blog") != names("blog", 1, count) {
            assert!(std::time::Instant::now() < deadline, "{point}: {:?}", containers(&host, "blog"));
        }
        assert!(!host.path("/var/lib/rivetr/failpoint").exists(), "{point}");
    }
    for (point, number) in [("after-starting", 2), ("after-checking", 3), ("after-switching", 4)] {
        std::fs::write(host.path("/var/lib/rivetr/failpoint"), point).unwrap();
        let asked = host.rivetr(["deploy", "blog", "--detach"]);
        assert!(asked.code == 0 || asked.code == 3, "{point}: {}", asked.stderr);
        let build = number.to_string();
        let followed = |_: &u32| host.rivetr(["logs", "blog", "--build", &build]).code == 0;
        assert!((0..20).any(|again| followed(&again)), "{point}: the daemon did not come back");
        assert_eq!(containers(&host, "blog"), names("blog", number, 2), "{point}");
    }
    println!("killed with replicas: {}", load.lost_nothing());
}

#[test]
fn a_stopped_app_says_so_stays_stopped_and_comes_back() {
    let mut host = Host::boot("stopapp");
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--replicas", "2"]).succeeds();
    host.rivetr(["stop", "blog"]).exits(5).says("was ever live");
    host.sample("blog").push().succeeds();
    for _ in 0..2 {
        host.rivetr(["stop", "blog"]).succeeds();
    }
    assert_eq!(containers(&host, "blog"), [""; 0]);
    let answer = host.get("blog");
    assert!(answer.status == 503 && answer.body.contains("is stopped"), "{}", answer.body);
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    host.reboot();
    assert_eq!(containers(&host, "blog"), [""; 0], "after a reboot");
    host.rivetr(["status"]).succeeds().says("stopped");
    for _ in 0..2 {
        host.rivetr(["start", "blog"]).succeeds();
    }
    assert_eq!(host.get("blog").status, 200);
    assert_eq!(containers(&host, "blog"), names("blog", 1, 2));
    host.rivetr(["stop", "blog"]).succeeds();
    host.rivetr(["deploy", "blog"]).succeeds();
    assert_eq!(host.get("blog").status, 200);
    assert_eq!(containers(&host, "blog"), names("blog", 2, 2));
}

#[test]
fn a_replica_that_is_unwell_gets_no_requests_until_it_is_well() {
    let host = Host::boot("unwell");
    let create = ["apps", "create", "blog", "--port", "8080", "--replicas", "2", "--health-path", "/up"];
    let pace = ["--health-interval", "1", "--health-retries", "2", "--rollback-window", "0"];
    host.rivetr(create.into_iter().chain(pace)).succeeds();
    let repository = host.sample("blog");
    // Each tells its own name, and is well as long as its file is there.
    repository.write(
        "Containerfile",
        "FROM docker.io/library/busybox:stable\nRUN mkdir /www && touch /www/up\nSTOPSIGNAL SIGKILL\n\
         CMD [\"sh\", \"-c\", \"hostname >/www/index.html; exec httpd -f -p 8080 -h /www\"]\n",
    );
    repository.commit("Tells its name");
    repository.push().succeeds();
    let inside = |replica: &str, command: &[&str]| {
        let exec = ["podman", "exec", replica];
        host.as_owner(exec.into_iter().chain(command.iter().copied())).succeeds().stdout
    };
    let names = names("blog", 1, 2);
    let [first, second] = [0, 1].map(|at: usize| inside(&names[at], &["cat", "/www/index.html"]));
    assert_ne!(first, second, "they cannot be told apart");
    let until = |name: &str, row: u32| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(2);
        let mut count = 0;
        while count < row {
            assert!(std::time::Instant::now() < deadline, "not {row} answers from {name}");
            let answer = host.get("blog");
            assert_eq!(answer.status, 200, "{}", answer.body);
            count = if answer.body == name { count + 1 } else { 0 };
        }
    };
    until(&first, 1);
    until(&second, 1);

    // The proxy sees to it alone.
    host.run(["systemctl", "stop", "rivetr.service"]).succeeds();
    inside(&names[1], &["rm", "/www/up"]);
    until(&first, 30);
    inside(&names[0], &["rm", "/www/up"]);
    until(&second, 1);
    inside(&names[1], &["touch", "/www/up"]);
    until(&second, 30);
    inside(&names[0], &["touch", "/www/up"]);
    until(&first, 1);
    host.run(["systemctl", "start", "rivetr.service"]).succeeds();
}
