//! Backups over the API: taken, listed, restored, handed in and out as streams; their schedules, places and key.

use std::io;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use futures_util::TryStreamExt as _;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use tokio_util::io::{ReaderStream, StreamReader};

use super::database::find;
use super::error::ApiError;
use super::input::{Input, Params};
use super::wire;
use crate::auth::audit::Deed;
use crate::auth::gate::{Administer, Authorized, Deploy, Manage, Read};
use crate::domain::backup::{BackupId, Place, Reason};
use crate::domain::name::Slug;
use crate::engine::{Engine, ShownBackup};

/// The longest that an answer waits for an end, in seconds: less than any client does.
const WAIT_MAX: u64 = 20;

/// How long to wait for what is under way.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patience {
    #[serde(default)]
    wait: u64,
}

/// How a file is handed out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Handout {
    #[serde(default)]
    plain: bool,
}

pub(super) async fn list(
    by: Authorized<Read>,
    State(engine): State<Engine>,
) -> Result<Json<wire::List<wire::Backup>>, ApiError> {
    let all = engine.reader().backups(None).await?;
    let seen = all.into_iter().filter(|backup| by.caller.sees(backup.team));
    let items =
        seen.map(|backup| wire::Backup::from(&ShownBackup { backup, restores: Vec::new() })).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn of_database(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::List<wire::Backup>>, ApiError> {
    let database = find(engine.reader(), &id).await?;
    let items = engine.backups_of(&database).await?.iter().map(wire::Backup::from).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn take(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(wish): Input<wire::TakeBackup>,
) -> Result<impl IntoResponse, ApiError> {
    let database = find(engine.reader(), &id).await?;
    let reason = if wish.scheduled { Reason::Scheduled } else { Reason::Asked };
    let place = match wish.parse()? {
        Some(place) => place,
        None => engine.schedule_of(&database).await?.map_or(Place::Disk, |schedule| schedule.place),
    };
    let backup = engine.take_backup(&database, place, reason).await?;
    let deed = Deed::new("backup.taken", named(&backup.name, backup.id)).of(backup.team);
    by.record(deed.after(json!({ "place": backup.place.to_string(), "reason": reason.word() }))).await;
    Ok((StatusCode::ACCEPTED, Json(wire::Backup::from(&ShownBackup { backup, restores: Vec::new() }))))
}

pub(super) async fn show(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Params(Patience { wait }): Params<Patience>,
) -> Result<Json<wire::Backup>, ApiError> {
    let id = number(&id)?;
    let limit = Duration::from_secs(wait.min(WAIT_MAX));
    Ok(Json(wire::Backup::from(&engine.settled_backup(id, limit).await?)))
}

pub(super) async fn delete(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let backup = engine.delete_backup(number(&id)?).await?;
    by.record(Deed::new("backup.deleted", named(&backup.name, backup.id)).of(backup.team)).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn restore(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(wish): Input<wire::RestoreBackup>,
) -> Result<impl IntoResponse, ApiError> {
    let target = wish.parse()?;
    let backup = engine.backup(number(&id)?).await?;
    let restore = wire::Restore::from(&engine.restore_backup(backup.id, target).await?);
    let deed = Deed::new("backup.restored", named(&backup.name, backup.id)).of(backup.team);
    by.record(deed.after(json!({ "target": restore.target, "name": restore.name }))).await;
    Ok((StatusCode::ACCEPTED, Json(restore)))
}

pub(super) async fn download(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Params(Handout { plain }): Params<Handout>,
) -> Result<impl IntoResponse, ApiError> {
    let (backup, file) = engine.download_backup(number(&id)?, plain).await?;
    let deed = Deed::new("backup.downloaded", named(&backup.name, backup.id)).of(backup.team);
    by.record(deed.after(json!({ "plain": plain }))).await;
    let path = backup.file();
    let name = path.rsplit('/').next().unwrap_or(&path);
    let name = if plain { name.trim_end_matches(".zst.age") } else { name };
    let fields = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((fields, Body::from_stream(ReaderStream::new(file))))
}

pub(super) async fn import(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    body: Body,
) -> Result<impl IntoResponse, ApiError> {
    let database = find(engine.reader(), &id).await?;
    let body = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let backup = engine.import_backup(&database, body).await?;
    by.record(Deed::new("backup.imported", named(&backup.name, backup.id)).of(backup.team)).await;
    Ok((StatusCode::CREATED, Json(wire::Backup::from(&ShownBackup { backup, restores: Vec::new() }))))
}

pub(super) async fn schedule(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::BackupSchedule>, ApiError> {
    let database = find(engine.reader(), &id).await?;
    let schedule = engine.schedule_of(&database).await?;
    let schedule = schedule.ok_or_else(|| ApiError::not_found("schedule of backups", &id))?;
    Ok(Json(wire::BackupSchedule::from(&schedule)))
}

pub(super) async fn set_schedule(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(wish): Input<wire::BackupSchedule>,
) -> Result<Json<wire::BackupSchedule>, ApiError> {
    let schedule = wish.parse()?;
    let database = find(engine.reader(), &id).await?;
    engine.set_schedule(&database, Some(schedule.clone())).await?;
    let shown = wire::BackupSchedule::from(&schedule);
    let deed = Deed::new("backup.scheduled", format!("database {}", database.slug));
    by.record(deed.of(database.project.team).after(wire::value(&shown))).await;
    Ok(Json(shown))
}

pub(super) async fn remove_schedule(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let database = find(engine.reader(), &id).await?;
    engine.set_schedule(&database, None).await?;
    let deed = Deed::new("backup.unscheduled", format!("database {}", database.slug));
    by.record(deed.of(database.project.team)).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn destinations(
    _: Authorized<Read>,
    State(engine): State<Engine>,
) -> Result<Json<wire::List<wire::BackupDestination>>, ApiError> {
    let items = engine.destinations().await?.iter().map(wire::BackupDestination::from).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn put_destination(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Input(new): Input<wire::PutDestination>,
) -> Result<StatusCode, ApiError> {
    let new = new.parse()?;
    let name = new.name.clone();
    engine.put_destination(new).await?;
    by.record(Deed::new("backup_destination.put", format!("destination {name}"))).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove_destination(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = Slug::parse(&name).map_err(|_| ApiError::not_found("destination", &name))?;
    engine.remove_destination(&name).await?;
    by.record(Deed::new("backup_destination.removed", format!("destination {name}"))).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn key(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
) -> Result<Json<wire::BackupKey>, ApiError> {
    let (recipient, key) = engine.backup_key().await?;
    by.record(Deed::new("backup_key.revealed", format!("key {recipient}"))).await;
    let key = String::from_utf8_lossy(key.reveal()).into_owned();
    Ok(Json(wire::BackupKey { recipient: recipient.to_string(), key }))
}

fn number(id: &str) -> Result<BackupId, ApiError> {
    id.parse().map(BackupId).map_err(|_| ApiError::not_found("backup", id))
}

/// A backup, in the words of the audit.
fn named(of: &str, id: BackupId) -> String {
    format!("backup {} of {of}", id.0)
}
