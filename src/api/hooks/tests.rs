//! Published payloads of every provider, signed for real: who is let in, and what an app makes of them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use ring::hmac;
use serde_json::{Value, json};

use super::*;
use crate::domain::source::{Branch, GitSource, GitUrl, Reference, Source};
use crate::domain::watch::Watch;
use crate::domain::webhook::{Verdict, judge};

const SECRET: &str = "6b6579206f66206120776562686f6f6b206f66206120746573742c20333262213f";
const GITHUB: &str = "https://github.com/Codertocat/Hello-World.git";
const GITLAB: &str = "http://example.com/mike/diaspora.git";
const GITEA: &str = "http://localhost:3000/gitea/webhooks.git";
const BITBUCKET: &str = "ssh://git@bitbucket.org/team_name/repo_name.git";
const GENERIC: &str = "https://git.example/shop/api.git";

/// A delivery on its way.
#[derive(Clone)]
struct Sent {
    provider: Provider,
    event: &'static str,
    payload: Value,
}

fn sent(provider: Provider, event: &'static str, file: &str) -> Sent {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/webhooks");
    let text = std::fs::read_to_string(format!("{folder}/{provider}/{file}.json")).unwrap();
    Sent { provider, event, payload: serde_json::from_str(&text).unwrap() }
}

impl Sent {
    /// The same with some fields changed.
    fn with(&self, fields: &Value) -> Self {
        let mut changed = self.clone();
        for (pointer, value) in fields.as_object().unwrap() {
            let (above, name) = pointer.rsplit_once('/').unwrap();
            changed.payload.pointer_mut(above).unwrap()[name] = value.clone();
        }
        changed
    }

    fn body(&self) -> Vec<u8> {
        serde_json::to_vec(&self.payload).unwrap()
    }

    /// What an app of this repository and branch makes of it.
    #[track_caller]
    fn check(&self, (url, branch): (&str, &str), watch: &[&str], verdict: Verdict, words: &str) {
        let branch = Reference::Branch(Branch::parse(branch).unwrap());
        let source = Source::Git(GitSource::new(GitUrl::parse(url).unwrap(), branch));
        let event = read(self.provider, self.event, &self.body()).unwrap();
        let judged = judge(&source, &Watch::parse(watch).unwrap(), &event);
        assert_eq!(judged.verdict, verdict, "{}", judged.reason);
        assert!(judged.reason.contains(words), "{words:?} is not in {:?}", judged.reason);
    }
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let fields = fields
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
    fields.collect()
}

