//! An app as units: the containers of each release and of its commands, and the target that stays while releases
//! come and go.

pub mod environment;

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use self::environment::{CarriedFile, CarriedVariable};
use super::features::PodmanFeatures;
use super::path::{Owner, UnitPath};
use super::project;
use super::unit::{Section, Unit};
use super::{QuadletError, UnitFiles, options, volume};
use crate::domain::database;
use crate::domain::deployment::{Deployment, ImageId};
use crate::domain::name::Slug;
use crate::domain::one_off::OneOff;
use crate::domain::project::Project;
use crate::domain::runtime::{Restart, Runtime, Words};

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
    /// The addresses of its containers in the project's network, by number from 1.
    pub addresses: &'a [Ipv4Addr],
    /// Whether its containers come up at boot and with the target of the app.
    pub enabled: bool,
    /// What the installed Podman can read.
    pub features: PodmanFeatures,
    /// Its variables, besides those that rivetr tells every app.
    pub variables: &'a [CarriedVariable],
    /// Its mounted files.
    pub files: &'a [CarriedFile],
}

/// A command that a deployment runs once.
#[derive(Debug, Clone, Copy)]
pub struct Once<'a> {
    /// The name of its unit and container.
    pub name: &'a str,
    /// What runs in place of the image's own command.
    pub command: &'a Words,
    /// Its own address in the project's network.
    pub address: Ipv4Addr,
    /// How long it may take.
    pub timeout: Duration,
    /// The file that what it prints is added to.
    pub log: &'a Path,
}

/// How long a command may take to end once it was asked to, in seconds: a cancelled deployment ends within 2 s.
const COMMAND_GRACE_S: &str = "1";

/// Where Podman puts the process 1 of `RunInit=` (catatonit), and what makes that wait until it is ended.
const INIT: &str = "/run/podman-init";
const INIT_WAITS: &str = "-P";

/// The containers of a release, and the volumes that they mount.
///
/// It does not want its target, which wants it: in a circle each failed start would at once cause the next. A stop
/// of the target reaches it all the same, also of one that nobody has started.
///
/// It has no network alias unless asked for: an alias that two releases share sends other apps to the new one before
/// it has answered, and to the old one while it is retired.
pub fn release(release: &Release<'_>) -> Result<UnitFiles, QuadletError> {
    let owner = Owner::App(release.deployment.app_slug.clone());
    let target = target_file(&release.deployment.app_slug);
    let runtime = &release.deployment.settings.runtime;
    let mut files = volume::volumes(&release.deployment.app_slug, &runtime.mounts)?;
    for (number, address) in (1..=u8::MAX).zip(release.addresses) {
        let name = release.deployment.replica_name(number);
        let mut unit = container(release, &name, *address, runtime)?;
        unit.section(Section::Unit).scalar("PartOf", &target)?;
        let service = unit.section(Section::Service).raw("Slice", &project::slice(&release.project.slug))?;
        options::service(service, runtime)?;
        if release.enabled {
            unit.section(Section::Install).scalar("WantedBy", &target)?;
        } else {
            unit.drop_section(Section::Install);
        }
        let (path, text) = finish(&unit, &owner, &name, release.features)?;
        files.insert(path, text);
    }
    Ok(files)
}

/// A command in a container of the release's own kind: same image, variables and network, nothing that keeps it up.
///
/// It stays active once it has ended well, so that who looks again knows that it is done. What it prints goes to
/// the log of the deployment; variables stay out of any command line.
pub fn once(release: &Release<'_>, once: &Once<'_>) -> Result<UnitFiles, QuadletError> {
    let Once { name, command, address, timeout, log } = once;
    let owner = Owner::Commands(release.deployment.app_slug.clone());
    let mut unit = beside(release, name, *address, &runtime_beside(release))?;
    unit.section(Section::Container)
        .words("Exec", command.as_slice().iter().map(String::as_str))?
        // Passed on, the signal to end reaches process 1, which has no time set and may not listen. Not passed on,
        // Podman ends, and removing the container ends what runs in it in time.
        .raw("PodmanArgs", "--sig-proxy=false")?;
    unit.section(Section::Service)
        .raw("Type", "oneshot")?
        .raw("RemainAfterExit", "yes")?
        .scalar("TimeoutStartSec", &timeout.as_secs().to_string())?
        .scalar("StandardOutput", &format!("append:{}", log.display()))?;
    let (path, text) = finish(&unit, &owner, name, release.features)?;
    Ok(UnitFiles::from([(path, text)]))
}

