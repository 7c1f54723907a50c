//! What gives power or takes something for good asks for the password again when it was last shown a while ago. The form
//! that was sent stands in the page that asks, so nothing has to be typed twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};

use super::around::FORM_MAX;
use super::error::PageError;
use super::form::{CSRF, Errors};
use super::shell::Shell;
use super::{sign_in, view};
use crate::auth::{Auth, Browser, Origin, Person};

/// The field in which the password is shown again.
const PROOF: &str = "proof";

/// The paths of forms that ask.
pub(super) type Asking = Arc<BTreeSet<&'static str>>;

#[derive(Template)]
#[template(path = "people/prove.html")]
struct Page {
    shell: Shell,
    errors: Errors,
    action: String,
    fields: Vec<(String, String)>,
}

/// Lets a request on, or answers it with the page that asks for the password.
pub(super) async fn look(
    auth: &Auth,
    asking: &Asking,
    shell: &Shell,
    request: Request,
) -> Result<Request, Response> {
    let path = request.extensions().get::<MatchedPath>();
    let asks =
        request.method() == http::Method::POST && path.is_some_and(|path| asking.contains(path.as_str()));
    let Some(Browser(Some(person))) = request.extensions().get().filter(|_| asks) else { return Ok(request) };
    let person: Person = person.clone();
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, FORM_MAX).await.map_err(|error| PageError::internal(error).into_response())?;
    let all: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let (proof, fields): (Vec<_>, Vec<_>) = all.into_iter().partition(|(name, _)| name == PROOF);
    let password = proof.into_iter().map(|(_, password)| password).find(|password| !password.is_empty());
    let errors = match password {
        Some(password) => match auth.prove_again(&person, &password, &Origin::of(&parts)).await {
            Ok(()) => None,
            Err(error) => Some(sign_in::wrong(error, PROOF).map_err(IntoResponse::into_response)?),
        },
        None => auth.asks_again(&person).then(Errors::default),
    };
    if let Some(errors) = errors {
        let action = parts.uri.path().to_owned();
        let fields = fields.into_iter().filter(|(name, _)| name != CSRF).collect();
        let page = Page { shell: shell.clone(), errors, action, fields };
        return Err(view::wrong(&page).unwrap_or_else(IntoResponse::into_response));
    }
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut request = Request::from_parts(parts, Body::from(body));
    // It is another one than it was sent with.
    request.headers_mut().remove(http::header::CONTENT_LENGTH);
    Ok(request)
}
