//! Which host a request is for, and whether its request line may pass at all. One rule for every way to say it.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http::header::HOST;
use http::uri::Authority as UriAuthority;
use http::{HeaderMap, Method, Request, Uri, Version};

use super::fields::{Introduction, Origin};
use super::refusal::Refusal;
use crate::domain::name::HostName;

/// The host of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    /// Folded, without port; none if it is well-formed and no host that could be routed (an IPv6 address).
    pub(super) host: Option<HostName>,
    /// As the target may read it: folded, with the port if there was one.
    pub(super) text: String,
}

/// Whom the requests of a connection are for, and what their targets are told: seldom anything new.
#[derive(Debug)]
pub(super) struct Known {
    named: Bytes,
    origin: Origin,
    pub(super) authority: Authority,
    pub(super) introduction: Introduction,
}

impl Known {
    /// Finds it out of a request, unless it is what was known before.
    pub(super) fn of<B>(
        request: &Request<B>,
        origin: &Origin,
        before: &RefCell<Option<Rc<Self>>>,
    ) -> Result<Rc<Self>, Refusal> {
        let (uri, fields, version) = (request.uri(), request.headers(), request.version());
        let mut hosts = fields.get_all(HOST).iter();
        let named = match (uri.authority(), hosts.next(), hosts.next()) {
            (None, Some(host), None) => Some(host.as_bytes()),
            (Some(authority), None, None) if version == Version::HTTP_2 => {
                Some(authority.as_str().as_bytes())
            }
            _ => None,
        };
        let known = before
            .borrow()
            .as_ref()
            .filter(|known| known.origin == *origin && named == Some(&known.named))
            .cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let authority = authority(uri, fields, version)?;
        let introduction = Introduction::new(origin, &authority.text)?;
        let (named, plain) = (Bytes::copy_from_slice(named.unwrap_or_default()), named.is_some());
        let known = Rc::new(Self { named, origin: *origin, authority, introduction });
        if plain {
            before.replace(Some(Rc::clone(&known)));
        }
        Ok(known)
    }
}

/// The one host that a request names, or why it is refused.
///
/// HTTP/2 says it in the address and need not repeat it. The port is not compared with the listener's: in front of it
/// may be a forwarded port.
pub(super) fn authority(uri: &Uri, fields: &HeaderMap, version: Version) -> Result<Authority, Refusal> {
    let mut hosts = fields.get_all(HOST).iter();
    let field = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().map_err(|_| Refusal::Malformed("Host is not a host name"))?,
        (None, _) => match uri.authority() {
            Some(authority) if version == Version::HTTP_2 => authority.as_str(),
            Some(_) | None => return Err(Refusal::Malformed("there is no Host")),
        },
        (Some(_), Some(_)) => return Err(Refusal::Malformed("there are two Hosts")),
    };
    let authority = parse(field)?;
    match uri.authority().map(UriAuthority::as_str) {
        Some(other) if parse(other)?.text != authority.text => {
            Err(Refusal::Malformed("the request line and Host name different hosts"))
        }
        Some(_) | None => Ok(authority),
    }
}

fn parse(text: &str) -> Result<Authority, Refusal> {
    const NOT_A_HOST: Refusal = Refusal::Malformed("Host is not a host name");
    let literal = text.starts_with('[');
    let (name, port) = if literal {
        let end = text.find(']').ok_or(NOT_A_HOST)?;
        text.split_at(end + 1)
    } else {
        text.split_at(text.find(':').unwrap_or(text.len()))
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse::<u16>().map_err(|_| NOT_A_HOST)?)
        }
        None | Some(_) => return Err(NOT_A_HOST),
    };
    let host = if literal {
        let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        inner.and_then(|inner| inner.parse::<std::net::Ipv6Addr>().ok()).ok_or(NOT_A_HOST)?;
        None
    } else {
        Some(HostName::parse(name).map_err(|_| NOT_A_HOST)?)
    };
    let folded = host.as_ref().map_or_else(|| name.to_ascii_lowercase(), |host| host.as_str().to_owned());
    let text = port.map_or_else(|| folded.clone(), |port| format!("{folded}:{port}"));
    Ok(Authority { host, text })
}