/// A container of the release's own kind that does nothing: one command is run in it, and then it goes.
///
/// What waits in it is the small process 1 that Podman brings into any image, as it waits in a pod.
pub fn one_off(
    release: &Release<'_>,
    one_off: &OneOff,
    address: Ipv4Addr,
) -> Result<UnitFiles, QuadletError> {
    let name = one_off.unit_name();
    let runtime = Runtime { init: true, entrypoint: None, ..runtime_beside(release) };
    let mut unit = beside(release, &name, address, &runtime)?;
    unit.section(Section::Container).scalar("Entrypoint", INIT)?.words("Exec", [INIT_WAITS])?;
    let (path, text) = finish(&unit, &Owner::OneOff(one_off.clone()), &name, release.features)?;
    Ok(UnitFiles::from([(path, text)]))
}

/// It takes no port and no name from the release, and needs no time to end.
pub(super) fn runtime_beside(release: &Release<'_>) -> Runtime {
    Runtime {
        publish: Vec::new(),
        aliases: Vec::new(),
        command: None,
        restart: Restart::Always,
        grace: Runtime::DEFAULT_GRACE,
        ..release.deployment.settings.runtime.clone()
    }
}

/// A container beside those of the release, which nothing keeps up; what it runs is for the caller to say.
pub(super) fn beside(
    release: &Release<'_>,
    name: &str,
    address: Ipv4Addr,
    runtime: &Runtime,
) -> Result<Unit, QuadletError> {
    let mut unit = container(release, name, address, runtime)?;
    unit.drop_section(Section::Install);
    unit.drop_section(Section::Service);
    unit.section(Section::Container).scalar("StopTimeout", COMMAND_GRACE_S)?;
    let service = unit.section(Section::Service).raw("Slice", &project::slice(&release.project.slug))?;
    options::service(service, runtime)?;
    Ok(unit)
}

/// What every container of a release is made of.
fn container(
    release: &Release<'_>,
    name: &str,
    address: Ipv4Addr,
    runtime: &Runtime,
) -> Result<Unit, QuadletError> {
    let Release { project, deployment, image, addresses: _, enabled: _, features: _, variables, files } =
        release;
    let app = &deployment.app_slug;
    let network = format!("{}:ip={address}", project::network_file(&project.slug));

    let mut unit = Unit::parse(CONTAINER)?;
    unit.section(Section::Unit).scalar("Description", &format!("{app}, release {}", deployment.number))?;
    for database in &deployment.settings.linked {
        let service = format!("{}.service", database::unit_name(database));
        unit.section(Section::Unit).scalar("Wants", &service)?.scalar("After", &service)?;
    }
    let container = unit
        .section(Section::Container)
        .scalar("ContainerName", name)?
        .scalar("Image", image.digits())?
        .scalar("Network", &network)?
        .assignment("Label", "io.rivetr.app", app.as_str())?
        .assignment("Label", "io.rivetr.deployment", &deployment.number.to_string())?
        .assignment("Label", "io.rivetr.project", project.slug.as_str())?;
    environment::variables(container, deployment, variables)?;
    environment::files(unit.section(Section::Container), files)?;
    options::container(unit.section(Section::Container), app, deployment.settings.port, runtime)?;
    Ok(unit)
}

