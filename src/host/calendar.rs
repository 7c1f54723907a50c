//! What systemd makes of a calendar expression, asked before a timer is made of it.

use std::time::Duration;

use super::process::{ProcessError, Spawn};

/// It looks ahead at most some years, which takes it milliseconds.
const LIMIT: Duration = Duration::from_secs(10);

/// What there is to say of a calendar expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elapses {
    /// It comes to pass.
    Sometime,
    /// It is well formed, and nothing that is yet to come matches it.
    Never,
    /// systemd does not understand it, or does not know its time zone.
    NotUnderstood,
}

/// Asks systemd. The expression must not begin with a dash.
pub async fn elapses(expression: &str) -> Result<Elapses, ProcessError> {
    let output = Spawn::new("systemd-analyze").args(["calendar", expression]).limit(LIMIT).output().await?;
    if !output.status.success() {
        return Ok(Elapses::NotUnderstood);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let never = text.lines().any(|line| line.trim() == "Next elapse: never");
    Ok(if never { Elapses::Never } else { Elapses::Sometime })
}
