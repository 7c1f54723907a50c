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
        .scalar("Image", image.digits())?
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::database::{Credentials, DatabaseId, DatabaseKind, ServerConfig, Settings, Wish};
    use crate::domain::person::TeamId;
    use crate::domain::project::{Project, ProjectId, Subnet};
    use crate::domain::runtime::Limits;
    use crate::domain::secret::{Sealed, Secret};
    use crate::domain::time::Timestamp;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 90, 0, 7);

    fn database(kind: DatabaseKind, config: &str) -> Database {
        let slug = Slug::parse("orders").unwrap();
        let (user, database) = kind.names(&slug);
        Database {
            id: DatabaseId(1),
            project: Project {
                id: ProjectId(1),
                slug: Slug::parse("shop").unwrap(),
                team: TeamId::FIRST,
                subnet: Subnet::around(ADDRESS),
            },
            kind,
            settings: Settings {
                image: kind.image("1").unwrap(),
                config: ServerConfig::parse(config).unwrap(),
                limits: Limits { memory: Memory::parse("512M").ok(), cpus: None },
                public: None,
            },
            credentials: Credentials {
                user,
                database,
                password: Sealed(Vec::new()),
                root_password: Sealed(Vec::new()),
            },
            volume: "rivetr-db-orders_0123abcd".to_owned(),
            address: Some(ADDRESS),
            image: None,
            wish: Wish::Run,
            problem: None,
            created: Timestamp(0),
            deleted: None,
            slug,
        }
    }

    fn texts(kind: DatabaseKind, config: &str, enabled: bool) -> Vec<(String, String)> {
        let image = ImageId::parse(&"b".repeat(64)).unwrap();
        let features = PodmanFeatures::of("5.4.2").unwrap();
        let files = units(&database(kind, config), &image, ADDRESS, enabled, features).unwrap();
        files.into_iter().map(|(path, text)| (path.to_string(), text)).collect()
    }

    #[test]
    fn every_kind_is_a_container_that_waits_for_its_server_and_a_volume() {
        for kind in DatabaseKind::ALL {
            let files = texts(kind, "a = 1", true);
            let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
            assert_eq!(
                paths,
                ["db-orders/rivetr-db-orders.container", "db-orders/rivetr-db-orders_0123abcd.volume"]
            );
            let text = &files[0].1;
            for line in [
                "ContainerName=rivetr-db-orders",
                "Network=rivetr-net-shop.network:alias=orders,ip=10.90.0.7",
                "Notify=healthy",
                "MemoryMax=536870912",
                "Slice=rivetr-shop.slice",
                "WantedBy=default.target",
                &format!("Volume=rivetr-db-orders_0123abcd.volume:{}", kind.data()),
            ] {
                assert!(text.lines().any(|there| there == line), "{line} is missing in\n{text}");
            }
            assert!(text.contains("HealthCmd=[") && text.contains("HealthStartupCmd=["), "{text}");
            assert!(text.contains("rivetr-db-orders_config,type=mount"), "{text}");
            assert!(!texts(kind, "", false)[0].1.contains("[Install]"));
        }
    }

    #[test]
    fn passwords_are_in_files_of_the_container_alone() {
        let opened = Opened { password: Secret::from("sesame"), root_password: Secret::from("open") };
        for kind in DatabaseKind::ALL {
            let database = database(kind, "");
            let files = files(kind, &database.settings, &opened);
            assert!(files.iter().any(|file| file.content.reveal() == b"sesame"), "{kind:?}");
            assert!(files.iter().all(|file| !format!("{file:?}").contains("sesame")));
            let text = &texts(kind, "", true)[0].1;
            for ServerFile { name, .. } in &files {
                assert!(text.contains(&format!("rivetr-db-orders_{name},type=mount")), "{name} in\n{text}");
            }
        }
        let redis = database(DatabaseKind::Redis, "maxmemory 10mb\nrequirepass mine\n");
        let config = files(DatabaseKind::Redis, &redis.settings, &opened).pop().unwrap();
        let text = String::from_utf8(config.content.reveal().to_vec()).unwrap();
        assert!(text.ends_with("requirepass mine\nrequirepass sesame\n"), "the last one holds: {text}");
    }
}