/// Checks a unit as a whole, and says where it lies.
pub(super) fn finish(
    unit: &Unit,
    owner: &Owner,
    name: &str,
    features: PodmanFeatures,
) -> Result<(UnitPath, String), QuadletError> {
    features.check(unit)?;
    let text = unit.to_string();
    if text.len() > UNIT_MAX {
        let unit = name.to_owned();
        return Err(QuadletError::TooLong { unit, bytes: text.len(), limit: UNIT_MAX });
    }
    Ok((UnitPath::quadlet(owner, &format!("{name}.container"))?, text))
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
        with(variables, &[ADDRESS], true, release)
    }

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 90, 0, 2);

    fn with(
        variables: &[CarriedVariable],
        addresses: &[Ipv4Addr],
        enabled: bool,
        make: fn(&Release<'_>) -> Result<UnitFiles, QuadletError>,
    ) -> Result<UnitFiles, QuadletError> {
        let address = ADDRESS;
        let image = ImageId::parse(&"b".repeat(64)).unwrap();
        let project = Project {
            id: ProjectId(1),
            slug: Slug::parse("default").unwrap(),
            team: crate::domain::person::TeamId::FIRST,
            subnet: Subnet::around(address),
        };
        let deployment = Deployment {
            id: DeploymentId(1),
            app: AppId(1),
            app_slug: Slug::parse("blog").unwrap(),
            number: 7,
            trigger: Trigger::Push,
            back_to: None,
            reason: None,
            settings: Settings::new(NonZeroU16::MIN),
            commit: None,
            digest: None,
            image: None,
            addresses: Vec::new(),
            state: State::Starting,
            failure: None,
            created: Timestamp(0),
            ended: None,
        };
        let features = PodmanFeatures::of("5.4.2").unwrap();
        let (project, deployment, image) = (&project, &deployment, &image);
        make(&Release { project, deployment, image, addresses, enabled, features, variables, files: &[] })
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

    #[test]
    fn each_replica_is_a_unit_of_its_own_and_none_of_a_stopped_app_comes_up_by_itself() {
        let addresses = [ADDRESS, Ipv4Addr::new(10, 90, 0, 9)];
        let files = with(&[], &addresses, true, release).unwrap();
        let paths: Vec<String> = files.keys().map(ToString::to_string).collect();
        let expect = ["app-blog/rivetr-app-blog-7.container", "app-blog/rivetr-app-blog-7_2.container"];
        assert_eq!(paths, expect);
        let alone: Vec<_> = release_with(&[]).unwrap().into_values().collect();
        let texts: Vec<_> = files.into_values().collect();
        assert_eq!(alone, texts[..1], "the first does not change when others come");
        assert!(texts[1].contains("ContainerName=rivetr-app-blog-7_2\n") && texts[1].contains("10.90.0.9"));
        assert!(texts.iter().all(|text| text.contains("\n[Install]\n")));
        let stopped = with(&[], &addresses, false, release).unwrap();
        assert!(stopped.values().all(|text| !text.contains("Install") && text.contains("PartOf=")));
    }

    #[test]
    fn a_command_runs_once_in_the_same_surroundings() {
        let make = |release: &Release<'_>| {
            let command = Words::parse("rake db:migrate 50%").unwrap();
            let once = Once {
                name: "rivetr-run-blog-7-before",
                command: &command,
                address: Ipv4Addr::new(10, 90, 0, 9),
                timeout: Duration::from_secs(90),
                log: Path::new("/var/lib/100%/7.log"),
            };
            super::once(release, &once)
        };
        let files = with(&[], &[ADDRESS], true, make).unwrap();
        let (path, text) = files.first_key_value().unwrap();
        assert_eq!(path.to_string(), "run-blog/rivetr-run-blog-7-before.container");
        for line in [
            "Exec=\"rake\" \"db:migrate\" \"50%%\"",
            "Type=oneshot",
            "TimeoutStartSec=90",
            "StandardOutput=append:/var/lib/100%%/7.log",
            "NoNewPrivileges=true",
            "Environment=\"RIVETR_APP=blog\"",
        ] {
            assert!(text.lines().any(|present| present == line), "{line} is missing in\n{text}");
        }
        for none in ["Install", "Restart", "SuccessExitStatus", "PartOf", "10.90.0.2"] {
            assert!(!text.contains(none), "{none} stands in\n{text}");
        }
    }

    #[test]
    fn a_container_for_one_command_waits_in_the_same_surroundings() {
        let make = |release: &Release<'_>| {
            let one_off = OneOff { app: Slug::parse("blog").unwrap(), number: 12 };
            super::one_off(release, &one_off, Ipv4Addr::new(10, 90, 0, 9))
        };
        let files = with(&[], &[ADDRESS], true, make).unwrap();
        let (path, text) = files.first_key_value().unwrap();
        assert_eq!(path.to_string(), "once-12-blog/rivetr-run-blog-12.container");
        for line in [
            "ContainerName=rivetr-run-blog-12",
            "RunInit=true",
            "Entrypoint=/run/podman-init",
            "Exec=\"-P\"",
            "NoNewPrivileges=true",
            "Environment=\"RIVETR_APP=blog\"",
        ] {
            assert!(text.lines().any(|present| present == line), "{line} is missing in\n{text}");
        }
        for none in ["Install", "Restart", "Type=", "PartOf", "10.90.0.2"] {
            assert!(!text.contains(none), "{none} stands in\n{text}");
        }
    }
}
