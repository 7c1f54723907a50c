//! The volumes of an app as units: each is made when the first container needs it, and stays.

use super::path::{Owner, UnitPath};
use super::unit::{Section, Unit};
use super::{QuadletError, UnitFiles};
use crate::domain::name::Slug;
use crate::domain::volume::{Mount, VolumeName};

const BASE: &str = include_str!("../../quadlets/app.volume");

/// The label that names an app's volumes; its value is the name within the app.
pub const LABEL: &str = "io.rivetr.volume";

/// A unit for each volume that is mounted. What stands in it follows from its name alone: it must never differ
/// while containers use it.
pub fn volumes(app: &Slug, mounts: &[Mount]) -> Result<UnitFiles, QuadletError> {
    let names = mounts.iter().filter_map(Mount::volume);
    names.map(|name| volume(app, name)).collect()
}

/// The file of its Quadlet, by which containers name it.
#[must_use]
pub fn file(app: &Slug, name: &VolumeName) -> String {
    format!("{}.volume", name.unit_name(app))
}

fn volume(app: &Slug, name: &VolumeName) -> Result<(UnitPath, String), QuadletError> {
    let own = name.unit_name(app);
    let mut unit = Unit::parse(BASE)?;
    unit.section(Section::Unit).scalar("Description", &format!("Volume {name} of the app {app}"))?;
    unit.section(Section::Volume)
        .scalar("VolumeName", &own)?
        .scalar("ServiceName", &own)?
        .assignment("Label", "io.rivetr.app", app.as_str())?
        .assignment("Label", LABEL, &name.to_string())?;
    Ok((UnitPath::quadlet(&Owner::App(app.clone()), &file(app, name))?, unit.to_string()))
}
