//! Code that is fetched from elsewhere: over HTTP and SSH, with and without something to show, of all kinds.

use crate::host::{Host, Ran, Repository};

/// Where the host's Git server lies over HTTP and over SSH.
const HTTP: &str = "http://127.0.0.1:3000";
const SSH: &str = "ssh://git@127.0.0.1/srv/git";

/// Who commits.
pub const WHO: [&str; 4] = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
/// A large file that lies elsewhere.
pub const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:\
    4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

/// A host whose Git server asks for `me:canary` below `/private`, and repositories of every kind on it.
fn host_with_repositories(name: &str) -> Host {
    let host = Host::boot(name);
    host.configure("[git]\nprotocols = [\"https\", \"http\", \"ssh\"]\nmax_size_mb = 4\n");
    guard(&host);
    host
}

fn guard(host: &Host) {
    let path = host.path("/etc/lighttpd/lighttpd.conf");
    let config = std::fs::read_to_string(&path).unwrap();
    let guarded = "server.modules += ( \"mod_auth\", \"mod_authn_file\" )\n\
        auth.backend = \"plain\"\n\
        auth.backend.plain.userfile = \"/srv/git/passwords\"\n\
        $HTTP[\"url\"] =~ \"^/private\" {\n\
          auth.require = ( \"\" => ( \"method\" => \"basic\", \"realm\" => \"git\", \"require\" => \"valid-user\" ) )\n\
        }\n";
    std::fs::write(&path, format!("{config}\n{guarded}")).unwrap();
    std::fs::write(host.path("/srv/git/passwords"), "me:canary\n").unwrap();
    host.run(["systemctl", "restart", "lighttpd.service"]).succeeds();
}

/// Makes a repository on the host's Git server with everything that `code` has.
pub fn publish(host: &Host, name: &str, code: &Repository) {
    if !host.path(&format!("/srv/git/{name}.git")).exists() {
        host.run(["git-new", name]).succeeds();
    }
    let bundle = host.path(&format!("/srv/{name}.bundle"));
    code.git(["bundle", "create", "--quiet", bundle.to_str().unwrap(), "--all"]).succeeds();
    let repository = format!("--git-dir=/srv/git/{name}.git");
    let bundle = format!("/srv/{name}.bundle");
    let fetch = ["git", &repository, "fetch", "--quiet", "--update-head-ok", &bundle, "+refs/*:refs/*"];
    host.as_user("git", fetch).succeeds();
}

fn create(host: &Host, app: &str, arguments: &[&str]) -> Ran {
    host.rivetr(["apps", "create", app].iter().chain(arguments).copied())
}

/// Deploys an app that was just created, and asserts that it is live and what it answers.
#[track_caller]
fn goes_live(host: &Host, app: &str, arguments: &[&str], body: &str) -> Ran {
    create(host, app, arguments).succeeds();
    let ran = host.rivetr(["deploy", app]).succeeds();
    assert_eq!(host.get(app).body, body, "{app}");
    ran
}

/// Deploys an app that was just created, and asserts why it failed and that nothing serves.
#[track_caller]
fn fails(host: &Host, app: &str, arguments: &[&str], words: &str) {
    create(host, app, arguments).succeeds();
    let ran = host.rivetr(["deploy", app]);
    assert_ne!(ran.code, 0, "{app}: {}", ran.stdout);
    ran.says(words);
    assert_eq!(host.ask(&host.host_of(app), "/").unwrap().status, 404, "{app}");
    host.assert_only(app, &[]);
}

