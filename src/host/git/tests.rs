//! Against the real git: repositories in temporary directories, and a small server in front of `git http-backend`.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::domain::source::{Branch, GitUrl, Reference, Tag};

mod history;
mod sources;

/// A person's own repository, and a bare one of ours.
struct Scene {
    dir: tempfile::TempDir,
    git: Git,
    repo: PathBuf,
}

impl Scene {
    async fn new() -> Self {
        Self::limited(50_000_000).await
    }

    async fn limited(max_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let protocols = vec!["http".to_owned()];
        let runtime = dir.path().join("run");
        let git = Git::new(GitSettings { protocols, limit: Duration::from_mins(1), max_bytes, runtime });
        let repo = dir.path().join("repos/blog.git");
        git.init(&repo).await.unwrap();
        let scene = Self { dir, git, repo };
        scene.person(&["init", "--quiet", "--initial-branch=main", "."]).await;
        scene
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// git as the person at the other end runs it.
    async fn person(&self, args: &[&str]) -> String {
        self.person_with(args, b"").await
    }

    async fn person_with(&self, args: &[&str], input: &[u8]) -> String {
        String::from_utf8_lossy(&self.raw(args, input).await).trim().to_owned()
    }

    async fn raw(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        files::make_dirs(&self.work(), 0o755).unwrap();
        let git = Spawn::new("git").args(args).dir(self.work()).stdin(input);
        let git = git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        let git = ["AUTHOR", "COMMITTER"].iter().fold(git, |git, who| {
            git.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@example.org")
        });
        git.run().await.unwrap().stdout
    }

    fn write(&self, path: &str, contents: &str) {
        let path = self.work().join(path);
        files::make_dirs(path.parent().unwrap(), 0o755).unwrap();
        files::write_whole(&path, contents.as_bytes(), 0o644).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        files::make_dirs(self.work().join(path).parent().unwrap(), 0o755).unwrap();
        std::os::unix::fs::symlink(target, self.work().join(path)).unwrap();
    }

    async fn commit(&self, message: &str) -> CommitId {
        self.person(&["add", "--all"]).await;
        self.person(&["commit", "--quiet", "--allow-empty", "-m", message]).await;
        CommitId::parse(&self.person(&["rev-parse", "HEAD"]).await).unwrap()
    }

    /// Feeds a push to `git receive-pack` as the daemon does; the report it gives.
    async fn push(&self, commit: &CommitId, refname: &str, pack: &[u8]) -> String {
        self.push_cut_off(None, commit, refname, pack).await
    }

    async fn push_cut_off(
        &self,
        at: Option<&CommitId>,
        commit: &CommitId,
        refname: &str,
        pack: &[u8],
    ) -> String {
        let shallow = at.map(|commit| format!("shallow {commit}\n"));
        let command = format!("{} {commit} {refname}\0 report-status\n", "0".repeat(40));
        let lines = shallow.into_iter().chain([command]);
        let mut input: Vec<u8> =
            lines.flat_map(|line| format!("{:04x}{line}", line.len() + 4).into_bytes()).collect();
        input.extend_from_slice(b"0000");
        input.extend_from_slice(pack);
        let mut running = self.git.receive_pack(&self.repo).unwrap();
        let (mut stdin, mut stdout) = (running.stdin.take().unwrap(), running.stdout.take().unwrap());
        let mut report = Vec::new();
        let feed = async move {
            let fed = stdin.write_all(&input).await;
            drop(stdin);
            fed
        };
        let (_fed, read, ended) = tokio::join!(feed, stdout.read_to_end(&mut report), running.wait());
        read.unwrap();
        ended.unwrap();
        String::from_utf8_lossy(&report).into_owned()
    }

    async fn pack(&self, commit: &CommitId) -> Vec<u8> {
        self.raw(&["pack-objects", "--revs", "--stdout", "--quiet"], format!("{commit}\n").as_bytes()).await
    }

    /// The same for one that does not follow on what was pushed before.
    async fn pushed_anew(&self, commit: &CommitId) {
        self.git.set_ref(&self.repo, "refs/heads/main", None).await.unwrap();
        self.pushed(commit).await;
    }

    /// Brings a commit of the person's repository into ours.
    async fn pushed(&self, commit: &CommitId) {
        let report = self.push(commit, "refs/heads/main", &self.pack(commit).await).await;
        assert!(report.contains("ok refs/heads/main"), "{report}");
    }
}

/// The person's repository over HTTP, until dropped.
struct Server {
    url: GitUrl,
    _tasks: JoinSet<()>,
}

/// Whom a server lets in.
#[derive(Clone)]
enum Door {
    Open,
    /// Who sends this in `Authorization`.
    Guarded(String),
    /// Nobody: what it had is there now.
    Moved(String),
}

impl Server {
    async fn before(scene: &Scene) -> Self {
        Self::with(scene, Door::Open).await
    }

