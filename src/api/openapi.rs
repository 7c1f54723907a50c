//! The OpenAPI document, made from the table of routes.

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder, Ref, Required, Response, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

use super::route::{Docs, Route};
use super::wire::{ErrorBody, ErrorDetail};
use crate::auth::gate::Access;
use crate::domain::right::Right;

const BEARER: &str = "token";

/// The document of these routes.
#[must_use]
pub fn document<S>(routes: &[Route<S>]) -> OpenApi {
    let mut paths = PathsBuilder::new();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let mut components = ComponentsBuilder::new()
        .security_scheme(BEARER, SecurityScheme::Http(bearer))
        .schema(ErrorBody::name(), ErrorBody::schema())
        .schema(ErrorDetail::name(), ErrorDetail::schema());
    for route in routes {
        components = components.schemas_from_iter(route.docs.schemas.iter().cloned());
        paths = paths.path(route.path, PathItem::new(route.method.clone(), operation(route)));
    }
    let info = InfoBuilder::new()
        .title("rivetr")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Ids of apps are their numbers or names. On the Unix socket no token is needed."));
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components.build())).build()
}

fn operation<S>(route: &Route<S>) -> OperationBuilder {
    let Docs { summary, query, body, status, answer, schemas: _ } = &route.docs;
    let mut operation = OperationBuilder::new().summary(Some(*summary)).description(Some(rule(route.access)));
    for name in route.path.split('{').skip(1).filter_map(|part| part.split('}').next()) {
        let schema = ObjectBuilder::new().schema_type(Type::String);
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
        operation = operation.parameter(parameter.required(Required::True).schema(Some(schema)));
    }
    for (name, about, kind) in query {
        let schema = ObjectBuilder::new().schema_type(kind.clone());
        let parameter = ParameterBuilder::new().name(*name).parameter_in(ParameterIn::Query);
        let parameter = parameter.required(Required::False).description(Some(*about));
        operation = operation.parameter(parameter.schema(Some(schema)));
    }
    if let Some(schema) = body {
        let content = ContentBuilder::new().schema(Some(schema.clone())).build();
        operation = operation
            .request_body(Some(RequestBodyBuilder::new().content("application/json", content).build()));
    }
    let mut done = ResponseBuilder::new().description("Done");
    if let Some((kind, schema)) = answer {
        done = done.content(*kind, ContentBuilder::new().schema(Some(schema.clone())).build());
    }
    if route.access != Access::Open {
        operation = operation.security(SecurityRequirement::new(BEARER, [] as [&str; 0]));
    }
    operation.response(status.as_str(), done).response("default", refusal())
}

fn refusal() -> Response {
    let schema = Ref::from_schema_name(ErrorBody::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description("Not done").content("application/json", content).build()
}

fn rule(access: Access) -> &'static str {
    match access {
        Access::Oneself => "Needs a person who has signed in, or a token of scope admin.",
        Access::Open => "Open to everybody.",
        Access::Needs(Right::Read) => "Needs a token of scope read or wider.",
        Access::Needs(Right::Deploy) => "Needs a token of scope deploy or wider.",
        Access::Needs(Right::Manage) => "Needs a token of scope write or wider.",
        Access::Needs(Right::Lead | Right::Own | Right::Administer) => "Needs a token of scope admin.",
    }
}
