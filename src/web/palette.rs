//! The palette: apps, pages and actions that a person may reach, found by a few letters. All of them are links.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::error::PageError;
use super::shell::{Shell, SignedIn, Visit};
use super::view::{self, sees};
use super::{Route, Web};
use crate::auth::gate::Read;
use crate::domain::app::App;
use crate::domain::right::Right;
use crate::store::Reader;

/// How many are shown.
const SHOWN_MAX: usize = 12;

/// Each page of the navigation: its path, its icon, its name, and more words that lead to it. Whom it is for says the
/// right.
const PAGES: [(&str, &str, &str, &str, Right); 20] = [
    ("/", "home", "Overview", "home apps", Right::Read),
    ("/projects", "folder", "Projects", "environments", Right::Read),
    ("/services", "list", "Services", "compose containers stack docker", Right::Read),
    ("/templates", "list", "Templates", "catalog compose gallery", Right::Read),
    ("/databases", "database", "Databases", "postgres mariadb mysql mongodb redis valkey trash", Right::Read),
    ("/routes", "globe", "Routes and certificates", "proxy tls https hosts", Right::Read),
    ("/backups", "disk", "Backups", "restore schedule dump verify", Right::Read),
    ("/volumes", "disk", "Volumes", "data storage", Right::Read),
    ("/keys", "key", "Keys and registries", "ssh deploy key known hosts sign-in", Right::Read),
    ("/teams", "people", "People and teams", "members invite users roles", Right::Read),
    ("/audit", "list", "Audit", "log who changed", Right::Read),
    ("/host", "server", "Host", "doctor disk units systemd podman", Right::Administer),
    ("/users", "people", "Users", "accounts disable reset", Right::Administer),
    ("/me", "user", "Your account", "password sessions two-factor", Right::Read),
    ("/tokens", "key", "API tokens", "programs command line", Right::Read),
    ("/apps/new", "plus", "New app", "create deploy", Right::Manage),
    ("/services/new", "plus", "New service", "create compose stack", Right::Manage),
    ("/databases/new", "plus", "New database", "create postgres mysql redis", Right::Manage),
    ("/projects#new-title", "plus", "New project", "create", Right::Lead),
    ("/sign-out", "user", "Sign out", "log out leave", Right::Read),
];

#[derive(Template)]
#[template(path = "palette/found.html")]
struct Found {
    shell: Shell,
    entries: Vec<Entry>,
}

#[derive(Template)]
#[template(path = "palette/sign-out.html")]
struct SignOutPage {
    shell: Shell,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: String,
    icon: &'static str,
    label: String,
    detail: String,
}

/// What was typed.
#[derive(Debug, Deserialize)]
struct Typed {
    #[serde(default)]
    q: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::get("/palette", find), Route::get("/sign-out", ask)]
}

/// A link changes nothing: the one that signs out leads to a button that does.
async fn ask(_: SignedIn, shell: Shell) -> Result<Response, PageError> {
    view::show(&SignOutPage { shell })
}

async fn find(
    visit: Visit<Read>,
    shell: Shell,
    State(reader): State<Reader>,
    Query(Typed { q }): Query<Typed>,
) -> Result<Response, PageError> {
    let (apps, databases, services) = tokio::try_join!(reader.apps(), reader.databases(), reader.services())?;
    let seen = apps.iter().filter(|app| sees(&visit.person, &app.project));
    let mut all = entries(seen, |right| visit.person.reach.allows(right));
    let known = databases.iter().filter(|database| sees(&visit.person, &database.project));
    all.extend(known.map(|database| Entry {
        path: format!("/databases/{}", database.slug),
        icon: "database",
        label: database.slug.to_string(),
        detail: format!("database, {}", database.kind.title()),
    }));
    let known = services.iter().filter(|service| sees(&visit.person, &service.project));
    all.extend(known.map(|service| Entry {
        path: format!("/services/{}", service.slug),
        icon: "list",
        label: service.slug.to_string(),
        detail: "service".to_owned(),
    }));
    view::show(&Found { shell, entries: best(all, &q) })
}

