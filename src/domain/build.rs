//! How an app's image is built, where that is not as usual.

use std::fmt;
use std::time::Duration;

use super::name::{EnvKey, InvalidName};
use super::runtime::{Cpus, ExtraHost, Memory, Ulimit};
use super::variable::EnvValue;

/// How an app's image is built. The default is what an app gets that says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildOptions {
    /// The file of instructions, from the base directory; none: `Containerfile` or `Dockerfile`.
    pub containerfile: Option<RepoPath>,
    /// The directory whose files the build sees; none: the whole repository.
    pub base_dir: Option<RepoPath>,
    /// The stage that is built; none: the last one.
    pub target: Option<Stage>,
    /// Arguments of the build. They can be seen in the image's history: nothing secret.
    pub args: Vec<BuildArg>,
    /// More options of `podman build`.
    pub options: Vec<BuildOption>,
    /// Steps that were built before are taken from the cache.
    pub cache: bool,
    /// The most memory that it may use, where that is less than the instance allows.
    pub memory: Option<Memory>,
    /// The most processor time that it may use, where that is less than the instance allows.
    pub cpus: Option<Cpus>,
    /// How long it may take, where that is less than the instance allows.
    pub timeout: Option<Duration>,
}

/// A path in a repository: relative, normal, not one that looks like an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoPath(String);

/// The name or number of a stage of a Containerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage(String);

/// `KEY=value` of `ARG KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildArg {
    /// Its name.
    pub key: EnvKey,
    /// Its value.
    pub value: EnvValue,
}

/// One of the options of `podman build` that cannot reach beyond the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildOption {
    /// All new layers become one.
    Squash,
    /// Built for another kind of machine.
    Platform(String),
    /// The size of `/dev/shm` while it builds.
    ShmSize(Memory),
    /// A limit of each of its processes.
    Ulimit(Ulimit),
    /// A name that its steps find.
    AddHost(ExtraHost),
    /// The form of the image: `docker` keeps HEALTHCHECK and SHELL, `oci` does not.
    Format(&'static str),
    /// How many stages are built at once.
    Jobs(u8),
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            containerfile: None,
            base_dir: None,
            target: None,
            args: Vec::new(),
            options: Vec::new(),
            cache: true,
            memory: None,
            cpus: None,
            timeout: None,
        }
    }
}

impl BuildOptions {
    /// The longest time that a build may be given.
    pub const TIMEOUT_MAX: Duration = Duration::from_hours(24);
}

impl RepoPath {
    /// Takes `a/b`: relative, no empty part, no `.` or `..`, nothing that begins with a dash.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let text = text.strip_prefix("./").unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text);
        let normal =
            text.split('/').all(|part| !matches!(part, "" | "." | ".." | ".git") && !part.starts_with('-'));
        if normal && text.len() <= 1000 && !text.chars().any(|c| c.is_control() || c == '\\') {
            return Ok(Self(text.to_owned()));
        }
        let rule = "use a path within the repository, such as docker/Containerfile, without . and ..";
        Err(InvalidName::new("path", text, rule))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Stage {
    /// Takes the name behind `AS`, or the number of a stage.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let inner = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if (1..=128).contains(&text.len()) && text.chars().all(inner) && !text.starts_with(['-', '.']) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName::new("stage", text, "use the name of a stage: letters, digits and _ . -"))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl BuildArg {
    /// Takes `KEY=value`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| InvalidName::new("build argument", text, "write it as KEY=value"))?;
        Ok(Self { key: EnvKey::parse(key)?, value: EnvValue::parse(value)? })
    }
}

impl fmt::Display for BuildArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key.as_str(), self.value.as_str())
    }
}

