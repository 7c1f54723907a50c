//! Certificates: for which names one is ordered, how each order stands, and when it is looked at again.
//!
//! Each name is on its own: its state says what happens next and when, also over restarts. What is served is the
//! certificate that is held, whatever the state; so an old one stays until a new one is there.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use thiserror::Error;

use super::name::{HostName, InvalidName};
use super::secret::Sealed;
use super::time::Timestamp;

/// The most orders for one name within [`ORDERS_SPAN`]: servers count failed ones too, and lock out who goes on.
pub const ORDERS_MAX: usize = 5;
/// The time within which orders are counted.
pub const ORDERS_SPAN: Duration = Duration::from_hours(24);
/// A name whose DNS leads elsewhere is looked at again after this: looking costs next to nothing.
const DNS_PAUSE: Duration = Duration::from_mins(1);
/// After a first refusal: the other challenge may do.
const SECOND_WAY: Duration = Duration::from_secs(10);
/// After a second refusal; four times as long after each further one.
const REFUSED_PAUSE: Duration = Duration::from_mins(5);
/// The longest pause between two orders.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);
/// After the server was not reached; twice as long each time.
const SERVER_PAUSE: Duration = Duration::from_secs(15);
/// The longest such pause: nothing was ordered, so asking again costs nothing.
const LONGEST_SERVER_PAUSE: Duration = Duration::from_mins(15);
/// A certificate is never renewed sooner than this after it was issued.
const SHORTEST_LIFE: Duration = Duration::from_mins(1);

/// What a certificate is for: a host, or with `*.` before it all hosts that have one label more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertName(String);

impl CertName {
    /// Takes `blog.example.org` or `*.example.org`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let zone = text.strip_prefix("*.");
        let host = HostName::parse(zone.unwrap_or(text));
        let rule = "use a host name such as blog.example.org, or *.example.org for all with one label more";
        let host = host.map_err(|_| InvalidName::new("certificate name", text, rule))?;
        Ok(Self(if zone.is_some() { format!("*.{host}") } else { host.to_string() }))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a certificate for this name is good for `host`.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        match self.0.strip_prefix("*.") {
            Some(zone) => host.split_once('.').is_some_and(|(_, rest)| rest == zone),
            None => self.0 == host,
        }
    }
}

impl From<&HostName> for CertName {
    fn from(host: &HostName) -> Self {
        Self(host.to_string())
    }
}

impl fmt::Display for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a certificate can be ordered for a host: it is one name, no address, and its zone is not shared with the
/// whole world, which sslip.io is and whose servers' limits are therefore always spent.
#[must_use]
pub fn can_be_ordered(host: &HostName) -> bool {
    let name = host.as_str();
    let shared = name == "sslip.io" || name.ends_with(".sslip.io");
    name.contains('.') && name.parse::<Ipv4Addr>().is_err() && !shared
}

/// How the order for a name stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is its turn as soon as there is time.
    Queued,
    /// Its DNS does not lead here.
    WaitingForDns {
        /// What was found, for people.
        reason: String,
        /// When it is looked at again.
        next: Timestamp,
    },
    /// An order is under way. If rivetr ends meanwhile, another one is begun.
    Ordering {
        /// What went wrong before.
        failures: Failures,
    },
    /// A certificate is there.
    Valid {
        /// When it ends.
        not_after: Timestamp,
        /// When another one is ordered.
        renew_at: Timestamp,
    },
    /// The last order failed.
    Failed {
        /// Why, and what to do, for people.
        reason: String,
        /// When it is tried again.
        next: Timestamp,
        /// What went wrong so far.
        failures: Failures,
    },
}

/// How often in a row orders for a name have failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// The server refused, or did not find what it was to find here.
    pub refused: u32,
    /// The server was not there, or not well.
    pub unreachable: u32,
}

/// Why an order failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The server was not reached or did not do its part; the name has no fault in it.
    Server {
        /// Why, for people.
        reason: String,
        /// The server said so: not before this time has passed.
        retry_after: Option<Duration>,
    },
    /// The server does not give a certificate for this name.
    Refused {
        /// Why, for people.
        reason: String,
        /// The server said so: not before this time has passed.
        retry_after: Option<Duration>,
    },
    /// There were [`ORDERS_MAX`] orders already.
    Spent {
        /// When there may be another one.
        until: Timestamp,
    },
}

/// By which challenge the server sees that a name leads here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A file over HTTP, port 80 (RFC 8555, 8.3).
    Http,
    /// A certificate in a handshake, port 443 (RFC 8737).
    TlsAlpn,
}

/// Which challenges may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// HTTP first, and in turns after a refusal.
    Auto,
    /// One alone.
    Only(Way),
}

impl Ways {
    /// The one for the next order.
    #[must_use]
    pub fn after(self, failures: Failures) -> Way {
        match self {
            Self::Only(way) => way,
            Self::Auto if failures.refused.is_multiple_of(2) => Way::Http,
            Self::Auto => Way::TlsAlpn,
        }
    }
}

/// A move that the state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a certificate that is {from} cannot be {to}")]
pub struct IllegalMove {
    from: &'static str,
    to: &'static str,
}

