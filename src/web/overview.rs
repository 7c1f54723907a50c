//! The overview: every app, service and database as it stands, what was deployed lately, and the host at a glance.

pub(super) mod beside;
mod host;

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::response::sse::Event;
use serde::Deserialize;

use super::backups::{Alarm, Alarms};
use super::deployment::Line;
use super::error::PageError;
use super::live::{self, Live, Look, Sent};
use super::shell::{Shell, Visit};
use super::view::{self, Mark};
use super::{Route, Web, app};
use crate::auth::Person;
use crate::auth::gate::Read;
use crate::domain::app::{App, AppId};
use crate::domain::name::Slug;
use crate::engine::{Engine, Standings};
use crate::store::Reader;
use beside::Beside;
use host::Host;

/// How many of the newest deployments are shown.
const RECENT: u32 = 8;
/// How long a page that was just made is taken to be what its stream begins with, in milliseconds.
const FRESH: i64 = 10_000;

#[derive(Template)]
#[template(path = "overview/index.html")]
struct Page {
    shell: Shell,
    board: Board,
    recent: Vec<Line>,
    host: Host,
    alarms: Vec<Alarm>,
    /// What the stream need not send again, and when it was made.
    seen: u64,
    made: i64,
}

/// Every app that the person sees, by project, and what runs beside them.
#[derive(Hash)]
struct Board {
    groups: Vec<Group>,
}

#[derive(Hash)]
struct Group {
    project: Slug,
    tiles: Vec<Tile>,
    beside: Vec<Beside>,
}

/// One app.
#[derive(Hash)]
pub(super) struct Tile {
    pub id: AppId,
    pub slug: Slug,
    pub environment: Slug,
    pub mark: Mark,
    pub url: Option<String>,
    pub last: Option<Line>,
}

#[derive(Template)]
#[template(path = "overview/board.html")]
struct ShownBoard<'a> {
    shell: &'a Shell,
    board: &'a Board,
}

#[derive(Template)]
#[template(path = "overview/tile.html")]
struct ShownTile<'a> {
    shell: &'a Shell,
    tile: &'a Tile,
}

#[derive(Template)]
#[template(path = "overview/beside.html")]
struct ShownBeside<'a> {
    shell: &'a Shell,
    one: &'a Beside,
}

#[derive(Template)]
#[template(path = "overview/recent.html")]
struct ShownRecent<'a> {
    shell: &'a Shell,
    recent: &'a [Line],
}

#[derive(Template)]
#[template(path = "backups/alarms.html")]
struct ShownAlarms<'a> {
    shell: &'a Shell,
    alarms: &'a [Alarm],
}

#[derive(Template)]
#[template(path = "overview/host.html")]
struct ShownHost<'a> {
    shell: &'a Shell,
    host: &'a Host,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::get("/", index), Route::get("/live/overview", watch)]
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
) -> Result<Response, PageError> {
    let (board, recent) = read(&engine, &reader, &visit.person).await?;
    let host = Host::of(&engine, &shell);
    let seen = live::hash(&board);
    let alarms = Alarms::new(&engine).look(&engine, &visit.person).await?;
    view::show(&Page { shell, board, recent, host, alarms, seen, made: engine.now().0 })
}

/// Reads all of it: a few questions to the store and two to systemd, however much there is.
async fn read(engine: &Engine, reader: &Reader, person: &Person) -> Result<(Board, Vec<Line>), PageError> {
    let (apps, standings, beside) = tokio::join!(
        reader.apps(),
        engine.standings(),
        beside::read(engine, |project| view::sees(person, project))
    );
    let (apps, standings, beside) = (apps?, standings?, beside?);
    let apps: Vec<App> = apps.into_iter().filter(|app| view::sees(person, &app.project)).collect();
    let mut projects: Vec<_> = apps.iter().map(|app| app.project.id).collect();
    projects.sort_unstable();
    projects.dedup();
    let recent = reader.deployments_in(&projects, RECENT).await?;
    let live: BTreeMap<AppId, _> = apps.iter().map(|app| (app.id, app.live)).collect();
    let now = engine.now();
    let recent = recent.iter().map(|one| Line::of(one, live.get(&one.app).copied().flatten(), now)).collect();
    let mut groups = BTreeMap::<Slug, (Vec<Tile>, Vec<Beside>)>::new();
    for app in &apps {
        groups.entry(app.project.slug.clone()).or_default().0.push(Tile::of(engine, app, &standings));
    }
    for one in beside {
        groups.entry(one.project.clone()).or_default().1.push(one);
    }
    let group = |(project, (tiles, beside))| Group { project, tiles, beside };
    Ok((Board { groups: groups.into_iter().map(group).collect() }, recent))
}

