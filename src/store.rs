//! What rivetr knows, in one SQLite file: projects, apps, deployments, hosts, addresses, tokens.
//!
//! [`Writer`] is one thread and every change is one transaction, on the disk before a call returns.
//! [`Reader`] is a few connections that cannot write and see one moment each. SQL lives here and
//! nowhere else; rows and their JSON have their own forms, so that the domain needs none.

mod address;
mod app;
mod deployment;
mod error;
mod migrate;
mod open;
mod project;
mod reader;
mod route;
mod row;
mod scale;
mod settings;
mod source;
mod token;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod testing;

pub use address::AllocateError;
pub use app::{CreateAppError, DeleteAppError, SetHostError};
pub use deployment::{EnqueueError, Enqueued, Return, SaveError};
pub use error::StoreError;
pub use migrate::MigrateError;
pub use open::{OpenError, is_fresh, open};
pub use project::{EnsureProjectError, InvalidPool, SubnetPool};
pub use reader::Reader;
pub use scale::ScaleError;
pub use token::{Token, TokenId};
pub use writer::Writer;
