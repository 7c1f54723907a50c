//! The instance as a whole over the API: written out as plain Quadlets.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header;
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::error::ApiError;
use super::input::Params;
use super::wire;
use crate::auth::audit::Deed;
use crate::auth::gate::{Administer, Authorized};
use crate::domain::deployment::ImageId;
use crate::engine::{self, Engine, ExportWish};

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
