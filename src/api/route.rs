//! One route: its method, its path, who may come in, its handler, and what the OpenAPI document says about it.

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::StatusCode;
use utoipa::openapi::path::HttpMethod;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::auth::gate::{Access, Gated};

/// One route, for the state `S` of its router.
pub struct Route<S> {
    /// Its method.
    pub method: HttpMethod,
    /// Its path, with `{names}`.
    pub path: &'static str,
    /// Who may come in, as its handler's type says.
    pub access: Access,
    /// What the document says about it.
    pub docs: Docs,
    pub(super) handler: MethodRouter<S>,
}

/// What the OpenAPI document says about a route.
#[derive(Default)]
pub struct Docs {
    pub(super) summary: &'static str,
    pub(super) query: Vec<(&'static str, &'static str, Type)>,
    pub(super) body: Option<RefOr<Schema>>,
    pub(super) status: StatusCode,
    pub(super) answer: Option<(&'static str, RefOr<Schema>)>,
    pub(super) schemas: Vec<(String, RefOr<Schema>)>,
}

impl<S: Clone + Send + Sync + 'static> Route<S> {
    /// A route that shows something.
    pub fn get<H, T>(path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: Gated + 'static,
    {
        Self::new(HttpMethod::Get, MethodFilter::GET, path, handler)
    }

    /// A route that does something.
    pub fn post<H, T>(path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: Gated + 'static,
    {
        Self::new(HttpMethod::Post, MethodFilter::POST, path, handler)
    }

    /// A route that makes something be as it is sent.
    pub fn put<H, T>(path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: Gated + 'static,
    {
        Self::new(HttpMethod::Put, MethodFilter::PUT, path, handler)
    }

    /// A route that changes something.
    pub fn patch<H, T>(path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: Gated + 'static,
    {
        Self::new(HttpMethod::Patch, MethodFilter::PATCH, path, handler)
    }

    /// A route that removes something.
    pub fn delete<H, T>(path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: Gated + 'static,
    {
        Self::new(HttpMethod::Delete, MethodFilter::DELETE, path, handler)
    }

    fn new<H, T>(method: HttpMethod, filter: MethodFilter, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: Gated + 'static,
    {
        Self { method, path, access: T::ACCESS, docs: Docs::default(), handler: on(filter, handler) }
    }

    /// What it is for, in a few words.
    #[must_use]
    pub fn about(mut self, summary: &'static str) -> Self {
        self.docs.summary = summary;
        self
    }

    /// A parameter after the question mark.
    #[must_use]
    pub fn query(mut self, name: &'static str, kind: Type, about: &'static str) -> Self {
        self.docs.query.push((name, about, kind));
        self
    }

    /// It takes a JSON body.
    #[must_use]
    pub fn takes<T: ToSchema>(mut self) -> Self {
        self.docs.body = Some(self.refer::<T>());
        self
    }

    /// It answers with a status and a JSON body.
    #[must_use]
    pub fn gives<T: ToSchema>(mut self, status: StatusCode) -> Self {
        self.docs.status = status;
        self.docs.answer = Some(("application/json", self.refer::<T>()));
        self
    }

    /// It answers with one page of a list.
    #[must_use]
    pub fn lists<T: ToSchema>(mut self) -> Self {
        let items = ArrayBuilder::new().items(self.refer::<T>());
        let next = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Integer, Type::Null]));
        let page = ObjectBuilder::new().property("items", items).property("next", next);
        self.docs.answer = Some(("application/json", page.required("items").required("next").into()));
        self
    }

    /// It answers with server-sent events whose data are JSON.
    #[must_use]
    pub fn streams<T: ToSchema>(mut self) -> Self {
        self.docs.answer = Some(("text/event-stream", self.refer::<T>()));
        self
    }

    /// It answers with other text.
    #[must_use]
    pub fn answers(mut self, kind: &'static str) -> Self {
        self.docs.answer = Some((kind, String::schema()));
        self
    }

    /// It answers with a status alone.
    #[must_use]
    pub fn answers_nothing(mut self) -> Self {
        self.docs.status = StatusCode::NO_CONTENT;
        self
    }

    fn refer<T: ToSchema>(&mut self) -> RefOr<Schema> {
        T::schemas(&mut self.docs.schemas);
        self.docs.schemas.push((T::name().into_owned(), T::schema()));
        Ref::from_schema_name(T::name()).into()
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use http::header::AUTHORIZATION;
    use http::{HeaderValue, Request};
    use tower::ServiceExt;

    use super::super::around::{Numbers, around};
    use super::*;
    use crate::auth::gate::{Administer, Authorized, Deploy, Manage, Open, Read, Rule};
    use crate::auth::{Auth, Owner, Peer, Times};
    use crate::domain::right::{Right, Scope};
    use crate::domain::time::Timestamp;
    use crate::store;
    use crate::vault::{KeyRing, Sealing, Vault};

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
            Route::get("/api/me/read", needs::<Read>),
            Route::get("/api/me/deploy", needs::<Deploy>),
            Route::get("/api/me/manage", needs::<Manage>),
            Route::get("/api/me/administer", needs::<Administer>),
        ]
    }

    struct Fixture {
        auth: Auth,
        router: Router,
        _folder: tempfile::TempDir,
    }

    fn sealing() -> Sealing {
        Sealing::new(Vault::new(&KeyRing::generate().unwrap()))
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path();
            let (writer, reader) = store::open(&path.join("rivetr.db"), &path.join("backup"), NOW).unwrap();
            let owner = Owner { uid: OWNER, name: "rivetr".to_owned() };
            let auth = Auth::new(owner, reader, writer, sealing(), || NOW, Times::default());
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
        assert_eq!(fixture.status("/api/me/read", Peer::Tcp, Some(&first)).await, 401);
        assert_eq!(fixture.status("/api/me/read", Peer::Tcp, Some(&second)).await, 200);
        assert_eq!(fixture.status(&format!("/api/me/read?x={second}"), Peer::Tcp, Some(&second)).await, 400);
        assert_eq!(fixture.status("/api/me/read", Peer::Tcp, Some(&second)).await, 401);
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
