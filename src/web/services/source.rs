//! Where the files of a service come from: a repository that it follows, or what is handed in; and the wish to fetch it now.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::super::error::PageError;
use super::super::form::{Errors, Form};
use super::super::shell::{Hx, Shell, Visit};
use super::super::view;
use super::super::{Route, Web};
use super::{Head, find};
use crate::api::wire::{self, FollowedRepository, Hidden, ServiceRepository, SetServiceSource};
use crate::auth::audit::Deed;
use crate::auth::gate::{Deploy, Manage, Read};
use crate::domain::name::Slug;
use crate::domain::right::Right;
use crate::engine::Engine;

#[derive(Template)]
#[template(path = "services/source.html")]
struct Page {
    shell: Shell,
    head: Head,
    now: Option<FollowedRepository>,
    fields: Fields,
    errors: Errors,
    /// What the newest revision fetched and built.
    log: String,
}

/// A repository as somebody types it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Fields {
    repository: String,
    branch: String,
    file: String,
    git_key: String,
    git_token: String,
    env: String,
    /// Files are to be handed in instead.
    files: String,
}

impl Fields {
    /// What is asked for; none: nothing was typed.
    fn asked(&self) -> Option<ServiceRepository> {
        let Self { repository, branch, file, git_key, git_token, env, files: _ } = self;
        asked([repository, branch, file, git_key, git_token, env])
    }
}

/// The repository of six fields, in the order of [`Fields`]; none: no address was typed.
pub(super) fn asked([url, branch, file, git_key, git_token, env]: [&str; 6]) -> Option<ServiceRepository> {
    let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    Some(ServiceRepository {
        url: said(url)?,
        branch: said(branch),
        file: said(file),
        git_key: said(git_key),
        git_token: said(git_token).map(Hidden),
        git_token_user: None,
        variables: Some(env.replace("\r\n", "\n")).filter(|text| !text.trim().is_empty()).map(Hidden),
    })
}

/// The routes of this part.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/services/{id}/source", show),
        Route::post("/services/{id}/source", change),
        Route::post("/services/{id}/deploy", deploy),
    ]
}

async fn page(engine: &Engine, shell: Shell, slug: &Slug) -> Result<Page, PageError> {
    let status = engine.service_status(slug).await?;
    let log = match status.latest() {
        Some(latest) => engine.revision_log(slug, latest.number).await?.unwrap_or_default(),
        None => String::new(),
    };
    let followed = status.service.followed.as_ref();
    let now = followed.map(FollowedRepository::from);
    let fields = followed.map(|followed| Fields {
        repository: followed.git.url.to_string(),
        branch: followed.source().branch().map(ToString::to_string).unwrap_or_default(),
        file: followed.file.as_ref().map(ToString::to_string).unwrap_or_default(),
        git_key: now.as_ref().and_then(|now| now.git_key.clone()).unwrap_or_default(),
        ..Fields::default()
    });
    let fields = fields.unwrap_or_default();
    let head = Head::of(&status, "source");
    Ok(Page { shell, head, now, fields, errors: Errors::default(), log })
}

async fn show(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let slug = find(&engine, &visit.person, &id).await?.slug;
    view::show(&page(&engine, shell, &slug).await?)
}

async fn change(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let service = find(&engine, &visit.person, &id).await?;
    let slug = service.slug;
    let repository = if fields.files.is_empty() { fields.asked() } else { None };
    let errors = if repository.is_none() && fields.files.is_empty() {
        Errors::one("git", "name a repository")
    } else {
        match (SetServiceSource { repository }).parse() {
            Err(errors) => Errors::from(errors),
            Ok(followed) => match engine.set_service_source(&slug, followed).await {
                Ok(changed) => {
                    let before = service.followed.as_ref().map(FollowedRepository::from);
                    let after = changed.followed.as_ref().map(FollowedRepository::from);
                    let deed = Deed::new("service.source_changed", format!("service {slug}"));
                    visit.record(deed.before(wire::value(&before)).after(wire::value(&after))).await;
                    return Ok(view::go(hx, &format!("/services/{slug}/source")));
                }
                Err(error) => Errors::of_engine(error)?,
            },
        }
    };
    let page = page(&engine, shell, &slug).await?;
    view::wrong(&Page { fields, errors, ..page })
}

async fn deploy(
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let slug = find(&engine, &visit.person, &id).await?.slug;
    match engine.deploy_service(&slug, visit.person.reach.allows(Right::Administer)).await {
        Ok(taken) => {
            let what = json!({ "revision": taken.revision.number });
            visit.record(Deed::new("service.deployed", format!("service {slug}")).after(what)).await;
            Ok(view::go(hx, &format!("/services/{slug}")))
        }
        Err(error) => {
            let errors = Errors::of_engine(error)?;
            let page = page(&engine, shell, &slug).await?;
            view::wrong(&Page { errors, ..page })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_becomes_a_repository() {
        assert_eq!(Fields { branch: "x".to_owned(), ..Fields::default() }.asked(), None);
        let repository = " https://git.example.org/shop.git ".to_owned();
        let typed = Fields { repository, file: "deploy/compose.yaml".to_owned(), ..Fields::default() };
        let asked = typed.asked().unwrap();
        assert_eq!((asked.url.as_str(), asked.branch), ("https://git.example.org/shop.git", None));
        assert_eq!(asked.file.as_deref(), Some("deploy/compose.yaml"));
    }
}
