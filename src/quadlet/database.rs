//! A database as units: its container, which has started once its server answers, and the volume with its data.

mod server;

use std::net::Ipv4Addr;

use super::features::PodmanFeatures;
use super::path::{Owner, UnitPath};
use super::unit::{Section, Unit};
use super::{QuadletError, UnitFiles, options, project};
use crate::domain::database::Database;
use crate::domain::deployment::ImageId;
use crate::domain::name::Slug;
use crate::domain::runtime::{Memory, Runtime};

pub use self::server::{CLIENT_FILE, Opened, PASSWORD_FILE, ServerFile, files};

const CONTAINER: &str = include_str!("../../quadlets/database.container");
const VOLUME: &str = include_str!("../../quadlets/database.volume");

/// The label that names the database that a volume was made for.
pub const LABEL: &str = "io.rivetr.database";

/// The units of a database that runs this image; `enabled` says whether it comes up at boot.
pub fn units(
    database: &Database,
    image: &ImageId,
    address: Ipv4Addr,
    enabled: bool,
    features: PodmanFeatures,
) -> Result<UnitFiles, QuadletError> {
    let owner = Owner::Database(database.slug.clone());
    let name = database.unit_name();
    let mut unit = container(database, image, address)?;
    if !enabled {
        unit.drop_section(Section::Install);
    }
    features.check(&unit)?;
    let mut files = UnitFiles::from([volume(database)?]);
    files.insert(UnitPath::quadlet(&owner, &format!("{name}.container"))?, unit.to_string());
    Ok(files)
}

fn container(database: &Database, image: &ImageId, address: Ipv4Addr) -> Result<Unit, QuadletError> {
    let Database { slug, project, kind, settings, credentials, volume, .. } = database;
    let name = database.unit_name();
    let mut unit = Unit::parse(CONTAINER)?;
    unit.section(Section::Unit).scalar("Description", &format!("The database {slug}, {}", kind.title()))?;
    let network = format!("{}:alias={slug},ip={address}", project::network_file(&project.slug));
    unit.section(Section::Container)
        .scalar("ContainerName", &name)?
        .scalar("Image", image.as_str().trim_start_matches("sha256:"))?
        .scalar("Network", &network)?
        .scalar("Volume", &format!("{volume}.volume:{}", kind.data()))?
        .assignment("Label", LABEL, slug.as_str())?
        .assignment("Label", "io.rivetr.project", project.slug.as_str())?;
    server::write(unit.section(Section::Container), slug, *kind, settings, credentials)?;
    let runtime = Runtime {
        limits: settings.limits,
        shm_size: server::shared_memory(*kind).and_then(|text| Memory::parse(text).ok()),
        ..Runtime::default()
    };
    options::security_and_memory(unit.section(Section::Container), &runtime)?;
    let service = unit.section(Section::Service).raw("Slice", &project::slice(&project.slug))?;
    options::service(service, &runtime)?;
    Ok(unit)
}

/// What stands in it follows from its name alone: it must never differ while a container uses it.
fn volume(database: &Database) -> Result<(UnitPath, String), QuadletError> {
    let name = &database.volume;
    let mut unit = Unit::parse(VOLUME)?;
    unit.section(Section::Unit).scalar("Description", &format!("Data of a database, {name}"))?;
    unit.section(Section::Volume)
        .scalar("VolumeName", name)?
        .scalar("ServiceName", name)?
        .assignment("Label", LABEL, name)?;
    let owner = Owner::Database(database.slug.clone());
    Ok((UnitPath::quadlet(&owner, &format!("{name}.volume"))?, unit.to_string()))
}

/// The service that makes the volume of a database.
#[must_use]
pub fn volume_unit(database: &Database) -> String {
    format!("{}.service", database.volume)
}

/// The name of a secret of a database at Podman. No name of a database has an underscore.
#[must_use]
pub fn secret_name(slug: &Slug, file: &str) -> String {
    format!("{}_{file}", crate::domain::database::unit_name(slug))
}
