//! A connection between the host and one of its own servers that a test can hold up or cut at a chosen byte.
//!
//! It listens on this machine's side of the host's network, so that to the host it is a server elsewhere.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::host::Host;

/// How long an event may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// What happens to an answer once as much of it as may pass has passed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The connection stays, and nothing more comes.
    Hang,
    /// The connection ends, and so does every new one.
    Cut,
}

/// A relay to one port of the host; it goes on until the test ends.
pub struct Relay {
    address: String,
    gate: Arc<Gate>,
}

struct Gate {
    rule: Mutex<Rule>,
    changed: Condvar,
}

struct Rule {
    /// The bytes of answers that may still pass; none: all.
    left: Option<u64>,
    then: Then,
    reached: bool,
}

impl Relay {
    /// Lets everything pass to this port of the host, until told otherwise.
    pub fn to(host: &Host, port: u16) -> Self {
        let listener = TcpListener::bind((host.gateway().as_str(), 0)).expect("the host's network is there");
        let address = listener.local_addr().unwrap().to_string();
        let gate = Arc::new(Gate {
            rule: Mutex::new(Rule { left: None, then: Then::Hang, reached: false }),
            changed: Condvar::new(),
        });
        let upstream = (host.address().to_owned(), port);
        let shared = Arc::clone(&gate);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (upstream, gate) = (upstream.clone(), Arc::clone(&shared));
                std::thread::spawn(move || relay(client, (upstream.0.as_str(), upstream.1), &gate));
            }
        });
        Self { address, gate }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on, so many bytes of answers still pass.
    pub fn only(&self, bytes: u64, then: Then) {
        self.gate.set(Rule { left: Some(bytes), then, reached: false });
    }

    /// Waits until as much has passed as may.
    #[track_caller]
    pub fn wait_until_reached(&self) {
        let rule = self.gate.rule();
        let waited = self.gate.changed.wait_timeout_while(rule, PATIENCE, |rule| !rule.reached);
        assert!(waited.unwrap().0.reached, "hardly anything was asked for");
    }

    /// Everything passes again; what was held up is cut.
    pub fn open(&self) {
        self.gate.set(Rule { left: None, then: Then::Hang, reached: false });
    }
}

impl Gate {
    fn rule(&self) -> MutexGuard<'_, Rule> {
        self.rule.lock().unwrap()
    }

    fn set(&self, rule: Rule) {
        *self.rule() = rule;
        self.changed.notify_all();
    }

    /// Whether so many bytes may pass; what hangs is told when it is over.
    fn passes(&self, bytes: usize) -> bool {
        let mut rule = self.rule();
        let Some(left) = rule.left else { return true };
        rule.left = Some(left.saturating_sub(bytes as u64));
        if left >= bytes as u64 {
            return true;
        }
        rule.reached = true;
        self.changed.notify_all();
        if rule.then == Then::Hang {
            drop(self.changed.wait_while(rule, |rule| rule.left.is_some()).unwrap());
        }
        false
    }
}

/// Carries one connection, until either side ends it or the gate does.
fn relay(client: TcpStream, upstream: (&str, u16), gate: &Gate) {
    let Ok(server) = TcpStream::connect(upstream) else { return };
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let asks = std::thread::spawn(move || pump(from, to, |_| true));
    pump(server, client, |bytes| gate.passes(bytes));
    asks.join().unwrap();
}

fn pump(mut from: TcpStream, mut to: TcpStream, passes: impl Fn(usize) -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !passes(read) || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // Whoever is already gone need not be told.
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}