#[test]
fn branches_tags_and_commits_with_and_without_a_token() {
    let host = host_with_repositories("refs");
    let code = host.sample("code");
    code.write("index.html", "first\n");
    code.commit("First");
    let first = code.git(["rev-parse", "HEAD"]).succeeds().stdout.trim().to_owned();
    code.git(WHO.into_iter().chain(["tag", "--annotate", "--message=v1", "v1"])).succeeds();
    code.git(["update-ref", "refs/heads/--upload-pack=x", "HEAD"]).succeeds();
    code.write("index.html", "second\n");
    code.commit("Second");
    publish(&host, "open", &code);
    publish(&host, "private", &code);
    let (open, private) = (format!("{HTTP}/open.git"), format!("{HTTP}/private.git"));
    std::fs::write(host.path("/root/right"), "canary\n").unwrap();
    std::fs::write(host.path("/root/wrong"), "mistyped\n").unwrap();

    goes_live(&host, "public", &["--git", &open], "second\n");
    goes_live(&host, "tagged", &["--git", &open, "--tag", "v1"], "first\n");
    goes_live(&host, "pinned", &["--git", &open, "--commit", &first], "first\n");
    let with = |file: &'static str| ["--git-token-user", "me", "--git-token-file", file];
    let token = |file| [&["--git", &private][..], &with(file)].concat();
    goes_live(&host, "token", &token("/root/right"), "second\n");
    fails(&host, "wrong", &token("/root/wrong"), "does not accept the token");
    fails(&host, "without", &["--git", &private], "wants a user name and a token");
    fails(&host, "untagged", &["--git", &open, "--tag", "v9"], "no tag \"v9\"");
    create(&host, "option", &["--git", &open, "--branch=--upload-pack=x"]).exits(2).says("begin with a dash");
    create(&host, "keyless", &["--git", &format!("{SSH}/open.git")]).exits(5).says("rivetr keys create");

    // A tag that was moved is followed; a commit is not.
    code.git(["tag", "--force", "v1", "main"]).succeeds();
    publish(&host, "open", &code);
    host.rivetr(["deploy", "tagged"]).succeeds();
    assert_eq!(host.get("tagged").body, "second\n");
    host.rivetr(["deploy", "pinned"]).succeeds();
    assert_eq!(host.get("pinned").body, "first\n");

    // The token can be given later, and the source be changed.
    let source = [&["apps", "source", "without"][..], &token("/root/right")].concat();
    host.rivetr(source).succeeds().says("from its next deployment on");
    host.rivetr(["deploy", "without"]).succeeds();
    assert_eq!(host.get("without").body, "second\n");
    assert_nowhere(&host, "canary");
}

/// Asserts that a secret is in no file of rivetr's, and in no log.
fn assert_nowhere(host: &Host, secret: &str) {
    let places = ["/var/lib/rivetr", "/run/rivetr", "/etc/containers", "/etc/systemd"];
    let found =
        host.run(["grep", "--recursive", "--files-with-matches", "--", secret].into_iter().chain(places));
    assert_eq!(found.stdout, "", "{secret} is on the disk");
    let log = host.run(["journalctl", "--no-pager", "--grep", secret]);
    assert!(!log.stdout.contains(secret), "{}", log.stdout);
}

#[test]
fn a_deploy_key_opens_and_a_server_that_changes_is_refused() {
    let host = host_with_repositories("deploykeys");
    let code = host.sample("code");
    code.write("index.html", "over ssh\n");
    code.commit("First");
    publish(&host, "code", &code);
    let url = format!("{SSH}/code.git");
    let made = host.rivetr(["keys", "create", "deploy"]).succeeds();
    host.rivetr(["keys", "create", "stranger"]).succeeds();
    let authorized = host.path("/srv/git/.ssh/authorized_keys");
    std::fs::write(&authorized, &made.stdout).unwrap();
    host.run(["chown", "git:git", "/srv/git/.ssh/authorized_keys"]).succeeds();

    fails(&host, "stranger", &["--git", &url, "--git-key", "stranger"], "does not accept the key");
    host.rivetr(["keys", "hosts", "list"]).succeeds().says("No server is known yet");
    let live = goes_live(&host, "blog", &["--git", &url, "--git-key", "deploy"], "over ssh\n");
    live.says("127.0.0.1:22 is known by SHA256:");
    host.rivetr(["keys", "hosts", "list"]).succeeds().says("127.0.0.1:22").says("SHA256:");
    host.rivetr(["keys", "delete", "deploy"]).exits(5).says("is used by blog");
    host.rivetr(["keys", "show", "deploy"]).succeeds().says("blog").says("ssh-ed25519 ");
    let refused = create(&host, "keyless", &["--git", &url, "--git-key", "nowhere"]);
    refused.exits(5).says("there is no key nowhere");

    host.run(["rm", "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ed25519_key.pub"]).succeeds();
    host.run(["ssh-keygen", "-A"]).succeeds();
    host.run(["systemctl", "restart", "ssh.service"]).succeeds();
    let changed = host.rivetr(["deploy", "blog"]);
    assert_ne!(changed.code, 0);
    changed.says("has changed").says("rivetr keys hosts forget 127.0.0.1:22");
    assert_eq!(host.get("blog").body, "over ssh\n");
    // A server that hides the kind of key it is known by is not taken for another one either.
    host.run(["sh", "-c", "echo HostKey /etc/ssh/ssh_host_rsa_key > /etc/ssh/sshd_config.d/rsa.conf"])
        .succeeds();
    host.run(["systemctl", "restart", "ssh.service"]).succeeds();
    let changed = host.rivetr(["deploy", "blog"]);
    assert_ne!(changed.code, 0);
    changed.says("has changed");

    host.rivetr(["keys", "hosts", "forget", "127.0.0.1"]).succeeds();
    host.rivetr(["deploy", "blog"]).succeeds();
    host.assert_only("blog", &[4]);
    let sessions = ["/run/rivetr/git", "/run/user/0/rivetr/git"];
    assert!(sessions.iter().all(|folder| host.list(folder).is_empty()), "a key was left behind");

    upload(&host);
}

