//! What would become of a request. The code that serves says it, of a client who may come in; no target is asked.

use std::net::{IpAddr, Ipv4Addr};

use http::header::{HOST, HeaderMap, LOCATION};
use http::{HeaderValue, Method, Uri, Version};

use super::authority::{authority, request_line};
use super::drain::Registry;
use super::fields::Origin;
use super::refusal::Refusal;
use super::rules::policy::{Asked, Ruling};
use super::table::{Entry, Routes, Table};

/// A request that somebody may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Over HTTPS.
    pub https: bool,
    /// The host, with the port if one is named.
    pub authority: String,
    /// Path and query.
    pub address: String,
    /// The port at which visitors find HTTPS.
    pub https_port: u16,
}

/// What would become of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foresight {
    /// Which of the routes is meant, by its place among them; none: there is none.
    pub row: Option<usize>,
    /// How it ends.
    pub ending: Ending,
    /// The networks whose addresses come so far; none named: every address.
    pub allowed: Vec<String>,
    /// Those one of whom has to give a password; none named: nobody has to.
    pub users: Vec<String>,
}

/// How a request ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// A target is asked for this path and query.
    Served(String),
    /// An ACME server is told what proves that the host is ours.
    Proof,
    /// It is answered with another address.
    Moved {
        /// The status.
        status: u16,
        /// Where to.
        to: String,
    },
    /// Nobody is let through; what the page says.
    Closed(String),
    /// The route has no targets.
    Stopped,
    /// Nobody answers at this host.
    UnknownHost,
    /// Nobody answers at this path of the host.
    UnknownPath,
    /// It is refused.
    Refused {
        /// The status.
        status: u16,
        /// Why, in words.
        why: String,
    },
}

/// Says what would become of a request if these were the routes.
#[must_use]
pub fn foresee(routes: &Routes, question: &Question) -> Foresight {
    let table = Table::new(routes.clone(), 0, &Registry::default());
    let mut seen = Foresight { row: None, ending: Ending::Proof, allowed: Vec::new(), users: Vec::new() };
    let ending = ending(&table, question, &mut seen);
    seen.ending = ending.unwrap_or_else(Ending::from);
    seen
}

/// What is wrong with each of these routes, if they are ones that nobody can come in by: their places, and why.
#[must_use]
pub fn flaws(routes: &Routes) -> Vec<(usize, String)> {
    let table = Table::new(routes.clone(), 0, &Registry::default());
    table.flaws.iter().filter_map(|(row, flaw)| Some(((*row)?, flaw.to_string()))).collect()
}

/// The way of a request, as `forward` has it go.
fn ending(table: &Table, question: &Question, seen: &mut Foresight) -> Result<Ending, Refusal> {
    let Question { https, authority: named, address, https_port } = question;
    let scheme = if *https { "https" } else { "http" };
    let uri: Uri = address.parse().map_err(|_| Refusal::Malformed("it is no address"))?;
    request_line(&Method::GET, &uri, scheme)?;
    let named = HeaderValue::from_str(named).map_err(|_| Refusal::Malformed("Host is not a host name"))?;
    let fields = HeaderMap::from_iter([(HOST, named)]);
    let named = authority(&uri, &fields, Version::HTTP_11)?;
    if table.challenge(&Method::GET, uri.path()).is_some() {
        return Ok(Ending::Proof);
    }
    let host = named.host.ok_or(Refusal::UnknownHost)?;
    let entry = table.find(host.as_str(), uri.path())?;
    seen.row = Some(entry.row);
    seen.allowed = entry.allowed().iter().map(ToString::to_string).collect();
    let origin = Origin { client: somebody(entry), scheme, port: 0 };
    let (host, authority) = (host.as_str(), named.text.as_str());
    match entry.ruling(&uri, Asked { origin: &origin, host, authority, https_port: *https_port })? {
        Ruling::Moved(moved) => {
            let to =
                moved.headers().get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
            return Ok(Ending::Moved { status: moved.status().as_u16(), to: to.unwrap_or_default() });
        }
        Ruling::Closed(notice) => return Ok(Ending::Closed(notice.to_string())),
        Ruling::Open(Some(users)) => seen.users = users.names().map(str::to_owned).collect(),
        Ruling::Open(None) => {}
    }
    let inside = entry.inside(uri)?;
    entry.pick(0, &[]).ok_or(Refusal::Stopped)?;
    Ok(Ending::Served(inside.to_string()))
}

/// The address of a client who may come in.
fn somebody(entry: &Entry) -> IpAddr {
    entry.allowed().first().map_or(Ipv4Addr::LOCALHOST.into(), ipnet::IpNet::addr)
}

impl From<Refusal> for Ending {
    fn from(refusal: Refusal) -> Self {
        if refusal == Refusal::UnknownHost {
            Self::UnknownHost
        } else if refusal == Refusal::UnknownPath {
            Self::UnknownPath
        } else if refusal == Refusal::Stopped {
            Self::Stopped
        } else {
            Self::Refused { status: refusal.status().as_u16(), why: refusal.to_string() }
        }
    }
}
