//! Events and what an app makes of them, as tables.

use super::*;
use crate::domain::image::ImageRef;
use crate::domain::instructions::Instructions;
use crate::domain::source::Branch;

const HERE: &str = "https://git.example/shop/api.git";

fn git(url: &str) -> Source {
    let branch = Reference::Branch(Branch::parse("main").unwrap());
    Source::Git(GitSource::new(GitUrl::parse(url).unwrap(), branch))
}

fn source() -> Source {
    git(HERE)
}

fn change(reference: &str) -> Change {
    Change {
        reference: reference.to_owned(),
        deleted: false,
        head: CommitId::parse(&"a".repeat(40)).ok(),
        message: Some("Mend the door".to_owned()),
        files: Files::Known(vec!["web/index.html".to_owned(), "api/main.rs".to_owned()]),
    }
}

fn push(change: Change) -> Event {
    Event::Push { repository: vec![HERE.to_owned()], changes: vec![change] }
}

fn check(watch: &[&str], event: &Event, verdict: Verdict, words: &str) {
    let judged = judge(&source(), &Watch::parse(watch).unwrap(), event);
    assert_eq!(judged.verdict, verdict, "{event:?}: {}", judged.reason);
    assert!(judged.reason.contains(words), "{event:?}: {}", judged.reason);
}

#[test]
fn events() {
    check(&[], &Event::Ping, Verdict::Ping, "works");
    check(&[], &Event::Other, Verdict::Ignored, "does not act");
    let image = Event::Image { repository: "docker.io/a/b".to_owned(), tag: None };
    check(&[], &image, Verdict::Ignored, "not an image");
    check(&[], &push(change("refs/heads/main")), Verdict::Deployed, "a push");
    check(
        &[],
        &push(change("refs/heads/other")),
        Verdict::Ignored,
        "the branch other, and the branch main is followed",
    );
    check(&[], &push(change("refs/heads/main2")), Verdict::Ignored, "the branch main2");
    check(&[], &push(change("refs/tags/main")), Verdict::Ignored, "the tag main");
    check(&[], &push(change("main")), Verdict::Ignored, "is not the branch");
    let gone = Change { deleted: true, ..change("refs/heads/main") };
    check(&[], &push(gone), Verdict::Ignored, "was deleted");
    let none = Event::Push { repository: vec![HERE.to_owned()], changes: vec![] };
    check(&[], &none, Verdict::Ignored, "moves nothing");
    let two = Event::Push {
        repository: vec![HERE.to_owned()],
        changes: vec![change("refs/heads/other"), change("refs/heads/main")],
    };
    check(&[], &two, Verdict::Deployed, "a push");
    let elsewhere = Event::Push {
        repository: vec!["https://git.example/shop/web.git".to_owned()],
        changes: vec![change("refs/heads/main")],
    };
    check(&[], &elsewhere, Verdict::Ignored, "another repository");
    let silent = Event::Push { repository: vec![], changes: vec![change("refs/heads/main")] };
    check(&[], &silent, Verdict::Deployed, "a push");
}

#[test]
fn markers_and_paths() {
    let with =
        |message: &str| push(Change { message: Some(message.to_owned()), ..change("refs/heads/main") });
    check(&[], &with("Docs [skip ci]"), Verdict::Skipped, "[skip ci]");
    check(&[], &with("[CI SKIP] docs"), Verdict::Skipped, "[ci skip]");
    check(&[], &with("a\n\n[skip rivetr]\n"), Verdict::Skipped, "[skip rivetr]");
    check(&[], &with("skip ci"), Verdict::Deployed, "a push");
    check(&["api/**"], &with("x"), Verdict::Deployed, "api/main.rs is watched");
    check(&["docs/**"], &with("x"), Verdict::Skipped, "none of the 2 changed files");
    check(&["api/**"], &with("[skip ci]"), Verdict::Skipped, "[skip ci]");
    let unknown = Change { files: Files::Unknown("forced"), ..change("refs/heads/main") };
    check(&["docs/**"], &push(unknown), Verdict::Deployed, "cannot be told: forced");
    let empty = Change { files: Files::Known(vec![]), ..change("refs/heads/main") };
    check(&["docs/**"], &push(empty), Verdict::Skipped, "none of the 0");
}

