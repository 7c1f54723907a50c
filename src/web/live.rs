//! Streams of pages: fragments are rendered again when something has happened, and sent when they differ.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

use askama::Template;
use axum::BoxError;
use axum::extract::FromRef;
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::error::PageError;
use super::shell::Shell;
use super::{Stopping, Web};
use crate::api::events;
use crate::auth::{Auth, Caller, Person};
use crate::engine::Engine;
use crate::store::Reader;

/// How often a page is looked at again without anything having happened: what it says of times grows old.
const TICK: Duration = Duration::from_secs(20);
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

    /// Looks at once, whenever something has happened, and now and then; what differs from what was sent is sent.
    pub fn follow<L: Look>(
        &self,
        look: L,
    ) -> impl Stream<Item = Result<Event, BoxError>> + Send + 'static + use<L> {
        let first = (Box::pin(self.beats()), Sent::default(), look);
        flat(stream::unfold(first, |(mut beats, mut sent, mut look)| async move {
            if look.is_over() {
                return None;
            }
            beats.next().await?;
            let events = match look.look(&mut sent).await {
                // The page of what has gone is about to be left, and a stream that ended would be asked for again.
                Err(PageError::NotFound) => Ok(Vec::new()),
                other => other,
            };
            Some((events, (beats, sent, look)))
        }))
    }

    /// Beats once at once, after each stir, and now and then.
    fn beats(&self) -> impl Stream<Item = ()> + Send + 'static + use<> {
        let stirs = Box::pin(self.engine.stirs());
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
}

/// What a page shows of something that changes while somebody looks.
pub(super) trait Look: Send + 'static {
    /// The events that bring the page up to date. An error ends the stream, but for one that says that it has gone.
    fn look(&mut self, sent: &mut Sent) -> impl Future<Output = Result<Vec<Event>, PageError>> + Send;

    /// Whether nothing of it will ever change again.
    fn is_over(&self) -> bool {
        false
    }
}

/// Who has which page open.
pub(super) struct Viewer {
    /// What is looked at.
    pub live: Live,
    /// What stands around the page.
    pub shell: Shell,
    /// Who looks.
    pub person: Person,
    /// What the page is about, as its address names it.
    pub id: String,
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

/// What is asked for only when something may have become of it, however often the page is looked at.
pub(super) struct Remembered<T> {
    stirs: watch::Receiver<()>,
    known: Option<T>,
}

impl<T> Remembered<T> {
    /// Nothing is known yet; `stirs` hears of it when something has become of it.
    pub fn new(stirs: watch::Receiver<()>) -> Self {
        Self { stirs, known: None }
    }

    /// What is known, asked for with `ask` if that may be other than before.
    pub async fn get<E>(&mut self, ask: impl Future<Output = Result<T, E>>) -> Result<&T, E> {
        // Once nothing can become of it any more, what is known holds.
        if self.stirs.has_changed().unwrap_or(false) {
            self.known = None;
        }
        let known = if let Some(known) = self.known.take() {
            known
        } else {
            // What happens from here on is asked for at the next look.
            self.stirs.borrow_and_update();
            ask.await?
        };
        Ok(self.known.insert(known))
    }
}

/// A number that tells two things apart, within one run of rivetr.
pub(super) fn hash(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Events in the order in which they were made; what could not be made ends the stream.
fn flat<S>(batches: S) -> impl Stream<Item = Result<Event, BoxError>> + Send + 'static
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nothing_has_become_of_is_asked_for_once() {
        let stirs = watch::Sender::new(());
        let mut page = Remembered::new(stirs.subscribe());
        let mut asked = 0;
        let mut look = async |page: &mut Remembered<i32>| {
            let ask = async {
                asked += 1;
                // The second time the store does not answer.
                if asked == 2 { Err(()) } else { Ok(asked) }
            };
            page.get(ask).await.copied()
        };
        assert_eq!(look(&mut page).await, Ok(1));
        assert_eq!(look(&mut page).await, Ok(1));
        stirs.send_replace(());
        assert_eq!(look(&mut page).await, Err(()));
        assert_eq!(look(&mut page).await, Ok(3), "what was not answered is asked again");
        stirs.send_replace(());
        stirs.send_replace(());
        assert_eq!(look(&mut page).await, Ok(4));
        drop(stirs);
        assert_eq!(look(&mut page).await, Ok(4));
    }

    #[tokio::test]
    async fn what_happens_while_it_is_asked_for_is_seen_at_the_next_look() {
        let stirs = watch::Sender::new(());
        let mut page = Remembered::new(stirs.subscribe());
        let ask = async {
            stirs.send_replace(());
            Ok::<_, ()>(1)
        };
        assert_eq!(page.get(ask).await, Ok(&1));
        assert_eq!(page.get(async { Ok::<_, ()>(2) }).await, Ok(&2));
    }
}
