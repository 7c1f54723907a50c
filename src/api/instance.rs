//! The instance as a whole over the API: written out as plain Quadlets, backed up, and restored.

use std::io;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::TryStreamExt as _;
use http::header;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio_util::io::{ReaderStream, StreamReader};
use zeroize::Zeroizing;

use super::error::ApiError;
use super::input::Params;
use super::wire::{self, FieldErrors};
use crate::auth::audit::Deed;
use crate::auth::gate::{Administer, Authorized};
use crate::domain::deployment::ImageId;
use crate::engine::{self, Engine, ExportWish, RestoreReport, RestoreWish};

/// The longest line with a key, in bytes.
const KEY_MAX: u64 = 200;

/// What an export is to hold besides units.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    #[serde(default)]
    secrets: bool,
    #[serde(default)]
    volumes: bool,
    #[serde(default)]
    all_images: bool,
}

pub(super) async fn export(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Params(Wish { secrets, volumes, all_images }): Params<Wish>,
) -> Result<Json<wire::Export>, ApiError> {
    let export = engine.export(ExportWish { secrets, volumes, all_images }).await?;
    let deed = Deed::new("instance.exported", "the instance".to_owned());
    by.record(deed.after(json!({ "secrets": secrets, "volumes": volumes }))).await;
    Ok(Json(shown(export)))
}

pub(super) async fn export_image(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let id = ImageId::parse(&id).map_err(|_| ApiError::not_found("image", &id))?;
    let archive = engine.export_image(&id).await?;
    by.record(Deed::new("image.exported", format!("image {}", id.as_str()))).await;
    Ok(streamed(archive))
}

pub(super) async fn export_volume(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let archive = engine.export_volume(&name).await?;
    by.record(Deed::new("volume.exported", format!("volume {name}"))).await;
    Ok(streamed(archive))
}

/// For whom the instance is written out, and how much of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackupWish {
    #[serde(default)]
    volumes: bool,
    recipient: Option<String>,
}

pub(super) async fn backup(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Params(BackupWish { volumes, recipient }): Params<BackupWish>,
) -> Result<impl IntoResponse, ApiError> {
    let recipient = match recipient {
        Some(text) => Some(engine::BackupRecipient::parse(&text).ok_or_else(|| {
            FieldErrors::one("recipient", "write a recipient of age: age1 and 58 letters and digits")
        })?),
        None => None,
    };
    let archive = engine.back_up_instance(recipient, volumes).await?;
    let deed = Deed::new("instance.backed_up", "the instance".to_owned());
    let to = recipient.map_or_else(|| "its own key".to_owned(), |recipient| recipient.to_string());
    by.record(deed.after(json!({ "volumes": volumes, "recipient": to }))).await;
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, Body::from_stream(ReaderStream::new(archive))))
}

/// How a restore is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HowToRestore {
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    replace: bool,
}

pub(super) async fn restore(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Params(HowToRestore { dry_run, replace }): Params<HowToRestore>,
    body: Body,
) -> Result<Json<wire::RestoredInstance>, ApiError> {
    let body = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let mut body = BufReader::new(body);
    let mut line = Zeroizing::new(String::new());
    let read = (&mut body).take(KEY_MAX).read_line(&mut line).await;
    let key = read.ok().and_then(|_| engine::BackupIdentity::parse(&line));
    let Some(key) = key else {
        // Who is hung up on while it sends never sees the answer.
        tokio::io::copy(&mut body, &mut tokio::io::sink()).await.map_err(ApiError::internal)?;
        let message = "the body begins with a line AGE-SECRET-KEY-1…, and the archive follows";
        return Err(FieldErrors::one("identity", message).into());
    };
    let report = engine.restore_instance(key, body, RestoreWish { dry_run, replace }).await?;
    let deed = Deed::new("instance.restored", "the instance".to_owned());
    by.record(deed.after(json!({ "dry_run": dry_run, "replace": replace }))).await;
    let RestoreReport { rivetr, created, apps, databases, services, images, volumes, empty } = report;
    let created = wire::time(created);
    Ok(Json(wire::RestoredInstance { rivetr, created, apps, databases, services, images, volumes, empty }))
}

fn streamed(archive: impl AsyncRead + Send + 'static) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/x-tar")], Body::from_stream(ReaderStream::new(archive)))
}

fn shown(export: engine::Export) -> wire::Export {
    let engine::Export { files, images, volumes, secrets, notes } = export;
    let image = |image: engine::ExportedImage| wire::ExportImage {
        id: image.id.digits().to_owned(),
        file: image.file,
        size: image.size,
    };
    let volume = |volume: engine::ExportedVolume| wire::ExportVolume { name: volume.name, file: volume.file };
    let secret = |secret: engine::ExportedSecret| wire::ExportSecret {
        name: secret.name,
        value: secret.value.map(|value| STANDARD.encode(value.reveal())),
    };
    wire::Export {
        files,
        images: images.into_iter().map(image).collect(),
        volumes: volumes.into_iter().map(volume).collect(),
        secrets: secrets.into_iter().map(secret).collect(),
        notes,
    }
}
