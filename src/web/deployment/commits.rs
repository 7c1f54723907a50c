//! The commits between a deployment and the one before. To ask git for them takes time, so they are a page of their own,
//! which the deployment's page fetches once it is there.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::find;
use crate::auth::gate::Read;
use crate::domain::name::Slug;
use crate::engine::{Between, Engine, History};
use crate::store::Reader;
use crate::web::error::PageError;
use crate::web::shell::{Hx, Shell, Visit};
use crate::web::view;

#[derive(Template)]
#[template(path = "deployment/commits.html")]
struct Page {
    shell: Shell,
    slug: Slug,
    id: i64,
    number: u32,
    commits: Commits,
}

#[derive(Template)]
#[template(path = "deployment/commits-part.html")]
struct Part {
    commits: Commits,
}

/// The commits between two deployments; none: the app's repository does not say.
struct Commits {
    between: Option<Shown>,
}

struct Shown {
    added: List,
    removed: List,
}

struct List {
    /// The short name, the day, and the first line of the message of each.
    last: Vec<(String, String, String)>,
    more: usize,
}

pub(super) async fn show(
    visit: Visit<Read>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let (deployment, app) = find(&reader, &visit.person, &id).await?;
    let before = reader.live_before(deployment.app, deployment.number).await?;
    let between = match &before {
        Some(before) => engine.commits_between(before, &deployment).await?,
        None => None,
    };
    let commits = Commits::of(between);
    if hx.fragment {
        return view::show(&Part { commits });
    }
    view::show(&Page { shell, slug: app.slug, id: deployment.id.0, number: deployment.number, commits })
}

impl Commits {
    fn of(between: Option<Between>) -> Self {
        Self {
            between: between.map(|Between { added, removed }| Shown {
                added: List::of(added),
                removed: List::of(removed),
            }),
        }
    }
}

impl List {
    fn of(History { last, more }: History) -> Self {
        let row = |one: crate::engine::Logged| (one.commit.short().to_owned(), one.date, one.subject);
        Self { last: last.into_iter().map(row).collect(), more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::source::CommitId;
    use crate::engine::Logged;

    fn part(between: Option<Between>) -> String {
        Part { commits: Commits::of(between) }.render().unwrap()
    }

    #[test]
    fn commits_are_listed_and_counted_and_stay_text() {
        let one = Logged {
            commit: CommitId::parse(&"a".repeat(40)).unwrap(),
            date: "2026-11-23".to_owned(),
            subject: "<img src=x onerror=alert(1)>".to_owned(),
        };
        let added = History { last: vec![one.clone()], more: 7 };
        let html = part(Some(Between { added: added.clone(), removed: History::default() }));
        assert!(
            html.contains("aaaaaaaa") && html.contains("2026-11-23") && html.contains("and 7 more"),
            "{html}"
        );
        assert!(!html.contains("<img") && !html.contains("taken back"), "{html}");
        let html = part(Some(Between { added: History::default(), removed: added }));
        assert!(html.contains("taken back"), "{html}");
        assert!(part(None).contains("does not say"));
    }
}
