//! What the proxy does with the requests of an app besides passing them on. It holds at once and for every release:
//! no deployment brings it, and no rollback takes it back.

mod field;
mod redirect;
mod span;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::name::InvalidName;
use super::runtime::amount;
use super::secret::Secret;

pub use self::field::FieldChange;
pub use self::redirect::Redirect;
pub use self::span::{Hsts, Span};

/// The longest text of a maintenance page, in characters.
const NOTICE_MAX: usize = 500;
/// The longest name of somebody who may come in, in characters.
const USER_MAX: usize = 64;
/// The shortest and the longest password, in bytes.
const PASSWORD: std::ops::RangeInclusive<usize> = 8..=256;

/// Everything that an app wants done with its requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traffic {
    /// The largest request body; none: what the proxy takes from anybody.
    pub body_limit: Option<BodyLimit>,
    /// From the end of a request to the head of its answer; none: as long as the proxy waits for anybody.
    pub answer_timeout: Option<Span>,
    /// What browsers are told about HTTPS.
    pub hsts: Option<Hsts>,
    /// Where paths are redirected to; the first that fits counts.
    pub redirects: Vec<Redirect>,
    /// What is changed in the header of a request.
    pub request_fields: Vec<FieldChange>,
    /// What is changed in the header of an answer.
    pub response_fields: Vec<FieldChange>,
    /// Who may come in, by name and password; nobody named: everyone.
    pub users: Vec<User>,
    /// From where one may come in; none named: from everywhere.
    pub allow: Vec<IpNet>,
    /// Nobody is let through; what the page says.
    pub maintenance: Option<Notice>,
    /// A visitor stays with the container that answered first.
    pub sticky: bool,
    /// What is spoken with the app.
    pub protocol: Protocol,
}

impl Traffic {
    /// The most users, and the most entries of each list.
    pub const LIST_MAX: usize = 100;
    /// The longest that an app may take to answer.
    pub const ANSWER_MAX: Span = Span::HOUR;
}

/// The largest body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyLimit(u64);

/// Somebody who may come in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: UserName,
    /// The argon2id hash of the password, in the PHC format.
    pub hash: String,
}

/// The name of somebody who may come in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

/// What a maintenance page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice(String);

/// What is spoken with an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS, from the first byte on; what gRPC needs.
    H2c,
}

impl BodyLimit {
    /// Less is hardly a form.
    const MIN: u64 = 1 << 10;
    /// More than goes through in a day.
    const MAX: u64 = 1 << 40;

    /// Takes bytes, or a number with K, M, G or T behind it.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let bytes = amount::bytes(text).filter(|bytes| (Self::MIN..=Self::MAX).contains(bytes));
        let rule = "write it as 10M or 2G, or in bytes; at least 1K, at most 1T";
        bytes.map(Self).ok_or_else(|| InvalidName::new("size", text, rule))
    }

    /// As bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for BodyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&amount::shown(self.0))
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({:?})", self.name)
    }
}

impl UserName {
    /// Takes 1 to 64 characters; a colon would end it where it is sent (RFC 7617).
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let fits = (1..=USER_MAX).contains(&text.chars().count());
        if fits && !text.chars().any(|c| c.is_control() || c == ':') {
            return Ok(Self(text.to_owned()));
        }
        let rule = "use 1 to 64 characters without a colon and without control characters";
        Err(InvalidName::new("user", text, rule))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A password that somebody may come in by. The error never shows it.
pub fn parse_password(text: &str) -> Result<Secret, &'static str> {
    if PASSWORD.contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(Secret::from(text));
    }
    Err("use a password of 8 to 256 bytes without control characters")
}

/// Takes a network as `192.0.2.0/24` or `2001:db8::/32`, or one address.
pub fn parse_network(text: &str) -> Result<IpNet, InvalidName> {
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let rule = "write a network such as 192.0.2.0/24 or 2001:db8::/32, or one address";
    network.map(|network| network.trunc()).ok_or_else(|| InvalidName::new("network", text, rule))
}

impl Notice {
    /// Takes 1 to 500 characters of plain text, in lines.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        let fits = (1..=NOTICE_MAX).contains(&text.chars().count());
        if fits && !text.chars().any(|c| c.is_control() && c != '\n') {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName::new("notice", text, "use 1 to 500 characters of plain text"))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Protocol {
    /// The word people write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::H2c => "h2c",
        }
    }

    /// Takes `http1` or `h2c`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let found = [Self::Http1, Self::H2c].into_iter().find(|protocol| protocol.as_str() == text);
        found.ok_or_else(|| {
            InvalidName::new("protocol", text, "use http1, or h2c for HTTP/2 as gRPC needs it")
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        for (typed, shown) in [("10M", "10M"), ("1024", "1K"), ("1t", "1T"), ("2048K", "2M")] {
            assert_eq!(BodyLimit::parse(typed).unwrap().to_string(), shown);
        }
        for bad in ["", "0", "1023", "2T", "10X", "-1M", "M"] {
            assert!(BodyLimit::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn networks_are_shown_as_they_are_compared() {
        for (typed, shown) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("2001:DB8::1", "2001:db8::1/128"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(parse_network(typed).unwrap().to_string(), shown);
        }
        for bad in ["", "192.0.2.0/33", "192.0.2", "a.org", "192.0.2.0/"] {
            assert!(parse_network(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn who_may_come_in_and_what_closed_doors_say() {
        assert_eq!(UserName::parse("ada lovelace").unwrap().as_str(), "ada lovelace");
        for bad in ["", "a:b", "a\nb", &"a".repeat(65)] {
            assert!(UserName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(parse_password("p:w ü 12").is_ok());
        for bad in ["", "1234567", "12345678\n", &"a".repeat(257)] {
            assert!(parse_password(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Notice::parse(" Back at noon\n").unwrap().as_str(), "Back at noon");
        for bad in ["", "  ", "a\u{1b}[2J", &"a".repeat(501)] {
            assert!(Notice::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Protocol::parse("h2c"), Ok(Protocol::H2c));
        assert!(Protocol::parse("http3").is_err());
    }
}
