//! Whether the name of a domain leads here. It only looks, and refuses nothing: DNS may change the next minute.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use super::Engine;
use crate::domain::domain::{Domain, Pattern};
use crate::domain::name::HostName;
use crate::host::addresses;

/// How long one name may take to be looked up.
const LOOK_UP: Duration = Duration::from_secs(5);
/// Names that are looked up at once.
const AT_ONCE: usize = 32;
/// A name below a wildcard that nobody has made.
const PROBE: &str = "rivetr-dns-check";

/// Where a name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dns {
    /// To this machine alone.
    Here(Leads),
    /// Elsewhere, or also elsewhere.
    Elsewhere {
        /// What was looked up, and the addresses that are not ours.
        stray: Leads,
        /// Those that are, as people know them.
        ours: Vec<IpAddr>,
    },
    /// There is no such name.
    Nowhere(HostName),
    /// The look came to nothing.
    Unanswered {
        /// What was looked up.
        host: HostName,
        /// Why.
        why: String,
    },
    /// Nobody here knows which addresses are ours.
    Unjudged(Leads),
}

/// A name, and the addresses that it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leads {
    /// The name.
    pub host: HostName,
    /// The addresses.
    pub to: Vec<IpAddr>,
}

impl Dns {
    /// A stable word for programs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Here(_) => "here",
            Self::Elsewhere { .. } => "elsewhere",
            Self::Nowhere(_) => "nowhere",
            Self::Unanswered { .. } | Self::Unjudged(_) => "unknown",
        }
    }
}

impl fmt::Display for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(Leads { host, to }) => write!(f, "DNS of {host} points here ({})", list(to)),
            Self::Elsewhere { stray: Leads { host, to }, ours } => {
                write!(f, "DNS of {host} points to {}, not here ({})", list(to), list(ours))
            }
            Self::Nowhere(host) => {
                write!(f, "there is no DNS entry for {host}: make an A or AAAA record that points here")
            }
            Self::Unanswered { host, why } => {
                write!(f, "whether DNS of {host} points here cannot be told: {why}")
            }
            Self::Unjudged(Leads { host, to }) => write!(
                f,
                "whether DNS of {host} points here cannot be told: it points to {}, and this machine has no public \
                 address of its own; name its own in url under [instance] in rivetr.toml",
                list(to)
            ),
        }
    }
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Engine {
    /// Looks up where a domain leads; for all below a host, one name that stands for them.
    pub async fn check_dns(&self, pattern: &Pattern) -> Dns {
        let host = name_of(pattern);
        let (ours, found) = tokio::join!(self.own_addresses(Some(&host)), look_up(&host));
        judge(host, found, &ours)
    }

    /// The same for several, in their order.
    pub async fn check_dns_of(&self, domains: &[Domain]) -> Vec<Dns> {
        let names: Vec<HostName> = domains.iter().map(|domain| name_of(&domain.site.host)).collect();
        let looks = stream::iter(names).map(|host| async move {
            let found = look_up(&host).await;
            (host, found)
        });
        let (ours, found) =
            tokio::join!(self.own_addresses(None), looks.buffered(AT_ONCE).collect::<Vec<_>>());
        found.into_iter().map(|(host, found)| judge(host, found, &ours)).collect()
    }

    /// The addresses by which this machine is reached: its own, and those of the name that people know it by, which
    /// may be those of a router before it. That name says nothing of itself where `asked` is about it.
    async fn own_addresses(&self, asked: Option<&HostName>) -> Ours {
        let mut all = addresses::own().unwrap_or_else(|error| {
            tracing::warn!(%error, "the addresses of this machine cannot be read");
            Vec::new()
        });
        let known = match self.0.settings.own_host.as_ref().filter(|host| Some(*host) != asked) {
            Some(host) => look_up(host).await.unwrap_or_else(|error| {
                tracing::debug!(%host, %error, "rivetr's own name is not found");
                Vec::new()
            }),
            None => Vec::new(),
        };
        let public = all.iter().copied().filter(|address| addresses::is_public(*address)).collect();
        let shown = if known.is_empty() { public } else { known.clone() };
        all.extend(known);
        Ours { all, shown }
    }
}

/// The addresses that are ours.
struct Ours {
    all: Vec<IpAddr>,
    /// Those that people know; none: nobody outside could say which they are.
    shown: Vec<IpAddr>,
}

