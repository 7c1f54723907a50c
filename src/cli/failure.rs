//! How a command ends: what is said to a person on standard error, and what a script sees.

use std::fmt::Write;
use std::process::ExitCode;

use super::setup::SetupError;
use crate::api::client::{ClientError, Target};

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// It was tried and failed.
    Failed,
    /// The command line or the configuration is wrong; nothing was tried.
    Usage,
    /// rivetr cannot be reached.
    Unreachable,
    /// What was named does not exist.
    NotFound,
    /// Not allowed, not valid, or in conflict with what is there.
    Refused,
    /// Ended by Ctrl-C, as shells count it: 128 and the signal's number.
    Interrupted,
    /// As the program did that was run for the person.
    Program(u8),
}

/// A command that did not succeed.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong; empty where all has been said.
    pub message: String,
    /// What to try.
    pub cure: Option<String>,
    /// What a script sees.
    pub exit: Exit,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::NotFound => 4,
            Exit::Refused => 5,
            Exit::Interrupted => 130,
            Exit::Program(status) => status,
        })
    }
}

impl Failure {
    /// A failure with its message.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { message: message.into(), cure: None, exit }
    }

    /// The same failure with what to try.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    /// Nobody reads the output any more, as with `rivetr apps list | head -1`: nothing is wrong.
    #[must_use]
    pub fn unread() -> Self {
        Self::new(Exit::Done, "")
    }

    /// What stands on standard error.
    #[must_use]
    pub fn text(&self) -> String {
        if self.message.is_empty() {
            return String::new();
        }
        let cure = self.cure.as_ref().map(|cure| format!("try: {cure}\n")).unwrap_or_default();
        format!("error: {}\n{cure}", self.message)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        let said = |exit| Self::new(exit, message);
        match error {
            ClientError::Unreachable { source, .. }
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                said(Exit::Unreachable).cure("run it as root, or as the user that rivetr runs as")
            }
            ClientError::Unreachable { source, .. } if source.kind() == std::io::ErrorKind::InvalidData => {
                said(Exit::Unreachable).cure(
                    "name the roots that its certificate leads to with --ca, if they are not this machine's",
                )
            }
            ClientError::Unreachable { target, .. } => said(Exit::Unreachable).cure(where_to_look(&target)),
            ClientError::Broken { .. } | ClientError::TimedOut { .. } => {
                said(Exit::Unreachable).cure("`rivetr doctor`, and then the same command again")
            }
            ClientError::NotRivetr { .. } => said(Exit::Unreachable).cure("check --socket or --server"),
            ClientError::NotFound { .. } => said(Exit::NotFound),
            ClientError::Forbidden { .. } => said(Exit::Refused)
                .cure("set RIVETR_TOKEN to a token of a wider scope, or use the local socket"),
            ClientError::Refused { message, fields } => {
                Self::new(Exit::Refused, with_fields(message, &fields))
            }
            ClientError::Failed { request: Some(request), .. } => said(Exit::Failed)
                .cure(format!("look for request {request} in `journalctl -u rivetr.service`")),
            ClientError::Failed { request: None, .. } => said(Exit::Failed),
            ClientError::NotUnderstood(_) => {
                said(Exit::Failed).cure("use the command line of the same version as the daemon")
            }
            ClientError::Unsendable(_) | ClientError::NotHttp(_) => {
                said(Exit::Usage).cure("check RIVETR_TOKEN: it must be one line")
            }
        }
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        let exit = match error {
            SetupError::Output(error) => return error.into(),
            SetupError::Caller(_) | SetupError::Url(_) => Exit::Usage,
            SetupError::Silent { .. } => Exit::Unreachable,
            SetupError::Lacking(_)
            | SetupError::Start { .. }
            | SetupError::Upgrading { .. }
            | SetupError::NoCommand
            | SetupError::Unready(_)
            | SetupError::StandsIn(_)
            | SetupError::OtherWay { .. }
            | SetupError::User { .. }
            | SetupError::NoSubordinateIds { .. }
            | SetupError::Program(_)
            | SetupError::File(_)
            | SetupError::Process(_)
            | SetupError::Rehearsal(_) => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::unread();
        }
        Self::new(Exit::Failed, format!("the output cannot be written: {error}"))
    }
}

