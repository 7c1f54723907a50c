//! The units of everything: their files as text, their state, and what somebody changed by hand.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::super::error::PageError;
use super::super::settings::diff::{self, Line};
use super::super::shell::{Hx, Shell, Visit};
use super::super::view::{self, Mark};
use super::super::{Route, Web};
use crate::auth::gate::Administer;
use crate::engine::{Drift, Engine, InventoryUnit, UnitFile};

#[derive(Template)]
#[template(path = "host/units.html")]
struct Page {
    shell: Shell,
    units: Vec<Row>,
    edited: usize,
}

#[derive(Template)]
#[template(path = "host/units-part.html")]
struct Part {
    shell: Shell,
    units: Vec<Row>,
    edited: usize,
}

#[derive(Template)]
#[template(path = "host/unit.html")]
struct OnePage {
    shell: Shell,
    unit: Row,
    /// Whether the first file is one that rivetr writes; the others are drop-ins.
    own: bool,
    files: Vec<ShownFile>,
}

struct ShownFile {
    path: String,
    lines: Vec<Line>,
}

struct Row {
    name: String,
    owner: String,
    has_file: bool,
    /// There is something to show of it: its file, or drop-ins.
    has_page: bool,
    drop_ins: usize,
    mark: Mark,
    sub_state: String,
    drift: &'static str,
    edited: bool,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::get("/host/units", index), Route::get("/host/units/{name}", one)]
}

async fn index(
    _: Visit<Administer>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
) -> Result<Response, PageError> {
    let units: Vec<Row> = engine.inventory().await?.iter().map(Row::of).collect();
    let edited = units.iter().filter(|unit| unit.edited).count();
    if hx.fragment {
        return view::show(&Part { shell, units, edited });
    }
    view::show(&Page { shell, units, edited })
}

async fn one(
    _: Visit<Administer>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let found = engine.inventory().await?.into_iter().find(|unit| unit.unit == name);
    let found = found.ok_or(PageError::NotFound)?;
    let unit = Row::of(&found);
    if !unit.has_page {
        return Err(PageError::NotFound);
    }
    let drop_ins = found
        .drop_ins
        .into_iter()
        .map(|(path, text)| ShownFile { path: path.display().to_string(), lines: diff::plain(&text) });
    let file = found.file.map(|UnitFile { path, text, drift, owner: _ }| {
        let lines = match drift {
            Drift::Edited(Some(wanted)) => diff::lines(&wanted, &text),
            Drift::Edited(None) | Drift::None | Drift::Unwanted | Drift::Unknown => diff::plain(&text),
        };
        ShownFile { path, lines }
    });
    let own = file.is_some();
    view::show(&OnePage { shell, unit, own, files: file.into_iter().chain(drop_ins).collect() })
}

impl Row {
    fn of(InventoryUnit { unit, file, drop_ins, state }: &InventoryUnit) -> Self {
        let drift = file.as_ref().map(|file| &file.drift);
        let (state, sub_state) = match state {
            Some((state, sub_state)) => (mark(state), sub_state.clone()),
            None => (Mark { class: "", icon: "unknown", word: "not loaded" }, String::new()),
        };
        Self {
            name: unit.clone(),
            owner: file.as_ref().map(|file| file.owner.clone()).unwrap_or_default(),
            has_file: file.is_some(),
            has_page: file.is_some() || !drop_ins.is_empty(),
            drop_ins: drop_ins.len(),
            mark: state,
            sub_state,
            drift: match drift {
                Some(Drift::Edited(_)) => "edited by hand",
                Some(Drift::Unwanted) => "about to go",
                Some(Drift::None | Drift::Unknown) | None => "",
            },
            edited: matches!(drift, Some(Drift::Edited(_))),
        }
    }
}

/// A state in systemd's own word.
fn mark(state: &str) -> Mark {
    let mark = |class, icon, word| Mark { class, icon, word };
    match state {
        "active" => mark("good", "live", "active"),
        "reloading" => mark("moving", "moving", "reloading"),
        "activating" => mark("moving", "moving", "activating"),
        "deactivating" => mark("moving", "moving", "deactivating"),
        "failed" => mark("bad", "failed", "failed"),
        "inactive" => mark("", "stopped", "inactive"),
        _ => mark("", "unknown", "unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edited_file_says_so_and_stays_text() {
        let evil = "<img src=x onerror=alert(1)>";
        let file = UnitFile {
            owner: "app-blog".to_owned(),
            path: "/x".to_owned(),
            text: evil.to_owned(),
            drift: Drift::Edited(Some("[Container]".to_owned())),
        };
        let unit = InventoryUnit {
            unit: evil.to_owned(),
            file: Some(file),
            drop_ins: vec![("/x.d/10.conf".into(), evil.to_owned())],
            state: Some(("active", "running".to_owned())),
        };
        let row = Row::of(&unit);
        assert_eq!((row.edited, row.drift, row.mark.class), (true, "edited by hand", "good"));
        // Nobody is signed in here, so only the frame of strangers is rendered: the parts are looked at.
        let part = Part { shell: Shell::default(), units: vec![row], edited: 1 }.render().unwrap();
        assert!(
            part.contains("edited by hand") && part.contains("1 drop-in") && !part.contains("<img"),
            "{part}"
        );
        let unit =
            |drop_ins| InventoryUnit { unit: "rivetr.service".to_owned(), file: None, drop_ins, state: None };
        let quiet = Row::of(&unit(Vec::new()));
        assert_eq!((quiet.mark.word, quiet.has_page), ("not loaded", false));
        assert!(Row::of(&unit(vec![("/x".into(), String::new())])).has_page);
    }
}
