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
use crate::domain::backup::{BackupId, Reason};
use crate::domain::name::Slug;
use crate::engine::{BackupSource, Engine, ShownBackup};

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
    listed(&engine, &database(&engine, &id).await?).await
}

pub(super) async fn of_volume(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Json<wire::List<wire::Backup>>, ApiError> {
    listed(&engine, &engine.volume_source(&name).await?).await
}

async fn listed(engine: &Engine, of: &BackupSource) -> Result<Json<wire::List<wire::Backup>>, ApiError> {
    let items = engine.backups_of(of).await?.iter().map(wire::Backup::from).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn take(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(wish): Input<wire::TakeBackup>,
) -> Result<impl IntoResponse, ApiError> {
    let of = database(&engine, &id).await?;
    taken(&by, &engine, &of, wish).await
}

pub(super) async fn take_volume(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Input(wish): Input<wire::TakeBackup>,
) -> Result<impl IntoResponse, ApiError> {
    let of = engine.volume_source(&name).await?;
    taken(&by, &engine, &of, wish).await
}

async fn taken(
    by: &Authorized<Deploy>,
    engine: &Engine,
    of: &BackupSource,
    wish: wire::TakeBackup,
) -> Result<(StatusCode, Json<wire::Backup>), ApiError> {
    let reason = if wish.scheduled { Reason::Scheduled } else { Reason::Asked };
    let wire::AskedBackup { place, hold } = wish.parse()?;
    let backup = engine.take_backup(of, place, reason, hold).await?;
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
    let backup = engine.backup(number(&id)?).await?;
    let target = wish.parse(&backup.subject)?;
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
    let of = database(&engine, &id).await?;
    imported(&by, &engine, &of, body).await
}

pub(super) async fn import_volume(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
    body: Body,
) -> Result<impl IntoResponse, ApiError> {
    let of = engine.volume_source(&name).await?;
    imported(&by, &engine, &of, body).await
}

async fn imported(
    by: &Authorized<Manage>,
    engine: &Engine,
    of: &BackupSource,
    body: Body,
) -> Result<(StatusCode, Json<wire::Backup>), ApiError> {
    let body = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let backup = engine.import_backup(of, body).await?;
    by.record(Deed::new("backup.imported", named(&backup.name, backup.id)).of(backup.team)).await;
    Ok((StatusCode::CREATED, Json(wire::Backup::from(&ShownBackup { backup, restores: Vec::new() }))))
}

pub(super) async fn schedule(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::BackupSchedule>, ApiError> {
    scheduled(&engine, &database(&engine, &id).await?).await
}

pub(super) async fn schedule_of_volume(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Json<wire::BackupSchedule>, ApiError> {
    scheduled(&engine, &engine.volume_source(&name).await?).await
}

async fn scheduled(engine: &Engine, of: &BackupSource) -> Result<Json<wire::BackupSchedule>, ApiError> {
    let schedule = engine.schedule_of(of).await?;
    let schedule = schedule.ok_or_else(|| ApiError::not_found("schedule of backups", &of.name()))?;
    Ok(Json(wire::BackupSchedule::from(&schedule)))
}

pub(super) async fn set_schedule(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(wish): Input<wire::BackupSchedule>,
) -> Result<Json<wire::BackupSchedule>, ApiError> {
    let of = database(&engine, &id).await?;
    put_schedule(&by, &engine, &of, wish).await
}

pub(super) async fn set_schedule_of_volume(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Input(wish): Input<wire::BackupSchedule>,
) -> Result<Json<wire::BackupSchedule>, ApiError> {
    let of = engine.volume_source(&name).await?;
    put_schedule(&by, &engine, &of, wish).await
}

async fn put_schedule(
    by: &Authorized<Manage>,
    engine: &Engine,
    of: &BackupSource,
    wish: wire::BackupSchedule,
) -> Result<Json<wire::BackupSchedule>, ApiError> {
    let schedule = wish.parse()?;
    engine.set_schedule(of, Some(schedule.clone())).await?;
    let shown = wire::BackupSchedule::from(&schedule);
    let deed = Deed::new("backup.scheduled", of.words());
    by.record(deed.of(of.team()).after(wire::value(&shown))).await;
    Ok(Json(shown))
}

pub(super) async fn remove_schedule(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let of = database(&engine, &id).await?;
    unschedule(&by, &engine, &of).await
}

pub(super) async fn remove_schedule_of_volume(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let of = engine.volume_source(&name).await?;
    unschedule(&by, &engine, &of).await
}

async fn unschedule(
    by: &Authorized<Manage>,
    engine: &Engine,
    of: &BackupSource,
) -> Result<StatusCode, ApiError> {
    engine.set_schedule(of, None).await?;
    by.record(Deed::new("backup.unscheduled", of.words()).of(of.team())).await;
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

async fn database(engine: &Engine, id: &str) -> Result<BackupSource, ApiError> {
    Ok(BackupSource::Database(Box::new(find(engine.reader(), id).await?)))
}

fn number(id: &str) -> Result<BackupId, ApiError> {
    id.parse().map(BackupId).map_err(|_| ApiError::not_found("backup", id))
}

/// A backup, in the words of the audit.
fn named(of: &str, id: BackupId) -> String {
    format!("backup {} of {of}", id.0)
}
