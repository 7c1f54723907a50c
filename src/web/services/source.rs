//! Where the files of a service come from: a repository that it follows, or what is handed in; and the wish to fetch it now.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::super::error::PageError;
use super::super::form::{Errors, Form, Refused};
use super::super::logs::made::MadeLog;
use super::super::repository::{self, RepositoryFields};
use super::super::shell::{Hx, Shell, Visit};
use super::super::view;
use super::super::{Route, Web};
use super::{Head, find, log};
use crate::api::wire::{self, FollowedRepository, Hidden, ServiceRepository, SetServiceSource};
use crate::auth::audit::Deed;
use crate::auth::gate::{Deploy, Manage, Read};
use crate::domain::name::Slug;
use crate::domain::right::Right;
use crate::domain::service::{Followed, Service};
use crate::domain::source::GitAccess;
use crate::engine::{Engine, ServicePreview};

#[derive(Template)]
#[template(path = "services/source.html")]
struct Page {
    shell: Shell,
    head: Head,
    now: Option<FollowedRepository>,
    fields: Fields,
    keys: Vec<String>,
    has_token: bool,
    preview: Option<ServicePreview>,
    errors: Errors,
    /// Where what changes of the page comes from.
    live: String,
    /// What the newest revision fetched and built.
    log: Option<MadeLog>,
}

/// A repository as somebody types it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(flatten)]
    repository: RepositoryFields,
    file: String,
    env: String,
    /// Files are to be handed in instead.
    files: String,
}

impl Fields {
    /// What a service follows now; its variables are not shown.
    fn of(followed: &Followed) -> Self {
        let file = followed.file.as_ref().map(ToString::to_string).unwrap_or_default();
        Self { repository: RepositoryFields::of(&followed.git), file, ..Self::default() }
    }
}

/// The repository that is asked for; none: no address was typed.
pub(super) fn asked(repository: &RepositoryFields, file: &str, env: &str) -> Option<ServiceRepository> {
    let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    Some(ServiceRepository {
        url: said(&repository.git)?,
        options: repository.options(),
        file: said(file),
        variables: Some(env.replace("\r\n", "\n")).filter(|text| !text.trim().is_empty()).map(Hidden),
    })
}

/// The routes of this part.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/services/{id}/source", show),
        Route::post("/services/{id}/source", change),
        Route::post("/services/{id}/source/preview", preview),
        Route::post("/services/{id}/deploy", deploy),
    ]
}

async fn page(engine: &Engine, shell: Shell, slug: &Slug) -> Result<Page, PageError> {
    let status = engine.service_status(slug).await?;
    let log = log::newest(engine, &status).await?;
    let live = match (&log, status.latest()) {
        (Some(log), Some(latest)) if !log.is_over => {
            format!("/live/services/{slug}/revisions/{}?after={}", latest.number, log.until)
        }
        (Some(_) | None, _) => format!("/live/services/{slug}"),
    };
    let followed = status.service.followed.as_ref();
    let now = followed.map(FollowedRepository::from);
    let fields = followed.map(Fields::of).unwrap_or_default();
    let has_token = followed.is_some_and(|now| matches!(now.git.access, GitAccess::Token { .. }));
    let team = status.service.project.team;
    let keys = repository::keys(engine.reader(), |of| of == team).await?;
    let head = Head::of(&status, "source");
    Ok(Page {
        shell,
        head,
        now,
        fields,
        keys,
        has_token,
        preview: None,
        errors: Errors::default(),
        live,
        log,
    })
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
    let slug = &service.slug;
    match store(&engine, &service, &fields).await {
        Ok(changed) => {
            let before = service.followed.as_ref().map(FollowedRepository::from);
            let after = changed.followed.as_ref().map(FollowedRepository::from);
            let deed = Deed::new("service.source_changed", format!("service {slug}"));
            visit.record(deed.before(wire::value(&before)).after(wire::value(&after))).await;
            Ok(view::go(hx, &format!("/services/{slug}/source")))
        }
        Err(refused) => {
            let errors = refused.errors()?;
            let page = page(&engine, shell, slug).await?;
            let fields = Fields { repository: fields.repository.without_token(), ..fields };
            view::wrong(&Page { fields, errors, ..page })
        }
    }
}

