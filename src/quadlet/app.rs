//! An app as units: a container for each release, and the target that stays while releases come and go.

pub mod environment;

use std::net::Ipv4Addr;

use self::environment::{CarriedFile, CarriedVariable};
use super::features::PodmanFeatures;
use super::path::{Owner, UnitPath};
use super::project;
use super::unit::{Section, Unit};
use super::{QuadletError, UnitFiles, options, volume};
use crate::domain::deployment::{Deployment, ImageId};
use crate::domain::name::Slug;
use crate::domain::project::Project;

const CONTAINER: &str = include_str!("../../quadlets/app.container");
const TARGET: &str = include_str!("../../quadlets/app.target");

/// The longest unit in bytes: the command that Quadlet makes of it is one line, and systemd takes lines of at
/// most 1 MiB.
const UNIT_MAX: usize = 1_000_000;

/// One release, with all that its container is made of.
#[derive(Debug, Clone, Copy)]
pub struct Release<'a> {
    /// The project whose network and slice it runs in.
    pub project: &'a Project,
    /// The deployment that it is a release of.
    pub deployment: &'a Deployment,
    /// The image that was built for it, or for the deployment that it rolls back to.
    pub image: &'a ImageId,
    /// Its address in the project's network.
    pub address: Ipv4Addr,
    /// What the installed Podman can read.
    pub features: PodmanFeatures,
    /// Its variables, besides those that rivetr tells every app.
    pub variables: &'a [CarriedVariable],
    /// Its mounted files.
    pub files: &'a [CarriedFile],
}

/// The container of a release, and the volumes that it mounts.
///
/// It does not want its target, which wants it: in a circle each failed start would at once cause the next. A stop
/// of the target reaches it all the same, also of one that nobody has started.
///
/// It has no network alias unless asked for: an alias that two releases share sends other apps to the new one before
/// it has answered, and to the old one while it is retired.
pub fn release(release: &Release<'_>) -> Result<UnitFiles, QuadletError> {
    let Release { project, deployment, image, address, features, variables, files } = release;
    let name = deployment.unit_name();
    let app = &deployment.app_slug;
    let owner = Owner::App(app.clone());
    let target = target_file(app);
    let image = image.as_str().trim_start_matches("sha256:");
    let network = format!("{}:ip={address}", project::network_file(&project.slug));

    let mut unit = Unit::parse(CONTAINER)?;
    unit.section(Section::Unit)
        .scalar("Description", &format!("{app}, release {}", deployment.number))?
        .scalar("PartOf", &target)?;
    let container = unit
        .section(Section::Container)
        .scalar("ContainerName", &name)?
        .scalar("Image", image)?
        .scalar("Network", &network)?
        .assignment("Label", "io.rivetr.app", app.as_str())?
        .assignment("Label", "io.rivetr.deployment", &deployment.number.to_string())?
        .assignment("Label", "io.rivetr.project", project.slug.as_str())?;
    environment::variables(container, deployment, variables)?;
    environment::files(unit.section(Section::Container), files)?;
    options::container(unit.section(Section::Container), app, &deployment.settings.runtime)?;
    let service = unit.section(Section::Service).raw("Slice", &project::slice(&project.slug))?;
    options::service(service, &deployment.settings.runtime)?;
    unit.section(Section::Install).scalar("WantedBy", &target)?;

    features.check(&unit)?;
    let text = unit.to_string();
    if text.len() > UNIT_MAX {
        return Err(QuadletError::TooLong { unit: name, bytes: text.len(), limit: UNIT_MAX });
    }
    let mut files = volume::volumes(app, &deployment.settings.runtime.mounts)?;
    files.insert(UnitPath::quadlet(&owner, &format!("{name}.container"))?, text);
    Ok(files)
}

/// The target of an app: its stable handle for people, which starts and stops whatever release there is.
pub fn handle(app: &Slug) -> Result<UnitFiles, QuadletError> {
    let mut unit = Unit::parse(TARGET)?;
    unit.section(Section::Unit).scalar("Description", &format!("The app {app}"))?;
    Ok(UnitFiles::from([(UnitPath::systemd(&target_file(app))?, unit.to_string())]))
}

fn target_file(app: &Slug) -> String {
    format!("rivetr-app-{app}.target")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;
    use crate::domain::app::{AppId, Settings};
    use crate::domain::deployment::{DeploymentId, State, Trigger};
    use crate::domain::name::EnvKey;
    use crate::domain::project::{ProjectId, Subnet};
    use crate::domain::time::Timestamp;
    use crate::domain::variable::EnvValue;

    fn release_with(variables: &[CarriedVariable]) -> Result<UnitFiles, QuadletError> {
        let address = Ipv4Addr::new(10, 90, 0, 2);
        let image = ImageId::parse(&"b".repeat(64)).unwrap();
        let project = Project {
            id: ProjectId(1),
            slug: Slug::parse("default").unwrap(),
            subnet: Subnet::around(address),
        };
        let deployment = Deployment {
            id: DeploymentId(1),
            app: AppId(1),
            app_slug: Slug::parse("blog").unwrap(),
            number: 7,
            trigger: Trigger::Push,
            settings: Settings::new(NonZeroU16::MIN),
            commit: None,
            digest: None,
            image: None,
            address: None,
            state: State::Starting,
            failure: None,
            created: Timestamp(0),
            ended: None,
        };
        let features = PodmanFeatures::of("5.4.2").unwrap();
        let (project, deployment, image) = (&project, &deployment, &image);
        release(&Release { project, deployment, image, address, features, variables, files: &[] })
    }

    fn long(count: usize) -> Vec<CarriedVariable> {
        let value = "x".repeat(EnvValue::MAX);
        let key = |n: usize| EnvKey::parse(&format!("LONG_{n}")).unwrap();
        (0..count).map(|n| CarriedVariable::of("release", n, &key(n), &value, false)).collect()
    }

    #[test]
    fn a_command_longer_than_systemd_reads_is_refused() {
        assert!(release_with(&long(8)).is_ok());
        let refused = release_with(&long(9)).unwrap_err();
        assert!(matches!(refused, QuadletError::TooLong { limit: UNIT_MAX, .. }), "{refused}");
    }

    #[test]
    fn a_release_lies_in_the_folder_of_its_app() {
        let files = release_with(&[]).unwrap();
        let paths: Vec<String> = files.keys().map(ToString::to_string).collect();
        assert_eq!(paths, ["app-blog/rivetr-app-blog-7.container"]);
    }
}
