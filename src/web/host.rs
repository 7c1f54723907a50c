//! The host, for those who look after it: the doctor, what takes room on disk, the units of everything, and what is
//! configured.
//!
//! Each of these takes time, so each is a page of its own, which the first one fetches once it is there.

mod drift;
mod units;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::error::PageError;
use super::shell::{Hx, Shell, Visit};
use super::view::{self, Mark};
use super::{Route, Web};
use crate::auth::gate::Administer;
use crate::engine::{Check, CheckStatus, Configuration, DiskUse, Engine, readable_bytes};

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

#[derive(Template)]
#[template(path = "host/config.html")]
struct ConfigPage {
    shell: Shell,
    configuration: Configuration,
}

#[derive(Template)]
#[template(path = "host/config-part.html")]
struct ConfigPart {
    configuration: Configuration,
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
    used: String,
    free: String,
    /// Of a hundred.
    taken: Option<u64>,
    rows: Vec<(&'static str, &'static str, Option<String>)>,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    let mut routes =
        vec![Route::get("/host", index), Route::get("/host/doctor", doctor), Route::get("/host/disk", disk)];
    routes.push(Route::get("/host/config", config));
    routes.extend(units::routes());
    routes.extend(drift::routes());
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

async fn config(
    _: Visit<Administer>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
) -> Result<Response, PageError> {
    let configuration = engine.configuration().clone();
    if hx.fragment {
        return view::show(&ConfigPart { configuration });
    }
    view::show(&ConfigPage { shell, configuration })
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
        Self {
            used: said(room.map(|room| room.used)).unwrap_or_else(unknown),
            free: said(room.map(|room| room.free)).unwrap_or_else(unknown),
            taken: room.and_then(|room| room.percent()),
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
    use crate::engine::Configured;

    #[test]
    fn what_is_configured_comes_with_who_said_so() {
        let key = |name, value, from: &str| Configured {
            section: "build",
            name,
            about: "<b>what it is for</b>",
            value,
            from: from.to_owned(),
            variable: String::new(),
        };
        let keys = vec![
            key("memory_mb", serde_json::json!(512), "/etc/rivetr/rivetr.toml:3"),
            key("cache", serde_json::Value::Null, "default"),
        ];
        let configuration = Configuration { files: vec!["/etc/rivetr/rivetr.toml".to_owned()], keys };
        let html = ConfigPart { configuration }.render().unwrap();
        for words in ["[build] memory_mb", ">512<", "rivetr.toml:3<", "not set", ">default<"] {
            assert!(html.contains(words), "{words}: {html}");
        }
        assert!(!html.contains("<b>"), "{html}");
    }

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
