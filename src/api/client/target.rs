//! Where a rivetr is reached: a Unix socket, or a host and port.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Where a rivetr is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The socket of the daemon on this machine.
    Socket(PathBuf),
    /// HTTP.
    Http {
        /// Over TLS.
        secure: bool,
        /// Its name or address; IPv6 without brackets.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// An address that cannot be used as a server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the server {given:?} cannot be used: {why}")]
pub struct BadServer {
    given: String,
    why: &'static str,
}

impl Target {
    /// Takes `https://host[:port]` or `http://host[:port]`, with or without a slash at the end.
    pub fn parse(text: &str) -> Result<Self, BadServer> {
        let refuse = |why| BadServer { given: shown(text), why };
        let form = "write it as https://host, https://host:port, or with http";
        let uri: http::Uri = text.parse().map_err(|_| refuse(form))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refuse(form)),
        };
        let authority = uri.authority().ok_or_else(|| refuse(form))?;
        if authority.as_str().contains('@') {
            return Err(refuse("leave the user name out, and set RIVETR_TOKEN"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(refuse("leave the path out: https://host or https://host:port"));
        }
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => {
                authority.port_u16().filter(|_| !port.is_empty()).ok_or_else(|| refuse(form))?
            }
            _ if secure => 443,
            _ => 80,
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self::Http { secure, host, port })
    }

    /// What stands in the Host field.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Socket(_) => "localhost".to_owned(),
            Self::Http { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Http { host, port, .. } => format!("{host}:{port}"),
        }
    }
}

/// What was given, cut to a readable length; what stands before an `@` may be a token.
fn shown(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let Some((_, rest)) = rest.rsplit_once('@') else { return text.chars().take(80).collect() };
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    format!("{scheme}…@{rest}").chars().take(80).collect()
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Http { secure, .. } => {
                write!(f, "{}://{}", if *secure { "https" } else { "http" }, self.authority())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        for (typed, shown) in [
            ("http://127.0.0.1:7480", "http://127.0.0.1:7480"),
            ("http://rivetr.example.org/", "http://rivetr.example.org:80"),
            ("http://[::1]:7480", "http://[::1]:7480"),
            ("http://[::1]", "http://[::1]:80"),
            ("https://rivetr.example.org", "https://rivetr.example.org:443"),
            ("https://[::1]:8443/", "https://[::1]:8443"),
        ] {
            assert_eq!(Target::parse(typed).unwrap().to_string(), shown);
        }
        for (typed, why) in [
            ("https://a/api", "leave the path out"),
            ("rivetr.example.org", "write it as"),
            ("", "write it as"),
            ("http://", "write it as"),
            ("http://a:99999", "write it as"),
            ("http://a:", "write it as"),
            ("ftp://a", "write it as"),
            ("http://u:p@a", "leave the user name out"),
            ("http://a/api", "leave the path out"),
            ("http://a/?x", "leave the path out"),
        ] {
            let error = Target::parse(typed).unwrap_err().to_string();
            assert!(error.contains(why), "{typed:?}: {error}");
        }
    }

    #[test]
    fn a_token_in_a_url_is_not_shown() {
        for typed in [
            "http://rivetr:rvt_secret@a",
            "https://rvt_secret@a",
            "rivetr:rvt_secret@a",
            "http://u:rvt_secret@a/@b",
        ] {
            let error = Target::parse(typed).unwrap_err().to_string();
            assert!(!error.contains("rvt_secret") && error.contains("…@"), "{typed:?}: {error}");
        }
    }
}
