//! What each component is told, as plain checked values. The defaults stand here; names, limits and words about
//! each stand in `keys`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::domain::name::HostName;

/// Everything that is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What is logged.
    pub log: Log,
    /// How people reach this rivetr.
    pub instance: Instance,
    /// The API.
    pub api: Api,
    /// The proxy.
    pub proxy: Proxy,
    /// The networks of the projects.
    pub network: Network,
    /// Builds.
    pub build: Build,
    /// Deployments.
    pub deploy: Deploy,
    /// Repositories elsewhere and pushes.
    pub git: Git,
    /// What apps may mount.
    pub volumes: Volumes,
    /// How certificates are ordered.
    pub acme: Acme,
    /// What was done by whom.
    pub audit: Audit,
    /// Sessions of browsers.
    pub sessions: Sessions,
    /// Where this process runs; from its environment, never from a file.
    pub place: Place,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least important message that is still written.
    pub level: Level,
}

/// How important a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something should be looked at.
    Warn,
    /// What happens.
    Info,
    /// Why it happens.
    Debug,
    /// Everything.
    Trace,
}

/// How people reach this rivetr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The address of the control plane as the proxy serves it.
    pub url: Option<InstanceUrl>,
    /// Apps are reached at `<app>.<base_domain>`; none: only at the hosts they name.
    pub base_domain: Option<HostName>,
}

/// `http://host[:port]`, `https://host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceUrl {
    /// Whether it is reached by HTTPS.
    pub https: bool,
    /// The host.
    pub host: HostName,
    /// The port; none: the usual one, 80 or 443.
    pub port: Option<u16>,
}

/// The API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// The loopback address it listens on where systemd hands in no socket.
    pub listen: SocketAddr,
}

/// The proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The address it listens on where systemd hands in no socket.
    pub listen: SocketAddr,
    /// The same for HTTPS.
    pub listen_tls: SocketAddr,
    /// How many threads serve; none: one for each processor, or one for each socket handed in.
    pub workers: Option<u32>,
    /// What is logged of requests.
    pub access_log: AccessLog,
    /// The proxies in front of it.
    pub trusted: Vec<IpNet>,
    /// Whether those introduce each connection by the PROXY protocol.
    pub proxy_protocol: bool,
}

/// What is logged of requests, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// Which requests.
    pub choice: Logged,
    /// One of so many requests, where samples are logged.
    pub sample: u32,
    /// Whether the part of an address after its question mark is logged.
    pub query: bool,
    /// The file; none: the journal.
    pub file: Option<PathBuf>,
}

/// Which requests are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logged {
    /// None.
    Off,
    /// Those that went wrong.
    Errors,
    /// Those, and one of so many others.
    Sampled,
    /// All.
    All,
}

/// The networks of the projects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Where each project's /24 is taken from.
    pub pool: Pool,
}

/// A private IPv4 network from which smaller ones are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Its first address.
    pub base: Ipv4Addr,
    /// The length of its prefix, 8 to 24.
    pub prefix: u8,
}

/// Builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The most memory a build may use, in MiB.
    pub memory_mb: u32,
    /// The most processor time a build may use; 100 is one processor.
    pub cpu_percent: u32,
    /// How long a build may take.
    pub timeout: Duration,
    /// How many builds may run at once.
    pub concurrency: u32,
}

/// Deployments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    /// How many deployments may run at once.
    pub concurrency: u32,
    /// How long requests to a replaced release may go on.
    pub drain_timeout: Duration,
    /// How many of an app's newest images are kept.
    pub keep_images: u32,
    /// How many of an app's newest deployments are remembered.
    pub keep_deployments: u32,
    /// How many deployments may wait.
    pub queue_max: u32,
    /// The largest log of a deployment, in MiB.
    pub log_limit_mb: u32,
}

/// What apps may mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Volumes {
    /// Apps may mount the directories of the host that lie directly in these.
    pub bind_roots: Vec<PathBuf>,
}

