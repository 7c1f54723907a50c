//! A job of an app as units: a service that runs its command once, in a container or by a container, and the timer
//! that starts the service.
//!
//! That two runs never overlap needs nothing: they are the same service.

use std::net::Ipv4Addr;
use std::path::Path;

use super::app::{self, Release};
use super::path::{Owner, UnitPath};
use super::unit::{Section, Unit};
use super::{QuadletError, UnitFiles, project};
use crate::domain::job::{Job, JobPlan};

const SERVICE: &str = include_str!("../../quadlets/job.service");
const TIMER: &str = include_str!("../../quadlets/job.timer");

/// Who starts rivetr's own program, whose path is not known before rivetr runs.
pub(super) const STARTER: &str = "/usr/bin/env";

/// A job in a container of its own: the live release's image, variables, files, volumes and network.
pub fn fresh(release: &Release<'_>, job: &Job, address: Ipv4Addr) -> Result<UnitFiles, QuadletError> {
    let name = job.unit_name();
    let JobPlan { command, limit, .. } = &job.plan;
    let mut unit = app::beside(release, &name, address, &app::runtime_beside(release))?;
    unit.section(Section::Unit).scalar("Description", &description(job))?;
    unit.section(Section::Container)
        .words("Exec", command.as_slice().iter().map(String::as_str))?
        // To the unit's own output, which the journal finds by the run.
        .raw("LogDriver", "passthrough")?
        .assignment("Label", "io.rivetr.job", job.plan.name.as_str())?
        // As with the commands of a deployment: removing the container ends what does not listen to the signal.
        .raw("PodmanArgs", "--sig-proxy=false")?;
    unit.section(Section::Service)
        .raw("Type", "oneshot")?
        .scalar("TimeoutStartSec", &limit.as_secs().to_string())?;
    let owner = Owner::Jobs(job.app_slug.clone());
    let (path, text) = app::finish(&unit, &owner, &name, release.features)?;
    Ok(UnitFiles::from([(path, text)]))
}

/// A job in the container of the live release. `program` is rivetr's own, which looks after the command.
pub fn running(release: &Release<'_>, job: &Job, program: &Path) -> Result<UnitFiles, QuadletError> {
    let container = release.deployment.unit_name();
    let JobPlan { command, limit, .. } = &job.plan;
    let name = job.unit_name();
    let program = program.to_string_lossy();
    let words = [&*program, "in-container", &container, "--as", &name, "--"];
    let words = words.into_iter().chain(command.as_slice().iter().map(String::as_str));
    let mut unit = Unit::parse(SERVICE)?;
    unit.section(Section::Unit)
        .scalar("Description", &description(job))?
        .scalar("After", &format!("{container}.service"))?;
    unit.section(Section::Service)
        .command("ExecStart", STARTER, words)?
        .scalar("TimeoutStartSec", &limit.as_secs().to_string())?
        .raw("Slice", &project::slice(&release.project.slug))?;
    Ok(UnitFiles::from([(UnitPath::systemd(&job.service())?, unit.to_string())]))
}

/// The timer of a job.
pub fn timer(job: &Job) -> Result<UnitFiles, QuadletError> {
    let JobPlan { schedule, zone, catch_up, .. } = &job.plan;
    let mut unit = Unit::parse(TIMER)?;
    unit.section(Section::Unit).scalar("Description", &format!("When {} runs", description(job)))?;
    let mut section = unit.section(Section::Timer);
    for calendar in schedule.calendars(zone.as_ref()) {
        section = section.scalar("OnCalendar", &calendar)?;
    }
    section.raw("Persistent", if *catch_up { "true" } else { "false" })?;
    Ok(UnitFiles::from([(UnitPath::systemd(&job.timer())?, unit.to_string())]))
}

/// Whether units can carry what a job says. Asked when it is set, long before there are any.
pub fn check(plan: &JobPlan) -> Result<(), QuadletError> {
    let words = || plan.command.as_slice().iter().map(String::as_str);
    let mut unit = Unit::default();
    unit.section(Section::Container).words("Exec", words())?;
    unit.section(Section::Service).command("ExecStart", STARTER, words())?;
    Ok(())
}

fn description(job: &Job) -> String {
    format!("the job {} of {}", job.plan.name, job.app_slug)
}
