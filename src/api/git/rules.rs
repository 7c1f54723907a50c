//! Which pushes are taken: one commit for the branch that the app is deployed from. Pure.

use crate::domain::app::App;
use crate::domain::source::{Branch, CommitId, GitSource, Source};
use crate::engine::push::Push;
use crate::engine::push::pkt::{Command, Request};

/// A push that is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A few words beside each reference.
    pub short: String,
    /// What the person is told.
    pub long: String,
}

impl Refusal {
    fn new(short: &str, long: impl Into<String>) -> Self {
        Self { short: short.to_owned(), long: long.into() }
    }
}

/// The branch that may be pushed to this app, if any may.
pub fn may_be_pushed_to(app: &App) -> Result<&Branch, Refusal> {
    if app.deleting {
        return Err(Refusal::new("app is being deleted", format!("{} is being deleted", app.slug)));
    }
    match &app.source {
        Source::Push { branch } => Ok(branch),
        Source::Git(GitSource { url, reference, .. }) => {
            let name = &app.slug;
            let long = format!(
                "{name} is deployed from {url}, {reference}: push there, then run: rivetr deploy {name}"
            );
            Err(Refusal::new("app has another source", long))
        }
        Source::Image { .. } | Source::Upload | Source::Inline { .. } => {
            let long = format!("{} does not come from a repository: nothing can be pushed to it", app.slug);
            Err(Refusal::new("app has another source", long))
        }
    }
}

/// What is to be taken in and deployed. `head` is where the branch stands now.
pub fn judge(app: &App, request: &Request, head: Option<&CommitId>) -> Result<Push, Refusal> {
    let branch = may_be_pushed_to(app)?;
    let reference = format!("refs/heads/{branch}");
    let object_format = request.object_format();
    if object_format != "sha1" {
        let long = format!("this repository's objects are named by {object_format}; rivetr takes sha1 only");
        return Err(Refusal::new("object format not taken", long));
    }
    if request.can("push-options") {
        return Err(Refusal::new("push options not taken", "rivetr takes no push options: leave out -o"));
    }
    let [Command { old, new, name }] = request.commands.as_slice() else {
        let long = format!("rivetr deploys one branch: push it alone, with: git push <remote> {branch}");
        return Err(Refusal::new("push one branch alone", long));
    };
    if *name != reference {
        return Err(elsewhere(app, branch, name));
    }
    let Some(commit) = new else {
        let long = format!(
            "the branch that is deployed cannot be deleted; for the app: rivetr apps delete {}",
            app.slug
        );
        return Err(Refusal::new("branch is deployed", long));
    };
    if old.as_ref() != head {
        let long =
            format!("another push to {branch} was deployed meanwhile: look at what came in, then push again");
        return Err(Refusal::new("branch has moved", long));
    }
    Ok(Push { commit: commit.clone(), shallow: request.shallow.clone() })
}

fn elsewhere(app: &App, branch: &Branch, name: &str) -> Refusal {
    let here = &app.slug;
    let long = match name.strip_prefix("refs/heads/") {
        Some(other) => {
            format!("{here} is deployed from {branch}, not from {other}: git push <remote> {other}:{branch}")
        }
        None => format!(
            "{here} is deployed from the branch {branch}; tags and other references are not kept here"
        ),
    };
    Refusal::new("not the branch that is deployed", long)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::api::wire::CreateApp;
    use crate::domain::app::AppId;
    use crate::domain::person::TeamId;
    use crate::domain::project::{Project, ProjectId, Subnet};
    use crate::domain::time::Timestamp;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const NONE: &str = "0000000000000000000000000000000000000000";

    fn app(git: Option<&str>, deleting: bool) -> App {
        let new =
            CreateApp { name: "blog".to_owned(), git: git.map(ToOwned::to_owned), ..CreateApp::default() };
        let new = new.parse().unwrap();
        let subnet = Subnet::around(Ipv4Addr::new(10, 90, 0, 0));
        App {
            id: AppId(1),
            slug: new.slug,
            project: Project { id: ProjectId(1), slug: new.project, team: TeamId::FIRST, subnet },
            environment: new.environment,
            source: new.source,
            domains: Vec::new(),
            settings: new.settings,
            variables: vec![],
            live: None,
            release: None,
            wish: crate::domain::app::Wish::Run,
            deleting,
            created: Timestamp(0),
        }
    }

    fn ask(app: &App, head: Option<&str>, commands: &[&str]) -> Result<Push, Refusal> {
        let mut request = Request::default();
        for command in commands {
            request.take(command.as_bytes()).unwrap();
        }
        judge(app, &request, head.and_then(|head| CommitId::parse(head).ok()).as_ref())
    }

    #[test]
    fn the_branch_is_taken() {
        let blog = app(None, false);
        let first = ask(&blog, None, &[&format!("{NONE} {A} refs/heads/main\0report-status")]).unwrap();
        assert_eq!(first.commit.as_str(), A);
        let again = ask(&blog, Some(A), &[&format!("{A} {B} refs/heads/main\0object-format=sha1")]).unwrap();
        assert_eq!(again.commit.as_str(), B);
    }

    #[test]
    fn everything_else_is_refused_with_what_to_do() {
        let blog = app(None, false);
        let check = |app: &App, head, commands: &[&str], words: &str| {
            let refusal = ask(app, head, commands).unwrap_err();
            assert!(refusal.long.contains(words), "{commands:?} gave {}", refusal.long);
        };
        let main = format!("{NONE} {A} refs/heads/main\0");
        let other = format!("{NONE} {A} refs/heads/dev\0");
        check(&blog, None, &[], "git push <remote> main");
        check(&blog, None, &[&main, &other], "git push <remote> main");
        check(&blog, None, &[&other], "git push <remote> dev:main");
        check(&blog, None, &[&format!("{NONE} {A} refs/tags/v1\0")], "tags and other references");
        check(&blog, Some(A), &[&format!("{A} {NONE} refs/heads/main\0")], "rivetr apps delete blog");
        check(&blog, Some(B), &[&main], "push again");
        check(&blog, None, &[&format!("{main}object-format=sha256")], "sha256");
        check(&blog, None, &[&format!("{main}push-options")], "leave out -o");
        check(&app(Some("https://example.org/blog.git"), false), None, &[&main], "rivetr deploy blog");
        check(&app(None, true), None, &[&main], "being deleted");
    }
}
