//! The volumes of an app as units: each is made when the first container needs it, and stays.

use std::collections::BTreeMap;

use super::path::{Owner, UnitPath};
use super::unit::{Section, Unit};
use super::{QuadletError, UnitFiles};
use crate::domain::name::Slug;
use crate::domain::volume::{Mount, VolumeId, VolumeName, VolumeOf};

const BASE: &str = include_str!("../../quadlets/app.volume");

/// The label that names an app's volumes; its value is the name within the app.
pub const LABEL: &str = "io.rivetr.volume";
/// The label that names the app.
const APP: &str = "io.rivetr.app";

/// The labels of a volume, as it gets them where a Quadlet makes it.
#[must_use]
pub fn labels(volume: &VolumeId) -> BTreeMap<String, String> {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    match volume.of() {
        VolumeOf::App(app) => BTreeMap::from([label(APP, app.as_str()), label(LABEL, volume.own())]),
        VolumeOf::Service(service) => BTreeMap::from([label(super::service::LABEL, service.as_str())]),
    }
}

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
        .assignment("Label", APP, app.as_str())?
        .assignment("Label", LABEL, &name.to_string())?;
    Ok((UnitPath::quadlet(&Owner::App(app.clone()), &file(app, name))?, unit.to_string()))
}