    async fn with(scene: &Scene, door: Door) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = GitUrl::parse(&format!("http://{}/work/.git", listener.local_addr().unwrap())).unwrap();
        let root = scene.dir.path().to_owned();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                serve(connection, &root, &door).await;
            }
        });
        Self { url, _tasks: tasks }
    }

    /// As a person without anything to show sees it.
    fn remote(&self) -> Remote {
        open(&self.url)
    }
}

fn open(url: &GitUrl) -> Remote {
    Remote { url: url.clone(), credential: Credential::None }
}

async fn serve(mut connection: TcpStream, root: &Path, door: &Door) {
    let mut reader = BufReader::new(&mut connection);
    let mut first = String::new();
    reader.read_line(&mut first).await.unwrap();
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut cgi = Spawn::new("git").args(["http-backend"]).env("GIT_PROJECT_ROOT", root);
    cgi = cgi.env("GIT_HTTP_EXPORT_ALL", "1").env("REQUEST_METHOD", method).env("PATH_INFO", path);
    cgi = cgi.env("QUERY_STRING", query).env("GIT_CONFIG_COUNT", "2");
    cgi = cgi.env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", "*");
    cgi = cgi.env("GIT_CONFIG_KEY_1", "uploadpack.allowAnySHA1InWant").env("GIT_CONFIG_VALUE_1", "true");
    let mut length = 0;
    let mut shown = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        cgi = match name.to_ascii_lowercase().as_str() {
            "content-type" => cgi.env("CONTENT_TYPE", value),
            "content-encoding" => cgi.env("HTTP_CONTENT_ENCODING", value),
            "git-protocol" => cgi.env("GIT_PROTOCOL", value),
            "authorization" => {
                shown = value.to_owned();
                cgi
            }
            "content-length" => {
                length = value.parse().unwrap();
                cgi.env("CONTENT_LENGTH", value)
            }
            _ => cgi,
        };
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.unwrap();
    let refusal = match door {
        Door::Open => None,
        Door::Guarded(wanted) if *wanted == shown => None,
        Door::Guarded(_) if shown.is_empty() => {
            Some("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"".to_owned())
        }
        Door::Guarded(wanted) if shown.len() == wanted.len() => Some("HTTP/1.1 403 Forbidden".to_owned()),
        Door::Guarded(_) => {
            Some("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"".to_owned())
        }
        Door::Moved(to) => Some(format!("HTTP/1.1 301 Moved Permanently\r\nLocation: {to}{path}?{query}")),
    };
    if let Some(refusal) = refusal {
        let words = format!("{refusal}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return connection.write_all(words.as_bytes()).await.unwrap();
    }
    let answer = cgi.stdin(body).cap(1 << 30).output().await.unwrap().stdout;
    let status = answer.strip_prefix(b"Status: ").map_or("200 OK", |rest| {
        std::str::from_utf8(rest.split(|byte| *byte == b'\r').next().unwrap()).unwrap()
    });
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    // A client that has had enough goes away; that is for its own test to judge.
    let sent = connection.write_all(&[head.as_bytes(), &answer].concat()).await;
    drop(sent);
}

fn main_branch() -> Reference {
    branch("main")
}

fn branch(name: &str) -> Reference {
    Reference::Branch(Branch::parse(name).unwrap())
}

fn tag(name: &str) -> Reference {
    Reference::Tag(Tag::parse(name).unwrap())
}

#[tokio::test]
async fn a_push_goes_in_under_a_hidden_name() {
    let scene = Scene::new().await;
    scene.write("index.html", "hello");
    let first = scene.commit("first").await;
    let hidden = format!("refs/rivetr/pushes/{first}-1");
    let report = scene.push(&first, &hidden, &scene.pack(&first).await).await;
    assert!(report.contains("unpack ok") && report.contains(&format!("ok {hidden}")), "{report}");
    assert_eq!(scene.git.resolve(&scene.repo, &hidden).await.unwrap(), Some(first.clone()));

    let before = scene.git.advertise(&scene.repo, Service::ReceivePack).await.unwrap();
    let before = String::from_utf8_lossy(&before).into_owned();
    assert!(before.contains("capabilities^{}") && before.contains("report-status"), "{before}");
    assert!(!before.contains("refs/rivetr"), "{before}");

    scene.git.set_ref(&scene.repo, "refs/heads/main", Some(&first)).await.unwrap();
    let after = scene.git.advertise(&scene.repo, Service::ReceivePack).await.unwrap();
    let after = String::from_utf8_lossy(&after).into_owned();
    assert!(after.contains(&format!("{first} refs/heads/main")) && !after.contains("refs/rivetr"), "{after}");
    let below = scene.git.refs(&scene.repo, "refs/rivetr").await.unwrap();
    assert_eq!(below, [(hidden.clone(), first.clone())]);
    scene.git.set_ref(&scene.repo, &hidden, None).await.unwrap();
    scene.git.set_ref(&scene.repo, &hidden, None).await.unwrap();
    assert_eq!(scene.git.resolve(&scene.repo, &hidden).await.unwrap(), None);
}

#[tokio::test]
async fn a_clone_without_its_history_may_push() {
    let scene = Scene::new().await;
    scene.commit("first").await;
    scene.write("a", "2");
    let second = scene.commit("second").await;
    files::write_whole(&scene.work().join(".git/shallow"), format!("{second}\n").as_bytes(), 0o600).unwrap();
    let pack = scene.pack(&second).await;
    let report = scene.push_cut_off(Some(&second), &second, "refs/rivetr/pushes/1", &pack).await;
    assert!(report.contains("ok refs/rivetr/pushes/1"), "{report}");
    assert_eq!(scene.git.subject(&scene.repo, &second).await.unwrap(), "second");
}

#[tokio::test]
async fn a_push_that_is_too_large_or_broken_is_refused() {
    let scene = Scene::limited(20_000).await;
    let random =
        (0..40_000u32).map(|n| char::from(b'a' + u8::try_from(n * n % 25).unwrap())).collect::<String>();
    scene.write("small", "x");
    let small = scene.commit("small").await;
    let mut broken = scene.pack(&small).await;
    let middle = broken.len() / 2;
    broken[middle] ^= 0xff;
    let report = scene.push(&small, "refs/heads/broken", &broken).await;
    assert!(report.contains("ng refs/heads/broken"), "{report}");
    scene.write("large", &random);
    scene.person(&["config", "core.compression", "0"]).await;
    let large = scene.commit("large").await;
    let report = scene.push(&large, "refs/heads/large", &scene.pack(&large).await).await;
    assert!(report.contains("ng refs/heads/large"), "{report}");
    assert!(scene.git.refs(&scene.repo, "refs/heads").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_push_of_a_tree_that_would_write_into_git_itself_is_refused() {
    let scene = Scene::new().await;
    let blob = scene.person_with(&["hash-object", "-w", "--stdin"], b"[core]").await;
    let evil = scene.person_with(&["mktree"], format!("100644 blob {blob}\tconfig\n").as_bytes()).await;
    let tree = scene.person_with(&["mktree"], format!("040000 tree {evil}\t.git\n").as_bytes()).await;
    let commit = CommitId::parse(&scene.person(&["commit-tree", "-m", "x", &tree]).await).unwrap();
    let report = scene.push(&commit, "refs/heads/main", &scene.pack(&commit).await).await;
    assert!(report.contains("ng refs/heads/main"), "{report}");
    assert_eq!(scene.git.resolve(&scene.repo, "refs/heads/main").await.unwrap(), None);
}

#[tokio::test]
async fn hooks_of_the_repository_do_not_run() {
    let scene = Scene::new().await;
    let hook = scene.repo.join("hooks/pre-receive");
    files::make_dirs(hook.parent().unwrap(), 0o755).unwrap();
    files::write_whole(&hook, b"#!/bin/sh\nexit 1\n", 0o755).unwrap();
    let commit = scene.commit("first").await;
    scene.pushed(&commit).await;
}

#[tokio::test]
async fn a_tag_is_peeled_and_a_file_is_no_commit() {
    let scene = Scene::new().await;
    scene.write("a", "1");
    let first = scene.commit("first").await;
    scene.person(&["tag", "-a", "-m", "one", "v1"]).await;
    let tag = CommitId::parse(&scene.person(&["rev-parse", "v1"]).await).unwrap();
    let blob = CommitId::parse(&scene.person(&["rev-parse", "HEAD:a"]).await).unwrap();
    for (object, refname) in [(&tag, "refs/rivetr/pushes/tag"), (&blob, "refs/rivetr/pushes/blob")] {
        let report = scene.push(object, refname, &scene.pack(object).await).await;
        assert!(report.contains(&format!("ok {refname}")), "{report}");
    }
    let named = scene.git.resolve(&scene.repo, "refs/rivetr/pushes/tag^{commit}").await.unwrap();
    assert_eq!(named, Some(first));
    assert_eq!(scene.git.resolve(&scene.repo, "refs/rivetr/pushes/blob").await.unwrap(), None);
}

#[tokio::test]
async fn names_that_are_no_references_are_refused_before_git_sees_them() {
    let scene = Scene::new().await;
    let odd = [
        "",
        "-d",
        "--stdin",
        "main",
        "HEAD",
        "refs/",
        "refs/../x",
        "refs/a b",
        "refs/a//b",
        "refs/.a",
        "refs/a\n",
    ];
    for name in odd {
        let refused = scene.git.resolve(&scene.repo, name).await.unwrap_err();
        assert!(matches!(refused, GitError::RefName(_)), "{name:?} gave {refused}");
        assert!(scene.git.set_ref(&scene.repo, name, None).await.is_err(), "{name:?}");
    }
    let gone = scene.git.resolve(&scene.dir.path().join("no.git"), "refs/heads/main").await;
    assert!(matches!(gone, Err(GitError::Process(_))), "{gone:?}");
}

#[tokio::test]
async fn a_fetch_takes_the_head_and_leaves_the_history() {
    let scene = Scene::new().await;
    scene.write("a", "1");
    let first = scene.commit("first").await;
    scene.write("a", "2");
    let second = scene.commit("second: ä \u{1b}[31m").await;
    let server = Server::before(&scene).await;
    let mut said = Vec::new();
    let say = |line: &str| said.push(line.to_owned());
    let fetched = scene.git.fetch(&scene.repo, &server.remote(), &main_branch(), say).await;
    assert_eq!(fetched.unwrap(), Fetched { commit: second.clone(), met: vec![] });
    assert!(said.iter().any(|line| line.contains("done")), "{said:?}");
    assert!(said.iter().all(|line| !line.contains('\r')), "{said:?}");
    assert_eq!(scene.git.subject(&scene.repo, &second).await.unwrap(), "second: ä [31m");
    assert!(scene.git.subject(&scene.repo, &first).await.is_err(), "the history came along");
    let wanted = Reference::Commit(first.clone());
    scene.git.fetch(&scene.repo, &server.remote(), &wanted, |_| {}).await.unwrap();
    assert_eq!(scene.git.subject(&scene.repo, &first).await.unwrap(), "first");
    let again = scene.git.fetch(&scene.repo, &server.remote(), &main_branch(), |_| {}).await.unwrap();
    assert_eq!(again.commit, second);
}

#[tokio::test]
async fn the_head_of_a_branch_is_asked_for_and_nothing_fetched() {
    let scene = Scene::new().await;
    let first = scene.commit("first").await;
    let server = Server::before(&scene).await;
    let head = async |url: &GitUrl, branch: &str| {
        let remote = Remote { url: url.clone(), credential: Credential::None };
        let head = scene.git.head(&remote, &Reference::Branch(Branch::parse(branch).unwrap())).await;
        head.map(|(commit, _)| commit)
    };
    assert_eq!(head(&server.url, "main").await.unwrap(), Some(first.clone()));
    assert_eq!(head(&server.url, "gone").await.unwrap(), None);
    // Another branch whose name ends in the same way.
    scene.person(&["branch", "x/refs/heads/gone"]).await;
    assert_eq!(head(&server.url, "gone").await.unwrap(), None);
    let second = scene.commit("second").await;
    assert_eq!(head(&server.url, "main").await.unwrap(), Some(second));
    assert!(scene.git.subject(&scene.repo, &first).await.is_err(), "it was fetched");
    let nowhere = GitUrl::parse("http://127.0.0.1:1/x.git").unwrap();
    assert!(head(&nowhere, "main").await.is_err());
    let ssh = GitUrl::parse("ssh://git@example.org/x.git").unwrap();
    assert!(head(&ssh, "main").await.unwrap_err().to_string().contains("ssh is not allowed"));
}

#[tokio::test]
async fn locks_of_a_git_that_was_killed_hold_nothing_up_for_ever() {
    let scene = Scene::new().await;
    let commit = scene.commit("first").await;
    scene.pushed(&commit).await;
    let name = "refs/rivetr/deployments/1";
    scene.git.set_ref(&scene.repo, name, Some(&commit)).await.unwrap();
    for lock in ["packed-refs.lock", "refs/rivetr/deployments/1.lock"] {
        files::write_whole(&scene.repo.join(lock), b"", 0o600).unwrap();
        assert!(scene.git.set_ref(&scene.repo, name, None).await.is_err(), "{lock}");
    }
    unlock(&scene.repo).unwrap();
    scene.git.set_ref(&scene.repo, name, None).await.unwrap();
    assert_eq!(scene.git.refs(&scene.repo, "refs/rivetr").await.unwrap(), []);
    unlock(&scene.dir.path().join("nowhere")).unwrap();
}

#[tokio::test]
async fn a_fetch_that_cannot_be_says_why() {
    let scene = Scene::new().await;
    scene.commit("first").await;
    let server = Server::before(&scene).await;
    let fetch = async |remote: &Remote, reference: &Reference| {
        scene.git.fetch(&scene.repo, remote, reference, |_| {}).await.unwrap_err().to_string()
    };
    let error = fetch(&server.remote(), &branch("gone")).await;
    assert!(error.contains("no branch \"gone\""), "{error}");
    let error = fetch(&server.remote(), &tag("gone")).await;
    assert!(error.contains("no tag \"gone\""), "{error}");
    let error = fetch(&server.remote(), &Reference::Commit(CommitId::parse(&"1".repeat(40)).unwrap())).await;
    assert!(error.contains("no commit 1111"), "{error}");
    let error = fetch(&open(&GitUrl::parse("http://127.0.0.1:1/x.git").unwrap()), &main_branch()).await;
    assert!(error.starts_with("cannot fetch from http://127.0.0.1:1/x.git: Failed to connect"), "{error}");
    let error = fetch(&open(&GitUrl::parse("ssh://git@example.org/x.git").unwrap()), &main_branch()).await;
    assert!(error.contains("ssh is not allowed") && error.contains("http"), "{error}");
}

#[tokio::test]
async fn a_fetch_stops_at_the_size_limit() {
    let scene = Scene::limited(100_000).await;
    scene.person(&["config", "core.compression", "0"]).await;
    scene.write("large", &"0123456789".repeat(500_000));
    scene.commit("large").await;
    let server = Server::before(&scene).await;
    let error = scene.git.fetch(&scene.repo, &server.remote(), &main_branch(), |_| {}).await.unwrap_err();
    assert!(matches!(error, GitError::TooLarge { .. }), "{error}");
    let left = files::names(&scene.repo.join("objects/pack")).unwrap();
    assert!(!left.iter().any(|name| name.starts_with("tmp_pack")), "{left:?}");
}

#[tokio::test]
async fn a_checkout_has_the_modes_links_and_bytes_of_the_commit() {
    let scene = Scene::new().await;
    scene.write("plain", "p\r\n");
    scene.write("bin/run", "#!/bin/sh\n");
    scene.write("deep/er/file name\u{fc}", "x");
    let run = scene.work().join("bin/run");
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755)).unwrap();
    scene.link("alias", "bin/run");
    let commit = scene.commit("files").await;
    scene.pushed(&commit).await;
    let dest = scene.dir.path().join("deployments/blog/1/source");
    files::make_dirs(&dest, 0o700).unwrap();
    files::write_whole(&dest.join("left-over"), b"", 0o600).unwrap();
    let exported = scene.git.export(&scene.repo, &commit, &dest, None).await.unwrap();
    assert_eq!(exported, Exported { files: 4, bytes: 21, notes: vec![] });
    let mode = |path: &str| std::fs::symlink_metadata(dest.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("plain"), mode("bin/run"), mode("deep/er/file name\u{fc}")], [0o644, 0o755, 0o644]);
    assert_eq!([mode(""), mode("bin"), mode("deep/er")], [0o755; 3]);
    assert_eq!(std::fs::read_link(dest.join("alias")).unwrap(), Path::new("bin/run"));
    assert_eq!(std::fs::read(dest.join("plain")).unwrap(), b"p\r\n");
    assert_eq!(files::names(&dest).unwrap(), ["alias", "bin", "deep", "plain"]);
    assert_eq!(files::names(dest.parent().unwrap()).unwrap(), ["source"]);
}

#[tokio::test]
async fn links_out_and_submodules_are_harmless_and_told() {
    let scene = Scene::new().await;
    scene.write("docker/Containerfile", "FROM scratch\n");
    scene.link("Containerfile", "docker/Containerfile");
    scene.link("Dockerfile", "/etc/passwd");
    scene.link("up", "../../../../etc/passwd");
    scene.link("docker/inside", "../docker/Containerfile");
    scene.link("nowhere", "gone");
    scene.link("round", "round");
    scene.link("folder", "docker");
    scene.person(&["add", "--all"]).await;
    let module = format!("160000,{},vendor/lib", "1".repeat(40));
    scene.person(&["update-index", "--add", "--cacheinfo", &module]).await;
    scene.person(&["commit", "--quiet", "-m", "links"]).await;
    let commit = CommitId::parse(&scene.person(&["rev-parse", "HEAD"]).await).unwrap();
    scene.pushed(&commit).await;
    assert_eq!(scene.git.listing(&scene.repo, &commit).await.unwrap(), ["Containerfile"]);
    let dest = scene.dir.path().join("source");
    let exported = scene.git.export(&scene.repo, &commit, &dest, None).await.unwrap();
    let out =
        |path: &str, target: &str| Note::LinkLeadsOut { path: path.to_owned(), target: target.to_owned() };
    let mut notes = exported.notes;
    let module = notes.remove(0);
    assert_eq!(module, Note::Submodule("vendor/lib".to_owned()));
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert_eq!(notes[0], out("Dockerfile", "/etc/passwd"));
    assert!(
        matches!(&notes[1], Note::LinkLeadsOut { path, target } if path == "up" && target.contains("etc/passwd"))
    );
    assert_eq!(files::names(&dest.join("vendor/lib")).unwrap(), [""; 0]);
    assert_eq!(std::fs::read_link(dest.join("up")).unwrap(), Path::new("../../../../etc/passwd"));
}

#[tokio::test]
async fn a_checkout_that_would_be_too_large_is_not_begun() {
    let scene = Scene::limited(1_000_000).await;
    scene.write("zeros", &"0".repeat(2_000_000));
    let commit = scene.commit("zeros").await;
    scene.pushed(&commit).await;
    let dest = scene.dir.path().join("source");
    let error = scene.git.export(&scene.repo, &commit, &dest, None).await.unwrap_err();
    assert!(error.to_string().contains("larger than the limit of 1 MB"), "{error}");
    assert!(!dest.exists());
}
