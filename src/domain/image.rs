//! Images of registries: how they are named, where they come from, and what tells one content from another.
//!
//! The grammar is that of the distribution project. What is accepted begins with a letter or digit and has no blanks,
//! so that it cannot be taken for an option wherever it stands.

use std::fmt;

use super::name::InvalidName;

/// The longest name of an image without tag and digest, in characters.
const NAME_MAX: usize = 255;
/// The longest tag, in characters.
const TAG_MAX: usize = 128;
/// The registry that short names are of.
const DOCKER_HUB: &str = "docker.io";
/// Other names that Docker Hub is known by.
const DOCKER_HUB_TOO: [&str; 4] =
    ["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com"];

/// An image in a registry, its name completed: `nginx` is `docker.io/library/nginx:latest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageRef {
    registry: RegistryHost,
    path: String,
    version: Version,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Version {
    Tag(String),
    Digest(Digest),
}

impl ImageRef {
    /// Takes `[host[:port]/]path[:tag][@sha256:…]`; with a digest the tag says nothing more, and goes.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        Self::read(text).ok_or_else(|| {
            InvalidName::new(
                "image",
                text,
                "write it as nginx:1.29, ghcr.io/owner/name:tag or host:5000/path@sha256: and 64 hexadecimal digits, \
                 the path in lower case",
            )
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(Digest::parse(digest).ok()?)),
            None => (text, None),
        };
        // A colon before the last slash is of a port.
        let (name, tag) = match name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((name, tag)) => (name, Some(tag)),
            None => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return None;
        }
        let (registry, path) = match name.split_once('/') {
            Some((host, path)) if is_host(host) => (RegistryHost::parse(host).ok()?, path.to_owned()),
            Some(_) | None => (RegistryHost(DOCKER_HUB.to_owned()), name.to_owned()),
        };
        let path =
            if registry.0 == DOCKER_HUB && !path.contains('/') { format!("library/{path}") } else { path };
        if registry.0.len() + path.len() >= NAME_MAX || !path.split('/').all(is_component) {
            return None;
        }
        let version = match digest {
            Some(digest) => Version::Digest(digest),
            None => Version::Tag(tag.unwrap_or("latest").to_owned()),
        };
        Some(Self { registry, path, version })
    }

    /// The registry that has it.
    #[must_use]
    pub fn registry(&self) -> &RegistryHost {
        &self.registry
    }

    /// The content that it names, if it names one.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        match &self.version {
            Version::Digest(digest) => Some(digest),
            Version::Tag(_) => None,
        }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registry, path, version } = self;
        match version {
            Version::Tag(tag) => write!(f, "{registry}/{path}:{tag}"),
            Version::Digest(digest) => write!(f, "{registry}/{path}@{digest}"),
        }
    }
}

/// The first part of a name is a host only if no part of a path looks so.
fn is_host(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost"
}