/// What was done by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// For how many days it is kept.
    pub retention_days: u32,
}

/// Sessions of browsers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    /// How long one lasts without use.
    pub idle: Duration,
    /// How long one lasts at the most.
    pub longest: Duration,
    /// After this time the password is asked for again.
    pub proof: Duration,
}

/// How certificates are ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// Whether they are.
    pub enabled: bool,
    /// The address of the server's directory.
    pub directory: String,
    /// Where the server may write to.
    pub email: Option<String>,
    /// A file of roots to trust in place of those of this machine.
    pub ca_file: Option<PathBuf>,
    /// The name of an account that a person has at the server.
    pub eab_kid: Option<String>,
    /// The file that holds that account's HMAC key.
    pub eab_hmac_key_file: Option<PathBuf>,
    /// How the server sees that a name leads here.
    pub challenge: Challenge,
    /// Whether DNS is asked before an order whether the name leads here.
    pub dns_check: bool,
}

/// How the server sees that a name leads here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// By HTTP, and in turns after a refusal.
    Auto,
    /// Over HTTP alone.
    Http,
    /// In a TLS handshake alone.
    TlsAlpn,
}

/// Repositories elsewhere and pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Git {
    /// The protocols over which rivetr fetches.
    pub protocols: Vec<Protocol>,
    /// How long a fetch may take.
    pub timeout: Duration,
    /// The most that a fetch or a push may bring, in MiB.
    pub max_size_mb: u32,
}

/// A way to fetch from a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `https://`
    Https,
    /// `ssh://`
    Ssh,
    /// `http://`: neither secret nor protected against change on the way.
    Http,
}

/// Where this process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The number of the user.
    pub uid: u32,
    /// The user's home.
    pub home: PathBuf,
    /// What must survive: `/var/lib/rivetr` or `~/.local/share/rivetr`.
    pub state_dir: PathBuf,
    /// Sockets: `/run/rivetr` or `$XDG_RUNTIME_DIR/rivetr`.
    pub runtime_dir: PathBuf,
    /// The runtime directory of the user's manager, where the environment names it.
    pub xdg_runtime_dir: Option<PathBuf>,
}

impl Settings {
    /// What holds where nothing is configured.
    #[must_use]
    pub fn defaults(place: Place) -> Self {
        Self {
            log: Log { level: Level::Info },
            instance: Instance { url: None, base_domain: None },
            api: Api { listen: SocketAddr::from(([127, 0, 0, 1], 7480)) },
            proxy: Proxy {
                listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
                listen_tls: SocketAddr::from(([0, 0, 0, 0], 8443)),
                workers: None,
                access_log: AccessLog { choice: Logged::Off, sample: 100, query: false, file: None },
                trusted: Vec::new(),
                proxy_protocol: false,
            },
            network: Network { pool: Pool { base: Ipv4Addr::new(10, 90, 0, 0), prefix: 16 } },
            build: Build {
                memory_mb: 2048,
                cpu_percent: 200,
                timeout: Duration::from_mins(30),
                concurrency: 1,
            },
            deploy: Deploy {
                concurrency: 4,
                drain_timeout: Duration::from_secs(30),
                keep_images: 3,
                keep_deployments: 50,
                queue_max: 100,
                log_limit_mb: 100,
            },
            git: Git {
                protocols: vec![Protocol::Https, Protocol::Ssh],
                timeout: Duration::from_mins(5),
                max_size_mb: 1024,
            },
            volumes: Volumes::default(),
            acme: Acme {
                enabled: true,
                directory: "https://acme-v02.api.letsencrypt.org/directory".to_owned(),
                email: None,
                ca_file: None,
                eab_kid: None,
                eab_hmac_key_file: None,
                challenge: Challenge::Auto,
                dns_check: true,
            },
            audit: Audit { retention_days: 365 },
            sessions: Sessions {
                idle: Duration::from_hours(12),
                longest: Duration::from_hours(14 * 24),
                proof: Duration::from_mins(5),
            },
            place,
        }
    }
}

