//! Every way a push can go, through a real git: what is taken, what is refused and with which words, what happens
//! when either side goes away in the middle; and apps whose code is fetched from elsewhere.

use std::path::PathBuf;

use serde_json::Value;

use crate::host::{Host, Push, Ran, Repository};

const MEGABYTE: u64 = 1024 * 1024;

/// Runs and does not answer until somebody writes into `/gate`.
const GATED: &str = "FROM docker.io/library/busybox:stable\n\
    COPY index.html /www/index.html\n\
    RUN mkfifo /gate\n\
    STOPSIGNAL SIGKILL\n\
    CMD [\"sh\", \"-c\", \"cat /gate && exec httpd -f -p 8080 -h /www\"]\n";

const BROKEN: &str = "FROM docker.io/library/busybox:stable\nRUN exit 3\n";

#[test]
fn what_is_pushed_goes_live_and_what_failed_can_be_pushed_again() {
    let host = Host::boot("pushed");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    let repository = host.sample("blog");
    let good = std::fs::read_to_string(repository.path().join("Containerfile")).unwrap();

    // A failure is a push that failed: git shows it, the branch does not move, and the same push is tried again.
    repository.write("Containerfile", BROKEN);
    repository.commit("Broken");
    for number in 1..=2 {
        let push = repository.push().exits(1).says("remote: deployment").says("[remote rejected]");
        push.says(&format!("deployment {number} failed while building"));
        assert_eq!(branches(&host, "blog"), "");
    }
    host.assert_only("blog", &[]);
    host.assert_images("blog", &[]);

    repository.write("Containerfile", &good);
    repository.commit("Mended");
    repository.push().succeeds().says("[new branch]");
    assert_eq!(branches(&host, "blog"), format!("{} refs/heads/main\n", head(&repository)));
    repository.push().succeeds().says("Everything up-to-date");
    assert_eq!(states(&host, "blog"), ["live", "failed", "failed"]);
    let mended = head(&repository);

    repository.write("index.html", "second\n");
    repository.commit("Second");
    repository.push().succeeds();
    assert_eq!(host.get("blog").body, "second\n");
    host.assert_only("blog", &[4]);

    // Back to an older commit: git itself refuses at first, and does it when it is forced.
    repository.git(["reset", "--quiet", "--hard", &mended]).succeeds();
    repository.push().exits(1).says("non-fast-forward");
    assert_eq!(host.get("blog").body, "second\n");
    repository.git(["push", "--force", repository.url(), "main"]).succeeds().says("forced update");
    assert_ne!(host.get("blog").body, "second\n");
    assert_eq!(branches(&host, "blog"), format!("{mended} refs/heads/main\n"));
    assert_eq!(states(&host, "blog"), ["live", "live", "live", "failed", "failed"]);
    host.assert_only("blog", &[5]);
}

#[test]
fn a_clone_without_history_can_be_pushed() {
    let host = Host::boot("shallow");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    let whole = host.sample("blog");
    whole.write("index.html", "the last of many\n");
    whole.commit("Second");
    let clone = whole.path().join("clone");
    let from = format!("file://{}", whole.path().display());
    whole.git(["clone", "--quiet", "--depth", "1", &from, clone.to_str().unwrap()]).succeeds();
    let in_clone = |arguments: &[&str]| {
        whole.git(["-C", clone.to_str().unwrap()].into_iter().chain(arguments.iter().copied()))
    };
    assert_eq!(in_clone(&["rev-list", "--count", "HEAD"]).succeeds().stdout, "1\n");
    in_clone(&["push", whole.url(), "main"]).succeeds();
    assert_eq!(host.get("blog").body, "the last of many\n");

    // What builds on it can be pushed from a clone that has more.
    whole.write("index.html", "one more\n");
    whole.git(["add", "index.html"]).succeeds();
    whole.commit("Third");
    whole.push().succeeds();
    assert_eq!(host.get("blog").body, "one more\n");
    host.assert_only("blog", &[2]);
}

