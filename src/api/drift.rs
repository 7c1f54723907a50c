//! Unit files that somebody changed by hand, over the API; and what a report of a bug has of this host.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::error::ApiError;
use super::input::Params;
use super::wire;
use crate::auth::audit::Deed;
use crate::auth::gate::{Administer, Authorized};
use crate::domain::diff;
use crate::domain::drift::Kept;
use crate::engine::{Decided, Drifted, Engine, EngineError, InventoryUnit};

/// Which files are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    name: Option<String>,
    #[serde(default)]
    all: bool,
}

pub(super) async fn list(
    _: Authorized<Administer>,
    State(engine): State<Engine>,
    Params(Which { name, all }): Params<Which>,
) -> Result<Json<wire::List<wire::Drift>>, ApiError> {
    let items = engine.drift(name.as_deref(), all).await?;
    Ok(Json(wire::List { items: items.into_iter().map(Into::into).collect(), next: None }))
}

pub(super) async fn adopt(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Path(unit): Path<String>,
) -> Result<Json<wire::DriftDecision>, ApiError> {
    decided(&by, engine.adopt_unit(&unit).await).await
}

pub(super) async fn restore(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Path(unit): Path<String>,
) -> Result<Json<wire::DriftDecision>, ApiError> {
    decided(&by, engine.restore_unit(&unit).await).await
}

pub(super) async fn ignore(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Path(unit): Path<String>,
) -> Result<Json<wire::DriftDecision>, ApiError> {
    decided(&by, engine.ignore_unit(&unit).await).await
}

async fn decided(
    by: &Authorized<Administer>,
    outcome: Result<(Drifted, Decided), EngineError>,
) -> Result<Json<wire::DriftDecision>, ApiError> {
    let (found, decided) = outcome?;
    by.record(deed(&found, &decided)).await;
    let path = |path: &std::path::PathBuf| path.display().to_string();
    let (drop_in, kept_aside) = match &decided {
        Decided::Restored(aside) => (None, aside.as_ref().map(path)),
        Decided::DropIn { at, aside } => (Some(path(at)), aside.as_ref().map(path)),
        Decided::Kept(_) => (None, None),
    };
    let outcome = word(&decided).to_owned();
    Ok(Json(wire::DriftDecision { file: found.file, unit: found.unit, outcome, drop_in, kept_aside }))
}

/// What is written down of a decision.
#[must_use]
pub fn deed(found: &Drifted, decided: &Decided) -> Deed {
    let action = match decided {
        Decided::Restored(_) => "unit.restored",
        Decided::DropIn { .. } | Decided::Kept(Kept::Adopted) => "unit.adopted",
        Decided::Kept(Kept::Ignored) => "unit.ignored",
    };
    let deed = Deed::new(action, format!("unit file {}", found.file));
    deed.before(serde_json::json!({ "change": found.change.as_str() }))
        .after(serde_json::json!({ "outcome": word(decided) }))
}

fn word(decided: &Decided) -> &'static str {
    match decided {
        Decided::Restored(_) => "restored",
        Decided::DropIn { .. } => "drop_in",
        Decided::Kept(kept) => kept.as_str(),
    }
}

pub(super) async fn report(
    _: Authorized<Administer>,
    State(engine): State<Engine>,
) -> Result<Json<wire::Report>, ApiError> {
    let report = engine.report().await?;
    let keys = engine.configuration().keys.iter().map(|key| wire::ReportedKey {
        key: key.key(),
        value: key.value.clone(),
        from: key.from.clone(),
    });
    let object = |(name, wanted)| wire::ReportedObject { name, wanted };
    Ok(Json(wire::Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        taken: wire::time(engine.now()),
        configuration: keys.collect(),
        wanted: report.wanted.into_iter().map(object).collect(),
        units: report.units.into_iter().map(unit).collect(),
        drift: report.drift,
    }))
}

fn unit(InventoryUnit { unit, file, drop_ins, state }: InventoryUnit) -> wire::ReportedUnit {
    let file = file.map(|file| wire::ReportedFile { path: file.path, text: file.text });
    let drop_ins = drop_ins
        .into_iter()
        .map(|(path, text)| wire::ReportedFile { path: path.display().to_string(), text });
    wire::ReportedUnit {
        unit,
        state: state.map(|(state, sub_state)| format!("{state} ({sub_state})")),
        files: file.into_iter().chain(drop_ins).collect(),
    }
}

impl From<Drifted> for wire::Drift {
    fn from(Drifted { owner, file, unit, path, change, kept, there, wanted }: Drifted) -> Self {
        let diff = wanted.map(|wanted| {
            let there = there.unwrap_or_default();
            diff::unified((&format!("{path} (rivetr)"), &wanted), (&path, &there))
        });
        Self {
            file,
            unit,
            owner,
            path,
            change: change.as_str().to_owned(),
            decision: kept.map(|kept| kept.as_str().to_owned()),
            diff,
        }
    }
}