impl BuildOption {
    /// Takes an option as `podman build` does, with `=` between its name and its value. Any other is refused by
    /// its name.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let refuse = |rule| Err(InvalidName::new("build option", text, rule));
        match (name, value) {
            ("--squash", None) => Ok(Self::Squash),
            ("--platform", Some(value)) if is_platform(value) => Ok(Self::Platform(value.to_owned())),
            ("--platform", _) => refuse("write it as --platform=linux/arm64"),
            ("--shm-size", Some(value)) => Ok(Self::ShmSize(Memory::parse(value)?)),
            ("--ulimit", Some(value)) => Ok(Self::Ulimit(Ulimit::parse(value)?)),
            ("--add-host", Some(value)) => Ok(Self::AddHost(ExtraHost::parse(value)?)),
            ("--format", Some("docker")) => Ok(Self::Format("docker")),
            ("--format", Some("oci")) => Ok(Self::Format("oci")),
            ("--format", _) => refuse("write it as --format=docker or --format=oci"),
            ("--jobs", Some(value)) => match value.parse() {
                Ok(jobs @ 1..=64) if !value.starts_with('+') => Ok(Self::Jobs(jobs)),
                _ => refuse("write it as --jobs=2, at most 64"),
            },
            _ => refuse(
                "these can be used: --squash, --platform=, --shm-size=, --ulimit=, --add-host=, --format=, --jobs=",
            ),
        }
    }
}

/// `os/architecture[/variant]`; the build runs on Linux.
fn is_platform(text: &str) -> bool {
    let part =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let parts: Vec<&str> = text.split('/').collect();
    matches!(parts.len(), 2 | 3)
        && parts.first() == Some(&"linux")
        && parts.into_iter().all(part)
        && text.len() <= 60
}

impl fmt::Display for BuildOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Squash => f.write_str("--squash"),
            Self::Platform(platform) => write!(f, "--platform={platform}"),
            Self::ShmSize(size) => write!(f, "--shm-size={}", size.bytes()),
            Self::Ulimit(ulimit) => write!(f, "--ulimit={ulimit}"),
            Self::AddHost(host) => write!(f, "--add-host={host}"),
            Self::Format(form) => write!(f, "--format={form}"),
            Self::Jobs(jobs) => write!(f, "--jobs={jobs}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::runtime::check;
    use super::*;

    #[test]
    fn paths_and_stages() {
        let good = [
            ("Containerfile", "Containerfile"),
            ("./docker/web.Dockerfile", "docker/web.Dockerfile"),
            ("web/", "web"),
        ];
        let bad = [
            "",
            ".",
            "/",
            "/etc/passwd",
            "..",
            "a/../b",
            "a//b",
            "-f",
            "a/-b",
            ".git/config",
            "a\\b",
            "a\nb",
        ];
        check(RepoPath::parse, &good, &bad);
        check(Stage::parse, &[("builder", "builder"), ("0", "0")], &["", "-x", "a b", "a\n", "a/b"]);
    }

    #[test]
    fn options() {
        let good = [
            ("--squash", "--squash"),
            ("--platform=linux/arm/v7", "--platform=linux/arm/v7"),
            ("--shm-size=64M", "--shm-size=67108864"),
            ("--ulimit=nofile=1024", "--ulimit=nofile=1024:1024"),
            ("--add-host=a.test:192.0.2.7", "--add-host=a.test:192.0.2.7"),
            ("--format=docker", "--format=docker"),
            ("--jobs=4", "--jobs=4"),
        ];
        let bad = [
            "",
            "squash",
            "--squash=true",
            "--platform",
            "--platform=windows/amd64",
            "--platform=linux/a b",
            "--jobs=0",
            "--jobs=+4",
            "--format=raw",
            "--volume=/:/host",
            "--security-opt=label=disable",
            "--cap-add=ALL",
            "--secret=id=x,src=/etc/shadow",
            "--network=host",
            "-v",
            "--squash\n--volume=/:/host",
            "--build-context=x=/",
        ];
        check(BuildOption::parse, &good, &bad);
        check(BuildArg::parse, &[("A=b=c", "A=b=c"), ("A=", "A=")], &["", "A", "=b", "A-B=c", "A=\0"]);
    }
}
