//! Streams of pages: fragments are rendered again when something has happened, and sent when they differ.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::pin::Pin;
use std::time::Duration;

use askama::Template;
use axum::BoxError;
use axum::extract::FromRef;
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::PageError;
use super::{Stopping, Web};
use crate::api::events;
use crate::auth::{Auth, Caller, Person};
use crate::engine::{Engine, Stir};
use crate::store::Reader;

/// How often a page is looked at again without anything having happened: what it says of times grows old.
const TICK: Duration = Duration::from_secs(20);
/// How often what makes no event is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long is waited for more after something has happened.
const GATHER: Duration = Duration::from_millis(150);

/// What a stream needs.
#[derive(Clone)]
pub(super) struct Live {
    pub engine: Engine,
    pub reader: Reader,
    auth: Auth,
    stopping: Stopping,
}

impl FromRef<Web> for Live {
    fn from_ref(web: &Web) -> Self {
        let Web { engine, reader, auth, stopping } = web.clone();
        Self { engine, reader, auth, stopping }
    }
}

impl Live {
    /// Answers with events, as long as the person may read them and rivetr runs.
    pub fn answer<S>(self, person: Person, events: S) -> Response
    where
        S: Stream<Item = Result<Event, BoxError>> + Send + 'static,
    {
        let events = events.inspect(|event| {
            if let Err(error) = event {
                tracing::warn!(%error, "the stream of a page broke off");
            }
        });
        events::answer(events, self.auth, Caller::Person(person), self.stopping.0).into_response()
    }

    /// Beats once at once, after each stir that counts, and now and then.
    pub fn beats<F>(&self, counts: F) -> impl Stream<Item = ()> + Send + 'static + use<F>
    where
        F: Fn(&Stir) -> bool + Send + 'static,
    {
        let stirs = Box::pin(self.engine.stirs().filter(move |stir| std::future::ready(counts(stir))));
        stream::unfold((stirs, true), |(mut stirs, is_first)| async move {
            if is_first {
                return Some(((), (stirs, false)));
            }
            if let Ok(None) = timeout(TICK, stirs.next()).await {
                return None;
            }
            let until = Instant::now() + GATHER;
            while let Ok(Some(_)) = timeout_at(until, stirs.next()).await {}
            Some(((), (stirs, false)))
        })
    }

    /// Beats once at once, after each stir, and every few seconds: for what makes no event while it goes on, such as a pull.
    pub fn looks(&self) -> Pin<Box<dyn Stream<Item = ()> + Send>> {
        let ticks = stream::unfold((), |()| async {
            tokio::time::sleep(LOOK_EVERY).await;
            Some(((), ()))
        });
        Box::pin(stream::select(self.beats(|_| true), ticks))
    }
}

/// What a stream has sent: each fragment under its name.
#[derive(Default)]
pub(super) struct Sent(HashMap<String, u64>);

impl Sent {
    /// The event that shows a fragment, if it differs from what was sent under that name.
    pub fn event(&mut self, name: &str, fragment: &impl Template) -> Result<Option<Event>, PageError> {
        let html = fragment.render().map_err(PageError::internal)?;
        let hash = hash(&html);
        if self.0.insert(name.to_owned(), hash) == Some(hash) {
            return Ok(None);
        }
        Ok(Some(Event::default().event(name).data(html)))
    }

    /// The event that shows a fragment, whatever was sent.
    pub fn anew(&mut self, name: &str, fragment: &impl Template) -> Result<Option<Event>, PageError> {
        self.0.remove(name);
        self.event(name, fragment)
    }

    /// Takes a fragment for sent.
    pub fn took(&mut self, name: &str, fragment: &impl Template) -> Result<(), PageError> {
        let html = fragment.render().map_err(PageError::internal)?;
        self.0.insert(name.to_owned(), hash(&html));
        Ok(())
    }
}

/// A number that tells two things apart, within one run of rivetr.
pub(super) fn hash(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Events in the order in which they were made; what could not be made ends the stream.
pub(super) fn flat<S>(batches: S) -> impl Stream<Item = Result<Event, BoxError>> + Send + 'static
where
    S: Stream<Item = Result<Vec<Event>, PageError>> + Send + 'static,
{
    batches.flat_map(|batch| {
        stream::iter(match batch {
            Ok(events) => events.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(BoxError::from(format!("{error:?}")))],
        })
    })
}
