//! What can go wrong between rivetr and the service manager, in words.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::status::{ActiveState, InvocationId, LoadState, ServiceResult, UnitStatus};

/// Why a call to the manager failed.
#[derive(Debug, Clone, Error)]
pub enum BusError {
    /// There is no connection, and none could be made in time.
    #[error(
        "systemd cannot be reached at {address}: {cause}. Is the manager running? For a service user, \
         its session must linger: loginctl enable-linger USER"
    )]
    Unreachable {
        /// The bus.
        address: String,
        /// What the last attempt said.
        cause: String,
    },
    /// The connection ended before the answer came.
    #[error("the connection to systemd ended during {call}")]
    Lost {
        /// The D-Bus method.
        call: &'static str,
    },
    /// No answer came in time.
    #[error("systemd did not answer {call} within {} s", limit.as_secs())]
    Silent {
        /// The D-Bus method.
        call: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// The manager said no.
    #[error("systemd refused {call}: {message} ({name})")]
    Refused {
        /// The D-Bus method.
        call: &'static str,
        /// The D-Bus name of the error.
        name: String,
        /// The manager's words.
        message: String,
    },
    /// The answer is not what the interface promises.
    #[error("systemd answered {call} with something unexpected: {cause}")]
    Unexpected {
        /// The D-Bus method.
        call: &'static str,
        /// What was wrong with it.
        cause: String,
    },
}

impl BusError {
    pub(super) fn from_call(call: &'static str, error: zbus::Error) -> Self {
        if let zbus::Error::MethodError(name, message, _) = error {
            return Self::Refused { call, name: name.to_string(), message: message.unwrap_or_default() };
        }
        if let zbus::Error::FDO(error) = error {
            let gone = matches!(*error, zbus::fdo::Error::Disconnected(_) | zbus::fdo::Error::NoReply(_));
            let name = zbus::DBusError::name(&*error).to_string();
            let message = zbus::DBusError::description(&*error).unwrap_or_default().to_owned();
            return if gone { Self::Lost { call } } else { Self::Refused { call, name, message } };
        }
        if let zbus::Error::InputOutput(_) = error {
            return Self::Lost { call };
        }
        Self::Unexpected { call, cause: error.to_string() }
    }

    /// Whether the connection went away, so that asking again is right.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether nobody could be asked just now, which says nothing about what was asked.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Unreachable { .. } | Self::Silent { .. })
    }

    pub(super) fn is_nothing_to_clean(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name == "org.freedesktop.systemd1.NothingToClean")
    }

    pub(super) fn is_no_such_unit(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name == "org.freedesktop.systemd1.NoSuchUnit")
    }
}

/// Why a unit could not be brought where it was wanted.
#[derive(Debug, Clone, Error)]
pub enum StartError {
    /// The job ran and failed.
    #[error(transparent)]
    Failed(Box<JobFailure>),
    /// The manager knows no such unit; for a Quadlet, its generator may have refused the file.
    #[error("there is no unit {unit}")]
    NoSuchUnit {
        /// Its name.
        unit: String,
    },
    /// The job did not end.
    #[error("the job of {unit} has not ended after {} minutes", limit.as_secs() / 60)]
    Endless {
        /// Its name.
        unit: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The manager could not be asked.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// A job that failed, and what is known of why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct JobFailure {
    /// What was asked for.
    pub verb: Verb,
    /// The unit.
    pub unit: String,
    /// How the job ended.
    pub result: JobResult,
    /// How the service ended; `None` when it never ran (as when a dependency failed) or is no service.
    pub service: Option<(ServiceResult, i32)>,
    /// The run that failed, by which the journal finds what it printed.
    pub invocation: Option<InvocationId>,
    /// Why the unit file could not be used.
    pub load_problem: Option<String>,
}

impl JobFailure {
    pub(super) fn new(verb: Verb, unit: &str, result: JobResult, status: Option<UnitStatus>) -> Self {
        let bare =
            Self { verb, unit: unit.to_owned(), result, service: None, invocation: None, load_problem: None };
        let Some(status) = status else { return bare };
        let service = status.result.filter(|result| *result != ServiceResult::Success);
        Self {
            service: service.map(|result| (result, status.exec_main_status.unwrap_or(0))),
            invocation: status.invocation_id,
            load_problem: status.load_problem,
            ..bare
        }
    }
}

impl fmt::Display for JobFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} could not be {}: {}", self.unit, self.verb.done(), self.result)?;
        if let Some((result, status)) = &self.service {
            write!(f, " ({result}, status {status})")?;
        }
        if let Some(problem) = &self.load_problem {
            write!(f, " ({problem})")?;
        }
        Ok(())
    }
}

/// What a job is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Bring it up.
    Start,
    /// Bring it down.
    Stop,
}

impl Verb {
    /// What a unit that has no job any more says about the job it had.
    pub(super) fn judge(self, status: Option<&UnitStatus>) -> JobResult {
        let up = status.is_some_and(|status| {
            matches!(status.active_state, ActiveState::Active | ActiveState::Reloading)
                && status.load_state != LoadState::NotFound
        });
        let wanted_up = self != Self::Stop;
        if up == wanted_up { JobResult::Done } else { JobResult::Failed }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Stop => "stopped",
        }
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobResult {
    /// As wanted. For a container that only says that it was started.
    Done,
    /// Another job took its place, or somebody cancelled it.
    Canceled,
    /// The job's own time was over.
    Timeout,
    /// The unit failed.
    Failed,
    /// A unit it needs failed.
    Dependency,
    /// There was nothing to do in this state of the unit.
    Skipped,
    /// Something a newer systemd says.
    Other(String),
}

impl JobResult {
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "done" => Self::Done,
            "canceled" => Self::Canceled,
            "timeout" => Self::Timeout,
            "failed" => Self::Failed,
            "dependency" => Self::Dependency,
            "skipped" => Self::Skipped,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for JobResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Canceled => "its job was cancelled",
            Self::Timeout => "its job took too long",
            Self::Failed => "it failed",
            Self::Dependency => "a unit it needs failed",
            Self::Skipped => "its job was skipped",
            Self::Other(word) => word,
        })
    }
}
