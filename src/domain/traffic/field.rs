//! A change of one field in the header of requests or answers.

use std::fmt;

use crate::domain::name::InvalidName;

/// The longest name of a field, in bytes.
const NAME_MAX: usize = 100;
/// The longest value of a field, in bytes.
const VALUE_MAX: usize = 4096;

/// What frames a message, says where it goes or who sent it is the proxy's: two hands on it are a way to smuggle.
const RESERVED: [&str; 17] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];

/// A change of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    name: String,
    value: Option<String>,
}

impl FieldChange {
    /// Takes `Name: value`, which the field then has and no other; `Name:` takes the field away.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refused = |rule| InvalidName::new("header", text, rule);
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| refused("write it as `Name: value`, or `Name:` to take it away"))?;
        let name = name.to_ascii_lowercase();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !(1..=NAME_MAX).contains(&name.len()) || !name.chars().all(plain) {
            return Err(refused("names of header fields are letters, digits and dashes"));
        }
        if RESERVED.contains(&name.as_str()) || name.starts_with("proxy-") {
            return Err(refused("this field belongs to the connection, and the proxy sets it itself"));
        }
        let value = value.trim_matches([' ', '\t']);
        let fits = value.len() <= VALUE_MAX && value.chars().all(|c| c == '\t' || (' '..='~').contains(&c));
        if !fits {
            return Err(refused("values of header fields are at most 4096 visible ASCII characters"));
        }
        Ok(Self { name, value: Some(value.to_owned()).filter(|value| !value.is_empty()) })
    }

    /// The name, lower-case.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value; none: the field goes away.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}: {value}", self.name),
            None => write!(f, "{}:", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        for (typed, shown) in [
            ("X-Frame-Options: DENY", "x-frame-options: DENY"),
            ("Link:</a>; rel=\"x:y\" ", "link: </a>; rel=\"x:y\""),
            ("Server:", "server:"),
            ("Server: \t", "server:"),
        ] {
            assert_eq!(FieldChange::parse(typed).unwrap().to_string(), shown);
        }
        for bad in [
            "",
            "X-A",
            ": v",
            "X A: v",
            "X_A: v",
            "X-A: a\r\nX-B: b",
            "X-A: ä",
            "Host: a.org",
            "content-length: 5",
            "Transfer-Encoding:",
            "X-Forwarded-For: 127.0.0.1",
            "Proxy-Authorization: x",
        ] {
            assert!(FieldChange::parse(bad).is_err(), "{bad:?}");
        }
    }
}