#[test]
fn what_is_pushed_to_rivetr_needs_no_webhook() {
    let own = Source::Push { branch: Branch::parse("main").unwrap() };
    for provider in Provider::ALL {
        assert!(provider.fits(&own).unwrap_err().contains("git push"));
        assert_eq!(Provider::parse(provider.as_str()), Some(provider));
    }
    assert!(Provider::Github.fits(&source()).is_ok());
    assert_eq!((Provider::of(&own), Provider::of(&source())), (None, None));
    let hub = git("ssh://git@github.com/a/b.git");
    assert_eq!(Provider::of(&hub), Some(Provider::Github));
    assert!(Provider::Dockerhub.fits(&source()).is_err());
    let judged = judge(&own, &Watch::default(), &push(change("refs/heads/main")));
    assert_eq!(judged.verdict, Verdict::Ignored);
}

#[test]
fn addresses_of_one_repository() {
    let url = GitUrl::parse("https://Git.example:8443/Shop/api.git").unwrap();
    for same in [
        "https://git.example/shop/api",
        "http://user@git.example/shop/api.git/",
        "ssh://git@git.example:2222/shop/api.git",
        "git@git.example:shop/api.git",
    ] {
        assert!(is_same_repository(&url, same), "{same}");
    }
    for other in [
        "",
        ":",
        "git.example",
        "https://git.example/shop/api2",
        "https://git.example.evil/shop/api",
        "https://git.example@evil.example/shop/api",
        "git@evil.example:shop/api",
        "https:///shop/api",
        "https://git.example/",
    ] {
        assert!(!is_same_repository(&url, other), "{other}");
    }
}

#[test]
fn images() {
    let check = |runs, repository, tag, matches| {
        assert_eq!(matches_image(runs, repository, tag), matches, "{runs} {repository} {tag:?}");
    };
    check("nginx", "docker.io/library/nginx", Some("latest"), true);
    check("docker.io/nginx:1", "docker.io/library/nginx", Some("1"), true);
    check("index.docker.io/a/b:1", "docker.io/a/b", Some("1"), true);
    check("a/b:1", "docker.io/a/b", Some("2"), false);
    check("a/b:1", "docker.io/a/c", Some("1"), false);
    check("a/b:1", "docker.io/a/b", None, false);
    check("ghcr.io/a/b:1", "ghcr.io/A/b", Some("1"), true);
    check("localhost:5000/b", "localhost:5000/b", Some("latest"), true);
    check("a/b@sha256:0", "docker.io/a/b", Some("latest"), false);
}

#[test]
fn an_image_is_deployed_anew_when_its_own_tag_is_published() {
    let app = |name: &str| Source::Image { image: ImageRef::parse(name).unwrap() };
    let published = |repository: &str, tag: Option<&str>| Event::Image {
        repository: repository.to_owned(),
        tag: tag.map(str::to_owned),
    };
    let check = |source: &Source, event: &Event, verdict, words: &str| {
        let judged = judge(source, &Watch::default(), event);
        assert_eq!(judged.verdict, verdict, "{}", judged.reason);
        assert!(judged.reason.contains(words), "{words:?} is not in {:?}", judged.reason);
    };
    let own = app("ghcr.io/a/b:1");
    check(&own, &published("ghcr.io/a/b", Some("1")), Verdict::Deployed, "ghcr.io/a/b:1 was published");
    check(&own, &published("ghcr.io/a/b", Some("2")), Verdict::Ignored, "another image: ghcr.io/a/b:2");
    check(&own, &published("ghcr.io/a/b", None), Verdict::Ignored, "another image: ghcr.io/a/b,");
    let pinned = app(&format!("ghcr.io/a/b@sha256:{}", "d".repeat(64)));
    check(&pinned, &published("ghcr.io/a/b", Some("1")), Verdict::Ignored, "another image");
    check(&source(), &published("ghcr.io/a/b", Some("1")), Verdict::Ignored, "not an image");
    check(&own, &push(change("refs/heads/main")), Verdict::Ignored, "not fetched from a repository");
    for provider in Provider::ALL {
        let of_images = matches!(provider, Provider::Dockerhub | Provider::Ghcr | Provider::Generic);
        assert_eq!(provider.fits(&own).is_ok(), of_images, "{provider}");
        assert!(provider.fits(&Source::Upload).unwrap_err().contains("uploads"));
        let inline = Source::Inline { instructions: Instructions::parse("FROM a\n").unwrap() };
        assert!(provider.fits(&inline).unwrap_err().contains("Containerfile"));
    }
}
