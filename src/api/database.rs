//! Databases over the API: create, change, start and stop, what they write, who is told of them, and the trash. What
//! an answer shows has no password in it, but for the one route that is made for that.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::app::{Tail, bounded, cursor, find as find_app, written};
use super::error::ApiError;
use super::events;
use super::input::{Input, Params};
use super::wire::FieldErrors;
use super::{Streams, wire};
use crate::auth::Caller;
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Deploy, Manage, Read};
use crate::domain::database::{Database, DatabaseId, DatabaseKind, Wish};
use crate::domain::deployment::ImageId;
use crate::domain::name::Slug;
use crate::domain::right::Right;
use crate::domain::time::Timestamp;
use crate::engine::{Engine, EngineError, TRASH_KEPT, WantedDatabase};
use crate::store::{DatabaseError, Reader};

pub(super) async fn kinds(_: Authorized<Read>) -> Json<wire::List<wire::DatabaseKind>> {
    let items = DatabaseKind::ALL.into_iter().map(wire::DatabaseKind::from).collect();
    Json(wire::List { items, next: None })
}

pub(super) async fn list(
    by: Authorized<Read>,
    State(engine): State<Engine>,
) -> Result<Json<wire::List<wire::Database>>, ApiError> {
    listed(&engine, &by.caller, engine.reader().databases().await?).await
}

pub(super) async fn trash(
    by: Authorized<Read>,
    State(engine): State<Engine>,
) -> Result<Json<wire::List<wire::Database>>, ApiError> {
    listed(&engine, &by.caller, engine.reader().trashed_databases().await?).await
}

pub(super) async fn create(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Input(new): Input<wire::CreateDatabase>,
) -> Result<impl IntoResponse, ApiError> {
    let wire::AskedDatabase { slug, project, kind, settings, user, database } = new.parse()?;
    let found = engine.reader().project(&project).await?;
    // One of another team is as little there as any other.
    let seen = found.filter(|project| by.caller.sees(project.team));
    let found = seen.ok_or_else(|| EngineError::from(DatabaseError::NoProject(project)))?;
    by.caller.require_in(Right::Manage, found.team, "project", found.slug.as_str())?;
    let wanted = WantedDatabase { slug, project: found.slug, kind, settings, user, database };
    let database = engine.create_database(wanted).await?;
    let deed = Deed::new("database.created", of_database(&database)).of(found.team);
    by.record(deed.after(written_down(&database))).await;
    Ok((StatusCode::CREATED, Json(shown(&engine, &by.caller, &database).await?)))
}

