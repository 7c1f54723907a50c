//! This machine: its directories and programs, systemd, Podman, git and the journal.
//!
//! Decides nothing about apps: it does what it is told and reports what it saw.

pub mod addresses;
pub mod archive;
pub mod attend;
pub mod backups;
pub mod bundle;
pub mod calendar;
pub mod certificates;
pub mod cgroup;
pub mod checkout;
pub mod git;
pub mod instance;
pub mod journal;
pub mod layout;
pub mod podman;
pub mod process;
pub mod sockets;
pub mod spool;
pub mod subordinate;
pub mod survey;
pub mod systemd;
pub mod units;
pub mod workspace;
