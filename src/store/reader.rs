//! Reads the database: a few connections that cannot write, each read at one moment of it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle, Transaction};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::damage::look_through;
use super::error::StoreError;
use super::migrate::{BackupError, copy_whole};
use super::open::{Access, connect};
use super::row;
use super::writer::panic_message;
use crate::domain::time::Timestamp;

/// Reads at the same time. More would not be faster: reads take microseconds and share two or four cores.
const READERS: usize = 4;

/// Reads the store. Clones share the connections.
#[derive(Clone)]
pub struct Reader {
    pool: Arc<Pool>,
}

struct Pool {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    looking: tokio::sync::Mutex<()>,
}

/// Ends what a connection still does.
struct Interrupt(InterruptHandle);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

impl Reader {
    pub(super) fn new(path: PathBuf) -> Self {
        let permits = Arc::new(Semaphore::new(READERS));
        let (idle, looking) = (Mutex::new(Vec::new()), tokio::sync::Mutex::new(()));
        Self { pool: Arc::new(Pool { path, permits, idle, looking }) }
    }

    /// Looks through all of the database as it lies on the disk: a connection that has read before remembers. Whether
    /// that was done within `limit`; whoever asks then, or has gone, has it ended. One looks at a time.
    pub async fn integrity(&self, limit: Duration) -> Result<bool, StoreError> {
        let look = async {
            let _alone = self.pool.looking.lock().await;
            let connection = self.in_turn(|pool| connect(&pool.path, Access::Read)).await?;
            let _end = Interrupt(connection.get_interrupt_handle());
            self.in_turn(move |_| look_through(&connection)).await
        };
        timeout(limit, look).await.map_or(Ok(false), |looked| looked.map(|()| true))
    }

    /// Copies the database to a file that is not there yet: as it is at one moment, whole or not at all.
    pub async fn copy_to(&self, to: PathBuf) -> Result<(), StoreError> {
        self.read(move |tx| {
            let folder = to.parent().unwrap_or(&to).to_owned();
            copy_whole(tx, &folder, &to).map_err(|error| match error {
                BackupError::Store(error) => error,
                BackupError::File(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                    StoreError::DiskFull
                }
                BackupError::File(_) => StoreError::NotWritable,
            })
        })
        .await
    }

    /// The newest moment that was written down: the clock cannot rightly be before it.
    pub async fn newest(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT max(at) AS newest FROM deployment_event";
        let newest = self.read(|tx| row::first(tx, sql, [], |row| row::maybe_time(row, "newest"))).await?;
        Ok(newest.flatten())
    }

    /// Reads; everything that `question` sees is of one moment.
    pub(super) async fn read<T, F>(&self, question: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.in_turn(|pool| {
            let mut connection = pool.take()?;
            let transaction = connection.transaction()?;
            let found = question(&transaction)?;
            transaction.finish()?;
            pool.put_back(connection);
            Ok(found)
        })
        .await
    }

    /// Does something that blocks, when fewer than [`READERS`] do so.
    async fn in_turn<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Pool) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let permit = Arc::clone(&self.pool.permits).acquire_owned().await;
        let permit = permit.map_err(|_| StoreError::Stopped("nothing reads any more".to_owned()))?;
        let pool = Arc::clone(&self.pool);
        // The permit goes along, so that the bound holds when the caller has gone.
        let reading = spawn_blocking(move || {
            let done = work(&pool);
            drop(permit);
            done
        });
        reading.await.unwrap_or_else(|gone| {
            Err(match gone.try_into_panic() {
                Ok(payload) => StoreError::Panicked(panic_message(payload.as_ref())),
                Err(cancelled) => StoreError::Stopped(cancelled.to_string()),
            })
        })
    }
}

impl Pool {
    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => connect(&self.path, Access::Read),
        }
    }

    /// A connection whose read failed is not put back: the next one begins clean.
    fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::testing::Fixture;
    use super::*;

    #[tokio::test]
    async fn a_reader_cannot_write() {
        let store = Fixture::new();
        let outcome = store
            .reader
            .read(|tx| {
                tx.execute("DELETE FROM instance", [])?;
                Ok(())
            })
            .await;
        assert!(matches!(outcome, Err(StoreError::NotWritable)), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_its_caller_alone() {
        let store = Fixture::new();
        for _ in 0..2 * READERS {
            let outcome: Result<(), _> = store.reader.read(|_| panic!("boom")).await;
            assert!(matches!(outcome, Err(StoreError::Panicked(message)) if message == "boom"));
        }
        assert_eq!(store.reader.apps().await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_look_that_takes_too_long_is_given_up_and_the_next_one_is_not() {
        let store = Fixture::new();
        let readers = u32::try_from(READERS).unwrap();
        let busy = store.reader.pool.permits.acquire_many(readers).await.unwrap();
        assert!(!store.reader.integrity(Duration::from_millis(1)).await.unwrap());
        drop(busy);
        assert!(store.reader.integrity(Duration::from_mins(1)).await.unwrap());
    }

    #[tokio::test]
    async fn never_more_readers_than_the_bound_and_as_many_as_that() {
        let store = Fixture::new();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let together = Arc::new(Barrier::new(READERS));
        let reads = (0..8 * READERS).map(|_| {
            let (now, most, together) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&together));
            store.reader.read(move |_| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                together.wait();
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            })
        });
        for outcome in futures_util::future::join_all(reads).await {
            outcome.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), READERS);
        assert_eq!(store.reader.pool.idle.lock().unwrap().len(), READERS);
    }
}
