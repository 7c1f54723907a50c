//! The host is booted again: apps come back by systemd alone.

use crate::host::{Host, Mode};

#[test]
fn apps_come_back_after_a_reboot_without_rivetr_and_without_a_network() {
    let mut host = Host::boot("reboot");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();

    host.run(["systemctl", "mask", "rivetr.service"]).succeeds();
    host.run(["systemctl", "mask", "network-online.target"]).succeeds();
    host.reboot();
    host.wait_for_unit("rivetr-app-blog-1.service");
    assert_eq!(host.get("blog").status, 200);

    host.run(["systemctl", "unmask", "rivetr.service", "network-online.target"]).succeeds();
    host.reboot();
    host.wait_for_unit("rivetr-app-blog-1.service");
    assert_eq!(host.get("blog").status, 200);
    host.rivetr(["deploy", "blog"]).succeeds();
    host.assert_only("blog", &[2]);
}

#[test]
fn a_changed_address_names_the_apps_anew() {
    let host = Host::boot("anew");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();
    let other = "s#^url = .*#url = \"http://paas.test\"\\nbase_domain = \"apps.test\"#";
    host.run(["sed", "-i", other, "/etc/rivetr/rivetr.toml"]).succeeds();
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    host.rivetr(["deploy", "blog"]).succeeds().says("http://blog.apps.test/");
    assert_eq!(host.ask("blog.apps.test", "/").unwrap().status, 200);
    assert_eq!(host.ask(&host.host_of("blog"), "/").unwrap().status, 404);
    assert_eq!(host.ask("paas.test", "/health").unwrap().status, 200);
    host.rivetr(["apps", "show", "blog"]).succeeds().says("blog.apps.test");
}

#[test]
fn setting_up_again_changes_nothing_that_runs() {
    let host = Host::boot("again");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();
    let load = host.load("blog", 100);
    let mut setup = vec!["rivetr", "setup"];
    if host.mode() == Mode::Rootful {
        setup.push("--system-wide");
    }
    for _ in 0..5 {
        host.run(&setup).succeeds();
    }
    load.lost_nothing();
    host.rivetr(["deploy", "blog"]).succeeds();
}
