//! What stands around every page: the person, the navigation, the theme. And who may see a page at all.

use std::convert::Infallible;

use axum::extract::{FromRef, FromRequestParts};
use http::HeaderMap;
use http::request::Parts;

use super::{around, assets, cookie};
use crate::auth::audit::{Actor, Deed};
use crate::auth::gate::{Access, Authorized, Gate, Oneself, Rule};
use crate::auth::{Auth, Caller, Person, Refusal, Visitor};
use crate::domain::person::TeamId;
use crate::domain::right::Right;

/// A person who may do what `R` names.
#[derive(Debug)]
pub(super) struct Visit<R: Rule> {
    /// Who it is.
    pub person: Person,
    /// The team of what the page is about, where that is an object of a team.
    pub team: Option<TeamId>,
    by: Authorized<R>,
}

impl<R: Rule> Visit<R> {
    /// Who acts, for what is written down where it is done.
    pub fn actor(&self) -> Actor<'_> {
        self.by.actor()
    }

    /// Writes down what was done.
    pub async fn record(&self, deed: Deed) {
        self.by.record(deed).await;
    }
}

impl<R: Rule> Gate for Visit<R> {
    const ACCESS: Access = Access::Needs(R::RIGHT);
}

impl<R: Rule, S: Send + Sync> FromRequestParts<S> for Visit<R>
where
    Auth: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let by = Authorized::<R>::from_request_parts(parts, state).await?;
        match &by.caller {
            Caller::Person(person) => Ok(Self { person: person.clone(), team: by.team, by }),
            Caller::Local { .. } | Caller::Token { .. } => Err(Refusal::SignedOut),
        }
    }
}

/// A person, whatever they may do: for what is their own.
#[derive(Debug)]
pub(super) struct SignedIn {
    /// Who it is.
    pub person: Person,
    by: Oneself,
}

impl SignedIn {
    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.by.caller
    }

    /// Writes down what was done.
    pub async fn record(&self, deed: Deed) {
        self.by.record(deed).await;
    }
}

impl Gate for SignedIn {
    const ACCESS: Access = Access::Oneself;
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn
where
    Auth: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let by = Oneself::from_request_parts(parts, state).await?;
        match &by.caller {
            Caller::Person(person) => Ok(Self { person: person.clone(), by }),
            Caller::Local { .. } | Caller::Token { .. } => Err(Refusal::SignedOut),
        }
    }
}

/// What every page needs besides its own content.
#[derive(Debug, Clone, Default)]
pub(super) struct Shell {
    /// Who is signed in.
    pub person: Option<Person>,
    /// The page's path, for the mark in the navigation.
    pub path: String,
    /// `light`, `dark`, or empty for what the system says.
    pub theme: &'static str,
    /// What the forms of the session show; empty without one.
    word: String,
}

impl Shell {
    /// The shell of somebody who may do everything.
    #[cfg(test)]
    pub fn for_test(login: &str) -> Self {
        let person = Person {
            id: crate::domain::person::UserId(1),
            login: login.to_owned(),
            csrf: "word".to_owned(),
            reach: crate::domain::right::Reach::ALL,
            proved: crate::domain::time::Timestamp(0),
        };
        Self { person: Some(person), ..Self::default() }
    }

    /// The shell of a request.
    pub fn of(path: &str, headers: &HeaderMap, visitor: Option<&Visitor>) -> Self {
        let theme = match cookie::value(headers, cookie::THEME) {
            Some("light") => "light",
            Some("dark") => "dark",
            Some(_) | None => "",
        };
        let person = visitor.and_then(|visitor| match visitor {
            Visitor::Person(person) => Some(person.clone()),
            Visitor::SecondFactor(_) => None,
        });
        let word = visitor.map_or("", around::word_of).to_owned();
        Self { person, path: path.to_owned(), theme, word }
    }

    /// The path of an asset, for templates.
    #[expect(clippy::unused_self, reason = "templates reach it through the shell")]
    pub fn asset(&self, name: &str) -> &'static str {
        assets::path(name)
    }

    /// What each form shows; empty where there is no session.
    pub fn csrf(&self) -> &str {
        &self.word
    }

    /// Whether the navigation's entry that leads to `path` is where the person is.
    pub fn is_at(&self, path: &str) -> bool {
        let below = self.path.strip_prefix(path);
        below.is_some_and(|rest| rest.is_empty() || path != "/" && rest.starts_with('/'))
    }

    /// Whether the person may do this in one of their teams, or on the instance: a link that leads to a refusal is not
    /// shown.
    pub fn may(&self, right: Right) -> bool {
        self.person.as_ref().is_some_and(|person| person.reach.allows(right))
    }

    /// Whether a team is closed to the person until they have a second factor; the page that leads out of it says so by
    /// itself.
    pub fn is_closed(&self) -> bool {
        self.path != "/me" && self.person.as_ref().is_some_and(|person| !person.reach.closed.is_nothing())
    }

    /// For templates, which name no rights: whether the person may create and change apps.
    pub fn may_manage(&self) -> bool {
        self.may(Right::Manage)
    }

    /// Likewise: change the instance.
    pub fn may_administer(&self) -> bool {
        self.may(Right::Administer)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Shell {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// Whether htmx asks, and so wants a part of the page and not all of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hx {
    /// Only the fragment that the request names.
    pub fragment: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Hx {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let is = |name: &str| parts.headers.get(name).is_some_and(|value| value == "true");
        // Going back asks for a whole page where htmx has forgotten it.
        Ok(Self { fragment: is("hx-request") && !is("hx-history-restore-request") })
    }
}
