//! The settings of an app: how it is built, run, watched and deployed, with its Quadlet beside the form.
//!
//! The form has the names, the limits and the messages of the API, which reads it. What is shown beside it is made by
//! the code that starts releases.

mod delete;
pub(super) mod diff;
pub(super) mod fields;
mod source;
mod tables;
mod traffic;

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use self::diff::UnitDiff;
use self::fields::Group;
use super::app::{self, Head};
use super::error::PageError;
use super::form::{Errors, Form, Refused};
use super::shell::{Hx, Shell, Visit};
use super::{Route, Web, view};
use crate::api::wire::{BuildOptions, ChangeApp, DeployOptions, HealthOptions, RuntimeOptions};
use crate::auth::audit::Deed;
use crate::auth::gate::{Manage, Read};
use crate::domain::app::{App, Replicas, Settings};
use crate::domain::right::Right;
use crate::engine::{Engine, EngineError, Preview};

/// The tab of an app.
#[derive(Template)]
#[template(path = "settings/app.html")]
struct Page {
    shell: Shell,
    head: Head,
    part: &'static str,
    groups: Vec<Group>,
    others: Vec<String>,
    preview: Shown,
    saved: String,
}

/// What would be written, alone.
#[derive(Template)]
#[template(path = "settings/preview.html")]
struct PreviewPart {
    preview: Shown,
}

/// What would be written.
struct Shown {
    release: Option<u32>,
    units: Vec<UnitDiff>,
    wrong: Vec<String>,
}

/// What a page is told behind the question mark.
#[derive(Debug, Default, Deserialize)]
struct Told {
    #[serde(default)]
    saved: String,
}

/// A form as it was sent: each field by its name.
type Sent = BTreeMap<String, String>;

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    let own = vec![
        Route::get("/apps/{id}/settings", show),
        Route::post("/apps/{id}/settings", save),
        Route::post("/apps/{id}/settings/preview", preview),
    ];
    [own, source::routes(), traffic::routes(), delete::routes()].into_iter().flatten().collect()
}

async fn show(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(Told { saved }): Query<Told>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    let values = values(&app.settings);
    let shown = Shown::of(engine.preview(&app, &app.settings, true).await);
    let filled = fields::fill(tables::SETTINGS, &values, None, &Errors::default());
    view::show(&page(&engine, shell, &app, filled, (Vec::new(), shown?, saved)).await?)
}

async fn preview(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(sent): Form<Sent>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    let administrator = visit.person.reach.allows(Right::Administer);
    let (shown, errors) = match parse(&sent, &app.settings) {
        Ok(settings) => match engine.preview(&app, &settings, administrator).await {
            Ok(found) => (Shown::made(found), Errors::default()),
            Err(error) => Shown::refused(Errors::of_engine(error)?),
        },
        Err(errors) => Shown::refused(errors),
    };
    if hx.fragment {
        return view::show(&PreviewPart { preview: shown });
    }
    let filled = fields::fill(tables::SETTINGS, &values(&app.settings), Some(&sent), &errors);
    let others = fields::others(tables::SETTINGS, &errors);
    let page = page(&engine, shell, &app, filled, (others, shown, String::new())).await?;
    if errors.is_empty() { view::show(&page) } else { view::wrong(&page) }
}

async fn save(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(sent): Form<Sent>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    let administrator = visit.person.reach.allows(Right::Administer);
    match store(&engine, &app, &sent, administrator).await {
        Ok(needs_deployment) => {
            let now = app::find(engine.reader(), &visit.person, app.slug.as_str()).await?;
            let deed = Deed::new("app.changed", format!("app {}", app.slug));
            visit.record(deed.before(values(&app.settings)).after(values(&now.settings))).await;
            let saved = if needs_deployment { "deploy" } else { "now" };
            Ok(view::go(hx, &format!("/apps/{}/settings?saved={saved}", app.slug)))
        }
        Err(refused) => {
            let errors = refused.errors()?;
            let (shown, _) = Shown::refused(errors.clone());
            let filled = fields::fill(tables::SETTINGS, &values(&app.settings), Some(&sent), &errors);
            let others = fields::others(tables::SETTINGS, &errors);
            view::wrong(&page(&engine, shell, &app, filled, (others, shown, String::new())).await?)
        }
    }
}

/// Stores what was sent; whether a deployment brings the rest of it.
async fn store(engine: &Engine, app: &App, sent: &Sent, administrator: bool) -> Result<bool, Refused> {
    let mut replicas = None;
    let changed = engine.change_app(&app.slug, administrator, |before| {
        let settings = parse(sent, before).map_err(Refused::Form)?;
        replicas = Some(settings.replicas).filter(|wanted| *wanted != before.replicas);
        // Those change at once, and not with the next deployment.
        Ok::<_, Refused>((Settings { replicas: before.replicas, ..settings }, None))
    });
    let changed = changed.await?;
    if let Some(replicas) = replicas {
        engine.scale(&app.slug, replicas).await?;
    }
    Ok(changed.needs_deployment)
}

/// What an app is set to, in the words of the API.
fn values(settings: &Settings) -> Value {
    let Settings {
        port,
        variables: _,
        files: _,
        health,
        runtime,
        build,
        replicas,
        commands,
        rollback_window,
        linked: _,
    } = settings;
    json!({
        "port": port.get(),
        "replicas": replicas.get(),
        "health": HealthOptions::of(health),
        "runtime": RuntimeOptions::of(runtime),
        "build": BuildOptions::of(build),
        "deploy": DeployOptions::of(commands, *rollback_window),
    })
}

