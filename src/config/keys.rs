//! The one table of what can be configured: where it stands, what is allowed, what it is for. Files, environment,
//! `rivetr config check` and documentation all read it. The defaults stand in `settings`.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;

use super::raw::Raw;
use super::settings::{Challenge, InstanceUrl, Level, Logged, Pool, Protocol, Settings};
use crate::domain::name::HostName;
use crate::domain::volume::ContainerPath;

/// One thing that can be configured.
#[derive(Debug)]
pub struct Key {
    /// Its section: `[build]`.
    pub section: &'static str,
    /// Its name in the section.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    field: Field,
}

/// What a key takes, and which setting it is.
#[derive(Debug)]
enum Field {
    Whole(RangeInclusive<u32>, fn(&mut Settings) -> &mut u32),
    MaybeWhole(RangeInclusive<u32>, fn(&mut Settings) -> &mut Option<u32>),
    Seconds(RangeInclusive<u32>, fn(&mut Settings) -> &mut Duration),
    Level(fn(&mut Settings) -> &mut Level),
    Logged(fn(&mut Settings) -> &mut Logged),
    Loopback(fn(&mut Settings) -> &mut SocketAddr),
    Listen(fn(&mut Settings) -> &mut SocketAddr),
    Url(fn(&mut Settings) -> &mut Option<InstanceUrl>),
    Domain(fn(&mut Settings) -> &mut Option<HostName>),
    Pool(fn(&mut Settings) -> &mut Pool),
    Protocols(fn(&mut Settings) -> &mut Vec<Protocol>),
    Directories(fn(&mut Settings) -> &mut Vec<PathBuf>),
    Server(fn(&mut Settings) -> &mut String),
    Email(fn(&mut Settings) -> &mut Option<String>),
    Text(fn(&mut Settings) -> &mut Option<String>),
    File(fn(&mut Settings) -> &mut Option<PathBuf>),
    Networks(fn(&mut Settings) -> &mut Vec<IpNet>),
    Flag(fn(&mut Settings) -> &mut bool),
    Challenge(fn(&mut Settings) -> &mut Challenge),
}

const fn key(section: &'static str, name: &'static str, field: Field, about: &'static str) -> Key {
    Key { section, name, about, field }
}

const DAY: u32 = 86_400;

