//! Where something lies in a storage that speaks S3: values only, and how addresses of it are made.

use std::fmt;

use super::name::InvalidName;

/// The longest part of an object's key that rivetr puts before its own names.
const PREFIX_MAX: usize = 200;

/// The address of a storage, as a person writes it: `https://s3.example.org`, `http://10.0.0.5:9000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Not in clear.
    pub tls: bool,
    /// The host, and the port if it is not the usual one.
    pub authority: String,
}

/// The name of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketName(String);

/// What stands before the names of objects: nothing, or a path that ends with a slash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prefix(String);

/// A region, as it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region(String);

/// A bucket, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The storage.
    pub endpoint: Endpoint,
    /// The region that requests are signed for.
    pub region: Region,
    /// The bucket.
    pub bucket: BucketName,
    /// Where in it.
    pub prefix: Prefix,
    /// The bucket stands in the path and not in the name of the host.
    pub path_style: bool,
    /// The only roots that the storage's certificate may lead to, as PEM; none: those of this machine.
    pub ca: Option<String>,
}

impl Endpoint {
    /// Takes `https://host`, `http://host:port`; a slash at the end is left out.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let (tls, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err(wrong_endpoint(text));
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        let parsed = authority.parse::<http::uri::Authority>();
        let whole = parsed.is_ok_and(|parsed| !parsed.host().is_empty());
        if authority.len() > 253 || !authority.chars().all(allowed) || !whole {
            return Err(wrong_endpoint(text));
        }
        Ok(Self { tls, authority: authority.to_ascii_lowercase() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority)
    }
}

fn wrong_endpoint(text: &str) -> InvalidName {
    let rule = "write https:// and the host of the storage, with its port if need be, and no path \
                (https://s3.eu-central-1.amazonaws.com); http:// sends backups in clear and is only for a storage \
                in your own network";
    InvalidName::new("endpoint", text, rule)
}

impl BucketName {
    /// Takes what storages take: 3 to 63 of `a-z0-9.-`, beginning and ending with a letter or digit.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
        let (first, last) = (text.chars().next(), text.chars().next_back());
        if (3..=63).contains(&text.len())
            && text.chars().all(inner)
            && edge(first)
            && edge(last)
            && !text.contains("..")
        {
            return Ok(Self(text.to_owned()));
        }
        let rule =
            "use 3 to 63 lower-case letters, digits, dots and dashes, with a letter or digit at both ends";
        Err(InvalidName::new("bucket", text, rule))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Prefix {
    /// Takes a path such as `rivetr/production`; slashes at its ends are put right.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let path = text.trim_matches('/');
        let part = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            !part.is_empty() && part != "." && part != ".." && part.chars().all(allowed)
        };
        if path.is_empty() {
            return Ok(Self::default());
        }
        if path.len() > PREFIX_MAX || !path.split('/').all(part) {
            let rule =
                "use letters, digits, dots, dashes, underscores and single slashes, at most 200 of them";
            return Err(InvalidName::new("prefix", text, rule));
        }
        Ok(Self(format!("{path}/")))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Region {
    /// Takes `eu-central-1`, `auto`, `us-east-1`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        let rule =
            "write the region's name in letters, digits and dashes; where a storage has none, us-east-1";
        Err(InvalidName::new("region", text, rule))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Location {
    /// The host that requests go to, which is signed.
    #[must_use]
    pub fn host(&self) -> String {
        let Self { endpoint, bucket, path_style, .. } = self;
        if *path_style { endpoint.authority.clone() } else { format!("{}.{}", bucket.0, endpoint.authority) }
    }

    /// The path of the bucket itself, without a slash at its end.
    #[must_use]
    pub fn path(&self) -> String {
        if self.path_style { format!("/{}", self.bucket.0) } else { String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(
                Endpoint::parse(text).ok().map(|endpoint| endpoint.to_string()).as_deref(),
                expect,
                "{text}"
            );
        };
        check("https://s3.example.org", Some("https://s3.example.org"));
        check("https://S3.example.org/", Some("https://s3.example.org"));
        check("http://10.0.0.5:9000", Some("http://10.0.0.5:9000"));
        check("http://[::1]:9000", Some("http://[::1]:9000"));
        for wrong in [
            "s3.example.org",
            "ftp://a",
            "https://",
            "https://a/b",
            "https://u:p@a",
            "https://a b",
            "https://a?x",
            "http://:80",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn names() {
        for (text, fine) in [
            ("backups", true),
            ("a.b-c", true),
            ("ab", false),
            ("Ab1", false),
            ("-abc", false),
            ("a..b", false),
            ("a/b", false),
        ] {
            assert_eq!(BucketName::parse(text).is_ok(), fine, "{text}");
        }
        for (text, expect) in [
            ("", Some("")),
            ("/", Some("")),
            ("a", Some("a/")),
            ("/a/b/", Some("a/b/")),
            ("a//b", None),
            ("../a", None),
            ("a b", None),
        ] {
            assert_eq!(Prefix::parse(text).ok().map(|prefix| prefix.0).as_deref(), expect, "{text}");
        }
        for (text, fine) in [("eu-central-1", true), ("auto", true), ("", false), ("a/b", false)] {
            assert_eq!(Region::parse(text).is_ok(), fine, "{text}");
        }
    }

    #[test]
    fn two_styles() {
        let location = |path_style| Location {
            endpoint: Endpoint::parse("https://s3.example.org").unwrap(),
            region: Region::parse("auto").unwrap(),
            bucket: BucketName::parse("backups").unwrap(),
            prefix: Prefix::default(),
            path_style,
            ca: None,
        };
        assert_eq!(
            (location(true).host().as_str(), location(true).path().as_str()),
            ("s3.example.org", "/backups")
        );
        assert_eq!(
            (location(false).host().as_str(), location(false).path().as_str()),
            ("backups.s3.example.org", "")
        );
    }
}
