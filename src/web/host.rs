//! The host, for those who look after it: the doctor, what takes room on disk, and the units of everything.
//!
//! Each of these takes time, so each is a page of its own, which the first one fetches once it is there.

mod units;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::error::PageError;
use super::shell::{Hx, Shell, Visit};
use super::view::{self, Mark};
use super::{Route, Web};
use crate::auth::gate::Administer;
use crate::engine::{Check, CheckStatus, DiskUse, Engine, readable_bytes};

#[derive(Template)]
#[template(path = "host/index.html")]
struct Page {
    shell: Shell,
}

#[derive(Template)]
#[template(path = "host/doctor.html")]
struct DoctorPage {
    shell: Shell,
    doctor: Doctor,
}

#[derive(Template)]
#[template(path = "host/doctor-part.html")]
struct DoctorPart {
    shell: Shell,
    doctor: Doctor,
}

#[derive(Template)]
#[template(path = "host/disk.html")]
struct DiskPage {
    shell: Shell,
    disk: Disk,
}

#[derive(Template)]
#[template(path = "host/disk-part.html")]
struct DiskPart {
    disk: Disk,
}

/// What the doctor found, the worst first.
struct Doctor {
    verdict: Mark,
    checks: Vec<Found>,
}

struct Found {
    name: &'static str,
    mark: Mark,
    detail: String,
    cure: Option<String>,
}

/// What is on disk.
struct Disk {
    free: String,
    total: String,
    /// Of a hundred.
    taken: Option<u64>,
    rows: Vec<(&'static str, &'static str, Option<String>)>,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    let mut routes =
        vec![Route::get("/host", index), Route::get("/host/doctor", doctor), Route::get("/host/disk", disk)];
    routes.extend(units::routes());
    routes
}

async fn index(_: Visit<Administer>, shell: Shell) -> Result<Response, PageError> {
    view::show(&Page { shell })
}

async fn doctor(
    _: Visit<Administer>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
) -> Result<Response, PageError> {
    let health = engine.health().await;
    let doctor = Doctor::of(health.status(), health.checks);
    if hx.fragment {
        return view::show(&DoctorPart { shell, doctor });
    }
    view::show(&DoctorPage { shell, doctor })
}

async fn disk(
    _: Visit<Administer>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
) -> Result<Response, PageError> {
    let disk = Disk::of(&engine.disk_use().await);
    if hx.fragment {
        return view::show(&DiskPart { disk });
    }
    view::show(&DiskPage { shell, disk })
}

impl Doctor {
    fn of(status: CheckStatus, mut checks: Vec<Check>) -> Self {
        checks.sort_by_key(|check| std::cmp::Reverse(check.status));
        let found = |check: Check| Found {
            name: check.name,
            mark: mark(check.status),
            detail: check.detail,
            cure: check.cure,
        };
        Self { verdict: mark(status), checks: checks.into_iter().map(found).collect() }
    }
}

fn mark(status: CheckStatus) -> Mark {
    let mark = |class, icon, word| Mark { class, icon, word };
    match status {
        CheckStatus::Ok => mark("good", "ok", "well"),
        CheckStatus::Warn => mark("warn", "warn", "look at it"),
        CheckStatus::Fail => mark("bad", "failed", "does not work"),
    }
}

impl Disk {
    fn of(disk_use: &DiskUse) -> Self {
        let DiskUse { room, images, volumes, containers, database, backups, deployments, repositories } =
            *disk_use;
        let said = |bytes: Option<u64>| bytes.map(readable_bytes);
        let unknown = || "unknown".to_owned();
        let taken =
            room.and_then(|room| (room.total - room.free).saturating_mul(100).checked_div(room.total));
        Self {
            free: said(room.map(|room| room.free)).unwrap_or_else(unknown),
            total: said(room.map(|room| room.total)).unwrap_or_else(unknown),
            taken,
            rows: vec![
                ("Images", "of every app, layers that several have counted once", said(images)),
                ("Volumes", "what apps keep", said(volumes)),
                ("Containers", "what they have written into themselves", said(containers)),
                ("Deployments", "their logs, checkouts and uploads", said(deployments)),
                ("Repositories", "that are pushed to or fetched from", said(repositories)),
                ("Database", "apps, deployments, people, audit", said(database)),
                ("Copies of the database", "made before upgrades", said(backups)),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_zero() {
        let html = DiskPart { disk: Disk::of(&DiskUse::default()) }.render().unwrap();
        assert!(html.contains("unknown") && !html.contains("0.0"), "{html}");
    }

    #[test]
    fn the_worst_is_first_and_comes_with_its_cure() {
        let check = |name, status, cure: Option<&str>| Check {
            name,
            status,
            detail: "<img src=x onerror=alert(1)>".to_owned(),
            cure: cure.map(str::to_owned),
        };
        let checks = vec![
            check("podman", CheckStatus::Ok, None),
            check("disk", CheckStatus::Fail, Some("make room")),
            check("clock", CheckStatus::Warn, Some("set it")),
        ];
        let doctor = Doctor::of(CheckStatus::Fail, checks);
        let names: Vec<_> = doctor.checks.iter().map(|found| found.name).collect();
        assert_eq!(names, ["disk", "clock", "podman"]);
        let html = DoctorPart { shell: Shell::default(), doctor }.render().unwrap();
        assert!(html.contains("make room") && !html.contains("<img"), "{html}");
    }
}
