//! Unit files that somebody changed by hand, and what becomes of that.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::super::error::PageError;
use super::super::form::Errors;
use super::super::settings::diff::{self, Line};
use super::super::shell::{Hx, Shell, Visit};
use super::super::view;
use super::super::{Route, Web};
use crate::api::drift::deed;
use crate::auth::gate::Administer;
use crate::domain::drift::Change;
use crate::engine::{Drifted, Engine};

/// Where they are shown.
const PAGE: &str = "/host/drift";

#[derive(Template)]
#[template(path = "host/drift.html")]
struct Page {
    shell: Shell,
    files: Vec<File>,
    wrong: String,
}

struct File {
    name: String,
    path: String,
    removed: bool,
    /// What was decided, if anything was.
    decided: &'static str,
    lines: Vec<Line>,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get(PAGE, show),
        deciding("/host/drift/{unit}/adopt", Decision::Adopt),
        deciding("/host/drift/{unit}/restore", Decision::Restore),
        deciding("/host/drift/{unit}/ignore", Decision::Ignore),
    ]
}

async fn page(engine: &Engine, shell: Shell, wrong: String) -> Result<Page, PageError> {
    let files = engine.drift(None, true).await?.into_iter().map(File::of).collect();
    Ok(Page { shell, files, wrong })
}

async fn show(
    _: Visit<Administer>,
    shell: Shell,
    State(engine): State<Engine>,
) -> Result<Response, PageError> {
    view::show(&page(&engine, shell, String::new()).await?)
}

/// What a person may decide.
#[derive(Debug, Clone, Copy)]
enum Decision {
    Adopt,
    Restore,
    Ignore,
}

fn deciding(path: &'static str, decision: Decision) -> Route<Web> {
    Route::post(
        path,
        move |visit: Visit<Administer>, shell: Shell, hx: Hx, engine: State<Engine>, unit: Path<String>| {
            decide(decision, visit, shell, hx, engine.0, unit.0)
        },
    )
}

async fn decide(
    decision: Decision,
    visit: Visit<Administer>,
    shell: Shell,
    hx: Hx,
    engine: Engine,
    unit: String,
) -> Result<Response, PageError> {
    let outcome = match decision {
        Decision::Adopt => engine.adopt_unit(&unit).await,
        Decision::Restore => engine.restore_unit(&unit).await,
        Decision::Ignore => engine.ignore_unit(&unit).await,
    };
    match outcome {
        Ok((found, decided)) => {
            visit.record(deed(&found, &decided)).await;
            Ok(view::go(hx, PAGE))
        }
        Err(error) => {
            let wrong = Errors::of_engine(error)?.others(&[]).join("; ");
            view::wrong(&page(&engine, shell, wrong).await?)
        }
    }
}

impl File {
    fn of(Drifted { file, path, change, kept, there, wanted, .. }: Drifted) -> Self {
        let there = there.unwrap_or_default();
        Self {
            name: file,
            path,
            removed: change == Change::Removed,
            decided: kept.map_or("", |kept| kept.as_str()),
            lines: match wanted {
                Some(wanted) => diff::lines(&wanted, &there),
                None => diff::plain(&there),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::drift::Kept;

    #[test]
    fn what_was_changed_is_marked_and_stays_text() {
        let file = File::of(Drifted {
            owner: "app-blog".to_owned(),
            file: "rivetr-app-blog-1.container".to_owned(),
            unit: "rivetr-app-blog-1.service".to_owned(),
            path: "/q/x".to_owned(),
            change: Change::Edited,
            kept: Some(Kept::Ignored),
            there: Some("[Container]\n<img>".to_owned()),
            wanted: Some("[Container]\nImage=a".to_owned()),
        });
        let shown: Vec<_> = file.lines.iter().map(|line| (line.class, line.text.as_str())).collect();
        assert_eq!(shown, [("", "[Container]"), ("minus", "Image=a"), ("plus", "<img>")]);
        assert_eq!((file.removed, file.decided), (false, "ignored"));
    }
}