fn hmac_of(key: &[u8], body: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), body).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[track_caller]
fn verified(provider: Provider, secret: &str, fields: &[(&'static str, &str)], body: &[u8], good: bool) {
    let outcome = (dialect(provider).verify)(secret.as_bytes(), &headers(fields), body);
    assert_eq!(outcome.is_ok(), good, "{provider} {fields:?}: {outcome:?}");
}

/// Each way in which a signature of one field can be right or wrong.
fn check_field(provider: Provider, field: &'static str, prefix: &str) {
    let body = br#"{"a":1}"#;
    let right = format!("{prefix}{}", hex(&hmac_of(SECRET.as_bytes(), body)));
    verified(provider, SECRET, &[(field, &right)], body, true);
    verified(provider, SECRET, &[(field, &right.to_uppercase().replace("SHA256", "sha256"))], body, true);
    verified(provider, SECRET, &[(field, &right)], br#"{"a":2}"#, false);
    verified(provider, &SECRET.replace('6', "7"), &[(field, &right)], body, false);
    verified(provider, SECRET, &[], body, false);
    verified(provider, SECRET, &[("x-other", &right)], body, false);
    for wrong in ["", prefix, "sha1=00", "zz", &right[..right.len() - 2], &format!("{right}00")] {
        verified(provider, SECRET, &[(field, wrong)], body, false);
    }
    // Nobody is let in by signing with nothing.
    let with_nothing = format!("{prefix}{}", hex(&hmac_of(b"", body)));
    verified(provider, "", &[(field, &with_nothing)], body, false);
    verified(provider, SECRET, &[(field, &with_nothing)], body, false);
}

#[test]
fn signatures_over_the_body() {
    check_field(Provider::Github, "x-hub-signature-256", "sha256=");
    check_field(Provider::Ghcr, "x-hub-signature-256", "sha256=");
    check_field(Provider::Gitea, "x-gitea-signature", "");
    check_field(Provider::Gitea, "x-forgejo-signature", "");
    check_field(Provider::Bitbucket, "x-hub-signature", "sha256=");
    check_field(Provider::Generic, "x-rivetr-signature-256", "sha256=");
    // The example of GitHub's page "Validating webhook deliveries".
    let known = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let fields = [("x-hub-signature-256", known)];
    verified(Provider::Github, "It's a Secret to Everybody", &fields, b"Hello, World!", true);
}

#[test]
fn the_token_of_gitlab() {
    let body = b"{}";
    verified(Provider::Gitlab, SECRET, &[("x-gitlab-token", SECRET)], body, true);
    verified(Provider::Gitlab, SECRET, &[("x-gitlab-token", &SECRET[1..])], body, false);
    verified(Provider::Gitlab, SECRET, &[("x-gitlab-token", "")], body, false);
    verified(Provider::Gitlab, SECRET, &[], body, false);
    verified(Provider::Gitlab, "", &[("x-gitlab-token", "")], body, false);
}

#[test]
fn the_signature_of_gitlab() {
    let secret = "00ff".repeat(16);
    let token = gitlab::signing_token(secret.as_bytes()).unwrap();
    let key = BASE64_STANDARD.decode(token.strip_prefix("whsec_").unwrap()).unwrap();
    let body = b"{\"a\":1}";
    let signature = |key: &[u8]| {
        let signed = [b"id-1.1700000000.".as_slice(), body].concat();
        format!("v1,{}", BASE64_STANDARD.encode(hmac_of(key, &signed)))
    };
    let right = signature(&key);
    let both = format!("{} {right}", signature(b"an older one"));
    let check = |fields: &[(&'static str, &str)], good| {
        verified(Provider::Gitlab, &secret, fields, body, good);
    };
    let (id, time) = (("webhook-id", "id-1"), ("webhook-timestamp", "1700000000"));
    check(&[id, time, ("webhook-signature", &right)], true);
    check(&[id, time, ("webhook-signature", &both)], true);
    check(&[("webhook-id", "id-2"), time, ("webhook-signature", &right)], false);
    check(&[id, ("webhook-timestamp", "1700000001"), ("webhook-signature", &right)], false);
    check(&[id, time, ("webhook-signature", &right.replace("v1,", "v2,"))], false);
    check(&[id, time, ("webhook-signature", &signature(b""))], false);
    check(&[time, ("webhook-signature", &right)], false);
    check(&[id, ("webhook-signature", &right)], false);
    // Where there is a signature, a token beside it does not help.
    check(&[id, time, ("webhook-signature", "v1,AAAA"), ("x-gitlab-token", &secret)], false);
}

#[test]
fn docker_hub_cannot_sign() {
    verified(Provider::Dockerhub, SECRET, &[("x-hub-signature-256", SECRET)], b"{}", false);
}

#[test]
fn github_pushes() {
    let (here, push) = ((GITHUB, "master"), sent(Provider::Github, "push", "push"));
    push.check(here, &[], Verdict::Deployed, "a push");
    push.check((GITHUB, "main"), &[], Verdict::Ignored, "the branch master, and the branch main is followed");
    push.check(("https://github.com/a/b.git", "master"), &[], Verdict::Ignored, "another repository");
    push.check(here, &["docs/**"], Verdict::Deployed, "first push");
    let later = push.with(&json!({ "/created": false }));
    later.check(here, &["docs/**"], Verdict::Skipped, "none of the 1 changed files");
    later.check(here, &["*.md"], Verdict::Deployed, "README.md is watched");
    let forced = later.with(&json!({ "/forced": true }));
    forced.check(here, &["docs/**"], Verdict::Deployed, "forced push");
    let many = vec![push.payload["commits"][0].clone(); 2048];
    later.with(&json!({ "/commits": many })).check(here, &["docs/**"], Verdict::Deployed, "more commits");
    later.with(&json!({ "/commits": [] })).check(here, &["docs/**"], Verdict::Deployed, "no commits");
    let skip = later.with(&json!({ "/head_commit/message": "Typo\n\n[ci skip]" }));
    skip.check(here, &[], Verdict::Skipped, "[ci skip]");
    let nothing = "0".repeat(40);
    let gone = push.with(&json!({ "/deleted": true, "/after": nothing, "/head_commit": null }));
    gone.check(here, &[], Verdict::Ignored, "was deleted");
    sent(Provider::Github, "push", "push-tag").check(here, &[], Verdict::Ignored, "the tag simple-tag");
    sent(Provider::Github, "push", "push-tag-deleted").check(here, &[], Verdict::Ignored, "the tag");
    sent(Provider::Github, "ping", "ping").check(here, &[], Verdict::Ping, "works");
    Sent { event: "issues", ..push }.check(here, &[], Verdict::Ignored, "does not act");
}

#[test]
fn gitlab_pushes() {
    let (here, push) = ((GITLAB, "master"), sent(Provider::Gitlab, "Push Hook", "push"));
    push.check(here, &[], Verdict::Deployed, "a push");
    push.check(("ssh://git@example.com:2222/mike/diaspora", "master"), &[], Verdict::Deployed, "a push");
    push.check((GITHUB, "master"), &[], Verdict::Ignored, "another repository");
    push.check(here, &["docs/**"], Verdict::Deployed, "more commits");
    let whole = push.with(&json!({ "/total_commits_count": 2 }));
    whole.check(here, &["docs/**"], Verdict::Skipped, "none of the 2 changed files");
    whole.check(here, &["app/**"], Verdict::Deployed, "app/controller/application.rb");
    let nothing = "0".repeat(40);
    whole.with(&json!({ "/before": nothing })).check(here, &["docs/**"], Verdict::Deployed, "first push");
    whole.with(&json!({ "/after": nothing })).check(here, &[], Verdict::Ignored, "was deleted");
    whole.with(&json!({ "/commits/1/message": "[skip ci]" })).check(here, &[], Verdict::Skipped, "[skip ci]");
    // Not of the head commit.
    whole.with(&json!({ "/commits/0/message": "[skip ci]" })).check(here, &[], Verdict::Deployed, "a push");
    let tag = sent(Provider::Gitlab, "Tag Push Hook", "push-tag");
    tag.check(("http://example.com/jsmith/example", "master"), &[], Verdict::Ignored, "the tag v1.0.0");
    Sent { event: "Issue Hook", ..push }.check(here, &[], Verdict::Ignored, "does not act");
}

#[test]
fn gitea_pushes() {
    let (here, push) = ((GITEA, "develop"), sent(Provider::Gitea, "push", "push"));
    push.check(here, &[], Verdict::Deployed, "a push");
    push.check((GITEA, "main"), &[], Verdict::Ignored, "the branch develop");
    push.check(here, &["docs/**"], Verdict::Deployed, "more commits");
    let fields = json!({ "/total_commits": 1, "/commits/0/modified": ["docs/a"] });
    push.with(&fields).check(here, &["docs/**"], Verdict::Deployed, "docs/a is watched");
    push.with(&fields).check(here, &["src/**"], Verdict::Skipped, "none of the 1");
    push.with(&fields).with(&json!({ "/total_commits": 2 })).check(
        here,
        &["src/**"],
        Verdict::Deployed,
        "more",
    );
    let nothing = "0".repeat(40);
    push.with(&json!({ "/before": nothing })).check(here, &["docs/**"], Verdict::Deployed, "first push");
    push.with(&json!({ "/after": nothing })).check(here, &[], Verdict::Ignored, "was deleted");
    let skip = json!({ "/commits/0/message": "[skip rivetr]" });
    push.with(&skip).check(here, &[], Verdict::Skipped, "[skip rivetr]");
    Sent { event: "create", ..push }.check(here, &[], Verdict::Ignored, "does not act");
}

#[test]
fn bitbucket_pushes() {
    let here = (BITBUCKET, "name-of-branch");
    let push = sent(Provider::Bitbucket, "repo:push", "push");
    push.check(here, &[], Verdict::Deployed, "a push");
    push.check(here, &["docs/**"], Verdict::Deployed, "does not list them");
    push.check((GITHUB, "name-of-branch"), &[], Verdict::Ignored, "another repository");
    let gone = push.with(&json!({ "/push/changes/0/new": null, "/push/changes/0/closed": true }));
    gone.check(here, &[], Verdict::Ignored, "was deleted");
    let tag = push.with(&json!({ "/push/changes/0/new/type": "tag", "/push/changes/0/new/name": "v1" }));
    tag.check(here, &[], Verdict::Ignored, "the tag v1");
    let skip = push.with(&json!({ "/push/changes/0/new/target/message": "[skip ci] x" }));
    skip.check(here, &[], Verdict::Skipped, "[skip ci]");
    let second = tag.payload["push"]["changes"][0].clone();
    let both = push.with(&json!({ "/push/changes": [second, push.payload["push"]["changes"][0]] }));
    both.check(here, &[], Verdict::Deployed, "a push");
    Sent { event: "repo:fork", ..push }.check(here, &[], Verdict::Ignored, "does not act");
}

#[test]
fn generic_pushes() {
    let (here, push) = ((GENERIC, "main"), sent(Provider::Generic, "push", "push"));
    push.check(here, &["api/**"], Verdict::Deployed, "api/main.rs");
    push.check(here, &["web/**"], Verdict::Skipped, "none of the 1");
    push.check((GITHUB, "main"), &[], Verdict::Ignored, "another repository");
    let least = Sent { payload: json!({ "ref": "refs/heads/main" }), ..push.clone() };
    least.check(here, &[], Verdict::Deployed, "a push");
    least.check(here, &["web/**"], Verdict::Deployed, "does not list them");
    push.with(&json!({ "/deleted": true })).check(here, &[], Verdict::Ignored, "was deleted");
    Sent { event: "ping", ..push }.check(here, &[], Verdict::Ping, "works");
}

#[test]
fn images() {
    let image = |sent: Sent| {
        let event = read(sent.provider, sent.event, &sent.body()).unwrap();
        let Event::Image { repository, tag } = event else { panic!("{event:?}") };
        (repository, tag)
    };
    let hub = sent(Provider::Dockerhub, "push", "push");
    assert_eq!(image(hub), ("docker.io/example/testhook".to_owned(), Some("latest".to_owned())));
    let ghcr = sent(Provider::Ghcr, "package", "package");
    assert_eq!(image(ghcr.clone()), ("ghcr.io/codertocat/hello-world".to_owned(), None));
    let tag = "/package/package_version/container_metadata/tag/name";
    let tagged = ghcr.with(&json!({ tag: "1.2" }));
    assert_eq!(image(tagged), ("ghcr.io/codertocat/hello-world".to_owned(), Some("1.2".to_owned())));
    let renamed = Sent {
        event: "registry_package",
        payload: json!({ "action": "published", "registry_package": ghcr.payload["package"] }),
        ..ghcr.clone()
    };
    assert_eq!(image(renamed).0, "ghcr.io/codertocat/hello-world");
    let other = |sent: Sent| assert_eq!(read(sent.provider, sent.event, &sent.body()).unwrap(), Event::Other);
    other(ghcr.with(&json!({ "/action": "updated" })));
    other(ghcr.with(&json!({ "/package/package_version/package_url": "https://a.example/b" })));
    ghcr.check((GITHUB, "master"), &[], Verdict::Ignored, "not an image");
}

#[test]
fn what_cannot_be_read_says_so() {
    for (provider, event) in EVENTS {
        let why = read(provider, event, b"payload=%7B%7D").unwrap_err();
        assert!(why.contains("cannot be read as JSON"), "{why}");
        assert!(read(provider, event, b"[]").is_err() && read(provider, event, b"{}").is_err());
    }
}

/// Each event that has a payload to read.
const EVENTS: [(Provider, &str); 8] = [
    (Provider::Github, "push"),
    (Provider::Gitlab, "Push Hook"),
    (Provider::Gitlab, "Tag Push Hook"),
    (Provider::Gitea, "push"),
    (Provider::Bitbucket, "repo:push"),
    (Provider::Dockerhub, "push"),
    (Provider::Ghcr, "package"),
    (Provider::Generic, "push"),
];

/// Documents with the names that the parsers look for, in any place and with any value.
fn documents() -> impl Strategy<Value = Value> {
    let names = [
        "ref",
        "before",
        "after",
        "commits",
        "repository",
        "push",
        "changes",
        "new",
        "old",
        "type",
        "name",
        "target",
        "message",
        "added",
        "total_commits",
        "clone_url",
        "package",
        "package_version",
        "package_url",
        "push_data",
        "repo_name",
        "full_name",
        "action",
        "container_metadata",
        "tag",
    ];
    let text = prop_oneof![".{0,20}", Just("refs/heads/main".to_owned()), Just("0".repeat(40))];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 200, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(names.to_vec()), inner), 0..12).prop_map(|fields| {
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

fn judged(body: &[u8]) {
    let url = GitUrl::parse(GENERIC).unwrap();
    let source = Source::Git(GitSource::new(url, Reference::Branch(Branch::parse("main").unwrap())));
    let watch = Watch::parse(&["api/**"]).unwrap();
    for (provider, event) in EVENTS {
        if let Ok(event) = read(provider, event, body) {
            let reason = judge(&source, &watch, &event).reason;
            assert!(!reason.is_empty() && !reason.contains(char::is_control), "{reason:?}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
        judged(&body);
    }

    #[test]
    fn any_document_is_read_or_refused(document in documents()) {
        judged(&serde_json::to_vec(&document).unwrap());
    }

    #[test]
    fn any_field_is_a_signature_or_not(value in prop::collection::vec(any::<u8>(), 0..100)) {
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        for provider in Provider::ALL {
            let names = ["x-hub-signature-256", "x-hub-signature", "x-gitea-signature", "x-gitlab-token",
                "webhook-signature", "webhook-id", "webhook-timestamp", "x-rivetr-signature-256"];
            let fields = names.into_iter().map(|name| (HeaderName::from_static(name), value.clone()));
            let refused = (dialect(provider).verify)(SECRET.as_bytes(), &fields.collect(), b"{}");
            prop_assert!(refused.is_err());
        }
    }
}
