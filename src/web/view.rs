//! From a template to an answer, and the words and marks that many pages share.

use askama::Template;
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::StatusCode;

use super::error::PageError;
use super::shell::Hx;
use crate::auth::Person;
use crate::domain::project::Project;

/// The longest path that a form leads on to, in bytes.
const PATH_MAX: usize = 500;

/// A page or a fragment.
pub(super) fn show(template: &impl Template) -> Result<Response, PageError> {
    with_status(StatusCode::OK, template)
}

/// A form with what is wrong in it.
pub(super) fn wrong(template: &impl Template) -> Result<Response, PageError> {
    with_status(StatusCode::UNPROCESSABLE_ENTITY, template)
}

pub(super) fn with_status(status: StatusCode, template: &impl Template) -> Result<Response, PageError> {
    let text = template.render().map_err(PageError::internal)?;
    Ok((status, Html(text)).into_response())
}

/// A path of this site to go on to, or the overview: what begins with two slashes is another host to a browser.
pub(super) fn on_this_site(path: &str) -> &str {
    let stays = path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= PATH_MAX
        && path.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    if stays { path } else { "/" }
}

/// A text as it stands in a query.
pub(super) fn in_query(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// On to a page after a form was done, also where htmx sent it.
pub(super) fn go(hx: Hx, path: &str) -> Response {
    if hx.fragment {
        return ([("hx-redirect", path)], "").into_response();
    }
    Redirect::to(path).into_response()
}

/// A state as people see it: a word, a shape and a colour, never the colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mark {
    /// `good`, `moving`, `warn`, `bad`, or empty for quiet.
    pub class: &'static str,
    /// The icon's name in the sprite.
    pub icon: &'static str,
    /// The word.
    pub word: &'static str,
}

/// Whether a person knows of a project and what is in it.
pub(super) fn sees(person: &Person, project: &Project) -> bool {
    person.reach.sees(project.team)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_another_site() {
        for away in ["//evil.test", "https://evil.test", "/\\evil", "", "apps", "/a\r\nb: c", "/ä", "/ b"] {
            assert_eq!(on_this_site(away), "/", "{away:?}");
        }
        for here in ["/", "/apps/blog?q=%C3%A4", "/audit?by=ada"] {
            assert_eq!(on_this_site(here), here);
        }
    }
}