#[test]
fn what_is_not_one_commit_for_the_branch_is_refused_and_changes_nothing() {
    let host = Host::boot("notabranch");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    let repository = host.sample("blog");
    repository.push().succeeds();
    let first = branches(&host, "blog");

    repository.commit("Second");
    let who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
    repository.git(who.into_iter().chain(["tag", "--annotate", "--message=v1", "v1"])).succeeds();
    for (references, words) in [
        (&["main:dev"][..], "git push <remote> dev:main"),
        (&["main:main", "main:dev"], "push it alone"),
        (&[":main"], "rivetr apps delete blog"),
        (&["main:refs/tags/v2"], "tags and other references are not kept here"),
        (&["v1"], "tags and other references are not kept here"),
        (&["v1:refs/heads/main"], "v1^{commit}:main"),
        (&["+HEAD^{tree}:refs/heads/main"], "not a commit"),
        (&["-o", "ci.skip", "main"], "push options"),
    ] {
        let (options, references) = references.split_at(usize::from(references[0] == "-o") * 2);
        let push = ["push"].iter().chain(options).copied().chain([repository.url()]);
        let push = repository.git(push.chain(references.iter().copied()));
        assert_ne!(push.code, 0, "{references:?} was taken");
        push.says(words);
        assert_eq!(branches(&host, "blog"), first, "{references:?}");
        host.assert_only("blog", &[1]);
    }
    assert_eq!(states(&host, "blog"), ["live"]);

    // The way that the refusal of a tag names does work.
    repository.git(["push", repository.url(), "v1^{commit}:refs/heads/main"]).succeeds();
    host.assert_only("blog", &[2]);
}

#[test]
fn only_who_may_deploy_can_push_and_nobody_can_fetch() {
    let host = Host::boot("pushers");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    let repository = host.sample("blog");
    let deploy = host.token("deploy");
    let push = |url: &str| repository.git(["push", url, "main"]);
    let refused = |ran: Ran, words: &str| {
        assert_eq!(ran.code, 128, "{}\n{}", ran.stdout, ran.stderr);
        ran.says(words);
    };
    refused(push(&format!("http://{}/git/blog.git", host.address())), "could not read Username");
    for unknown in ["", "password", "rvt_123", &deploy.replace("rvt_", "rvt_0"), &host.expired_token("admin")]
    {
        refused(push(&host.git_url_with(unknown, "blog")), "Authentication failed");
    }
    refused(push(&host.git_url_with(&host.token("read"), "blog")), "403");
    refused(push(&host.git_url_with(&deploy, "nowhere")), "not found");
    assert_eq!(states(&host, "blog"), [""; 0]);
    assert_eq!(branches(&host, "blog"), "");

    push(&host.git_url_with(&deploy, "blog")).succeeds();
    refused(repository.git(["fetch", repository.url()]), "403");
    refused(repository.git(["ls-remote", repository.url()]), "403");
    host.assert_only("blog", &[1]);
}

#[test]
fn a_large_push_takes_no_memory_and_a_too_large_one_leaves_nothing() {
    let host = Host::boot("large");
    host.rivetr(["apps", "create", "blog"]).succeeds();
    let repository = host.sample("blog");
    random_file(&repository, 50);
    repository.commit("Large");
    forget_peak(&host);
    let before = peak(&host);
    repository.push().succeeds();
    let after = peak(&host);
    println!("peak of the daemon's memory: {before} bytes, with a push of 50 MB {after} bytes");
    assert!(after < before + 20 * MEGABYTE, "from {before} to {after} bytes");
    host.assert_only("blog", &[1]);

    host.rivetr(["apps", "delete", "blog", "--yes"]).succeeds();
    host.configure("[git]\nmax_size_mb = 4\n");
    host.rivetr(["apps", "create", "small"]).succeeds();
    let repository = host.sample("small");
    repository.push().succeeds();
    let kept = disk(&host, "small");
    random_file(&repository, 12);
    repository.commit("Too large");
    let push = repository.push();
    assert_ne!(push.code, 0);
    push.says("max_size_mb");
    assert_eq!(states(&host, "small"), ["live"]);
    assert_eq!(disk(&host, "small"), kept);
    host.assert_only("small", &[1]);
}

