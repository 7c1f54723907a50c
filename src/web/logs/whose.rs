//! Whose logs are shown: an app's, a database's or a service's, and what is different with each.

use std::pin::Pin;

use askama::Template;
use axum::BoxError;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::{Stream, StreamExt as _};

use super::{Log, Row};
use crate::api::wire;
use crate::auth::Person;
use crate::domain::app::App;
use crate::domain::database::Database;
use crate::domain::deployment::{replica_name, replica_prefix};
use crate::domain::name::Slug;
use crate::domain::service::{Service, unit_prefix};
use crate::engine::{Engine, EngineError, RuntimeLine};
use crate::web::error::PageError;
use crate::web::live::{Live, Viewer};
use crate::web::shell::Shell;
use crate::web::{app, database, services, view};

/// What kind of thing writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    App,
    Database,
    Service,
}

/// The one that writes.
pub(super) enum Whose {
    App(Box<App>),
    Database(Box<Database>),
    Service(Box<Service>),
}

/// Lines of a log.
pub(super) type Lines = Pin<Box<dyn Stream<Item = Result<RuntimeLine, EngineError>> + Send>>;

/// What changes around a log.
pub(super) type Heads = Pin<Box<dyn Stream<Item = Result<Event, BoxError>> + Send>>;

#[derive(Template)]
#[template(path = "logs/app.html")]
struct AppPage {
    shell: Shell,
    head: app::Head,
    log: Log,
}

#[derive(Template)]
#[template(path = "logs/database.html")]
struct DatabasePage {
    shell: Shell,
    head: database::Head,
    log: Log,
}

#[derive(Template)]
#[template(path = "logs/service.html")]
struct ServicePage {
    shell: Shell,
    head: services::Head,
    log: Log,
}

impl Kind {
    /// The one of a name, if the person may know of it.
    pub async fn find(self, engine: &Engine, person: &Person, id: &str) -> Result<Whose, PageError> {
        let reader = engine.reader();
        Ok(match self {
            Self::App => Whose::App(Box::new(app::find(reader, person, id).await?)),
            Self::Database => Whose::Database(Box::new(database::find(reader, person, id).await?)),
            Self::Service => Whose::Service(Box::new(services::find(engine, person, id).await?)),
        })
    }

    /// Where the log of one is shown.
    pub fn path(self, slug: &Slug) -> String {
        let noun = match self {
            Self::App => "apps",
            Self::Database => "databases",
            Self::Service => "services",
        };
        format!("/{noun}/{slug}/logs")
    }

    /// What changes around the log.
    pub fn heads(self, live: &Live, of: Viewer) -> Heads {
        match self {
            Self::App => live.follow(app::Following { of, tab: "logs" }).boxed(),
            Self::Database => live.follow(database::Following { of, tab: "logs" }).boxed(),
            Self::Service => live.follow(services::Following { of, tab: "logs" }).boxed(),
        }
    }
}

impl Whose {
    /// Its name.
    pub fn slug(&self) -> &Slug {
        match self {
            Self::App(app) => &app.slug,
            Self::Database(database) => &database.slug,
            Self::Service(service) => &service.slug,
        }
    }

    /// What it writes, oldest line first: the last `lines`, or all that come after the line at the cursor `after`.
    /// Following may end where other containers come, whose lines come with the next question.
    pub async fn lines(
        &self,
        engine: &Engine,
        lines: usize,
        follow: bool,
        after: Option<String>,
    ) -> Result<Lines, EngineError> {
        let lines = Some(lines);
        Ok(match self {
            Self::App(app) => engine.runtime_log(&app.slug, lines, follow, after).await?.boxed(),
            Self::Database(database) => engine.database_log(database, lines, follow, after)?.boxed(),
            Self::Service(service) => {
                engine.service_log(&service.slug, None, lines, follow, after).await?.boxed()
            }
        })
    }

    /// A line on the page. A database has one container, which is not named.
    pub fn row(&self, line: &RuntimeLine) -> Row {
        match self {
            Self::App(app) => Row::of(line, &replica_prefix(&app.slug)),
            Self::Database(_) => Row::clocked(line),
            Self::Service(service) => Row::of(line, &unit_prefix(&service.slug)),
        }
    }

    /// A line in a file.
    pub fn text(&self, line: &RuntimeLine) -> String {
        let at = wire::time(line.at);
        match self {
            Self::App(_) | Self::Service(_) => format!("{at} {} {}\n", line.unit, line.text),
            Self::Database(_) => format!("{at} {}\n", line.text),
        }
    }

    /// What is said where nothing was written yet: what would appear.
    pub fn what_appears(&self) -> &'static str {
        match self {
            Self::App(_) => "What the app prints to its output appears here.",
            Self::Database(_) => "What the server prints appears here.",
            Self::Service(_) => "What the containers print to their output appears here.",
        }
    }

    /// The command that shows the same on the host.
    pub fn by_hand(&self, engine: &Engine) -> Option<String> {
        let journal = |container: &str| engine.by_hand(container).journal;
        match self {
            Self::App(app) => app.release.map(|release| journal(&replica_name(&app.slug, release, 1))),
            Self::Database(database) => Some(journal(&database.unit_name())),
            Self::Service(service) => Some(format!("rivetr services logs {} -f", service.slug)),
        }
    }

    /// The log with what stands around it.
    pub async fn page(&self, engine: &Engine, shell: Shell, log: Log) -> Result<Response, PageError> {
        match self {
            Self::App(app) => {
                let head = app::head(engine, app, "logs").await?;
                view::show(&AppPage { shell, head, log })
            }
            Self::Database(database) => {
                let head = database::head(engine, database, "logs").await?;
                view::show(&DatabasePage { shell, head, log })
            }
            Self::Service(service) => {
                let head = services::Head::of(&engine.service_status(&service.slug).await?, "logs");
                view::show(&ServicePage { shell, head, log })
            }
        }
    }
}
