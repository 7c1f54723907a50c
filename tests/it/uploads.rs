//! Apps that come as archives or as instructions alone.

use crate::host::Host;

const CONTAINERFILE: &str = "FROM docker.io/library/busybox:stable\nCOPY . /www\nSTOPSIGNAL SIGKILL\n\
                             CMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n";

#[test]
fn a_folder_and_an_archive_are_deployed_and_nothing_is_left_of_them() {
    let host = Host::boot("uploads");
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--upload"]).succeeds();
    host.rivetr(["deploy", "blog"]).exits(5).says("--from DIR");
    let folder = "/tmp/site";
    host.run(["mkdir", "-p", "/tmp/site/.git"]).succeeds();
    let write =
        |name: &str, text: &str| std::fs::write(host.path(&format!("{folder}/{name}")), text).unwrap();
    write("Containerfile", CONTAINERFILE);
    write("index.html", "one\n");
    write(".git/config", "not for others\n");
    host.rivetr(["deploy", "blog", "--from", folder]).succeeds();
    assert_eq!(host.get("blog").body, "one\n");
    assert_eq!(host.ask(&host.host_of("blog"), "/.git/config").unwrap().status, 404);

    write("index.html", "two\n");
    host.run(["tar", "-C", folder, "-czf", "/tmp/site.tar.gz", "."]).succeeds();
    host.rivetr(["deploy", "blog", "--from", "/tmp/site.tar.gz"]).succeeds();
    assert_eq!(host.get("blog").body, "two\n");
    let shown = host.rivetr(["deployments", "blog", "--json"]).succeeds().json();
    assert!(shown["items"][0]["digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(host.list("/var/lib/rivetr/uploads/blog"), [""; 0]);
    host.assert_only("blog", &[2]);
}

#[test]
fn a_hostile_archive_is_refused_by_its_rule_and_leaves_nothing() {
    let host = Host::boot("hostile");
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--upload"]).succeeds();
    host.run(["mkdir", "-p", "/tmp/site"]).succeeds();
    std::fs::write(host.path("/tmp/site/Containerfile"), CONTAINERFILE).unwrap();
    host.run(["ln", "-sf", "/etc", "/tmp/site/etc"]).succeeds();
    host.run(["tar", "-C", "/tmp/site", "-czf", "/tmp/link.tar.gz", "."]).succeeds();
    host.rivetr(["deploy", "blog", "--from", "/tmp/link.tar.gz"]).exits(1).says("the link leads out");
    host.run(["tar", "-P", "-czf", "/tmp/absolute.tar.gz", "/tmp/site/Containerfile"]).succeeds();
    host.rivetr(["deploy", "blog", "--from", "/tmp/absolute.tar.gz"])
        .exits(1)
        .says("root of the file system");
    host.rivetr(["deploy", "blog", "--from", "/tmp/site/Containerfile"])
        .exits(5)
        .says("neither tar.gz nor zip");
    assert_eq!(host.list("/var/lib/rivetr/uploads/blog"), [""; 0]);
    host.assert_only("blog", &[]);
}

#[test]
fn a_containerfile_alone_is_an_app() {
    let host = Host::boot("inline");
    let text = "FROM docker.io/library/busybox:stable\nRUN mkdir /www && echo inline > /www/index.html\n\
                STOPSIGNAL SIGKILL\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n";
    std::fs::write(host.path("/tmp/Containerfile"), text).unwrap();
    host.rivetr(["apps", "create", "blog", "--port", "8080", "--containerfile", "/tmp/Containerfile"])
        .succeeds();
    host.rivetr(["deploy", "blog"]).succeeds();
    assert_eq!(host.get("blog").body, "inline\n");
    host.assert_only("blog", &[1]);
}
