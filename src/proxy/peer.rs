//! Who asks, where other proxies stand in front of this one: those that are trusted say it, in header fields or by the
//! PROXY protocol (versions 1 and 2). What anybody else says is worth nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::fields::Origin;

/// What begins version 2; no request begins so.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What begins version 1.
const PREFIX: &[u8] = b"PROXY ";
/// The longest line of version 1, its end included.
const LINE_BYTES: usize = 107;
/// The most that may follow the first 16 bytes of version 2: addresses and what cloud providers add to them.
const REST_BYTES: usize = 4096;

/// Which proxies are believed.
#[derive(Debug)]
pub(super) struct Trust {
    networks: Vec<IpNet>,
    proxy_protocol: bool,
}

impl Trust {
    pub(super) fn new(networks: Vec<IpNet>, proxy_protocol: bool) -> Self {
        Self { networks, proxy_protocol }
    }

    /// Who asks by this request, on a connection of `socket`.
    pub(super) fn origin(&self, socket: Origin, fields: &HeaderMap) -> Origin {
        if !self.includes(socket.client) {
            return socket;
        }
        let client = self.client(fields).unwrap_or(socket.client);
        let scheme = last(fields, "x-forwarded-proto").and_then(scheme).unwrap_or(socket.scheme);
        let port = match scheme {
            _ if scheme == socket.scheme => socket.port,
            "https" => 443,
            _ => 80,
        };
        Origin { client, scheme, port }
    }

    /// Whether a connection from `peer` must begin with who it is for.
    pub(super) fn introduces(&self, peer: IpAddr) -> bool {
        self.proxy_protocol && self.includes(peer)
    }

    /// Whose connections are counted; nobody's where a proxy speaks for many.
    pub(super) fn counted(&self, peer: IpAddr) -> Option<IpAddr> {
        (!self.includes(peer)).then_some(peer)
    }

    fn includes(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.networks.iter().any(|network| network.contains(&peer))
    }

    /// The last hop that is not one of ours. What stands before it anybody may have written.
    fn client(&self, fields: &HeaderMap) -> Option<IpAddr> {
        let mut nearest = None;
        let lines = fields.get_all("x-forwarded-for").iter().rev();
        for hop in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
            // Behind what is no address nothing can be believed; the hop nearer to us saw it come.
            let Some(hop) = address(hop) else { break };
            nearest = Some(hop);
            if !self.includes(hop) {
                break;
            }
        }
        nearest
    }
}

/// An address as proxies write it: with or without a port, IPv6 with or without brackets.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse().ok().or_else(bare).or_else(with_port);
    address.map(|address: IpAddr| address.to_canonical())
}

/// The last of the values in a list.
fn last<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value: &HeaderValue = fields.get_all(name).iter().next_back()?;
    value.to_str().ok()?.rsplit(',').next().map(str::trim)
}

fn scheme(text: &str) -> Option<&'static str> {
    ["http", "https"].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme))
}

/// What the first bytes of an introduction are.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// Its beginning; at least so many bytes follow.
    Part(usize),
    /// All of it, and the client; none if the proxy asks on its own behalf or does not know.
    Whole(Option<SocketAddr>),
    /// Something else.
    Wrong,
}

/// Reads who the client is, and not a byte more.
pub(super) async fn introduction(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut seen = Vec::with_capacity(LINE_BYTES);
    loop {
        match look(&seen) {
            Seen::Part(more) => {
                let had = seen.len();
                seen.resize(had + more, 0);
                stream.read_exact(seen.get_mut(had..).unwrap_or_default()).await?;
            }
            Seen::Whole(client) => return Ok(client),
            Seen::Wrong => {
                let what = "the connection does not begin as the PROXY protocol wants it";
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
    }
}

fn look(bytes: &[u8]) -> Seen {
    if bytes.len() < SIGNATURE.len() {
        return Seen::Part(SIGNATURE.len() - bytes.len());
    }
    if bytes.starts_with(PREFIX) {
        return line(bytes);
    }
    bytes.strip_prefix(SIGNATURE).map_or(Seen::Wrong, binary)
}

/// Version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 56324 80` and the end of a line.
fn line(bytes: &[u8]) -> Seen {
    let Some(line) = bytes.strip_suffix(b"\n") else {
        let more = if bytes.ends_with(b"\r") { 1 } else { 2 };
        return if bytes.len() + more > LINE_BYTES { Seen::Wrong } else { Seen::Part(more) };
    };
    let line = line.strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok());
    let client = line.and_then(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["PROXY", "UNKNOWN", ..] => Some(None),
            ["PROXY", "TCP4", from, to, from_port, to_port] => {
                to.parse::<Ipv4Addr>().ok().and(port(to_port))?;
                Some(Some((from.parse::<Ipv4Addr>().ok()?, port(from_port)?).into()))
            }
            ["PROXY", "TCP6", from, to, from_port, to_port] => {
                to.parse::<Ipv6Addr>().ok().and(port(to_port))?;
                Some(Some((from.parse::<Ipv6Addr>().ok()?, port(from_port)?).into()))
            }
            _ => None,
        }
    });
    client.map_or(Seen::Wrong, Seen::Whole)
}

fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// Version 2, behind its signature: version and command, family and protocol, length, and the addresses.
fn binary(bytes: &[u8]) -> Seen {
    let [command, family, high, low, rest @ ..] = bytes else { return Seen::Part(4 - bytes.len()) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length > REST_BYTES {
        return Seen::Wrong;
    }
    if rest.len() < length {
        return Seen::Part(length - rest.len());
    }
    match (command, family) {
        // LOCAL: the proxy itself, for example to see whether we are there. UNSPEC: it cannot say for whom.
        (0x20, _) | (0x21, 0x00) => Seen::Whole(None),
        (0x21, 0x11) => match rest.first_chunk::<12>() {
            Some([a, b, c, d, _, _, _, _, high, low, ..]) => {
                let address = Ipv4Addr::new(*a, *b, *c, *d);
                Seen::Whole(Some((address, u16::from_be_bytes([*high, *low])).into()))
            }
            None => Seen::Wrong,
        },
        (0x21, 0x21) => match (rest.first_chunk::<16>(), rest.get(32..34)) {
            (Some(address), Some([high, low])) if rest.len() >= 36 => {
                let address = Ipv6Addr::from(*address);
                Seen::Whole(Some((address, u16::from_be_bytes([*high, *low])).into()))
            }
            _ => Seen::Wrong,
        },
        _ => Seen::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trust(networks: &[&str]) -> Trust {
        Trust::new(networks.iter().map(|network| network.parse().unwrap()).collect(), true)
    }

    #[test]
    fn who_asks_behind_proxies() {
        for (peer, fields, client, scheme, port) in [
            ("10.0.0.1", &[][..], "10.0.0.1", "http", 8080),
            ("10.0.0.1", &[("x-forwarded-for", "192.0.2.1")], "192.0.2.1", "http", 8080),
            ("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, 192.0.2.1 ,10.0.0.2")], "192.0.2.1", "http", 8080),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "6.6.6.6, 192.0.2.1"), ("x-forwarded-for", "10.0.0.2")],
                "192.0.2.1",
                "http",
                8080,
            ),
            ("10.0.0.1", &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3", "http", 8080),
            ("10.0.0.1", &[("x-forwarded-for", "192.0.2.1, unknown, 10.0.0.2")], "10.0.0.2", "http", 8080),
            ("10.0.0.1", &[("x-forwarded-for", "nonsense")], "10.0.0.1", "http", 8080),
            ("10.0.0.1", &[("x-forwarded-for", "[2001:db8::1]:99")], "2001:db8::1", "http", 8080),
            ("10.0.0.1", &[("x-forwarded-for", "[2001:db8::1]")], "2001:db8::1", "http", 8080),
            ("10.0.0.1", &[("x-forwarded-for", "2001:db8::1")], "2001:db8::1", "http", 8080),
            ("10.0.0.1", &[("x-forwarded-for", "192.0.2.1:5")], "192.0.2.1", "http", 8080),
            ("10.0.0.1", &[("x-forwarded-for", "::ffff:192.0.2.1")], "192.0.2.1", "http", 8080),
            ("10.0.0.1", &[("x-forwarded-proto", "http, HTTPS")], "10.0.0.1", "https", 443),
            ("10.0.0.1", &[("x-forwarded-proto", "ftp")], "10.0.0.1", "http", 8080),
            (
                "192.0.2.9",
                &[("x-forwarded-for", "10.0.0.2"), ("x-forwarded-proto", "https")],
                "192.0.2.9",
                "http",
                8080,
            ),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in fields {
                map.append(*name, value.parse().unwrap());
            }
            let socket = Origin { client: peer.parse().unwrap(), scheme: "http", port: 8080 };
            let got = trust(&["10.0.0.0/8"]).origin(socket, &map);
            let client: IpAddr = client.parse().unwrap();
            assert_eq!((got.client, got.scheme, got.port), (client, scheme, port), "{peer} {fields:?}");
        }
    }

    #[test]
    fn whose_word_counts() {
        let trust = trust(&["10.0.0.0/8"]);
        let (proxy, mapped) = ("10.1.1.1".parse().unwrap(), "::ffff:10.1.1.1".parse().unwrap());
        let other = "192.0.2.1".parse().unwrap();
        assert!(trust.introduces(proxy) && trust.introduces(mapped) && !trust.introduces(other));
        assert_eq!((trust.counted(proxy), trust.counted(other)), (None, Some(other)));
        assert!(!Trust::new(vec!["10.0.0.0/8".parse().unwrap()], false).introduces(proxy));
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    /// Every part of it leads to the same end, and nothing after it is read.
    async fn check(bytes: &[u8], expected: Result<Option<&str>, ()>) {
        let sent = [bytes, b"GET / HTTP/1.1\r\n\r\n"].concat();
        let mut left = sent.as_slice();
        let got = introduction(&mut left).await;
        let expected = expected.map(|client| client.map(|client| client.parse::<SocketAddr>().unwrap()));
        assert_eq!(got.map_err(|_| ()), expected, "{}", bytes.escape_ascii());
        if expected.is_ok() {
            assert_eq!(left, b"GET / HTTP/1.1\r\n\r\n", "{}", bytes.escape_ascii());
        }
    }

    #[tokio::test]
    async fn introductions() {
        let v4 = [192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 0x04, 0, 80];
        let v6 =
            [&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets()[..], &[0; 16], &[1, 2, 0, 80]].concat();
        for (bytes, client) in [
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n".to_vec(), Some("192.0.2.1:56324")),
            (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n".to_vec(), Some("[2001:db8::1]:1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (v2(0x21, 0x11, &v4), Some("192.0.2.1:56324")),
            (v2(0x21, 0x11, &[&v4[..], b"\x04\0\x01x"].concat()), Some("192.0.2.1:56324")),
            (v2(0x21, 0x21, &v6), Some("[2001:db8::1]:258")),
            (v2(0x20, 0x00, b""), None),
            (v2(0x20, 0x11, &v4), None),
            (v2(0x21, 0x00, b"whatever"), None),
        ] {
            check(&bytes, Ok(client)).await;
        }
        for bytes in [
            b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\n".to_vec(),
            b"PROXY TCP4 192.0.2.1  192.0.2.2 56324 443\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 ::1 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 01 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n".to_vec(),
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
            [b"PROXY UNKNOWN ", &[b'x'; 200][..], b"\r\n"].concat(),
            v2(0x11, 0x11, &v4),
            v2(0x22, 0x11, &v4),
            v2(0x21, 0x12, &v4),
            v2(0x21, 0x31, &[0; 216]),
            v2(0x21, 0x11, &v4[..11]),
            v2(0x21, 0x21, &v6[..35]),
            v2(0x20, 0x00, &[0; REST_BYTES + 1]),
        ] {
            check(&bytes, Err(())).await;
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..300), begin in 0..3_usize) {
            let whole = [[&b""[..], PREFIX, SIGNATURE][begin], &bytes].concat();
            match look(&whole) {
                Seen::Part(more) => prop_assert!(more > 0 && more <= REST_BYTES),
                Seen::Whole(_) | Seen::Wrong => {}
            }
        }

        #[test]
        fn strangers_choose_nothing(value in proptest::collection::vec(0x20..0x7f_u8, 0..60), hops in 0..3_usize) {
            let value = [value, b", 192.0.2.1".to_vec(), b",10.0.0.2".repeat(hops)].concat();
            let mut fields = HeaderMap::new();
            fields.insert("x-forwarded-for", HeaderValue::from_bytes(&value).unwrap());
            let socket = Origin { client: "10.0.0.1".parse().unwrap(), scheme: "http", port: 80 };
            // The proxy nearest to the client wrote its address behind what the client had written.
            let client: IpAddr = "192.0.2.1".parse().unwrap();
            prop_assert_eq!(trust(&["10.0.0.0/8"]).origin(socket, &fields).client, client);
            prop_assert_eq!(trust(&["10.9.0.0/16"]).origin(socket, &fields).client, socket.client);
        }

        #[test]
        fn what_proxies_write_is_read(address in any::<[u8; 4]>(), at in any::<u16>()) {
            let client = SocketAddr::from((address, at));
            let text = format!("PROXY TCP4 {} 192.0.2.2 {at} 443\r\n", client.ip());
            prop_assert_eq!(look(text.as_bytes()), Seen::Whole(Some(client)));
            let [a, b, c, d] = address;
            let [high, low] = at.to_be_bytes();
            let bytes = v2(0x21, 0x11, &[a, b, c, d, 0, 0, 0, 0, high, low, 0, 80]);
            prop_assert_eq!(look(&bytes), Seen::Whole(Some(client)));
        }
    }
}
