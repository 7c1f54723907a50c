//! The connection to the bus: kept, drained by one task, and made again when the bus comes back.
//!
//! zbus delivers nothing at all while any stream of a connection is full, replies included. So there is
//! one stream, one task that reads it, and everybody else listens to the channels of [`Signals`].

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{broadcast, watch};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use zbus::proxy::CacheProperties;
use zbus::{Connection, Message, MessageStream, OwnedObjectPath, OwnedVariant};
use zbus_systemd::systemd1::ManagerProxy;

use super::error::{BusError, JobResult};
use super::status::{self, ActiveState};
use super::{CALL_LIMIT, ask};

/// Signals held for a listener that is slow; one that is slower is told that it missed some.
const BACKLOG: usize = 1024;

/// Messages held for the draining task, which never waits for anything but the next one.
const QUEUE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(5);

/// What is listened to, the noisy one last: its answer is then the last thing that is waited for undrained.
const MATCHES: [&str; 3] = [
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',\
     member='NameOwnerChanged',arg0='org.freedesktop.systemd1'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',\
     member='JobRemoved'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.DBus.Properties',\
     member='PropertiesChanged',path_namespace='/org/freedesktop/systemd1/unit',\
     arg0='org.freedesktop.systemd1.Unit'",
];

/// Something that happened to the units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// One unit is in a new state.
    Unit(UnitChange),
    /// The connection was made anew: any unit may have changed meanwhile.
    Missed,
}

/// The state that a unit has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitChange {
    /// The unit.
    pub unit: String,
    /// Its state.
    pub active_state: ActiveState,
    /// The state in its kind's own words: `running`, `exited`, `auto-restart`.
    pub sub_state: String,
    /// Whether a job is still under way.
    pub job_pending: bool,
}

#[derive(Debug, Clone)]
pub(super) enum JobEvent {
    Removed { job: OwnedObjectPath, result: JobResult },
    Lost,
}

/// Where everything that the draining task hears goes, and where the current connection is found.
pub(super) struct Signals {
    address: String,
    current: watch::Sender<Current>,
    jobs: broadcast::Sender<JobEvent>,
    changes: broadcast::Sender<Change>,
}

