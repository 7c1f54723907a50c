//! A stream of events that goes on over a broken connection: it asks again from the last event it has seen.

use std::collections::VecDeque;
use std::time::Duration;

use http::{Method, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::connection::Connection;
use super::error::ClientError;
use super::sse::{Event, Parser};
use super::{ANSWER_LIMIT, ANSWER_MAX, Client};

/// How long a stream may be silent: rivetr sends a comment at least every 15 s, so this one is dead.
const SILENCE_LIMIT: Duration = Duration::from_mins(1);
/// The pauses before each attempt to connect again, in milliseconds; together longer than a restart takes.
const PAUSES_MS: [u64; 7] = [0, 100, 300, 1000, 2000, 4000, 8000];
/// A connection that held this long was a good one: the next break starts with the shortest pause again.
const STEADY: Duration = Duration::from_secs(10);

/// How a stream tells that it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// With an event named `end`: anything else is a break.
    WithEvent,
    /// With its last byte.
    WithStream,
}

/// A stream of events.
///
/// A break is mended unseen with `Last-Event-ID`, as long as every event so far carried an id.
pub struct Events {
    client: Client,
    path: String,
    ends: Ends,
    connection: Option<Open>,
    pauses: Pauses,
    waiting: VecDeque<Event>,
    resume: Resume,
    over: bool,
}

/// A connection on which events arrive.
struct Open {
    _connection: Connection,
    body: Incoming,
    parser: Parser,
    since: Instant,
}

/// From where a broken stream goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Resume {
    /// Nothing was seen yet.
    Start,
    /// After the event with this id.
    After(String),
    /// Events came without an id: asking again would repeat them.
    Never,
}

impl Events {
    pub(super) async fn open(client: Client, path: String, ends: Ends) -> Result<Self, ClientError> {
        let mut events = Self {
            client,
            path,
            ends,
            connection: None,
            pauses: Pauses::default(),
            waiting: VecDeque::new(),
            resume: Resume::Start,
            over: false,
        };
        events.connect().await?;
        Ok(events)
    }

    /// The next event; none: the stream is over. The event named `end` is handed out as well.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.over |= self.ends == Ends::WithEvent && event.name == "end";
                return Ok(Some(event));
            }
            if self.over {
                return Ok(None);
            }
            match self.read().await {
                Ok(()) => {}
                Err(error) if error.passes() && self.resume != Resume::Never => self.mend(error).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads until something came, be it only a comment.
    async fn read(&mut self) -> Result<(), ClientError> {
        let target = self.client.target();
        let Some(Open { body, parser, since, .. }) = &mut self.connection else {
            return Err(ClientError::broken(target, "it is closed"));
        };
        let frame = tokio::time::timeout(SILENCE_LIMIT, body.frame()).await;
        let frame = frame.map_err(|_| ClientError::broken(target, "it went silent"))?;
        if since.elapsed() >= STEADY {
            self.pauses.reset();
        }
        let Some(frame) = frame else {
            if self.ends == Ends::WithStream {
                self.over = true;
                return Ok(());
            }
            return Err(ClientError::broken(target, "it ended too early"));
        };
        let frame = frame.map_err(|source| ClientError::broken(target, source))?;
        let Some(bytes) = frame.data_ref() else { return Ok(()) };
        let (waiting, resume, pauses) = (&mut self.waiting, &mut self.resume, &mut self.pauses);
        let taken = parser.push(bytes, |event, id| {
            let after = id.map(|id| Resume::After(id.to_owned()));
            *resume = after.unwrap_or(Resume::Never);
            pauses.reset();
            waiting.push_back(event);
        });
        taken.map_err(|_| ClientError::NotRivetr { target: target.clone() })
    }

    /// Connects again, with growing pauses; gives up with what is wrong by then.
    async fn mend(&mut self, broken: ClientError) -> Result<(), ClientError> {
        self.connection = None;
        let mut last = broken;
        while let Some(pause) = self.pauses.next() {
            tokio::time::sleep(pause).await;
            match self.connect().await {
                Ok(()) => return Ok(()),
                Err(error) if error.passes() => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        let target = self.client.target().clone();
        let mut request = self.client.request(Method::GET, &self.path, "text/event-stream");
        if let Resume::After(id) = &self.resume {
            request = request.header("last-event-id", id);
        }
        let timed_out = |_| ClientError::TimedOut { target: target.clone(), limit: ANSWER_LIMIT };
        let exchange = async {
            let mut connection = Connection::open(&target, self.client.ca.as_deref()).await?;
            let response = connection.send(request.body(super::document(bytes::Bytes::new()))).await?;
            Ok((connection, response))
        };
        let (connection, response) =
            tokio::time::timeout(ANSWER_LIMIT, exchange).await.map_err(timed_out)??;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            let body = tokio::time::timeout(ANSWER_LIMIT, Limited::new(body, ANSWER_MAX).collect()).await;
            let body = body.map_err(timed_out)?.map_err(|source| ClientError::broken(&target, source))?;
            return Err(ClientError::of_status(&target, head.status, &body.to_bytes()));
        }
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            return Err(ClientError::NotRivetr { target });
        }
        self.connection =
            Some(Open { _connection: connection, body, parser: Parser::default(), since: Instant::now() });
        Ok(())
    }
}

/// The pauses between attempts that follow one another without any success between them.
#[derive(Debug, Default)]
struct Pauses {
    taken: usize,
}

impl Pauses {
    /// The next pause; none: it was tried often enough.
    fn next(&mut self) -> Option<Duration> {
        let pause = PAUSES_MS.get(self.taken)?;
        self.taken += 1;
        Some(Duration::from_millis(*pause))
    }

    fn reset(&mut self) {
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_end_unless_one_succeeds() {
        let mut pauses = Pauses::default();
        let all: Vec<Duration> = std::iter::from_fn(|| pauses.next()).collect();
        assert_eq!(all.len(), PAUSES_MS.len());
        assert!(all.is_sorted());
        assert_eq!(pauses.next(), None);
        pauses.reset();
        assert_eq!(pauses.next(), Some(Duration::ZERO));
    }
}
