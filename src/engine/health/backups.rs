//! Whether the backups that should be there are there, and can be restored.

use super::super::Engine;
use super::Check;
use crate::store::BackupsOf;

impl Engine {
    pub(super) async fn check_backups(&self) -> Check {
        let concerns = match self.backup_concerns(BackupsOf::All).await {
            Ok(concerns) => concerns,
            Err(error) => return Check::warn("backups", error.to_string(), "see the check of the database"),
        };
        let last = match self.reader().last_backup().await {
            Ok(None) => "none was made yet".to_owned(),
            Ok(Some(last)) => format!("the last one was made {}", ago(self.now().millis_since(last))),
            Err(error) => return Check::warn("backups", error.to_string(), "see the check of the database"),
        };
        let Some(first) = concerns.first() else {
            return Check::ok("backups", format!("as scheduled; {last}"));
        };
        let rest = match concerns.len() - 1 {
            0 => String::new(),
            more => format!(" ({more} more too)"),
        };
        let detail = format!("{}: {}{rest}; {last}", first.source.name(), first.message);
        Check::warn("backups", detail, format!("rivetr backups list {}", first.source.name()))
    }
}

/// How long ago something was, in milliseconds, as people say it.
fn ago(millis: u64) -> String {
    let minutes = millis / 60_000;
    match minutes {
        0 => "just now".to_owned(),
        1..60 => format!("{minutes} min ago"),
        60..2880 => format!("{} h ago", minutes / 60),
        2880.. => format!("{} days ago", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago() {
        for (minutes, expect) in
            [(0, "just now"), (59, "59 min ago"), (60, "1 h ago"), (2879, "47 h ago"), (2880, "2 days ago")]
        {
            assert_eq!(ago(minutes * 60_000), expect);
        }
    }
}
