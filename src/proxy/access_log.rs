//! The access log: workers leave lines in a bounded queue, and one thread writes them in batches.
//!
//! A request never waits for whoever reads the log: where the queue is full its line is dropped, and counted.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::metrics::Metrics;
use crate::domain::time::Timestamp;

mod line;
mod sink;

pub(super) use line::{Line, cleaned};
use sink::Sink;

/// The bytes that may wait: a second of a busy machine.
const BYTES_MAX: usize = 1024 * 1024;
/// The lines that may wait.
const LINES_MAX: u64 = 8192;
/// As many bytes are written without waiting for more.
const BATCH: usize = 64 * 1024;
/// How long lines are gathered before they are written: waking the thread costs more than a line does.
const GATHER: Duration = Duration::from_millis(20);
/// How long a proxy that stops waits for the last lines to be written.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is logged, and where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which requests.
    pub choice: Choice,
    /// Whether the part of an address after its question mark is told.
    pub query: bool,
    /// The file; none: the journal.
    pub file: Option<PathBuf>,
    /// The clock.
    pub clock: fn() -> Timestamp,
}

/// Which requests are logged. Those that went wrong always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// No others.
    Errors,
    /// One of so many as well.
    Sampled(u32),
    /// All.
    All,
}

impl Choice {
    /// Whether the request with this number is logged however it goes.
    fn takes(self, number: u64) -> bool {
        match self {
            Self::Errors => false,
            Self::Sampled(of) => number.is_multiple_of(of.max(1).into()),
            Self::All => true,
        }
    }
}

/// Where workers leave lines.
#[derive(Debug, Clone)]
pub(super) struct Log(Arc<Desk>);

#[derive(Debug)]
struct Desk {
    settings: Settings,
    metrics: Arc<Metrics>,
    queue: Mutex<Queue>,
    /// What the thread waits for.
    wanted: Condvar,
    /// What a stop waits for.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Batch,
    /// The bytes at which the thread wants to be woken; none while it writes.
    wake_at: Option<usize>,
    closed: bool,
    ended: bool,
}

/// Lines that are written together.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
    /// Lines that were given up before these.
    dropped: u64,
    /// Whether the file was moved away, and another is to be begun.
    reopen: bool,
}