/// The settings that a form asks for.
fn parse(sent: &Sent, before: &Settings) -> Result<Settings, Errors> {
    let mut said = fields::read(tables::SETTINGS, sent)?;
    let replicas = said.as_object_mut().and_then(|said| said.remove("replicas"));
    let change: ChangeApp = fields::typed(said)?;
    let (mut settings, _) = change.parse(before).map_err(Errors::from)?;
    if let Some(count) = replicas.as_ref().and_then(Value::as_u64) {
        let count = u8::try_from(count).ok().and_then(Replicas::new);
        let wrong = || Errors::one("replicas", "use a number of containers from 1 to 32");
        settings.replicas = count.ok_or_else(wrong)?;
    }
    Ok(settings)
}

impl Shown {
    /// A preview, or why there is none; other failures are for a page of their own.
    fn of(preview: Result<Preview, EngineError>) -> Result<Self, PageError> {
        match preview {
            Ok(found) => Ok(Self::made(found)),
            // A page of settings is there also where Podman or a value cannot be asked.
            Err(EngineError::Internal(cause)) => {
                tracing::warn!(%cause, "no preview");
                let wrong = vec!["It cannot be told now: the log of rivetr says why.".to_owned()];
                Ok(Self { release: None, units: Vec::new(), wrong })
            }
            Err(error) => Ok(Self::refused(Errors::of_engine(error)?).0),
        }
    }

    fn made(Preview { release, before, after }: Preview) -> Self {
        Self { release, units: diff::units(&before, &after, release.is_some()), wrong: Vec::new() }
    }

    fn refused(errors: Errors) -> (Self, Errors) {
        let wrong = errors.others(&[]).into_iter().map(str::to_owned).collect();
        (Self { release: None, units: Vec::new(), wrong }, errors)
    }
}

async fn page(
    engine: &Engine,
    shell: Shell,
    app: &App,
    groups: Vec<Group>,
    (others, preview, saved): (Vec<String>, Shown, String),
) -> Result<Page, PageError> {
    let head = app::head(engine, app, "settings").await?;
    Ok(Page { shell, head, part: "container", groups, others, preview, saved })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::fields::Filled;
    use super::*;

    fn sent(pairs: &[(&str, &str)]) -> Sent {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn as_shown(settings: &Settings) -> Sent {
        let groups = fields::fill(tables::SETTINGS, &values(settings), None, &Errors::default());
        let filled = groups.into_iter().flat_map(|group| group.fields);
        filled
            .filter_map(|filled: Filled| {
                let is_off = filled.field.is_check() && !filled.checked;
                (!is_off).then(|| (filled.field.name.to_owned(), filled.sent()))
            })
            .collect()
    }

    #[test]
    fn a_form_that_nobody_changed_changes_nothing() {
        let mut settings = Settings::new(NonZeroU16::new(8080).unwrap());
        assert_eq!(parse(&as_shown(&settings), &settings).unwrap(), settings);
        let change = sent(&[
            ("port", "3000"),
            ("replicas", "2"),
            ("runtime.memory", "512M"),
            ("runtime.volumes", "data:/data\r\n\r\n cache:/cache:ro "),
            ("runtime.command", "serve --name 'two words'"),
            ("runtime.read_only", "true"),
            ("health.path", "/up"),
            ("health.timeout_s", "30"),
            ("deploy.rollback_window_s", "0"),
        ]);
        settings = parse(&change, &settings).unwrap();
        assert_eq!((settings.port.get(), settings.replicas.get()), (3000, 2));
        assert_eq!(settings.runtime.mounts.len(), 2);
        assert_eq!(settings.runtime.command.as_ref().unwrap().as_slice(), ["serve", "--name", "two words"]);
        assert!(settings.runtime.read_only && !settings.build.cache && settings.rollback_window.is_none());
        assert_eq!(parse(&as_shown(&settings), &settings).unwrap(), settings, "shown and sent again");
    }

    #[test]
    fn every_wrong_field_is_named_at_its_place() {
        let settings = Settings::new(NonZeroU16::MIN);
        let wrong = |name: &str, value: &str| {
            let errors = parse(&sent(&[("port", "80"), (name, value)]), &settings).unwrap_err();
            fields::at_fields(tables::SETTINGS, &errors).of(name).to_owned()
        };
        assert!(!wrong("runtime.memory", "lots").is_empty());
        assert!(!wrong("replicas", "99").is_empty());
        assert!(!wrong("port", "70000").is_empty());
        assert!(!wrong("health.timeout_s", "soon").is_empty());
        assert!(!wrong("runtime.command", "'open").is_empty());
        assert!(wrong("runtime.publish", "127.0.0.1:5432:5432\nnonsense").starts_with("line 2: "));
    }

    #[test]
    fn nothing_that_was_typed_becomes_markup() {
        let evil = "<img src=x onerror=alert(1)>";
        let settings = Settings::new(NonZeroU16::MIN);
        let groups = fields::fill(
            tables::SETTINGS,
            &values(&settings),
            Some(&sent(&[("runtime.memory", evil), ("runtime.volumes", evil)])),
            &Errors::one("runtime.memory", evil),
        );
        let preview = Shown {
            release: None,
            units: diff::units(&vec![], &vec![(evil.to_owned(), evil.to_owned())], false),
            wrong: vec![evil.to_owned()],
        };
        let html = PreviewPart { preview }.render().unwrap();
        assert!(!html.contains("<img") && html.contains("onerror"), "{html}");
        assert_eq!(groups.iter().flat_map(|group| &group.fields).filter(|one| one.value == evil).count(), 2);
    }
}
