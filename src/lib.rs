//! rivetr: `git push`, and the app runs as an ordinary systemd unit on your own host.
//!
//! In reading order; a module names only modules above it, except `daemon`, which puts them together.

// What it is about.
pub mod domain;
pub mod files;
pub mod vault;
// Decisions, as pure values.
pub mod build;
pub mod compose;
pub mod plan;
pub mod quadlet;
// What is kept, this machine, and the world outside.
pub mod host;
pub mod remote;
pub mod store;
// The data plane.
pub mod proxy;
// The verbs.
pub mod engine;
// The faces.
pub mod api;
pub mod auth;
pub mod cli;
pub mod config;
pub mod web;
// All of it together.
pub mod daemon;

// What tests of several modules share.
#[cfg(test)]
#[path = "../tests/support/reference.rs"]
mod reference;