/// The name to look up.
fn name_of(pattern: &Pattern) -> HostName {
    match pattern {
        Pattern::Exact(host) => host.clone(),
        // One that is too long for one more label cannot be asked for; the one above it says most of it.
        Pattern::Below(base) => HostName::parse(&format!("{PROBE}.{base}")).unwrap_or_else(|_| base.clone()),
    }
}

async fn look_up(host: &HostName) -> Result<Vec<IpAddr>, String> {
    let found = tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((host.as_str(), 0))).await;
    let found = found.map_err(|_| format!("no answer within {} seconds", LOOK_UP.as_secs()))?;
    let mut addresses: Vec<IpAddr> =
        found.map_err(|error| error.to_string())?.map(|found| found.ip().to_canonical()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

fn judge(host: HostName, found: Result<Vec<IpAddr>, String>, ours: &Ours) -> Dns {
    let to = match found {
        Ok(to) => to,
        // The words of getaddrinfo(3) for a name that is not there, in glibc and in musl.
        Err(why)
            if ["not known", "does not resolve", "No address associated"]
                .iter()
                .any(|no| why.contains(no)) =>
        {
            return Dns::Nowhere(host);
        }
        Err(why) => return Dns::Unanswered { host, why },
    };
    // What means each machine itself means this one too, also where it has no such address.
    let is_stray = |address: &IpAddr| !address.is_loopback() && !ours.all.contains(address);
    let stray: Vec<IpAddr> = to.iter().copied().filter(is_stray).collect();
    match (to.is_empty(), stray.is_empty()) {
        (true, _) => Dns::Nowhere(host),
        (false, true) => Dns::Here(Leads { host, to }),
        (false, false) if ours.shown.is_empty() => Dns::Unjudged(Leads { host, to: stray }),
        (false, false) => Dns::Elsewhere { stray: Leads { host, to: stray }, ours: ours.shown.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_look_tells() {
        let addresses =
            |list: &[&str]| -> Vec<IpAddr> { list.iter().map(|text| text.parse().unwrap()).collect() };
        let check = |found: Result<&[&str], &str>, shown: &[&str], expect: &str| {
            let ours =
                Ours { all: addresses(&["127.0.0.1", "10.0.0.2", "198.51.100.4"]), shown: addresses(shown) };
            let host = HostName::parse("blog.example").unwrap();
            let dns = judge(host, found.map(addresses).map_err(str::to_owned), &ours);
            assert_eq!(dns.to_string(), expect);
        };
        let ours = &["198.51.100.4"];
        check(Ok(&["198.51.100.4"]), ours, "DNS of blog.example points here (198.51.100.4)");
        check(Ok(&["10.0.0.2"]), &[], "DNS of blog.example points here (10.0.0.2)");
        check(Ok(&["::1"]), ours, "DNS of blog.example points here (::1)");
        check(Ok(&["192.0.2.7"]), ours, "DNS of blog.example points to 192.0.2.7, not here (198.51.100.4)");
        check(
            Ok(&["198.51.100.4", "2001:db8::1"]),
            ours,
            "DNS of blog.example points to 2001:db8::1, not here (198.51.100.4)",
        );
        let record = "there is no DNS entry for blog.example: make an A or AAAA record that points here";
        check(Err("failed to lookup address information: Name or service not known"), ours, record);
        check(
            Err("failed to lookup address information: Temporary failure in name resolution"),
            ours,
            "whether DNS of blog.example points here cannot be told: failed to lookup address information: \
             Temporary failure in name resolution",
        );
        check(
            Ok(&["192.0.2.7"]),
            &[],
            "whether DNS of blog.example points here cannot be told: it points to 192.0.2.7, and this machine has no \
             public address of its own; name its own in url under [instance] in rivetr.toml",
        );
    }

    #[tokio::test]
    async fn this_machine_finds_itself() {
        let ours = Ours { all: addresses::own().unwrap(), shown: vec![] };
        let localhost = name_of(&Pattern::parse("localhost").unwrap());
        let found = look_up(&localhost).await;
        assert_eq!(judge(localhost, found, &ours).as_str(), "here");
        let below = name_of(&Pattern::parse("*.a.org").unwrap());
        assert_eq!(below.as_str(), "rivetr-dns-check.a.org");
    }
}