/// Everything that can be configured, in the order people read it.
pub static KEYS: [Key; 40] = [
    key(
        "log",
        "level",
        Field::Level(|s| &mut s.log.level),
        "The least important message that is still logged.",
    ),
    key(
        "instance",
        "url",
        Field::Url(|s| &mut s.instance.url),
        "The address under which the proxy serves rivetr itself.",
    ),
    key(
        "instance",
        "base_domain",
        Field::Domain(|s| &mut s.instance.base_domain),
        "Every app also answers at <app>.<base_domain>. Unset: <address>.sslip.io if url holds an IPv4 address.",
    ),
    key(
        "api",
        "listen",
        Field::Loopback(|s| &mut s.api.listen),
        "Where the API listens if systemd hands in no socket.",
    ),
    key(
        "proxy",
        "listen",
        Field::Listen(|s| &mut s.proxy.listen),
        "Where the proxy listens if systemd hands in no socket.",
    ),
    key(
        "proxy",
        "listen_tls",
        Field::Listen(|s| &mut s.proxy.listen_tls),
        "Where the proxy listens for HTTPS if systemd hands in no socket.",
    ),
    key(
        "proxy",
        "workers",
        Field::MaybeWhole(1..=256, |s| &mut s.proxy.workers),
        "How many threads serve requests. Unset: one for each socket that systemd hands in, else one for each processor.",
    ),
    key(
        "proxy",
        "access_log",
        Field::Logged(|s| &mut s.proxy.access_log.choice),
        "Which requests are logged, one JSON object a line. \"errors\": those that the proxy refuses or that end with a status of 500 or more; \"sampled\": those, and some others.",
    ),
    key(
        "proxy",
        "access_log_sample",
        Field::Whole(1..=1_000_000, |s| &mut s.proxy.access_log.sample),
        "With \"sampled\", one request of so many is logged.",
    ),
    key(
        "proxy",
        "access_log_query",
        Field::Flag(|s| &mut s.proxy.access_log.query),
        "Whether the part of an address after its question mark is logged. It often holds secrets.",
    ),
    key(
        "proxy",
        "access_log_file",
        Field::File(|s| &mut s.proxy.access_log.file),
        "The file of the access log, in the proxy's own log directory. Unset: the journal, under the name rivetr-access.",
    ),
    key(
        "proxy",
        "trusted",
        Field::Networks(|s| &mut s.proxy.trusted),
        "The proxies in front of this one, by their networks: what they say of their clients is believed.",
    ),
    key(
        "proxy",
        "proxy_protocol",
        Field::Flag(|s| &mut s.proxy.proxy_protocol),
        "Whether the trusted proxies begin each connection with the PROXY protocol; then they must.",
    ),
    key(
        "network",
        "pool",
        Field::Pool(|s| &mut s.network.pool),
        "Each project's network of 256 addresses is taken from here.",
    ),
    key(
        "build",
        "memory_mb",
        Field::Whole(64..=1_048_576, |s| &mut s.build.memory_mb),
        "The most memory a build may use, in MiB.",
    ),
    key(
        "build",
        "cpu_percent",
        Field::Whole(5..=100_000, |s| &mut s.build.cpu_percent),
        "The most processor time a build may use, in percent of one processor.",
    ),
    key(
        "build",
        "timeout_s",
        Field::Seconds(10..=DAY, |s| &mut s.build.timeout),
        "How long a build may take, in seconds.",
    ),
    key(
        "build",
        "concurrency",
        Field::Whole(1..=64, |s| &mut s.build.concurrency),
        "How many builds may run at once.",
    ),
    key(
        "deploy",
        "concurrency",
        Field::Whole(1..=64, |s| &mut s.deploy.concurrency),
        "How many deployments may run at once.",
    ),
    key(
        "deploy",
        "drain_timeout_s",
        Field::Seconds(0..=3600, |s| &mut s.deploy.drain_timeout),
        "How long requests to a replaced release may still take, in seconds.",
    ),
    key(
        "deploy",
        "keep_images",
        Field::Whole(1..=100, |s| &mut s.deploy.keep_images),
        "How many of an app's newest images are kept, the live one included.",
    ),
    key(
        "deploy",
        "keep_deployments",
        Field::Whole(1..=1000, |s| &mut s.deploy.keep_deployments),
        "How many of an app's newest deployments are remembered, with their logs. Those of kept images are too.",
    ),
    key(
        "deploy",
        "queue_max",
        Field::Whole(1..=10_000, |s| &mut s.deploy.queue_max),
        "How many deployments may wait, over all apps; one more is refused.",
    ),
    key(
        "deploy",
        "log_limit_mb",
        Field::Whole(1..=10_240, |s| &mut s.deploy.log_limit_mb),
        "How long the log of a deployment may become, in MiB; a build that writes more is ended.",
    ),
    key(
        "git",
        "protocols",
        Field::Protocols(|s| &mut s.git.protocols),
        "The protocols over which rivetr fetches. With http, anyone on the way can change the code.",
    ),
    key(
        "git",
        "timeout_s",
        Field::Seconds(5..=DAY, |s| &mut s.git.timeout),
        "How long a fetch may take, in seconds.",
    ),
    key(
        "git",
        "max_size_mb",
        Field::Whole(1..=1_048_576, |s| &mut s.git.max_size_mb),
        "The most that one fetch or push may bring, in MiB.",
    ),
    key(
        "volumes",
        "bind_roots",
        Field::Directories(|s| &mut s.volumes.bind_roots),
        "Apps may mount the directories that lie directly in these, and nothing else of the host; none, unless you name some. Whoever may change apps can read and write all that lies there.",
    ),
    key(
        "acme",
        "enabled",
        Field::Flag(|s| &mut s.acme.enabled),
        "Whether certificates are ordered for the hosts of apps and for rivetr's own.",
    ),
    key(
        "acme",
        "directory",
        Field::Server(|s| &mut s.acme.directory),
        "The directory of the ACME server that gives them.",
    ),
    key("acme", "email", Field::Email(|s| &mut s.acme.email), "Where the server may write to."),
    key(
        "acme",
        "ca_file",
        Field::File(|s| &mut s.acme.ca_file),
        "A file of PEM with the roots to trust for the server. Unset: those of this machine.",
    ),
    key(
        "acme",
        "eab_kid",
        Field::Text(|s| &mut s.acme.eab_kid),
        "The name of your account at the server, if it wants one (external account binding).",
    ),
    key(
        "acme",
        "eab_hmac_key_file",
        Field::File(|s| &mut s.acme.eab_hmac_key_file),
        "The file that holds that account's HMAC key, in base64url.",
    ),
    key(
        "acme",
        "challenge",
        Field::Challenge(|s| &mut s.acme.challenge),
        "How the server sees that a name leads here.",
    ),
    key(
        "acme",
        "dns_check",
        Field::Flag(|s| &mut s.acme.dns_check),
        "Whether DNS must lead a name here before a certificate is ordered. Switch it off behind a proxy of others.",
    ),
    key(
        "audit",
        "retention_days",
        Field::Whole(1..=3650, |s| &mut s.audit.retention_days),
        "For how many days it is kept what was done by whom.",
    ),
    key(
        "sessions",
        "idle_s",
        Field::Seconds(60..=2_592_000, |s| &mut s.sessions.idle),
        "How long somebody stays signed in without doing anything, in seconds.",
    ),
    key(
        "sessions",
        "longest_s",
        Field::Seconds(60..=31_536_000, |s| &mut s.sessions.longest),
        "How long somebody stays signed in at the most, in seconds.",
    ),
    key(
        "sessions",
        "proof_s",
        Field::Seconds(0..=86_400, |s| &mut s.sessions.proof),
        "After how long the password is asked for again before something is given away or deleted, in seconds.",
    ),
];

