//! What rivetr is about: names, projects, apps, deployments, routes, rights.
//!
//! No input or output, no async, no clock, no serde: values and the moves they allow.

pub mod app;
pub mod deployment;
pub mod image;
pub mod instructions;
pub mod name;
pub mod project;
pub mod right;
pub mod route;
pub mod secret;
pub mod source;
pub mod time;
