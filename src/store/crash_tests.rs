//! Many writers and readers at once, and copies of the files taken in the middle of it, as a power cut
//! would leave them: every copy opens, is whole, and holds what was acknowledged before it was taken.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rusqlite::Connection;

use super::testing::{Fixture, NOW};
use super::{Reader, StoreError, open};
use crate::domain::app::App;

/// Apps that are deployed at the same time.
const APPS: usize = 4;

/// Copies that are taken while they are.
const COPIES: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn copies_taken_during_load_are_whole() {
    let store = Fixture::new();
    let mut apps = Vec::new();
    for number in 0..APPS {
        apps.push(store.app(&format!("app-{number}")).await);
    }
    let (acknowledged, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let copying = async {
        for number in 0..COPIES {
            let before = acknowledged.load(Ordering::SeqCst);
            let copy = store.path().with_file_name(format!("copy-{number}.db"));
            let synced = copy_files(&store, &copy).await;
            if number % 2 == 1 {
                cut_log(&copy, synced, number);
            }
            check(&copy, number, before).await;
            // The load goes on for as long as it takes to see more of it.
            while acknowledged.load(Ordering::SeqCst) == before {
                tokio::task::yield_now().await;
            }
        }
        done.store(true, Ordering::SeqCst);
    };
    let load = apps.iter().map(|app| deploy_until(&store, app, &acknowledged, &done));
    tokio::join!(copying, futures_util::future::join_all(load));
    assert!(acknowledged.load(Ordering::SeqCst) >= COPIES);
    assert_consistent(&store.reader).await;
}

async fn deploy_until(store: &Fixture, app: &App, acknowledged: &AtomicUsize, done: &AtomicBool) {
    while !done.load(Ordering::SeqCst) {
        let deployment = store.live(app).await;
        acknowledged.fetch_add(1, Ordering::SeqCst);
        let table = store.reader.routes().await.unwrap();
        assert!(table.generation >= u64::from(deployment.number));
    }
}

/// Copies the database and its log as a power cut would leave them; the length of the log when it began.
async fn copy_files(store: &Fixture, copy: &Path) -> u64 {
    let (from, to) = (store.path(), copy.to_owned());
    // An open read keeps the log from being begun anew between the two files, as no power cut does.
    let copied = store.reader.read(move |tx| {
        tx.query_row("SELECT count(*) FROM app", [], |_| Ok(()))?;
        let synced = from.with_extension("db-wal").metadata().unwrap().len();
        std::fs::copy(&from, &to).unwrap();
        std::fs::copy(from.with_extension("db-wal"), to.with_extension("db-wal")).unwrap();
        Ok(synced)
    });
    copied.await.unwrap()
}

/// Cuts the log anywhere after what was synced before: the end of it may never have reached the disk.
fn cut_log(copy: &Path, synced: u64, number: usize) {
    let log = std::fs::OpenOptions::new().write(true).open(copy.with_extension("db-wal")).unwrap();
    let appended = log.metadata().unwrap().len().saturating_sub(synced);
    let (number, copies) = (u64::try_from(number).unwrap(), u64::try_from(COPIES).unwrap());
    log.set_len(synced + appended * number / copies).unwrap();
}

async fn check(copy: &Path, number: usize, acknowledged: usize) {
    let opened = open(copy, &copy.with_extension("backup"), NOW);
    let (_writer, reader) = opened.unwrap_or_else(|error| panic!("copy {number}: {error}"));
    let found = assert_consistent(&reader).await;
    assert!(found >= acknowledged, "copy {number} has {found} of {acknowledged} that were acknowledged");
}

/// Checks what must hold at every moment; the number of deployments that are done.
async fn assert_consistent(reader: &Reader) -> usize {
    reader.read(|tx| invariants(tx)).await.unwrap()
}

fn invariants(connection: &Connection) -> Result<usize, StoreError> {
    let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    assert_eq!(check, "ok");
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    for (what, sql) in [
        ("rows without what they belong to", "SELECT count(*) FROM pragma_foreign_key_check"),
        (
            "apps whose live release was never switched to",
            "SELECT count(*) FROM app JOIN deployment ON deployment.id = live \
             WHERE state NOT IN ('switching', 'retiring', 'live')",
        ),
        (
            "apps whose live release is not the newest one that was switched to",
            "SELECT count(*) FROM app WHERE live IS NOT (SELECT max(id) FROM deployment \
             WHERE app = app.id AND deployment.app = app.id AND state IN ('switching', 'retiring', 'live'))",
        ),
        (
            "apps with two deployments at work",
            "SELECT count(*) FROM (SELECT app FROM deployment WHERE ended IS NULL AND state <> 'queued' \
             GROUP BY app HAVING count(*) > 1)",
        ),
        (
            "deployments whose last event is not their state",
            "SELECT count(*) FROM deployment WHERE state <> (SELECT state FROM deployment_event \
             WHERE deployment = deployment.id ORDER BY id DESC LIMIT 1)",
        ),
        (
            "generations that were not one a switch",
            "SELECT (SELECT routes_generation FROM instance) <> (SELECT count(*) FROM deployment_event \
             WHERE state = 'switching')",
        ),
    ] {
        assert_eq!(count(sql)?, 0, "{what}");
    }
    let done = count("SELECT count(*) FROM deployment WHERE state = 'live'")?;
    Ok(usize::try_from(done).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_once_each_get_a_number_of_their_own() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let asked = futures_util::future::join_all((0..100).map(|_| store.enqueue(&app))).await;
    let mut numbers: Vec<u32> = asked.iter().map(|deployment| deployment.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
    let waiting = store.reader.unfinished().await.unwrap();
    assert_eq!(waiting.iter().map(|deployment| deployment.number).collect::<Vec<_>>(), [100]);
}
