//! Golden directories: what a project and a release look like as unit files, byte for byte.
//!
//! Each directory in `tests/golden/` holds `input.toml` and either `expected/`, the files as they lie in rivetr's
//! directory of Quadlets (`quadlet/`) and in systemd's (`systemd/`), or `refused.txt`, the words of the refusal.
//! `RIVETR_GOLDEN=write cargo nextest run --test golden` writes them anew; read the difference before committing.
//! That Podman's own generator takes them, and what a container then gets, is seen on the host (`tests/it`).

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

#[path = "support/golden.rs"]
mod golden;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use golden::directories;
use rivetr::api::wire::{FieldErrors, RuntimeOptions};
use rivetr::domain::app::{AppId, Settings};
use rivetr::domain::deployment::{Deployment, DeploymentId, ImageId, State, Trigger};
use rivetr::domain::job::{Job, JobId, JobPlan, Place as JobPlace, Schedule, Zone};
use rivetr::domain::mount::MountPath;
use rivetr::domain::name::{EnvKey, Slug};
use rivetr::domain::person::TeamId;
use rivetr::domain::project::{Project, ProjectId, Subnet};
use rivetr::domain::runtime::Words;
use rivetr::domain::source::CommitId;
use rivetr::domain::time::Timestamp;
use rivetr::quadlet::app::environment::{CarriedFile, CarriedVariable};
use rivetr::quadlet::features::PodmanFeatures;
use rivetr::quadlet::path::{Place, UnitPath};
use rivetr::quadlet::unit::Unit;
use rivetr::quadlet::{UnitFiles, app, job, project};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    podman: String,
    project: String,
    subnet: Ipv4Addr,
    app: String,
    number: u32,
    commit: String,
    image: String,
    address: Ipv4Addr,
    port: NonZeroU16,
    #[serde(default)]
    variables: Vec<InputVariable>,
    #[serde(default)]
    files: Vec<String>,
    #[serde(default)]
    runtime: RuntimeOptions,
    #[serde(default)]
    jobs: Vec<InputJob>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputJob {
    name: String,
    schedule: String,
    zone: Option<String>,
    command: Vec<String>,
    address: Option<Ipv4Addr>,
    #[serde(default)]
    catch_up: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputVariable {
    name: String,
    value: String,
    #[serde(default)]
    secret: bool,
}

#[test]
fn every_directory_is_as_it_was() {
    let mut seen = 0;
    for case in directories(Path::new("tests/golden")) {
        let input = fs::read_to_string(case.join("input.toml")).unwrap();
        let input: Input = toml::from_str(&input).unwrap();
        check(&case, units(&input).map_err(|error| error.to_string()));
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} golden directories were found");
}

/// Holds what came out of a directory's input against what it expects.
fn check(case: &Path, outcome: Result<UnitFiles, String>) {
    let actual = match outcome {
        Ok(files) => {
            for (path, text) in &files {
                assert_eq!(Unit::parse(text).map(|unit| unit.to_string()).as_ref(), Ok(text), "{path}");
            }
            files.into_iter().map(|(path, text)| (place_on_disk(&path), text)).collect()
        }
        Err(words) => BTreeMap::from([(PathBuf::from("refused.txt"), format!("{words}\n"))]),
    };
    golden::check(case, &actual, &read_expected(case));
}

fn units(input: &Input) -> Result<UnitFiles, Box<dyn Error>> {
    let project = Project {
        id: ProjectId(1),
        slug: Slug::parse(&input.project)?,
        team: TeamId::FIRST,
        subnet: Subnet::around(input.subnet),
    };
    let image = ImageId::parse(&input.image)?;
    let deployment = deployment(input, &image)?;
    let name = deployment.unit_name();
    let variable = |(index, InputVariable { name: key, value, secret }): (usize, &InputVariable)| {
        Ok(CarriedVariable::of(&name, index, &EnvKey::parse(key)?, value, *secret))
    };
    let variables = input.variables.iter().enumerate().map(variable);
    let file = |(index, path): (usize, &String)| Ok(CarriedFile::of(&name, index, &MountPath::parse(path)?));
    let files = input.files.iter().enumerate().map(file);
    let release = app::Release {
        project: &project,
        deployment: &deployment,
        image: &image,
        addresses: &deployment.addresses,
        enabled: true,
        features: PodmanFeatures::of(&input.podman)?,
        variables: &variables.collect::<Result<Vec<_>, Box<dyn Error>>>()?,
        files: &files.collect::<Result<Vec<_>, Box<dyn Error>>>()?,
    };
    let mut files = project::network(&project)?;
    files.extend(app::handle(&deployment.app_slug)?);
    files.extend(app::release(&release)?);
    for input in &input.jobs {
        let job = input.job(&deployment)?;
        files.extend(match input.address {
            Some(address) => job::fresh(&release, &job, address)?,
            None => job::running(&release, &job, Path::new("/usr/local/bin/rivetr"))?,
        });
        files.extend(job::timer(&job)?);
    }
    Ok(files)
}

impl InputJob {
    fn job(&self, deployment: &Deployment) -> Result<Job, Box<dyn Error>> {
        let plan = JobPlan {
            name: Slug::parse(&self.name)?,
            schedule: Schedule::parse(&self.schedule)?,
            zone: self.zone.as_deref().map(Zone::parse).transpose()?,
            command: Words::new(self.command.clone())?,
            place: if self.address.is_some() { JobPlace::Fresh } else { JobPlace::Running },
            limit: JobPlan::LIMIT,
            catch_up: self.catch_up,
            enabled: true,
        };
        let app_slug = deployment.app_slug.clone();
        Ok(Job { id: JobId(1), app: AppId(1), app_slug, plan, created: Timestamp(0) })
    }
}

fn deployment(input: &Input, image: &ImageId) -> Result<Deployment, Box<dyn Error>> {
    let mut settings = Settings::new(input.port);
    let mut errors = FieldErrors::default();
    input.runtime.clone().lay_over(&mut settings.runtime, &mut errors);
    if let Some((field, why)) = errors.0.into_iter().next() {
        return Err(format!("{field}: {why}").into());
    }
    Ok(Deployment {
        id: DeploymentId(1),
        app: AppId(1),
        app_slug: Slug::parse(&input.app)?,
        number: input.number,
        trigger: Trigger::Push,
        back_to: None,
        reason: None,
        settings,
        commit: Some(CommitId::parse(&input.commit)?),
        digest: None,
        image: Some(image.clone()),
        addresses: vec![input.address],
        state: State::Starting,
        failure: None,
        created: Timestamp(0),
        ended: None,
    })
}

fn place_on_disk(path: &UnitPath) -> PathBuf {
    let place = match path.place() {
        Place::Quadlet => "quadlet",
        Place::Systemd => "systemd",
    };
    Path::new("expected").join(place).join(path.folder().unwrap_or_default()).join(path.file())
}

fn read_expected(case: &Path) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let mut open = vec![case.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with("input.toml") {
                let text = fs::read_to_string(&path).unwrap();
                files.insert(path.strip_prefix(case).unwrap().to_owned(), text);
            }
        }
    }
    files
}
