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
use crate::domain::backup::{Backup, BackupId, Reason, Schedule};
use crate::domain::name::Slug;
use crate::engine::{BackupSource, Engine, EngineError, ShownBackup};

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
    by.record(taking(&backup)).await;
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
    by.record(deed("backup.deleted", &backup)).await;
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
    by.record(restoring(&backup, &restore)).await;
    Ok((StatusCode::ACCEPTED, Json(restore)))
}

pub(super) async fn download(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Params(Handout { plain }): Params<Handout>,
) -> Result<impl IntoResponse, ApiError> {
    let (deed, file) = handout(&engine, number(&id)?, plain).await?;
    by.record(deed).await;
    Ok(file)
}

/// The file of a backup as an answer, and that it was handed out.
pub async fn handout(
    engine: &Engine,
    id: BackupId,
    plain: bool,
) -> Result<(Deed, impl IntoResponse + use<>), EngineError> {
    let (backup, file) = engine.download_backup(id, plain).await?;
    let path = backup.file();
    let name = path.rsplit('/').next().unwrap_or(&path);
    let name = if plain { name.trim_end_matches(".zst.age") } else { name };
    let fields = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    let deed = deed("backup.downloaded", &backup).after(json!({ "plain": plain }));
    Ok((deed, (fields, Body::from_stream(ReaderStream::new(file)))))
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
    by.record(deed("backup.imported", &backup)).await;
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
    by.record(scheduling(of, Some(&schedule))).await;
    Ok(Json(wire::BackupSchedule::from(&schedule)))
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
    by.record(scheduling(of, None)).await;
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
    by.record(of_destination("backup_destination.put", &name)).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove_destination(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = Slug::parse(&name).map_err(|_| ApiError::not_found("destination", &name))?;
    engine.remove_destination(&name).await?;
    by.record(of_destination("backup_destination.removed", &name)).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn key(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
) -> Result<Json<wire::BackupKey>, ApiError> {
    let (deed, key) = revealed_key(&engine).await?;
    by.record(deed).await;
    Ok(Json(key))
}

/// The key that opens backups, and that it was shown.
pub async fn revealed_key(engine: &Engine) -> Result<(Deed, wire::BackupKey), EngineError> {
    let (recipient, key) = engine.backup_key().await?;
    let deed = Deed::new("backup_key.revealed", format!("key {recipient}"));
    let key = String::from_utf8_lossy(key.reveal()).into_owned();
    Ok((deed, wire::BackupKey { recipient: recipient.to_string(), key }))
}

async fn database(engine: &Engine, id: &str) -> Result<BackupSource, ApiError> {
    Ok(BackupSource::Database(Box::new(find(engine.reader(), id).await?)))
}

fn number(id: &str) -> Result<BackupId, ApiError> {
    id.parse().map(BackupId).map_err(|_| ApiError::not_found("backup", id))
}

/// What was done with a backup, in the words of the audit.
#[must_use]
pub fn deed(action: &'static str, backup: &Backup) -> Deed {
    Deed::new(action, format!("backup {} of {}", backup.id.0, backup.name)).of(backup.team)
}

/// That a backup was taken.
#[must_use]
pub fn taking(backup: &Backup) -> Deed {
    let after = json!({ "place": backup.place.to_string(), "reason": backup.reason.word() });
    deed("backup.taken", backup).after(after)
}

/// That one is restored.
#[must_use]
pub fn restoring(backup: &Backup, restore: &wire::Restore) -> Deed {
    deed("backup.restored", backup).after(json!({ "target": restore.target, "name": restore.name }))
}

/// That something is backed up by itself from now on, or no more.
#[must_use]
pub fn scheduling(of: &BackupSource, schedule: Option<&Schedule>) -> Deed {
    let action = if schedule.is_some() { "backup.scheduled" } else { "backup.unscheduled" };
    let deed = Deed::new(action, of.words()).of(of.team());
    match schedule {
        Some(schedule) => deed.after(wire::value(&wire::BackupSchedule::from(schedule))),
        None => deed,
    }
}

/// What was done with a storage for backups.
#[must_use]
pub fn of_destination(action: &'static str, name: &Slug) -> Deed {
    Deed::new(action, format!("destination {name}"))
}
