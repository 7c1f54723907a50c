//! The header fields that a hop keeps for itself, and those in which the target learns who asked.

use std::net::IpAddr;

use bytes::BytesMut;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::http1::message::write_field;
use super::record::X_REQUEST_ID;
use super::refusal::Refusal;

/// Who asked, and how, as the socket shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) client: IpAddr,
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    /// Where the proxy listens.
    pub(super) port: u16,
}

/// What a hop says to the next one only, and never passes on.
fn is_of_one_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authorization"
            | "proxy-authenticate"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// What only this proxy may say to a target. `Proxy` becomes a variable that programs believe (httpoxy).
fn is_of_the_proxy(name: &str) -> bool {
    matches!(
        name,
        "x-forwarded-for"
            | "x-forwarded-proto"
            | "x-forwarded-host"
            | "x-forwarded-port"
            | "x-real-ip"
            | "forwarded"
            | "proxy"
    )
}

/// Fields that a client would name in Connection only to make them vanish.
const NEVER_NOMINATED: [&str; 6] =
    ["host", "authorization", "cookie", "forwarded", "content-length", "x-real-ip"];

/// Whether a field is the connection's or this proxy's, so that no rule of a route may touch it.
pub(super) fn is_reserved(name: &HeaderName) -> bool {
    let own = [&HOST, &CONTENT_LENGTH, &TE, &EXPECT, &TRAILER, &X_REQUEST_ID];
    let text = name.as_str();
    is_of_one_hop(text) || is_of_the_proxy(text) || own.contains(&name) || is_ambiguous(text)
}

