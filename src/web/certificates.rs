//! Certificates: those that are ordered and those that were handed in. Keys come in and never go out.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::error::PageError;
use super::form::{Confirm, Errors, Form};
use super::routes::Sight;
use super::shell::{Hx, Shell, Visit};
use super::view::{self, Mark};
use super::{Route, Web};
use crate::api::wire::{AddCertificate, Certificate, Hidden};
use crate::auth::audit::Deed;
use crate::auth::gate::{Administer, Manage};
use crate::domain::app::App;
use crate::domain::certificate::CertName;
use crate::domain::domain::Pattern;
use crate::domain::name::HostName;
use crate::domain::right::Right;
use crate::engine::Engine;

/// Where one is handed in.
#[derive(Template)]
#[template(path = "certificates/new.html")]
struct NewPage {
    shell: Shell,
    chain: String,
    errors: Errors,
}

/// Where one that was handed in is taken back.
#[derive(Template)]
#[template(path = "certificates/remove.html")]
struct RemovePage {
    shell: Shell,
    name: String,
    wrong: String,
}

/// A certificate in a list.
pub(super) struct Row {
    pub name: String,
    pub names: Vec<String>,
    pub own: bool,
    pub mark: Mark,
    pub reason: String,
    /// When something is done next, and what.
    pub next: Option<String>,
    pub next_is: &'static str,
    pub not_after: Option<String>,
    pub issuer: Option<String>,
}

/// One that is handed in. What it holds is shown by no log.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    chain: String,
    key: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/certificates/new", ask),
        Route::post("/certificates", add),
        Route::post("/certificates/{name}/renew", renew),
        Route::get("/certificates/{name}/remove", ask_to_remove),
        Route::post("/certificates/{name}/remove", remove),
    ]
}

/// Those that a person may know of.
pub(super) async fn rows(engine: &Engine, sight: &Sight) -> Result<Vec<Row>, PageError> {
    let own = engine.reader().own_certificates().await?;
    let ordered = engine.reader().certificates().await?;
    let all = own.iter().map(Certificate::from).chain(ordered.iter().map(Certificate::from));
    let mut rows: Vec<Row> =
        all.filter(|one| one.names.iter().any(|name| knows(sight, name))).map(Row::of).collect();
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(rows)
}

/// Whether the name of a certificate is of an app or a service that the person knows of, or of rivetr itself.
fn knows(sight: &Sight, name: &str) -> bool {
    let of_site = |pattern: &Pattern| match pattern {
        Pattern::Exact(host) => {
            host.as_str() == name || CertName::parse(name).is_ok_and(|cert| cert.covers(host.as_str()))
        }
        Pattern::Below(_) => pattern.to_string() == name || pattern.matches(name),
    };
    sight.everything
        || sight.own_host.as_deref() == Some(name)
        || sight.domains().any(|domain| of_site(&domain.site.host))
}

async fn ask(_: Visit<Administer>, shell: Shell) -> Result<Response, PageError> {
    view::show(&NewPage { shell, chain: String::new(), errors: Errors::default() })
}

async fn add(
    visit: Visit<Administer>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Form(New { chain, key }): Form<New>,
) -> Result<Response, PageError> {
    let parsed = AddCertificate { chain: chain.clone(), key: Hidden(key) }.parse();
    let added = match parsed {
        Ok((chain, key)) => engine.add_certificate(chain, key).await.map_err(Errors::of_engine),
        Err(errors) => Err(Ok(errors.into())),
    };
    match added {
        Ok(own) => {
            visit.record(Deed::new("certificate.added", format!("certificate {}", own.name))).await;
            Ok(view::go(hx, "/routes#certificates"))
        }
        Err(errors) => view::wrong(&NewPage { shell, chain, errors: errors? }),
    }
}

