//! Light, dark, or as the system has it: a cookie keeps what a person chose, and no page flickers.

use axum::response::{IntoResponse, Redirect, Response};
use http::HeaderMap;
use http::header::SET_COOKIE;
use serde::Deserialize;

use super::around::is_encrypted;
use super::error::PageError;
use super::form::Form;
use super::{Route, Web, cookie, view};
use crate::auth::gate::Open;

/// How long a browser keeps the choice, in seconds: a year.
const KEPT: u32 = 365 * 24 * 60 * 60;

/// What somebody chose, and the page they were on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    theme: String,
    #[serde(default)]
    back: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::post("/theme", choose)]
}

async fn choose(
    _: Open,
    headers: HeaderMap,
    Form(Choice { theme, back }): Form<Choice>,
) -> Result<Response, PageError> {
    let seconds = match theme.as_str() {
        "light" | "dark" => KEPT,
        "system" => 0,
        _ => return Err(PageError::Bad("the theme is light, dark or system".to_owned())),
    };
    let secure = if is_encrypted(&headers) { "; Secure" } else { "" };
    let name = cookie::THEME;
    let kept = format!("{name}={theme}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    Ok(([(SET_COOKIE, kept)], Redirect::to(view::on_this_site(&back))).into_response())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::post;
    use http::Request;
    use http::header::LOCATION;
    use tower::ServiceExt as _;

    use super::*;

    async fn answer(form: &'static str, proto: &str) -> (u16, String, String) {
        let request = Request::post("/theme").header("x-forwarded-proto", proto).body(Body::from(form));
        let router: Router = Router::new().route("/theme", post(choose));
        let response = router.oneshot(request.unwrap()).await.unwrap();
        let field = |name| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        (response.status().as_u16(), field(LOCATION), field(SET_COOKIE))
    }

    #[tokio::test]
    async fn a_choice_is_kept_for_a_year_and_leads_back() {
        let (status, to, kept) = answer("theme=dark&back=/apps/blog%3Fx%3D1&csrf=x", "https").await;
        assert_eq!((status, to.as_str()), (303, "/apps/blog?x=1"));
        assert_eq!(kept, "theme=dark; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax; Secure");
        let (_, to, kept) = answer("theme=system", "http").await;
        assert_eq!((to.as_str(), kept.contains("Max-Age=0") && !kept.contains("Secure")), ("/", true));
        let (status, _, kept) = answer("theme=dark;+Domain%3Dx&back=/", "http").await;
        assert_eq!((status, kept.as_str()), (400, ""));
    }
}
