//! One route: its method, its path, who may come in, its handler, and what the OpenAPI document says about it.

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::StatusCode;
use utoipa::openapi::path::HttpMethod;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::gate::{Access, Gated};

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