/// Refuses methods and targets that are no one's to send through a proxy to an app, and those that name another scheme
/// than the one they came by.
pub(super) fn request_line(method: &Method, uri: &Uri, scheme: &str) -> Result<(), Refusal> {
    if matches!(*method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::Method);
    }
    if !method.as_str().bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
        return Err(Refusal::UnknownMethod);
    }
    if uri.scheme_str().is_some_and(|named| named != scheme) {
        return Err(Refusal::Malformed("the request line has another scheme than the connection"));
    }
    let path = uri.path();
    if path == "*" && *method == Method::OPTIONS {
        return Ok(());
    }
    if !path.starts_with('/') {
        return Err(Refusal::Malformed("the path does not begin with a slash"));
    }
    let target = uri.path_and_query().map_or(path, http::uri::PathAndQuery::as_str);
    let unfit = |b: u8| b == b'\\' || b.is_ascii_control();
    if target.bytes().any(unfit) || path.contains("%00") {
        return Err(Refusal::Malformed("the path has a control character or a backslash"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str, hosts: &[&str]) -> Result<Authority, Refusal> {
        let mut fields = HeaderMap::new();
        for host in hosts {
            fields.append(HOST, host.parse().unwrap());
        }
        authority(&uri.parse().unwrap(), &fields, Version::HTTP_11)
    }

    #[test]
    fn hosts() {
        for (uri, host, text) in [
            ("/", "a.org", "a.org"),
            ("/", "A.Org:8080", "a.org:8080"),
            ("/", "a.org.", "a.org"),
            ("http://a.org/x", "A.org", "a.org"),
            ("/", "[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(of(uri, &[host]).unwrap().text, text, "{host}");
        }
        assert_eq!(of("/", &["[::1]"]).unwrap().host, None);
    }

    #[test]
    fn http_2_need_not_repeat_it() {
        let of = |uri: &str, fields: &HeaderMap| authority(&uri.parse().unwrap(), fields, Version::HTTP_2);
        let mut fields = HeaderMap::new();
        assert_eq!(of("https://A.org:8443/x", &fields).unwrap().text, "a.org:8443");
        assert!(of("/x", &fields).is_err());
        fields.insert(HOST, "a.org".parse().unwrap());
        assert_eq!(of("/x", &fields).unwrap().text, "a.org");
        assert_eq!(of("https://a.org/", &fields).unwrap().text, "a.org");
        assert!(of("https://b.org/", &fields).is_err());
        fields.append(HOST, "a.org".parse().unwrap());
        assert!(of("https://a.org/", &fields).is_err());
    }

    #[test]
    fn what_is_no_host() {
        for (uri, hosts) in [
            ("/", &[][..]),
            ("/", &["a.org", "a.org"]),
            ("/", &[""]),
            ("/", &["a@b"]),
            ("/", &["a/x"]),
            ("/", &["a b"]),
            ("/", &["a:b"]),
            ("/", &["a:"]),
            ("/", &["a:80:80"]),
            ("/", &["a:99999"]),
            ("/", &["a,b"]),
            ("/", &["[::1"]),
            ("/", &["[::1]x"]),
            ("/", &["[x]"]),
            ("http://b.org/", &["a.org"]),
            ("http://a.org:81/", &["a.org"]),
            ("http://u@a.org/", &["a.org"]),
        ] {
            assert_eq!(
                of(uri, hosts).map_err(Refusal::status),
                Err(http::StatusCode::BAD_REQUEST),
                "{hosts:?}"
            );
        }
    }

    #[test]
    fn request_lines() {
        for (method, uri, status) in [
            ("GET", "/", None),
            ("OPTIONS", "*", None),
            ("PROPFIND", "/%2e%2e/?q=%00", None),
            ("M-SEARCH", "/", None),
            ("GET", "*", Some(400)),
            ("GET", "/a%00", Some(400)),
            ("GET", "/a\\b", Some(400)),
            ("GET", "ftp://a/", Some(400)),
            ("GET", "http://a/", Some(400)),
            ("GET", "https://a/", None),
            ("CONNECT", "a:443", Some(405)),
            ("TRACE", "/", Some(405)),
            ("get", "/", Some(501)),
        ] {
            let Ok(uri) = uri.parse::<Uri>() else {
                assert_eq!(status, Some(400), "{uri} is not even an address");
                continue;
            };
            let got =
                request_line(&method.parse().unwrap(), &uri, "https").err().map(|r| r.status().as_u16());
            assert_eq!(got, status, "{method} {uri}");
        }
    }
}
