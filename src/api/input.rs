//! What a request carries, read so that a mistake is answered with the field it is in.

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::wire::FieldErrors;

/// The longest JSON body, in bytes: all variables of an app (`wire::ENV_MAX`), escaped.
const BODY_MAX: usize = 4 * 1024 * 1024;
/// How much of a body that is too long is read before the connection is broken off, in bytes.
const DISCARDED_MAX: usize = 64 * 1024 * 1024;
/// How long a client may take to send a body.
const BODY_TIME: Duration = Duration::from_secs(30);

/// A JSON body; an empty one counts as `{}`.
#[derive(Debug)]
pub struct Input<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let is_json = request.headers().get(CONTENT_TYPE).map(|kind| {
            let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
            kind.trim().eq_ignore_ascii_case("application/json")
        });
        let body = whole(request.into_body(), BODY_MAX, |_| Ok(())).await?;
        match (body.is_empty(), is_json) {
            (true, _) => parse(b"{}").map(Self),
            (false, Some(true)) => parse(&body).map(Self),
            (false, Some(false) | None) => {
                let message = "send JSON, with Content-Type: application/json";
                Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message))
            }
        }
    }
}

/// A body of at most `most` bytes. `room` is asked before it grows to a length.
pub(super) async fn whole(
    body: Body,
    most: usize,
    room: impl FnMut(usize) -> Result<(), ApiError>,
) -> Result<Vec<u8>, ApiError> {
    tokio::time::timeout(BODY_TIME, read(body, most, room)).await.map_err(|_| {
        let message = "the body did not arrive within 30 seconds";
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", message)
    })?
}

/// Reads on past the limit for a while: who still sends when it is hung up on never sees the answer.
async fn read(
    mut body: Body,
    most: usize,
    mut room: impl FnMut(usize) -> Result<(), ApiError>,
) -> Result<Vec<u8>, ApiError> {
    let (mut kept, mut length) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let message = format!("the body could not be read: {error}");
            ApiError::new(StatusCode::BAD_REQUEST, "bad_request", message)
        })?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > DISCARDED_MAX {
            break;
        }
        if length <= most {
            room(length)?;
            kept.extend_from_slice(&data);
        }
    }
    if length > most {
        let message = format!("the body is too large: at most {} MiB are taken", most / (1024 * 1024));
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message));
    }
    Ok(kept)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut deserializer);
    let parsed = parsed.map_err(|error| (error.path().to_string(), error.into_inner()));
    let parsed =
        parsed.and_then(|value| deserializer.end().map(|()| value).map_err(|error| (String::new(), error)));
    parsed.map_err(|(path, error)| {
        let message = error.to_string();
        if !error.is_data() {
            return ApiError::new(
                StatusCode::BAD_REQUEST,
                "bad_json",
                format!("the body is not JSON: {message}"),
            );
        }
        // For a missing or unknown field the path is its owner's; the name stands in the message.
        let named = message.split('`').nth(1).filter(|_| message.contains(" field `"));
        let field = match (path.trim_matches('.'), named) {
            ("", Some(name)) => name.to_owned(),
            ("", None) => "body".to_owned(),
            (path, Some(name)) if !path.ends_with(name) => format!("{path}.{name}"),
            (path, _) => path.to_owned(),
        };
        FieldErrors::one(&field.chars().take(80).collect::<String>(), message).into()
    })
}

/// What stands after the question mark.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(params) =
            Query::<T>::from_request_parts(parts, state).await.map_err(|rejection: QueryRejection| {
                ApiError::new(StatusCode::BAD_REQUEST, "bad_query", rejection.body_text())
            })?;
        Ok(Self(params))
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::CreateApp;
    use super::*;

    fn check(body: &str, expect: &str) {
        let error = parse::<CreateApp>(body.as_bytes()).unwrap_err();
        let text = format!("{} {error:?}", error.status().as_u16());
        assert!(expect.split('…').all(|part| text.contains(part)), "{body} gave {text}");
    }

    #[test]
    fn a_mistake_is_answered_with_its_field() {
        check("{", "400…bad_json");
        check(r#"{"name":"blog"} x"#, "400…bad_json");
        check("{}", "422…\"name\": \"missing field");
        check("[]", "422…\"body\": \"invalid");
        check(r#"{"name":"blog","port":"x"}"#, "422…\"port\": \"invalid type");
        check(r#"{"name":"blog","port":70000}"#, "422…\"port\": \"invalid value");
        check(r#"{"name":"blog","hosts":["a",1]}"#, "422…\"hosts[1]\": \"invalid type");
        check(r#"{"name":"blog","env":{"A":1}}"#, "422…\"env.A\": \"invalid type");
        check(r#"{"name":"blog","role":"admin"}"#, "422…\"role\": \"unknown field");
    }
}
