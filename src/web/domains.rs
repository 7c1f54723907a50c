//! The domains of an app: where its requests come from, whether DNS and a certificate are there, and what is done.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

use super::app::{self, Head};
use super::error::PageError;
use super::form::{Confirm, Errors, Form};
use super::shell::{Hx, Shell, Visit};
use super::view::{self, Mark};
use super::{Route, Web};
use crate::api::wire::{ChangeDomain, CreateDomain, Patch};
use crate::auth::audit::Deed;
use crate::auth::gate::{Manage, Read};
use crate::domain::app::App;
use crate::domain::certificate::{Managed, State as Certificate};
use crate::domain::domain::{Domain, DomainId, Site};
use crate::engine::{Dns, Engine, EngineError};

/// The tab of an app.
#[derive(Template)]
#[template(path = "domains/app.html")]
struct Page {
    shell: Shell,
    head: Head,
    rows: Vec<Row>,
    form: Add,
    errors: Errors,
}

/// One domain, to change it or to take it away.
#[derive(Template)]
#[template(path = "domains/one.html")]
struct OnePage {
    shell: Shell,
    head: Head,
    row: Row,
    form: Change,
    errors: Errors,
    confirm_wrong: String,
}

/// What DNS says of every domain of an app; it is asked while the page is there already.
#[derive(Template)]
#[template(path = "domains/dns.html")]
struct DnsPart {
    shell: Shell,
    dns: Seen,
}

/// A domain as it is shown.
struct Row {
    id: i64,
    name: String,
    url: Option<String>,
    automatic: bool,
    rules: Vec<String>,
    certificate: Mark,
    reason: String,
}

/// What DNS says of a domain.
struct Seen {
    mark: Mark,
    words: String,
}

/// A new domain as a form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    host: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    strip: bool,
    #[serde(default)]
    redirect_to: String,
}

/// A change of a domain as a form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    strip: bool,
    #[serde(default)]
    redirect_to: String,
    #[serde(default)]
    https_redirect: bool,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/apps/{id}/domains", index),
        Route::post("/apps/{id}/domains", add),
        Route::get("/domains/{id}", one),
        Route::get("/domains/{id}/dns", dns),
        Route::post("/domains/{id}", change),
        Route::post("/domains/{id}/remove", remove),
    ]
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    view::show(&page(&engine, shell, &app, Add::default(), Errors::default()).await?)
}

async fn add(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(form): Form<Add>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    let added = match form.parse() {
        Ok(site) => engine.add_domain(&app.slug, site).await.map_err(Errors::of_engine),
        Err(errors) => Err(Ok(errors)),
    };
    match added {
        Ok(domain) => {
            visit
                .record(Deed::new("domain.added", format!("domain {} of app {}", domain.site, app.slug)))
                .await;
            Ok(view::go(hx, &format!("/apps/{}/domains", app.slug)))
        }
        Err(errors) => view::wrong(&page(&engine, shell, &app, form, errors?).await?),
    }
}

async fn one(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let (domain, app) = find(&engine, &visit, &id).await?;
    let form = Change::of(&domain.site);
    view::show(&one_page(&engine, shell, (&domain, &app), form, Errors::default(), "").await?)
}

async fn dns(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let (domain, _) = find(&engine, &visit, &id).await?;
    let dns = Seen::of(&engine.check_dns(&domain.site.host).await);
    view::show(&DnsPart { shell, dns })
}

async fn change(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(form): Form<Change>,
) -> Result<Response, PageError> {
    let (domain, app) = find(&engine, &visit, &id).await?;
    let wish = form.wish();
    let changed = engine.change_domain(domain.id, |before| {
        wish.parse(before).map_err(|errors| Refused::Form(Errors::from(errors)))
    });
    match changed.await {
        Ok(domain) => {
            visit
                .record(Deed::new("domain.changed", format!("domain {} of app {}", domain.site, app.slug)))
                .await;
            Ok(view::go(hx, &format!("/apps/{}/domains", app.slug)))
        }
        Err(refused) => {
            let errors = refused.errors()?;
            view::wrong(&one_page(&engine, shell, (&domain, &app), form, errors, "").await?)
        }
    }
}

