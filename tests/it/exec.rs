//! Commands in an app's container: their words, their end, their terminal, and their end when nobody listens.

use std::io::Write as _;

use crate::host::Host;

#[test]
fn a_command_in_a_container_behaves_as_here() {
    let host = Host::boot("exec");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.rivetr(["exec", "blog", "--", "true"]).exits(5).says("not live yet");
    host.sample("blog").push().succeeds();

    let ran = host.rivetr(["exec", "blog", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]).exits(7);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("out\n", "err\n"));
    assert_ne!(host.rivetr(["exec", "blog", "--", "/no/such/program"]).code, 0);

    // Input arrives, and its end too.
    let mut sum = host.spawn(["rivetr", "exec", "blog", "--", "sha256sum"]);
    sum.stdin.take().unwrap().write_all(&vec![b'x'; 1 << 20]).unwrap();
    let sum = sum.wait_with_output().unwrap();
    let expect =
        host.run(["sh", "-c", "head -c 1048576 /dev/zero | tr '\\0' x | sha256sum"]).succeeds().stdout;
    assert_eq!(String::from_utf8(sum.stdout).unwrap(), expect);

    // At a terminal the command has one, of its size. Podman sets that once the command runs.
    let sized = r#"rivetr exec blog -- sh -c 'until stty size | grep "33 99"; do sleep 0.1; done'"#;
    let typed = ["timeout", "20", "script", "-qec", &format!("stty rows 33 cols 99; {sized}"), "/dev/null"];
    assert!(host.run(typed).succeeds().stdout.contains("33 99"));

    let journal = host.run(["journalctl", "-u", "rivetr.service", "--output=cat"]).succeeds().stdout;
    for action in ["command.run", "terminal.opened"] {
        assert!(journal.contains(&format!("{action}: app blog")), "no {action} in the log");
    }
}

#[test]
fn a_command_ends_when_nobody_listens_any_more() {
    let host = Host::boot("execend");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();
    let mut left = host.spawn(["rivetr", "exec", "blog", "--", "sleep", "4711"]);
    let until = |there: &str| {
        let wait = format!("until {there} pgrep -f '^sleep 4711$' >/dev/null; do sleep 0.1; done");
        host.run(["timeout", "20", "sh", "-c", &wait]).succeeds();
    };
    until("");
    host.run(["pkill", "-f", "^rivetr exec blog"]).succeeds();
    left.wait().unwrap();
    until("!");
}
