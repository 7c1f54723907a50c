//! Databases: the list with the trash below it, and what stands around the tabs of one of them.

mod act;
mod links;
mod list;
mod new;
mod overview;
mod settings;

use askama::Template;
use axum::response::sse::Event;

use super::app::may;
use super::error::PageError;
use super::live::{Live, Look, Sent, Viewer};
use super::shell::Shell;
use super::usage::ShownUsage;
use super::view::{self, Mark};
use super::{Route, Web};
use crate::auth::Person;
use crate::domain::database::{Database, DatabaseId, Wish};
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::right::Right;
use crate::engine::{DatabaseStanding, Engine};
use crate::store::Reader;

/// What stands above the tabs of a database.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// Its name.
    pub slug: Slug,
    /// The project it belongs to.
    pub project: Slug,
    /// What it runs, such as `PostgreSQL 17`.
    pub runs: String,
    /// How it does.
    pub mark: Mark,
    /// Why it does not do what it should; empty: it does.
    pub problem: String,
    /// The tab that is open: `overview`, `logs`, `settings`.
    pub tab: &'static str,
    /// Somebody stopped it, or it went down.
    pub stopped: bool,
    /// The team whose database it is.
    pub team: TeamId,
    /// Unit files of it that somebody changed by hand.
    pub edited: Vec<String>,
}

/// The same as a fragment of its own.
#[derive(Template)]
#[template(path = "database/head.html")]
struct ShownHead<'a> {
    shell: &'a Shell,
    head: &'a Head,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    let parts = [
        list::routes(),
        new::routes(),
        overview::routes(),
        settings::routes(),
        links::routes(),
        act::routes(),
    ];
    parts.into_iter().flatten().collect()
}

impl Head {
    /// Whether the person may start and stop this database.
    pub fn may_deploy(&self, shell: &Shell) -> bool {
        may(shell, Right::Deploy, self.team)
    }

    /// Whether the person may change this database.
    pub fn may_manage(&self, shell: &Shell) -> bool {
        may(shell, Right::Manage, self.team)
    }
}

/// The database of a name or a number, if the person may know of it. A name made of digits is a name first.
pub(super) async fn find(reader: &Reader, person: &Person, id: &str) -> Result<Database, PageError> {
    let mut found = match Slug::parse(id) {
        Ok(slug) => reader.database(&slug).await?,
        Err(_) => None,
    };
    if let (None, Ok(number)) = (&found, id.parse()) {
        let numbered = reader.database_by_id(DatabaseId(number)).await?;
        found = numbered.filter(|database| database.deleted.is_none());
    }
    found.filter(|database| view::sees(person, &database.project)).ok_or(PageError::NotFound)
}

/// What stands above the tabs of a database now.
pub(super) async fn head(engine: &Engine, database: &Database, tab: &'static str) -> Result<Head, PageError> {
    let standings = engine.database_standings(std::slice::from_ref(database)).await?;
    let standing = standings.first().copied().unwrap_or(DatabaseStanding::Unknown);
    Ok(Head {
        slug: database.slug.clone(),
        project: database.project.slug.clone(),
        runs: runs(database),
        mark: mark(standing),
        problem: problem(database),
        tab,
        stopped: database.wish == Wish::Stop || standing == DatabaseStanding::Down,
        team: database.project.team,
        edited: engine.edited_of_database(&database.slug).await?,
    })
}

/// The kind with its version, or with the image that takes its place.
pub(super) fn runs(database: &Database) -> String {
    let image = &database.settings.image;
    let version = database.kind.version_of(image).unwrap_or_else(|| image.to_string());
    format!("{} {version}", database.kind.title())
}

/// Why it does not do what it should, of one that is to run.
fn problem(database: &Database) -> String {
    database.problem.clone().filter(|_| database.wish == Wish::Run).unwrap_or_default()
}

/// How a database does, as people see it.
pub(super) fn mark(standing: DatabaseStanding) -> Mark {
    let mark = |class, icon| Mark { class, icon, word: standing.as_str() };
    match standing {
        DatabaseStanding::Pulling | DatabaseStanding::Starting => mark("moving", "moving"),
        DatabaseStanding::Running => mark("good", "live"),
        DatabaseStanding::Stopped => mark("", "stopped"),
        DatabaseStanding::Down => mark("warn", "stopped"),
        DatabaseStanding::Failed => mark("bad", "failed"),
        DatabaseStanding::Unknown => mark("", "unknown"),
    }
}

/// What stands above the tabs as it changes, and on the first of them what the server uses.
pub(super) struct Following {
    pub of: Viewer,
    pub tab: &'static str,
}

impl Look for Following {
    async fn look(&mut self, sent: &mut Sent) -> Result<Vec<Event>, PageError> {
        let Viewer { live: Live { engine, reader, .. }, shell, person, id } = &self.of;
        let database = find(reader, person, id).await?;
        let head = head(engine, &database, self.tab).await?;
        let mut events: Vec<_> = sent.event("head", &ShownHead { shell, head: &head })?.into_iter().collect();
        if self.tab == "overview" {
            let in_use = overview::in_use(engine, &database).await;
            events.extend(sent.event("usage", &ShownUsage { in_use: &in_use })?);
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_text_and_nothing_else() {
        let slug = |text: &str| Slug::parse(text).unwrap();
        let head = Head {
            slug: slug("orders"),
            project: slug("default"),
            runs: "PostgreSQL 17".to_owned(),
            mark: mark(DatabaseStanding::Failed),
            problem: "<img src=x onerror=alert(1)>".to_owned(),
            tab: "overview",
            stopped: false,
            team: TeamId::FIRST,
            edited: Vec::new(),
        };
        let html = ShownHead { shell: &Shell::default(), head: &head }.render().unwrap();
        assert!(html.contains("failed") && !html.contains("<img") && html.contains("onerror"), "{html}");
        assert!(!html.contains("/stop"), "nobody is offered what they may not do: {html}");
    }
}
