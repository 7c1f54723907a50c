//! `rivetr doctor` on a host that is broken in one way after the other: it names what is wrong, and the cure.

use crate::host::{Host, Mode};

#[test]
fn it_finds_what_is_wrong_and_says_what_to_do() {
    let host = Host::boot("doctor");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    host.sample("blog").push().succeeds();
    host.rivetr(["doctor"]).succeeds().says("Nothing is wrong.");

    let storage = match host.mode() {
        Mode::Rootless => "/var/lib/rivetr/.local/share/containers",
        Mode::Rootful => "/var/lib/containers",
    };
    host.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", storage]).succeeds();
    wrong(&host, &["16 MiB free", "make room"]);
    host.systemctl(["stop", "podman.service"]).succeeds();
    host.run(["umount", storage]).succeeds();

    let broken = host.path(&format!("{}/project-default/broken.container", host.quadlets()));
    std::fs::write(&broken, "[Container]\nImage=a\nNoSuchKey=1\n").unwrap();
    wrong(&host, &["broken.container", "mend or remove"]);
    std::fs::remove_file(&broken).unwrap();

    for (hour, told) in [("3600000", true), ("-3600000", false)] {
        let moved = format!("UPDATE deployment_event SET at = at + {hour}");
        host.database().execute(&moved, []).unwrap();
        if told {
            wrong(&host, &["behind the last deployment", "timedatectl set-ntp true"]);
        }
    }

    host.run(["systemctl", "stop", "rivetr-proxy.socket", "rivetr-proxy.service"]).succeeds();
    host.run(["systemd-run", "--unit=squatter", "--socket-property=ListenStream=80", "cat"]).succeeds();
    assert_ne!(host.run(["systemctl", "start", "rivetr-proxy.socket"]).code, 0);
    wrong(&host, &["port 80 is taken by a socket unit", "then start rivetr-proxy.socket"]);
    host.run(["systemctl", "stop", "squatter.socket"]).succeeds();
    host.run(["systemctl", "start", "rivetr-proxy.socket", "rivetr-proxy.service"]).succeeds();

    if host.mode() == Mode::Rootless {
        without(&host, "/etc/subuid", &["/etc/subuid gives rivetr no", "usermod --add-subuids"]);
        without(&host, "/var/lib/systemd/linger/rivetr", &["loginctl enable-linger rivetr"]);
        host.as_owner(["systemctl", "--user", "stop", "rivetr-netns.socket"]).succeeds();
        wrong(&host, &["no app can be reached", "restart rivetr-netns.socket"]);
        host.as_owner(["systemctl", "--user", "start", "rivetr-netns.socket"]).succeeds();
    }
    host.rivetr(["doctor"]).succeeds().says("Nothing is wrong.");

    host.run(["systemctl", "stop", "rivetr.socket", "rivetr.service"]).succeeds();
    host.rivetr(["doctor"]).exits(3).says("systemctl start rivetr.socket");
}

fn wrong(host: &Host, words: &[&str]) {
    let told = host.rivetr(["doctor"]).exits(1);
    for word in words {
        assert!(told.stdout.contains(word), "{word:?} is missing in\n{}", told.stdout);
    }
}

/// What it says while a file is not there.
fn without(host: &Host, path: &str, words: &[&str]) {
    let (here, aside) = (host.path(path), host.path(&format!("{path}.aside")));
    std::fs::rename(&here, &aside).unwrap();
    wrong(host, words);
    std::fs::rename(&aside, &here).unwrap();
}
