//! How the process in a container is started, what it may do, and how it is ended.

use std::fmt;

use crate::domain::name::InvalidName;

/// A program and its arguments, or the arguments alone. No shell reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<String>);

/// `user[:group]`, by names of the image or by numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerUser {
    user: String,
    group: Option<String>,
}

/// A limit of each process: `nofile=1024:2048`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ulimit {
    name: &'static str,
    soft: Bound,
    hard: Bound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    At(u64),
    Unlimited,
}

/// A part of root's power, without `CAP_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability(&'static str);

/// Whether a container is started again when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// However it ended.
    Always,
    /// When it failed.
    OnFailure,
    /// Never.
    No,
}

/// The signal that asks a container to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopSignal(&'static str);

impl Words {
    /// The longest command in bytes; longer ones belong into a script of the image.
    const MAX: usize = 32_000;

    /// Takes words; none may be empty or hold NUL.
    pub fn new(words: Vec<String>) -> Result<Self, InvalidName> {
        let refuse = |rule| Err(InvalidName::new("command", &words.join(" "), rule));
        if words.is_empty() {
            return refuse("name a program or an argument");
        }
        if words.iter().any(String::is_empty) || words.iter().any(|word| word == ";" || word == "\\;") {
            return refuse("no word may be empty or a lone semicolon: neither reaches the container");
        }
        if words.iter().any(|word| word.contains('\0'))
            || words.iter().map(String::len).sum::<usize>() > Self::MAX
        {
            return refuse("use at most 32,000 bytes without NUL");
        }
        Ok(Self(words))
    }

    /// Splits a line into words at blanks; quotes and backslashes join, as in a shell. Nothing else means anything.
    pub fn parse(line: &str) -> Result<Self, InvalidName> {
        let unended = "a quote is not closed, or a backslash stands at the end";
        Self::new(split(line).ok_or_else(|| InvalidName::new("command", line, unended))?)
    }

    /// The words.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// The words of a line; none, if a quote stays open.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().push(chars.next()?),
            '\'' => loop {
                match chars.next()? {
                    '\'' => break word.get_or_insert_default().push_str(""),
                    c => word.get_or_insert_default().push(c),
                }
            },
            '"' => loop {
                match chars.next()? {
                    '"' => break word.get_or_insert_default().push_str(""),
                    '\\' => {
                        let next = chars.next()?;
                        let word = word.get_or_insert_default();
                        if !matches!(next, '"' | '\\' | '$' | '`') {
                            word.push('\\');
                        }
                        word.push(next);
                    }
                    c => word.get_or_insert_default().push(c),
                }
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

impl fmt::Display for Words {
    /// As a line that splits into the same words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
        for (index, word) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            if word.chars().all(plain) {
                write!(f, "{gap}{word}")?;
            } else {
                write!(f, "{gap}'{}'", word.replace('\'', "'\\''"))?;
            }
        }
        Ok(())
    }
}

impl ContainerUser {
    /// Takes `user` or `user:group`: names, or numbers up to 65535.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let rule = "write it as user or user:group, each a name of the image or a number up to 65535";
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        if !is_owner(user) || !group.is_none_or(is_owner) {
            return Err(InvalidName::new("user", text, rule));
        }
        Ok(Self { user: user.to_owned(), group: group.map(str::to_owned) })
    }

    /// The user alone.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The group, if it is named.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }
}

/// A rootless container knows the numbers of 16 bits alone.
fn is_owner(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let name = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.len() <= 32
        && text.chars().all(inner);
    let number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) && text.parse::<u16>().is_ok();
    name || number
}

impl fmt::Display for ContainerUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user)?;
        self.group.as_ref().map_or(Ok(()), |group| write!(f, ":{group}"))
    }
}

impl Ulimit {
    const NAMES: [&'static str; 15] = [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "sigpending",
        "stack",
    ];

    /// Takes `name=both` or `name=soft:hard`; each a number or `unlimited`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refused = || {
            let rule = "write it as nofile=1024 or nofile=1024:2048, with a limit of setrlimit(2); unlimited is a number too";
            InvalidName::new("ulimit", text, rule)
        };
        let (name, bounds) = text.split_once('=').ok_or_else(refused)?;
        let name = Self::NAMES.into_iter().find(|known| *known == name).ok_or_else(refused)?;
        let (soft, hard) = bounds.split_once(':').unwrap_or((bounds, bounds));
        let (soft, hard) = (Bound::parse(soft).ok_or_else(refused)?, Bound::parse(hard).ok_or_else(refused)?);
        if soft > hard {
            return Err(InvalidName::new("ulimit", text, "the first number may not be above the second"));
        }
        Ok(Self { name, soft, hard })
    }
}

