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