/// Letters and digits, joined by one dot, one or two underscores, or any number of dashes.
fn is_component(part: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let joints = part.split(word).filter(|joint| !joint.is_empty());
    part.starts_with(word)
        && part.ends_with(word)
        && joints
            .into_iter()
            .all(|joint| matches!(joint, "." | "_" | "__") || joint.bytes().all(|b| b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.starts_with(word) && tag.len() <= TAG_MAX && tag.chars().all(|c| word(c) || matches!(c, '.' | '-'))
}

/// The host of a registry, with its port if it has one: `ghcr.io`, `registry.example.org:5000`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryHost(String);

impl RegistryHost {
    /// Takes a host name or IPv4 address, folds its case, and knows Docker Hub by all its names.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let folded = text.to_ascii_lowercase();
        let (host, port) = match folded.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (folded.as_str(), None),
        };
        let is_port = |port: &str| {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
        };
        if super::name::HostName::parse(host).is_err() || host.ends_with('.') || !port.is_none_or(is_port) {
            let rule = "write the registry's host alone, with its port if it has one: ghcr.io or registry.example.org:5000";
            return Err(InvalidName::new("registry", text, rule));
        }
        Ok(Self(if DOCKER_HUB_TOO.contains(&folded.as_str()) { DOCKER_HUB.to_owned() } else { folded }))
    }

    /// The host as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What tells one content from another: `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// Takes `sha256:` and 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        match text.strip_prefix("sha256:") {
            Some(digits) if digits.len() == 64 && digits.chars().all(hex) => Ok(Self(text.to_owned())),
            Some(_) | None => {
                Err(InvalidName::new("digest", text, "use sha256: and 64 lower-case hexadecimal digits"))
            }
        }
    }

    /// The digest of a SHA-256 sum.
    #[must_use]
    pub fn of_sum(sum: [u8; 32]) -> Self {
        use std::fmt::Write as _;

        let mut text = "sha256:".to_owned();
        for byte in sum {
            // Writing to a String cannot fail.
            write!(text, "{byte:02x}").unwrap_or_default();
        }
        Self(text)
    }

    /// The digest as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits alone, as they may stand in the name of a file.
    #[must_use]
    pub fn digits(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or(&self.0)
    }

    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.digits().get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUM: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn names_are_completed() {
        let digest = |name: &str| format!("{name}@{SUM}");
        for (text, full) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.29", "docker.io/library/nginx:1.29"),
            ("grafana/grafana", "docker.io/grafana/grafana:latest"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"),
            ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
            ("ghcr.io/Owner", ""),
            ("GHCR.io/owner/app", "ghcr.io/owner/app:latest"),
            ("ghcr.io/owner/my__app/a-b--c.d:v1_2.3-x", "ghcr.io/owner/my__app/a-b--c.d:v1_2.3-x"),
            ("localhost/app", "localhost/app:latest"),
            ("127.0.0.1:5000/library/busybox:stable", "127.0.0.1:5000/library/busybox:stable"),
            ("registry:5000/app", "registry:5000/app:latest"),
            (&digest("nginx"), &digest("docker.io/library/nginx")),
            (&digest("nginx:1.29"), &digest("docker.io/library/nginx")),
        ] {
            let found = ImageRef::parse(text).map(|image| image.to_string()).unwrap_or_default();
            assert_eq!(found, full, "{text}");
        }
    }

    #[test]
    fn what_is_no_image() {
        for bad in [
            "",
            "-v",
            "--volume=/:/host",
            "/nginx",
            "nginx/",
            "a//b",
            "Nginx",
            "A/a",
            "nginx:",
            "nginx:-x",
            "nginx@",
            "nginx@sha256:12",
            "nginx:a:b",
            "a b",
            "a\nb",
            "a%b",
            "$HOME",
            "a..b",
            "a___b",
            "a._b",
            "_a",
            "a-",
            "docker://nginx",
            "oci:/tmp/x",
            "dir:/etc",
            "host:0/a",
            "host:99999/a",
            "host:+80/a",
            "-h.org/a",
            "h.org./a",
            "h.org/-a",
            "https://h.org/a",
            "ä",
            "user@host/a",
        ] {
            assert!(ImageRef::parse(bad).is_err(), "{bad:?}");
        }
        assert!(ImageRef::parse(&"a".repeat(300)).is_err());
        assert!(ImageRef::parse(&format!("a:{}", "t".repeat(129))).is_err());
    }

    #[test]
    fn registries() {
        for (text, host) in [("GHCR.io", "ghcr.io"), ("index.docker.io", "docker.io"), ("h:5000", "h:5000")] {
            assert_eq!(RegistryHost::parse(text).unwrap().as_str(), host);
        }
        for bad in ["", "https://ghcr.io", "ghcr.io/owner", "-x", "h:", "h:0", "h:1:2", "a b", "h.", "h:\n"] {
            assert!(RegistryHost::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_the_same_image_and_no_option(text in "[a-zA-Z0-9./:@_-]{1,40}") {
            if let Ok(image) = ImageRef::parse(&text) {
                let shown = image.to_string();
                prop_assert!(shown.starts_with(|c: char| c.is_ascii_alphanumeric()));
                prop_assert_eq!(ImageRef::parse(&shown).unwrap(), image);
            }
        }
    }
}