async fn store(engine: &Engine, service: &Service, fields: &Fields) -> Result<Service, Refused> {
    let Fields { repository, file, env, files } = fields;
    let repository = if files.is_empty() {
        let asked = asked(repository, file, env);
        Some(asked.ok_or_else(|| Refused::Form(Errors::one("git", "name a repository")))?)
    } else {
        None
    };
    let wish = (SetServiceSource { repository }).parse();
    let mut followed = wish.map_err(|errors| Refused::Form(errors.into()))?;
    if let (Some(new), Some(before)) = (&mut followed, &service.followed)
        && new.token.is_none()
    {
        repository::keep_token(&mut new.followed.git, &before.git);
    }
    Ok(engine.set_service_source(&service.slug, followed).await?)
}

/// Units may hold what only those know who may change them.
async fn preview(
    visit: Visit<Manage>,
    mut shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let slug = find(&engine, &visit.person, &id).await?.slug;
    // Where the switch of the theme leads back to.
    shell.path = format!("/services/{slug}/source");
    let page = page(&engine, shell, &slug).await?;
    match engine.preview_service(&slug, None, visit.person.reach.allows(Right::Administer)).await {
        Ok(preview) => view::show(&Page { preview: Some(preview), ..page }),
        Err(error) => view::wrong(&Page { errors: Errors::of_engine(error)?, ..page }),
    }
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

    fn page(log: Option<MadeLog>, preview: Option<ServicePreview>) -> String {
        let typed = "git=https://git.example.org/<b>.git&at=tag&reference=v1&lfs=true&git_key=deploys&git_token=canary";
        let fields: Fields = serde_html_form::from_str(typed).unwrap();
        let fields = Fields { repository: fields.repository.without_token(), ..fields };
        let (shell, head) = (Shell::for_test("root"), Head::for_test("source"));
        let (now, keys, live) = (None, vec!["deploys".to_owned()], "/live/here".to_owned());
        let errors = Errors::one("tag", "no such tag");
        Page { shell, head, now, fields, keys, has_token: true, preview, errors, live, log }.render().unwrap()
    }

    #[test]
    fn the_page_shows_what_is_followed_and_the_log_as_it_comes() {
        let html = page(None, None);
        assert!(
            !html.contains("<b>") && !html.contains("canary") && !html.contains("data-log-following"),
            "{html}"
        );
        for words in
            ["One is kept", "<option value=\"tag\" selected>", "<option selected>deploys", "no such tag"]
        {
            assert!(html.contains(words), "{words}: {html}");
        }
        let log = MadeLog {
            title: "Log of revision 3".to_owned(),
            of: "revision 3 of shop".to_owned(),
            download: "/services/shop/revisions/3/log".to_owned(),
            rows: Vec::new(),
            cut: false,
            until: 0,
            is_over: false,
        };
        let preview = ServicePreview {
            commit: Some(crate::domain::source::CommitId::parse(&"c".repeat(40)).unwrap()),
            units: std::collections::BTreeMap::new(),
            steps: "start web".to_owned(),
            warnings: Vec::new(),
        };
        let html = page(Some(log), Some(preview));
        for words in
            ["data-log-following", "sse-connect=\"/live/here\"", "What a deployment would do", "cccccccc"]
        {
            assert!(html.contains(words), "{words}: {html}");
        }
    }

    #[test]
    fn what_was_typed_becomes_a_repository() {
        let typed = |text: &str| serde_html_form::from_str::<Fields>(text).unwrap();
        let asked = |fields: &Fields| asked(&fields.repository, &fields.file, &fields.env);
        assert_eq!(asked(&typed("at=branch&reference=x")), None);
        let all = "git=+https://git.example.org/shop.git+&at=commit&reference=abc&lfs=true&file=deploy/compose.yaml";
        let found = asked(&typed(all)).unwrap();
        assert_eq!((found.url.as_str(), found.options.branch), ("https://git.example.org/shop.git", None));
        assert_eq!((found.options.commit.as_deref(), found.options.lfs), (Some("abc"), true));
        assert_eq!(found.file.as_deref(), Some("deploy/compose.yaml"));
    }
}
