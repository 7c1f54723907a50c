//! What is done is written down in one place: a line in the log, and a row that stays.

use std::fmt::Display;
use std::sync::atomic::Ordering;

use http::request::Parts;
use serde_json::Value;

use super::session::Origin;
use super::{Auth, Caller, Person};
use crate::domain::person::{TeamId, UserId};
use crate::domain::right::Right;
use crate::domain::time::Timestamp;
use crate::store::{AuditFilter, AuditRow, Chain, Entry, StoreError};

/// How long the audit is kept unless somebody says otherwise, in days.
const A_DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// The number of a request, which the layer around it gives.
#[derive(Debug, Clone)]
pub struct RequestNumber(pub String);

/// Something that was done.
#[derive(Debug, Clone)]
pub struct Deed {
    action: &'static str,
    object: String,
    team: Option<TeamId>,
    before: Option<Value>,
    after: Option<Value>,
}

impl Deed {
    /// What was done, such as `app.deleted`, to what. No secret may stand in it.
    #[must_use]
    pub fn new(action: &'static str, object: impl Display) -> Self {
        Self { action, object: object.to_string(), team: None, before: None, after: None }
    }

    /// The team that it is about, where the route does not say.
    #[must_use]
    pub fn of(mut self, team: TeamId) -> Self {
        self.team = Some(team);
        self
    }

    /// The team that it is about, unless it says another.
    #[must_use]
    pub(super) fn or_of(mut self, team: TeamId) -> Self {
        self.team = self.team.or(Some(team));
        self
    }

    /// What it was before, without secrets.
    #[must_use]
    pub fn before(mut self, value: impl Into<Value>) -> Self {
        self.before = Some(value.into());
        self
    }

    /// What it is now, without secrets.
    #[must_use]
    pub fn after(mut self, value: impl Into<Value>) -> Self {
        self.after = Some(value.into());
        self
    }
}

/// Who acts, and what is written down of them.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// Who it is.
    pub caller: &'a Caller,
    /// What is written down of them.
    pub doer: &'a Doer,
}

/// By whom, and from where.
#[derive(Debug, Clone)]
pub struct Doer {
    actor: String,
    user: Option<UserId>,
    address: Option<String>,
    request: Option<String>,
}

impl Doer {
    /// The caller of a request.
    #[must_use]
    pub fn of(caller: &Caller, parts: &Parts) -> Self {
        let request = parts.extensions.get::<RequestNumber>().map(|number| number.0.clone());
        let address = Origin::of(parts).address.map(|address| address.to_string());
        Self { actor: caller.to_string(), user: caller.user(), address, request }
    }

    /// A person in their own session.
    pub(super) fn of_person(person: &Person, address: Option<String>) -> Self {
        Self { actor: person.login.clone(), user: Some(person.id), address, request: None }
    }

    /// Somebody on the way in: what they call themselves, and who they are if that is known.
    #[must_use]
    pub fn at_the_door(login: &str, user: Option<UserId>, from: &Origin) -> Self {
        let address = from.address.map(|address| address.to_string());
        Self { actor: login.escape_debug().to_string(), user, address, request: None }
    }
}

impl Auth {
    /// Writes down what was done. It is done by then: where it cannot be stored, the log says so.
    pub async fn record(&self, by: &Doer, deed: Deed) {
        let Deed { action, object, team, before, after } = deed;
        let Doer { actor, user, address, request } = by.clone();
        tracing::info!(
            target: "rivetr::audit",
            action,
            object,
            by = actor,
            address = address.as_deref(),
            request = request.as_deref(),
            "{action}: {object}"
        );
        let entry = Entry {
            at: self.now(),
            actor,
            user,
            team,
            address,
            request,
            action: action.to_owned(),
            object,
            before: before.map(|value| value.to_string()),
            after: after.map(|value| value.to_string()),
        };
        self.sweep_audit().await;
        if let Err(error) = self.0.writer.append_audit(entry).await {
            tracing::error!(target: "rivetr::audit", action, %error, "this could not be written into the audit");
        }
    }

    /// Sweeps away what is older than it is kept, once a day.
    async fn sweep_audit(&self) {
        let (now, due) = (self.now(), &self.0.swept);
        let last = due.load(Ordering::Relaxed);
        if now.0.saturating_sub(last) < A_DAY_MILLIS
            || due.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let days = i64::from(self.0.times.audit_days);
        let until = Timestamp(now.0.saturating_sub(days.saturating_mul(A_DAY_MILLIS)));
        match self.0.writer.sweep_audit(until).await {
            Ok(0) => (),
            Ok(rows) => tracing::info!(rows, days, "old entries of the audit were swept away"),
            Err(error) => tracing::warn!(%error, "old entries of the audit could not be swept away"),
        }
    }

    /// What was done, the last first, as far as a caller may see it: what is about the teams that they lead, and what
    /// they did themselves.
    pub async fn audit(
        &self,
        caller: &Caller,
        mut filter: AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        if let Some(seen) = caller.teams() {
            let asked = filter.teams.take();
            let leads = |team: &TeamId| caller.may_in(Right::Lead, *team);
            let may = |team: &TeamId| leads(team) && asked.as_ref().is_none_or(|asked| asked.contains(team));
            filter.teams = Some(seen.filter(may).collect());
            filter.without.extend(caller.closed().teams.iter().copied());
            filter.or_by = if asked.is_none() { caller.user() } else { None };
        }
        self.0.reader.audit(filter, before, limit).await
    }

    /// Whether the audit is as it was written.
    pub async fn verify_audit(&self) -> Result<Chain, StoreError> {
        self.0.reader.verify_audit().await
    }
}