/// Whether the request asks to become a WebSocket.
pub(super) fn is_websocket(fields: &HeaderMap) -> bool {
    let mut upgrades = fields.get_all(UPGRADE).iter();
    let websocket = matches!(
        (upgrades.next(), upgrades.next()),
        (Some(protocol), None) if protocol.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket")
    );
    websocket && tokens(fields).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

/// Makes the client's fields those that the target reads beside the [`Introduction`].
pub(super) fn to_target(fields: &mut HeaderMap, websocket: bool) -> Result<(), Refusal> {
    expectation(fields)?;
    let trailers = accepts_trailers(fields);
    strip_nominated(fields, true)?;
    strip(fields, |name| {
        is_of_one_hop(name) || is_of_the_proxy(name) || is_ambiguous(name) || matches!(name, "te" | "expect")
    });
    if trailers {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    if websocket {
        fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    Ok(())
}

/// Makes the target's fields those that the client reads.
pub(super) fn to_client(fields: &mut HeaderMap) -> Result<(), Refusal> {
    if fields.contains_key(TRANSFER_ENCODING) {
        // The body is known by its chunks; a length beside them would be a second framing.
        fields.remove(CONTENT_LENGTH);
    }
    strip_nominated(fields, false)?;
    strip(fields, is_of_one_hop);
    Ok(())
}

/// Takes an [`Introduction`] from the fields of a request.
pub(super) fn unmake(fields: &mut HeaderMap) {
    strip(fields, is_of_the_proxy);
}

/// Drops from the fields after a body those that count only before it, where somebody has looked at them.
pub(super) fn trailers(fields: &mut HeaderMap) {
    let before = [AUTHORIZATION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, SET_COOKIE, TE];
    strip(fields, |name| {
        is_of_one_hop(name)
            || is_of_the_proxy(name)
            || is_ambiguous(name)
            || before.iter().any(|before| before == name)
    });
}

/// Drops fields by their names: seldom many.
fn strip(fields: &mut HeaderMap, dropped: impl Fn(&str) -> bool) {
    while let Some(name) = fields.keys().find(|name| dropped(name.as_str())).cloned() {
        fields.remove(name);
    }
}

/// How a target learns who asks, and for which host.
#[derive(Debug, Clone)]
pub(super) struct Introduction {
    host: HeaderValue,
    client: HeaderValue,
    scheme: &'static str,
    port: HeaderValue,
    forwarded: HeaderValue,
    /// All of it as HTTP/1.1 writes it: the same for many requests.
    text: BytesMut,
}

impl Introduction {
    /// `host` is as the target may read it.
    pub(super) fn new(origin: &Origin, host: &str) -> Result<Self, Refusal> {
        let Origin { client, scheme, port } = origin;
        let value = |text: String| {
            HeaderValue::try_from(text).map_err(|_| Refusal::Malformed("Host is not a host name"))
        };
        // RFC 7239, 6: an IPv6 address is quoted and in brackets; a host with a port is quoted.
        let forwarded = match client {
            IpAddr::V4(_) => format!("for={client};host=\"{host}\";proto={scheme}"),
            IpAddr::V6(_) => format!("for=\"[{client}]\";host=\"{host}\";proto={scheme}"),
        };
        let mut introduction = Self {
            host: value(host.to_owned())?,
            client: value(client.to_string())?,
            scheme,
            port: HeaderValue::from(*port),
            forwarded: value(forwarded)?,
            text: BytesMut::new(),
        };
        let mut fields = HeaderMap::new();
        introduction.make(&mut fields);
        for (name, value) in &fields {
            write_field(&mut introduction.text, name, value);
        }
        Ok(introduction)
    }

    /// All of it, in lines.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Puts it among the fields of a request.
    pub(super) fn make(&self, fields: &mut HeaderMap) {
        let Self { host, client, scheme, port, forwarded, text: _ } = self;
        fields.insert(HOST, host.clone());
        fields.insert(HeaderName::from_static("x-forwarded-host"), host.clone());
        fields.insert(HeaderName::from_static("x-forwarded-for"), client.clone());
        fields.insert(HeaderName::from_static("x-real-ip"), client.clone());
        fields.insert(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static(scheme));
        fields.insert(HeaderName::from_static("x-forwarded-port"), port.clone());
        fields.insert(FORWARDED, forwarded.clone());
    }
}

fn expectation(fields: &HeaderMap) -> Result<(), Refusal> {
    // The 100 that is expected is said once the body is read.
    let usual = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if fields.get_all(EXPECT).iter().all(usual) { Ok(()) } else { Err(Refusal::Expectation) }
}

fn accepts_trailers(fields: &HeaderMap) -> bool {
    let values = fields.get_all(TE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case("trailers"))
}

fn tokens(fields: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = fields.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

fn strip_nominated(fields: &mut HeaderMap, from_client: bool) -> Result<(), Refusal> {
    if !fields.contains_key(CONNECTION) {
        return Ok(());
    }
    if fields.get_all(CONNECTION).iter().any(|value| value.to_str().is_err()) {
        return Err(Refusal::Malformed("Connection is not a list of names"));
    }
    let usual = |token: &&str| {
        !["close", "keep-alive", "upgrade", "te"].iter().any(|name| token.eq_ignore_ascii_case(name))
    };
    let nominated: Vec<String> = tokens(fields).filter(usual).map(str::to_ascii_lowercase).collect();
    for name in nominated {
        let kept = NEVER_NOMINATED.contains(&name.as_str()) || name.starts_with("x-forwarded-");
        if kept && from_client {
            return Err(Refusal::Malformed("Connection names a field that is not the connection's"));
        }
        if !kept {
            fields.remove(name.as_str());
        }
    }
    Ok(())
}

/// Whether a target may take a name for another: `X_Real_IP` is `X-Real-IP` to many.
fn is_ambiguous(name: &str) -> bool {
    name.bytes().any(|b| b == b'_' || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        };
        fields.iter().map(pair).collect()
    }

    fn check(fields: &[(&str, &str)], expected: &[(&str, &str)]) {
        let mut fields = map(fields);
        let origin = Origin { client: "192.0.2.7".parse().unwrap(), scheme: "http", port: 80 };
        to_target(&mut fields, false).unwrap();
        assert!(
            expected.len() == fields.len() && expected.iter().all(|(name, _)| fields.contains_key(*name))
        );
        let introduction = Introduction::new(&origin, "a.org").unwrap();
        introduction.make(&mut fields);
        let mut expected = map(expected);
        for (name, value) in [
            ("host", "a.org"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-host", "a.org"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-port", "80"),
            ("x-real-ip", "192.0.2.7"),
            ("forwarded", "for=192.0.2.7;host=\"a.org\";proto=http"),
        ] {
            expected.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_the_target_reads() {
        check(&[("accept", "*/*")], &[("accept", "*/*")]);
        check(&[("connection", "close, X-Own"), ("x-own", "1"), ("keep-alive", "5")], &[]);
        check(&[("x-forwarded-for", "1.1.1.1"), ("x-real-ip", "1.1.1.1"), ("forwarded", "for=1.1.1.1")], &[]);
        check(&[("x_forwarded_for", "1.1.1.1"), ("x.real.ip", "1"), ("proxy", "http://evil")], &[]);
        check(&[("te", "gzip, trailers"), ("connection", "te")], &[("te", "trailers")]);
        check(&[("upgrade", "h2c"), ("connection", "upgrade, http2-settings"), ("http2-settings", "x")], &[]);
        check(&[("expect", "100-Continue"), ("proxy-authorization", "x")], &[]);
    }

    #[test]
    fn what_is_refused() {
        for fields in [
            &[("connection", "Host")][..],
            &[("connection", "close, x-forwarded-for")],
            &[("connection", "Authorization")],
            &[("connection", "cookie")],
            &[("expect", "foo")],
        ] {
            assert!(to_target(&mut map(fields), false).is_err(), "{fields:?}");
        }
    }

    #[test]
    fn what_the_client_reads() {
        let mut fields = map(&[
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("set-cookie", "a=b"),
        ]);
        to_client(&mut fields).unwrap();
        assert_eq!(fields, map(&[("set-cookie", "a=b")]));
    }

    #[test]
    fn what_may_follow_a_body() {
        let mut fields = map(&[
            ("x-sum", "7"),
            ("grpc-status", "0"),
            ("host", "b.org"),
            ("cookie", "a=b"),
            ("content-length", "5"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x_real_ip", "1.1.1.1"),
        ]);
        trailers(&mut fields);
        assert_eq!(fields, map(&[("x-sum", "7"), ("grpc-status", "0")]));
    }

    #[test]
    fn an_ipv6_client_is_quoted() {
        let mut fields = HeaderMap::new();
        let origin = Origin { client: "2001:db8::1".parse().unwrap(), scheme: "https", port: 443 };
        to_target(&mut fields, true).unwrap();
        Introduction::new(&origin, "a.org:8443").unwrap().make(&mut fields);
        assert_eq!(fields[FORWARDED], "for=\"[2001:db8::1]\";host=\"a.org:8443\";proto=https");
        assert_eq!(fields[UPGRADE], "websocket");
    }
}
