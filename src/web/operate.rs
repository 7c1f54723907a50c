//! Start, stop and restart of what runs: apps, databases and services, each by the same handler.

use axum::extract::{Path, State};
use axum::response::Response;

use super::error::PageError;
use super::form::Errors;
use super::shell::{Hx, Shell, Visit};
use super::{Route, Web, view};
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::Deploy;
use crate::engine::{Engine, EngineError};

/// What is done with something as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// What was stopped runs again.
    Start,
    /// It does not run until it is started.
    Stop,
    /// It is stopped and started.
    Restart,
}

/// A form that does something: its path, what it does, and how the audit calls that.
pub(super) type Operation = (&'static str, Act, &'static str);

/// Something that people start and stop.
pub(super) trait Operated: Sized + Send + Sync + 'static {
    /// What can be done with it.
    const OPERATIONS: &'static [Operation];

    /// The one of a name, if the person may know of it.
    fn find(
        engine: &Engine,
        person: &Person,
        id: &str,
    ) -> impl Future<Output = Result<Self, PageError>> + Send;

    /// What it is, in the words of the audit.
    fn object(&self) -> String;

    /// Where it is shown.
    fn path(&self) -> String;

    /// Does it.
    fn operate(&self, engine: &Engine, act: Act) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// The page of it, with why it was not done.
    fn refused(
        &self,
        engine: &Engine,
        shell: Shell,
        errors: Errors,
    ) -> impl Future<Output = Result<Response, PageError>> + Send;
}

/// A route for each thing that can be done.
pub(super) fn routes<O: Operated>() -> Vec<Route<Web>> {
    let route = |(path, act, action): Operation| {
        Route::post(
            path,
            move |visit: Visit<Deploy>,
                  shell: Shell,
                  hx: Hx,
                  State(engine): State<Engine>,
                  Path(id): Path<String>| {
                operated::<O>((act, action), visit, shell, hx, engine, id)
            },
        )
    };
    O::OPERATIONS.iter().copied().map(route).collect()
}

async fn operated<O: Operated>(
    (act, action): (Act, &'static str),
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    engine: Engine,
    id: String,
) -> Result<Response, PageError> {
    let what = O::find(&engine, &visit.person, &id).await?;
    // Before it is done: it may take longer than whoever asks waits.
    visit.record(Deed::new(action, what.object())).await;
    match what.operate(&engine, act).await {
        Ok(()) => Ok(view::go(hx, &what.path())),
        Err(error) => what.refused(&engine, shell, Errors::of_engine(error)?).await,
    }
}