impl State {
    /// The word for it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::WaitingForDns { .. } => "waiting-for-dns",
            Self::Ordering { .. } => "ordering",
            Self::Valid { .. } => "valid",
            Self::Failed { .. } => "failed",
        }
    }

    /// When something is to be done; none: at once.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        match self {
            Self::Queued | Self::Ordering { .. } => None,
            Self::WaitingForDns { next, .. } | Self::Failed { next, .. } => Some(*next),
            Self::Valid { renew_at, .. } => Some(*renew_at),
        }
    }

    /// What went wrong in a row so far.
    #[must_use]
    pub fn failures(&self) -> Failures {
        match self {
            Self::Ordering { failures } | Self::Failed { failures, .. } => *failures,
            Self::Queued | Self::WaitingForDns { .. } | Self::Valid { .. } => Failures::default(),
        }
    }

    /// The name does not lead here: nothing is ordered.
    pub fn wait_for_dns(&mut self, reason: String, now: Timestamp, random: u32) {
        *self = Self::WaitingForDns { reason, next: now.after(jittered(DNS_PAUSE, random)) };
    }

    /// An order begins; one that rivetr did not live to see the end of begins anew.
    pub fn order(&mut self) {
        *self = Self::Ordering { failures: self.failures() };
    }

    /// The order has brought a certificate.
    pub fn issue(
        &mut self,
        (not_before, not_after): (Timestamp, Timestamp),
        now: Timestamp,
        random: u32,
    ) -> Result<(), IllegalMove> {
        self.must_be_ordering("issued")?;
        let life = Duration::from_millis(not_after.millis_since(not_before));
        // Between 63 and 70 percent of its life, so that those of one day are not all renewed on one day.
        let renew_at = not_before.after(life * 19 / 30 + share(life / 15, random));
        *self = Self::Valid { not_after, renew_at: renew_at.max(now.after(SHORTEST_LIFE)) };
        Ok(())
    }

    /// The order has failed.
    pub fn fail(&mut self, trouble: Trouble, now: Timestamp, random: u32) -> Result<(), IllegalMove> {
        self.must_be_ordering("failed")?;
        let mut failures = self.failures();
        let (reason, pause, retry_after) = match trouble {
            Trouble::Server { reason, retry_after } => {
                failures.unreachable = failures.unreachable.saturating_add(1);
                let pause = grown(SERVER_PAUSE, 2, failures.unreachable - 1).min(LONGEST_SERVER_PAUSE);
                (reason, pause, retry_after)
            }
            Trouble::Refused { reason, retry_after } => {
                failures.refused = failures.refused.saturating_add(1);
                let pause = match failures.refused {
                    1 => SECOND_WAY,
                    more => grown(REFUSED_PAUSE, 4, more - 2).min(LONGEST_PAUSE),
                };
                (reason, pause, retry_after)
            }
            Trouble::Spent { until } => {
                let reason =
                    format!("{ORDERS_MAX} orders within a day are enough: the server locks out who asks on");
                *self = Self::Failed { reason, next: until, failures };
                return Ok(());
            }
        };
        let pause = jittered(pause, random).max(retry_after.unwrap_or_default());
        *self = Self::Failed { reason, next: now.after(pause), failures };
        Ok(())
    }

    /// A person asks for a certificate now.
    pub fn ask(&mut self) -> Result<(), IllegalMove> {
        if let Self::Ordering { .. } = self {
            return Err(IllegalMove { from: self.as_str(), to: "ordered" });
        }
        *self = Self::Queued;
        Ok(())
    }

    fn must_be_ordering(&self, to: &'static str) -> Result<(), IllegalMove> {
        match self {
            Self::Ordering { .. } => Ok(()),
            Self::Queued | Self::WaitingForDns { .. } | Self::Valid { .. } | Self::Failed { .. } => {
                Err(IllegalMove { from: self.as_str(), to })
            }
        }
    }
}

/// A pause that has grown `times` times.
fn grown(first: Duration, factor: u32, times: u32) -> Duration {
    first.saturating_mul(factor.saturating_pow(times))
}

/// A pause, a fifth shorter to a fifth longer, as the random number says.
fn jittered(pause: Duration, random: u32) -> Duration {
    pause * 4 / 5 + share(pause * 2 / 5, random)
}

/// From nothing to all of it.
fn share(whole: Duration, random: u32) -> Duration {
    whole.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What it is for; at least one name.
    pub names: Vec<CertName>,
    /// Who issued it.
    pub issuer: String,
    /// Its first moment.
    pub not_before: Timestamp,
    /// Its last moment.
    pub not_after: Timestamp,
}

impl Facts {
    /// Whether it holds at this moment.
    #[must_use]
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }
}

/// A certificate that is there, with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What it says.
    pub facts: Facts,
    /// It and those that lead to its root, as PEM.
    pub chain: String,
    /// Its key as PEM, sealed.
    pub key: Sealed,
}

/// A name for which rivetr sees to a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Managed {
    /// The name.
    pub name: HostName,
    /// How its order stands.
    pub state: State,
    /// What is served meanwhile.
    pub held: Option<Held>,
    /// A chain that is to be revoked once another one is served.
    pub revoking: Option<String>,
}

impl Managed {
    /// What its key is sealed for.
    #[must_use]
    pub fn key_place(name: &HostName) -> String {
        format!("certificate/{name}")
    }
}

/// A certificate that somebody has handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// The first of its names, by which it is known.
    pub name: CertName,
    /// The certificate.
    pub held: Held,
    /// When it was handed in.
    pub added: Timestamp,
}

impl Own {
    /// What its key is sealed for.
    #[must_use]
    pub fn key_place(name: &CertName) -> String {
        format!("own-certificate/{name}")
    }

    /// Whether it is good for `host`.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        self.held.facts.names.iter().any(|name| name.covers(host))
    }
}

#[cfg(test)]
mod tests;
