//! What rivetr is about: names, projects, apps, deployments, domains, routes, rights.
//!
//! No input or output, no async, no clock, no serde: values and the moves they allow.

pub mod app;
pub mod backup;
pub mod build;
pub mod certificate;
pub mod database;
pub mod deployment;
pub mod diff;
#[expect(clippy::module_inception, reason = "a domain of an app is what people call it")]
pub mod domain;
pub mod dotenv;
pub mod drift;
pub mod health;
pub mod image;
pub mod instructions;
pub mod job;
pub mod key;
pub mod mount;
pub mod name;
pub mod one_off;
pub mod person;
pub mod project;
pub mod quota;
pub mod right;
pub mod route;
pub mod runtime;
pub mod s3;
pub mod secret;
pub mod service;
pub mod source;
pub mod stack;
pub mod template;
pub mod time;
pub mod traffic;
pub mod variable;
pub mod volume;
pub mod watch;
pub mod webhook;
