//! A project as units: its network, and the names that the units of its apps refer to.

use super::path::{Owner, UnitPath};
use super::unit::{Section, Unit};
use super::{QuadletError, UnitFiles};
use crate::domain::name::Slug;
use crate::domain::project::Project;

const BASE: &str = include_str!("../../quadlets/project.network");

/// The host number of the network's own address.
const GATEWAY: u8 = 1;

/// The network that the containers of a project share.
pub fn network(project: &Project) -> Result<UnitFiles, QuadletError> {
    let Project { id: _, slug, team: _, subnet } = project;
    let name = network_name(slug);
    let mut unit = Unit::parse(BASE)?;
    unit.section(Section::Unit).scalar("Description", &format!("Network of the project {slug}"))?;
    unit.section(Section::Network)
        .scalar("NetworkName", &name)?
        .scalar("ServiceName", &name)?
        .scalar("Subnet", &subnet.cidr())?
        .scalar("Gateway", &subnet.host(GATEWAY).to_string())?
        .assignment("Label", "io.rivetr.project", slug.as_str())?;
    let path = UnitPath::quadlet(&Owner::Project(slug.clone()), &network_file(slug))?;
    Ok(UnitFiles::from([(path, unit.to_string())]))
}

/// The network's name to Podman: `rivetr-net-default`.
#[must_use]
pub fn network_name(project: &Slug) -> String {
    format!("rivetr-net-{project}")
}

/// The file of its Quadlet, by which containers name it.
#[must_use]
pub fn network_file(project: &Slug) -> String {
    format!("rivetr-net-{project}.network")
}

/// The service that makes it.
#[must_use]
pub fn network_unit(project: &Slug) -> String {
    format!("rivetr-net-{project}.service")
}

/// The slice that bounds all of a project; a dash in a slice's name means a parent, so those of ours are escaped.
#[must_use]
pub fn slice(project: &Slug) -> String {
    format!("rivetr-{}.slice", project.as_str().replace('-', "\\x2d"))
}
