//! What rivetr knows, in one SQLite file: projects, apps, variables, deployments, domains, addresses,
//! tokens, webhooks, sign-ins at registries, certificates.
//!
//! [`Writer`] is one thread and every change is one transaction, on the disk before a call returns.
//! [`Reader`] is a few connections that cannot write and see one moment each. SQL lives here and
//! nowhere else; rows and their JSON have their own forms, so that the domain needs none.

mod address;
mod app;
mod certificate;
mod change;
mod damage;
mod delivery;
mod deployment;
mod domain;
mod error;
mod key;
mod migrate;
mod mount;
mod one_off;
mod open;
mod project;
mod reader;
mod registry;
mod reseal;
mod route;
mod row;
mod scale;
mod settings;
mod source;
mod token;
mod traffic;
mod variable;
mod webhook;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod testing;

pub use address::AllocateError;
pub use app::{CreateAppError, DeleteAppError, SetHostError, SetSourceError};
pub use certificate::{AskCertificateError, OrderBegun};
pub use change::ChangeAppError;
pub use damage::cure;
pub use delivery::{NewDelivery, Taken};
pub use deployment::{EnqueueError, Enqueued, Return, SaveError, Wish};
pub use domain::DomainError;
pub use error::StoreError;
pub use key::{CreateKeyError, DeleteKeyError};
pub use migrate::MigrateError;
pub use mount::SetFileError;
pub use one_off::BeginOneOffError;
pub use open::{OpenError, is_fresh, open};
pub use project::{ChangeProjectError, CreateProjectError, InvalidPool, SubnetPool};
pub use reader::Reader;
pub use registry::Registry;
pub use reseal::Resealed;
pub use scale::ScaleError;
pub use token::{Token, TokenId};
pub use traffic::SetTrafficError;
pub use variable::SetVariablesError;
pub use writer::Writer;
