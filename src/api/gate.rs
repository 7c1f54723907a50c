//! Who may come in: the first argument of every handler names it, and a handler without it is no route.
//!
//! `Authorized<Deploy>` lets callers in that may deploy; `Open` lets everybody in. The table of routes reads the
//! rule from the handler's type, so that the two cannot differ.

use std::marker::PhantomData;

use axum::extract::{FromRef, FromRequestParts};
use http::StatusCode;
use http::request::Parts;

use super::error::ApiError;
use crate::auth::{Auth, Caller};
use crate::domain::right::Right;

/// Who may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Everybody.
    Open,
    /// Callers that have this right.
    Needs(Right),
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
    /// Lets in who may change the instance.
    Administer
}

/// A caller that has the right `R`.
#[derive(Debug)]
pub struct Authorized<R: Rule> {
    /// Who it is.
    pub caller: Caller,
    rule: PhantomData<R>,
}

/// Anybody at all.
#[derive(Debug)]
pub struct Open;

impl<R: Rule, S: Send + Sync> FromRequestParts<S> for Authorized<R>
where
    Auth: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Auth::from_ref(state).caller(parts).await?;
        if caller.may(R::RIGHT) {
            return Ok(Self { caller, rule: PhantomData });
        }
        let message = format!("{caller} may not do this: it needs a token of a wider scope");
        Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", message))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Open {
    type Rejection = ApiError;

    async fn from_request_parts(_parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
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

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use http::header::AUTHORIZATION;
    use http::{HeaderValue, Request};
    use tower::ServiceExt;

    use super::super::around::{Numbers, around};
    use super::super::route::Route;
    use super::*;
    use crate::auth::{Owner, Peer};
    use crate::domain::right::Scope;
    use crate::domain::time::Timestamp;
    use crate::store;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);
    const OWNER: u32 = 990;

    async fn open(_: Open) -> &'static str {
        "ok"
    }

    async fn needs<R: Rule>(_: Authorized<R>) -> &'static str {
        "ok"
    }

    fn routes() -> [Route<Auth>; 5] {
        [
            Route::get("/open", open),
            Route::get("/read", needs::<Read>),
            Route::get("/deploy", needs::<Deploy>),
            Route::get("/manage", needs::<Manage>),
            Route::get("/administer", needs::<Administer>),
        ]
    }

    struct Fixture {
        auth: Auth,
        router: Router,
        _folder: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path();
            let (writer, reader) = store::open(&path.join("rivetr.db"), &path.join("backup"), NOW).unwrap();
            let owner = Owner { uid: OWNER, name: "rivetr".to_owned() };
            let auth = Auth::new(owner, reader, writer, || NOW);
            let router = routes()
                .into_iter()
                .fold(Router::new(), |router, route| router.route(route.path, route.handler));
            let router = router.layer(from_fn_with_state(Numbers::new(1), around)).with_state(auth.clone());
            Self { auth, router, _folder: folder }
        }

        async fn token(&self, scope: Scope) -> String {
            let (_, secret) = self.auth.create_token("test".to_owned(), scope, 1).await.unwrap();
            secret.reveal().to_owned()
        }

        async fn status(&self, path: &str, peer: Peer, token: Option<&str>) -> u16 {
            let mut request = Request::get(path).extension(peer).body(Body::empty()).unwrap();
            if let Some(token) = token {
                let field = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
                request.headers_mut().insert(AUTHORIZATION, field);
            }
            self.router.clone().oneshot(request).await.unwrap().status().as_u16()
        }

        async fn walk(&self, peer: Peer, token: Option<&str>) -> Vec<u16> {
            let mut statuses = Vec::new();
            for route in routes() {
                statuses.push(self.status(route.path, peer, token).await);
            }
            statuses
        }
    }

    #[tokio::test]
    async fn every_caller_at_every_rule() {
        let fixture = Fixture::new();
        let allowed = [200; 5];
        assert_eq!(fixture.walk(Peer::Tcp, None).await, [200, 401, 401, 401, 401]);
        assert_eq!(fixture.walk(Peer::Tcp, Some("rvt_wrong")).await, [200, 401, 401, 401, 401]);
        assert_eq!(fixture.walk(Peer::Unix { uid: 0 }, None).await, allowed);
        assert_eq!(fixture.walk(Peer::Unix { uid: OWNER }, None).await, allowed);
        assert_eq!(fixture.walk(Peer::Unix { uid: 1000 }, None).await, [200, 403, 403, 403, 403]);
        let expect =
            [[200, 200, 403, 403, 403], [200, 200, 200, 403, 403], [200, 200, 200, 200, 403], allowed];
        for (scope, expect) in Scope::ALL.into_iter().zip(expect) {
            let token = fixture.token(scope).await;
            assert_eq!(fixture.walk(Peer::Tcp, Some(&token)).await, expect, "{scope}");
            // A token narrows what the socket alone would allow.
            assert_eq!(fixture.walk(Peer::Unix { uid: 0 }, Some(&token)).await, expect, "{scope}");
        }
    }

    #[tokio::test]
    async fn a_revoked_token_opens_nothing_and_one_in_an_address_is_revoked() {
        let fixture = Fixture::new();
        let [first, second] = [fixture.token(Scope::Admin).await, fixture.token(Scope::Admin).await];
        let tokens = fixture.auth.tokens().await.unwrap();
        assert!(fixture.auth.revoke_token(tokens[0].id).await.unwrap());
        assert_eq!(fixture.status("/read", Peer::Tcp, Some(&first)).await, 401);
        assert_eq!(fixture.status("/read", Peer::Tcp, Some(&second)).await, 200);
        assert_eq!(fixture.status(&format!("/read?x={second}"), Peer::Tcp, Some(&second)).await, 400);
        assert_eq!(fixture.status("/read", Peer::Tcp, Some(&second)).await, 401);
        assert!(fixture.auth.tokens().await.unwrap().is_empty());
    }

    #[test]
    fn a_route_knows_the_rule_of_its_handler() {
        let right = |right| Access::Needs(right);
        let expect = [
            Access::Open,
            right(Right::Read),
            right(Right::Deploy),
            right(Right::Manage),
            right(Right::Administer),
        ];
        assert_eq!(routes().map(|route| route.access), expect);
    }
}
