//! The domains of an app or a service: where its requests come from, whether DNS and a certificate are there, and what is
//! done.

mod form;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;

use self::form::{Add, Change};
use super::error::PageError;
use super::form::{Confirm, Errors, Form, Refused};
use super::shell::{Hx, Shell, Visit};
use super::view::{self, Mark};
use super::{Route, Web, app, services};
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::{Manage, Read};
use crate::domain::certificate::{Managed, State as Certificate};
use crate::domain::domain::{Domain, DomainId, Inlet};
use crate::domain::right::Right;
use crate::engine::{Dns, DomainHolder, Engine};

/// The tab of an app.
#[derive(Template)]
#[template(path = "domains/app.html")]
struct AppPage {
    shell: Shell,
    head: app::Head,
    tab: Tab,
}

/// The tab of a service.
#[derive(Template)]
#[template(path = "domains/service.html")]
struct ServicePage {
    shell: Shell,
    head: services::Head,
    tab: Tab,
}

/// What both have: the domains, and a form for one more.
struct Tab {
    /// What the domains lead to, in a word.
    kind: &'static str,
    /// Where the tab is.
    path: String,
    may_manage: bool,
    may_add: bool,
    rows: Vec<Row>,
    form: Add,
    /// The containers of a service that one may lead to.
    containers: Vec<String>,
    errors: Errors,
}

/// One domain of an app, to change it or to take it away.
#[derive(Template)]
#[template(path = "domains/of_app.html")]
struct OneOfApp {
    shell: Shell,
    head: app::Head,
    one: One,
}

/// The same of a service.
#[derive(Template)]
#[template(path = "domains/of_service.html")]
struct OneOfService {
    shell: Shell,
    head: services::Head,
    one: One,
}

/// What both have.
struct One {
    kind: &'static str,
    /// Where all of them are.
    back: String,
    may_manage: bool,
    row: Row,
    form: Change,
    errors: Errors,
}

/// What DNS says of a domain; it is asked while the page is there already.
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
    /// The container and the port that it leads to.
    to: Option<String>,
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

/// What has domains, for the pages that apps and services both have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    App,
    Service,
}

impl Kind {
    /// The one of a name, if the person may know of it.
    pub async fn find(self, engine: &Engine, person: &Person, id: &str) -> Result<DomainHolder, PageError> {
        Ok(match self {
            Self::App => DomainHolder::App(Box::new(app::find(engine.reader(), person, id).await?)),
            Self::Service => DomainHolder::Service(Box::new(services::find(engine, person, id).await?)),
        })
    }
}

/// Where something is shown.
pub(super) fn page_of(holder: &DomainHolder) -> String {
    match holder {
        DomainHolder::App(app) => format!("/apps/{}", app.slug),
        DomainHolder::Service(service) => format!("/services/{}", service.slug),
    }
}

/// What it is, in a word.
pub(super) fn word_for(holder: &DomainHolder) -> &'static str {
    match holder {
        DomainHolder::App(_) => "app",
        DomainHolder::Service(_) => "service",
    }
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    let index = |kind| {
        move |visit: Visit<Read>, shell: Shell, engine: State<Engine>, id: Path<String>| {
            index(kind, visit, shell, engine.0, id.0)
        }
    };
    let add = |kind| {
        move |visit: Visit<Manage>,
              shell: Shell,
              hx: Hx,
              engine: State<Engine>,
              id: Path<String>,
              form: Form<Add>| { add(kind, (visit, shell, hx), engine.0, id.0, form.0) }
    };
    vec![
        Route::get("/apps/{id}/domains", index(Kind::App)),
        Route::post("/apps/{id}/domains", add(Kind::App)),
        Route::get("/services/{id}/domains", index(Kind::Service)),
        Route::post("/services/{id}/domains", add(Kind::Service)),
        Route::get("/domains/{id}", one),
        Route::get("/domains/{id}/dns", dns),
        Route::post("/domains/{id}", change),
        Route::post("/domains/{id}/remove", remove),
    ]
}

async fn index(
    kind: Kind,
    visit: Visit<Read>,
    shell: Shell,
    engine: Engine,
    id: String,
) -> Result<Response, PageError> {
    let holder = kind.find(&engine, &visit.person, &id).await?;
    tab(&engine, shell, &holder, Add::default(), Errors::default()).await
}

async fn add(
    kind: Kind,
    (visit, shell, hx): (Visit<Manage>, Shell, Hx),
    engine: Engine,
    id: String,
    form: Add,
) -> Result<Response, PageError> {
    let holder = kind.find(&engine, &visit.person, &id).await?;
    let added = match &holder {
        DomainHolder::App(app) => match form.parse() {
            Ok(site) => engine.add_domain(&app.slug, site).await.map_err(Refused::Engine),
            Err(errors) => Err(Refused::Form(errors)),
        },
        DomainHolder::Service(service) => match form.parse_for_service() {
            Ok(new) => engine.add_service_domain(&service.slug, new).await.map_err(Refused::Engine),
            Err(errors) => Err(Refused::Form(errors)),
        },
    };
    match added {
        Ok(domain) => {
            visit.record(deed("domain.added", &domain, &holder)).await;
            Ok(view::go(hx, &path(&holder)))
        }
        Err(refused) => tab(&engine, shell, &holder, form, refused.errors()?).await,
    }
}

