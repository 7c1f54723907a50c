//! What tests and benchmarks load a host with: a client of three protocols that counts every answer that is not what it
//! should be, many clients that hardly ask for anything, and the app that answers both.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    reason = "a steady rate is made by waiting, windows are told in wall time, and who calls it wrongly is told so"
)]

mod answer;
mod http1;
mod http2;
mod idle;
mod seen;
mod tls;
mod websocket;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use seen::{Seen, Window};

const USAGE: &str = "usage:
  load ask HOST RATE PROTOCOL=ADDRESS...  RATE requests a second, shared by the protocols http1, http2 and
                                          websocket=ADDRESS/LIFE, whose tunnels end after LIFE seconds. Standard input
                                          names windows of time, \"NAME FROM TO\" in milliseconds since 1970; at its
                                          end one line of JSON says what was seen, in all and in each window.
  load idle HOST ADDRESS COUNT            COUNT connections with TLS that ask for something now and then, until
                                          standard input ends; then one line of JSON
  load answer PORT                        the app: a short page, after MS at /wait/MS; and an echo of tunnels";

/// Threads that speak one protocol.
const WORKERS: u32 = 16;
/// No answer may take longer: a request that hangs is a failed one.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["ask", host, rate, protocols @ ..] if !protocols.is_empty() => {
            ask(host, rate.parse().expect("RATE is a number of requests a second"), protocols);
        }
        ["idle", host, address, count] => {
            idle::run(host, address, count.parse().expect("COUNT is a number of connections"));
        }
        ["answer", port] => answer::run(port.parse().expect("PORT is a port")),
        _ => {
            eprintln!("{USAGE}");
            std::process::exit(2);
        }
    }
}

fn ask(host: &str, rate: u32, protocols: &[&str]) {
    let over = Arc::new(AtomicBool::new(false));
    let share = rate / u32::try_from(protocols.len()).expect("a few protocols");
    let mut workers = Vec::new();
    for protocol in protocols {
        let (protocol, address) = protocol.split_once('=').expect("PROTOCOL=ADDRESS");
        for number in 0..WORKERS {
            let task = Task {
                address: address.to_owned(),
                host: host.to_owned(),
                number,
                pause: Duration::from_secs(1) * WORKERS / share,
                over: over.clone(),
            };
            workers.push(match protocol {
                "http1" => thread::spawn(move || http1::run(&task)),
                // One connection carries as many requests at once as others have connections.
                "http2" if !number.is_multiple_of(http2::STREAMS) => continue,
                "http2" => thread::spawn(move || http2::run(&task)),
                "websocket" => thread::spawn(move || websocket::run(task)),
                _ => panic!("there is no protocol {protocol}"),
            });
        }
    }
    println!("started");
    let windows = std::io::stdin().lines().map(|line| Window::parse(&line.expect("lines of text")));
    let windows: Vec<Window> = windows.collect();
    over.store(true, Ordering::Relaxed);
    let seen = workers.into_iter().map(|worker| worker.join().expect("a worker panicked"));
    println!("{}", seen.fold(Seen::default(), Seen::and).to_json(&windows));
}

/// What one worker does.
struct Task {
    address: String,
    host: String,
    /// Which of the workers that speak this protocol does it.
    number: u32,
    /// From one request to the next.
    pause: Duration,
    over: Arc<AtomicBool>,
}

impl Task {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// When the next request is due. A client that fell behind catches up, and what is asked late counts as late: the rate
/// is what is asked of the server.
struct Pace {
    due: Instant,
    pause: Duration,
}

impl Pace {
    /// The workers begin one after the other, and not all at once.
    fn new(task: &Task) -> Self {
        Self { due: Instant::now() + task.pause * task.number / WORKERS, pause: task.pause }
    }

    fn next(&mut self) -> Instant {
        let due = self.due;
        self.due += self.pause;
        due
    }

    fn wait(&mut self) -> Instant {
        let due = self.next();
        thread::sleep(due.saturating_duration_since(Instant::now()));
        due
    }
}