/// What shows why nobody answers there.
fn where_to_look(target: &Target) -> String {
    let manager = match target {
        Target::Http { .. } => {
            return "check --server, and look at `systemctl status rivetr.service` there".to_owned();
        }
        Target::Socket(path) if path.starts_with("/run/user") => "systemctl --user",
        Target::Socket(_) => "systemctl",
    };
    format!("`{manager} status rivetr.service` shows whether it runs, `rivetr doctor` what else is down")
}

fn with_fields(message: String, fields: &std::collections::BTreeMap<String, String>) -> String {
    // With one wrong field, that may be all there is to say.
    let fields: Vec<_> = fields.iter().filter(|(_, wrong)| **wrong != message).collect();
    fields.into_iter().fold(message, |mut text, (field, wrong)| {
        // Writing to a String cannot fail.
        write!(text, "\n  {field}: {wrong}").unwrap_or_default();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_exit_code_and_its_cure() {
        let target = Target::Socket("/run/rivetr/api.sock".into());
        let own = Target::Socket("/run/user/1000/rivetr/api.sock".into());
        let remote = Target::parse("http://192.0.2.7").unwrap();
        let io = |kind| std::io::Error::new(kind, "why");
        let message = || "no".to_owned();
        let unreachable = |kind| ClientError::Unreachable { target: target.clone(), source: io(kind) };
        let down = |target| ClientError::Unreachable { target, source: io(std::io::ErrorKind::NotFound) };
        for (error, exit, text) in [
            (
                unreachable(std::io::ErrorKind::NotFound),
                Exit::Unreachable,
                "error: rivetr cannot be reached at /run/rivetr/api.sock: why\ntry: `systemctl status",
            ),
            (
                down(own),
                Exit::Unreachable,
                "error: rivetr cannot be reached at /run/user/1000/rivetr/api.sock: why\ntry: `systemctl --user status",
            ),
            (
                down(remote),
                Exit::Unreachable,
                "error: rivetr cannot be reached at http://192.0.2.7:80: why\ntry: check --server",
            ),
            (
                unreachable(std::io::ErrorKind::PermissionDenied),
                Exit::Unreachable,
                "error: rivetr cannot be reached at /run/rivetr/api.sock: why\ntry: run it as root",
            ),
            (
                ClientError::Broken { target: target.clone(), source: "cut".into() },
                Exit::Unreachable,
                "error: the connection to rivetr at /run/rivetr/api.sock broke: cut\ntry: ",
            ),
            (ClientError::NotFound { message: message() }, Exit::NotFound, "error: no\n"),
            (
                ClientError::Forbidden { message: message() },
                Exit::Refused,
                "error: no\ntry: set RIVETR_TOKEN",
            ),
            (
                ClientError::Refused {
                    message: message(),
                    fields: [("a", "b"), ("c", "d")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
                },
                Exit::Refused,
                "error: no\n  a: b\n  c: d\n",
            ),
            (
                ClientError::Refused {
                    message: message(),
                    fields: [("name".to_owned(), "no".to_owned())].into(),
                },
                Exit::Refused,
                "error: no\n",
            ),
            (
                ClientError::Failed { message: message(), request: Some("r1".to_owned()) },
                Exit::Failed,
                "error: no\ntry: look for request r1",
            ),
        ] {
            let failure = Failure::from(error);
            assert_eq!(failure.exit, exit);
            assert!(failure.text().starts_with(text), "{}", failure.text());
            assert!(text.contains("try") || failure.text() == text, "{}", failure.text());
        }
    }

    #[test]
    fn a_broken_pipe_is_silent_success() {
        let failure = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!((failure.text().as_str(), failure.exit), ("", Exit::Done));
        let full = Failure::from(std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert_eq!(full.exit, Exit::Failed);
    }
}
