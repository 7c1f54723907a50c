//! Puts a new table before every worker, and waits until each of them serves it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

use super::drain::Registry;
use super::metrics::micros;
use super::table::{Routes, Table, TableError, read};
use super::tls::Shelf;
use crate::domain::name::HostName;

/// How long workers may take to notice a table; they do within one turn of their loop.
const NOTICE: Duration = Duration::from_secs(5);
/// What a worker serves that has not begun.
const NONE: u64 = 0;
/// The sequence of the first table.
const FIRST: u64 = 1;

/// The key under which the control plane itself is routed.
const OWN_KEY: &str = "rivetr";

/// Why a table is not served.
#[derive(Debug, Error)]
pub(super) enum LoadError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("a worker of the proxy has ended or does not react; the proxy must be restarted")]
    Worker,
}

/// The table of this process, and the certificates that go with it.
pub(super) struct Board {
    path: PathBuf,
    shelf: Arc<Shelf>,
    pub(super) registry: Registry,
    tables: watch::Sender<Arc<Table>>,
    serving: Vec<watch::Receiver<u64>>,
    loading: Mutex<()>,
}

impl Board {
    /// A board with the routes on disk, before any worker accepts: a start must not answer 404 to anyone.
    /// Where they cannot be read it is empty, so that the control plane finds a proxy to give others to.
    pub(super) fn open(path: PathBuf, shelf: Arc<Shelf>) -> Self {
        let registry = Registry::default();
        let routes = read(&path).inspect(|routes| fill(&shelf, routes));
        let table = match routes {
            Ok(routes) => made(routes, FIRST, &registry),
            Err(error) => {
                tracing::error!(%error, "the proxy starts without routes");
                Table::empty(FIRST)
            }
        };
        Self {
            path,
            shelf,
            registry,
            tables: watch::Sender::new(Arc::new(table)),
            serving: Vec::new(),
            loading: Mutex::default(),
        }
    }

    /// What a worker needs to follow the board.
    pub(super) fn join(&mut self) -> (watch::Receiver<Arc<Table>>, watch::Sender<u64>) {
        let (serves, serving) = watch::channel(NONE);
        self.serving.push(serving);
        (self.tables.subscribe(), serves)
    }

    /// Each table that comes, and the one that is there.
    pub(super) fn follow(&self) -> watch::Receiver<Arc<Table>> {
        self.tables.subscribe()
    }

    /// The generation on the board.
    pub(super) fn generation(&self) -> u64 {
        self.tables.borrow().generation
    }

    /// What the table on the board cannot do.
    pub(super) fn flaws(&self) -> Vec<String> {
        self.tables.borrow().flaws.iter().map(|(_, flaw)| flaw.to_string()).collect()
    }

    /// Reads the routes; once this returns, every worker serves them. On an error the old ones stay.
    pub(super) async fn load(&self) -> Result<u64, LoadError> {
        let _one_loads = self.loading.lock().await;
        let routes = read(&self.path)?;
        // First, so that who hears of a new host is shown its certificate.
        fill(&self.shelf, &routes);
        self.put(routes).await
    }

    /// Waits until every worker serves what is on the board.
    pub(super) async fn settled(&self) -> Result<(), LoadError> {
        let sequence = self.tables.borrow().sequence;
        for serving in &self.serving {
            let mut serving = serving.clone();
            let noticed = timeout(NOTICE, serving.wait_for(|serves| *serves >= sequence)).await;
            let noticed = noticed.map_err(|_over| LoadError::Worker)?.is_ok();
            // One that has ended serves nobody: the proxy stops, and others of it still have requests in flight.
            if !noticed && *serving.borrow() == NONE {
                return Err(LoadError::Worker);
            }
        }
        Ok(())
    }

    async fn put(&self, routes: Routes) -> Result<u64, LoadError> {
        let sequence = self.tables.borrow().sequence + 1;
        let (count, began) = (routes.routes.len(), Instant::now());
        let table = made(routes, sequence, &self.registry);
        let (generation, made) = (table.generation, began.elapsed());
        let began = Instant::now();
        // Taken apart here: to the worker that lets go of it last it would be milliseconds in which it serves nobody.
        let before = self.tables.send_replace(Arc::new(table));
        self.settled().await?;
        let taken = began.elapsed();
        drop(before);
        self.registry.tidy();
        tracing::info!(
            generation,
            routes = count,
            made_us = micros(made),
            taken_us = micros(taken),
            "routes are served"
        );
        Ok(generation)
    }
}

/// A table; what it cannot do is said once.
fn made(routes: Routes, sequence: u64, registry: &Registry) -> Table {
    let table = Table::new(routes, sequence, registry);
    for (_, flaw) in &table.flaws {
        tracing::error!(generation = table.generation, "in the routes: {flaw}");
    }
    table
}

/// Takes up the certificates on disk, or leaves those that there were: routes are served in any case.
fn fill(shelf: &Shelf, routes: &Routes) {
    let own = routes.routes.iter().find(|route| route.targets.iter().any(|target| target.key == OWN_KEY));
    if let Err(error) = shelf.load(own.and_then(|route| HostName::parse(&route.host).ok())) {
        tracing::error!(%error, "the certificates on disk cannot be shown");
    }
}