impl Tile {
    /// An app as it stands.
    pub fn of(engine: &Engine, app: &App, standings: &Standings) -> Self {
        let last = standings.newest.get(&app.id);
        Self {
            id: app.id,
            slug: app.slug.clone(),
            environment: app.environment.clone(),
            mark: app::mark(standings.of(app)),
            url: engine.urls(app).into_iter().next(),
            last: last.map(|last| Line::of(last, app.live, engine.now())),
        }
    }

    /// The name of the event that shows it anew.
    pub fn event(&self) -> String {
        format!("app-{}", self.id.0)
    }
}

impl Board {
    fn tiles(&self) -> impl Iterator<Item = &Tile> {
        self.groups.iter().flat_map(|group| &group.tiles)
    }

    fn beside(&self) -> impl Iterator<Item = &Beside> {
        self.groups.iter().flat_map(|group| &group.beside)
    }

    /// The names of the events of all that is on it.
    fn events(&self) -> Vec<String> {
        self.tiles().map(Tile::event).chain(self.beside().map(Beside::event)).collect()
    }
}

/// What the page that asks shows already.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Seen {
    #[serde(default)]
    seen: u64,
    #[serde(default)]
    made: i64,
}

async fn watch(
    visit: Visit<Read>,
    shell: Shell,
    State(live): State<Live>,
    Query(seen): Query<Seen>,
) -> Result<Response, PageError> {
    let person = visit.person.clone();
    let alarms = Alarms::new(&live.engine);
    let events = live.follow(Watching { live: live.clone(), shell, person, alarms, shown: None, seen });
    Ok(live.answer(visit.person, events))
}

struct Watching {
    live: Live,
    shell: Shell,
    person: Person,
    alarms: Alarms,
    /// The events of what the page shows.
    shown: Option<Vec<String>>,
    seen: Seen,
}

impl Look for Watching {
    /// What the page does not show yet.
    async fn look(&mut self, sent: &mut Sent) -> Result<Vec<Event>, PageError> {
        let (board, recent) = read(&self.live.engine, &self.live.reader, &self.person).await?;
        let host = Host::of(&self.live.engine, &self.shell);
        let shell = &self.shell;
        let mut events = Vec::new();
        let shown = board.events();
        let same = self.shown.as_ref() == Some(&shown);
        let whole = if same {
            None
        } else {
            let is_new = self.shown.is_none();
            let fresh = self.live.engine.now().0.saturating_sub(self.seen.made) < FRESH;
            let has_all = is_new && fresh && live::hash(&board) == self.seen.seen;
            (!has_all).then_some(ShownBoard { shell, board: &board })
        };
        for tile in board.tiles() {
            events.extend(part(sent, same, &tile.event(), &ShownTile { shell, tile })?);
        }
        for one in board.beside() {
            events.extend(part(sent, same, &one.event(), &ShownBeside { shell, one })?);
        }
        if let Some(whole) = whole {
            events.extend(sent.anew("board", &whole)?);
        }
        events.extend(sent.event("recent", &ShownRecent { shell, recent: &recent })?);
        let alarms = self.alarms.look(&self.live.engine, &self.person).await?;
        events.extend(sent.event("alarms", &ShownAlarms { shell, alarms: &alarms })?);
        events.extend(sent.event("host", &ShownHost { shell, host: &host })?);
        self.shown = Some(shown);
        Ok(events)
    }
}

/// The event of one part of the board; within a board that is sent whole it counts as sent.
fn part(sent: &mut Sent, same: bool, name: &str, part: &impl Template) -> Result<Option<Event>, PageError> {
    if same {
        return sent.event(name, part);
    }
    sent.took(name, part)?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Standing;

    fn slug(text: &str) -> Slug {
        Slug::parse(text).unwrap()
    }

    fn tile(name: &str, url: Option<&str>) -> Tile {
        Tile {
            id: AppId(7),
            slug: slug(name),
            environment: slug("production"),
            mark: app::mark(Standing::Unknown),
            url: url.map(str::to_owned),
            last: None,
        }
    }

    #[test]
    fn a_tile_is_the_same_alone_and_on_the_board() {
        let shell = Shell::default();
        let alone = ShownTile { shell: &shell, tile: &tile("blog", Some("http://blog.example/")) };
        let alone = alone.render().unwrap();
        let tiles = vec![tile("blog", Some("http://blog.example/"))];
        let board = Board { groups: vec![Group { project: slug("default"), tiles, beside: vec![] }] };
        let whole = ShownBoard { shell: &shell, board: &board }.render().unwrap();
        assert!(whole.contains(&alone), "{whole}");
        assert!(alone.contains("sse-swap=\"app-7\"") && alone.contains("unknown"), "{alone}");
        assert!(alone.contains("Nothing was deployed yet"), "{alone}");
    }

    #[test]
    fn nobody_is_offered_what_they_may_not_do() {
        let html =
            ShownBoard { shell: &Shell::default(), board: &Board { groups: vec![] } }.render().unwrap();
        assert!(html.contains("There are no apps yet") && !html.contains("/apps/sample"), "{html}");
    }
}
