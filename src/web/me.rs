//! One's own account: password, second factor, where one is signed in.

use askama::Template;
use axum::extract::{FromRef, Path, Query, State};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Deserialize;

use super::error::PageError;
use super::form::{Errors, Form};
use super::moment::Moment;
use super::shell::{Hx, Shell, SignedIn};
use super::sign_in::{From, wrong};
use super::{Route, Web, view};
use crate::auth::{Auth, FactorError, NewFactor, Person};
use crate::engine::Engine;
use crate::store::{Reader, SessionId};

/// The width of the code that an authenticator reads, in pixels.
const QR_WIDTH: u32 = 200;

#[derive(Template)]
#[template(path = "people/me.html")]
struct Page {
    shell: Shell,
    errors: Errors,
    done: &'static str,
    login: String,
    administrator: bool,
    teams: Vec<Part>,
    /// The names of those that ask for a second factor.
    strict: String,
    closed_instance: bool,
    factor_on: bool,
    codes_left: u32,
    sessions: Vec<Session>,
}

/// A part in a team.
struct Part {
    id: i64,
    name: String,
    role: &'static str,
    /// It shows itself only to who has a second factor, and the person has none.
    closed: bool,
}

struct Session {
    id: i64,
    agent: String,
    address: String,
    since: Moment,
    used: Moment,
    current: bool,
}

#[derive(Template)]
#[template(path = "people/factor.html")]
struct Factor {
    shell: Shell,
    errors: Errors,
    qr: String,
    key: String,
    url: String,
}

#[derive(Template)]
#[template(path = "people/codes.html")]
struct Codes {
    shell: Shell,
    each: Vec<String>,
    all: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/me", show),
        Route::post("/me/password", change_password),
        Route::post("/me/second-factor", begin_factor),
        Route::post("/me/second-factor/confirm", confirm_factor),
        Route::post("/me/second-factor/off", forget_factor),
        Route::post("/me/second-factor/codes", renew_codes),
        Route::post("/me/sessions/{id}/end", end_session),
    ]
}

/// What the pages of an account are made from.
pub(super) struct Desk {
    auth: Auth,
    reader: Reader,
    engine: Engine,
}

impl FromRef<Web> for Desk {
    fn from_ref(web: &Web) -> Self {
        Self { auth: web.auth.clone(), reader: web.reader.clone(), engine: web.engine.clone() }
    }
}

/// What was just done, by the word in the address.
#[derive(Deserialize)]
struct Done {
    #[serde(default)]
    done: String,
}

async fn show(
    by: SignedIn,
    shell: Shell,
    State(desk): State<Desk>,
    Query(Done { done }): Query<Done>,
) -> Result<Response, PageError> {
    let done = match done.as_str() {
        "password" => "The password is changed.",
        "session" => "That session has ended.",
        "factor" => "The second factor is off.",
        _ => "",
    };
    view::show(&desk.page(&by.person, shell, Errors::default(), done).await?)
}

impl Desk {
    async fn page(
        &self,
        person: &Person,
        shell: Shell,
        errors: Errors,
        done: &'static str,
    ) -> Result<Page, PageError> {
        let factor = self.auth.second_factor_of(person).await?;
        let now = self.engine.now();
        let sessions = self.auth.sessions(person).await?.into_iter().map(|session| Session {
            id: session.id.0,
            agent: browser(&session.agent),
            address: session.address.unwrap_or_else(|| "this machine".to_owned()),
            since: Moment::of(session.created, now),
            used: Moment::of(session.used, now),
            current: session.current,
        });
        let account = self.reader.user_by_id(person.id).await?.ok_or(PageError::NotFound)?;
        let closed = &person.reach.closed;
        let (mut teams, mut strict) = (Vec::new(), Vec::new());
        for team in self.reader.teams().await? {
            let Some(role) = account.teams.get(&team.id) else { continue };
            if account.strict.contains(&team.id) {
                strict.push(team.slug.to_string());
            }
            let (name, role) = (team.slug.to_string(), role.as_str());
            teams.push(Part { id: team.id.0, name, role, closed: closed.teams.contains(&team.id) });
        }
        Ok(Page {
            shell,
            errors,
            done,
            login: person.login.clone(),
            administrator: person.reach.teams.is_none(),
            teams,
            strict: strict.join(", "),
            closed_instance: closed.instance,
            factor_on: factor.is_some(),
            codes_left: factor.unwrap_or(0),
            sessions: sessions.collect(),
        })
    }

    /// What an authenticator calls this instance.
    fn issuer(&self) -> String {
        let url = self.engine.own_url().unwrap_or_default();
        url.split_once("://").map_or("rivetr", |(_, host)| host).to_owned()
    }

