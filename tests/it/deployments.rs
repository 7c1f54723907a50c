//! Deployments under load: not one request is lost.

use crate::host::Host;

/// Requests a second while rivetr deploys.
const RATE: u32 = 200;

#[test]
fn twenty_deployments_in_a_row_lose_no_request() {
    let host = Host::boot("twenty");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();

    let load = host.load("blog", RATE);
    for _ in 0..20 {
        host.rivetr(["deploy", "blog"]).succeeds();
    }
    let report = load.lost_nothing();
    println!("twenty deployments: {report}");
    host.assert_only("blog", &[21]);
    host.assert_images("blog", &[19, 20, 21]);
}

#[test]
fn apps_of_one_project_deploy_side_by_side_while_the_proxy_is_restarted() {
    let host = Host::boot("beside");
    let apps = ["one", "two"];
    for app in apps {
        host.rivetr(["apps", "create", app, "--port", "8080"]).succeeds();
        host.sample(app).push().succeeds();
    }
    let loads = apps.map(|app| host.load(app, 100));
    std::thread::scope(|scope| {
        for app in apps {
            scope.spawn(|| {
                for _ in 0..4 {
                    host.rivetr(["deploy", app]).succeeds();
                }
            });
        }
        for _ in 0..4 {
            host.run(["systemctl", "restart", "rivetr-proxy.service"]).succeeds();
        }
    });
    for load in loads {
        println!("side by side: {}", load.lost_nothing());
    }
    for app in apps {
        host.assert_only(app, &[5]);
    }
}

#[test]
fn each_version_that_was_pushed_is_served_once_it_is_live() {
    let host = Host::boot("version");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    let repository = host.sample("blog");
    for version in 1..=3 {
        let text = format!("version {version}\n");
        repository.write("index.html", &text);
        repository.commit(&text);
        repository.push().succeeds();
        assert_eq!(host.get("blog").body, text);
    }
}

#[test]
fn a_newer_deployment_takes_the_place_of_an_older_one_that_still_builds() {
    let host = Host::boot("newer");
    let (_repository, slow) = host.live_and_building("blog");
    host.rivetr(["deploy", "blog"]).succeeds();
    let slow = slow.end();
    assert_ne!(slow.code, 0);
    slow.says("Superseded by a newer deployment");
    host.assert_only("blog", &[3]);
    host.assert_images("blog", &[1, 3]);
}

#[test]
fn a_deployment_can_be_cancelled_while_it_builds() {
    let host = Host::boot("cancel");
    let (_repository, push) = host.live_and_building("blog");
    host.rivetr(["cancel", "2"]).succeeds();
    let push = push.end();
    assert_ne!(push.code, 0);
    push.says("Cancelled");
    assert_eq!(host.get("blog").status, 200);
    host.assert_only("blog", &[1]);
    host.assert_images("blog", &[1]);
}

#[test]
fn old_images_go_once_no_build_runs_that_may_need_them() {
    let host = Host::boot("cached");
    host.configure("[build]\nconcurrency = 2\n");
    let (_repository, slow) = host.live_and_building("blog");
    host.rivetr(["apps", "create", "docs", "--port", "8080"]).succeeds();
    host.sample("docs").push().succeeds();
    for _ in 0..3 {
        host.rivetr(["deploy", "docs"]).succeeds();
    }
    assert_eq!(host.images(), ["blog:1", "docs:1", "docs:2", "docs:3", "docs:4"]);
    host.rivetr(["cancel", "2"]).succeeds();
    slow.end();
    host.wait_for_images(&["blog:1", "docs:2", "docs:3", "docs:4"]);

    host.as_owner(["podman", "tag", "localhost/rivetr/docs:4", "localhost/rivetr/gone:1"]).succeeds();
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    host.wait_for_images(&["blog:1", "docs:2", "docs:3", "docs:4"]);
}
