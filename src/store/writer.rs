//! The one thread that changes the database: a change is a closure, a closure is a transaction.
//!
//! A call returns when its transaction is on the disk. A panic takes its own transaction back and no
//! other; when the disk fails at a commit the thread ends, because nobody knows any more what the
//! kernel's cache holds, and from then on every call is an error at once.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::error::StoreError;

/// Changes that may wait for the thread; more callers than that wait before they hand theirs in.
const WAITING: usize = 256;

/// Changes the store. Clones share the one thread.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    stopped: watch::Receiver<Option<String>>,
}

/// What a change does with the connection; afterwards, why the thread must end, if it must.
type Job = Box<dyn FnOnce(&mut Connection) -> Result<(), String> + Send>;

impl Writer {
    /// Hands the connection to a thread of its own.
    pub(super) fn start(mut connection: Connection) -> std::io::Result<Self> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(WAITING);
        let (end, stopped) = watch::channel(None);
        thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            let mut reason = "nothing writes any more".to_owned();
            while let Some(job) = waiting.blocking_recv() {
                if let Err(why) = job(&mut connection) {
                    tracing::error!(reason = %why, "the store's writer ends");
                    reason = why;
                    break;
                }
            }
            end.send_replace(Some(reason));
        })?;
        Ok(Self { jobs, stopped })
    }

    /// Waits until the thread has ended, and says why: rivetr cannot go on without it.
    pub async fn stopped(&self) -> String {
        let mut stopped = self.stopped.clone();
        match stopped.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => GONE.to_owned(),
        }
    }

    /// Makes a change in a transaction of its own; an error takes all of it back.
    pub(super) async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let (outcome, verdict) = carry_out(connection, change);
            if answer.send(outcome).is_err() {
                tracing::debug!("who asked for a change has gone; it is stored all the same");
            }
            verdict
        });
        if self.jobs.send(job).await.is_err() {
            return Err(self.gone().into());
        }
        answered.await.unwrap_or_else(|_| Err(self.gone().into()))
    }

    fn gone(&self) -> StoreError {
        StoreError::Stopped(self.stopped.borrow().clone().unwrap_or_else(|| GONE.to_owned()))
    }
}

const GONE: &str = "the thread that writes has ended";

/// Runs a change, and tells whether the connection can still be trusted.
fn carry_out<T, E: From<StoreError>>(
    connection: &mut Connection,
    change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> (Result<T, E>, Result<(), String>) {
    let mut verdict = Ok(());
    let attempt = AssertUnwindSafe(|| in_transaction(&mut *connection, change, &mut verdict));
    let outcome = catch_unwind(attempt).unwrap_or_else(|payload| {
        let message = panic_message(payload.as_ref());
        tracing::error!(panic = %message, "a change of the store panicked and was taken back");
        Err(StoreError::Panicked(message).into())
    });
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        verdict = Err(format!("a transaction could not be taken back: {error}"));
    }
    (outcome, verdict)
}

fn in_transaction<T, E: From<StoreError>>(
    connection: &mut Connection,
    change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    verdict: &mut Result<(), String>,
) -> Result<T, E> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
    let value = change(&transaction)?;
    if let Err(error) = transaction.commit() {
        let error = StoreError::from(error);
        if let StoreError::Disk(_) = error {
            *verdict = Err(error.to_string());
        }
        return Err(error.into());
    }
    Ok(value)
}

/// What a panic said.
pub(super) fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    fn name_of(tx: &Transaction<'_>) -> Result<String, StoreError> {
        Ok(tx.query_row("SELECT written_by FROM instance", [], |row| row.get(0))?)
    }

    #[tokio::test]
    async fn a_panic_takes_back_its_own_change_and_no_other() {
        let store = Fixture::new();
        let before = store.writer.write(name_of).await.unwrap();
        let broken: Result<(), StoreError> = store
            .writer
            .write(|tx| {
                tx.execute("UPDATE instance SET written_by = 'broken'", [])?;
                panic!("boom {}", 1)
            })
            .await;
        assert!(matches!(broken, Err(StoreError::Panicked(message)) if message == "boom 1"));
        assert_eq!(store.writer.write(name_of).await.unwrap(), before);
    }

    #[tokio::test]
    async fn an_error_takes_the_change_back() {
        let store = Fixture::new();
        let before = store.writer.write(name_of).await.unwrap();
        let refused: Result<(), StoreError> = store
            .writer
            .write(|tx| {
                tx.execute("UPDATE instance SET written_by = 'refused'", [])?;
                Err(StoreError::Locked)
            })
            .await;
        assert!(matches!(refused, Err(StoreError::Locked)));
        assert_eq!(store.writer.write(name_of).await.unwrap(), before);
    }

    #[tokio::test]
    async fn calls_after_the_thread_has_ended_are_errors_and_do_not_hang() {
        let store = Fixture::new();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let ending: Job = Box::new(move |_| {
            wait.recv().unwrap();
            Err("the disk is on fire".to_owned())
        });
        store.writer.jobs.send(ending).await.unwrap();
        let writer = store.writer.clone();
        let waiting = async { tokio::join!(writer.write(name_of), async { go.send(()).unwrap() }).0 };
        assert!(matches!(waiting.await, Err(StoreError::Stopped(_))));
        assert_eq!(store.writer.stopped().await, "the disk is on fire");
        let late = store.writer.write(name_of).await;
        assert!(matches!(late, Err(StoreError::Stopped(reason)) if reason == "the disk is on fire"));
    }

    #[tokio::test]
    async fn a_change_is_stored_though_nobody_waits_for_it() {
        let store = Fixture::new();
        let writer = store.writer.clone();
        let mut abandoned = Box::pin(writer.write(|tx| -> Result<(), StoreError> {
            tx.execute("UPDATE instance SET written_by = 'abandoned'", [])?;
            Ok(())
        }));
        // Polled once, the change has been handed in; then its caller goes away.
        assert!(futures_util::poll!(&mut abandoned).is_pending());
        drop(abandoned);
        assert_eq!(store.writer.write(name_of).await.unwrap(), "abandoned");
    }
}
