//! Who may come in: the first argument of every handler names it, and a handler without it is no route.
//!
//! `Authorized<Deploy>` lets callers in that may deploy; `Open` lets everybody in. The table of routes reads the
//! rule from the handler's type, so that the two cannot differ. What a route is about is read from its pattern: an
//! object of another team is answered as one that does not exist.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;

use axum::extract::{FromRef, FromRequestParts, MatchedPath, RawPathParams};
use http::request::Parts;

use super::audit::{Actor, Deed, Doer};
use super::subject::{self, Subject};
use super::{Auth, Caller, Refusal};
use crate::domain::person::TeamId;
use crate::domain::right::Right;

/// Who may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Everybody.
    Open,
    /// Callers that have this right.
    Needs(Right),
    /// Everybody who is known, about themselves; with a token only if that carries everything.
    Oneself,
}

/// A right as a type, for [`Authorized`].
pub trait Rule: Send + Sync + 'static {
    /// The right.
    const RIGHT: Right;
}

macro_rules! rules {
    ($($(#[$doc:meta])+ $name:ident),+) => {$(
        $(#[$doc])+
        #[derive(Debug)]
        pub struct $name;
        impl Rule for $name {
            const RIGHT: Right = Right::$name;
        }
    )+};
}

rules! {
    /// Lets in who may see.
    Read,
    /// Lets in who may deploy.
    Deploy,
    /// Lets in who may create, change and delete apps.
    Manage,
    /// Lets in who may decide about people and projects.
    Lead,
    /// Lets in who may decide about a team itself.
    Own,
    /// Lets in who may change the instance.
    Administer
}

/// A caller that has the right `R`.
#[derive(Debug)]
pub struct Authorized<R: Rule> {
    /// Who it is.
    pub caller: Caller,
    /// The team of what the route is about, where that is an object of a team.
    pub team: Option<TeamId>,
    log: Log,
    rule: PhantomData<R>,
}

/// Where what a caller does is written down.
struct Log {
    auth: Auth,
    doer: Doer,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.doer.fmt(f)
    }
}

impl<R: Rule> Authorized<R> {
    /// Writes down what was done, about the team of the route unless the deed says another.
    pub async fn record(&self, deed: Deed) {
        let deed = if let Some(team) = self.team { deed.or_of(team) } else { deed };
        self.log.auth.record(&self.log.doer, deed).await;
    }

    /// Who acts, for what is written down where it is done.
    #[must_use]
    pub fn actor(&self) -> Actor<'_> {
        Actor { caller: &self.caller, doer: &self.log.doer }
    }
}

/// A caller who is about something of their own.
#[derive(Debug)]
pub struct Oneself {
    /// Who it is.
    pub caller: Caller,
    log: Log,
}

impl Oneself {
    /// Who acts, for what is written down where it is done.
    #[must_use]
    pub fn actor(&self) -> Actor<'_> {
        Actor { caller: &self.caller, doer: &self.log.doer }
    }

    /// Writes down what was done.
    pub async fn record(&self, deed: Deed) {
        self.log.auth.record(&self.log.doer, deed).await;
    }
}

/// Anybody at all.
#[derive(Debug)]
pub struct Open;

impl<R: Rule, S: Send + Sync> FromRequestParts<S> for Authorized<R>
where
    Auth: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let auth = Auth::from_ref(state);
        let caller = auth.caller(parts).await?;
        let doer = Doer::of(&caller, parts);
        match team(&auth, &caller, R::RIGHT, parts, state).await {
            Ok(team) => Ok(Self { caller, team, log: Log { auth, doer }, rule: PhantomData }),
            Err(refusal) => {
                if let Refusal::Forbidden { .. } | Refusal::NeedsSecondFactor { .. } = refusal {
                    let deed = Deed::new("request.refused", format!("{} {}", parts.method, parts.uri.path()));
                    auth.record(&doer, deed).await;
                }
                Err(refusal)
            }
        }
    }
}

/// The team of what a route is about, for a caller who may do there what the right names.
async fn team<S: Send + Sync>(
    auth: &Auth,
    caller: &Caller,
    right: Right,
    parts: &mut Parts,
    state: &S,
) -> Result<Option<TeamId>, Refusal> {
    // What no route answers is about nothing.
    let subject = match parts.extensions.get::<MatchedPath>() {
        Some(path) => subject::of(path.as_str()),
        None => Some(Subject::Own),
    };
    match subject {
        None => Err(caller.forbidden("a rule of its own, which is missing: please report this")),
        Some(Subject::Own) => {
            // Whoever is in no team yet sees that, too.
            let may = caller.may(right) || right == Right::Read && caller.carries(Right::Read);
            if !may {
                caller.refuse_partly_closed()?;
            }
            may.then_some(None).ok_or_else(|| caller.forbidden(WIDER))
        }
        Some(Subject::Instance) => {
            caller.refuse_closed(None)?;
            let may = caller.sees_all() && caller.may(right);
            may.then_some(None).ok_or_else(|| caller.forbidden("an administrator of the instance"))
        }
        Some(Subject::Of(object)) => {
            let params = RawPathParams::from_request_parts(parts, state).await;
            let name = params.ok().and_then(|params| Some(params.iter().next()?.1.to_owned()));
            let name = name.unwrap_or_default();
            let team = auth.team_of(object, &name).await?;
            if let Some(team) = team {
                caller.refuse_closed(Some(team))?;
            }
            let seen = team.map_or(caller.sees_all(), |team| caller.sees(team));
            if !seen {
                return Err(Refusal::NotFound { what: object.what(), name });
            }
            let may = team.map_or(caller.may(right), |team| caller.may_in(right, team));
            may.then_some(team).ok_or_else(|| caller.forbidden(WIDER))
        }
    }
}

const WIDER: &str = "a wider scope or role";

impl<S: Send + Sync> FromRequestParts<S> for Oneself
where
    Auth: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let auth = Auth::from_ref(state);
        let caller = auth.caller(parts).await?;
        if !caller.carries(Right::Administer) {
            return Err(caller.forbidden(WIDER));
        }
        let doer = Doer::of(&caller, parts);
        Ok(Self { caller, log: Log { auth, doer } })
    }
}

impl Gate for Oneself {
    const ACCESS: Access = Access::Oneself;
}

impl<S: Send + Sync> FromRequestParts<S> for Open {
    type Rejection = Infallible;

    async fn from_request_parts(_parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

/// An argument that decides who may come in.
pub trait Gate {
    /// Who may come in.
    const ACCESS: Access;
}

impl<R: Rule> Gate for Authorized<R> {
    const ACCESS: Access = Access::Needs(R::RIGHT);
}

impl Gate for Open {
    const ACCESS: Access = Access::Open;
}

/// The arguments of a handler, of which the first is a [`Gate`]. (`M` is axum's mark for how the last one is read.)
pub trait Gated {
    /// Who may come in.
    const ACCESS: Access;
}

macro_rules! gated {
    ($($argument:ident)*) => {
        impl<M, G: Gate, $($argument),*> Gated for (M, G, $($argument,)*) {
            const ACCESS: Access = G::ACCESS;
        }
    };
}

gated!();
gated!(A);
gated!(A B);
gated!(A B C);
gated!(A B C D);
gated!(A B C D E);
gated!(A B C D E F);
gated!(A B C D E F H);