impl Key {
    /// The key of a section and a name.
    #[must_use]
    pub fn find(section: &str, name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.section == section && key.name == name)
    }

    /// The environment variable that overrides it: `RIVETR_BUILD_MEMORY_MB`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("RIVETR_{}_{}", self.section, self.name).to_ascii_uppercase()
    }

    /// What it takes, in words that follow "expected".
    #[must_use]
    pub fn allowed(&self) -> String {
        match &self.field {
            Field::Whole(range, _) | Field::MaybeWhole(range, _) => whole_from(range),
            Field::Seconds(range, _) => format!("{} (seconds)", whole_from(range)),
            Field::Level(_) => format!("one of {}", quoted(Level::ALL.map(Level::as_str))),
            Field::Logged(_) => format!("one of {}", quoted(Logged::ALL.map(Logged::as_str))),
            Field::Loopback(_) => "a loopback address and a port, such as \"127.0.0.1:7480\"".to_owned(),
            Field::Listen(_) => "an address and a port, such as \"0.0.0.0:80\" or \"[::]:80\"".to_owned(),
            Field::Url(_) => {
                "an address such as \"https://rivetr.example.org\" or \"http://192.0.2.7:8080\"".to_owned()
            }
            Field::Domain(_) => "a domain name such as \"apps.example.org\"".to_owned(),
            Field::Pool(_) => {
                "a private IPv4 network with a prefix up to 24, such as \"10.90.0.0/16\"".to_owned()
            }
            Field::Protocols(_) => format!("a list of {}", quoted(Protocol::ALL.map(Protocol::as_str))),
            Field::Directories(_) => {
                "a list of absolute paths such as [\"/srv/media\"], none of them /".to_owned()
            }
            Field::Networks(_) => "a list of networks such as [\"10.0.0.0/8\", \"2001:db8::/32\"]".to_owned(),
            Field::Flag(_) => "true or false".to_owned(),
            Field::Server(_) => "an address such as \"https://ca.example.org/directory\"".to_owned(),
            Field::Email(_) => "an address such as \"ada@example.org\"".to_owned(),
            Field::Text(_) => "a text of 1 to 200 characters".to_owned(),
            Field::File(_) => "an absolute path of a file".to_owned(),
            Field::Challenge(_) => format!("one of {}", quoted(Challenge::ALL.map(Challenge::as_str))),
        }
    }

    /// The value that `settings` holds, as JSON; null where it is unset.
    #[must_use]
    pub fn value(&self, settings: &Settings) -> Value {
        // The fields are reached through one accessor each, which wants the settings for itself.
        let settings = &mut settings.clone();
        match &self.field {
            Field::Whole(_, at) => (*at(settings)).into(),
            Field::MaybeWhole(_, at) => (*at(settings)).into(),
            Field::Seconds(_, at) => at(settings).as_secs().into(),
            Field::Level(at) => at(settings).as_str().into(),
            Field::Logged(at) => at(settings).as_str().into(),
            Field::Loopback(at) | Field::Listen(at) => at(settings).to_string().into(),
            Field::Url(at) => at(settings).as_ref().map(ToString::to_string).into(),
            Field::Domain(at) => at(settings).as_ref().map(ToString::to_string).into(),
            Field::Pool(at) => at(settings).to_string().into(),
            Field::Protocols(at) => at(settings).iter().map(|protocol| protocol.as_str()).collect(),
            Field::Directories(at) => at(settings).iter().map(|path| path.to_string_lossy()).collect(),
            Field::Networks(at) => at(settings).iter().map(ToString::to_string).collect(),
            Field::Flag(at) => (*at(settings)).into(),
            Field::Server(at) => at(settings).as_str().into(),
            Field::Email(at) | Field::Text(at) => at(settings).as_deref().into(),
            Field::File(at) => at(settings).as_deref().map(|path| path.to_string_lossy()).into(),
            Field::Challenge(at) => at(settings).as_str().into(),
        }
    }

    /// Takes what was written; none, and nothing changed: it is not allowed.
    pub(super) fn set(&self, settings: &mut Settings, raw: &Raw<'_>) -> Option<()> {
        match &self.field {
            Field::Whole(range, at) => *at(settings) = raw.whole(range)?,
            Field::MaybeWhole(range, at) => *at(settings) = Some(raw.whole(range)?),
            Field::Seconds(range, at) => *at(settings) = Duration::from_secs(raw.whole(range)?.into()),
            Field::Logged(at) => *at(settings) = one_of(&Logged::ALL, Logged::as_str, raw.text()?)?,
            Field::Level(at) => *at(settings) = one_of(&Level::ALL, Level::as_str, raw.text()?)?,
            Field::Loopback(at) => {
                *at(settings) = address(raw.text()?).filter(|address| address.ip().is_loopback())?;
            }
            Field::Listen(at) => *at(settings) = address(raw.text()?)?,
            Field::Url(at) => *at(settings) = Some(InstanceUrl::parse(raw.text()?)?),
            Field::Domain(at) => *at(settings) = Some(HostName::parse(raw.text()?).ok()?),
            Field::Pool(at) => *at(settings) = Pool::parse(raw.text()?)?,
            Field::Protocols(at) => {
                let words = raw.words().filter(|words| !words.is_empty())?;
                let protocols = words.iter().map(|word| one_of(&Protocol::ALL, Protocol::as_str, word));
                *at(settings) = protocols.collect::<Option<Vec<_>>>()?;
            }
            Field::Directories(at) => {
                *at(settings) = raw.words()?.into_iter().map(path).collect::<Option<Vec<_>>>()?;
            }
            Field::Networks(at) => {
                *at(settings) = raw.words()?.into_iter().map(network).collect::<Option<Vec<_>>>()?;
            }
            Field::Flag(at) => *at(settings) = raw.flag()?,
            Field::Server(at) => *at(settings) = server(raw.text()?)?,
            Field::Email(at) => *at(settings) = Some(email(raw.text()?)?),
            Field::Text(at) => *at(settings) = Some(plain(raw.text()?)?),
            Field::File(at) => *at(settings) = Some(path(raw.text()?)?),
            Field::Challenge(at) => *at(settings) = one_of(&Challenge::ALL, Challenge::as_str, raw.text()?)?,
        }
        Some(())
    }
}

