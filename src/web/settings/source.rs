//! Where the code of an app comes from. It is said whole; only a token that is there is kept where none is typed.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::app::{self, Head};
use super::super::error::PageError;
use super::super::form::{Errors, Form, Refused};
use super::super::repository::{self, RepositoryFields};
use super::super::shell::{Hx, Shell, Visit};
use super::super::{Route, Web, view};
use super::Told;
use crate::api::wire::SetSource;
use crate::auth::audit::Deed;
use crate::auth::gate::{Manage, Read};
use crate::domain::app::App;
use crate::domain::source::{GitAccess, Source};
use crate::engine::Engine;

#[derive(Template)]
#[template(path = "settings/source.html")]
struct Page {
    shell: Shell,
    head: Head,
    part: &'static str,
    fields: Fields,
    keys: Vec<String>,
    has_token: bool,
    push_url: Option<String>,
    errors: Errors,
    saved: String,
}

/// The form.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Fields {
    kind: String,
    push_branch: String,
    #[serde(flatten)]
    repository: RepositoryFields,
    image: String,
    containerfile: String,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::get("/apps/{id}/source", show), Route::post("/apps/{id}/source", save)]
}

async fn show(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(Told { saved }): Query<Told>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    let form = Fields::of(&app.source);
    view::show(&page(&engine, shell, &app, form, (Errors::default(), saved)).await?)
}

async fn save(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(form): Form<Fields>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    match store(&engine, &app, &form).await {
        Ok(()) => {
            let deed = Deed::new("app.source_changed", format!("app {}", app.slug));
            visit.record(deed.before(Fields::of(&app.source).said()).after(form.said())).await;
            Ok(view::go(hx, &format!("/apps/{}/source?saved=deploy", app.slug)))
        }
        Err(refused) => {
            let errors = refused.errors()?;
            view::wrong(&page(&engine, shell, &app, form, (errors, String::new())).await?)
        }
    }
}

async fn store(engine: &Engine, app: &App, form: &Fields) -> Result<(), Refused> {
    let wish = form.wish().map_err(Refused::Form)?;
    let (mut source, token) = wish.parse().map_err(|errors| Refused::Form(errors.into()))?;
    if let (None, Source::Git(new), Source::Git(before)) = (&token, &mut source, &app.source) {
        repository::keep_token(new, before);
    }
    engine.set_source(&app.slug, source, token).await?;
    Ok(())
}

impl Fields {
    fn of(source: &Source) -> Self {
        let kind = match source {
            Source::Push { .. } => "push",
            Source::Git(_) => "git",
            Source::Image { .. } => "image",
            Source::Upload => "upload",
            Source::Inline { .. } => "containerfile",
        };
        let mut form = Self { kind: kind.to_owned(), ..Self::default() };
        "branch".clone_into(&mut form.repository.at);
        match source {
            Source::Push { branch } => branch.as_str().clone_into(&mut form.push_branch),
            Source::Git(git) => form.repository = RepositoryFields::of(git),
            Source::Image { image } => form.image = image.to_string(),
            Source::Upload => {}
            Source::Inline { instructions } => instructions.as_str().clone_into(&mut form.containerfile),
        }
        form
    }

    /// What may be written down of it: no token is among it.
    fn said(&self) -> Value {
        let Self { kind, push_branch, repository, image, containerfile: _ } = self;
        json!({ "source": kind, "push_branch": push_branch, "repository": repository.said(), "image": image })
    }

    /// What the API is asked for; fields of other kinds say nothing.
    fn wish(&self) -> Result<SetSource, Errors> {
        let mut wish = SetSource::default();
        match self.kind.as_str() {
            "push" => {
                let branch = self.push_branch.trim().to_owned();
                wish.options.branch = Some(branch).filter(|branch| !branch.is_empty());
            }
            "git" => {
                wish.git = Some(self.repository.git.trim().to_owned());
                wish.options = self.repository.options();
            }
            "image" => wish.image = Some(self.image.trim().to_owned()),
            "upload" => wish.upload = true,
            "containerfile" => wish.containerfile = Some(self.containerfile.replace("\r\n", "\n")),
            _ => return Err(Errors::one("", "choose where the code comes from")),
        }
        Ok(wish)
    }
}

async fn page(
    engine: &Engine,
    shell: Shell,
    app: &App,
    form: Fields,
    (errors, saved): (Errors, String),
) -> Result<Page, PageError> {
    let head = app::head(engine, app, "settings").await?;
    let keys = repository::keys(engine.reader(), |team| team == app.project.team).await?;
    let has_token = matches!(&app.source, Source::Git(git) if matches!(git.access, GitAccess::Token { .. }));
    let push_url = engine.own_url().map(|own| format!("{own}/git/{}.git", app.slug));
    let fields = Fields { repository: form.repository.without_token(), ..form };
    Ok(Page { shell, head, part: "source", fields, keys, has_token, push_url, errors, saved })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(form: &Fields) -> Result<Source, Vec<String>> {
        let parsed = form.wish().map_err(|_| vec![String::new()])?.parse();
        parsed.map(|(source, _)| source).map_err(|errors| errors.0.into_keys().collect())
    }

    #[test]
    fn a_source_is_shown_and_sent_again() {
        let form = Fields {
            kind: "git".to_owned(),
            repository: RepositoryFields {
                git: "https://example.org/a.git".to_owned(),
                at: "tag".to_owned(),
                reference: "v1".to_owned(),
                submodules: true,
                ..RepositoryFields::default()
            },
            image: "left from before".to_owned(),
            ..Fields::default()
        };
        let source = said(&form).unwrap();
        assert_eq!(said(&Fields::of(&source)).unwrap(), source);
        for kind in ["push", "upload"] {
            let source = said(&Fields { kind: kind.to_owned(), ..Fields::default() }).unwrap();
            assert_eq!(said(&Fields::of(&source)).unwrap(), source, "{kind}");
        }
        assert_eq!(
            said(&Fields { kind: "image".to_owned(), ..Fields::default() }),
            Err(vec!["image".to_owned()])
        );
        assert!(said(&Fields::default()).is_err());
    }
}