impl Signals {
    pub(super) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            current: watch::Sender::new(Current::Down("not connected yet".to_owned())),
            jobs: broadcast::Sender::new(BACKLOG),
            changes: broadcast::Sender::new(BACKLOG),
        }
    }

    pub(super) fn jobs(&self) -> broadcast::Receiver<JobEvent> {
        self.jobs.subscribe()
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// The manager on the current connection, or on the next one if that comes in time.
    pub(super) async fn manager(&self, limit: Duration) -> Result<ManagerProxy<'static>, BusError> {
        let mut current = self.current.subscribe();
        let up = current.wait_for(|current| matches!(current, Current::Up(_)));
        match tokio::time::timeout(limit, up).await {
            Ok(Ok(found)) => found.manager().map_err(|cause| self.unreachable(cause)),
            Ok(Err(_)) | Err(_) => Err(self.unreachable(match &*self.current.borrow() {
                Current::Up(_) => "the connection has only now been made anew".to_owned(),
                Current::Down(cause) => cause.clone(),
            })),
        }
    }

    fn unreachable(&self, cause: String) -> BusError {
        BusError::Unreachable { address: self.address.clone(), cause }
    }

    async fn open(&self) -> Result<(ManagerProxy<'static>, MessageStream), BusError> {
        let built = zbus::connection::Builder::address(self.address.as_str()).max_queued(QUEUE).build();
        let connection = tokio::time::timeout(CALL_LIMIT, built)
            .await
            .map_err(|_elapsed| self.unreachable("the bus does not answer".to_owned()))?
            .map_err(|cause| self.unreachable(cause.to_string()))?;
        let stream = MessageStream::from(&connection);
        // A cache would listen to signals of its own.
        let uncached = ManagerProxy::builder(&connection).cache_properties(CacheProperties::No);
        let manager = ask("Hello", CALL_LIMIT, uncached.build()).await?;
        ask("Subscribe", CALL_LIMIT, manager.subscribe()).await?;
        for rule in MATCHES {
            add_match(&connection, rule).await?;
        }
        Ok((manager, stream))
    }

    /// Hears until the connection is of no use any more.
    async fn drain(&self, mut stream: MessageStream) {
        while let Some(Ok(message)) = stream.next().await {
            match self.hear(&message) {
                Ok(Heard::GoOn) => {}
                Ok(Heard::NewManager) => return,
                Err(problem) => tracing::warn!(problem, "a message from systemd could not be read"),
            }
        }
    }

    fn hear(&self, message: &Message) -> Result<Heard, String> {
        let header = message.header();
        let body = message.body();
        match header.member().map(zbus::names::MemberName::as_str) {
            Some("JobRemoved") => {
                let (_id, job, _unit, result): (u32, OwnedObjectPath, String, String) =
                    body.deserialize().map_err(|error| error.to_string())?;
                // An error says that nobody is waiting for a job.
                self.jobs.send(JobEvent::Removed { job, result: JobResult::parse(&result) }).ok();
            }
            Some("PropertiesChanged") => {
                let (_interface, properties, _stale): (String, HashMap<String, OwnedVariant>, Vec<String>) =
                    body.deserialize().map_err(|error| error.to_string())?;
                let path = header.path().map(zbus::ObjectPath::as_str).unwrap_or_default();
                if let Some(change) = status::change(path, properties) {
                    // An error says that nobody is listening.
                    self.changes.send(Change::Unit(change)).ok();
                }
            }
            Some("NameOwnerChanged") => {
                let (_name, _old, new): (String, String, String) =
                    body.deserialize().map_err(|error| error.to_string())?;
                if !new.is_empty() {
                    return Ok(Heard::NewManager);
                }
            }
            _ => {}
        }
        Ok(Heard::GoOn)
    }
}

/// The connection of this moment, or why there is none.
enum Current {
    Up(ManagerProxy<'static>),
    Down(String),
}

impl Current {
    fn manager(&self) -> Result<ManagerProxy<'static>, String> {
        match self {
            Self::Up(manager) => Ok(manager.clone()),
            Self::Down(cause) => Err(cause.clone()),
        }
    }
}

enum Heard {
    GoOn,
    /// Another manager has taken the name, and knows nothing of our subscription.
    NewManager,
}

/// Connects, and keeps connected until the handle is dropped. Fails only if the first attempt does.
pub(super) async fn keep(signals: Arc<Signals>) -> Result<AbortOnDropHandle<()>, BusError> {
    let mut link = signals.open().await?;
    signals.current.send_replace(Current::Up(link.0.clone()));
    let keeper = TaskTracker::new().spawn(async move {
        loop {
            signals.drain(link.1).await;
            tracing::warn!(address = signals.address, "the connection to systemd ended; connecting again");
            signals.current.send_replace(Current::Down("the connection ended".to_owned()));
            link = reopen(&signals).await;
            signals.current.send_replace(Current::Up(link.0.clone()));
            // Errors say that nobody is waiting.
            signals.jobs.send(JobEvent::Lost).ok();
            signals.changes.send(Change::Missed).ok();
            tracing::info!(address = signals.address, "connected to systemd again");
        }
    });
    Ok(AbortOnDropHandle::new(keeper))
}

async fn reopen(signals: &Signals) -> (ManagerProxy<'static>, MessageStream) {
    let mut pause = RETRY_FIRST;
    loop {
        match signals.open().await {
            Ok(link) => return link,
            Err(error) => signals.current.send_replace(Current::Down(error.to_string())),
        };
        tokio::time::sleep(pause).await;
        pause = RETRY_LAST.min(pause * 2);
    }
}

async fn add_match(connection: &Connection, rule: &str) -> Result<(), BusError> {
    const BUS: &str = "org.freedesktop.DBus";
    let added = connection.call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), "AddMatch", &rule);
    ask("AddMatch", CALL_LIMIT, added).await?;
    Ok(())
}
