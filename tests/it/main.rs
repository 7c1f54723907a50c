//! Tests that drive the real thing: a throw-away host with its own systemd and Podman, fresh for each test.
//!
//! `RIVETR_TEST_SUITE` (trixie, forky) and `RIVETR_TEST_MODE` (rootless, rootful) choose the host; `./dev test`
//! goes through all of them.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "tests drive rivetr from outside, and whatever goes wrong ends the test"
)]

mod backups;
mod boot;
mod certs;
mod chaos;
mod commands;
mod compose;
mod database_images;
mod databases;
mod deployments;
mod docs;
mod doctor;
mod domains;
mod doors;
mod drift;
mod exec;
mod export;
mod failures;
mod faults;
mod first_steps;
mod host;
mod images;
mod instance;
mod jobs;
#[path = "../support/nasty_values.rs"]
mod nasty;
mod oneoff;
mod options;
mod outages;
mod packages;
mod projects;
mod pushes;
mod recipes;
mod relay;
mod replicas;
mod rollback;
mod s3;
mod seeing;
mod services;
mod services_git;
mod services_sources;
mod setup;
mod sources;
mod switches;
mod teams;
mod units;
mod upgrade;
mod uploads;
mod variables;
mod volume_backups;
mod volumes;
mod webhooks;