/// Keys of one's own: one is taken, others are refused with what to do.
fn upload(host: &Host) {
    for (file, passphrase) in [("/root/own", ""), ("/root/locked", "secret")] {
        host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", file]).succeeds();
    }
    host.rivetr(["keys", "create", "own", "--file", "/root/own"]).succeeds().says("ssh-ed25519 ");
    host.rivetr(["keys", "create", "locked", "--file", "/root/locked"]).exits(5).says("has a passphrase");
    host.rivetr(["keys", "create", "half", "--file", "/root/own.pub"]).exits(5).says("public half");
    host.rivetr(["keys", "create", "none", "--file", "/etc/hostname"]).exits(5).says("no private key");
    host.rivetr(["keys", "create", "own"]).exits(5).says("there is a key own already");
    host.rivetr(["keys", "delete", "own"]).succeeds();
    host.rivetr(["keys", "show", "own"]).exits(4);
}

#[test]
fn submodules_large_files_and_what_is_too_large() {
    let host = host_with_repositories("extras");
    let sub = host.sample("sub");
    sub.write("index.html", "of the submodule\n");
    sub.commit("Sub");
    let commit = sub.git(["rev-parse", "HEAD"]).succeeds().stdout.trim().to_owned();
    publish(&host, "sub", &sub);

    let code = host.sample("code");
    let containerfile = std::fs::read_to_string(code.path().join("Containerfile")).unwrap();
    code.write("Containerfile", &containerfile.replace("COPY index.html", "COPY sub/index.html"));
    code.write(".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n\turl = ../sub.git\n");
    code.git(["add", "--all"]).succeeds();
    code.git(["update-index", "--add", "--cacheinfo", &format!("160000,{commit},sub")]).succeeds();
    code.git(WHO.into_iter().chain(["commit", "--quiet", "-m", "With a submodule"])).succeeds();
    publish(&host, "super", &code);
    let url = format!("{HTTP}/super.git");
    let live = goes_live(&host, "with", &["--git", &url, "--submodules"], "of the submodule\n");
    live.says("Submodule sub: ");
    fails(&host, "empty", &["--git", &url], "sub is a submodule and stays empty");

    let large = host.sample("large");
    large.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    large.write("photo.bin", POINTER);
    // Where git-lfs is installed here, it would take the pointer for contents.
    large.git(["-c", "filter.lfs.clean=cat", "-c", "filter.lfs.process=", "add", "--all"]).succeeds();
    large.git(WHO.into_iter().chain(["commit", "--quiet", "-m", "Large"])).succeeds();
    let body = std::fs::read_to_string(large.path().join("index.html")).unwrap();
    publish(&host, "large", &large);
    let url = format!("{HTTP}/large.git");
    goes_live(&host, "pointers", &["--git", &url], &body).says("photo.bin is only a pointer");
    fails(&host, "lfs", &["--git", &url, "--lfs"], "install the package git-lfs");

    let huge = host.sample("huge");
    let mut random = std::io::Read::take(std::fs::File::open("/dev/urandom").unwrap(), 12 << 20);
    std::io::copy(&mut random, &mut std::fs::File::create(huge.path().join("huge.bin")).unwrap()).unwrap();
    huge.commit("Huge");
    publish(&host, "huge", &huge);
    fails(&host, "huge", &["--git", &format!("{HTTP}/huge.git")], "larger than the limit of 4 MB");
    let packs = host.list("/var/lib/rivetr/repos/huge.git/objects/pack");
    assert!(packs.is_empty(), "left of it: {packs:?}");
}