async fn remove(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(confirm): Form<Confirm>,
) -> Result<Response, PageError> {
    let (domain, app) = find(&engine, &visit, &id).await?;
    let name = domain.site.to_string();
    let refused = match confirm.is(&name) {
        Ok(()) => match engine.remove_domain(domain.id).await {
            Ok(_) => {
                visit
                    .record(Deed::new(
                        "domain.removed",
                        format!("domain {} of app {}", domain.site, app.slug),
                    ))
                    .await;
                return Ok(view::go(hx, &format!("/apps/{}/domains", app.slug)));
            }
            Err(error) => Errors::of_engine(error)?,
        },
        Err(errors) => errors,
    };
    let (form, said) = (Change::of(&domain.site), refused.of("confirm").to_owned());
    let refused = if said.is_empty() { refused } else { Errors::default() };
    view::wrong(&one_page(&engine, shell, (&domain, &app), form, refused, &said).await?)
}

/// The domain of a number, and its app, if the person may know of it.
async fn find<R: crate::auth::gate::Rule>(
    engine: &Engine,
    visit: &Visit<R>,
    id: &str,
) -> Result<(Domain, App), PageError> {
    let id = id.parse().map(DomainId).map_err(|_| PageError::NotFound)?;
    let (domain, app) = engine.domain_and_app(id).await?;
    if view::sees(&visit.person, &app.project) { Ok((domain, app)) } else { Err(PageError::NotFound) }
}

/// Why a change was not made.
enum Refused {
    Form(Errors),
    Engine(EngineError),
}

impl Refused {
    fn errors(self) -> Result<Errors, PageError> {
        match self {
            Self::Form(errors) => Ok(errors),
            Self::Engine(error) => Errors::of_engine(error),
        }
    }
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl Add {
    fn parse(&self) -> Result<Site, Errors> {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let create = CreateDomain {
            host: self.host.trim().to_owned(),
            path: some(&self.path),
            strip: self.strip,
            redirect_to: some(&self.redirect_to),
            https_redirect: None,
        };
        create.parse().map_err(Errors::from)
    }
}

impl Change {
    fn of(site: &Site) -> Self {
        Self {
            strip: site.strip,
            redirect_to: site.redirect_to.as_ref().map(ToString::to_string).unwrap_or_default(),
            https_redirect: site.https_redirect,
        }
    }

