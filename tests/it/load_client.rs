//! A client that asks one URL over and over and counts every answer that is not what it should be.
//!
//! `load ADDRESS HOST RATE`: RATE requests a second to ADDRESS with that Host field, half of them on kept
//! connections, half on new ones, until standard input ends. Then one line of JSON with what was seen.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Threads on kept connections, and as many on new ones.
const PAIRS: u32 = 8;

/// No answer may take longer: a request that hangs is a failed one.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, address, host, rate] = arguments.as_slice() else {
        eprintln!("usage: load ADDRESS HOST RATE");
        std::process::exit(2);
    };
    let rate: u32 = rate.parse().expect("RATE is a number of requests a second");
    let over = Arc::new(AtomicBool::new(false));
    let pause = Duration::from_secs(1) * (2 * PAIRS) / rate;
    let workers: Vec<_> = (0..2 * PAIRS)
        .map(|number| {
            let worker = Worker {
                address: address.clone(),
                request: format!("GET / HTTP/1.1\r\nHost: {host}\r\n{}\r\n", keep(number % 2 == 0)),
                kept: number % 2 == 0,
                pause,
                over: over.clone(),
                seen: Seen::default(),
            };
            thread::spawn(move || worker.run())
        })
        .collect();
    println!("started");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).expect("standard input can be read");
    over.store(true, Ordering::Relaxed);
    let seen = workers.into_iter().map(|worker| worker.join().expect("a worker panicked"));
    println!("{}", seen.fold(Seen::default(), Seen::and).to_json());
}

fn keep(kept: bool) -> &'static str {
    if kept { "" } else { "Connection: close\r\n" }
}

struct Worker {
    address: String,
    request: String,
    kept: bool,
    pause: Duration,
    over: Arc<AtomicBool>,
    seen: Seen,
}

impl Worker {
    #[expect(clippy::disallowed_methods, reason = "a steady rate is made by waiting")]
    fn run(mut self) -> Seen {
        let mut connection = None;
        let mut due = Instant::now();
        while !self.over.load(Ordering::Relaxed) {
            due += self.pause;
            let began = Instant::now();
            let answer = self.ask(&mut connection);
            self.seen.add(began.elapsed(), answer);
            // A client that fell behind catches up: the rate is what is asked of the server.
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        self.seen
    }

    fn ask(&self, kept: &mut Option<BufReader<TcpStream>>) -> Result<u16, String> {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => self.connect().map_err(|error| format!("connect: {error}"))?,
        };
        let write = connection.get_mut().write_all(self.request.as_bytes());
        write.map_err(|error| format!("write: {error}"))?;
        let (status, reusable) = read_answer(&mut connection)?;
        if self.kept && reusable {
            *kept = Some(connection);
        }
        if status == 200 { Ok(status) } else { Err(format!("status {status}")) }
    }

    fn connect(&self) -> std::io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(BufReader::new(stream))
    }
}

/// The status, and whether the connection can be used again.
fn read_answer(connection: &mut BufReader<TcpStream>) -> Result<(u16, bool), String> {
    let mut line = String::new();
    let mut next = |connection: &mut BufReader<TcpStream>| {
        line.clear();
        match connection.read_line(&mut line) {
            Ok(0) => Err("the connection was closed before the answer".to_owned()),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(format!("read: {error}")),
        }
    };
    let first = next(connection)?;
    let status = first.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| format!("not an answer: {first}"))?;
    let (mut length, mut chunked, mut reusable) = (None, false, true);
    loop {
        let field = next(connection)?.to_ascii_lowercase();
        match field.split_once(':').map(|(name, value)| (name, value.trim())) {
            None => break,
            Some(("content-length", value)) => length = value.parse::<u64>().ok(),
            Some(("transfer-encoding", value)) => chunked = value == "chunked",
            Some(("connection", value)) => reusable = value != "close",
            Some(_) => {}
        }
    }
    read_body(connection, length, chunked)?;
    Ok((status, reusable && (chunked || length.is_some())))
}

fn read_body(
    connection: &mut BufReader<TcpStream>,
    length: Option<u64>,
    chunked: bool,
) -> Result<(), String> {
    let skip = |connection: &mut BufReader<TcpStream>, length: u64| {
        let read = std::io::copy(&mut connection.take(length), &mut std::io::sink());
        match read.map_err(|error| format!("body: {error}"))? {
            read if read == length => Ok(()),
            read => Err(format!("the body ended after {read} of {length} bytes")),
        }
    };
    match length {
        Some(length) if !chunked => skip(connection, length),
        None if !chunked => skip(connection, u64::MAX).or(Ok(())),
        _ => loop {
            let mut size = String::new();
            connection.read_line(&mut size).map_err(|error| format!("chunk: {error}"))?;
            let size =
                u64::from_str_radix(size.trim(), 16).map_err(|_| "a chunk without a size".to_owned())?;
            skip(connection, size + 2)?;
            if size == 0 {
                return Ok(());
            }
        },
    }
}

#[derive(Default)]
struct Seen {
    requests: u64,
    failed: u64,
    slowest: Duration,
    failures: BTreeMap<String, u64>,
}

impl Seen {
    fn add(&mut self, took: Duration, answer: Result<u16, String>) {
        self.requests += 1;
        self.slowest = self.slowest.max(took);
        if let Err(why) = answer {
            self.failed += 1;
            *self.failures.entry(why).or_default() += 1;
        }
    }

    fn and(mut self, other: Self) -> Self {
        self.requests += other.requests;
        self.failed += other.failed;
        self.slowest = self.slowest.max(other.slowest);
        for (why, times) in other.failures {
            *self.failures.entry(why).or_default() += times;
        }
        self
    }

    fn to_json(&self) -> String {
        let failures: Vec<String> =
            self.failures.iter().map(|(why, times)| format!("{:?}:{times}", why.replace('"', "'"))).collect();
        format!(
            "{{\"requests\":{},\"failed\":{},\"slowest_ms\":{},\"failures\":{{{}}}}}",
            self.requests,
            self.failed,
            self.slowest.as_millis(),
            failures.join(",")
        )
    }
}