#[test]
fn a_deployment_goes_on_when_the_one_who_pushed_is_gone() {
    let host = Host::boot("gone");
    let (repository, push) = push_to_a_gate(&host);
    push.kill();
    open_gate(&host, "rivetr-app-blog-1");
    host.rivetr(["logs", "blog", "--build", "1"]).succeeds().says("-----> Live");
    assert_eq!(host.get("blog").status, 200);
    assert_eq!(states(&host, "blog"), ["live"]);
    // It counts as pushed, although nobody was told.
    repository.push().succeeds().says("Everything up-to-date");
    host.assert_only("blog", &[1]);
}

#[test]
fn a_deployment_goes_on_when_the_daemon_is_started_anew() {
    let host = Host::boot("anew");
    let (repository, push) = push_to_a_gate(&host);
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    push.end().exits(1).says("rivetr deployments blog");
    open_gate(&host, "rivetr-app-blog-1");
    host.rivetr(["logs", "blog", "--build", "1"]).succeeds().says("-----> Live");
    assert_eq!(states(&host, "blog"), ["live"]);
    repository.push().succeeds().says("Everything up-to-date");
    host.assert_only("blog", &[1]);

    // And killed, which tells nobody anything.
    repository.write("index.html", "killed\n");
    repository.commit("Second");
    let mut push = repository.start_push();
    push.wait_for("-----> Checking");
    host.run(["systemctl", "kill", "--signal=KILL", "rivetr.service"]).succeeds();
    assert_ne!(push.end().code, 0);
    open_gate(&host, "rivetr-app-blog-2");
    host.rivetr(["logs", "blog", "--build", "2"]).succeeds().says("-----> Live");
    assert_eq!(host.get("blog").body, "killed\n");
    repository.push().succeeds().says("Everything up-to-date");
    host.assert_only("blog", &[2]);
}

#[test]
fn an_app_is_fetched_from_where_its_code_is_kept() {
    let host = Host::boot("fetched");
    let url = host.run(["git-new", "code"]).succeeds().stdout.trim().to_owned();
    let code = host.sample("blog");
    let publish = || {
        let bundle = host.path("/srv/code.bundle");
        code.git(["bundle", "create", "--quiet", bundle.to_str().unwrap(), "main"]).succeeds();
        let fetch =
            ["git", "--git-dir=/srv/git/code.git", "fetch", "--quiet", "/srv/code.bundle", "main:main"];
        host.as_user("git", fetch).succeeds();
    };
    publish();

    let create = |name: &str, url: &str, branch: &str| {
        host.rivetr(["apps", "create", name, "--git", url, "--branch", branch])
    };
    create("blog", &url, "main").exits(5).says("protocols").says("rivetr.toml");
    host.configure("[git]\nprotocols = [\"https\", \"http\"]\n");
    create("blog", &url, "main").succeeds().says("rivetr deploy blog");
    create("branchless", &url, "nosuch").succeeds();
    create("missing", "http://127.0.0.1:3000/missing.git", "main").succeeds();
    create("unreachable", "http://127.0.0.1:9/code.git", "main").succeeds();

    host.rivetr(["deploy", "blog"]).succeeds().says("Live");
    assert_eq!(host.get("blog").status, 200);
    code.write("index.html", "fetched\n");
    code.commit("Second");
    publish();
    let first = code.git(["rev-parse", "main~1"]).succeeds().stdout.trim().to_owned();
    host.rivetr(["deploy", "blog"]).succeeds();
    assert_eq!(host.get("blog").body, "fetched\n");
    host.rivetr(["deploy", "blog", "--commit", &first]).succeeds();
    assert_ne!(host.get("blog").body, "fetched\n");
    host.assert_only("blog", &[3]);

    for (app, words) in [
        ("branchless", "has no branch \"nosuch\""),
        ("missing", "cannot fetch from http://127.0.0.1:3000/missing.git"),
        ("unreachable", "cannot fetch from http://127.0.0.1:9/code.git"),
    ] {
        let deploy = host.rivetr(["deploy", app]);
        assert_ne!(deploy.code, 0, "{app}");
        deploy.says(words);
        assert_eq!(states(&host, app), ["failed"]);
        assert_eq!(host.ask(&host.host_of(app), "/").unwrap().status, 404, "{app}");
    }
    let nowhere = host.rivetr(["deploy", "blog", "--commit", &"a".repeat(40)]);
    assert_ne!(nowhere.code, 0);
    nowhere.says("has no commit");
    // Code does not come to it from two sides.
    let push = code.push();
    assert_ne!(push.code, 0);
    push.says("push there");
    host.assert_only("blog", &[3]);
}

