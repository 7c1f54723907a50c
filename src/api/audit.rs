//! The audit over the API: a page of it, all of it as JSON lines, and whether it is as it was written.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Json};
use futures_util::{Stream, stream};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;

use super::app::Page;
use super::error::ApiError;
use super::input::Params;
use super::wire::{self, FieldErrors};
use crate::auth::gate::{Administer, Authorized, Read};
use crate::auth::{Auth, Caller};
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::time::Timestamp;
use crate::store::{AuditFilter, AuditRow, Chain, Reader, StoreError};

/// Entries that an export reads at a time.
const AT_ONCE: u32 = 500;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    team: Option<String>,
    user: Option<String>,
    action: Option<String>,
    object: Option<String>,
    since: Option<String>,
    until: Option<String>,
    limit: Option<u32>,
    before: Option<i64>,
}

pub(super) async fn list(
    by: Authorized<Read>,
    State(auth): State<Auth>,
    State(reader): State<Reader>,
    Params(question): Params<Question>,
) -> Result<Json<wire::List<wire::Deed>>, ApiError> {
    let filter = filter(&by.caller, &auth, &reader, &question).await?;
    let (before, limit) = Page::new(question.limit, question.before).bounds();
    let found = auth.audit(&by.caller, filter, before, limit + 1).await?;
    let (rows, next) = Page::cut(found, limit, |row| row.id);
    let names = names(&reader).await?;
    Ok(Json(wire::List { items: rows.iter().map(|row| shown(row, &names)).collect(), next }))
}

/// One JSON object a line, the last deed first.
pub(super) async fn export(
    by: Authorized<Read>,
    State(auth): State<Auth>,
    State(reader): State<Reader>,
    Params(question): Params<Question>,
) -> Result<Response, ApiError> {
    let filter = filter(&by.caller, &auth, &reader, &question).await?;
    let pages = lines(auth, reader, by.caller.clone(), filter, question.before).await?;
    let fields = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CONTENT_DISPOSITION, "attachment; filename=\"rivetr-audit.jsonl\""),
    ];
    Ok((fields, Body::from_stream(pages)).into_response())
}

/// What fits, as one JSON object a line, the last deed first.
pub async fn lines(
    auth: Auth,
    reader: Reader,
    caller: Caller,
    filter: AuditFilter,
    before: Option<i64>,
) -> Result<impl Stream<Item = Result<String, BoxError>> + Send + 'static, StoreError> {
    let names = names(&reader).await?;
    Ok(stream::try_unfold(Some(before), move |before| {
        let (auth, caller, filter, names) = (auth.clone(), caller.clone(), filter.clone(), names.clone());
        async move {
            let Some(before) = before else { return Ok(None) };
            let rows = auth.audit(&caller, filter, before, AT_ONCE).await?;
            let Some(last) = rows.last().map(|row| row.id) else { return Ok(None) };
            let mut text = String::new();
            for row in &rows {
                text.push_str(&serde_json::to_string(&shown(row, &names))?);
                text.push('\n');
            }
            Ok(Some((text, Some(Some(last)))))
        }
    }))
}

pub(super) async fn verify(
    _: Authorized<Administer>,
    State(auth): State<Auth>,
) -> Result<Json<wire::Verified>, ApiError> {
    Ok(Json(match auth.verify_audit().await? {
        Chain::Whole { rows, last } => {
            wire::Verified { whole: true, entries: Some(rows), last: Some(hex(&last)), broken_at: None }
        }
        Chain::BrokenAt(id) => {
            wire::Verified { whole: false, entries: None, last: None, broken_at: Some(id) }
        }
    }))
}

async fn filter(
    caller: &Caller,
    auth: &Auth,
    reader: &Reader,
    question: &Question,
) -> Result<AuditFilter, ApiError> {
    let Question { team, user, action, object, since, until, limit: _, before: _ } = question;
    let team = match team {
        None => None,
        Some(name) => {
            let found = match Slug::parse(name) {
                Ok(slug) => reader.team(&slug).await?,
                Err(_) => None,
            };
            let seen = found.filter(|team| caller.sees(team.id));
            Some(seen.ok_or_else(|| ApiError::not_found("team", name))?.id)
        }
    };
    let user = match user {
        None => None,
        // Who is not there has done nothing; nobody learns here who is.
        Some(login) => {
            let found = auth.user(login).await?.map(|account| account.user.id);
            Some(found.unwrap_or(crate::domain::person::UserId(0)))
        }
    };
    Ok(AuditFilter {
        teams: team.map(|team| vec![team]),
        or_by: None,
        without: Vec::new(),
        user,
        action: action.clone(),
        object: object.clone(),
        since: moment("since", since.as_deref())?,
        until: moment("until", until.as_deref())?,
    })
}

fn moment(field: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let parsed = text.parse::<jiff::Timestamp>().map(|at| Timestamp(at.as_millisecond()));
    let wrong = |_| FieldErrors::one(field, "write a moment as 2026-11-29T17:00:00Z".to_owned());
    Ok(Some(parsed.map_err(wrong)?))
}

async fn names(reader: &Reader) -> Result<BTreeMap<TeamId, String>, StoreError> {
    Ok(reader.teams().await?.into_iter().map(|team| (team.id, team.slug.to_string())).collect())
}

fn shown(AuditRow { id, entry, hash }: &AuditRow, names: &BTreeMap<TeamId, String>) -> wire::Deed {
    let value = |json: &Option<String>| json.as_deref().and_then(|json| serde_json::from_str(json).ok());
    wire::Deed {
        id: *id,
        at: wire::time(entry.at),
        by: entry.actor.clone(),
        // Of a team that is gone only the number is left.
        team: entry.team.map(|team| names.get(&team).cloned().unwrap_or_else(|| team.0.to_string())),
        address: entry.address.clone(),
        request: entry.request.clone(),
        action: entry.action.clone(),
        object: entry.object.clone(),
        before: value(&entry.before),
        after: value(&entry.after),
        hash: hex(hash),
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).concat()
}