impl Bound {
    fn parse(text: &str) -> Option<Self> {
        if matches!(text, "unlimited" | "-1") {
            return Some(Self::Unlimited);
        }
        let digits = text.chars().all(|c| c.is_ascii_digit());
        text.parse().ok().filter(|number| digits && *number < u64::MAX / 2).map(Self::At)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(number) => write!(f, "{number}"),
            // As Podman says it.
            Self::Unlimited => f.write_str("-1"),
        }
    }
}

impl fmt::Display for Ulimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}:{}", self.name, self.soft, self.hard)
    }
}

impl Capability {
    const NAMES: [&'static str; 41] = [
        "AUDIT_CONTROL",
        "AUDIT_READ",
        "AUDIT_WRITE",
        "BLOCK_SUSPEND",
        "BPF",
        "CHECKPOINT_RESTORE",
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "IPC_LOCK",
        "IPC_OWNER",
        "KILL",
        "LEASE",
        "LINUX_IMMUTABLE",
        "MAC_ADMIN",
        "MAC_OVERRIDE",
        "MKNOD",
        "NET_ADMIN",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_RAW",
        "PERFMON",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYSLOG",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_CHROOT",
        "SYS_MODULE",
        "SYS_NICE",
        "SYS_PACCT",
        "SYS_PTRACE",
        "SYS_RAWIO",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "WAKE_ALARM",
    ];

    /// Takes a name of capabilities(7), with or without `CAP_`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let known = Self::NAMES.into_iter().find(|known| *known == name);
        let rule = "use a name of capabilities(7), such as NET_RAW";
        known.map(Self).ok_or_else(|| InvalidName::new("capability", text, rule))
    }

    /// Its name, without `CAP_`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Restart {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Always, Self::OnFailure, Self::No];

    /// The word of systemd.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::OnFailure => "on-failure",
            Self::No => "no",
        }
    }

    /// Takes `always`, `on-failure` or `no`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let found = Self::ALL.into_iter().find(|policy| policy.as_str() == text);
        found.ok_or_else(|| InvalidName::new("restart policy", text, "use always, on-failure or no"))
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl StopSignal {
    const NAMES: [&'static str; 10] = [
        "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGWINCH", "SIGALRM",
        "SIGPWR",
    ];

    /// Takes the name of a signal that programs end by, with or without `SIG`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let upper = text.to_ascii_uppercase();
        let found = Self::NAMES.into_iter().find(|name| *name == upper || name.get(3..) == Some(&upper));
        let rule =
            "use SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGKILL, SIGWINCH, SIGALRM or SIGPWR";
        found.map(Self).ok_or_else(|| InvalidName::new("signal", text, rule))
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check;
    use super::*;

    #[test]
    fn commands() {
        let good = [
            ("httpd -f -p 8080", "httpd -f -p 8080"),
            ("  sh -c 'echo $A;  ls'  ", "sh -c 'echo $A;  ls'"),
            ("a \"b \\\" c\" d\\ e", "a 'b \" c' 'd e'"),
            ("echo it\\'s", "echo 'it'\\''s'"),
        ];
        check(Words::parse, &good, &["", "  ", "a ''", "a \"", "a '", "a \\", "a ;", "a b\0"]);
    }

    proptest! {
        #[test]
        fn a_command_as_a_line_splits_into_the_same_words(words in prop::collection::vec("[^\0;-][^\0]*", 1..6)) {
            let command = Words::new(words).unwrap();
            prop_assert_eq!(Words::parse(&command.to_string()).unwrap(), command);
        }
    }

    #[test]
    fn users() {
        let good = [("1000", "1000"), ("www-data", "www-data"), ("0:0", "0:0"), ("app:65535", "app:65535")];
        check(
            ContainerUser::parse,
            &good,
            &["", ":", "a:", ":b", "-u", "65536", "a b", "a:b:c", "a\n", "%i", "ä"],
        );
    }

    #[test]
    fn limits_of_processes() {
        let good = [
            ("nofile=1024", "nofile=1024:1024"),
            ("nofile=1024:2048", "nofile=1024:2048"),
            ("memlock=0:unlimited", "memlock=0:-1"),
        ];
        let bad = [
            "",
            "nofile",
            "nofile=",
            "x=1",
            "nofile=2:1",
            "nofile=-2",
            "nofile=1:2:3",
            "nofile=unlimited:1",
            "nofile=1\n",
        ];
        check(Ulimit::parse, &good, &bad);
    }

    #[test]
    fn powers_policies_and_signals() {
        check(
            Capability::parse,
            &[("net_raw", "NET_RAW"), ("CAP_SYS_ADMIN", "SYS_ADMIN")],
            &["", "ALL", "CAP_", "X", "NET_RAW NET_ADMIN"],
        );
        check(
            Restart::parse,
            &[("always", "always"), ("on-failure", "on-failure"), ("no", "no")],
            &["", "Always", "unless-stopped"],
        );
        check(
            StopSignal::parse,
            &[("int", "SIGINT"), ("SIGQUIT", "SIGQUIT")],
            &["", "9", "SIG", "SIGSTOP", "SIGINT "],
        );
    }
}
