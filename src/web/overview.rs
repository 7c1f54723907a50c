//! The overview: every app as it stands, what was deployed lately, and the host at a glance.

mod host;

use std::collections::BTreeMap;
use std::pin::Pin;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::{Stream, StreamExt as _, stream};
use serde::Deserialize;

use super::backups::{self, Alarm};
use super::deployment::Line;
use super::error::PageError;
use super::live::{self, Live, Sent};
use super::shell::{Shell, Visit};
use super::view::{self, Mark};
use super::{Route, Web, app};
use crate::auth::Person;
use crate::auth::gate::Read;
use crate::domain::app::{App, AppId};
use crate::domain::name::Slug;
use crate::engine::{Engine, Standings};
use crate::store::Reader;
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

/// Every app that the person sees, by project.
#[derive(Hash)]
struct Board {
    groups: Vec<Group>,
}

#[derive(Hash)]
struct Group {
    project: Slug,
    tiles: Vec<Tile>,
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
    let alarms = backups::alarms(&engine, &visit.person).await?;
    view::show(&Page { shell, board, recent, host, alarms, seen, made: engine.now().0 })
}

/// Reads all of it: a few questions to the store and one to systemd, however many apps there are.
async fn read(engine: &Engine, reader: &Reader, person: &Person) -> Result<(Board, Vec<Line>), PageError> {
    let (apps, standings) = tokio::join!(reader.apps(), engine.standings());
    let (apps, standings) = (apps?, standings?);
    let apps: Vec<App> = apps.into_iter().filter(|app| view::sees(person, &app.project)).collect();
    let mut projects: Vec<_> = apps.iter().map(|app| app.project.id).collect();
    projects.sort_unstable();
    projects.dedup();
    let recent = reader.deployments_in(&projects, RECENT).await?;
    let live: BTreeMap<AppId, _> = apps.iter().map(|app| (app.id, app.live)).collect();
    let now = engine.now();
    let recent = recent.iter().map(|one| Line::of(one, live.get(&one.app).copied().flatten(), now)).collect();
    let mut groups = BTreeMap::<Slug, Vec<Tile>>::new();
    for app in &apps {
        groups.entry(app.project.slug.clone()).or_default().push(Tile::of(engine, app, &standings));
    }
    let groups = groups.into_iter().map(|(project, tiles)| Group { project, tiles }).collect();
    Ok((Board { groups }, recent))
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

    fn apps(&self) -> Vec<AppId> {
        self.tiles().map(|tile| tile.id).collect()
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
    let beats = Box::pin(live.beats(|_| true));
    let (person, sent) = (visit.person.clone(), Sent::default());
    let watching = Watching { live: live.clone(), shell, person, beats, sent, apps: None, seen };
    let batches = stream::unfold(watching, |mut watching| async move {
        watching.beats.next().await?;
        Some((watching.look().await, watching))
    });
    Ok(live.answer(visit.person, live::flat(batches)))
}

struct Watching {
    live: Live,
    shell: Shell,
    person: Person,
    beats: Pin<Box<dyn Stream<Item = ()> + Send>>,
    sent: Sent,
    /// Those that the page shows.
    apps: Option<Vec<AppId>>,
    seen: Seen,
}

impl Watching {
    /// What the page does not show yet.
    async fn look(&mut self) -> Result<Vec<Event>, PageError> {
        let (board, recent) = read(&self.live.engine, &self.live.reader, &self.person).await?;
        let host = Host::of(&self.live.engine, &self.shell);
        let shell = &self.shell;
        let mut events = Vec::new();
        let apps = board.apps();
        let same = self.apps.as_ref() == Some(&apps);
        let whole = if same {
            None
        } else {
            let is_new = self.apps.is_none();
            let fresh = self.live.engine.now().0.saturating_sub(self.seen.made) < FRESH;
            let shown = is_new && fresh && live::hash(&board) == self.seen.seen;
            (!shown).then_some(ShownBoard { shell, board: &board })
        };
        for tile in board.tiles() {
            let part = ShownTile { shell, tile };
            if same {
                events.extend(self.sent.event(&tile.event(), &part)?);
            } else {
                self.sent.took(&tile.event(), &part)?;
            }
        }
        if let Some(whole) = whole {
            events.extend(self.sent.anew("board", &whole)?);
        }
        events.extend(self.sent.event("recent", &ShownRecent { shell, recent: &recent })?);
        let alarms = backups::alarms(&self.live.engine, &self.person).await?;
        events.extend(self.sent.event("alarms", &ShownAlarms { shell, alarms: &alarms })?);
        events.extend(self.sent.event("host", &ShownHost { shell, host: &host })?);
        self.apps = Some(apps);
        Ok(events)
    }
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
        let board = Board { groups: vec![Group { project: slug("default"), tiles }] };
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