impl Level {
    /// Every level, most important first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The word people write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Logged {
    /// Every choice, least first.
    pub const ALL: [Self; 4] = [Self::Off, Self::Errors, Self::Sampled, Self::All];

    /// The word people write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Errors => "errors",
            Self::Sampled => "sampled",
            Self::All => "all",
        }
    }
}

impl Challenge {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Http, Self::TlsAlpn];

    /// The word people write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Http => "http-01",
            Self::TlsAlpn => "tls-alpn-01",
        }
    }
}

impl Protocol {
    /// Every protocol, safest first.
    pub const ALL: [Self; 3] = [Self::Https, Self::Ssh, Self::Http];

    /// The word people write, which is also the URL's scheme.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Ssh => "ssh",
            Self::Http => "http",
        }
    }
}

impl InstanceUrl {
    /// Takes `http://host[:port]` or `https://host[:port]`, with or without a slash at the end.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (https, rest) = match text.split_once("://")? {
            ("http", rest) => (false, rest),
            ("https", rest) => (true, rest),
            _ => return None,
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port != 0)?)),
            None => (authority, None),
        };
        Some(Self { https, host: HostName::parse(host).ok()?, port })
    }

    /// The IPv4 address that stands in place of a host name, if one does.
    #[must_use]
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.host.as_str().parse().ok()
    }
}

impl std::fmt::Display for InstanceUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        match self.port {
            Some(port) => write!(f, "{scheme}://{}:{port}", self.host),
            None => write!(f, "{scheme}://{}", self.host),
        }
    }
}

impl Pool {
    /// Takes the first address of a private network and a prefix from 8 to 24: `10.90.0.0/16`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (base, prefix) = text.split_once('/')?;
        let base: Ipv4Addr = base.parse().ok()?;
        let prefix: u8 = prefix.parse().ok()?;
        let [a, b, ..] = base.octets();
        let shared = a == 100 && (64..128).contains(&b); // RFC 6598
        // The whole of the pool is private: no private range is wider than its own prefix.
        let widest = match a {
            10 => 8,
            100 if shared => 10,
            172 if base.is_private() => 12,
            192 if base.is_private() => 16,
            _ => return None,
        };
        let host_bits = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
        let fits = (widest..=24).contains(&prefix) && u32::from(base) & host_bits == 0;
        fits.then_some(Self { base, prefix })
    }
}

impl std::fmt::Display for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools() {
        for good in ["10.90.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.4.0/24", "100.64.0.0/10"] {
            assert_eq!(Pool::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "10.90.0.0",
            "10.90.0.1/16",
            "10.0.0.0/7",
            "10.90.0.0/25",
            "8.8.0.0/16",
            "172.0.0.0/8",
            "192.168.0.0/15",
            "100.0.0.0/10",
            "10.90.0.0/-1",
            "::/64",
        ] {
            assert_eq!(Pool::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn urls() {
        for (typed, url) in [
            ("http://rivetr.example.org", "http://rivetr.example.org"),
            ("http://192.0.2.7:8080/", "http://192.0.2.7:8080"),
            ("http://Rivetr.Example.org", "http://rivetr.example.org"),
            ("https://rivetr.example.org/", "https://rivetr.example.org"),
            ("https://rivetr.example.org:8443", "https://rivetr.example.org:8443"),
        ] {
            assert_eq!(InstanceUrl::parse(typed).unwrap().to_string(), url);
        }
        for bad in [
            "",
            "rivetr.example.org",
            "ftp://a",
            "https://",
            "http://",
            "http://a/b",
            "http://a:0",
            "http://a:b",
            "http://u@a",
        ] {
            assert_eq!(InstanceUrl::parse(bad), None, "{bad:?}");
        }
    }
}