    fn wish(&self) -> ChangeDomain {
        let to = self.redirect_to.trim();
        ChangeDomain {
            strip: Patch::Set(self.strip),
            redirect_to: if to.is_empty() { Patch::Reset } else { Patch::Set(to.to_owned()) },
            https_redirect: Patch::Set(self.https_redirect),
        }
    }
}

impl Row {
    fn of(engine: &Engine, domain: &Domain, managed: &[Managed]) -> Self {
        let Domain { id, app: _, automatic, site } = domain;
        let held = engine.has_certificate(&site.host);
        let order = managed.iter().find(|one| site.host.exact() == Some(&one.name)).map(|one| &one.state);
        let (certificate, reason) = certificate(held, order);
        let rules = [
            site.redirect_to.as_ref().map(|to| format!("redirects to {to}")),
            site.strip.then(|| format!("the app does not see {}", site.path)),
            (!site.https_redirect).then(|| "plain HTTP is served too".to_owned()),
        ];
        Self {
            id: id.0,
            name: site.to_string(),
            url: engine.url_of_site(site),
            automatic: *automatic,
            rules: rules.into_iter().flatten().collect(),
            certificate,
            reason,
        }
    }
}

/// How a certificate stands, and why it is not there.
fn certificate(held: bool, order: Option<&Certificate>) -> (Mark, String) {
    let mark = |class, icon, word| Mark { class, icon, word };
    match (held, order) {
        (true, Some(Certificate::Failed { reason, .. })) => {
            (mark("warn", "warn", "valid, renewal failed"), reason.clone())
        }
        (true, _) => (mark("good", "ok", "certificate"), String::new()),
        (false, Some(Certificate::Queued | Certificate::Ordering { .. } | Certificate::Valid { .. })) => {
            (mark("moving", "moving", "certificate being ordered"), String::new())
        }
        // Why, DNS itself says beside it.
        (false, Some(Certificate::WaitingForDns { .. })) => {
            (mark("warn", "warn", "certificate waits for DNS"), String::new())
        }
        (false, Some(Certificate::Failed { reason, .. })) => {
            (mark("bad", "failed", "certificate not issued"), reason.clone())
        }
        (false, None) => (mark("", "unknown", "no certificate"), String::new()),
    }
}

impl Seen {
    fn of(dns: &Dns) -> Self {
        let mark = |class, icon, word| Mark { class, icon, word };
        let mark = match dns {
            Dns::Here(_) => mark("good", "ok", "DNS points here"),
            Dns::Elsewhere { .. } => mark("bad", "warn", "DNS points elsewhere"),
            Dns::Nowhere(_) => mark("bad", "failed", "no DNS entry"),
            Dns::Unanswered { .. } | Dns::Unjudged(_) => mark("", "unknown", "DNS unknown"),
        };
        Self { mark, words: dns.to_string() }
    }
}

async fn page(
    engine: &Engine,
    shell: Shell,
    app: &App,
    form: Add,
    errors: Errors,
) -> Result<Page, PageError> {
    let head = app::head(engine, app, "domains").await?;
    let managed = engine.reader().certificates().await?;
    let rows = app.domains.iter().map(|domain| Row::of(engine, domain, &managed)).collect();
    Ok(Page { shell, head, rows, form, errors })
}

async fn one_page(
    engine: &Engine,
    shell: Shell,
    (domain, app): (&Domain, &App),
    form: Change,
    errors: Errors,
    confirm_wrong: &str,
) -> Result<OnePage, PageError> {
    let head = app::head(engine, app, "domains").await?;
    let managed = engine.reader().certificates().await?;
    let row = Row::of(engine, domain, &managed);
    Ok(OnePage { shell, head, row, form, errors, confirm_wrong: confirm_wrong.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::certificate::Failures;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_form_becomes_a_site() {
        let add = |host: &str, path: &str, to: &str| Add {
            host: host.to_owned(),
            path: path.to_owned(),
            strip: false,
            redirect_to: to.to_owned(),
        };
        let site = add(" Blog.example ", "", "").parse().unwrap();
        assert_eq!((site.to_string().as_str(), site.https_redirect), ("blog.example", true));
        let errors = add("a b", "x", "*.y").parse().unwrap_err();
        assert!(["host", "path", "redirect_to"].iter().all(|field| !errors.of(field).is_empty()));
        let changed = Change { redirect_to: "  ".to_owned(), ..Change::default() };
        let after = changed.wish().parse(&site).unwrap();
        assert_eq!((after.redirect_to, after.https_redirect), (None, false));
    }

    #[test]
    fn a_certificate_that_is_held_counts_whatever_its_order_does() {
        let next = Timestamp(0);
        let failed =
            Certificate::Failed { reason: "refused".to_owned(), next, failures: Failures::default() };
        assert_eq!(certificate(true, Some(&failed)).0.class, "warn");
        assert_eq!(
            certificate(false, Some(&failed)),
            (certificate(false, Some(&failed)).0, "refused".to_owned())
        );
        assert_eq!(certificate(true, None).0.word, "certificate");
        assert_eq!(certificate(false, None).0.class, "");
        assert_eq!(certificate(false, Some(&Certificate::Queued)).0.class, "moving");
    }
}
