//! Certificates: for every host that can have one, one is ordered, kept and renewed; those that were handed in win.
//!
//! One task looks which names are due and lets each go its own way; `order.rs` is that way. What the proxy shows is
//! made from the store by `publish.rs`.

mod chain;
mod order;
mod own;
mod publish;
mod rollover;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

use self::publish::Published;
use super::{Engine, EngineError};
use crate::domain::certificate::{Managed, State, Ways, can_be_ordered};
use crate::domain::domain::Pattern;
use crate::domain::name::HostName;
use crate::domain::time::Timestamp;
use crate::remote::acme;

/// How many names are seen to at once.
const AT_ONCE: usize = 8;
/// The longest rest between two looks: the clock may have been put forward meanwhile.
const LONGEST_REST: Duration = Duration::from_hours(1);
/// The shortest rest, and how long to wait when the store does not answer.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// How certificates are ordered.
#[derive(Debug, Clone)]
pub struct Acme {
    /// From whom, and as whom.
    pub server: acme::Settings,
    /// By which challenges.
    pub ways: Ways,
    /// Whether DNS is asked before an order whether the name leads here.
    pub dns_check: bool,
}

/// What the orders that are under way share.
pub(super) struct Desk {
    wake: Notify,
    slots: Semaphore,
    /// The names that somebody sees to.
    busy: Mutex<BTreeSet<HostName>>,
    account: tokio::sync::Mutex<Option<acme::Account>>,
    /// The files of certificates that are shown to the server alone, by name.
    proofs: Mutex<BTreeMap<HostName, String>>,
    published: Published,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            wake: Notify::new(),
            slots: Semaphore::new(AT_ONCE),
            busy: Mutex::default(),
            account: tokio::sync::Mutex::default(),
            proofs: Mutex::default(),
            published: Published::default(),
        }
    }
}

/// A name that is seen to, until this is dropped.
struct Busy {
    engine: Engine,
    name: HostName,
}

impl Busy {
    /// None: somebody does already.
    fn begin(engine: &Engine, name: &HostName) -> Option<Self> {
        let mut busy = engine.0.certs.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.insert(name.clone()).then(|| Self { engine: engine.clone(), name: name.clone() })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let desk = &self.engine.0.certs;
        desk.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
        desk.wake.notify_one();
    }
}

impl Engine {
    /// Whether the proxy shows a certificate for a host, or for all below one.
    #[must_use]
    pub fn has_certificate(&self, pattern: &Pattern) -> bool {
        self.0.certs.published.shows(&pattern.to_string())
    }

    /// The hosts may be others than they were: has somebody look at them soon.
    pub(super) fn hosts_changed(&self) {
        self.0.certs.wake.notify_one();
    }

    /// Sees to all certificates until rivetr stops.
    pub(super) async fn keep_certificates(self) {
        if let Err(error) = self.begin_with_certificates().await {
            tracing::error!(%error, "the proxy does not have its certificates yet");
        }
        let mut idle = true;
        while !self.0.shutdown.is_cancelled() {
            let rest = match self.tend_certificates(idle).await {
                Ok(next) => self.rest_until(next),
                Err(error) => {
                    tracing::error!(%error, "certificates are not looked after");
                    TRY_AGAIN
                }
            };
            tokio::select! {
                () = self.0.certs.wake.notified() => idle = false,
                () = self.pause(rest) => idle = true,
            }
        }
    }

    /// What an interrupted order has shown is shown no more, and what there is is published.
    async fn begin_with_certificates(&self) -> Result<(), EngineError> {
        self.machine().certificates.prepare().map_err(EngineError::internal)?;
        self.0.writer.drop_challenges(None).await?;
        self.publish_certificates().await
    }

    /// Looks once, and says when to look again. What could not be revoked is tried again when all else is done.
    async fn tend_certificates(&self, idle: bool) -> Result<Option<Timestamp>, EngineError> {
        if self.0.settings.acme.is_none() {
            // What is held is served until its end.
            return Ok(None);
        }
        let wanted = self.names_to_certify().await?;
        if self.0.writer.want_certificates(wanted, self.now()).await? {
            self.publish_certificates().await?;
        }
        let (now, mut next) = (self.now(), None::<Timestamp>);
        for managed in self.reader().certificates().await? {
            let when = managed.state.next().unwrap_or(now);
            let revokes = idle && managed.revoking.is_some() && matches!(managed.state, State::Valid { .. });
            if when > now {
                next = Some(next.map_or(when, |next| next.min(when)));
            }
            if when <= now || revokes {
                self.see_to(managed, revokes);
            }
        }
        Ok(next)
    }

    /// Every host of every app and service, and rivetr's own, that can have a certificate and has none that was handed in.
    async fn names_to_certify(&self) -> Result<Vec<HostName>, EngineError> {
        let now = self.now();
        let mut own = self.reader().own_certificates().await?;
        own.retain(|own| own.held.facts.holds_at(now));
        let domains = self.reader().domains().await?;
        let hosts = domains.into_iter().filter_map(|domain| domain.site.host.exact().cloned());
        let all = self.0.settings.own_host.iter().cloned().chain(hosts);
        let names: BTreeSet<HostName> = all.filter(can_be_ordered).collect();
        Ok(names.into_iter().filter(|name| !own.iter().any(|own| own.covers(name.as_str()))).collect())
    }

    /// Lets a name go its way, unless it does.
    fn see_to(&self, managed: Managed, revokes: bool) {
        let Some(busy) = Busy::begin(self, &managed.name) else { return };
        let engine = self.clone();
        self.0.tasks.spawn(async move {
            let seen_to = async {
                let Ok(_slot) = engine.0.certs.slots.acquire().await else { return };
                let done = if revokes {
                    engine.revoke_old(&managed.name).await
                } else {
                    engine.certify(&managed.name).await
                };
                if let Err(error) = done {
                    tracing::error!(name = %managed.name, %error, "its certificate is not seen to");
                    engine.pause(TRY_AGAIN).await;
                }
            };
            engine.until_shutdown(Box::pin(seen_to)).await;
            drop(busy);
        });
    }

    fn rest_until(&self, next: Option<Timestamp>) -> Duration {
        let left = next.map(|next| Duration::from_millis(next.millis_since(self.now())));
        left.map_or(LONGEST_REST, |left| left.clamp(Duration::from_millis(100), LONGEST_REST))
    }
}

/// A number that nobody can know before.
fn random() -> Result<u32, EngineError> {
    getrandom::u32()
        .map_err(|error| EngineError::Unavailable(format!("the system gives no random bytes: {error}")))
}
