//! Idle connections to targets, kept by one worker for itself: no locks.
//!
//! A connection belongs to one target, key and address; another release never gets it. One that takes many requests
//! at a time stays here meanwhile, and is the only one of its target.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use http::Request;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::body::ClientBody;
use super::fields::Introduction;
use super::http1::Idle as Connection;
use super::limits::Limits;
use super::rules::Protocol;
use super::sender::{Sender, Sending};
use super::table::{Backend, Table, Target};

struct Idle {
    sender: Sender,
    since: Instant,
}

/// The idle connections of one worker.
pub(super) struct Pool {
    idle: RefCell<HashMap<Target, Vec<Idle>, RandomState>>,
    count: Cell<usize>,
    filled: Notify,
    table: RefCell<Arc<Table>>,
    /// Grows with each table.
    turn: Cell<u64>,
    limits: Arc<Limits>,
}

impl Pool {
    pub(super) fn new(table: Arc<Table>, limits: Arc<Limits>) -> Rc<Self> {
        Rc::new(Self {
            idle: RefCell::default(),
            count: Cell::new(0),
            filled: Notify::new(),
            table: RefCell::new(table),
            turn: Cell::new(0),
            limits,
        })
    }

    /// The connection to `backend`'s target that was used last, if it was idle for less than `patience`; an end that
    /// crosses a request on its way costs nothing in HTTP/2, so there it does not matter.
    pub(super) fn take(
        self: &Rc<Self>,
        backend: &Arc<Backend>,
        protocol: Protocol,
        patience: Duration,
    ) -> Option<Lease> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&backend.target)?;
        let before = connections.len();
        connections.retain(|idle| !idle.sender.is_closed() && idle.sender.protocol() == protocol);
        let now = Instant::now();
        let found = connections.iter().rposition(|idle| {
            idle.sender.is_ready() && (protocol == Protocol::H2c || now - idle.since < patience)
        });
        let taken = found.and_then(|at| {
            let idle = connections.get_mut(at)?;
            idle.since = now;
            idle.sender.share().or_else(|| Some(connections.remove(at).sender))
        });
        self.count.set(self.count.get() - (before - connections.len()));
        taken.map(|sender| self.hand_out(sender, backend, now))
    }

    /// Makes a new connection one that may come here when it is idle, or at once if others may share it.
    pub(super) fn lease(self: &Rc<Self>, sender: Sender, backend: &Arc<Backend>) -> Lease {
        if let Some(shared) = sender.share() {
            // Who was connected first while several tried is everybody's.
            if let Some(lease) = self.take(backend, sender.protocol(), Duration::ZERO) {
                return lease;
            }
            self.put(shared, backend, self.turn.get());
        }
        self.hand_out(sender, backend, Instant::now())
    }

    fn hand_out(self: &Rc<Self>, sender: Sender, backend: &Arc<Backend>, since: Instant) -> Lease {
        Lease {
            sender: Some(sender),
            since,
            backend: Arc::clone(backend),
            turn: self.turn.get(),
            pool: Rc::clone(self),
        }
    }

    /// Forgets the connections to a target: one of them was stale.
    pub(super) fn forget(&self, target: &Target) {
        let gone = self.idle.borrow_mut().remove(target).map_or(0, |connections| connections.len());
        self.count.set(self.count.get() - gone);
    }

    /// Closes every idle connection.
    pub(super) fn clear(&self) {
        self.retain(|_, _| false);
    }

    /// Keeps only connections to targets of `table`, now and later.
    pub(super) fn follow(&self, table: Arc<Table>) {
        self.retain(|target, _| table.leads_to(target));
        *self.table.borrow_mut() = table;
        self.turn.set(self.turn.get() + 1);
    }

    /// Closes connections that were idle too long; for ever.
    pub(super) async fn reap(&self) {
        loop {
            let filled = self.filled.notified();
            let oldest = self.idle.borrow().values().flatten().map(|idle| idle.since).min();
            match oldest {
                None => filled.await,
                Some(since) => {
                    sleep_until(since + self.limits.pool_idle).await;
                    let now = Instant::now();
                    self.retain(|_, idle| {
                        now - idle.since < self.limits.pool_idle && !idle.sender.is_closed()
                    });
                }
            }
        }
    }

    fn retain(&self, mut keep: impl FnMut(&Target, &Idle) -> bool) {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|target, connections| {
            connections.retain(|idle| keep(target, idle));
            !connections.is_empty()
        });
        self.count.set(idle.values().map(Vec::len).sum());
    }

    /// `turn` is the one in which it was handed out.
    fn put(&self, sender: Sender, backend: &Backend, turn: u64) {
        let known = || turn == self.turn.get() || self.table.borrow().leads_to(&backend.target);
        if sender.is_closed() || !known() || self.count.get() >= self.limits.pool_total {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if !idle.contains_key(&backend.target) {
            idle.insert(backend.target.clone(), Vec::new());
        }
        let Some(connections) = idle.get_mut(&backend.target) else { return };
        if sender.protocol() == Protocol::H2c
            && let Some(known) = connections.iter_mut().find(|idle| !idle.sender.is_closed())
        {
            known.since = Instant::now();
            return;
        }
        if connections.len() < self.limits.pool_per_target {
            connections.push(Idle { sender, since: Instant::now() });
            self.count.set(self.count.get() + 1);
            self.filled.notify_one();
        }
    }
}

/// A connection that serves one request now. Dropped, it is closed.
pub(super) struct Lease {
    /// None once the request has it.
    sender: Option<Sender>,
    /// When it was handed out.
    pub(super) since: Instant,
    backend: Arc<Backend>,
    turn: u64,
    pool: Rc<Pool>,
}

impl Lease {
    /// Sends a request, once, and who asks.
    pub(super) fn send(&mut self, request: Request<ClientBody>, introduction: &Introduction) -> Sending {
        let shared = self.sender.as_ref().and_then(Sender::share);
        match std::mem::replace(&mut self.sender, shared) {
            Some(sender) => sender.send(request, introduction),
            None => Sending::Http1(None),
        }
    }

    /// Lets the connection serve again: this one, or the one that others use, too.
    pub(super) fn give_back(self, connection: Option<Connection>) {
        let Self { sender, since: _, backend, turn, pool } = self;
        if let Some(sender) = connection.map(Sender::Http1).or(sender) {
            pool.put(sender, &backend, turn);
        }
    }
}
