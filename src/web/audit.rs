//! What was done, by whom: looked through, and taken along.

use askama::Template;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;

use super::error::PageError;
use super::shell::{Shell, SignedIn};
use super::{Route, Web, view};
use crate::api::{audit_lines, wire};
use crate::auth::Auth;
use crate::store::{AuditFilter, AuditRow, Reader};

/// Entries on a page.
const PAGE: u32 = 50;

#[derive(Template)]
#[template(path = "people/audit.html")]
struct Page {
    shell: Shell,
    filter: Filter,
    /// The filter as it stands in an address.
    query: String,
    entries: Vec<Entry>,
    next: Option<i64>,
}

struct Entry {
    at: String,
    actor: String,
    action: String,
    object: String,
    change: String,
    address: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::get("/audit", show), Route::get("/audit/export", export)]
}

/// What is looked for; empty: anything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    #[serde(default)]
    by: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    object: String,
    before: Option<i64>,
}

impl Filter {
    /// As the audit takes it; none: nobody has that name, so there is nothing.
    async fn resolve(&self, auth: &Auth) -> Result<Option<AuditFilter>, PageError> {
        let given = |text: &String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let user = match given(&self.by) {
            None => None,
            Some(login) => match auth.user(&login).await? {
                Some(account) => Some(account.user.id),
                None => return Ok(None),
            },
        };
        let filter = AuditFilter {
            user,
            action: given(&self.action),
            object: given(&self.object),
            ..Default::default()
        };
        Ok(Some(filter))
    }

    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("by", &self.by), ("action", &self.action), ("object", &self.object)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

async fn show(
    by: SignedIn,
    shell: Shell,
    State(auth): State<Auth>,
    Query(filter): Query<Filter>,
) -> Result<Response, PageError> {
    let rows = match filter.resolve(&auth).await? {
        Some(asked) => auth.audit(by.caller(), asked, filter.before, PAGE + 1).await?,
        None => Vec::new(),
    };
    let whole = rows.len() <= PAGE as usize;
    let rows = rows.into_iter().take(PAGE as usize);
    let rows: Vec<AuditRow> = rows.collect();
    let next = rows.last().map(|row| row.id).filter(|_| !whole);
    let query = filter.query();
    view::show(&Page { shell, filter, query, entries: rows.into_iter().map(entry).collect(), next })
}

fn entry(row: AuditRow) -> Entry {
    let entry = row.entry;
    let parts = [("before", entry.before), ("now", entry.after)];
    let parts = parts.into_iter().filter_map(|(word, value)| Some(format!("{word}: {}", value?)));
    Entry {
        at: wire::time(entry.at),
        actor: entry.actor,
        action: entry.action,
        object: entry.object,
        change: parts.collect::<Vec<_>>().join("\n"),
        address: entry.address.unwrap_or_default(),
    }
}

async fn export(
    by: SignedIn,
    State(auth): State<Auth>,
    State(reader): State<Reader>,
    Query(filter): Query<Filter>,
) -> Result<Response, PageError> {
    let body = match filter.resolve(&auth).await? {
        Some(asked) => Body::from_stream(audit_lines(auth, reader, by.caller().clone(), asked, None).await?),
        None => Body::empty(),
    };
    let fields = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CONTENT_DISPOSITION, "attachment; filename=\"rivetr-audit.jsonl\""),
    ];
    Ok((fields, body).into_response())
}