    async fn wrong(&self, by: &SignedIn, shell: Shell, errors: Errors) -> Result<Response, PageError> {
        view::wrong(&self.page(&by.person, shell, errors, "").await?)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Passwords {
    #[serde(default)]
    old: String,
    #[serde(default)]
    new: String,
}

async fn change_password(
    by: SignedIn,
    shell: Shell,
    hx: Hx,
    From(origin): From,
    State(desk): State<Desk>,
    Form(Passwords { old, new }): Form<Passwords>,
) -> Result<Response, PageError> {
    match desk.auth.change_password(&by.person, &old, &new, &origin).await {
        Ok(()) => Ok(view::go(hx, "/me?done=password")),
        Err(error) => {
            let errors = super::links::errors_at(error, "old", "new")?;
            desk.wrong(&by, shell, errors).await
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Password {
    #[serde(default)]
    factor_password: String,
}

async fn begin_factor(
    by: SignedIn,
    shell: Shell,
    From(origin): From,
    State(desk): State<Desk>,
    Form(Password { factor_password }): Form<Password>,
) -> Result<Response, PageError> {
    match desk.auth.begin_second_factor(&by.person, &factor_password, &desk.issuer(), &origin).await {
        Ok(factor) => view::show(&new_factor(shell, Errors::default(), &factor)?),
        Err(error) => {
            let errors = of_factor(error, "factor_password", "factor_password")?;
            desk.wrong(&by, shell, errors).await
        }
    }
}

fn new_factor(shell: Shell, errors: Errors, factor: &NewFactor) -> Result<Factor, PageError> {
    let code = QrCode::new(factor.url.as_bytes()).map_err(PageError::internal)?;
    let image = code.render::<svg::Color<'_>>().min_dimensions(QR_WIDTH, QR_WIDTH).build();
    let qr = format!("data:image/svg+xml;base64,{}", BASE64_STANDARD.encode(image));
    Ok(Factor { shell, errors, qr, key: factor.secret.clone(), url: factor.url.clone() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    #[serde(default)]
    code: String,
}

async fn confirm_factor(
    by: SignedIn,
    shell: Shell,
    State(desk): State<Desk>,
    Form(Code { code }): Form<Code>,
) -> Result<Response, PageError> {
    match desk.auth.confirm_second_factor(&by.person, &code).await {
        Ok(codes) => view::show(&recovery(shell, codes)),
        Err(error) => {
            let errors = of_factor(error, "code", "code")?;
            let begun = desk.auth.second_factor_begun(&by.person, &desk.issuer()).await;
            match begun.map_err(PageError::internal)? {
                Some(factor) => view::wrong(&new_factor(shell, errors, &factor)?),
                None => desk.wrong(&by, shell, errors).await,
            }
        }
    }
}

fn recovery(shell: Shell, codes: Vec<String>) -> Codes {
    let all = codes.join("\n");
    Codes { shell, each: codes, all }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Off {
    #[serde(default)]
    off_password: String,
    #[serde(default)]
    off_code: String,
}

async fn forget_factor(
    by: SignedIn,
    shell: Shell,
    hx: Hx,
    From(origin): From,
    State(desk): State<Desk>,
    Form(Off { off_password, off_code }): Form<Off>,
) -> Result<Response, PageError> {
    match desk.auth.disable_second_factor(&by.person, &off_password, &off_code, &origin).await {
        Ok(()) => Ok(view::go(hx, "/me?done=factor")),
        Err(error) => {
            let errors = of_factor(error, "off_code", "off_password")?;
            desk.wrong(&by, shell, errors).await
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Renew {
    #[serde(default)]
    codes_code: String,
}

async fn renew_codes(
    by: SignedIn,
    shell: Shell,
    State(desk): State<Desk>,
    Form(Renew { codes_code }): Form<Renew>,
) -> Result<Response, PageError> {
    match desk.auth.renew_recovery_codes(&by.person, &codes_code).await {
        Ok(codes) => view::show(&recovery(shell, codes)),
        Err(error) => {
            let errors = of_factor(error, "codes_code", "codes_code")?;
            desk.wrong(&by, shell, errors).await
        }
    }
}

async fn end_session(
    by: SignedIn,
    hx: Hx,
    State(desk): State<Desk>,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    if !desk.auth.end_session(&by.person, SessionId(id)).await? {
        return Err(PageError::NotFound);
    }
    Ok(view::go(hx, "/me?done=session"))
}

/// What is wrong with a second factor's form, at the field of the code or of the password.
fn of_factor(error: FactorError, code: &str, password: &str) -> Result<Errors, PageError> {
    match error {
        FactorError::WrongCode => Ok(Errors::one(code, error.to_string())),
        FactorError::Changed => Ok(Errors::one("", error.to_string())),
        FactorError::SignIn(error) => wrong(error, password),
        FactorError::Internal(_) => Err(PageError::internal(error)),
    }
}

/// What people call a browser: the last name of a program in its own word, which begins with the names of others.
fn browser(agent: &str) -> String {
    let known = ["Edg/", "OPR/", "Firefox/", "Chrome/", "Safari/", "curl/"];
    let Some(name) = known.into_iter().find(|name| agent.contains(name)) else {
        return if agent.is_empty() { "unknown".to_owned() } else { agent.chars().take(60).collect() };
    };
    let name = match name {
        "Edg/" => "Edge",
        "OPR/" => "Opera",
        other => other.trim_end_matches('/'),
    };
    let systems = ["Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux"];
    match systems.into_iter().find(|system| agent.contains(system)) {
        Some(system) => format!("{name} on {system}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_by_the_names_people_know() {
        for (agent, expect) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) Version/26 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.14.1", "curl"),
            ("", "unknown"),
            ("something else", "something else"),
        ] {
            assert_eq!(browser(agent), expect);
        }
    }
}
