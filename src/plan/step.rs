//! One step of a plan, and how a plan reads as text.

use std::fmt;

use super::Plan;
use crate::quadlet::path::UnitPath;

/// One thing to do. Each can be done twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write the file whole.
    Write {
        /// Which.
        path: UnitPath,
        /// What stands in it.
        text: String,
    },
    /// Have the manager read the files.
    Reload,
    /// Start the unit and wait until it runs.
    Start {
        /// Its name.
        unit: String,
    },
    /// Stop the unit, wait until it has, and forget a failure of it. One that is gone has stopped.
    Stop {
        /// Its name.
        unit: String,
    },
    /// Remove the file. One that is gone is removed.
    Remove {
        /// Which.
        path: UnitPath,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { path, text: _ } => write!(f, "write {path}"),
            Self::Reload => f.write_str("reload"),
            Self::Start { unit } => write!(f, "start {unit}"),
            Self::Stop { unit } => write!(f, "stop {unit}"),
            Self::Remove { path } => write!(f, "remove {path}"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, drift } = self;
        if steps.is_empty() && drift.is_empty() {
            return writeln!(f, "nothing to do");
        }
        for step in steps {
            writeln!(f, "{step}")?;
        }
        for path in drift {
            writeln!(f, "leave {path}: it was changed, and its unit runs")?;
        }
        Ok(())
    }
}