/// Port 0 would be any port: nobody could find the listener.
fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok().filter(|address: &SocketAddr| address.port() != 0)
}

/// An absolute path without detours, other than the root.
fn path(text: &str) -> Option<PathBuf> {
    ContainerPath::parse(text).ok().map(|path| PathBuf::from(path.as_str()))
}

/// A directory of ACME is read over HTTPS alone.
fn server(text: &str) -> Option<String> {
    let uri: http::Uri = text.parse().ok()?;
    let fine = uri.scheme_str() == Some("https") && uri.host().is_some_and(|host| !host.is_empty());
    fine.then(|| text.to_owned())
}

fn email(text: &str) -> Option<String> {
    let (user, host) = text.rsplit_once('@')?;
    // What an address of mailto: would take for something else (RFC 6068).
    let fine = !user.is_empty() && !user.contains(['?', '&', '%', ',', ' ']) && HostName::parse(host).is_ok();
    plain(text).filter(|_| fine)
}

fn plain(text: &str) -> Option<String> {
    let fine = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fine.then(|| text.to_owned())
}

/// A network, or one address.
fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}

fn one_of<T: Copy>(all: &[T], word_of: fn(T) -> &'static str, word: &str) -> Option<T> {
    all.iter().copied().find(|candidate| word_of(*candidate) == word)
}

fn whole_from(range: &RangeInclusive<u32>) -> String {
    format!("a whole number from {} to {}", range.start(), range.end())
}

fn quoted<const N: usize>(words: [&str; N]) -> String {
    words.map(|word| format!("\"{word}\"")).join(", ")
}