async fn renew(
    visit: Visit<Manage>,
    hx: Hx,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let parsed = HostName::parse(&name).map_err(|_| PageError::NotFound)?;
    let mut sight = Sight::of(&engine, &visit.person).await?;
    // The address names no app: it is to be one of those that the person may change.
    let may = |app: &App| visit.person.reach.allows_in(Right::Manage, app.project.team);
    sight.apps.retain(|_, app| may(app));
    sight.own_host = sight.own_host.filter(|_| sight.everything);
    if !knows(&sight, parsed.as_str()) {
        return Err(PageError::NotFound);
    }
    engine.renew_certificate(&parsed, false).await?;
    let deed = Deed::new("certificate.renewed", format!("certificate {parsed}"));
    visit.record(deed.after(json!({ "revoke": false }))).await;
    Ok(view::go(hx, "/routes#certificates"))
}

async fn ask_to_remove(
    _: Visit<Administer>,
    shell: Shell,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    CertName::parse(&name).map_err(|_| PageError::NotFound)?;
    view::show(&RemovePage { shell, name, wrong: String::new() })
}

async fn remove(
    visit: Visit<Administer>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Form(confirm): Form<Confirm>,
) -> Result<Response, PageError> {
    let parsed = CertName::parse(&name).map_err(|_| PageError::NotFound)?;
    if let Err(errors) = confirm.is(&name) {
        return view::wrong(&RemovePage { shell, wrong: errors.of("confirm").to_owned(), name });
    }
    engine.remove_certificate(&parsed).await?;
    visit.record(Deed::new("certificate.removed", format!("certificate {parsed}"))).await;
    Ok(view::go(hx, "/routes#certificates"))
}

impl Row {
    fn of(one: Certificate) -> Self {
        let mark = mark(&one.state, one.not_after.is_some(), one.revoking);
        let next_is = if one.state == "valid" { "renewed" } else { "next try" };
        let day = |moment: String| moment.split('T').next().unwrap_or_default().to_owned();
        let minute = |moment: String| moment.get(..16).unwrap_or_default().replace('T', " ") + " UTC";
        Self {
            name: one.name,
            names: one.names,
            own: one.source == "own",
            mark,
            reason: one.reason.unwrap_or_default(),
            next: one.next.map(minute),
            next_is,
            not_after: one.not_after.map(day),
            issuer: one.issuer,
        }
    }
}

/// How one stands; `held`: there is a certificate, whatever its order does.
fn mark(state: &str, held: bool, revoking: bool) -> Mark {
    let mark = |class, icon, word| Mark { class, icon, word };
    match state {
        _ if revoking => mark("moving", "moving", "being revoked"),
        "valid" => mark("good", "ok", "valid"),
        "queued" | "ordering" if held => mark("good", "moving", "valid, being renewed"),
        "queued" => mark("moving", "moving", "waits its turn"),
        "ordering" => mark("moving", "moving", "being ordered"),
        "waiting-for-dns" => mark("warn", "warn", "waits for DNS"),
        "failed" if held => mark("warn", "warn", "valid, renewal failed"),
        "failed" => mark("bad", "failed", "order failed"),
        _ => mark("", "unknown", "unknown"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::certificate::{Failures, State as Order};
    use crate::domain::time::Timestamp;

    #[test]
    fn every_state_has_its_mark() {
        let (next, failures) = (Timestamp(0), Failures::default());
        for state in [
            Order::Queued,
            Order::WaitingForDns { reason: String::new(), next },
            Order::Ordering { failures },
            Order::Valid { not_after: next, renew_at: next },
            Order::Failed { reason: String::new(), next, failures },
        ] {
            assert!(!mark(state.as_str(), false, false).class.is_empty(), "{state:?}");
        }
        assert_eq!(mark("failed", true, false).class, "warn");
    }

    #[test]
    fn names_of_others_are_not_known() {
        let sight = |everything| Sight {
            apps: BTreeMap::new(),
            services: BTreeMap::new(),
            everything,
            own_host: Some("rivetr.example".to_owned()),
        };
        assert!(knows(&sight(false), "rivetr.example") && !knows(&sight(false), "other.example"));
        assert!(knows(&sight(true), "other.example"));
    }
}
