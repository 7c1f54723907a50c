//! Why a deployment could not be asked for, or moved on.

use thiserror::Error;

use crate::domain::deployment::IllegalMove;
use crate::domain::name::Slug;
use crate::store::StoreError;

/// Why a deployment could not be asked for.
#[derive(Debug, Error)]
pub enum EnqueueError {
    /// There is no such app.
    #[error("there is no such app")]
    NoApp,
    /// The app is being deleted.
    #[error("the app {0} is being deleted: it can be deployed no more")]
    Deleting(Slug),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a deployment's new state could not be stored; the stored one stands.
#[derive(Debug, Error)]
pub enum SaveError {
    /// Somebody else has moved it meanwhile; `from` is where it stands.
    #[error(transparent)]
    Stale(IllegalMove),
    /// It was deleted together with its app.
    #[error("this deployment does not exist any more: its app was deleted")]
    Gone,
    /// Another deployment of the app is at work.
    #[error("deployment {0} of the same app is still at work")]
    AnotherAtWork(u32),
    /// It cannot be made live without an address.
    #[error("this deployment has no address, so nothing can be sent to it")]
    NoAddress,
    /// Its app is being deleted, so it is not made live any more.
    #[error("the app {0} is being deleted")]
    Deleting(Slug),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
