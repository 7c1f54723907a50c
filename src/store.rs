//! What rivetr knows, in one SQLite file: projects, apps, variables, deployments, domains, addresses,
//! tokens, webhooks, sign-ins at registries, certificates, people.
//!
//! [`Writer`] is one thread and every change is one transaction, on the disk before a call returns.
//! [`Reader`] is a few connections that cannot write and see one moment each. SQL lives here and
//! nowhere else; rows and their JSON have their own forms, so that the domain needs none.

mod address;
mod app;
mod audit;
mod backup;
mod certificate;
mod change;
mod damage;
mod database;
mod delivery;
mod deployment;
mod domain;
mod error;
mod former_app;
mod invitation;
mod job;
mod key;
mod link;
mod migrate;
mod mount;
mod object;
mod one_off;
mod open;
mod outline;
mod people;
mod project;
mod quota;
mod reader;
mod registry;
mod reseal;
mod resident;
mod route;
mod row;
mod scale;
mod second_factor;
mod service;
mod session;
mod settings;
mod source;
mod team;
mod token;
mod traffic;
mod unit_file;
mod user;
mod variable;
mod webhook;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod testing;

pub use address::AllocateError;
pub use app::{CreateAppError, DeleteAppError, SetHostError, SetSourceError};
pub use audit::{AuditFilter, AuditRow, Chain, Entry};
pub use backup::{
    BackupError, BackupHead, BackupKey, BackupsOf, DataOf, DestinationError, NewBackup, StoredDestination,
};
pub use certificate::{AskCertificateError, OrderBegun};
pub use change::ChangeAppError;
pub use damage::cure;
pub use database::{DatabaseError, LinkError, NewDatabase};
pub use delivery::{NewDelivery, Taken};
pub use deployment::{EnqueueError, Enqueued, Return, SaveError, Wish};
pub use domain::DomainError;
pub use error::StoreError;
pub use invitation::{Entrant, Invitation, InvitationId, NewInvitation};
pub use job::{JobError, NotedRun, RunEvent};
pub use key::{CreateKeyError, DeleteKeyError};
pub use migrate::MigrateError;
pub use mount::SetFileError;
pub use object::Object;
pub use one_off::BeginOneOffError;
pub use open::{OpenError, check, is_fresh, open, rehearse};
pub use outline::Outline;
pub use people::{By, PeopleError};
pub use project::{ChangeProjectError, CreateProjectError, InvalidPool, SubnetPool};
pub use reader::Reader;
pub use registry::Registry;
pub use reseal::Resealed;
pub use scale::ScaleError;
pub use service::{NewRevision, ReadRevision, ServiceError};
pub use session::{Begin, Factor, Over, Session, SessionId};
pub use team::{Member, Team};
pub use token::{NewToken, Token, TokenId};
pub use traffic::SetTrafficError;
pub use user::{Account, PasswordHash, Totp, User};
pub use variable::SetVariablesError;
pub use writer::Writer;