async fn one(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let (domain, holder) = find(&engine, &visit, &id).await?;
    let form = Change::of(&domain.site);
    one_page(&engine, shell, (&domain, &holder), form, Errors::default()).await
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
    let (domain, holder) = find(&engine, &visit, &id).await?;
    let wish = form.wish();
    let changed = engine.change_domain(domain.id, |before| {
        wish.parse(before).map_err(|errors| Refused::Form(Errors::from(errors)))
    });
    match changed.await {
        Ok(domain) => {
            visit.record(deed("domain.changed", &domain, &holder)).await;
            Ok(view::go(hx, &path(&holder)))
        }
        Err(refused) => {
            let errors = refused.errors()?;
            one_page(&engine, shell, (&domain, &holder), form, errors).await
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
    let (domain, holder) = find(&engine, &visit, &id).await?;
    let name = domain.site.to_string();
    let refused = match confirm.is(&name) {
        Ok(()) => match engine.remove_domain(domain.id).await {
            Ok(_) => {
                visit.record(deed("domain.removed", &domain, &holder)).await;
                return Ok(view::go(hx, &path(&holder)));
            }
            Err(error) => Errors::of_engine(error)?,
        },
        Err(errors) => errors,
    };
    one_page(&engine, shell, (&domain, &holder), Change::of(&domain.site), refused).await
}

fn deed(action: &'static str, domain: &Domain, holder: &DomainHolder) -> Deed {
    Deed::new(action, format!("domain {} of {holder}", domain.site))
}

/// Where the domains of something are shown.
fn path(holder: &DomainHolder) -> String {
    format!("{}/domains", page_of(holder))
}

/// The domain of a number, and what has it, if the person may know of it.
async fn find<R: crate::auth::gate::Rule>(
    engine: &Engine,
    visit: &Visit<R>,
    id: &str,
) -> Result<(Domain, DomainHolder), PageError> {
    let id = id.parse().map(DomainId).map_err(|_| PageError::NotFound)?;
    let (domain, holder) = engine.domain_and_holder(id).await?;
    if view::sees(&visit.person, holder.project()) { Ok((domain, holder)) } else { Err(PageError::NotFound) }
}

impl Row {
    fn of(engine: &Engine, domain: &Domain, managed: &[Managed]) -> Self {
        let Domain { id, behind: _, inlet, automatic, site } = domain;
        let held = engine.has_certificate(&site.host);
        let order = managed.iter().find(|one| site.host.exact() == Some(&one.name)).map(|one| &one.state);
        let (certificate, reason) = certificate(held, order);
        let rules = [
            site.redirect_to.as_ref().map(|to| format!("redirects to {to}")),
            site.strip.then(|| format!("{} is left out of the path", site.path)),
            (!site.https_redirect).then(|| "plain HTTP is served too".to_owned()),
        ];
        Self {
            id: id.0,
            name: site.to_string(),
            url: engine.url_of_site(site),
            to: inlet.as_ref().map(|Inlet { container, port }| format!("{container}, port {port}")),
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

/// The tab, with what is wrong with one more domain.
async fn tab(
    engine: &Engine,
    shell: Shell,
    holder: &DomainHolder,
    form: Add,
    errors: Errors,
) -> Result<Response, PageError> {
    let managed = engine.reader().certificates().await?;
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let mut tab = Tab {
        kind: word_for(holder),
        path: path(holder),
        may_manage: app::may(&shell, Right::Manage, holder.project().team),
        may_add: false,
        rows: holder.domains().iter().map(|domain| Row::of(engine, domain, &managed)).collect(),
        form,
        containers: Vec::new(),
        errors,
    };
    match holder {
        DomainHolder::App(app) => {
            let head = app::head(engine, app, "domains").await?;
            tab.may_add = tab.may_manage && !head.deleting;
            view::with_status(status, &AppPage { shell, head, tab })
        }
        DomainHolder::Service(service) => {
            let standing = engine.service_status(&service.slug).await?;
            let head = services::Head::of(&standing, "domains");
            tab.may_add = tab.may_manage && !service.deleting;
            tab.containers = standing.parts.into_iter().map(|part| part.part.name).collect();
            view::with_status(status, &ServicePage { shell, head, tab })
        }
    }
}

/// One domain, with what is wrong with what was asked.
async fn one_page(
    engine: &Engine,
    shell: Shell,
    (domain, holder): (&Domain, &DomainHolder),
    form: Change,
    errors: Errors,
) -> Result<Response, PageError> {
    let managed = engine.reader().certificates().await?;
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let one = One {
        kind: word_for(holder),
        back: path(holder),
        may_manage: app::may(&shell, Right::Manage, holder.project().team),
        row: Row::of(engine, domain, &managed),
        form,
        errors,
    };
    match holder {
        DomainHolder::App(app) => {
            let head = app::head(engine, app, "domains").await?;
            view::with_status(status, &OneOfApp { shell, head, one })
        }
        DomainHolder::Service(service) => {
            let head = services::Head::of(&engine.service_status(&service.slug).await?, "domains");
            view::with_status(status, &OneOfService { shell, head, one })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::certificate::Failures;
    use crate::domain::time::Timestamp;

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