pub(super) async fn show(
    by: Authorized<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::Database>, ApiError> {
    let database = find(engine.reader(), &id).await?;
    Ok(Json(shown(&engine, &by.caller, &database).await?))
}

pub(super) async fn change(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(wish): Input<wire::ChangeDatabase>,
) -> Result<Json<wire::Database>, ApiError> {
    let before = find(engine.reader(), &id).await?;
    let after = match wish.clone().parse(before.kind, &before.settings)? {
        wire::AskedChange::Rename(name) => {
            let after = engine.rename_database(&before.slug, name).await?;
            let deed = Deed::new("database.renamed", of_database(&before));
            by.record(deed.after(json!({ "name": after.slug.as_str() }))).await;
            after
        }
        wire::AskedChange::Settings(_) => {
            let change = |now: &Database| match wish.clone().parse(now.kind, &now.settings)? {
                wire::AskedChange::Settings(settings) => Ok::<_, ApiError>(settings),
                wire::AskedChange::Rename(_) => Ok(now.settings.clone()),
            };
            let after = engine.change_database(&before.slug, wish.without_backup, change).await?;
            let deed = Deed::new("database.changed", of_database(&after));
            by.record(deed.before(written_down(&before)).after(written_down(&after))).await;
            after
        }
    };
    Ok(Json(shown(&engine, &by.caller, &after).await?))
}

pub(super) async fn delete(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let database = find(engine.reader(), &id).await?;
    engine.delete_database(&database.slug).await?;
    by.record(Deed::new("database.deleted", of_database(&database))).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn start(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::Database>, ApiError> {
    let database = find(engine.reader(), &id).await?;
    by.record(Deed::new("database.started", of_database(&database))).await;
    let database = engine.start_database(&database.slug).await?;
    Ok(Json(shown(&engine, &by.caller, &database).await?))
}

pub(super) async fn stop(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::Database>, ApiError> {
    let database = find(engine.reader(), &id).await?;
    by.record(Deed::new("database.stopped", of_database(&database))).await;
    let database = engine.stop_database(&database.slug).await?;
    Ok(Json(shown(&engine, &by.caller, &database).await?))
}

pub(super) async fn restart(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::Database>, ApiError> {
    let database = find(engine.reader(), &id).await?;
    by.record(Deed::new("database.restarted", of_database(&database))).await;
    let database = engine.restart_database(&database.slug).await?;
    Ok(Json(shown(&engine, &by.caller, &database).await?))
}

pub(super) async fn upgrade(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::Database>, ApiError> {
    let before = find(engine.reader(), &id).await?;
    let after = engine.upgrade_database(&before.slug).await?;
    let deed = Deed::new("database.upgraded", of_database(&after));
    by.record(deed.before(image_of(&before)).after(image_of(&after))).await;
    Ok(Json(shown(&engine, &by.caller, &after).await?))
}

pub(super) async fn change_password(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::Database>, ApiError> {
    let database = find(engine.reader(), &id).await?;
    let database = engine.change_database_password(&database.slug).await?;
    by.record(Deed::new("database.password_changed", of_database(&database))).await;
    Ok(Json(shown(&engine, &by.caller, &database).await?))
}

pub(super) async fn credentials(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::DatabaseCredentials>, ApiError> {
    let database = find(engine.reader(), &id).await?;
    let revealed = revealed(&engine, &database)?;
    by.record(Deed::new("database.credentials.revealed", of_database(&database))).await;
    Ok(Json(revealed))
}

/// How to come into a database. Who shows it writes that down.
pub fn revealed(engine: &Engine, database: &Database) -> Result<wire::DatabaseCredentials, EngineError> {
    let opened = engine.open_database(database)?;
    let password = str::from_utf8(opened.password.reveal())
        .map_err(|_| EngineError::Unavailable(format!("the password of {} is not text", database.slug)))?;
    Ok(wire::DatabaseCredentials {
        user: database.credentials.user.to_string(),
        password: password.to_owned(),
        database: database.credentials.database.to_string(),
        url: engine.reach_within(database)?,
        public_url: engine.reach_from_outside(database)?,
    })
}

pub(super) async fn log(
    by: Authorized<Read>,
    State(engine): State<Engine>,
    State(Streams { auth, stopping, .. }): State<Streams>,
    Path(id): Path<String>,
    Params(Tail { lines, follow }): Params<Tail>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let after = cursor(&headers)?;
    let database = find(engine.reader(), &id).await?;
    let log = engine.database_log(&database, bounded(lines), follow, after)?;
    Ok(events::answer(written(log), auth, by.caller, stopping))
}

pub(super) async fn link(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(wish): Input<wire::LinkDatabase>,
) -> Result<impl IntoResponse, ApiError> {
    let prefix = wish.parse()?;
    let database = find(engine.reader(), &id).await?;
    let app = seen_app(engine.reader(), &by.caller, &wish.app).await?;
    let app = app.ok_or_else(|| FieldErrors::one("app", format!("there is no app {:?}", wish.app)))?;
    let linked = engine.link_database(&app, &database.slug, prefix).await?;
    let link = wire::DatabaseLink::of(&linked.app, &linked.database, &linked.prefix);
    by.record(Deed::new("database.linked", of_database(&database)).after(wire::value(&link))).await;
    Ok((StatusCode::CREATED, Json(link)))
}

pub(super) async fn unlink(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path((id, app)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let database = find(engine.reader(), &id).await?;
    let found = seen_app(engine.reader(), &by.caller, &app).await?;
    let found = found.ok_or_else(|| ApiError::not_found("app", &app))?;
    engine.unlink_database(&found, &database.slug).await?;
    let deed = Deed::new("database.unlinked", of_database(&database));
    by.record(deed.before(json!({ "app": found.as_str() }))).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn restore(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::Database>, ApiError> {
    let database = engine.restore_database(numbered(&id)?).await?;
    by.record(Deed::new("database.restored", of_database(&database))).await;
    Ok(Json(shown(&engine, &by.caller, &database).await?))
}

pub(super) async fn purge(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let database = engine.trashed_database(numbered(&id)?).await?;
    engine.purge_database(database.id).await?;
    let deed = Deed::new("database.purged", of_database(&database));
    by.record(deed.before(json!({ "volume": database.volume }))).await;
    Ok(StatusCode::NO_CONTENT)
}

/// The app of a name or a number, if the caller sees it: one of another team is as little there as any other.
async fn seen_app(reader: &Reader, caller: &Caller, id: &str) -> Result<Option<Slug>, ApiError> {
    let found = match find_app(reader, id).await {
        Ok(app) => Some(app),
        Err(error) if error.status() == StatusCode::NOT_FOUND => None,
        Err(error) => return Err(error),
    };
    Ok(found.filter(|app| caller.sees(app.project.team)).map(|app| app.slug))
}

/// The database of a name or a number. A name made of digits is a name first.
pub(super) async fn find(reader: &Reader, id: &str) -> Result<Database, ApiError> {
    if let Ok(slug) = Slug::parse(id)
        && let Some(database) = reader.database(&slug).await?
    {
        return Ok(database);
    }
    if let Ok(number) = id.parse()
        && let Some(database) = reader.database_by_id(DatabaseId(number)).await?
        && database.deleted.is_none()
    {
        return Ok(database);
    }
    Err(ApiError::not_found("database", id))
}

fn numbered(id: &str) -> Result<DatabaseId, ApiError> {
    id.parse().map(DatabaseId).map_err(|_| ApiError::not_found("database in the trash", id))
}

/// A database, in the words of the audit.
pub(super) fn of_database(database: &Database) -> String {
    format!("database {}", database.slug)
}

async fn shown(engine: &Engine, caller: &Caller, database: &Database) -> Result<wire::Database, ApiError> {
    let all = all_shown(engine, caller, std::slice::from_ref(database)).await?;
    all.into_iter().next().ok_or_else(|| ApiError::not_found("database", database.slug.as_str()))
}

async fn listed(
    engine: &Engine,
    caller: &Caller,
    mut databases: Vec<Database>,
) -> Result<Json<wire::List<wire::Database>>, ApiError> {
    databases.retain(|database| caller.sees(database.project.team));
    Ok(Json(wire::List { items: all_shown(engine, caller, &databases).await?, next: None }))
}

/// Databases with how they do and who is told of them. Their configuration, in which passwords may stand, is for who
/// may change it.
async fn all_shown(
    engine: &Engine,
    caller: &Caller,
    databases: &[Database],
) -> Result<Vec<wire::Database>, ApiError> {
    let standings = engine.database_standings(databases).await?;
    let links = engine.linked(None).await?;
    let one = |(database, standing): (&Database, crate::engine::DatabaseStanding)| {
        let of_it = links.iter().filter(|link| link.database == database.slug && database.deleted.is_none());
        let config = database.settings.config.as_ref();
        let config = config.filter(|_| caller.may_in(Right::Manage, database.project.team));
        wire::Database {
            config: config.map(|config| config.as_str().to_owned()),
            // Another one may have the name of one in the trash, and its unit.
            state: if database.deleted.is_some() { "deleted" } else { standing.as_str() }.to_owned(),
            problem: database.problem.clone().filter(|_| database.wish == Wish::Run),
            links: of_it
                .map(|link| wire::DatabaseLink::of(&link.app, &link.database, &link.prefix))
                .collect(),
            ..stored(database)
        }
    };
    Ok(databases.iter().zip(standings).map(one).collect())
}

/// A database by what is stored alone, without its configuration.
fn stored(database: &Database) -> wire::Database {
    let settings = &database.settings;
    let public = settings.public.as_ref();
    let kept = i64::try_from(TRASH_KEPT.as_millis()).unwrap_or(i64::MAX);
    wire::Database {
        id: database.id.0,
        name: database.slug.to_string(),
        project: database.project.slug.to_string(),
        kind: database.kind.as_str().to_owned(),
        version: database.kind.version_of(&settings.image),
        image: settings.image.to_string(),
        configured: settings.config.is_some(),
        config: None,
        memory: settings.limits.memory.map(|memory| memory.to_string()),
        cpus: settings.limits.cpus.map(|cpus| cpus.to_string()),
        public_port: public.map(|public| public.port.get()),
        allow: public.map_or_else(Vec::new, |public| public.allow.iter().map(ToString::to_string).collect()),
        state: String::new(),
        problem: None,
        links: Vec::new(),
        unit: database.service(),
        volume: database.volume.clone(),
        created: wire::time(database.created),
        deleted: database.deleted.map(wire::time),
        kept_until: database.deleted.map(|at| wire::time(Timestamp(at.0.saturating_add(kept)))),
    }
}

/// What the audit keeps of a database: how it is set, without its configuration.
#[must_use]
pub fn written_down(database: &Database) -> serde_json::Value {
    let wire::Database { kind, project, image, configured, memory, cpus, public_port, allow, .. } =
        stored(database);
    json!({
        "kind": kind, "project": project, "image": image, "configured": configured, "memory": memory, "cpus": cpus,
        "public_port": public_port, "allow": allow,
    })
}

fn image_of(database: &Database) -> serde_json::Value {
    json!({ "image_id": database.image.as_ref().map(ImageId::as_str) })
}