impl Log {
    /// Begins a log, on a thread of its own that ends with [`Log::close`].
    pub(super) fn begin(settings: &Settings, metrics: Arc<Metrics>) -> io::Result<Self> {
        let desk = Arc::new(Desk {
            settings: settings.clone(),
            metrics,
            queue: Mutex::default(),
            wanted: Condvar::new(),
            ended: Condvar::new(),
        });
        let sink = Sink::new(settings.file.as_deref());
        let writer = Arc::clone(&desk);
        thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.write(sink))?;
        Ok(Self(desk))
    }

    /// Whether the request with this number is logged however it goes.
    pub(super) fn takes(&self, number: u64) -> bool {
        self.0.settings.choice.takes(number)
    }

    /// Whether queries are told.
    pub(super) fn with_query(&self) -> bool {
        self.0.settings.query
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        (self.0.settings.clock)()
    }

    /// Leaves a line to be written, or gives it up where too many wait.
    pub(super) fn put(&self, line: &Line<'_>) {
        let Ok(mut text) = serde_json::to_vec(line) else { return self.0.metrics.dropped_lines(1) };
        text.push(b'\n');
        let mut queue = self.0.lock();
        let waiting = &mut queue.waiting;
        if waiting.bytes.len() + text.len() > BYTES_MAX || waiting.lines >= LINES_MAX {
            waiting.dropped += 1;
            self.0.metrics.dropped_lines(1);
            return;
        }
        waiting.bytes.append(&mut text);
        waiting.lines += 1;
        if queue.wake_at.is_some_and(|bytes| queue.waiting.bytes.len() >= bytes) {
            queue.wake_at = None;
            self.0.wanted.notify_one();
        }
    }

    /// Begins the file anew: somebody has moved it away.
    pub(super) fn reopen(&self) {
        self.0.lock().waiting.reopen = true;
        self.0.wanted.notify_one();
    }

    /// Waits until what was left here is written, unless nobody takes it.
    pub(super) fn close(&self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        self.0.wanted.notify_one();
        let end = Instant::now() + FAREWELL;
        while !queue.ended {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!("the last lines of the access log were not written: nobody takes them");
                return;
            }
            (queue, _) = self.0.ended.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Desk {
    /// Writes until the log is closed and nothing waits.
    fn write(&self, mut sink: Sink) {
        let (mut batch, mut failing) = (Batch::default(), false);
        while self.next(&mut batch) {
            if batch.reopen {
                sink.reopen();
            }
            let mut bytes = Vec::new();
            if batch.dropped > 0 {
                bytes = line::dropped((self.settings.clock)(), batch.dropped);
            }
            bytes.append(&mut batch.bytes);
            match sink.write(&bytes) {
                Ok(()) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "lines of the access log are lost; trying on");
                    }
                    failing = true;
                    self.metrics.dropped_lines(batch.lines);
                    self.lock().waiting.dropped += batch.lines + batch.dropped;
                }
            }
        }
        self.lock().ended = true;
        self.ended.notify_all();
    }

    /// Waits for lines and takes all there are; says whether there may be more to do.
    fn next(&self, batch: &mut Batch) -> bool {
        let mut queue = self.lock();
        while queue.waiting.lines == 0 && !queue.waiting.reopen && !queue.closed {
            queue.wake_at = Some(1);
            queue = self.wanted.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let end = Instant::now() + GATHER;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let enough = queue.waiting.bytes.len() >= BATCH || queue.waiting.reopen || queue.closed;
            if enough || left.is_zero() {
                break;
            }
            queue.wake_at = Some(BATCH);
            (queue, _) = self.wanted.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner);
        }
        queue.wake_at = None;
        *batch = std::mem::take(&mut queue.waiting);
        !queue.closed || batch.lines > 0
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole between any two statements here, so a panic elsewhere does not spoil it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn begin(file: &Path) -> (Log, Arc<Metrics>) {
        let metrics = Arc::<Metrics>::default();
        let file = Some(file.to_owned());
        let settings = Settings { choice: Choice::All, query: false, file, clock: || Timestamp(0) };
        (Log::begin(&settings, Arc::clone(&metrics)).unwrap(), metrics)
    }

    fn put(log: &Log, id: &str) {
        log.put(&Line {
            time: log.now(),
            id,
            client: "192.0.2.7".parse().unwrap(),
            method: "GET",
            host: None,
            path: "/".into(),
            query: None,
            status: Some(200),
            bytes: 0,
            bytes_in: 0,
            duration: Duration::ZERO,
            app: None,
            target: None,
            protocol: "HTTP/1.1",
            tls: false,
            user_agent: None,
            retries: 0,
            refusal: None,
            end: None,
        });
    }

    /// The names in a file, and the numbers of lines that are missing.
    fn read(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        let line = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let word =
            |line: serde_json::Value| line["id"].as_str().map_or(line["dropped"].to_string(), str::to_owned);
        text.lines().map(line).map(word).collect()
    }

    #[test]
    fn choices() {
        for (choice, taken) in [
            (Choice::Errors, &[][..]),
            (Choice::Sampled(3), &[3, 6]),
            (Choice::Sampled(1), &[1, 2, 3, 4, 5, 6, 7]),
            (Choice::All, &[1, 2, 3, 4, 5, 6, 7]),
        ] {
            let takes: Vec<u64> = (1..8).filter(|number| choice.takes(*number)).collect();
            assert_eq!(takes, taken, "{choice:?}");
        }
    }

    #[test]
    fn a_log_that_is_closed_has_written_all_it_was_left() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
        std::fs::File::create(&moved).unwrap();
        for part in [&["1", "2"][..], &["3"]] {
            let (log, metrics) = begin(&path);
            for id in part {
                put(&log, id);
            }
            log.close();
            assert_eq!(metrics.counts().dropped_lines, 0);
        }
        assert_eq!(read(&path), ["1", "2", "3"]);

        std::fs::rename(&path, &moved).unwrap();
        let (log, _) = begin(&path);
        log.reopen();
        put(&log, "4");
        log.close();
        assert_eq!((read(&moved).len(), read(&path)), (3, vec!["4".to_owned()]));
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_told_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("later/access.log");
        let (log, metrics) = begin(&path);
        put(&log, "1");
        put(&log, "2");
        while metrics.counts().dropped_lines < 2 {
            thread::yield_now();
        }
        std::fs::create_dir(dir.path().join("later")).unwrap();
        put(&log, "3");
        log.close();
        assert_eq!(read(&path), ["2", "3"], "two lines are missing");
    }

    #[test]
    fn so_many_lines_wait_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // Nobody opens the pipe, so the thread that writes does not come back from its first batch.
        let (log, metrics) = begin(&pipe);
        put(&log, "first");
        while log.0.lock().waiting.lines > 0 {
            thread::yield_now();
        }
        for _ in 0..LINES_MAX + 5 {
            put(&log, "x");
        }
        let waiting = log.0.lock().waiting.bytes.len();
        let held = log.0.lock().waiting.lines;
        assert!(waiting <= BYTES_MAX && held <= LINES_MAX, "{waiting} bytes in {held} lines");
        assert_eq!(metrics.counts().dropped_lines, LINES_MAX + 5 - held);
        let begun = Instant::now();
        log.close();
        assert!(begun.elapsed() >= FAREWELL, "nobody takes the last lines");
    }
}
