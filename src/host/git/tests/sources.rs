//! Repositories elsewhere: who is let in, what is fetched of them, and what is kept.

use super::super::transfer::fetched;
use super::*;
use crate::domain::secret::Secret;
use crate::domain::source::TokenUser;

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:\
    4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

fn with_token(url: &GitUrl, token: &str) -> Remote {
    let user = TokenUser::parse("me").unwrap();
    let token = Secret::new(token.as_bytes().to_vec());
    Remote { url: url.clone(), credential: Credential::Token { user, token } }
}

/// What `me` sends with this token (RFC 7617).
fn header(token: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(format!("me:{token}")))
}

async fn refused(scene: &Scene, remote: &Remote) -> String {
    scene.git.fetch(&scene.repo, remote, &main_branch(), |_| {}).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_token_opens_and_a_wrong_one_is_said() {
    let scene = Scene::new().await;
    let first = scene.commit("first").await;
    let server = Server::with(&scene, Door::Guarded(header("canary"))).await;
    let right = with_token(&server.url, "canary");
    let fetched = scene.git.fetch(&scene.repo, &right, &main_branch(), |_| {}).await.unwrap();
    assert_eq!(fetched.commit, first);
    assert_eq!(scene.git.head(&right, &main_branch()).await.unwrap().0, Some(first));

    let nothing = refused(&scene, &server.remote()).await;
    assert!(nothing.contains("it wants a user name and a token"), "{nothing}");
    let wrong = refused(&scene, &with_token(&server.url, "mistyped")).await;
    assert!(wrong.contains("does not accept the token"), "{wrong}");
    let narrow = refused(&scene, &with_token(&server.url, "narrow")).await;
    assert!(narrow.contains("may not read this repository"), "{narrow}");
    let head = scene.git.head(&server.remote(), &main_branch()).await.unwrap_err().to_string();
    assert!(head.contains("it wants a user name and a token"), "{head}");

    let config = std::fs::read_to_string(scene.repo.join("config")).unwrap();
    assert!(!config.contains(&header("canary")) && !config.contains("canary"), "{config}");
}

#[tokio::test]
async fn a_token_is_not_carried_to_where_a_server_points() {
    let scene = Scene::new().await;
    let first = scene.commit("first").await;
    let elsewhere = Server::before(&scene).await;
    let moved = Server::with(&scene, Door::Moved(elsewhere.url.origin().to_owned())).await;
    let words = refused(&scene, &with_token(&moved.url, "canary")).await;
    assert!(words.contains("redirected elsewhere"), "{words}");
    let followed = scene.git.fetch(&scene.repo, &moved.remote(), &main_branch(), |_| {}).await.unwrap();
    assert_eq!(followed.commit, first);
}

#[tokio::test]
async fn a_tag_is_peeled_each_time_and_a_commit_stays() {
    let scene = Scene::new().await;
    scene.write("a", "1");
    let first = scene.commit("first").await;
    scene.person(&["tag", "-a", "-m", "one", "v1"]).await;
    scene.person(&["tag", "blob", "HEAD:a"]).await;
    scene.person(&["branch", "v1"]).await;
    let second = scene.commit("second").await;
    let remote = Server::before(&scene).await;
    let fetch = async |reference: &Reference| {
        let fetched = scene.git.fetch(&scene.repo, &remote.remote(), reference, |_| {}).await;
        (fetched.map(|fetched| fetched.commit), scene.git.head(&remote.remote(), reference).await.unwrap().0)
    };
    let check = async |reference: Reference, expect: &CommitId| {
        let (fetched, head) = fetch(&reference).await;
        assert_eq!((&fetched.unwrap(), head.as_ref()), (expect, Some(expect)), "{reference}");
    };
    check(tag("v1"), &first).await;
    check(branch("v1"), &first).await;
    check(main_branch(), &second).await;
    check(Reference::Commit(first.clone()), &first).await;
    scene.person(&["tag", "-f", "v1", second.as_str()]).await;
    check(tag("v1"), &second).await;
    let no_commit = fetch(&tag("blob")).await.0.unwrap_err().to_string();
    assert!(no_commit.contains("no tag \"blob\" that names a commit"), "{no_commit}");
    assert_eq!(scene.git.head(&remote.remote(), &branch("gone")).await.unwrap().0, None);
}

#[tokio::test]
async fn commits_that_nobody_needs_are_forgotten_and_freed() {
    let scene = Scene::new().await;
    let server = Server::before(&scene).await;
    let mut commits = Vec::new();
    for name in ["one", "two", "three"] {
        scene.write("file", &name.repeat(1000));
        commits.push(scene.commit(name).await);
        scene.git.fetch(&scene.repo, &server.remote(), &main_branch(), |_| {}).await.unwrap();
    }
    // As an earlier rivetr kept them.
    scene.git.set_ref(&scene.repo, "refs/rivetr/fetched/main", Some(&commits[0])).await.unwrap();
    assert!(scene.git.forget_fetched(&scene.repo, &commits[2..]).await.unwrap());
    assert!(!scene.git.forget_fetched(&scene.repo, &commits[2..]).await.unwrap());
    let left = scene.git.refs(&scene.repo, "refs/rivetr").await.unwrap();
    assert_eq!(left, [(fetched(&commits[2]), commits[2].clone())]);

    // What is an hour old is freed, and what is named stays.
    let packs = scene.repo.join("objects/pack");
    let long_ago = std::fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    for name in files::names(&packs).unwrap() {
        std::fs::File::open(packs.join(name)).unwrap().set_times(long_ago).unwrap();
    }
    scene.git.free(&scene.repo).await.unwrap();
    assert!(scene.git.subject(&scene.repo, &commits[0]).await.is_err());
    assert_eq!(scene.git.subject(&scene.repo, &commits[2]).await.unwrap(), "three");
    scene.git.export(&scene.repo, &commits[2], &scene.dir.path().join("out"), None).await.unwrap();
    let again = Reference::Commit(commits[0].clone());
    scene.git.fetch(&scene.repo, &server.remote(), &again, |_| {}).await.unwrap();
    assert_eq!(scene.git.subject(&scene.repo, &commits[0]).await.unwrap(), "one");
}

/// Adds a submodule to what is committed next.
async fn add_submodule(scene: &Scene, path: &str, url: &str, commit: &CommitId) {
    let modules = scene.work().join(".gitmodules");
    let before = std::fs::read_to_string(&modules).unwrap_or_default();
    scene.write(".gitmodules", &format!("{before}[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n"));
    scene.person(&["add", "--all"]).await;
    let entry = format!("160000,{commit},{path}");
    scene.person(&["update-index", "--add", "--cacheinfo", &entry]).await;
}

/// Commits what stands in the index, submodules without a folder included.
async fn committed(scene: &Scene, message: &str) -> CommitId {
    scene.person(&["commit", "--quiet", "-m", message]).await;
    CommitId::parse(&scene.person(&["rev-parse", "HEAD"]).await).unwrap()
}

#[tokio::test]
async fn submodules_come_along_where_they_are_asked_for() {
    let scene = Scene::new().await;
    let token = header("canary");
    let server = Server::with(&scene, Door::Guarded(token)).await;
    let remote = with_token(&server.url, "canary");
    scene.person(&["checkout", "--quiet", "--orphan", "inner"]).await;
    scene.write("deep", "inner");
    let inner = scene.commit("inner").await;
    scene.person(&["checkout", "--quiet", "--orphan", "outer"]).await;
    scene.person(&["rm", "-rfq", "."]).await;
    scene.write("wide", "outer");
    add_submodule(&scene, "inside", "./", &inner).await;
    let outer = committed(&scene, "outer").await;
    scene.person(&["checkout", "--quiet", "--orphan", "main"]).await;
    scene.person(&["rm", "-rfq", "--cached", "."]).await;
    std::fs::remove_file(scene.work().join(".gitmodules")).unwrap();
    std::fs::remove_file(scene.work().join("wide")).unwrap();
    scene.write("top", "top");
    add_submodule(&scene, "vendor/outer", "../.git", &outer).await;
    let top = committed(&scene, "top").await;

    let dest = scene.dir.path().join("source");
    scene.git.fetch(&scene.repo, &remote, &main_branch(), |_| {}).await.unwrap();
    let exported = scene.git.export(&scene.repo, &top, &dest, None).await.unwrap();
    assert!(exported.notes.iter().any(Note::is_submodule), "{exported:?}");
    let mut said = Vec::new();
    let say = |line: &str| said.push(line.to_owned());
    let filled = scene.git.fill_submodules(&scene.repo, &remote, &top, &dest, false, say).await.unwrap();
    assert_eq!(filled, 2);
    assert!(said.iter().any(|line| line.starts_with("Submodule vendor/outer: ")), "{said:?}");
    for (file, text) in
        [("top", "top"), ("vendor/outer/wide", "outer"), ("vendor/outer/inside/deep", "inner")]
    {
        assert_eq!(std::fs::read_to_string(dest.join(file)).unwrap(), text, "{file}");
    }
    assert_eq!(files::names(&dest.join("vendor")).unwrap(), ["outer"], "nothing is left beside it");
}

#[tokio::test]
async fn a_submodule_that_cannot_be_had_is_named() {
    let scene = Scene::new().await;
    scene.write("a", "1");
    let first = scene.commit("first").await;
    let server = Server::before(&scene).await;
    let guarded = Server::with(&scene, Door::Guarded(header("canary"))).await;
    for (url, words) in [
        ("file:///etc", "begin it with https://"),
        ("ext::sh -c id", "write it as a URL"),
        ("ssh://git@127.0.0.1/a.git", "ssh is not allowed"),
        // The token of the repository itself is not shown to another server.
        (guarded.url.as_str(), "it wants a user name and a token"),
    ] {
        scene.person(&["checkout", "--quiet", "-B", "main", first.as_str()]).await;
        add_submodule(&scene, "sub", url, &first).await;
        let top = committed(&scene, "sub").await;
        scene.pushed_anew(&top).await;
        let remote = with_token(&server.url, "canary");
        let dest = scene.dir.path().join("source");
        let failed = scene.git.fill_submodules(&scene.repo, &remote, &top, &dest, false, |_| {}).await;
        let failed = failed.unwrap_err().to_string();
        assert!(
            failed.starts_with("the submodule sub cannot be fetched") && failed.contains(words),
            "{failed}"
        );
    }
}

#[tokio::test]
async fn pointers_to_large_files_are_told() {
    let scene = Scene::new().await;
    scene.write("photo.bin", POINTER);
    scene.write("note.txt", POINTER);
    let plain = scene.commit("no attributes").await;
    scene.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    let with_lfs = scene.commit("attributes").await;
    let dest = scene.dir.path().join("source");
    scene.pushed_anew(&plain).await;
    assert_eq!(scene.git.export(&scene.repo, &plain, &dest, None).await.unwrap().notes, []);
    scene.pushed_anew(&with_lfs).await;
    let notes = scene.git.export(&scene.repo, &with_lfs, &dest, None).await.unwrap().notes;
    let expect = ["note.txt", "photo.bin"].map(|path| Note::LargeFile(path.to_owned()));
    assert_eq!(notes, expect);
    assert_eq!(std::fs::read_to_string(dest.join("photo.bin")).unwrap(), POINTER);
}

#[tokio::test]
async fn an_address_of_ssh_wants_a_key_and_a_server_is_told_apart_from_a_key() {
    let scene = Scene::new().await;
    let settings = GitSettings { protocols: vec!["ssh".to_owned()], ..scene.git.settings.clone() };
    let git = Git::new(settings);
    let url = GitUrl::parse("ssh://git@127.0.0.1:1/a.git").unwrap();
    let no_key = git.head(&open(&url), &main_branch()).await.unwrap_err().to_string();
    assert!(no_key.contains("there is no key for it"), "{no_key}");
    let private = crate::domain::key::PrivateKey::from_seed(&[1; 32]).unwrap().secret;
    let remote = Remote { url, credential: Credential::Key { private, known: vec![] } };
    let unreachable = git.head(&remote, &main_branch()).await.unwrap_err().to_string();
    assert!(unreachable.contains("Connection refused; check the address"), "{unreachable}");
    assert_eq!(files::names(&scene.dir.path().join("run")).unwrap(), [""; 0], "a key was left behind");
}