/// Every link there is for somebody.
fn entries<'a>(apps: impl Iterator<Item = &'a App>, may: impl Fn(Right) -> bool) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut deploys = Vec::new();
    for app in apps {
        let hosts: Vec<_> = app.hosts().map(ToString::to_string).collect();
        let path = format!("/apps/{}", app.slug);
        entries.push(Entry {
            path: path.clone(),
            icon: "live",
            label: app.slug.to_string(),
            detail: hosts.join(", "),
        });
        deploys.push(Entry {
            path: format!("{path}#deploy"),
            icon: "moving",
            label: format!("Deploy {}", app.slug),
            detail: String::new(),
        });
    }
    let pages = PAGES.iter().filter(|(.., right)| may(*right));
    entries.extend(pages.map(|(path, icon, label, detail, _)| Entry {
        path: (*path).to_owned(),
        icon,
        label: (*label).to_owned(),
        detail: (*detail).to_owned(),
    }));
    if may(Right::Deploy) {
        entries.extend(deploys);
    }
    entries
}

/// Those that hold every word that was typed, and first those that begin with it.
fn best(entries: Vec<Entry>, typed: &str) -> Vec<Entry> {
    let typed = typed.trim().to_lowercase();
    let words: Vec<&str> = typed.split_whitespace().collect();
    let mut found: Vec<(u8, Entry)> = Vec::new();
    for entry in entries {
        let label = entry.label.to_lowercase();
        let whole = format!("{label} {}", entry.detail.to_lowercase());
        if words.iter().all(|word| whole.contains(word)) {
            let rank = match () {
                () if label == typed => 0,
                () if label.starts_with(&typed) => 1,
                () if label.contains(&typed) => 2,
                () => 3,
            };
            found.push((rank, entry));
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, entry)| entry).take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(label: &str, detail: &str) -> Entry {
        Entry { path: "/x".to_owned(), icon: "live", label: label.to_owned(), detail: detail.to_owned() }
    }

    #[test]
    fn what_begins_with_the_letters_comes_first() {
        let all = || {
            vec![
                entry("my-blog", ""),
                entry("shop", "blog.example.org"),
                entry("blog", "x.example"),
                entry("blog-two", ""),
                entry("api", ""),
            ]
        };
        let labels = |typed| best(all(), typed).into_iter().map(|entry| entry.label).collect::<Vec<_>>();
        assert_eq!(labels("Blog "), ["blog", "blog-two", "my-blog", "shop"]);
        assert_eq!(labels("example shop"), ["shop"]);
        assert_eq!(labels("<nothing>"), [""; 0]);
        assert_eq!(labels("").len(), 5);
        let many = (0..50).map(|n| entry(&format!("app-{n}"), "")).collect();
        assert_eq!(best(many, "app").len(), SHOWN_MAX);
    }

    #[test]
    fn what_a_person_may_not_do_is_not_offered() {
        let paths = |may: fn(Right) -> bool| {
            entries(std::iter::empty(), may).into_iter().map(|entry| entry.path).collect::<Vec<_>>()
        };
        let viewer = paths(|right| right == Right::Read);
        assert!(viewer.contains(&"/routes".to_owned()), "{viewer:?}");
        for hidden in ["/host", "/users", "/apps/new", "/projects#new-title"] {
            assert!(!viewer.contains(&hidden.to_owned()), "{hidden}");
            assert!(paths(|_| true).contains(&hidden.to_owned()), "{hidden}");
        }
    }

    #[test]
    fn what_is_stored_is_text_and_nothing_else() {
        let evil = "<img src=x onerror=alert(1)>";
        let entries = vec![Entry { path: format!("/\"{evil}"), ..entry(evil, evil) }];
        let html = Found { shell: Shell::default(), entries }.render().unwrap();
        assert!(html.contains("role=\"option\"") && !html.contains("<img"), "{html}");
    }
}