/// The branches of an app's own repository, one a line.
fn branches(host: &Host, app: &str) -> String {
    let repo = format!("--git-dir=/var/lib/rivetr/repos/{app}.git");
    let list = ["git", &repo, "for-each-ref", "--format=%(objectname) %(refname)"];
    host.as_owner(list).succeeds().stdout
}

fn head(repository: &Repository) -> String {
    repository.git(["rev-parse", "main"]).succeeds().stdout.trim().to_owned()
}

/// The states of an app's deployments, newest first.
fn states(host: &Host, app: &str) -> Vec<String> {
    let shown = host.rivetr(["deployments", app, "--json"]).succeeds().json();
    let state = |item: &Value| item["state"].as_str().unwrap().to_owned();
    shown["items"].as_array().unwrap().iter().map(state).collect()
}

/// A file that does not compress, not copied into the image.
fn random_file(repository: &Repository, megabytes: u64) {
    let mut random = std::io::Read::take(std::fs::File::open("/dev/urandom").unwrap(), megabytes * MEGABYTE);
    let mut file = std::fs::File::create(repository.path().join("large.bin")).unwrap();
    std::io::copy(&mut random, &mut file).unwrap();
}

/// The most memory that the daemon has had since the last [`forget_peak`], in bytes.
fn peak(host: &Host) -> u64 {
    let status = std::fs::read_to_string(daemon(host).join("status")).expect("the daemon runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a process has a peak");
    let kilobytes: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    kilobytes * 1024
}

/// Sets the peak to what is in use now: that is what 5 means (`man 5 proc_pid_clear_refs`).
fn forget_peak(host: &Host) {
    std::fs::write(daemon(host).join("clear_refs"), "5").expect("the peak can be set");
}

fn daemon(host: &Host) -> PathBuf {
    let pid = host.run(["systemctl", "show", "--property=MainPID", "--value", "rivetr.service"]).succeeds();
    host.path(&format!("/proc/{}", pid.stdout.trim()))
}

/// What lies in an app's repository: every file with its size.
fn disk(host: &Host, app: &str) -> String {
    let find = ["find", &format!("/var/lib/rivetr/repos/{app}.git"), "-type", "f", "-printf", "%P %s\n"];
    let found = host.run(find).succeeds().stdout;
    let mut lines: Vec<&str> = found.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// A push of an app that starts and does not answer yet.
fn push_to_a_gate(host: &Host) -> (Repository, Push) {
    host.rivetr(["apps", "create", "blog"]).succeeds();
    let repository = host.sample("blog");
    repository.write("Containerfile", GATED);
    repository.commit("Waits at a gate");
    let mut push = repository.start_push();
    push.wait_for("-----> Checking");
    (repository, push)
}

fn open_gate(host: &Host, container: &str) {
    host.as_owner(["podman", "exec", container, "sh", "-c", "echo > /gate"]).succeeds();
}
